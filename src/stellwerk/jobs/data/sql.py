"""Asks dataset tables in SQL, through a DuckDB that can reach nothing but these tables.

Knows the sandbox: what the database may touch, how much memory and time it may take, and how its errors are told. Which
statements are let through at all stands in sql_statement.py. Does not know which tables a reader may see.

Two walls stand behind each other: only statements of a list of what is allowed pass, and the database has no file system, no
network, no extensions and a locked configuration.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import date, datetime, timedelta
from datetime import time as clock
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from stellwerk.errors import UserError
from stellwerk.jobs.data.frames import nearest
from stellwerk.jobs.data.reports import QueryResult
from stellwerk.jobs.data.sql_statement import permit

MEMORY = "1GB"
RESULT_BYTES = 32 << 20
_BATCH = 256
_AGAIN = 0.05  # seconds between two interrupts: one that falls between two queries is lost

_SETTINGS = {
    "python_enable_replacements": "false",  # a Python variable is no table
    "python_scan_all_frames": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    "enable_progress_bar": "false",
    "temp_directory": "''",  # nothing is spilled to disk: too much memory ends the query
    "disabled_filesystems": "'LocalFileSystem'",
    "enable_external_access": "false",
}
# What a failure while running is called; DuckDB's own message may quote a value of the data, and is not repeated.
_RUNTIME = {
    "ConversionException": "a value does not fit the type that it is cast to; TRY_CAST gives NULL instead",
    "OutOfRangeException": "a number is too large for its type; cast it to DOUBLE or HUGEINT",
    "InvalidInputException": "a function was given a value that it cannot take; TRY(...) gives NULL instead",
    "OutOfMemoryException": f"it needs more than {MEMORY} of memory; select fewer rows or columns, or aggregate first",
    "DivisionByZeroException": "it divides by zero",
}
_WRITTEN = ("ParserException", "SyntaxException", "BinderException", "CatalogException", "NotImplementedException")


def query(tables: Mapping[str, Any], sql: str, limit: int = 1000, timeout_seconds: float = 30) -> QueryResult:
    """Ask dataset tables in SQL; nothing can be written or reached but them.

    Args:
        tables: name in SQL -> folder of a Delta table, Arrow table or Arrow dataset. Files are streamed.
        sql: one SELECT statement (also WITH, FROM, VALUES, DESCRIBE, SUMMARIZE, SHOW TABLES) in DuckDB's dialect.
        limit: rows at most; the result says if there were more. It also ends at 32 MB of text.
        timeout_seconds: the query is interrupted after so long; it stops at the end of the batch of rows in work.

    Raises:
        UserError: the statement is not allowed, is wrong, takes too long or needs too much memory.
    """
    if limit < 1:
        raise UserError(f"limit is at least 1, not {limit}")
    start = time.monotonic()
    with _sandbox(tables) as connection, _timed(connection, timeout_seconds), _translated(tables):
        permit(connection, tables, sql)
        cursor = connection.execute(sql)
        names = _unique([str(each[0]) for each in cursor.description or ()])
        types = [str(each[1]) for each in cursor.description or ()]
        rows, truncated = _fetch(cursor, limit)
    return QueryResult(columns=names, types=types, rows=rows, truncated=truncated, seconds=time.monotonic() - start)


def to_arrow(tables: Mapping[str, Any], sql: str, timeout_seconds: float = 600) -> Batches:
    """Ask dataset tables in SQL and stream the whole result, for exports.

    Args:
        tables: as in `query`.
        sql: as in `query`.
        timeout_seconds: until the last batch is read.

    Returns:
        the batches; best in a `with` block, which ends the database also where they are not read to the end.

    Raises:
        UserError: as in `query`; also for what goes wrong while the batches are read.
    """
    with ExitStack() as stack:
        connection = stack.enter_context(_sandbox(tables))
        stack.enter_context(_timed(connection, timeout_seconds))
        stack.enter_context(_translated(tables))
        permit(connection, tables, sql)
        relation: Any = connection.sql(sql)  # execute() would work the whole result out before its first batch
        reader = stack.enter_context(relation.to_arrow_reader(_BATCH * 64))
        return Batches(reader, stack.pop_all())


class Batches:
    """A result in Arrow batches. The database behind it ends with the last batch, with `close` or with the `with` block."""

    def __init__(self, reader: Any, resources: ExitStack) -> None:
        self.schema: Any = reader.schema
        self._reader = reader
        self._resources = resources

    def __iter__(self) -> Iterator[Any]:
        with self._resources:
            yield from self._reader

    def read_all(self) -> pa.Table:
        """The whole result as one table."""
        return pa.Table.from_batches(list(self), self.schema)

    def close(self) -> None:
        """End the database; harmless if it has ended."""
        self._resources.close()

    def __enter__(self) -> Batches:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def _sandbox(tables: Mapping[str, Any]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory that holds views of the tables and can reach nothing else."""
    connection = duckdb.connect(":memory:")
    try:
        for name, setting in _SETTINGS.items():
            connection.execute(f"SET {name} = {setting}")
        connection.execute(f"SET memory_limit = '{MEMORY}'")
        for name, table in tables.items():
            connection.register(name, opened(table))
        connection.execute("SET lock_configuration = true")
        yield connection
    finally:
        connection.close()


