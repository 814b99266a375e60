"""Tombstones: which documents were erased, so that no later build brings them back from their source.

A tombstone is a keyed hash within its dataset. It tells nobody who it was, and nobody without the key of the workspace can ask
it. It rests on the document's id where that names the document: a key, or a file that is one document. A place in a file names
whatever stands there next, and a key that repeats names several rows, so there it rests on what the row says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import select

from stellwerk.engine.engine import read_shard, write_shard
from stellwerk.errors import StellwerkError
from stellwerk.jobs.data import ids, ledger, shards
from stellwerk.record import tables

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from stellwerk.run import Run

GONE = "erased"
BY_CONTENT = "c:"  # before a token that rests on content, so that digests are worked out only where there are such tokens
_PLACE = r"#(line|row|item|[^#]* row) \d+$"  # the end of an origin inside a file
_NUMBERED = r"(?s)^(|.*[^~])((?:~~)*)~\d+$"  # 5~2, the second row of key 5; a ~ of a key itself is doubled


def of_id(run: Run, dataset: str, document: str) -> str:
    """The tombstone of a document that its id names."""
    return run.workspace.keyed(f"{dataset}\0{_unchanging(run, document)}")


def of_content(run: Run, dataset: str, base: str, digest: str) -> str:
    """The tombstone of a row that only its content names."""
    return BY_CONTENT + run.workspace.keyed(f"{dataset}\0{_unchanging(run, base)}\0{digest}")[:62]


def tokens_of(connection: Connection, dataset: str) -> list[str]:
    """The tombstones of a dataset as the record holds them now, sorted."""
    joined = tables.tombstone.join(tables.erasure).join(tables.version).join(tables.asset)
    query = select(tables.tombstone.c.token).select_from(joined)
    found = connection.execute(query.where(tables.asset.c.kind == "dataset", tables.asset.c.name == dataset))
    return sorted(set(found.scalars()))


def read_tokens(run: Run, dataset: str) -> list[str]:
    """The tombstones of a dataset, read by itself."""
    with run.record.database.reading() as connection:
        return tokens_of(connection, dataset)


def refuse_if_more(connection: Connection, dataset: str, tokens: Sequence[str]) -> None:
    """See that the tombstones are still those that were read before.

    Raises:
        StellwerkError: an erasure came in between, so that what was made since may hold what it took away.
    """
    if tokens_of(connection, dataset) != list(tokens):
        raise StellwerkError(f"dataset/{dataset}: an erasure came in between; start the command again")


def check(run: Run, dataset: str, tokens: Sequence[str]) -> None:
    """The same outside a step: what the record remembers of a step is taken without its transaction."""
    with run.record.database.reading() as connection:
        refuse_if_more(connection, dataset, tokens)


def hold(run: Run, dataset: str, tokens: Sequence[str]) -> None:
    """Let the step at work be committed only if no erasure came in since the tombstones were read."""

    run.write(lambda transaction: refuse_if_more(transaction.connection, dataset, tokens))


def forget(run: Run, dataset: str, documents: list[str], tokens: list[str]) -> tuple[list[str], list[str]]:
    """Leave out the documents that were erased before and that the sources still bring.

    Returns:
        The shards without them, and shards of the ledger that say how many there were.
    """
    if not tokens:
        return documents, []
    found = run.step("erased", left_out, dataset=dataset, documents=documents, tokens=tokens)
    return found["documents"], found["stones"]


def left_out(run: Run, *, dataset: str, documents: list[str], tokens: list[str]) -> dict[str, Any]:
    """Step: shards without erased documents; a shard that holds none stays as it is."""
    wanted = set(tokens)
    left, stones = [], []
    for shard in documents:
        there = staying(run, dataset, shard, wanted)
        if all(there):
            left.append(shard)
            continue
        table, mask = read_shard(run.store.path(shard)), pa.array(there)
        stones.append(write_shard(run.store, stones_of(table["source"].filter(pa.array([not stays for stays in there])))))
        left.append(write_shard(run.store, table.filter(mask)))
    return {"documents": left, "stones": stones}


def staying(run: Run, dataset: str, shard: str, tokens: set[str]) -> list[bool]:
    """For each document of a shard, whether it has no tombstone."""
    return [token is None for token in met(run, dataset, shard, tokens)]


def met(run: Run, dataset: str, shard: str, tokens: set[str]) -> list[str | None]:
    """For each document of a shard, the tombstone among the given ones that it has."""
    path = run.store.path(shard)
    names = bases(path)
    by_id = [of_id(run, dataset, base) for base in names["base"].to_pylist()]
    found = [token if token in tokens else None for token in by_id]
    if any(token.startswith(BY_CONTENT) for token in tokens):
        said = digests(read_shard(path))
        for row, base in enumerate(names["base"].to_pylist()):
            token = of_content(run, dataset, base, said[row])
            found[row] = found[row] or (token if token in tokens else None)
    return found


def made_for(run: Run, dataset: str, shard: str, documents: set[str], repeated: set[str]) -> set[str]:
    """The tombstones of those documents of a shard that are to be erased.

    Args:
        run: the run at work.
        dataset: the name of the dataset.
        shard: of documents.
        documents: ids.
        repeated: keys that name more than one row, see `repeated_in`.
    """
    names = bases(run.store.path(shard))
    of = dict(enumerate(zip(*(names[name].to_pylist() for name in ("doc_id", "base", "place")), strict=True)))
    gone = {
        row: (base, place or _unchanging(run, base) in repeated) for row, (name, base, place) in of.items() if name in documents
    }
    tokens = {of_id(run, dataset, base) for base, loose in gone.values() if not loose}
    loose = [row for row, (_, is_loose) in gone.items() if is_loose]
    if loose:
        said = digests(read_shard(run.store.path(shard)).take(loose))
        tokens |= {of_content(run, dataset, gone[row][0], digest) for row, digest in zip(loose, said, strict=True)}
    return tokens


def repeated_in(run: Run, shard: str) -> set[str]:
    """The ids of this shard's documents that are numbered copies, without numbers, in the form that outlasts hiding."""
    names = bases(run.store.path(shard))
    return {_unchanging(run, base) for base in names.filter(names["numbered"])["base"].to_pylist()}


