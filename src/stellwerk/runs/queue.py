"""The queue: runs that wait for a worker, oldest first, and those whose worker died.

A row stays until its run has ended and whoever asked was told; who works on it, its lease says. Taking a run, counting the
attempt and giving up on one that ends its workers are one transaction, so that no two workers ever have the same run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field
from sqlalchemy import Connection, delete, select

from stellwerk.errors import UserError
from stellwerk.operation import LocalPath, Operation, Sensitive, find
from stellwerk.record import leases, tables
from stellwerk.record.record import Record, Transaction, now
from stellwerk.runs import exchange, execution
from stellwerk.workspace import Workspace

ATTEMPTS = 3
GIVEN_UP = (
    "given up: its process ended {attempts} times in the middle of the work, perhaps for want of memory; "
    "when that is mended, go on with: stellwerk runs resume {run}"
)


class Queued(BaseModel):
    """A run that was handed to a worker."""

    run: str = Field(description="the first digits of its id")
    id: str
    operation: str
    state: str
    position: int | None = Field(description="its place in the queue, 1 is the next; nothing where a worker has it already")
    next: str


@dataclass(frozen=True)
class Taken:
    """A run that this process has the lease of.

    Attributes:
        run: its id.
        operation: its path, such as `data.build`.
        token: of the lease.
        attempt: how often it was taken, this time included.
    """

    run: str
    operation: str
    token: int
    attempt: int


def enqueue(workspace: Workspace, operation: Operation, values: Mapping[str, Any], schedule: str | None = None) -> str:
    """Note a run and put it into the queue, both or neither.

    Returns:
        The id of the run.

    Raises:
        UserError: a value is wrong, or one that only the caller's process or machine has.
    """
    values = execution.received(workspace, operation, values)
    check(workspace, operation, values)
    prepared = execution.prepare(workspace, operation, values)
    with workspace.record.writing(workspace.person) as transaction:
        return add(transaction, prepared, schedule)


def again(workspace: Workspace, run_id: str) -> None:
    """Put a run that ended early back into the queue; a worker goes on with it.

    Raises:
        UserError: it is done or being worked on, or no worker could go on with it.
    """
    (row,) = workspace.record.rows(tables.run, tables.run.c.id == run_id)
    execution.check_resumable(row)
    check(workspace, find(row["operation"]), row["parameters"])
    with workspace.record.writing(workspace.person) as transaction:
        connection = transaction.connection
        state = connection.execute(select(tables.run.c.state).where(tables.run.c.id == run_id)).scalar_one()
        if state == "done":
            raise execution.Conflict(f"run {run_id[:8]} is done; there is nothing to resume")
        if leases.is_held(connection, run_id):
            raise execution.Conflict(f"run {run_id[:8]} is being worked on; wait for its end, or cancel it")
        transaction.update(tables.run, run_id, state="queued", finished=None, error=None)
        place = {"created": leases.moment(connection), "attempts": 0}
        if not connection.execute(tables.queue.update().where(tables.queue.c.id == run_id).values(**place)).rowcount:
            connection.execute(tables.queue.insert(), {"id": run_id, "schedule": None, **place})


def check(workspace: Workspace, operation: Operation, values: Mapping[str, Any]) -> None:
    """Refuse what no worker could do.

    Raises:
        UserError: a value may name a person, so that it is not kept, or is a path on this machine.
    """
    if operation.kind != "run":
        raise UserError(f"{operation.path.replace('.', ' ')} only looks something up; call it without the queue")
    for name, parameter in operation.parameters.items():
        if values.get(name) is None:
            continue
        if isinstance(parameter.marker, Sensitive):
            raise UserError(f"{name} may name a person, so its value is not kept and cannot wait for a worker; run it here")
        if isinstance(parameter.marker, LocalPath) and not exchange.travels(workspace, parameter.marker, values[name]):
            raise UserError(f"{name} is a path on this machine, and a worker may be on another; run it here")


def add(transaction: Transaction, prepared: execution.Prepared, schedule: str | None) -> str:
    """Write a run and its place in the queue; returns the run's id."""
    run = execution.note(transaction, prepared)
    row = {"id": run, "created": leases.moment(transaction.connection), "attempts": 0, "schedule": schedule}
    transaction.connection.execute(tables.queue.insert(), row)
    return run


