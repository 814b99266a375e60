"""Which SQL statements are let through: one SELECT over the given tables, read from its syntax tree before it runs.

Knows what a syntax tree may hold (a list of what is allowed, not of what is forbidden, wherever that is possible). Does not run
the statement; the database that does so is closed to the outside in any case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import duckdb

from stellwerk.errors import UserError
from stellwerk.jobs.data.frames import nearest

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


def permit(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, Any], sql: str) -> None:
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
    ((text,),) = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()
    tree = json.loads(text)
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
