"""A record on PostgreSQL that cannot be reached or made says why in one sentence, and never shows the password."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import URL, make_url

from servers import PostgreSQL, free_port
from stellwerk.errors import StellwerkError, UserError
from stellwerk.record import connecting, tables
from stellwerk.record.connecting import RecordUnreachable
from stellwerk.record.database import Database
from stellwerk.workspace import Workspace

SECRET = "hunter2-geheim"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[URL]:
    """A server that asks the user `clerk` for a password; `clerk` may read, and make nothing."""
    with PostgreSQL() as server:
        server.execute(f"CREATE ROLE clerk LOGIN PASSWORD '{SECRET}'")
        assert server.folder
        rules = server.folder / "data" / "pg_hba.conf"
        rules.write_text("host all clerk 127.0.0.1/32 scram-sha-256\nhost all postgres 127.0.0.1/32 trust\n")
        server.execute("SELECT pg_reload_conf()")
        yield make_url(server.url())


def refused(address: URL | str, schema: str | None = "ws") -> str:
    with pytest.raises(StellwerkError) as error:
        Database(address, schema, "create")
    told = "".join(traceback.format_exception(error.value)) + repr(error.value) + repr(error.value.__cause__)
    assert SECRET not in told
    assert "\n" not in str(error.value)
    return str(error.value)


def test_each_way_to_fail_has_its_sentence(server: URL) -> None:
    clerk = server.set(username="clerk", password=SECRET)
    for address, words in (
        (clerk.set(password=SECRET[:-1]), "refuses the password"),
        (server.set(username="clerk"), "wants a password"),
        (server.set(database="nowhere", password=SECRET), "does not exist"),
        (server.set(username="stranger", password=SECRET), "does not let this machine in"),
        (server.set(port=free_port(), password=SECRET), "nothing listens there"),
        (server.set(host="no-such-host.invalid", password=SECRET), "name is not known"),
        (clerk, "may not create it"),
    ):
        assert words in refused(address), (words, refused(address))
    assert "may not create it" in refused(clerk, None), "nobody but the owner makes tables in the schema public"


def test_no_password_is_shown_in_what_is_told_of_a_record(server: URL) -> None:
    address = server.set(password=SECRET)
    database = Database(address, "shown", "create")
    assert SECRET not in repr(database.engine) + database.place + repr(database) + repr(vars(database).values())
    database.close()


def test_the_driver_is_chosen_for_a_plain_address(server: URL) -> None:
    database = Database(server.set(drivername="postgresql"), "plain", "create")
    assert database.engine.driver == "psycopg"
    database.close()


def test_too_old_a_server_is_refused(server: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "OLDEST", (99,))
    assert "99 or newer is needed" in refused(server)


def test_reading_sees_one_state_and_cannot_write(server: URL) -> None:
    database = Database(server, "views", "create")
    with database.reading() as one:
        before = one.execute(tables.person.select()).all()
        with database.writing() as other:
            other.execute(tables.person.insert(), {"id": "p", "name": "Erika", "created": "2026"})
        assert one.execute(tables.person.select()).all() == before == []
        with pytest.raises(Exception, match="read-only"):
            one.execute(tables.person.delete())
    with database.reading() as connection:
        assert len(connection.execute(tables.person.select()).all()) == 1
    database.close()


def test_a_connection_that_an_interrupt_left_half_done_is_replaced(server: URL) -> None:
    database = Database(server, "dirty", "create")
    pooled = database.engine.raw_connection()
    raw: Any = pooled.dbapi_connection
    pooled.close()
    raw.read_only = True
    with database.writing() as connection:
        connection.execute(tables.person.insert(), {"id": "p", "name": "Erika", "created": "2026"})
    raw.execute("SELECT 1")
    with database.reading() as connection:
        assert len(connection.execute(tables.person.select()).all()) == 1
    database.close()


def test_schemas_of_one_database_are_apart(server: URL) -> None:
    one, two = Database(server, "one", "create"), Database(server, "two", "create")
    with one.writing() as connection:
        connection.execute(tables.person.insert(), {"id": "p", "name": "Erika", "created": "2026"})
    with two.reading() as connection:
        assert connection.execute(tables.person.select()).all() == []
    one.close()
    two.close()


def test_a_server_that_ends_is_named_and_one_that_is_back_goes_on(tmp_path: Path) -> None:
    with PostgreSQL() as server:
        database = Database(server.url(), "ends", "create")
        with psycopg.connect(server.url().replace("+psycopg", ""), autocommit=True) as other:
            kill = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL"
            )
            other.execute(kill)
            with database.reading() as connection:
                assert connection.execute(tables.person.select()).all() == [], "a connection that was lost is replaced"
            where = r"postgresql\+psycopg://.* \(schema ends\)"
            with pytest.raises(RecordUnreachable, match=where), database.reading() as connection:
                other.execute(kill)
                connection.execute(tables.person.select())
        server.stop()
        with pytest.raises(RecordUnreachable, match="nothing listens there"), database.writing():
            raise AssertionError
        database.close()


def test_a_workspace_is_made_with_its_record_on_a_server(server: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = server.render_as_string().replace("+psycopg", "")
    workspace = Workspace.init(tmp_path / "one", address, "team")
    assert workspace.record.versions() == []
    assert not (workspace.state / "record.db").exists()
    again = Workspace.init(tmp_path / "one", address)
    assert again.record.id == workspace.record.id
    workspace.record.database.close()
    again.record.database.close()
    with pytest.raises(UserError, match=r"stellwerk\.yaml is there already"):
        Workspace.init(tmp_path / "one", "postgresql://elsewhere/db")
    with pytest.raises(UserError, match="holds a password") as error:
        Workspace.init(tmp_path / "two", f"postgresql://clerk:{SECRET}@host/db")
    assert SECRET not in str(error.value)
    assert not (tmp_path / "two").exists()
    monkeypatch.setenv("STELLWERK_INIT_RECORD", address)
    ids = {Workspace.init(tmp_path / name).record.id for name in ("three", "four")}
    assert len(ids) == 2, "each new workspace has a schema of its own"
