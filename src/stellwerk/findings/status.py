"""The findings of a record with their status now: one query, whatever the number of findings and decisions.

Knows how a status follows from decisions. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, Subquery, and_, case, func, or_, select

from stellwerk.record import tables
from stellwerk.record.record import Record

Status = Literal["open", "accepted", "mitigated"]
SEVERITIES = ("critical", "high", "medium", "low", "info")
JUDGED, ASSIGNED = "finding", "finding.owner"  # kinds of decisions: on its status, or on nothing but who looks after it


def stamp(moment: datetime) -> str:
    """A time as the record writes it, so that it can be compared there."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def find(
    record: Record,
    now: datetime,
    *where: ColumnElement[bool],
    status: str | None = None,
    owner: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[dict[str, Any]]:
    """Findings with their status, the most severe first, of these the newest.

    Args:
        record: that is asked.
        now: with time zone; decides which acceptances have run out.
        where: conditions on the tables finding, version and asset.
        status: only those of this status.
        owner: only those that this person, by id, looks after.
        limit: how many at most.
        offset: how many of the first to leave out.

    Returns:
        The columns of the finding, and `kind`, `name` and `number` of its version, `status`, `owner` (the id of a person),
        `until`, `person`, `authenticated`, `reason` and `decided` of the decision that the status follows from; None where
        there is none.
    """
    query = _chosen(now, where, status, owner)
    rank = case({name: place for place, name in enumerate(SEVERITIES)}, value=tables.finding.c.severity, else_=len(SEVERITIES))
    query = query.order_by(rank, tables.finding.c.created.desc(), tables.finding.c.id).limit(limit).offset(offset)
    with record.database.reading() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def count(
    record: Record, now: datetime, *where: ColumnElement[bool], status: str | None = None, owner: str | None = None
) -> int:
    """How many findings `find` would give without a limit."""
    query = select(func.count()).select_from(_chosen(now, where, status, owner).subquery())
    with record.database.reading() as connection:
        return connection.execute(query).scalar_one()


def on_versions(record: Record, versions: Collection[str], now: datetime) -> list[dict[str, Any]]:
    """The findings on versions, in whatever status, each with `versions`: the ids among the given ones that it is about.

    One that names no version is about all that came out of the runs whose steps found it, or took it from an earlier run.
    """
    loose = _without_version(record, versions)
    rows = find(record, now, or_(tables.finding.c.version.in_(list(versions)), tables.finding.c.id.in_(list(loose))))
    return [{**row, "versions": loose.get(row["id"]) or {row["version"]}} for row in rows]


def _chosen(now: datetime, where: Iterable[ColumnElement[bool]], status: str | None, owner: str | None) -> Select[Any]:
    """The findings that meet all conditions."""
    query, known = _query(now)
    query = query.where(*where)
    if status is not None:
        query = query.where(known["status"] == status)
    return query if owner is None else query.where(known["owner"] == owner)


def _query(now: datetime) -> tuple[Select[Any], dict[str, ColumnElement[Any]]]:
    """All findings, each with the latest decisions on its status and on its owner; and the columns that follow from them."""
    finding = tables.finding.c
    judged, decided = _latest(JUDGED), _latest(JUDGED, ASSIGNED)
    latest = judged.c
    said = func.coalesce(latest.details["status"].as_string(), finding.status)
    known: dict[str, ColumnElement[Any]] = {
        "status": case((and_(said == "accepted", latest.until < stamp(now)), "open"), else_=said),
        "owner": func.coalesce(decided.c.details["owner"].as_string(), finding.owner),
    }
    own = [column for column in tables.finding.columns if column.name not in known]
    query = (
        select(
            *own, tables.asset.c.kind, tables.asset.c.name, tables.version.c.number,
            *(column.label(name) for name, column in known.items()),
            latest.until, latest.person, latest.authenticated, latest.reason, latest.created.label("decided"),
        )
        .select_from(tables.finding)
        .outerjoin(tables.version, tables.version.c.id == finding.version)
        .outerjoin(tables.asset, tables.asset.c.id == tables.version.c.asset)
        .outerjoin(judged, and_(latest.about == finding.id, latest.place == 1))
        .outerjoin(decided, and_(decided.c.about == finding.id, decided.c.place == 1))
    )  # fmt: skip
    return query, known


def _latest(*kinds: str) -> Subquery:
    """The decisions of some kinds; of those about the same finding, the latest is at place 1."""
    decision = tables.decision.c
    newest = func.row_number().over(partition_by=decision.about, order_by=(decision.created.desc(), decision.id.desc()))
    return select(tables.decision, newest.label("place")).where(decision.kind.in_(kinds)).subquery()


def _without_version(record: Record, versions: Iterable[str]) -> dict[str, set[str]]:
    """Findings that name no version: by id, the given versions that came out of the runs that met them."""
    finding, step, edge = tables.finding.c, tables.step.c, tables.edge.c
    query = (
        select(finding.id, edge.version)
        .select_from(tables.edge)
        .join(tables.step, step.run == edge.run)
        .join(tables.finding, finding.step == func.coalesce(step.reused, step.id))
        .where(edge.version.in_(list(versions)), edge.direction == "output", finding.version.is_(None))
        .distinct()
    )
    found: dict[str, set[str]] = {}
    with record.database.reading() as connection:
        for key, version in connection.execute(query):
            found.setdefault(key, set()).add(version)
    return found
