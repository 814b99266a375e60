"""Fills a workspace with as much as some years of use leave: runs, steps, assets, versions, measurements, findings.

Rows go through the record's own transactions, many at a time, so that its journal vouches for all of them.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Table

from stellwerk.record import journal, tables
from stellwerk.record.record import Transaction, version_id
from stellwerk.workspace import Workspace

KINDS = ("dataset", "source", "prompt", "suite", "model", "settings")
STEPS = ("read", "score", "duplicates", "publish")
STATES = ("done",) * 17 + ("failed", "cancelled", "interrupted")
VERSIONS = 3  # of each asset
FAMILY = 12  # assets that descend from each other
IN_ONE = 500  # runs in a transaction
BEGAN = datetime(2024, 1, 1, tzinfo=UTC)


def fill(workspace: Workspace, runs: int, assets: int, seed: int = 7) -> None:
    """Write runs that made and measured assets, in the order of time.

    Args:
        workspace: an empty one.
        runs: how many, with four steps each.
        assets: how many, with three versions each, spread over the kinds, in families that descend from each other.
    """
    chance = random.Random(seed)
    made: dict[int, str] = {}
    todo = [(asset, number) for number in range(1, VERSIONS + 1) for asset in range(assets)]
    person = workspace.person
    for start in range(0, runs, IN_ONE):
        with workspace.record.writing(person) as transaction:
            rows: dict[str, list[dict[str, Any]]] = {}
            for number in range(start, min(start + IN_ONE, runs)):
                new = todo[number * len(todo) // runs : (number + 1) * len(todo) // runs]
                for table, row in _run(chance, number, new, made, person):
                    rows.setdefault(table.name, []).append(row)
            for table in tables.JOURNALED:
                insert(transaction, table, rows.get(table.name, ()))
    with workspace.record.writing(person) as transaction:
        moved = [
            {
                "id": uuid.uuid4().hex,
                "asset": _asset(asset),
                "name": "latest",
                "version": version,
                "run": f"{0:032x}",
                "moved": _at(runs),
            }
            for asset, version in made.items()
        ]
        insert(transaction, tables.alias, moved)


def insert(transaction: Transaction, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write many rows at once, with their journal entries."""
    plain = [journal.plain(table, row) for row in rows]
    if plain:
        transaction.connection.execute(table.insert(), plain)
        transaction.written += [(table, row) for row in plain]


def _run(
    chance: random.Random, number: int, new: list[tuple[int, int]], made: dict[int, str], person: str
) -> Iterator[tuple[Table, dict[str, Any]]]:
    """The rows of one run, and of the versions that it made."""
    run, at = f"{number:032x}", _at(number)
    subject = f"asset-{new[0][0]:04}" if new else "asset-0000"
    state = "done" if new else chance.choice(STATES)
    yield tables.run, {
        "id": run, "operation": chance.choice(("data.build", "data.test", "data.refresh", "data.export")),
        "parameters": {"dataset": subject}, "snapshots": {}, "code": "c" * 64, "state": state, "person": person, "created": at,
        "started": at, "finished": _at(number, 90), "error": "tests failed: 3 of 5" if state == "failed" else None,
        "result": {"dataset": subject, "counts": {f"rule {n}": n for n in range(40)}, "next": ["stellwerk data test"] * 5},
    }  # fmt: skip
    steps = [uuid.uuid4().hex for _ in STEPS]
    for place, (step, name) in enumerate(zip(steps, STEPS, strict=True)):
        yield tables.step, {
            "id": step, "run": run, "key": uuid.uuid4().hex, "name": name, "reused": None, "outcome": {"made": name},
            "seconds": 15.0 + place, "finished": _at(number, 20 * (place + 1)),
        }  # fmt: skip
    yield tables.usage, {"id": uuid.uuid4().hex, "run": run, "seconds": 90.0, "stored": 1e6, "extent": 1e5, "created": at}
    for asset, version in new:
        yield from _version(chance, asset, version, run, steps[-1], made, at)


def _version(
    chance: random.Random, asset: int, number: int, run: str, step: str, made: dict[int, str], at: str
) -> Iterator[tuple[Table, dict[str, Any]]]:
    kind, name = KINDS[asset % len(KINDS)], f"asset-{asset:04}"
    identity = {"rows": f"{asset}-{number}"}
    key = version_id(kind, name, identity)
    if number == 1:
        yield tables.asset, {"id": _asset(asset), "kind": kind, "name": name, "created": at}
    facts = {"rows": 1000 * number + asset, "languages": {"de": 700, "en": 300}, "notes": {f"fact {n}": n for n in range(30)}}
    yield tables.version, {
        "id": key, "asset": _asset(asset), "number": number, "digest": uuid.uuid4().hex * 2, "identity": identity,
        "facts": facts, "content": {}, "tainted": None, "run": run, "created": at,
    }  # fmt: skip
    first = asset - asset % FAMILY
    above = [made[other] for other in chance.sample(range(first, asset), min(2, asset - first))]
    before = [made[asset]] if number > 1 else []
    edges = [("output", key), *(("input", other) for other in above + before)]
    for direction, other in edges:
        yield (
            tables.edge,
            {"id": uuid.uuid4().hex, "run": run, "step": step, "version": other, "direction": direction, "known": None},
        )
    for metric in ("kept_share", "data_tests_failed", "dropped_share.words"):
        measurement = uuid.uuid4().hex
        value = chance.random()
        yield tables.measurement, {
            "id": measurement, "run": run, "step": step, "metric": metric, "metric_version": 1, "value": value,
            "low": value - 0.05, "high": value + 0.05, "n": 400, "unit": "share", "complete": 1, "details": {}, "created": at,
        }  # fmt: skip
        yield tables.measured, {"id": uuid.uuid4().hex, "measurement": measurement, "version": key, "role": "subject"}
    rule = chance.choice(("schema", "drift", "unreadable"))
    yield tables.finding, {
        "id": uuid.uuid4().hex, "run": run, "step": step, "version": key, "rule": rule,
        "severity": chance.choice(("low", "medium", "high")), "title": f"{name} has {number} rows that could not be read",
        "details": {"rows": number}, "status": "open", "owner": None, "created": at,
    }  # fmt: skip
    made[asset] = key


def _asset(asset: int) -> str:
    import hashlib

    return hashlib.sha256(f"{KINDS[asset % len(KINDS)]}/asset-{asset:04}".encode()).hexdigest()


def _at(number: int, seconds: float = 0.0) -> str:
    return (BEGAN + timedelta(minutes=90 * number, seconds=seconds)).isoformat(timespec="microseconds")
