"""Operations on runs: what waits, runs and ran, following one, stopping one, going on with one; workers, schedules, plans."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field
from sqlalchemy import func, select

from stellwerk.errors import UserError
from stellwerk.operation import find, operation
from stellwerk.record import leases, tables
from stellwerk.runs import execution, planning, queue, reading, schedules
from stellwerk.runs.planning import Plan
from stellwerk.runs.reading import RunList, RunReport
from stellwerk.runs.schedules import Schedule
from stellwerk.workspace import Workspace

State = Literal["queued", "running", "cancelling", "interrupted", "cancelled", "failed", "done"]
GOING = ("queued", "running", "cancelling")
SILENT = 20.0  # seconds without a sign of life from a worker, which gives one every five


class ProgressLine(BaseModel):
    """How far a step is."""

    step: str
    done: float
    total: float | None
    unit: str


class Following(BaseModel):
    """Where a run stands."""

    run: str
    state: str
    error: str | None
    progress: list[ProgressLine]


class Changed(BaseModel):
    """The state of a run after a wish was noted."""

    run: str
    state: str
    exit_code: int = Field(default=0, description="of the operation that was resumed: 1 when a gate or data test failed")


class WorkerLine(BaseModel):
    """A worker."""

    machine: str
    process: int
    state: str = Field(description="working, idle, silent (no sign of life for a while) or dead")
    runs: int = Field(description="runs that it works on")
    concurrency: int = Field(description="runs that it works on at most")
    started: str
    seen: str = Field(description="its last sign of life")


class WorkerList(BaseModel):
    """The workers of this record."""

    message: str
    workers: list[WorkerLine]


class ScheduleLine(BaseModel):
    """A schedule: when it is due, and how its last run ended."""

    schedule: str
    cron: str
    next: list[str] = Field(description="when it is due next, in the time zone of stellwerk.yaml")
    last: str | None = Field(description="the last run of that operation on that spec")
    state: str | None = Field(description="the state of that run")


class ScheduleList(BaseModel):
    """The schedules of the spec files."""

    message: str
    timezone: str
    schedules: list[ScheduleLine]
    broken: list[str] = Field(description="spec files that cannot be read, and the command that says why")


def _exit_code(result: Changed) -> int:
    return result.exit_code


@operation(example={})
def list_(
    limit: Annotated[int, Field(ge=1, le=1000)] = 20,
    page: Annotated[int, Field(ge=1)] = 1,
    state: State | None = None,
    operation: str | None = None,
    person: str | None = None,
    *,
    workspace: Workspace,
) -> RunList:
    """List the runs, the newest first.

    Args:
        limit: how many to show at most.
        page: which page of so many, from 1.
        state: only runs in this state.
        operation: only runs of this operation, such as data.build, or of all operations of a package, such as data.
        person: only runs that this person started.
    """
    return reading.lines(workspace.record, limit=limit, page=page, state=state, operation=operation, person=person)


@operation(example={"run_id": "latest"})
def show(run_id: str = "latest", *, workspace: Workspace) -> RunReport:
    """Show one run: its parameters, steps, inputs, outputs, and what it found.

    Args:
        run_id: the first digits of its id, or latest.
    """
    return reading.report(workspace.record, _find(workspace, run_id))


@operation(example={"run_id": "latest", "seconds": 0})
def follow(run_id: str = "latest", seconds: float = 3600, *, workspace: Workspace) -> Following:
    """Wait until a run has ended, or for some time, and say where it stands.

    Args:
        run_id: the first digits of its id, or latest.
        seconds: how long to wait at most.
    """
    key, deadline = _find(workspace, run_id)["id"], time.monotonic() + seconds
    while True:
        row = workspace.record.rows(tables.run, tables.run.c.id == key)[0]
        state = reading.now(workspace.record).state(row)
        if workspace.listener:
            for line in _progress(workspace, key):
                workspace.listener(line.step, line.done, line.total, line.unit)
        if state not in GOING or time.monotonic() >= deadline:
            break
        time.sleep(min(0.5, max(0.0, deadline - time.monotonic())))
    return Following(run=key[:8], state=state, error=row["error"], progress=_progress(workspace, key))


@operation(example={"run_id": "latest"}, changes=True)
def cancel(run_id: str, *, workspace: Workspace) -> Changed:
    """Ask a run to stop; what it has finished is kept, and it can be resumed.

    Args:
        run_id: the first digits of its id, or latest.
    """
    row = _find(workspace, run_id)
    return Changed(run=row["id"][:8], state=execution.cancel(workspace, row["id"]))


@operation(example={"run_id": "latest"}, changes=True, exit_code=_exit_code)
def resume(run_id: str = "latest", *, workspace: Workspace) -> Changed:
    """Go on with a run that was killed, cancelled or failed; finished steps are not done again.

    Args:
        run_id: the first digits of its id, or latest.
    """
    row = _find(workspace, run_id)
    _check_decision(workspace, row)
    if workspace.background:
        queue.again(workspace, row["id"])
        return Changed(run=row["id"][:8], state="queued")
    result = execution.resume(workspace, row["id"], workspace.listener)
    entry = find(row["operation"])
    return Changed(run=row["id"][:8], state="done", exit_code=entry.exit_code(result) if entry.exit_code else 0)


@operation(example={})
def workers(*, workspace: Workspace) -> WorkerList:
    """List the workers of this record, and whether they live."""
    with workspace.record.database.reading() as connection:
        now = leases.moment(connection)
        lease = tables.lease.c
        busy = select(lease.holder, func.count().label("runs")).where(lease.expires > now).group_by(lease.holder)
        working = {row.holder: row.runs for row in connection.execute(busy)}
        rows = [dict(row) for row in connection.execute(select(tables.worker).order_by(tables.worker.c.started)).mappings()]
    found = [_worker(row, working.get(row["holder"], 0), now) for row in rows]
    none = "no worker has given a sign of life in the last day; start one with: stellwerk worker"
    return WorkerList(message=f"{len(found)} workers in the last day" if found else none, workers=found)


@operation(example={})
def schedules_(*, workspace: Workspace) -> ScheduleList:
    """List the schedules of the spec files: when each is due, and how its last run ended."""
    found, broken = schedules.read(workspace)
    now = reading.now(workspace.record)
    zone = schedules.zone(workspace)
    none = 'no spec has a schedule; add for example: schedule: "0 5 * * *"'
    return ScheduleList(
        message=f"{len(found)} schedules; a worker starts what is due" if found else none,
        timezone=zone.key,
        schedules=[_schedule(workspace, schedule, zone, now) for schedule in found],
        broken=[f"{file}: see {command}" for file, command in broken.items()],
    )


@operation(example={"operation": "data.build", "subject": "tickets"})
def plan(operation: str, subject: str | None = None, *, workspace: Workspace) -> Plan:
    """Say what a run is likely to take, time and disk, from what earlier ones used.

    Args:
        operation: what is to be run, such as data.build.
        subject: what it is about, such as tickets.
    """
    entry = find(operation)
    if entry.kind != "run":
        raise UserError(f"{operation} only looks something up and is answered at once; name one that runs, such as data.build")
    return planning.plan(workspace, entry, subject)


def _check_decision(workspace: Workspace, row: Mapping[str, Any]) -> None:
    """What decides about evidence stands under the name of whoever started it, so that nobody may start it for them."""
    if row["state"] == "done":
        return  # it is refused for that
    if find(row["operation"]).scope == "approve" and (workspace.background or "caller" in row["snapshots"]):
        again = row["operation"].replace(".", " ")
        raise UserError(f"run {row['id'][:8]} decides in the name of who started it; decide anew with: stellwerk {again}")


def _worker(row: Mapping[str, Any], runs: int, now: float) -> WorkerLine:
    machine, _, process, _ = row["holder"].split(" ")
    silent = now - row["seen"] > SILENT
    state = "dead" if leases.dead(row["holder"]) else "silent" if silent else "working" if runs else "idle"
    started, seen = (datetime.fromtimestamp(row[name], UTC).isoformat(timespec="seconds") for name in ("started", "seen"))
    return WorkerLine(
        machine=machine,
        process=int(process),
        state=state,
        runs=runs,
        concurrency=row["concurrency"],
        started=started,
        seen=seen,
    )


def _schedule(workspace: Workspace, schedule: Schedule, zone: ZoneInfo, now: reading.Now) -> ScheduleLine:
    rows = workspace.record.rows(
        tables.run, tables.run.c.operation == schedule.operation.path, order=tables.run.c.created.desc()
    )
    last = next((row for row in rows if row["parameters"].get(schedule.parameter) == schedule.spec), None)
    return ScheduleLine(
        schedule=schedule.name,
        cron=schedule.cron,
        next=[f"{moment:%Y-%m-%d %H:%M %z}" for moment in schedules.upcoming(schedule.cron, zone, time.time())],
        last=last["id"][:8] if last else None,
        state=now.state(last) if last else None,
    )


def _progress(workspace: Workspace, run: str) -> list[ProgressLine]:
    lines = workspace.record.rows(tables.progress, tables.progress.c.run == run, order=tables.progress.c.updated)
    return [ProgressLine(**{name: line[name] for name in ("step", "done", "total", "unit")}) for line in lines]


def _find(workspace: Workspace, run_id: str) -> dict[str, Any]:
    if run_id == "latest":
        rows = workspace.record.rows(tables.run, order=tables.run.c.created.desc(), limit=1)
        if not rows:
            raise UserError("nothing has run in this workspace yet")
        return rows[0]
    rows = workspace.record.rows(tables.run, tables.run.c.id.startswith(run_id, autoescape=True), limit=2)
    if len(rows) != 1:
        several = "more than one run begins" if rows else "no run begins"
        raise UserError(f"{several} with {run_id!r}; see them with: stellwerk runs list")
    return rows[0]
