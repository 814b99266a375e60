"""Asks dataset tables in SQL, through a DuckDB that can reach nothing but these tables.

Knows the sandbox: what a statement may contain (read from its syntax tree before it runs), what the database may touch, and
how long it may take. Does not know which tables a reader may see.

Two walls stand behind each other: statements are let through by a list of what is allowed (one SELECT, named tables, table
functions that make numbers), and the database has no file system, no network, no extensions and a locked configuration.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
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
_TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree"})
_FORBIDDEN_FUNCTIONS = frozenset(
    {"current_setting", "getenv", "sleep_ms", "pg_sleep", "write_log", "nextval", "currval", "json_serialize_sql", "error"}
)
# One call of these makes a value of any size, inside which no interrupt is heard and no memory limit is kept.
_FORBIDDEN_FUNCTIONS |= {"range", "generate_series", "list_resize", "array_resize"}
_GROWING = frozenset({"repeat", "lpad", "rpad"})
_MOST_CHARACTERS = 10_000
_CATALOGUE = ("duckdb_", "pg_", "sqlite_", "pragma_")
_ALLOWED = "only one SELECT statement is allowed here (also WITH, FROM, VALUES, DESCRIBE, SUMMARIZE, SHOW TABLES)"

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
    with _sandbox(tables) as connection, _translated(tables), _timed(connection, timeout_seconds):
        _permit(connection, tables, sql)
        cursor = connection.execute(sql)
        names = _unique([str(each[0]) for each in cursor.description or ()])
        types = [str(each[1]) for each in cursor.description or ()]
        rows, truncated = _fetch(cursor, limit)
    return QueryResult(columns=names, types=types, rows=rows, truncated=truncated, seconds=time.monotonic() - start)


def to_arrow(tables: Mapping[str, Any], sql: str, timeout_seconds: float = 600) -> pa.RecordBatchReader:
    """Ask dataset tables in SQL and stream the whole result, for exports.

    Args:
        tables: as in `query`.
        sql: as in `query`.
        timeout_seconds: from the start to the last batch that is read.

    Returns:
        a reader of Arrow batches; the database lives until it is read to its end or closed.

    Raises:
        UserError: as in `query`; also while the reader is read.
    """
    batches = _batches(tables, sql, timeout_seconds)
    return pa.RecordBatchReader.from_batches(next(batches), batches)


def _batches(tables: Mapping[str, Any], sql: str, timeout_seconds: float) -> Iterator[Any]:
    """The schema, then the batches."""
    with _sandbox(tables) as connection, _translated(tables), _timed(connection, timeout_seconds):
        _permit(connection, tables, sql)
        reader = connection.execute(sql).to_arrow_reader(_BATCH * 64)
        yield reader.schema
        yield from reader


@contextmanager
def _sandbox(tables: Mapping[str, Any]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory that holds views of the tables and can reach nothing else."""
    connection = duckdb.connect(":memory:")
    try:
        for name, setting in _SETTINGS.items():
            connection.execute(f"SET {name} = {setting}")
        connection.execute(f"SET memory_limit = '{MEMORY}'")
        for name, table in tables.items():
            connection.register(name, _arrow(table))
        connection.execute("SET lock_configuration = true")
        yield connection
    finally:
        connection.close()


def _arrow(table: Any) -> Any:
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


def _permit(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, Any], sql: str) -> None:
    """Let a statement through only if its syntax tree holds nothing but what is allowed.

    Raises:
        UserError: it holds something else.
    """
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise UserError(f"{_ALLOWED}, there are {len(statements)}")
    if statements[0].type != duckdb.StatementType.SELECT:
        hint = "; write PIVOT with its values: PIVOT t ON c IN ('a', 'b')" if _is_pivot(sql) else ""
        raise UserError(f"{_ALLOWED}, this is {str(statements[0].type).rsplit('.', 1)[-1]}{hint}")
    row = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    tree = json.loads(row[0]) if row else {"error": True}
    if tree.get("error"):
        raise UserError(f"{_ALLOWED}; this one was not understood: {tree.get('error_message', 'no reason given')}")
    nodes = list(_nodes(tree))
    own = {str(each["key"]).casefold() for node in nodes for each in _entries(node)}
    for node in nodes:
        _permit_node(node, tables, own)


def _is_pivot(sql: str) -> bool:
    return re.search(r"\bpivot\b", sql, re.IGNORECASE) is not None


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """All objects of a JSON tree; without recursion, a query may be deep."""
    waiting = [tree]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield each
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)


def _entries(node: dict[str, Any]) -> list[dict[str, Any]]:
    """The WITH tables that a node of the tree declares."""
    declared = node.get("cte_map")
    return list(declared.get("map", [])) if isinstance(declared, dict) else []


def _permit_node(node: dict[str, Any], tables: Mapping[str, Any], own: set[str]) -> None:
    """Let one node of the syntax tree through, or name what is not allowed."""
    kind = node.get("type")
    if kind == "TABLE_FUNCTION":
        function = node.get("function") or {}
        name = str(function.get("function_name", "?")).casefold()
        function["class"] = "TABLE_FUNCTION"  # so that it is not taken for a function of the same name on values
        if name not in _TABLE_FUNCTIONS:
            raise UserError(f"the table function {name} is not allowed here; ask one of the tables: {', '.join(tables)}")
    elif kind == "BASE_TABLE":
        _permit_table(node, tables, own)
    elif kind == "SHOW_REF" and node.get("query") is None and str(node.get("table_name")).strip('"') != "tables":
        raise UserError("of the SHOW statements only SHOW TABLES is allowed here; DESCRIBE t names the columns of table t")
    if node.get("class") == "FUNCTION":
        _permit_function(node)


def _permit_function(node: dict[str, Any]) -> None:
    name = str(node.get("function_name")).casefold()
    if name in _FORBIDDEN_FUNCTIONS:
        raise UserError(f"the function {name} is not allowed here")
    if name in _GROWING:
        arguments = [each for each in node.get("arguments") or [] if not each.get("name")]
        literal = (arguments[1].get("expression") or {}).get("literal") or {} if len(arguments) > 1 else {}
        if literal.get("kind") != "INTEGER" or int(literal["text"]) > _MOST_CHARACTERS:
            raise UserError(f"the second argument of {name} is a whole number of at most {_MOST_CHARACTERS} here")


def _permit_table(node: dict[str, Any], tables: Mapping[str, Any], own: set[str]) -> None:
    name = str(node.get("table_name"))
    full = ".".join(part for part in (node.get("catalog_name"), node.get("schema_name"), name) if part)
    known = {each.casefold() for each in tables} | own
    if full != name or name.casefold() not in known or name.casefold().startswith(_CATALOGUE):
        raise UserError(f"there is no table {full}{nearest(name, tables)}")


@contextmanager
def _translated(tables: Mapping[str, Any]) -> Iterator[None]:
    """DuckDB's errors as one sentence that quotes the statement at most, never a value of the data."""
    try:
        yield
    except duckdb.InterruptException:
        raise
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
        return [str(each) for each in _arrow(table).schema.names]
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
            cells = [_plain(cell) for cell in row]
            size += sum(len(cell) if isinstance(cell, str) else 8 for cell in cells)
            if len(rows) == limit or (rows and size > RESULT_BYTES):
                return rows, True
            rows.append(cells)
    return rows, False


def _plain(cell: Any) -> Any:
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
        return [_plain(each) for each in cell]
    if isinstance(cell, dict):
        return {str(_plain(key)): _plain(each) for key, each in cell.items()}
    return str(cell)
