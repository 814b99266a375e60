"""What is asked of a database: one SELECT over a table or around a query, in which order, and from which cursor value on.

Values are bound, names are quoted by the dialect. A query is looked at before it is sent, though what really keeps it
from writing is the transaction. It fetches no rows.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from stellwerk.errors import UserError
from stellwerk.jobs.data.frames import nearest
from stellwerk.jobs.data.sources import cursor as cursors
from stellwerk.jobs.data.sources.dbsession import Session
from stellwerk.jobs.data.sources.sqltypes import NUMBERS, TIMES, Column, columns_of

if TYPE_CHECKING:
    from stellwerk.jobs.data.source_spec import Source

NO_ORDER = "are neither numbers nor times, nor ISO 8601 texts in UTC that are all written alike; choose another cursor"
_QUOTED = ("STRING", "IDENTIFIER", "HEREDOC_STRING", "BYTE_STRING", "RAW_STRING", "NATIONAL_STRING", "HEX_STRING", "BIT_STRING")
_WRITES = {("DELETE", "FROM"), ("FOR", "UPDATE"), ("FOR", "SHARE"), ("LOCK", "IN")}


class Statement:
    """What is asked of a table or a query; it looks at the columns first."""

    def __init__(self, session: Session, source: Source) -> None:
        self.source, self.session = source, session
        assert source.database is not None
        self.query = source.database.query
        self.table = None if self.query is not None else self._table(str(source.database.table))
        self.columns = self._described(self._plain())
        self._see_columns()

    def rows(self, since: str | None) -> tuple[Any, list[str]]:
        """The statement for the rows, and the names of its columns."""
        names = list(self.columns)
        wanted = self.source.database.columns if self.source.database else []
        if wanted:
            named = [*wanted, *self.source.key, *([self.source.cursor.column] if self.source.cursor else [])]
            names = list(dict.fromkeys(named))
        order = [*([self.source.cursor.column] if self.source.cursor else []), *self.source.key]
        if self.table is not None and not self.source.key:
            order += [name for name in self._primary_key() if name not in order]
        if self.query is not None and not order:
            return self._plain(), names
        statement = self._select(names).order_by(*(sa.column(name) for name in order))
        bound = self._bound(since)
        if bound is not None and self.source.cursor is not None:
            column: sa.ColumnClause[Any] = sa.column(self.source.cursor.column)
            statement = statement.where(sa.or_(column >= bound, column.is_(None)))
        return statement, names

    def keys(self) -> tuple[Any, list[str]]:
        """The statement for the keys."""
        return self._select(self.source.key), list(self.source.key)

    def _table(self, given: str) -> sa.TableClause:
        """The table by its name, which may hold a point, else by schema and name."""
        look = sa.inspect(self.session.connection)
        schema, _, name = given.rpartition(".")
        if self.session.attempt(lambda: look.has_table(given)):
            return sa.table(given)
        if schema and self.session.attempt(lambda: schema in look.get_schema_names() and look.has_table(name, schema)):
            return sa.table(name, schema=schema)
        where = schema or None
        known = self.session.attempt(
            lambda: (
                [*look.get_table_names(where), *look.get_view_names(where)]
                if where is None or where in look.get_schema_names()
                else [f"{each}." for each in look.get_schema_names()]
            )
        )
        raise UserError(f"{self.session.name}: {self.session.place} has no table {given}{nearest(name, known)}")

    def _primary_key(self) -> list[str]:
        assert self.table is not None
        table = self.table
        found = self.session.attempt(
            lambda: sa.inspect(self.session.connection).get_pk_constraint(table.name, schema=table.schema)
        )
        return [name for name in found["constrained_columns"] if name in self.columns]

    def _plain(self) -> Any:
        if self.table is not None:
            return sa.select(sa.literal_column("*")).select_from(self.table)
        return _text(str(self.query), self.session)

    def _select(self, names: Sequence[str]) -> Any:
        columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in names]
        if self.table is not None:
            return sa.select(*columns).select_from(self.table)
        query = _text(str(self.query), self.session).columns(*(sa.column(name) for name in self.columns))
        return sa.select(*columns).select_from(query.subquery("rows_of_the_query"))

    def _described(self, statement: Any) -> dict[str, Column]:
        """The columns, without reading a row."""
        if self.query is not None:
            if not (self.source.key or self.source.cursor):
                return {}  # such a query runs as it is, and may have two columns of one name
            statement = sa.select(sa.literal_column("*")).select_from(
                sa.text(f"(\n{_text(self.query, self.session).text}\n) AS rows_of_the_query")
            )
        none = statement.where(sa.literal_column("1") == sa.literal_column("0"))
        result = self.session.attempt(lambda: self.session.connection.execute(none))
        description = list(result.cursor.description)
        result.close()
        names = [entry[0] for entry in description]
        return {column.name: column for column in columns_of(self.session.driver, names, description)}

    def _see_columns(self) -> None:
        source, missing = self.source, []
        if not self.columns:
            return
        wanted = [*(source.database.columns if source.database else []), *source.key]
        for name in [*wanted, *([source.cursor.column] if source.cursor else [])]:
            if name not in self.columns:
                missing.append(f"{name}{nearest(name, self.columns)}")
        if missing:
            what = "its query" if self.query is not None else f"table {source.database.table if source.database else ''}"
            raise UserError(f"{self.session.name}: {what} has no column {missing[0]}")
        if source.cursor is None:
            return
        kind = self.columns[source.cursor.column].kind
        if kind not in (*NUMBERS, *TIMES, "text", "padded", "met"):
            raise UserError(f"{self.session.name}: the values of {source.cursor.column} {NO_ORDER}")

    def _bound(self, since: str | None) -> Any:
        """From which value of the cursor on rows are asked for, as the column's type wants it."""
        cursor = self.source.cursor
        if cursor is None:
            return None
        start = None if cursor.start is None else str(cursor.start)
        bounds = [each for each in (start, cursors.lower(since, cursor.overlap) if since else None) if each is not None]
        points = [cursors.place(each) for each in bounds]
        if not bounds:
            return None
        if None in points or len({type(point) for point in points}) > 1:
            raise UserError(
                f"{self.session.name}: the cursor's start is {start!r}, expected a number or an ISO time as in {cursor.column}"
            )
        bound = bounds[points.index(max(points))]  # type: ignore[type-var]
        if bound == start and isinstance(point := max(points), dt.datetime):  # type: ignore[type-var]
            bound = point.replace(tzinfo=None).isoformat(" ")  # a blank sorts before the T that texts may have there
        return self._typed(bound, self.columns[cursor.column].kind)

    def _typed(self, bound: str, kind: str) -> Any:
        point = cursors.place(bound)
        if (isinstance(point, Decimal) != (kind in NUMBERS) and kind != "met") or point is None:
            wanted = "a number" if kind in NUMBERS else "a date or time such as 2026-01-31"
            raise UserError(f"{self.session.name}: its cursor begins at {bound}, expected {wanted}")
        if isinstance(point, Decimal):
            if kind == "decimal":
                return point
            if kind == "float":  # a column of less precision holds a value a little below the one that was read
                return float(point) - abs(float(point)) * 1e-6
            return int(point) if point == int(point) else float(point)
        if kind == "date":
            return point.date()
        if kind == "moment":
            return point.replace(tzinfo=None)
        # Of texts the part up to the seconds: it stands before all texts that begin so, whatever their fractions look like.
        return point if kind == "utc" else bound[:19]


