"""Records for tests: a migrated, empty database that each test gets a copy of."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stellwerk.record import tables
from stellwerk.record.database import Database
from stellwerk.record.record import Record, Transaction

PERSON = "0" * 32


def open_record(path: Path) -> Record:
    """Open the record in a database file."""
    return Record(Database(f"sqlite:///{path}"))


def add_run(transaction: Transaction, **values: object) -> str:
    """A run that versions can hang on."""
    row = {
        "operation": "data.build", "parameters": {"dataset": "tickets"}, "snapshots": {}, "code": "c" * 64, "state": "done",
        "person": PERSON, "created": transaction.at, **values,
    }  # fmt: skip
    return str(transaction.insert(tables.run, **row)["id"])


def add_step(transaction: Transaction, run: str, name: str = "step") -> str:
    """A step of a run."""
    row = transaction.insert(
        tables.step, run=run, key=f"key of {name}", name=name, reused=None, outcome={"made": name}, seconds=0.5,
        finished=transaction.at,
    )  # fmt: skip
    return str(row["id"])


def link(transaction: Transaction, run: str, step: str, *, reads: tuple[str, ...] = (), makes: tuple[str, ...] = ()) -> None:
    """The edges of a step."""
    for direction, versions in (("input", reads), ("output", makes)):
        for version in versions:
            transaction.insert(tables.edge, run=run, step=step, version=version, direction=direction)


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
