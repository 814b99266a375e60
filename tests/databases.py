"""Which database the tests keep records in, and how they change one behind its back.

SQLite unless `STELLWERK_TEST_RECORD=postgresql`: then each new record, also of a child process, is a schema of one server.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, inspect

from stellwerk.record.database import Database
from stellwerk.workspace import Workspace

ON_POSTGRESQL = os.environ.get("STELLWERK_TEST_RECORD") == "postgresql"
sqlite_only = pytest.mark.skipif(ON_POSTGRESQL, reason="it is about the file in which SQLite keeps the record")

Statement = tuple[str, tuple[Any, ...]] | str


@contextmanager
def behind_its_back(database: Database, statements: Iterable[Statement], *, keep: bool) -> Iterator[Connection]:
    """Run SQL on a record without the journal and without its constraints; taken back at the end unless it is to be kept."""
    sqlite = database.engine.dialect.name == "sqlite"
    with database.engine.connect() as connection:
        if sqlite:
            assert connection.connection.dbapi_connection
            connection.connection.dbapi_connection.cursor().execute("PRAGMA foreign_keys=OFF")
        with connection.begin() as transaction:
            if not sqlite:
                connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            for statement in statements:
                sql, given = (statement, ()) if isinstance(statement, str) else statement
                connection.exec_driver_sql(sql if sqlite else _for_psycopg(sql), given)
            yield connection
            if not keep:
                transaction.rollback()
        connection.invalidate()


def record_bytes(workspace: Workspace) -> dict[str, bytes]:
    """All that a record keeps, to be searched: the bytes of SQLite's files, or each table's rows as text."""
    database = workspace.record.database
    if database.engine.dialect.name == "sqlite":
        database.close()
        return {file.name: file.read_bytes() for file in workspace.state.glob("record.db*") if file.exists()}
    with database.reading() as connection:
        names = inspect(connection).get_table_names()
        rows = {name: connection.exec_driver_sql(f'SELECT "{name}"::text FROM "{name}"').scalars().all() for name in names}
    return {name: "\n".join(found).encode() for name, found in rows.items()}


def set_settings(root: Path, text: str) -> None:
    """Write `stellwerk.yaml` anew; where the record is stays as it is."""
    file = root / "stellwerk.yaml"
    record = re.search(r"(?m)^record:.*\n(?:[ \t]+\S.*\n)*", file.read_text())
    file.write_text(text + (record[0] if record else ""))


def _for_psycopg(sql: str) -> str:
    return re.sub(r"\?", "%s", sql.replace("%", "%%"))
