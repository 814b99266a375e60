"""Which steps the record remembers: by the key of their code, parameters and inputs, and only while their bytes are there.

Knows how a remembered step is found and noted again for the run that takes it. It does no step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from stellwerk.record import tables
from stellwerk.record.journal import canonical
from stellwerk.record.record import Record, Transaction, Version
from stellwerk.store.store import Store, references

PAGE = 500
Row = Mapping[str, Any]
Edges = Mapping[str, list[dict[str, Any]]]


def key(code: str, function: Callable[..., Any], parameters: Mapping[str, Any], inputs: Sequence[Version]) -> str:
    """What names a step's outcome: a digest of the code, the function, its parameters and the versions that it reads."""
    name = f"{function.__module__}.{function.__qualname__}"
    parts = [code, name, parameters, sorted(version.id for version in inputs)]
    return hashlib.sha256(canonical(parts)).hexdigest()


def find(record: Record, store: Store, run: str, keys: Sequence[str]) -> tuple[dict[str, Row], Edges]:
    """The steps of these keys whose artifacts are still in the store, and the edges of each.

    Args:
        record: where they are looked up.
        store: where their bytes must be.
        run: its own steps come before those of others.
        keys: of the steps that are wanted.
    """
    known: dict[str, Row] = {}
    for start in range(0, len(keys), PAGE):
        where = tables.step.c.key.in_(keys[start : start + PAGE])
        for row in record.rows(tables.step, where, order=tables.step.c.finished):
            if row["run"] == run or known.get(row["key"], row)["run"] != run:
                known[row["key"]] = row
    gone = set(store.missing([row["outcome"] for row in known.values()]))
    known = {key: row for key, row in known.items() if gone.isdisjoint(references(row["outcome"]))}
    edges = _edges(record, known.values())
    return {key: row for key, row in known.items() if _are_whole(record, store, edges.get(row["id"], []))}, edges


def reuse(transaction: Transaction, run: str, steps: Iterable[Row], edges: Edges, name: str) -> None:
    """Note that a run takes steps of earlier runs, with their edges: equal content adds an edge, not a number."""
    for step in steps:
        row = transaction.insert(
            tables.step, run=run, key=step["key"], name=name, reused=step["reused"] or step["id"],
            outcome=step["outcome"], seconds=0.0, finished=transaction.at,
        )  # fmt: skip
        for edge in edges.get(step["id"], []):
            link(transaction, run, row["id"], edge["direction"], edge["version"], edge["known"])
            if edge["direction"] == "output":
                transaction.make_latest(edge["version"], run)
                transaction.tell(edge["version"], **edge["known"])


def link(transaction: Transaction, run: str, step: str, direction: str, version: str, known: Row | None = None) -> None:
    """Note that a step read or made a version."""
    transaction.insert(tables.edge, run=run, step=step, version=version, direction=direction, known=known)


def _edges(record: Record, steps: Iterable[Row]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    keys = [step["id"] for step in steps]
    for start in range(0, len(keys), PAGE):
        for edge in record.rows(tables.edge, tables.edge.c.step.in_(keys[start : start + PAGE])):
            found.setdefault(edge["step"], []).append(edge)
    return found


def _are_whole(record: Record, store: Store, edges: Iterable[Row]) -> bool:
    """Whether all that a step's output versions consist of is still in the store."""
    made = [edge for edge in edges if edge["direction"] == "output"]
    if not made:
        return True
    versions = record.versions(tables.version.c.id.in_([edge["version"] for edge in made]))
    # What the step knew of its versions is written into them again when it is taken.
    return not any(store.missing([[version.content for version in versions], [edge["known"] for edge in made]]))
