"""A database as a source: its address, one read-only transaction in it, and what went wrong there in one sentence.

Knows what each database needs so that a transaction writes nothing and sees one state, and which of the errors may be shown.
No message of a driver is passed on that could quote a password or a value; it does not know what is read.
"""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from stellwerk.errors import MissingExtra, StellwerkError, UserError
from stellwerk.jobs.data.files.encoding import decode_odd
from stellwerk.jobs.data.frames import nearest
from stellwerk.jobs.data.sources.dberrors import connecting, kind, readable
from stellwerk.jobs.data.sources.sqltypes import NATIVE

if TYPE_CHECKING:
    from stellwerk.jobs.data.source_spec import Source
    from stellwerk.workspace import Workspace

    Result = TypeVar("Result")

PATIENCE = 10.0  # seconds in all that a server which does not answer is tried again
ANSWER = 5  # seconds that one attempt to connect may take
DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
EXTRAS = {"postgresql": ("postgres", "psycopg"), "mysql": ("mysql", "pymysql"), "mariadb": ("mysql", "pymysql")}
_POSTGRESQL_WRITES = ("timezone = 'UTC'", "datestyle = 'ISO, YMD'", "intervalstyle = 'iso_8601'", "extra_float_digits = 1")
_HOST = re.compile(r"[\w.:%-]*")


def address(source: Source, workspace: Workspace) -> sa.URL:
    """The address of a source's database, with its password and with the driver that is meant.

    Raises:
        UserError: it is no address; the sentence does not show it, for it may hold a password.
    """
    database = source.database
    assert database is not None
    try:
        url = sa.make_url(workspace.credential(database.url).strip())
    except (ArgumentError, ValueError):
        url = None
    if url is None or not _HOST.fullmatch(url.host or "") or (url.host is not None and "@" in (url.database or "")):
        raise UserError(
            f"source {source.name}: its url is no address such as postgresql://reader@host/crm; in user and password "
            "write signs such as @ : / ? # as %40 and so on"
        )
    if database.password:
        url = url.set(password=workspace.credential(database.password))
    return url.set(drivername=DRIVERS.get(url.drivername, url.drivername))


def shown(url: sa.URL) -> str:
    """An address as it may be shown: without driver, password and query."""
    bare = sa.URL.create(url.get_backend_name(), url.username, None, url.host, url.port, url.database)
    return bare.render_as_string()