def _text(query: str, session: Session) -> sa.TextClause:
    """A query as it may be sent: one SELECT, in which a colon is a colon."""
    from sqlglot.dialects.dialect import Dialect
    from sqlglot.errors import TokenError

    query = query.strip()
    backend = session.connection.dialect.name
    dialect = {"postgresql": "postgres", "mariadb": "mysql", "mssql": "tsql"}.get(backend, backend)
    try:
        tokens = list(Dialect.get_or_raise(dialect if dialect in Dialect.classes else None).tokenize(query))
    except TokenError:
        raise UserError(f"{session.name}: its query is no valid SQL: a quote or comment does not end") from None
    while tokens and tokens[-1].text == ";":
        query = query[: tokens.pop().start].rstrip()
    words = [token.text.upper() for token in tokens if token.token_type.name not in _QUOTED]
    hidden = any(comment.startswith(("!", "M!")) for token in tokens for comment in token.comments)
    writes = "INTO" in words or any(pair in _WRITES for pair in itertools.pairwise(words))
    if not words or words[0] not in ("SELECT", "WITH", "(", "VALUES", "TABLE") or ";" in words or hidden or writes:
        raise UserError(f"{session.name}: its query is not one SELECT (or WITH … SELECT) that only reads")
    return sa.text(query.replace(":", "\\:") + "\n")  # else SQLAlchemy takes :name for a parameter
