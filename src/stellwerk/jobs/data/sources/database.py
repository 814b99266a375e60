"""Rows of a table or a query, streamed in bounded memory out of one read-only transaction that sees one state.

Rows with the very value of the cursor that was read last come again, since more may have got it, and so do rows whose cursor
is empty. Times are those of UTC. Knows how large the pieces are; it neither joins nor keeps rows.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from stellwerk.errors import UserError
from stellwerk.jobs.data.files.columns import no_collection, table_of
from stellwerk.jobs.data.files.names import ColumnNames
from stellwerk.jobs.data.files.schema import cast, facts_of, unify, with_facts
from stellwerk.jobs.data.files.shapes import Facts, FileProblem, Unreadable
from stellwerk.jobs.data.sources.dbsession import Session, address, shown
from stellwerk.jobs.data.sources.dbstatement import NO_ORDER, Statement
from stellwerk.jobs.data.sources.sqltypes import Column, columns_of

if TYPE_CHECKING:
    from stellwerk.jobs.data.source_spec import Source
    from stellwerk.workspace import Workspace

TABLE_BYTES = 8 * 2**20
TABLE_ROWS = 50_000
FIRST_ROWS = 10  # fetched before it is known how long rows are
FETCHED_ROWS = 10_000  # at most at once, so that a few long rows among short ones do no harm
_ISO = re.compile(r"\d{4}-\d\d-\d\d(?:([T ])\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?)?")


def place(source: Source, workspace: Workspace) -> str:
    """How a source is shown and recorded.

    Args:
        source: with a database.
        workspace: for credentials.

    Returns:
        The address without password and query, and the table, or `query` with a digest of its SQL.
    """
    assert source.database is not None
    where = shown(address(source, workspace))
    if source.database.query is None:
        return f"{where} table {source.database.table}"
    return f"{where} query {hashlib.sha256(source.database.query.strip().encode()).hexdigest()[:16]}"


def read(source: Source, workspace: Workspace, since: str | None, check: Callable[[], None]) -> Iterator[pa.Table | Unreadable]:
    """Stream the rows of a source.

    Args:
        source: with a database.
        workspace: for credentials and relative paths.
        since: the highest value of the cursor that was read before, as `cursor.highest` gives it; None for all rows.
        check: called between pieces; raises where the run is to end.

    Yields:
        Tables of about 8 MiB and at most 50,000 rows, at least one; and a row that holds a value which no type does.

    Raises:
        UserError: the address, the table, a column or the query is not right.
        StellwerkError: the server does not answer, or no longer.
    """
    with Session(source, workspace, check).opened() as session:
        statement, names = Statement(session, source).rows(since)
        origin = _origin(source, session.url)
        yield from _gathered(_pieces(session, source, statement, names, origin))


def keys(source: Source, workspace: Workspace, check: Callable[[], None]) -> Iterator[pa.Table]:
    """Stream the key columns of all rows that there are now, in the types that `read` gives them.

    Args:
        source: with a database and a key.
        workspace: for credentials and relative paths.
        check: called between pieces; raises where the run is to end.
    """
    with Session(source, workspace, check).opened() as session:
        statement, names = Statement(session, source).keys()
        for piece in _gathered(_pieces(session, None, statement, names, "")):
            if isinstance(piece, pa.Table):
                yield piece.drop_columns(["origin"])


def _origin(source: Source, url: sa.URL) -> str:
    assert source.database is not None
    name = PurePath(url.database or source.name).stem if url.get_backend_name() == "sqlite" else url.database or source.name
    if source.database.query is not None:
        return f"{name}: query"
    table = str(source.database.table)
    return table if "." in table else f"{name}.{table}"


class _Pace:
    """How many rows to fetch next, so that a piece stays small however long rows are."""

    def __init__(self) -> None:
        self.rows = FIRST_ROWS

    def next(self) -> int:
        """Rows of the next piece."""
        return self.rows

    def met(self, rows: int, size: int) -> None:
        """Learn from a piece: at most four times as many as before, and never more than fit."""
        if rows:
            self.rows = max(1, min(FETCHED_ROWS, self.rows * 4, TABLE_BYTES * rows // max(size, 1)))


def _pieces(
    session: Session, source: Source | None, statement: Any, names: list[str], origin: str
) -> Iterator[pa.Table | Unreadable]:
    """The rows as they are fetched, each piece a table; rows with a value that no type holds stand beside them."""
    pace, facts, seen = _Pace(), Facts(format="database"), 0
    columns: list[Column] = []
    form: str | None = None
    for description, rows in session.rows(statement, pace.next):
        if not columns:
            columns = columns_of(session.driver, _names(session, names, description, facts), description)
        with no_collection():
            table, bad = _table(columns, rows, origin, facts)
        # Long binary values are fetched, though they are left out of the table.
        pace.met(len(rows), table.nbytes + sum(len(value) for row in rows for value in row if isinstance(value, bytes)))
        if source is not None and source.cursor is not None:
            form = _see_cursor(session, table[source.cursor.column], source.cursor.column, form)
        yield from (Unreadable(f"{origin}#row {seen + row + 1}", reason, "value_out_of_range") for row, reason in bad)
        seen += len(rows)
        del rows
        yield table


def _names(session: Session, names: list[str], description: Sequence[Any], facts: Facts) -> list[str]:
    try:
        return ColumnNames(facts).header(names or [str(entry[0]) for entry in description])
    except FileProblem as problem:
        reason = problem.reason
    raise UserError(f"{session.name}: {session.place} {reason}")


def _table(columns: Sequence[Column], rows: Sequence[Any], origin: str, facts: Facts) -> tuple[pa.Table, list[tuple[int, str]]]:
    """One piece as a table, and which of its rows are not in it, each with the reason."""
    arrays: dict[str, pa.Array] = {}
    bad: dict[int, str] = {}
    values = zip(*rows, strict=True) if rows else ([] for _ in columns)
    for column, given in zip(columns, values, strict=True):
        arrays[column.name], mask = column.arrow(given, facts)
        if mask is not None:
            reason = (
                f"column '{column.name}' holds a date or time that is none of the years 1 to 9999 (such as infinity); read it "
                "with a query that changes it, or correct it"
            )
            bad |= {row: reason for row in pc.indices_nonzero(mask).to_pylist() if row not in bad}
    table = table_of(pa.repeat(pa.scalar(origin, pa.string()), len(rows)), arrays)
    if bad:
        table = table.filter(pa.array([row not in bad for row in range(len(rows))], pa.bool_()))
    return with_facts(table, facts), sorted(bad.items())


def _see_cursor(session: Session, column: pa.ChunkedArray, name: str, form: str | None) -> str | None:
    """See that texts of a cursor sort as the times that they name: all ISO 8601, written alike; how they are written."""
    kind = column.type
    if pa.types.is_null(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_temporal(kind):
        return form
    for text in pc.unique(column).drop_null().to_pylist():
        match = _ISO.fullmatch(text) if isinstance(text, str) else None
        this = match and f"{match[1]}{len(match[2] or '')}{match[3]}"
        if match is None or (form is not None and this != form):
            raise UserError(f"{session.name}: the values of {name} {NO_ORDER}")
        form = this
    return form


def _gathered(pieces: Iterator[pa.Table | Unreadable]) -> Iterator[pa.Table | Unreadable]:
    """Pieces joined to tables of the wanted size."""
    waiting: list[pa.Table] = []
    handed_on = False
    for piece in pieces:
        if isinstance(piece, Unreadable):
            yield piece
            continue
        rows, size = sum(table.num_rows for table in waiting), sum(table.nbytes for table in waiting)
        if waiting and (rows + piece.num_rows > TABLE_ROWS or size + piece.nbytes > TABLE_BYTES):
            yield _joined(waiting)
            waiting, handed_on = [], True
        waiting.append(piece)
    if waiting and (not handed_on or any(table.num_rows for table in waiting)):
        yield _joined(waiting)


def _joined(tables: list[pa.Table]) -> pa.Table:
    schema = unify([table.schema for table in tables])
    joined = pa.concat_tables([cast(table, schema) for table in tables]).combine_chunks()
    return with_facts(joined, facts_of(tables[-1]))
