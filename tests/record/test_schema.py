"""A new record has the tables that the migrations lead to, on both databases; older and missing ones are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from records import open_record
from sqlalchemy import Engine, create_engine, inspect

from databases import ON_POSTGRESQL, behind_its_back
from stellwerk.errors import UserError
from stellwerk.record import connecting, schema
from stellwerk.record.database import Database
from stellwerk.record.record import Record


def seen(engine: Engine) -> dict[str, Any]:
    """All that a database says of its tables."""
    found, tables = inspect(engine), {}
    for name in sorted(found.get_table_names()):
        columns = {
            c["name"]: (str(c["type"]), getattr(c["type"], "collation", None), c["nullable"]) for c in found.get_columns(name)
        }
        uniques = sorted((str(u["name"]), u["column_names"]) for u in found.get_unique_constraints(name))
        indexes = sorted((str(i["name"]), i["column_names"], bool(i["unique"])) for i in found.get_indexes(name))
        links = sorted((str(k["name"]), k["constrained_columns"], k["referred_table"]) for k in found.get_foreign_keys(name))
        tables[name] = columns, found.get_pk_constraint(name)["constrained_columns"], uniques, indexes, links
    return tables


def test_a_new_record_has_what_the_migrations_lead_to(record: Record, tmp_path: Path, postgresql: str) -> None:
    if ON_POSTGRESQL:
        migrated = connecting.engine_of(postgresql, f"m_{record.id}")
        with migrated.begin() as connection:
            connection.exec_driver_sql(f'CREATE SCHEMA "m_{record.id}"')
    else:
        migrated = create_engine(f"sqlite:///{tmp_path / 'migrated.db'}")
    with migrated.begin() as connection:
        schema.migrate(connection)
        assert schema.revision(connection) == schema.HEAD
    made, led = seen(record.database.engine), seen(migrated)
    migrated.dispose()
    assert made.pop("alembic_version")[0].keys() == led.pop("alembic_version")[0].keys()
    assert made == led


def test_an_older_record_is_refused_by_all_but_upgrade(record: Record, tmp_path: Path) -> None:
    with behind_its_back(record.database, ["UPDATE alembic_version SET version_num = '0001'"], keep=True):
        pass
    with pytest.raises(UserError, match=r"made by an older Stellwerk; bring it up to date with: stellwerk upgrade"):
        open_record(tmp_path / "record.db")
    address = record.database.engine.url
    older = Database(address, record.database.schema, "upgrade")
    assert older.revision == "0001"
    older.close()


def test_a_record_that_is_not_there_is_not_made_by_accident(tmp_path: Path, postgresql: str) -> None:
    for address, name in ((f"sqlite:///{tmp_path / 'none.db'}", None), (postgresql, "never_made")):
        with pytest.raises(UserError, match=r"no record at .* yet; make it with: stellwerk init"):
            Database(address, name)


def test_another_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="PostgreSQL or SQLite, not by mysql"):
        Database("mysql+pymysql://user@host/name")