class Session:
    """One read-only transaction that sees one state of a database."""

    def __init__(self, source: Source, workspace: Workspace, check: Callable[[], None]) -> None:
        self.name = f"source {source.name}"
        self.url = address(source, workspace)
        self.place = shown(self.url)
        self._workspace = workspace
        self._check = check
        self._result: sa.CursorResult[Any] | None = None
        self.connection: sa.Connection

    @contextmanager
    def opened(self) -> Iterator[Session]:
        """Connect; what is left of a result and the connection go at the end, however that comes.

        Raises:
            UserError: the address, the user or the database is not right, or a driver is missing.
            StellwerkError: the server does not answer.
        """
        engine = self._engine()
        try:
            self.connection = self._connect(engine)
            try:
                self.attempt(self._begin)
                yield self
            finally:
                self._end()
        finally:
            engine.dispose()

    @property
    def driver(self) -> str:
        """The name of the driver, such as psycopg."""
        return self.connection.dialect.driver

    def attempt(self, act: Callable[[], Result]) -> Result:
        """Do something with the database; what goes wrong is one sentence, behind which no message of the driver stands."""
        try:
            return act()
        except DBAPIError as error:
            problem = self._problem(error)
        except (SQLAlchemyError, sqlite3.Error, UnicodeError, ValueError, OverflowError, OSError) as error:
            problem = StellwerkError(f"{self.name}: {self.place} could not be read ({type(error).__name__})")
        raise problem

    def rows(self, statement: Any, size: Callable[[], int]) -> Iterator[tuple[Sequence[Any], list[Any]]]:
        """Run a statement and fetch its rows piece by piece, from a cursor that stays at the server.

        Args:
            statement: a SELECT.
            size: how many rows the next piece may have.

        Yields:
            The driver's description of the columns, and the rows of a piece; one piece without rows where there are none.
        """
        options = {"stream_results": True, "max_row_buffer": 1}
        result = self._result = self.attempt(lambda: self.connection.execute(statement, execution_options=options))
        description = list(result.cursor.description) if result.cursor else []
        first = True
        while True:
            self._check()
            count = size()
            piece = self.attempt(lambda: result.fetchmany(count))  # noqa: B023
            if piece or first:
                yield description, list(piece)
            if not piece:
                break
            first = False

    def _engine(self) -> sa.Engine:
        backend = self.url.get_backend_name()
        how: dict[str, Any] = {"poolclass": sa.NullPool, "hide_parameters": True}
        if backend == "sqlite":
            path = self._file()
            return sa.create_engine("sqlite://", creator=lambda: _open_file(path), **how)
        if backend in ("postgresql", "mysql", "mariadb"):
            how["connect_args"] = {"connect_timeout": ANSWER}
        missing: UserError
        try:
            if self.url.drivername.endswith("+pymysql"):
                how["connect_args"] |= {"charset": "utf8mb4", "conv": _mysql_values()}
            elif self.url.drivername.endswith("+psycopg"):
                how["connect_args"] |= {"client_encoding": "utf8"}
            return sa.create_engine(self.url, **how)
        except ImportError:
            extra = EXTRAS.get(backend)
            missing = MissingExtra(*extra) if extra else UserError(
                f"{self.name}: the driver for {self.url.drivername} is not installed; install the driver of {backend} with pip"
            )  # fmt: skip
        except NoSuchModuleError:
            missing = UserError(
                f"{self.name}: nothing is installed that knows {self.url.drivername}; install the driver of {backend} for "
                "SQLAlchemy with pip"
            )
        except (SQLAlchemyError, ValueError, TypeError):
            missing = UserError(f"{self.name}: its url has parts that {backend} does not know")
        raise missing

    def _file(self) -> str:
        given = self.url.database
        if not given or given == ":memory:":
            raise UserError(f"{self.name}: its url names no file; write sqlite:///raw/crm.db, relative to the workspace")
        root = str(self._workspace.root)
        path = os.path.normpath(os.path.join(root, given))  # noqa: PTH118
        if not os.path.isabs(given) and not path.startswith(root + os.sep):  # noqa: PTH117
            raise UserError(f"{self.name}: {given} climbs out of the workspace; a database elsewhere needs its whole path")
        if not os.path.isfile(path):  # noqa: PTH113
            raise UserError(f"{self.name}: there is no file {given}; a relative path starts at the workspace folder")
        return path

    def _connect(self, engine: sa.Engine) -> sa.Connection:
        """Connect; a server that does not answer is asked again for a while."""
        end, pause = time.monotonic() + PATIENCE, 0.25
        while True:
            self._check()
            try:
                return engine.connect()
            except DBAPIError as error:
                fact = connecting(error)
            except (SQLAlchemyError, UnicodeError, ValueError, OSError, TypeError) as error:
                fact = f"refused:{type(error).__name__}"
            if fact != "away" or time.monotonic() + pause > end:
                break
            time.sleep(pause)
            pause *= 2
        raise self._no_connection(fact)

    def _no_connection(self, fact: str) -> StellwerkError:
        if fact == "away":
            return StellwerkError(
                f"{self.name}: no database answers at {self.place}; see that it runs, that name and port are right, and "
                "that this machine may reach it"
            )
        if fact == "password":
            return UserError(
                f"{self.name}: {self.place} does not let this user in; see to the user in its url and to 'password: env:NAME'"
            )
        if fact == "database":
            known = nearest(str(self.url.database), self._databases())
            return UserError(f"{self.name}: {self.place} has no database {self.url.database}{known}")
        if fact == "file":
            return UserError(f"{self.name}: {self.place} cannot be opened as an SQLite database")
        return StellwerkError(f"{self.name}: {self.place} cannot be opened ({fact.removeprefix('refused:')})")

    def _databases(self) -> list[str]:
        """The databases of a server, where this user may see them."""
        postgresql = self.url.get_backend_name() == "postgresql"
        one, any_ = self.url, "postgres" if postgresql else None
        other = sa.URL.create(one.drivername, one.username, one.password, one.host, one.port, any_, one.query)
        sql = "SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1" if postgresql else "SHOW DATABASES"
        with suppress(SQLAlchemyError):
            engine = sa.create_engine(other, poolclass=sa.NullPool, connect_args={"connect_timeout": ANSWER})
            with engine.connect() as connection:
                return [str(row[0]) for row in connection.exec_driver_sql(sql)]
        return []

    def _begin(self) -> None:
        run, backend = self.connection.exec_driver_sql, self.connection.dialect.name
        if backend == "postgresql":
            run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            for setting in _POSTGRESQL_WRITES:
                run(f"SET LOCAL {setting}")
            if self.driver == "psycopg":
                _postgresql_values(self.connection)
        elif backend in ("mysql", "mariadb"):
            # The server would give up on a reader that works on a piece of rows for over a minute.
            run("SET SESSION time_zone = '+00:00', net_write_timeout = 86400")
            run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        elif backend == "sqlite":
            run("BEGIN")

    def _end(self) -> None:
        """Close the connection, without waiting for rows that nobody wants any more."""
        cursor: Any = self._result.cursor if self._result is not None else None
        driver = self.driver
        if cursor is not None and driver == "psycopg":
            with suppress(Exception):
                cursor.close()
        with suppress(Exception):
            self.connection.invalidate()
        if cursor is not None and driver == "pymysql":
            cursor.connection = None  # closing it would read all rows that are still to come
            if cursor._result is not None:
                cursor._result.unbuffered_active = False
        self._result = None
        with suppress(Exception):
            self.connection.close()

    def _problem(self, error: DBAPIError) -> StellwerkError:
        said = readable(error)
        if said:
            return UserError(f"{self.name}: {self.place}: {said}")
        if error.connection_invalidated or connecting(error) == "away":
            return StellwerkError(
                f"{self.name}: the connection to {self.place} was lost before all rows were read; nothing of it was kept, "
                "start again"
            )
        if connecting(error) == "file":
            return UserError(f"{self.name}: {self.place} is damaged, or no SQLite database")
        return StellwerkError(f"{self.name}: {self.place} could not answer ({kind(error)})")


