"""The ids of documents: the source and the key, or the place in the file; a key that holds personal data is hidden.

An id stands in the table, the ledger and the copies, where personal data must not. A hidden key is `~` and a keyed hash, so the
same key has the same id in every build of a workspace, and nobody without the workspace's key can read it back or try values.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from stellwerk.jobs.data import merge
from stellwerk.jobs.data.personal_columns import scan_column

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace

DIGITS = 16  # 62 bits: among a million hidden keys two are equal with a probability of about 1 in 10 million
_HIDDEN = re.compile(rf"~[a-f][0-9a-f]{{{DIGITS - 1}}}")


def pepper(workspace: Workspace) -> str:
    """What keys are hidden with: made from the workspace's key, so that the key itself is in no parameter of a kernel."""
    return workspace.keyed("doc_id")


def hidden(pepper: str, key: str) -> str:
    """A key that holds personal data as it stands in an id.

    It looks like no other key, in which `~` is doubled, and like no number of a copy, since a letter stands first.
    """
    digest = hmac.new(pepper.encode(), key.encode(), hashlib.sha256).hexdigest()
    return f"~{'abcdef'[int(digest[DIGITS:], 16) % 6]}{digest[1:DIGITS]}"


def document_ids(shard: pa.Table, source: str, key: Sequence[str], kinds: Sequence[str], pepper: str) -> pa.Array:
    """The key after the name of the source; without one the place in the file. Two rows never get the same id.

    Args:
        shard: rows with their origin, and with the column `merge.COPY` where keys repeat.
        source: name of the source.
        key: the columns that name a row.
        kinds: the personal data that must not be in an id.
        pepper: as the function of that name gives it.
    """
    origin = shard["origin"].cast(pa.string())
    if not key:
        return pc.binary_join_element_wise(source, origin, ":")
    parts = [pc.replace_substring(shard[part].cast(pa.string()), "~", "~~") for part in key]
    joined = parts[0]
    if len(parts) > 1:
        there = [pc.fill_null(pc.replace_substring(part, "|", "||"), "~null") for part in parts]
        joined = pc.if_else(pc.is_valid(pc.coalesce(*parts)), pc.binary_join_element_wise(*there, "|"), None)
    telling = sorted({row for part in key for row in scan_column(part, shard[part], kinds)["row"].to_pylist()})
    if telling:
        texts = joined.to_pylist()
        for row in telling:
            texts[row] = hidden(pepper, texts[row])
        joined = pa.chunked_array([pa.array(texts, pa.string())])
    if merge.COPY in shard.column_names:
        copy = shard[merge.COPY]
        joined = pc.if_else(pc.equal(copy, 1), joined, pc.binary_join_element_wise(joined, copy.cast(pa.string()), "~"))
    return pc.binary_join_element_wise(source, pc.coalesce(joined, origin), ":")


def spellings(workspace: Workspace, sources: Iterable[str], document: str) -> list[str]:
    """The ids that a document may have, as what people type: its id, its key with or without the source before it.

    Args:
        workspace: whose key hides.
        sources: names of the dataset's sources.
        document: what was typed.
    """
    secret, names = pepper(workspace), [document]
    for source in sources:
        key = document.removeprefix(f"{source}:")
        base, _, number = key.rpartition("~")
        found = [key, hidden(secret, key), hidden(secret, key.replace("~", "~~"))]
        if number.isdigit():
            found.append(f"{hidden(secret, base)}~{number}")
        names += [f"{source}:{text}" for text in found]
    return list(dict.fromkeys(names))


def unchanging(pepper: str, document: str) -> str:
    """An id that is the same whether the key is hidden or not: what must outlast a change of the spec is kept by it."""
    source, _, key = document.partition(":")
    return document if _HIDDEN.fullmatch(key) else f"{source}:{hidden(pepper, key)}"
