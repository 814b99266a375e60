"""From rows of sources to documents: an id, where it came from, one text, and the columns that stay beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from stellwerk.engine.engine import write_shard
from stellwerk.errors import UserError
from stellwerk.jobs.data import ids, merge
from stellwerk.jobs.data.acquire import Acquired
from stellwerk.jobs.data.shards import names
from stellwerk.jobs.data.spec import RESERVED, DatasetSpec

if TYPE_CHECKING:
    from stellwerk.run import Run


def assemble(run: Run, spec: DatasetSpec, sources: Sequence[Acquired]) -> list[str]:
    """Join sources that bring columns to those that bring documents, and give each document its shape.

    Returns:
        Document shards in the order of the sources: doc_id, source, origin, text, then the other columns.
    """
    _check_dropped(run, spec, sources)
    shards: list[str] = []
    for main in sources:
        if main.source.joins:
            continue
        joined = [other for other in sources if other.source.joins == main.source.name]
        rows = main.shards
        if rows and (joined or main.source.key):
            rows = run.step(
                f"join {main.source.name}",
                join_columns,
                inputs=[main.version, *(other.version for other in joined)],
                main=main.shards,
                key=main.source.key,
                others={other.source.name: [other.shards, other.source.key] for other in joined if other.shards},
            )
        # No input is named here: a shard that a new version of the source shares with the last one is not shaped again.
        items = [{"shard": shard} for shard in rows]
        shards += run.map(
            f"shape {main.source.name}",
            as_documents,
            items,
            source=main.source.name,
            key=main.source.key,
            text=main.source.text,
            drop=spec.drop_columns,
            hide=[] if spec.personal.action == "keep" else spec.personal.kinds,
            pepper=ids.pepper(run.workspace),
        )
    return shards or [run.step("no documents", no_documents)]


def no_documents(run: Run) -> str:
    """Step: an empty shard, so that a dataset of which nothing could be read still has its columns and its ledger."""
    rows = pa.table({"origin": pa.array([], pa.string())})
    return write_shard(run.store, as_documents(rows, source="", key=[], text=[], drop=[]))


def join_columns(run: Run, *, main: list[str], key: list[str], others: dict[str, Any]) -> list[str]:
    """Step: the rows of a source with the columns of others, and numbered where a key stands more than once."""
    if others:
        main = merge.join(run, main, key, {name: (shards, other_key) for name, (shards, other_key) in others.items()})
        for name, (shards, other_key) in others.items():
            lonely = merge.unmatched(run, main, key, shards, other_key)
            if lonely:
                run.finding("unmatched_rows", "low", f"source {name}: {lonely} rows belong to no document", rows=lonely)
    return merge.number_copies(run, main, key) if key else main


def as_documents(
    shard: pa.Table,
    *,
    source: str,
    key: list[str],
    text: list[str],
    drop: list[str],
    hide: Sequence[str] = (),
    pepper: str = "",
) -> pa.Table:
    """Kernel: rows to documents. A row without text, as in a plain table, has a null text; a key that holds personal data of
    the kinds `hide` is not in its id.
    """
    parts = text_columns(shard.column_names, text)
    rest = [c for c in shard.column_names if c not in (*parts, *drop, "origin", merge.COPY)]
    columns = {
        "doc_id": ids.document_ids(shard, source, key, hide, pepper),
        "source": pa.array([source] * shard.num_rows, pa.string()),
        "origin": shard["origin"],
        "text": _joined(shard, parts),
    }
    taken = {*RESERVED, *(name.lower() for name in rest)}
    for name in rest:
        # A user's column with the name of one of ours keeps its values under a name with an underscore.
        free = f"{name}_" if name.lower() in RESERVED else name
        while free != name and free.lower() in taken:
            free += "_"
        taken.add(free.lower())
        columns[free] = shard[name]
    return pa.table(columns)


def text_columns(columns: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """The columns that make the text: those that the spec names, else the column `text` if there is one."""
    return list(wanted) or [name for name in ("text",) if name in columns]


def _check_dropped(run: Run, spec: DatasetSpec, sources: Sequence[Acquired]) -> None:
    """A column that is to go must be there: a misspelt name would keep what was meant to be left out."""
    known = sorted(
        {name for source in sources for shard in source.shards for name in names(run.store.path(shard))} - {"origin"}
    )
    for name in spec.drop_columns:
        if known and name not in known:
            raise UserError(f"drop_columns: there is no column {name!r}; there are: {', '.join(known)}")


def _joined(shard: pa.Table, names: Sequence[str]) -> pa.Array:
    if not names:
        return pa.nulls(shard.num_rows, pa.large_string())
    joined, *rest = (pc.fill_null(shard[name].cast(pa.large_string()), "") for name in names)
    for part in rest:
        both = pc.binary_join_element_wise(joined, part, pa.scalar("\n\n", pa.large_string()))
        joined = pc.if_else(_blank(part), joined, pc.if_else(_blank(joined), part, both))
    return pc.if_else(_blank(joined), "", joined) if rest else joined


def _blank(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.equal(pc.utf8_trim_whitespace(texts), "")
