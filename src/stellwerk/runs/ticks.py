"""Submitting what is due: of several workers exactly one puts a run into the queue for one due time.

The time of each schedule's last due run stands in the record. Whoever writes a later one submits the run in the same
transaction; so a worker that was away finds only the latest missed time, and a schedule that is new begins with its next one.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from stellwerk.errors import StellwerkError, UserError
from stellwerk.record import tables
from stellwerk.record.connecting import RecordUnreachable
from stellwerk.runs import execution, queue, schedules
from stellwerk.runs.schedules import Schedule
from stellwerk.workspace import Workspace

log = logging.getLogger("stellwerk.worker")


@dataclass
class Ticks:
    """The schedules of one workspace, and what was said of those that cannot run, so that it is said once."""

    workspace: Workspace
    said: dict[str, str] = field(default_factory=dict)

    def due(self, now: float) -> list[str]:
        """Submit what is due.

        Args:
            now: seconds since 1970.

        Returns:
            The ids of the runs that this call put into the queue.
        """
        found, broken = schedules.read(self.workspace)
        for file, command in broken.items():
            self._say(file, f"{file} has a mistake, so its schedule rests; see it with: {command}")
        submitted = [self._submit(schedule, now) for schedule in found]
        standing = {*broken, *(schedule.name for schedule in found)}
        self.said = {name: sentence for name, sentence in self.said.items() if name in standing}
        return [run for run in submitted if run is not None]

    def _submit(self, schedule: Schedule, now: float) -> str | None:
        latest = schedules.latest(schedule.cron, schedules.zone(self.workspace), int(now // 60))
        with self.workspace.record.database.reading() as connection:
            last = _last(connection, schedule)
        if last is not None and (latest is None or last >= latest):
            return None
        if last is None:
            self._begin(schedule, now)
            return None
        try:
            values = {schedule.parameter: schedule.spec}
            queue.check(self.workspace, schedule.operation, values)
            prepared = execution.prepare(self.workspace, schedule.operation, values)
        except RecordUnreachable:
            raise
        except UserError:
            command = f"stellwerk {schedule.operation.path.replace('.', ' ')} {schedule.spec}"
            self._say(schedule.name, f"schedule {schedule.name} is due and cannot run; see why with: {command}")
            return None
        except StellwerkError:
            self._say(schedule.name, f"schedule {schedule.name} is due and the store cannot be reached; it is tried again")
            return None
        self.said.pop(schedule.name, None)
        assert latest is not None
        return self._write(schedule, prepared, latest)

    def _write(self, schedule: Schedule, prepared: execution.Prepared, latest: float) -> str | None:
        """Move the tick and submit the run, unless another worker did, or an earlier run of the schedule is not at its end."""
        with self.workspace.record.writing(self.workspace.person) as transaction:
            connection = transaction.connection
            last = _last(connection, schedule)
            if last is None or last >= latest:
                return None
            tick = tables.tick.update().where(tables.tick.c.schedule == schedule.name)
            connection.execute(tick.values(due=latest))
            busy = queue.is_waiting(connection, schedule.name)
            run = None if busy else queue.add(transaction, prepared, schedule.name)
        if run is None:
            log.info("schedule %s is due and skipped, for its last run is not at its end", schedule.name)
        else:
            log.info("run %s %s queued by its schedule", run[:8], schedule.name)
        return run

    def _begin(self, schedule: Schedule, now: float) -> None:
        """Note a schedule that was not there before; it counts from now."""
        with self.workspace.record.database.writing() as connection:
            if _last(connection, schedule) is None:
                connection.execute(tables.tick.insert(), {"schedule": schedule.name, "due": now})
                log.info("schedule %s was noted (%s)", schedule.name, schedule.cron)

    def _say(self, what: str, sentence: str) -> None:
        if self.said.get(what) != sentence:
            self.said[what] = sentence
            log.warning("%s", sentence)


def due(workspace: Workspace, now: float) -> list[str]:
    """Submit what is due in a workspace, once; returns the ids of the runs."""
    return Ticks(workspace).due(now)


def _last(connection: Connection, schedule: Schedule) -> float | None:
    query = select(tables.tick.c.due).where(tables.tick.c.schedule == schedule.name)
    found = connection.execute(query).scalar()
    return None if found is None else float(found)
