"""The tables as they stand in a database: making them, which revision they have, and bringing older ones up to date.

A journaled table never gets another column and never loses one: the journal holds digests of whole rows, so that every row
of it would read as changed. New facts get a new table that refers to the old one; its migration only creates it.
"""

from __future__ import annotations

import functools
import hashlib
import uuid
from pathlib import Path

from sqlalchemy import BigInteger, Column, Connection, Dialect, Integer, MetaData, String, Table, Text, inspect, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from stellwerk.record import tables
from stellwerk.record.journal import START

HEAD = "0004"


def revision(connection: Connection) -> str | None:
    """The revision of the tables; None where there is no record yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def create(connection: Connection, schema: str | None) -> None:
    """Make the tables of an empty record within a transaction, unless another process has just made them."""
    lock(connection, schema)
    if connection.dialect.name == "postgresql" and schema is not None:
        known = connection.execute(text("SELECT 1 FROM pg_namespace WHERE nspname = :name"), {"name": schema}).first()
        if known is None:  # to ask for IF NOT EXISTS takes the right to create, whether it exists or not
            connection.execute(text(f'CREATE SCHEMA "{schema}"'))
    if revision(connection) is not None:
        return
    for statement in _statements(connection.dialect.name):
        connection.exec_driver_sql(statement)
    connection.execute(text("INSERT INTO alembic_version (version_num) VALUES (:head)"), {"head": HEAD})
    # The chain starts from one row: who holds it, writes next. Its id tells this record from others.
    first = {"id": 1, "record": uuid.uuid4().hex, "seq": 0, "hash": START}
    connection.execute(tables.journal_head.insert(), first)


def migrate(connection: Connection) -> None:
    """Bring older tables to this version's, within the transaction at hand."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if connection.dialect.name == "postgresql":
        _widen(connection)


def lock(connection: Connection, schema: str | None) -> None:
    """Wait until nobody else makes or changes the tables; held to the end of the transaction."""
    if connection.dialect.name == "postgresql":
        key = int.from_bytes(hashlib.sha256(f"stellwerk {schema or ''}".encode()).digest()[:8], signed=True)
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def _widen(connection: Connection) -> None:
    """Give columns of PostgreSQL that a migration made the types of `for_postgresql`."""
    quoted = connection.dialect.identifier_preparer.quote
    found = inspect(connection)
    for name in found.get_table_names():
        changes = []
        for column in found.get_columns(name):
            if isinstance(column["type"], String) and (column["type"].length or column["type"].collation != "C"):
                changes.append(f'ALTER COLUMN {quoted(column["name"])} TYPE TEXT COLLATE "C"')
            elif isinstance(column["type"], Integer) and not isinstance(column["type"], BigInteger):
                changes.append(f"ALTER COLUMN {quoted(column['name'])} TYPE BIGINT")
        if changes:
            connection.execute(text(f"ALTER TABLE {quoted(name)} {', '.join(changes)}"))


@functools.cache
def _statements(dialect: str) -> list[str]:
    """What makes all tables; in one go where the database takes that, since each round trip to a server costs time."""
    kind: Dialect = postgresql.dialect() if dialect == "postgresql" else sqlite.dialect()  # type: ignore[no-untyped-call]
    metadata = for_postgresql() if dialect == "postgresql" else _copy()
    found: list[str] = []
    for table in metadata.sorted_tables:
        found.append(str(CreateTable(table).compile(dialect=kind)))
        found += [str(CreateIndex(index).compile(dialect=kind)) for index in sorted(table.indexes, key=lambda i: str(i.name))]
    return [";\n".join(found)] if dialect == "postgresql" else found


def _copy() -> MetaData:
    """The tables with the one that notes their revision."""
    metadata = MetaData(naming_convention=tables.metadata.naming_convention)
    for table in tables.metadata.sorted_tables:
        table.to_metadata(metadata)
    Table("alembic_version", metadata, Column("version_num", String(32), primary_key=True))
    return metadata


def for_postgresql() -> MetaData:
    """The same tables, able to hold and sort what SQLite does: no bound on lengths, large numbers, bytewise order."""
    metadata = _copy()
    for table in metadata.tables.values():
        for column in table.columns:
            if isinstance(column.type, String):
                column.type = Text(collation="C")
            elif isinstance(column.type, Integer):
                column.type = BigInteger()
    return metadata
