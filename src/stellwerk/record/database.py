"""The record's database: opening it, and transactions.

Works on SQLite and PostgreSQL through SQLAlchemy; every write is serialised by the head of the journal, so that versions are
numbered without gaps and the chain has one order on both databases. A record is made by `init` and brought up to date by
`upgrade`; whoever else opens one finds it as this version needs it, or is told what to do.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from sqlalchemy import URL, Connection, Engine, select
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from stellwerk.errors import UserError
from stellwerk.record import connecting, schema, tables

Purpose = Literal["use", "create", "restore", "upgrade"]


class Database:
    """A connection to the record, whose tables are those of this version."""

    def __init__(self, address: str | URL, schema_name: str | None = None, purpose: Purpose = "use") -> None:
        """Open a record.

        Args:
            address: of SQLite or PostgreSQL.
            schema_name: of PostgreSQL.
            purpose: `use` wants this version's tables, `create` makes them where there are none, `restore` wants that
                there is nothing yet, `upgrade` takes older ones.

        Raises:
            UserError: there is no record, or one of another version, or the user may not make it.
            RecordUnreachable: the database does not answer.
        """
        self.engine = connecting.engine_of(address, schema_name)
        self.schema = schema_name
        self.place = connecting.shown(self.engine, schema_name)
        weakref.finalize(self, _give_back, self.engine, os.getpid())
        try:
            self.revision = self._open(purpose)
        except DBAPIError as error:
            self.close()
            raise connecting.sentence(error, self.place) from None
        except UserError:
            self.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A consistent view for reading."""
        with self._told(), self.engine.connect() as connection:
            # SQLite gives each transaction one view of its own accord.
            if self.engine.dialect.name == "postgresql":
                connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that holds the head of the journal: committed whole, or not at all."""
        with self._told(), self.engine.connect().execution_options(writes=True) as connection, connection.begin():
            connection.execute(select(tables.journal_head).with_for_update()).one()
            yield connection

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say in a sentence that the database went away; other errors are faults, and stay as they are."""
        try:
            yield
        except (OperationalError, InterfaceError) as error:
            raise connecting.sentence(error, self.place) from None

    def _open(self, purpose: Purpose) -> str:
        with self.engine.connect() as connection:
            connecting.check_version(self.engine, self.place)
            found = schema.revision(connection)
        if found is None and purpose == "create":
            with self.engine.connect().execution_options(writes=True) as connection, connection.begin():
                schema.create(connection, self.schema)
                found = schema.revision(connection)
        if purpose == "restore":
            if found is not None:
                raise UserError(f"there is a record at {self.place} already; give an empty database, or a schema of its own")
            return schema.HEAD
        if found is None:
            raise UserError(f"there is no record at {self.place} yet; make it with: stellwerk init")
        if found > schema.HEAD:
            raise UserError(f"the record at {self.place} was made by a newer Stellwerk; update this one")
        if found < schema.HEAD and purpose != "upgrade":
            raise UserError(
                f"the record at {self.place} was made by an older Stellwerk; bring it up to date with: stellwerk upgrade"
            )
        return found


def _give_back(engine: Engine, process: int) -> None:
    # A child process that was forked must not say goodbye on its parent's connections.
    if os.getpid() == process:
        engine.dispose()
