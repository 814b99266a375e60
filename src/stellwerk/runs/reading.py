"""Runs as people ask for them: lists with filters, page by page, and one run with all that it read, did and made.

Asks the record in bulk: however long it is, a page takes a handful of queries. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from pydantic import BaseModel, Field
from sqlalchemy import ColumnElement, and_, func, or_, select

from stellwerk.errors import UserError
from stellwerk.operation import find
from stellwerk.record import leases, tables
from stellwerk.record.record import ERASED, Record
from stellwerk.runs import queue

STATES = ("queued", "running", "cancelling", "interrupted", "cancelled", "failed", "done")
SHOWN = 500  # measurements and findings of one run


class RunLine(BaseModel):
    """A run in one line."""

    TABLE: ClassVar = ("run", "operation", "subject", "state", "started", "seconds", "position", "steps", "reused")

    run: str = Field(description="the first digits of its id")
    id: str
    operation: str
    subject: str | None = Field(default=None, description="what it was about: the first parameter that names something")
    state: str = Field(description="queued, running, cancelling, interrupted, cancelled, failed or done")
    person: str = Field(description="who started it")
    created: str
    started: str | None
    seconds: float | None
    position: int | None = Field(default=None, description="its place among those that wait for a worker; 1 is the next")
    steps: int = Field(description="steps done by this run")
    reused: int = Field(description="steps taken from earlier runs")


class RunList(BaseModel):
    """Runs, the newest first."""

    runs: list[RunLine]
    total: int = Field(description="runs that fit the filters, on all pages")


class StepLine(BaseModel):
    """A step, or all shards of one."""

    TABLE: ClassVar = ("step", "shards", "reused", "seconds")

    step: str
    shards: int
    reused: int
    seconds: float
    finished: str


class MeasuredLine(BaseModel):
    """A measurement that a run took, or took over from an earlier one."""

    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int | None
    unit: str
    complete: bool


class FoundLine(BaseModel):
    """A finding of a run."""

    finding: str
    rule: str
    severity: str
    title: str


class RunReport(BaseModel):
    """A run with its steps, inputs and outputs."""

    run: str
    id: str
    operation: str
    parameters: dict[str, Any]
    state: str
    position: int | None = Field(default=None, description="its place among those that wait for a worker; 1 is the next")
    schedule: str | None = Field(default=None, description="the schedule that submitted it, while it waits or runs")
    person: str
    created: str
    started: str | None
    finished: str | None
    error: str | None
    steps: list[StepLine]
    inputs: list[str]
    outputs: list[str]
    measurements: list[MeasuredLine]
    findings: list[FoundLine]
    result: Any = Field(default=None, description="what the operation answered")


@dataclass(frozen=True)
class Now:
    """Which runs wait for a worker, with their places, and which ones a living process works on."""

    waiting: dict[str, int]
    held: frozenset[str]

    def state(self, row: Mapping[str, Any]) -> str:
        """The state as it is: a run whose process was killed still says that it is running."""
        if row["id"] in self.waiting and row["state"] != "cancelling":
            return "queued"
        if row["state"] in ("running", "cancelling") and row["id"] not in self.held:
            return "interrupted"
        return str(row["state"])

    def has(self, state: str) -> ColumnElement[bool]:
        """The condition in SQL that a run is in a state."""
        run, waits = tables.run.c, tables.run.c.id.in_(list(self.waiting))
        works = run.id.in_(list(self.held))
        match state:
            case "queued":
                return or_(run.state == "queued", and_(waits, run.state != "cancelling"))
            case "running":
                return and_(run.state == "running", works)
            case "cancelling":
                return and_(run.state == "cancelling", works)
            case "interrupted":
                lost = or_(and_(run.state == "running", ~waits), run.state == "cancelling")
                return or_(run.state == "interrupted", and_(lost, ~works))
            case _:
                return run.state == state


def now(record: Record) -> Now:
    """What waits and what is worked on at this moment."""
    with record.database.reading() as connection:
        held = frozenset(leases.living(connection))
    return Now(queue.positions(record), held)


def lines(
    record: Record,
    *,
    limit: int,
    page: int = 1,
    state: str | None = None,
    operation: str | None = None,
    person: str | None = None,
) -> RunList:
    """A page of runs, the newest first.

    Args:
        record: where they are.
        limit: how many on a page.
        page: which one, from 1.
        state: only runs in it.
        operation: only runs of it, or of a package's operations.
        person: only runs that this person started, by name.
    """
    at, run = now(record), tables.run.c
    where: list[ColumnElement[bool]] = []
    if state is not None:
        where.append(at.has(state))
    if operation is not None:
        where.append(or_(run.operation == operation, run.operation.startswith(f"{operation}.", autoescape=True)))
    if person is not None:
        where.append(run.person.in_(select(tables.person.c.id).where(tables.person.c.name == person)))
    columns = (run.id, run.operation, run.parameters, run.state, run.person, run.created, run.started, run.finished)
    query = select(*columns).where(*where).order_by(run.created.desc(), run.id).limit(limit).offset((page - 1) * limit)
    with record.database.reading() as connection:
        total = connection.execute(select(func.count()).select_from(tables.run).where(*where)).scalar_one()
        rows = [dict(row) for row in connection.execute(query).mappings()]
        step = tables.step.c
        counted = select(step.run, func.count(), func.count(step.reused)).where(step.run.in_([row["id"] for row in rows]))
        steps = {key: (all_, reused) for key, all_, reused in connection.execute(counted.group_by(step.run))}
        names = people(connection, {row["person"] for row in rows})
    return RunList(runs=[_line(row, at, steps.get(row["id"], (0, 0)), names) for row in rows], total=total)


def report(record: Record, row: Mapping[str, Any]) -> RunReport:
    """One run with all that it read, did and made."""
    at, run = now(record), row["id"]
    queued = record.rows(tables.queue, tables.queue.c.id == run)
    return RunReport(
        run=run[:8],
        id=run,
        operation=row["operation"],
        parameters=row["parameters"],
        state=at.state(row),
        position=at.waiting.get(run),
        schedule=queued[0]["schedule"] if queued else None,
        person=record.name_of(row["person"]),
        created=row["created"],
        started=row["started"],
        finished=row["finished"],
        error=row["error"],
        steps=steps_of(record, run),
        inputs=_versions(record, run, "input"),
        outputs=_versions(record, run, "output"),
        measurements=_measurements(record, run),
        findings=_findings(record, run),
        result=row["result"],
    )


def steps_of(record: Record, run: str) -> list[StepLine]:
    """The steps of a run in the order in which they were finished, the shards of one together."""
    step = tables.step.c
    query = (
        select(step.name, func.count(), func.count(step.reused), func.max(step.seconds), func.max(step.finished))
        .where(step.run == run).group_by(step.name).order_by(func.min(step.finished), step.name)
    )  # fmt: skip
    with record.database.reading() as connection:
        return [
            StepLine(step=name, shards=shards, reused=reused, seconds=round(seconds, 2), finished=finished)
            for name, shards, reused, seconds, finished in connection.execute(query)
        ]


def people(connection: Any, keys: set[str]) -> dict[str, str]:
    """The names behind ids of persons."""
    query = select(tables.person.c.id, tables.person.c.name).where(tables.person.c.id.in_(list(keys)))
    return {row.id: row.name for row in connection.execute(query)}


def names_of(record: Record) -> list[str]:
    """All who have started a run."""
    started = select(tables.run.c.person).distinct()
    rows = record.rows(tables.person, tables.person.c.id.in_(started), order=tables.person.c.name)
    return [str(row["name"]) for row in rows]


def operations_of(record: Record) -> list[str]:
    """The operations that there are runs of."""
    with record.database.reading() as connection:
        return list(connection.execute(select(tables.run.c.operation).distinct().order_by(tables.run.c.operation)).scalars())


def _line(row: Mapping[str, Any], at: Now, steps: Sequence[int], names: Mapping[str, str]) -> RunLine:
    ended = row["started"] and row["finished"]
    took = datetime.fromisoformat(row["finished"]) - datetime.fromisoformat(row["started"]) if ended else None
    return RunLine(
        run=row["id"][:8],
        id=row["id"],
        operation=row["operation"],
        subject=_subject(row["operation"], row["parameters"]),
        state=at.state(row),
        person=names.get(row["person"], ERASED),
        created=row["created"],
        position=at.waiting.get(row["id"]),
        started=row["started"],
        seconds=round(took.total_seconds(), 1) if took else None,
        steps=steps[0] - steps[1],
        reused=steps[1],
    )


def _subject(operation: str, values: Mapping[str, Any]) -> str | None:
    """What a call is about; of an operation that is not installed here, the first text among its values."""
    try:
        parameter = find(operation).subject
    except UserError:
        parameter = None
    if parameter is not None and isinstance(values.get(parameter.name), str):
        return str(values[parameter.name])
    return next((value for value in values.values() if isinstance(value, str)), None)


def _versions(record: Record, run: str, direction: str) -> list[str]:
    query = select(tables.edge.c.version).where(tables.edge.c.run == run, tables.edge.c.direction == direction)
    return [version.ref for version in record.versions(tables.version.c.id.in_(query))]


def _of_run(table: Any, run: str) -> ColumnElement[bool]:
    """What the steps of a run noted, those too that an earlier run did."""
    steps = select(func.coalesce(tables.step.c.reused, tables.step.c.id)).where(tables.step.c.run == run)
    return or_(table.c.step.in_(steps), and_(table.c.run == run, table.c.step.is_(None)))


def _measurements(record: Record, run: str) -> list[MeasuredLine]:
    table = tables.measurement
    rows = record.rows(table, _of_run(table, run), order=(table.c.metric, table.c.created), limit=SHOWN)
    return [MeasuredLine(**{name: row[name] for name in MeasuredLine.model_fields}) for row in rows]


def _findings(record: Record, run: str) -> list[FoundLine]:
    table = tables.finding
    rows = record.rows(table, _of_run(table, run), order=(table.c.created, table.c.id), limit=SHOWN)
    return [FoundLine(finding=row["id"], rule=row["rule"], severity=row["severity"], title=row["title"]) for row in rows]
