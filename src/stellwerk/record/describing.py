"""One version described: what it is, what it was made from and for, what was measured and found on it, and where it runs.

Knows the record alone; whether its bytes are still there, the caller says.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, Field
from sqlalchemy import select

from stellwerk.record import assets, lineage, tables
from stellwerk.record.record import Record, Version


class MeasurementLine(BaseModel):
    """A measurement of a version."""

    TABLE: ClassVar = ("metric", "value", "low", "high", "n", "unit", "created")

    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int | None
    unit: str
    complete: bool = Field(description="False for a run on part of the cases; such a measurement never counts")
    created: str
    run: str
    instruments: list[str] = Field(description="what it was measured with")


class RelatedVersion(BaseModel):
    """A version up or down the lineage."""

    distance: int
    version: str
    created: str


class FindingLine(BaseModel):
    """A finding on a version."""

    finding: str
    rule: str
    severity: str
    title: str


class VersionReport(BaseModel):
    """One version: what it is, what it was made from, and what was made from it."""

    version: str
    digest: str
    created: str
    aliases: list[str]
    tainted: str | None = Field(description="why it is tainted: it was made from rows that were erased since")
    removed: str | None = Field(description="that its bytes went, and how to have them again")
    released: str | None = Field(description="the newest release that holds it")
    identity: dict[str, Any]
    facts: dict[str, Any]
    made_by: list[str] = Field(description="the runs that made it or met it again")
    made_from: list[RelatedVersion]
    used_by: list[RelatedVersion]
    measurements: list[MeasurementLine]
    findings: list[FindingLine]


def describe(record: Record, version: Version, removed: str | None) -> VersionReport:
    """Describe a version.

    Args:
        record: where it is.
        version: which one.
        removed: what is to be said where its bytes are gone.
    """
    with record.database.reading() as connection:
        released = assets.released(connection, [version.id]).get(version.id)
    findings = record.rows(tables.finding, tables.finding.c.version == version.id, order=tables.finding.c.created)
    return VersionReport(
        version=version.ref,
        digest=version.digest,
        created=version.created,
        aliases=sorted(name for name, key in record.aliases(version).items() if key == version.id),
        tainted=_taint(record, version),
        removed=removed,
        released=released,
        identity=version.identity,
        facts=version.facts,
        made_by=_makers(record, version),
        made_from=[_related(pair) for pair in lineage.walk(record, version, "up")],
        used_by=[_related(pair) for pair in lineage.walk(record, version, "down")],
        measurements=_measurements(record, version),
        findings=[
            FindingLine(finding=row["id"], rule=row["rule"], severity=row["severity"], title=row["title"]) for row in findings
        ],
    )


def _makers(record: Record, version: Version) -> list[str]:
    edge, run = tables.edge.c, tables.run.c
    makers = select(edge.run).where(edge.version == version.id, edge.direction == "output")
    with record.database.reading() as connection:
        found = connection.execute(select(run.id).where(run.id.in_(makers)).order_by(run.created)).scalars()
        return [key[:8] for key in found]


def _related(pair: tuple[int, Version]) -> RelatedVersion:
    return RelatedVersion(distance=pair[0], version=pair[1].ref, created=pair[1].created)


def _taint(record: Record, version: Version) -> str | None:
    if version.tainted is None:
        return None
    (erasure,) = record.rows(tables.erasure, tables.erasure.c.id == version.tainted)
    return f"{erasure['rows']} rows were erased on {erasure['created'][:10]}: {erasure['reason']}"


def _measurements(record: Record, version: Version) -> list[MeasurementLine]:
    measured, table = tables.measured.c, tables.measurement
    mine = select(measured.measurement).where(measured.version == version.id, measured.role == "subject")
    rows = record.rows(table, table.c.id.in_(mine), order=(table.c.created, table.c.metric))
    used = record.rows(tables.measured, measured.measurement.in_(mine), measured.role == "instrument")
    names = {other.id: other.ref for other in record.versions_of({link["version"] for link in used})}
    plain = [name for name in MeasurementLine.model_fields if name not in ("run", "instruments")]
    return [
        MeasurementLine(
            **{name: row[name] for name in plain},
            run=row["run"][:8],
            instruments=sorted(names[link["version"]] for link in used if link["measurement"] == row["id"]),
        )
        for row in rows
    ]