def opened(table: Any) -> Any:
    """A folder as an Arrow dataset, which DuckDB streams with its columns and filters pushed down."""
    if not isinstance(table, str | Path):
        return table
    if not (Path(table) / "_delta_log").is_dir():
        raise UserError(f"{table} holds no dataset table (no _delta_log in it); build the dataset first")
    return DeltaTable(str(table)).to_pyarrow_dataset()


@contextmanager
def _timed(connection: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    """Interrupt the connection's query when the time is over."""
    done, over = threading.Event(), threading.Event()

    def watch() -> None:
        if done.wait(seconds):
            return
        over.set()
        while not done.wait(_AGAIN):
            connection.interrupt()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
        if over.is_set():
            raise duckdb.InterruptException
    except duckdb.InterruptException as error:
        if over.is_set():
            message = f"the query was stopped after {seconds:g} seconds; select fewer rows, or allow it more time"
            raise UserError(message) from error
        raise KeyboardInterrupt from error
    finally:
        done.set()
        watcher.join()


@contextmanager
def _translated(tables: Mapping[str, Any]) -> Iterator[None]:
    """DuckDB's errors as one sentence that quotes the statement at most, never a value of the data."""
    try:
        yield
    except duckdb.InterruptException:
        raise
    except (pa.ArrowException, OSError) as error:  # raised while batches are read: the kind is the message's beginning
        kind = str(error).split(" Error:")[0]
        if kind == "INTERRUPT":
            raise duckdb.InterruptException from error
        reason = _RUNTIME.get(kind.replace(" ", "") + "Exception", "its batches cannot be read")
        raise UserError(f"the query failed: {reason}") from error
    except duckdb.PermissionException as error:
        raise UserError("the query reaches for something outside the tables, which is not allowed here") from error
    except duckdb.Error as error:
        raise UserError(_sentence(error, tables)) from error


def _sentence(error: duckdb.Error, tables: Mapping[str, Any]) -> str:
    name = type(error).__name__
    if name in _WRITTEN:
        first = str(error).split("\n\nLINE ")[0].split("\n")[0].strip()
        column = re.search(r'(?:Referenced column "([^"]+)" not found|does not have a column named "([^"]+)")', first)
        if column is None:
            return f"SQL: {first}"
        columns = {field for table in tables.values() for field in _columns(table)}
        missing = column[1] or column[2]
        return f"SQL: there is no column {missing} here{nearest(missing, sorted(columns))}"
    return f"the query failed: {_RUNTIME.get(name, f'DuckDB reports {name}')}"


def _columns(table: Any) -> list[str]:
    with suppress(Exception):
        return [str(each) for each in opened(table).schema.names]
    return []


def _unique(names: list[str]) -> list[str]:
    """`count` and `count` become `count` and `count_2`."""
    taken: set[str] = set()
    result = []
    for name in names:
        chosen, number = name, 1
        while chosen in taken:
            number += 1
            chosen = f"{name}_{number}"
        taken.add(chosen)
        result.append(chosen)
    return result


def _fetch(cursor: duckdb.DuckDBPyConnection, limit: int) -> tuple[list[list[Any]], bool]:
    """Rows up to the limit or 32 MB, and whether there were more."""
    rows: list[list[Any]] = []
    size = 0
    while batch := cursor.fetchmany(min(_BATCH, limit + 1 - len(rows))):
        for row in batch:
            cells = [plain(cell) for cell in row]
            size += sum(len(cell) if isinstance(cell, str) else 8 for cell in cells)
            if len(rows) == limit or (rows and size > RESULT_BYTES):
                return rows, True
            rows.append(cells)
    return rows, False


def plain(cell: Any) -> Any:
    """A value as JSON can hold it."""
    if cell is None or isinstance(cell, bool | int | str):
        return cell
    if isinstance(cell, float):
        return cell if cell - cell == 0 else str(cell)
    if isinstance(cell, Decimal):
        return float(cell) if len(cell.as_tuple().digits) <= 15 else str(cell)
    if isinstance(cell, datetime | date | clock):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    if isinstance(cell, bytes | bytearray | memoryview):
        return bytes(cell).hex()
    if isinstance(cell, list | tuple):
        return [plain(each) for each in cell]
    if isinstance(cell, dict):
        return {str(plain(key)): plain(each) for key, each in cell.items()}
    return str(cell)
