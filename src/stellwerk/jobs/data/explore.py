"""Looking into a dataset version: its rows page by page, and what another bound would keep.

Reads only the pieces that a page shows, so that a million rows open as quickly as a hundred. Nothing is changed here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pds

from stellwerk.engine.engine import read_shard
from stellwerk.errors import UserError
from stellwerk.jobs.data import measured, sql, versions
from stellwerk.jobs.data.reports import BoundPreview, RowPage, ScoreBars

if TYPE_CHECKING:
    from stellwerk.record.record import Version
    from stellwerk.store.store import Store

LONGEST = 2000  # characters of a cell; the whole document is one click away
EXAMPLES = 5


def rows(
    store: Store,
    version: Version,
    table: str,
    *,
    search: str | None,
    decision: str | None,
    rule: str | None,
    offset: int,
    limit: int,
) -> RowPage:
    """Some rows of a version in their order.

    Args:
        store: of the workspace.
        version: of a dataset.
        table: `documents` (what was kept) or `ledger` (what became of all that came in).
        search: only rows in which a text holds this, whatever its case.
        decision: of the ledger: only rows with this one.
        rule: of the ledger: only rows with this one.
        offset: rows to skip.
        limit: rows at most.
    """
    source = versions.queryable(store, version)[table]
    found = sql.opened(source)
    wanted = {name: value for name, value in (("decision", decision), ("rule", rule)) if value is not None}
    if table == "documents" and wanted:
        raise UserError("decision and rule are columns of the ledger; ask with table ledger")
    picked = _filtered(found, search, wanted, offset, limit) if search or wanted else _slice(found, offset, limit)
    total = None if search or wanted else found.count_rows()
    more = picked.num_rows > limit
    page = picked.slice(0, limit)
    return RowPage(
        dataset=version.ref,
        table=table,
        columns=page.column_names,
        rows=[[_cell(value) for value in row.values()] for row in page.to_pylist()],
        offset=offset,
        total=total,
        more=more,
    )


def preview(store: Store, version: Version, score: str, low: float | None, high: float | None) -> BoundPreview:
    """What another bound on a score would keep of the documents that were read.

    Of the documents that are kept now, it is exact which the new bound would drop. Of those that this score's bound drops now,
    it says which would pass it; steps after it may still drop some of them.

    Raises:
        UserError: the version has no such score or column of numbers.
    """
    values = measured.numbers(store, version, score)
    if values is None:
        known = ", ".join(scores_of(store, version))
        raise UserError(f"{version.ref} has no numbers named {score!r}; there are: {known}")
    book = _decisions(store, version, len(values))
    passes = np.ones(len(values), dtype=bool)
    if low is not None:
        passes &= ~(values < low)
    if high is not None:
        passes &= ~(values > high)
    kept, by_this = book["decision"] != "dropped", book["rule"] == score
    newly_dropped, newly_passing = kept & ~passes, by_this & passes
    bound = version.facts["spec"]["select"].get(score) or {}
    return BoundPreview(
        dataset=version.ref,
        score=score,
        documents=len(values),
        missing=int(np.isnan(values).sum()),
        kept_now=int(kept.sum()),
        min_now=bound.get("min"),
        max_now=bound.get("max"),
        min=low,
        max=high,
        would_drop=int(newly_dropped.sum()),
        would_pass=int(newly_passing.sum()),
        examples_dropped=book["doc_id"][newly_dropped][:EXAMPLES].tolist(),
        examples_passing=book["doc_id"][newly_passing][:EXAMPLES].tolist(),
        bars=_bars(values, low, high),
    )


def scores_of(store: Store, version: Version) -> list[str]:
    """The scores and columns of numbers that a bound could be set on: those with one first."""
    bounded = list(version.facts["spec"]["select"])
    names: list[str] = []
    for part in ("scores", "documents"):
        schema = versions.part(store, version, part).schema
        names += [f.name for f in schema if pa.types.is_integer(f.type) or pa.types.is_floating(f.type)]
    return [*(n for n in bounded if n in names), *(n for n in dict.fromkeys(names) if n not in bounded)]


def _bars(values: Any, low: float | None, high: float | None) -> ScoreBars:
    from stellwerk.report.charts import histogram

    found = histogram(values, (low, high))
    return ScoreBars(**found.model_dump())


def _decisions(store: Store, version: Version, rows: int) -> dict[str, Any]:
    """What became of the documents, in the order of the shards that were read."""
    wanted = ["doc_id", "decision", "rule"]
    shards = version.content["ledger"][: len(version.content["documents"])]
    table = pa.concat_tables([read_shard(store.path(shard)).select(wanted) for shard in shards]).slice(0, rows)
    return {name: table[name].fill_null("").to_numpy(zero_copy_only=False) for name in wanted}


def _slice(found: pds.Dataset, offset: int, limit: int) -> pa.Table:
    """Rows by their place: whole row groups before it are stepped over unread."""
    pieces: list[pa.Table] = []
    for fragment in found.get_fragments():
        for group in fragment.row_groups:
            if offset >= group.num_rows:
                offset -= group.num_rows
                continue
            part = fragment.subset(row_group_ids=[group.id]).to_table(schema=found.schema)
            pieces.append(part.slice(offset, limit + 1 - sum(p.num_rows for p in pieces)))
            offset = 0
            if sum(p.num_rows for p in pieces) > limit:
                return pa.concat_tables(pieces)
    return pa.concat_tables(pieces) if pieces else found.schema.empty_table()


def _filtered(found: pds.Dataset, search: str | None, wanted: dict[str, str], offset: int, limit: int) -> pa.Table:
    """Rows that hold what is searched; reading ends when the page is full."""
    condition = None
    for name, value in wanted.items():
        condition = (pc.field(name) == value) if condition is None else condition & (pc.field(name) == value)
    pieces, have = [], 0
    for batch in found.scanner(filter=condition, batch_size=16_384).to_batches():
        part = pa.Table.from_batches([batch])
        if search:
            part = part.filter(_holds(part, search))
        skipped = min(offset, part.num_rows)
        offset -= skipped
        pieces.append(part.slice(skipped, limit + 1 - have))
        have += pieces[-1].num_rows
        if have > limit:
            break
    return pa.concat_tables(pieces) if pieces else found.schema.empty_table()


def _holds(table: pa.Table, search: str) -> pa.ChunkedArray | pa.Array:
    """Which rows have the text in one of their columns of text."""
    texts = [c for c in table.columns if pa.types.is_string(c.type) or pa.types.is_large_string(c.type)]
    found = [pc.fill_null(pc.match_substring(c, search, ignore_case=True), False) for c in texts]
    result = found[0] if found else pa.array([False] * table.num_rows)
    for other in found[1:]:
        result = pc.or_(result, other)
    return result


def _cell(value: Any) -> Any:
    plain = sql.plain(value)
    return f"{plain[:LONGEST]}…" if isinstance(plain, str) and len(plain) > LONGEST else plain
