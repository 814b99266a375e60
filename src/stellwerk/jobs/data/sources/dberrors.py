"""What a database's error means, and which of it may be shown: drivers quote addresses, statements and values in theirs.

Knows the codes of PostgreSQL, MariaDB and SQLite; it does not know what was tried.
"""

from __future__ import annotations

import re
import sqlite3

from sqlalchemy.exc import DBAPIError

_MYSQL_SAID = (1054, 1146, 1142, 1143, 1052, 1060, 1109, 1305, 1370, 1792)  # they name tables and columns, never values


def connecting(error: DBAPIError) -> str:
    """Why there is no connection: away (perhaps soon there), password, database, file, or another reason's name."""
    origin = error.orig
    text, code = str(origin), _code(error)
    if isinstance(origin, sqlite3.Error):
        return "file" if not re.search("locked|busy", text) else "refused:it is locked by a writer"
    if (
        code in (1044, 1045, 1698)
        or code in ("28P01", "28000")
        or re.search("(?i)password|passwort|rol(l)?e .* (does not|exist)|authenticat|pg_hba", text)
    ):
        return "password"
    if code in (1049, "3D000") or re.search(r"(?i)(database|datenbank) .* (does not exist|existiert nicht)", text):
        return "database"
    away = isinstance(code, int) and (code in (1040, 1053, 1927) or 2000 <= code < 2100)
    if away or (isinstance(code, str) and code[:2] in ("08", "57")) or kind(error) in ("OperationalError", "ConnectionTimeout"):
        return "away"
    return f"refused:{kind(error)}"


def readable(error: DBAPIError) -> str | None:
    """What a database says of a statement, if that names tables, columns and functions only."""
    origin, code = error.orig, _code(error)
    if isinstance(origin, sqlite3.Error):
        found = re.search(
            r"no such (table|column|function): .*|ambiguous column name: .*|near \"\w*\": syntax error", str(origin)
        )
        return found.group() if found else None
    if isinstance(code, str):
        diagnosis = getattr(origin, "diag", None)
        if code == "42601":
            return "the query is no valid SQL for it"
        if code[:2] != "42" and code not in ("25006", "0A000"):  # read-only transaction, not allowed in a cursor
            return None
        return ". ".join(part for part in (diagnosis.message_primary, diagnosis.message_hint) if part) if diagnosis else None
    if code in (1064, 1149):
        return "the query is no valid SQL for it"
    return str(origin.args[1]) if code in _MYSQL_SAID and origin else None


def _code(error: DBAPIError) -> str | int | None:
    arguments = getattr(error.orig, "args", ())
    if arguments and isinstance(arguments[0], int):
        return arguments[0]
    state = getattr(error.orig, "sqlstate", None)
    return str(state) if state else None


def kind(error: DBAPIError) -> str:
    """The name of the driver's error."""
    return type(error.orig).__name__
