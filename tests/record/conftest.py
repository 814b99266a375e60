"""Records for tests: a migrated, empty database that each test gets a copy of."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from records import open_record

from stellwerk.record.record import Record


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with all tables and no rows."""
    path = tmp_path_factory.mktemp("blank") / "record.db"
    open_record(path).database.close()
    return path


@pytest.fixture
def new_record(blank: Path, tmp_path: Path) -> Iterator[Callable[..., Record]]:
    """Makes an empty record in a file of its own."""
    opened: list[Record] = []

    def make(name: str = "record.db") -> Record:
        path = tmp_path / name
        shutil.copy(blank, path)
        opened.append(open_record(path))
        return opened[-1]

    yield make
    for record in opened:
        record.database.close()


@pytest.fixture
def record(new_record: Callable[..., Record]) -> Record:
    """An empty record."""
    return new_record()