def _open_file(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(path)}?mode=ro", uri=True, timeout=60, isolation_level=None, check_same_thread=False
    )
    connection.text_factory = _text
    connection.execute("PRAGMA query_only=ON")
    return connection


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return decode_odd(content)


def _mysql_values() -> dict[Any, Any]:
    """How PyMySQL converts: numbers as ever, dates, moments, times and decimals stay texts."""
    from pymysql.converters import conversions  # type: ignore[import-untyped]

    texts = (0, 7, 10, 11, 12, 14, 246)
    return {kind: convert for kind, convert in conversions.items() if kind not in texts}


def _postgresql_values(connection: sa.Connection) -> None:
    """How psycopg converts: only numbers, truth values, bytes and arrays; all else, types of the user's own too, stays text."""
    from psycopg.types import TypeInfo
    from psycopg.types.string import TextLoader

    driver = connection.connection.driver_connection
    assert driver is not None
    for info in driver.adapters.types:
        if info.oid not in NATIVE:
            driver.adapters.register_loader(info.oid, TextLoader)
    own = "SELECT typname, oid, typarray FROM pg_type WHERE oid >= 16384 AND typarray <> 0"
    for name, oid, array in connection.exec_driver_sql(own):
        TypeInfo(name, oid, array).register(driver)
