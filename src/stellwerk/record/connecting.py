"""How the record's database is reached, and what to say when it cannot be.

Knows the two databases, their drivers and settings, and the sentence for each way in which a connection fails. What a
driver says may quote addresses and values, so none of it is passed on, but for SQLite's few fixed words.
"""

from __future__ import annotations

import functools
import sqlite3
import time
from contextlib import suppress
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError

from stellwerk.credentials import without_password
from stellwerk.errors import StellwerkError, UserError

OLDEST = (12,)  # version of PostgreSQL
SECONDS = 10  # to wait for a server's answer


class RecordUnreachable(StellwerkError, SQLAlchemyError):
    """The database does not answer, or not any more; who waits for it may try again."""


def engine_of(address: str | URL, schema: str | None) -> Engine:
    """An engine for a database; nothing is opened yet.

    Raises:
        UserError: it is neither PostgreSQL nor SQLite.
    """
    url = make_url(address)
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "postgresql":
        return _postgresql(url, schema)
    if url.get_backend_name() == "sqlite":
        return _sqlite(url)
    raise UserError(
        f"stellwerk.yaml: record is kept by PostgreSQL or SQLite, not by {url.get_backend_name()}; give one of these"
    )


def shown(engine: Engine, schema: str | None) -> str:
    """Where the record is, as it may be told: without password and options."""
    if engine.dialect.name == "sqlite":
        return str(engine.url.database)
    place = without_password(engine.url.render_as_string())
    return f"{place} (schema {schema})" if schema else place


def sentence(error: DBAPIError, place: str) -> StellwerkError:
    """What a person should read about an error of the database."""
    if isinstance(error.orig, sqlite3.Error):
        return RecordUnreachable(f"the record at {place} cannot be opened or written: {error.orig}")
    said = str(error.orig)
    state = getattr(error.orig, "sqlstate", None) or ""
    for mark, why in _REASONS.items():
        if mark == state or (not state and mark in said):
            return RecordUnreachable(f"the record at {place} {why}")
    if state == "42501":
        return UserError(
            f"the record at {place} cannot be made, for the user may not create it; have the database's owner grant CREATE on "
            "the database (for a schema of one's own) or on the schema (for tables)"
        )
    return RecordUnreachable(
        f"the record at {place} cannot be reached or used ({type(error.orig).__name__} {state}".rstrip() + ")"
    )


# The state that a server gave, or what the driver says where none was reached; servers may speak other languages.
_REASONS = {
    "28P01": "refuses the password; see what password: in stellwerk.yaml refers to",
    "password authentication failed": "refuses the password; see what password: in stellwerk.yaml refers to",
    "no password supplied": "wants a password; give it in stellwerk.yaml as password: env:NAME",
    "does not exist": "does not exist, or its user does not; create both there, or change the address in stellwerk.yaml",
    "no pg_hba.conf entry": "does not let this machine in; have it added to the server's pg_hba.conf",
    "too many clients": "has no connection left; stop some workers, or raise the server's max_connections",
    "53300": "has no connection left; stop some workers, or raise the server's max_connections",
    "FATAL": "lets nobody in under this name; see that user, password and database are right",
    "resolve": "is on a server whose name is not known; see the address in stellwerk.yaml",
    "refused": "does not answer, for nothing listens there; start the server, or see the address in stellwerk.yaml",
    "timeout": f"did not answer within {SECONDS} s; see the address, the server and the network between",
    "53100": "has no space left on its disk",
    "25006": "can only be read; give the address of the server that is written to",
    "connection failed": "does not answer; see the server, and the address in stellwerk.yaml",
    "closed": "does not answer any more; see that its server runs, then give the command again",
}


def _postgresql(url: URL, schema: str | None) -> Engine:
    arguments = {} if "connect_timeout" in url.query else {"connect_timeout": SECONDS}
    engine = create_engine(url, connect_args=arguments)
    event.listen(engine, "checkout", _see_that_it_is_whole)
    if schema:
        event.listen(engine, "connect", functools.partial(_use_schema, schema), insert=True)
    return engine


def _use_schema(schema: str, connection: Any, _: Any) -> None:
    """Several workspaces share a database by a schema each; its name is checked by the settings."""
    with connection.cursor() as cursor:
        cursor.execute(f'SET search_path TO "{schema}"')
    connection.commit()


def _see_that_it_is_whole(connection: Any, *_: Any) -> None:
    """Have a pooled connection replaced if it was lost, or left in a transaction by an interrupt in the wrong moment."""
    import psycopg

    if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        raise DisconnectionError
    try:
        connection.isolation_level = connection.read_only = None
        connection.autocommit = True
        connection.execute("")
        connection.autocommit = False
    except psycopg.Error:
        raise DisconnectionError from None


def check_version(engine: Engine, place: str) -> None:
    """Refuse a server that is too old, once its version is known.

    Raises:
        UserError: it is older than what this is tested with.
    """
    found: tuple[int, ...] = getattr(engine.dialect, "server_version_info", None) or OLDEST
    if engine.dialect.name == "postgresql" and found < OLDEST:
        raise UserError(f"the record at {place} is on PostgreSQL {found[0]}; {OLDEST[0]} or newer is needed")


def _sqlite(url: URL) -> Engine:
    # Connections are cheap here; a server's threads must not wait for each other's.
    engine = create_engine(url, max_overflow=-1)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


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
