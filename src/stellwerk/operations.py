"""Operations at the top level: the jobs and what they can do, and any version with its lineage."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from pydantic import BaseModel, Field

from stellwerk.jobs import JOBS
from stellwerk.operation import load, operation, packages
from stellwerk.record import lineage, tables
from stellwerk.record.record import Record, Version
from stellwerk.workspace import Workspace


class JobLine(BaseModel):
    """A job, its tasks, and the operations that exist today."""

    job: str
    title: str
    tasks: list[str]
    operations: list[str]


class JobList(BaseModel):
    """The jobs."""

    jobs: list[JobLine]


class MeasurementLine(BaseModel):
    """A measurement of a version."""

    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int | None
    unit: str


class RelatedVersion(BaseModel):
    """A version up or down the lineage."""

    distance: int
    version: str
    created: str


class VersionReport(BaseModel):
    """One version: what it is, what it was made from, and what was made from it."""

    version: str
    digest: str
    created: str
    aliases: list[str]
    tainted: str | None = Field(description="why it is tainted: it was made from rows that were erased since")
    identity: dict[str, Any]
    facts: dict[str, Any]
    made_by: list[str] = Field(description="the runs that made it or met it again")
    made_from: list[RelatedVersion]
    used_by: list[RelatedVersion]
    measurements: list[MeasurementLine]


@operation(example={})
def jobs(*, workspace: Workspace | None = None) -> JobList:
    """List the eight jobs, their tasks, and the operations that exist today."""
    known = {job.name for job in JOBS}
    extra = [entry for entry in entry_points(group="stellwerk.jobs") if entry.name not in known]
    lines = [JobLine(job=j.name, title=j.title, tasks=list(j.tasks), operations=_names(j.name)) for j in JOBS]
    lines += [JobLine(job=e.name, title=f"from {e.value}", tasks=[], operations=_names(e.name)) for e in extra]
    return JobList(jobs=lines)


@operation(example={"reference": "dataset/tickets"})
def show(reference: str, *, workspace: Workspace) -> VersionReport:
    """Show a version: what it is, what it was made from, what was made from it, and what was measured.

    Args:
        reference: such as dataset/tickets@3, tickets (the latest) or tickets@production.
    """
    record = workspace.record
    version = record.resolve(reference)
    runs = {edge["run"] for edge in _edges(record, version)}
    return VersionReport(
        version=version.ref,
        digest=version.digest,
        created=version.created,
        aliases=sorted(name for name, key in record.aliases(version).items() if key == version.id),
        tainted=_taint(record, version),
        identity=version.identity,
        facts=version.facts,
        made_by=[row["id"][:8] for row in record.rows(tables.run, tables.run.c.id.in_(runs), order=tables.run.c.created)],
        made_from=[_related(pair) for pair in lineage.walk(record, version, "up")],
        used_by=[_related(pair) for pair in lineage.walk(record, version, "down")],
        measurements=_measurements(record, version),
    )


def _names(package: str) -> list[str]:
    return sorted(load(package)) if package in packages() else []


def _related(pair: tuple[int, Version]) -> RelatedVersion:
    return RelatedVersion(distance=pair[0], version=pair[1].ref, created=pair[1].created)


def _edges(record: Record, version: Version) -> list[dict[str, Any]]:
    return record.rows(tables.edge, tables.edge.c.version == version.id, tables.edge.c.direction == "output")


def _taint(record: Record, version: Version) -> str | None:
    if version.tainted is None:
        return None
    (erasure,) = record.rows(tables.erasure, tables.erasure.c.id == version.tainted)
    return f"{erasure['rows']} rows were erased on {erasure['created'][:10]}: {erasure['reason']}"


def _measurements(record: Record, version: Version) -> list[MeasurementLine]:
    measured = tables.measured.c
    links = record.rows(tables.measured, measured.version == version.id, measured.role == "subject")
    keys = [link["measurement"] for link in links]
    rows = record.rows(tables.measurement, tables.measurement.c.id.in_(keys), order=tables.measurement.c.created)
    fields = MeasurementLine.model_fields
    return [MeasurementLine(**{name: row[name] for name in fields}) for row in rows]
