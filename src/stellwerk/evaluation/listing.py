"""Which tests there are: the latest of a workspace or of one suite, each with the name under which it is found again.

Asks the record alone, by its measurements, so that a test that was taken from the record by a later run is listed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, select

from stellwerk.evaluation import evidence
from stellwerk.evaluation.evidence import Evidence
from stellwerk.record import tables

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace

METRIC = "pass_rate"  # what every test measures


@dataclass(frozen=True)
class Listed:
    """A test.

    Attributes:
        evidence: what it saw.
        reference: as `evidence.of` takes it: `3f2a91c0`, or `3f2a91c0:2` where its run holds several.
    """

    evidence: Evidence
    reference: str

    @property
    def subjects(self) -> tuple[str, ...]:
        """What was asked, such as prompt/reply@2 and model/writer@1."""
        return tuple(self.evidence.about["subjects"])


def tests(workspace: Workspace, suite: str | None = None, limit: int = 20) -> list[Listed]:
    """The latest tests, the newest first.

    Args:
        workspace: whose record is asked.
        suite: only those on versions of this suite, such as support.
        limit: tests at most.
    """
    measured, step = tables.measurement.c, tables.step.c
    query = select(measured.step).where(measured.metric == METRIC, measured.step.is_not(None))
    if suite is not None:
        query = query.where(measured.id.in_(_on(suite)))
    with workspace.record.database.reading() as connection:
        wanted = list(connection.execute(query.order_by(measured.created.desc(), measured.id).limit(limit)).scalars())
    rows = workspace.record.rows(tables.step, step.id.in_(wanted), step.name.startswith(evidence.STEP))
    rows.sort(key=lambda row: (row["finished"], row["id"]), reverse=True)
    places = _places(workspace, [row["run"] for row in rows])
    found: dict[tuple[str, str], Listed] = {}
    for row in rows:
        key = (row["run"], row["name"])
        if key not in found and isinstance(row["outcome"], dict) and "evidence" in row["outcome"]:
            name = row["name"].removeprefix(evidence.STEP)
            seen = evidence.from_outcome(workspace.store, row["run"], name, row["finished"], row["outcome"])
            found[key] = Listed(seen, reference(row["run"], places[row["run"]].index(row["name"]), len(places[row["run"]])))
    return list(found.values())


def reference(run: str, place: int, of: int) -> str:
    """The name of a test, by its place in its run, counted from 0."""
    return run[:8] if of == 1 else f"{run[:8]}:{place + 1}"


def _on(suite: str) -> Select[Any]:
    """The measurements that were taken with a version of a suite."""
    link, version, asset = tables.measured.c, tables.version.c, tables.asset.c
    versions = (
        select(version.id).join(tables.asset, asset.id == version.asset).where(asset.kind == "suite", asset.name == suite)
    )
    return select(link.measurement).where(link.version.in_(versions))


def _places(workspace: Workspace, runs: Sequence[str]) -> dict[str, list[str]]:
    """The names of the tests of some runs, in the order in which `evidence.all_of` gives them."""
    step = tables.step.c
    query = select(step.run, step.name).where(step.run.in_(set(runs)), step.name.startswith(evidence.STEP))
    found: dict[str, list[str]] = {}
    with workspace.record.database.reading() as connection:
        for run, name in connection.execute(query.order_by(step.finished)):
            names = found.setdefault(run, [])
            if name not in names:
                names.append(name)
    return found