def take(workspace: Workspace) -> Taken | None:
    """Take the oldest run that nobody works on; None where there is none.

    One that has ended is taken too, as long as nobody was told of its end.
    """
    with workspace.record.database.reading() as connection:
        if _free(connection) is None:
            return None
    with workspace.record.writing(workspace.person) as transaction:
        connection = transaction.connection
        row = _free(connection)
        token = leases.take(connection, row["id"], leases.SECONDS) if row else None
        if row is None or token is None:
            return None
        run, attempts = row["id"], row["attempts"]
        if row["state"] == "cancelling":
            transaction.update(tables.run, run, state="cancelled", finished=now())
        elif row["state"] not in execution.ENDED and attempts >= ATTEMPTS:
            sentence = GIVEN_UP.format(attempts=attempts, run=run[:8])
            transaction.update(tables.run, run, state="failed", finished=now(), error=sentence)
        connection.execute(tables.queue.update().where(tables.queue.c.id == run).values(attempts=attempts + 1))
        return Taken(run, row["operation"], token, attempts + 1)


def give_back(workspace: Workspace, taken: Taken, *, counts: bool) -> None:
    """Let another worker take a run whose process ended before the run did.

    Args:
        workspace: of the record.
        taken: the run.
        counts: whether the run itself ended its process; if not, the attempt is not counted.
    """
    with workspace.record.database.writing() as connection:
        lease = tables.lease.c
        ended = tables.lease.update().where(lease.id == taken.run, lease.token == taken.token)
        ours = connection.execute(ended.values(expires=leases.moment(connection) - 1)).rowcount
        if ours and not counts:
            row = tables.queue.c
            connection.execute(tables.queue.update().where(row.id == taken.run).values(attempts=row.attempts - 1))


def fail(workspace: Workspace, taken: Taken, sentence: str) -> None:
    """Note that a run could not even begin."""
    with workspace.record.writing(workspace.person) as transaction:
        leases.check(transaction.connection, taken.run, taken.token)
        said = sentence.encode(errors="replace").decode()
        transaction.update(tables.run, taken.run, state="failed", finished=now(), error=said)


def finish(workspace: Workspace, taken: Taken) -> None:
    """Take a run that has ended out of the queue, and give its lease back."""
    with workspace.record.database.writing() as connection:
        leases.check(connection, taken.run, taken.token)
        connection.execute(delete(tables.queue).where(tables.queue.c.id == taken.run))
        lease = tables.lease.c
        connection.execute(tables.lease.update().where(lease.id == taken.run).values(expires=leases.moment(connection) - 1))


def positions(record: Record) -> dict[str, int]:
    """The runs that wait for a worker: their places in the queue by id, 1 is the next."""
    with record.database.reading() as connection:
        waiting = [row["id"] for row in _rows(connection) if row["state"] not in execution.ENDED]
        held = leases.living(connection)
    return {run: place for place, run in enumerate((run for run in waiting if run not in held), start=1)}


def is_waiting(connection: Connection, schedule: str) -> bool:
    """Whether a run of a schedule waits or is worked on."""
    return any(row["schedule"] == schedule and row["state"] not in execution.ENDED for row in _rows(connection))


def _free(connection: Connection) -> Mapping[str, Any] | None:
    """The oldest run in the queue that no living process has the lease of."""
    return next((row for row in _rows(connection) if not leases.is_held(connection, row["id"])), None)


def _rows(connection: Connection) -> list[Mapping[str, Any]]:
    queue, run = tables.queue.c, tables.run.c
    query = select(queue.id, queue.attempts, queue.schedule, run.operation, run.state)
    query = query.join_from(tables.queue, tables.run, queue.id == run.id).order_by(queue.created, queue.id)
    return [dict(row) for row in connection.execute(query).mappings()]