def bases(path: Any) -> pa.Table:
    """What names the documents of a shard.

    Returns:
        Columns doc_id; base, the id without the number of a copy, and only the source for a place in a file; place and
        numbered, whether it is such a place or copy.
    """
    table = shards.columns(path, "doc_id", "source", "origin")
    name, origin = table["doc_id"], table["origin"].cast(pa.string())
    at_origin = pc.fill_null(pc.equal(name, pc.binary_join_element_wise(table["source"], origin, ":")), False)
    place = pc.and_(at_origin, pc.fill_null(pc.match_substring_regex(origin, _PLACE), False))
    plain = pc.if_else(at_origin, name, pc.replace_substring_regex(name, _NUMBERED, r"\1\2"))
    source = pc.binary_join_element_wise(table["source"], "", ":")
    base = pc.if_else(place, source, plain)
    return pa.table({"doc_id": name, "base": base, "place": place, "numbered": pc.not_equal(plain, name)})


def digests(documents: pa.Table) -> list[str]:
    """SHA-256 of what each row says, whatever its id and place.

    Values count as texts by the names of their columns, and missing ones not at all: a column that comes new, moves, or turns
    from whole numbers to decimal ones leaves the digest as it is.
    """
    text = pa.large_string()
    parts = []
    for name in sorted(set(documents.column_names) - {"doc_id", "origin"}):
        column = documents[name]
        value = column.cast(pa.int64()).cast(text) if pa.types.is_timestamp(column.type) else column.cast(text)
        head = pc.binary_join_element_wise(pa.scalar(name, text), pc.binary_length(value).cast(text), pa.scalar("\0", text))
        parts.append(pc.binary_join_element_wise(head, value, pa.scalar("\0", text)))
    joined = pc.binary_join_element_wise(*parts, pa.scalar("\0", text), null_handling="skip")
    return [hashlib.sha256(row.encode()).hexdigest() for row in joined.to_pylist()]


def _unchanging(run: Run, name: str) -> str:
    """A name that stays as it is when the spec hides keys from now on, or no more."""
    return ids.unchanging(ids.pepper(run.workspace), name)


def stones_of(sources: Sequence[Any]) -> pa.Table:
    """The ledger's rows of documents that are gone: that there was one, from which source, and no more."""
    n = len(sources)
    columns = {name: pa.nulls(n, pa.string()) for name in ledger.SCHEMA.names}
    said = {"doc_id": GONE, "decision": "dropped", "step": "erase", "rule": GONE}
    columns |= {name: pa.array([value] * n, pa.string()) for name, value in said.items()}
    return pa.table({**columns, "source": sources}, schema=ledger.SCHEMA)
