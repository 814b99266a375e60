"""The record's database: opening it, bringing its tables up to date, and transactions.

Knows SQLite and PostgreSQL through SQLAlchemy; every write is serialised by the head of the journal, so that versions are
numbered without gaps and the chain has one order on both databases.
"""

from __future__ import annotations

import functools
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, select, text
from sqlalchemy.exc import DBAPIError

from stellwerk.errors import StellwerkError, UserError
from stellwerk.record import tables

HEAD = "0002"


class Database:
    """A connection to the record, up to date with this version's tables."""

    def __init__(self, url: str | URL, schema: str | None = None) -> None:
        self.engine = _engine(make_url(url), schema)
        self._upgrade()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A consistent view for reading."""
        with self.engine.connect() as connection:
            # SQLite gives each transaction one view of its own accord.
            if self.engine.dialect.name == "postgresql":
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that holds the head of the journal: committed whole, or not at all."""
        with self.engine.connect().execution_options(writes=True) as connection, connection.begin():
            connection.execute(select(tables.journal_head).with_for_update()).one()
            yield connection

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    def _upgrade(self) -> None:
        try:
            current = self._revision()
        except DBAPIError as error:
            raise StellwerkError(f"the record at {self.engine.url!r} cannot be opened: {error.orig}") from None
        if current == HEAD:
            return
        if current is not None and current > HEAD:
            raise UserError(f"the record at {self.engine.url!r} was made by a newer Stellwerk; update this one")
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["engine"] = self.engine
        command.upgrade(config, "head")

    def _revision(self) -> str | None:
        with self.engine.connect() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _engine(url: URL, schema: str | None) -> Engine:
    engine = create_engine(url)
    if schema and engine.dialect.name == "postgresql":
        event.listen(engine, "connect", functools.partial(_use_schema, schema))
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _use_schema(schema: str, connection: Any, _: Any) -> None:
    """Have a schema of one's own, so that several workspaces share a database; its name is checked by the settings."""
    with connection.cursor() as cursor:
        cursor.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        cursor.execute(f'SET search_path TO "{schema}"')
    connection.commit()


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None
    # Bytes that are no UTF-8 were not written here; they are read all the same, so that verify can name their row.
    connection.text_factory = lambda content: content.decode(errors="surrogateescape")
    for pragma in ("busy_timeout=60000", "foreign_keys=ON", "synchronous=FULL", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")
    _use_wal(connection)


def _use_wal(connection: Any) -> None:
    """Switch to the write-ahead log; SQLite does not wait for others here, whatever its timeout says."""
    for _ in range(200):
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode=WAL")
            return
        time.sleep(0.05)
    connection.execute("PRAGMA journal_mode=WAL")


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that turns into a writer fails with "database is locked" instead of waiting its turn.
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
