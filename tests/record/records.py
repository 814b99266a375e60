"""What the tests of the record write into it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from stellwerk.record import journal, tables
from stellwerk.record.database import Database
from stellwerk.record.record import Record, Transaction

PERSON = "0" * 32


def open_record(path: Path) -> Record:
    """Open the record of a path, and make it where there is none: in a file, or in a schema of the tests' server."""
    if server := os.environ.get("STELLWERK_INIT_RECORD"):
        return Record(Database(server, "t_" + hashlib.sha256(str(path).encode()).hexdigest()[:24], "create"))
    return Record(Database(f"sqlite:///{path}", None, "create"))


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


def problems(record: Record, *anchors: journal.Anchor) -> list[str]:
    """What verify says."""
    with record.database.reading() as connection:
        return list(journal.verify(connection, anchors))
