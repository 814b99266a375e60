"""Records for tests: each test gets an empty one of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from records import open_record

from databases import ON_POSTGRESQL
from stellwerk.record.record import Record


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with all tables and no rows."""
    path = tmp_path_factory.mktemp("blank") / "record.db"
    open_record(path).database.close()
    return path


@pytest.fixture
def new_record(blank: Path, tmp_path: Path) -> Iterator[Callable[..., Record]]:
    """Makes an empty record in a file or schema of its own; one of the same name is made anew."""
    opened: list[Record] = []

    def make(name: str = "record.db") -> Record:
        path = tmp_path / name
        if ON_POSTGRESQL:
            _drop(path)
        else:
            shutil.copy(blank, path)
        opened.append(open_record(path))
        return opened[-1]

    yield make
    for record in opened:
        record.database.close()


def _drop(path: Path) -> None:
    """Remove the schema of a path, if it is there."""
    record = open_record(path)
    with record.database.engine.begin() as connection:
        connection.exec_driver_sql(f'DROP SCHEMA "{record.database.schema}" CASCADE')
    record.database.close()


@pytest.fixture
def record(new_record: Callable[..., Record]) -> Record:
    """An empty record."""
    return new_record()
