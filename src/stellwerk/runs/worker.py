"""The worker: takes runs from the queue, has each worked on by a child process, and submits what schedules are due for.

It holds the lease of a run in its own name and hands the token to the child, so that a run whose child or worker dies is free
at once or when the lease ends. It does no work itself, and a record that is away for a while does not end it.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

from sqlalchemy.exc import SQLAlchemyError

from stellwerk.record import leases, tables
from stellwerk.record.connecting import RecordUnreachable
from stellwerk.runs import child, queue
from stellwerk.runs.queue import Taken
from stellwerk.runs.ticks import Ticks
from stellwerk.workspace import Workspace

POLL = 1.0  # seconds
SLICE = 0.05  # seconds after which a child's end or a signal is noticed
BEAT = 5.0  # seconds between signs of life
FORGET = 86400.0  # seconds after which a worker that gives no sign is no longer listed

log = logging.getLogger("stellwerk.worker")


@dataclass
class Child:
    """A process that works on a run."""

    process: subprocess.Popen[bytes]
    taken: Taken
    began: float
    asked: bool = False


class Worker:
    """Works on the queue of one workspace."""

    def __init__(self, workspace: Workspace, concurrency: int = 1, clock: Callable[[], float] = time.time) -> None:
        self.workspace = workspace
        self.concurrency = concurrency
        self.id = uuid.uuid4().hex
        self.children: list[Child] = []
        self.signals = 0
        self._clock = clock
        self._ticks = Ticks(workspace)
        self._left: list[tuple[Taken, bool]] = []
        self._seen = 0.0
        self._away = False

    def work(self, *, once: bool = False) -> None:
        """Work until a signal, or until there is nothing left to do.

        Args:
            once: end when no run waits and no schedule is due; an error of the record ends it too.
        """
        with self._listening():
            try:
                while self._turn(once):
                    self._pause()
            finally:
                self._end_children()
                with suppress(SQLAlchemyError):
                    self._forget()
        log.info("worker ended")

    def _turn(self, once: bool) -> bool:
        """Do what there is to do now; False when the worker is at its end."""
        busy = False
        try:
            self._reap()
            self._beat()
            if self.signals:
                self._call_back()
            else:
                busy = bool(self._ticks.due(self._clock()))
                busy = self._take() or busy
            if self._away:
                log.info("the record can be reached again")
            self._away = False
        except SQLAlchemyError as error:
            if once and not self.signals:
                raise
            if not self._away:
                # What the record says of itself is a sentence of ours; other errors of the library may quote values.
                why = error if isinstance(error, RecordUnreachable) else type(error).__name__
                log.warning("the record cannot be reached, it is tried again: %s", why)
            self._away = True
        if self.signals or once:
            return busy or bool(self.children)
        return True

    def _take(self) -> bool:
        """Start a child for each run that is free, as many as there is room for."""
        found = False
        while len(self.children) < self.concurrency and (taken := queue.take(self.workspace)):
            found = True
            self.children.append(Child(self._start(taken), taken, time.monotonic()))
            again = f", attempt {taken.attempt}" if taken.attempt > 1 else ""
            log.info("run %s %s taken%s", taken.run[:8], taken.operation, again)
        return found

    def _start(self, taken: Taken) -> subprocess.Popen[bytes]:
        words = [str(self.workspace.root), taken.run, str(taken.token), str(taken.attempt), str(os.getpid())]
        # In a session of its own, so that Ctrl-C reaches the worker alone, which decides what becomes of the run.
        return subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-P", "-m", child.__name__, *words], stdin=subprocess.DEVNULL, start_new_session=True
        )

    def _reap(self) -> None:
        """Note which children have ended, and give back the runs that have not."""
        for done in [one for one in self.children if one.process.poll() is not None]:
            self.children.remove(done)
            code, taken = done.process.returncode, done.taken
            if code != child.SETTLED:
                harmless = code == child.LEFT or (done.asked and code == -signal.SIGTERM)
                self._left.append((taken, not harmless))
                why = "was left" if harmless else f"lost its process ({_cause(code)})"
                log.warning("run %s %s %s and can be taken again", taken.run[:8], taken.operation, why)
            else:
                self._say_end(done)
        while self._left:
            taken, counts = self._left[0]
            queue.give_back(self.workspace, taken, counts=counts)
            self._left.pop(0)

    def _say_end(self, done: Child) -> None:
        row = self.workspace.record.rows(tables.run, tables.run.c.id == done.taken.run)[0]
        state = "went back to the queue" if row["state"] == "queued" else row["state"]
        seconds = time.monotonic() - done.began
        log.info("run %s %s %s after %.1f s", done.taken.run[:8], done.taken.operation, state, seconds)

    def _call_back(self) -> None:
        """Ask the children to stop, once."""
        for one in self.children:
            if not one.asked:
                one.asked = True
                one.process.terminate()
                log.info("run %s %s is asked to stop", one.taken.run[:8], one.taken.operation)

    def _beat(self) -> None:
        """Give a sign of life."""
        if self._seen and time.monotonic() - self._seen < BEAT:
            return
        worker = tables.worker.c
        with self.workspace.record.database.writing() as connection:
            moment = leases.moment(connection)
            connection.execute(tables.worker.delete().where(worker.seen < moment - FORGET))
            known = connection.execute(tables.worker.update().where(worker.id == self.id).values(seen=moment)).rowcount
            if not known:
                row = {"id": self.id, "holder": leases.holder(), "concurrency": self.concurrency}
                connection.execute(tables.worker.insert(), {**row, "started": moment, "seen": moment})
        if not self._seen:
            log.info("worker started, %d at a time", self.concurrency)
        self._seen = time.monotonic()

    def _forget(self) -> None:
        with self.workspace.record.database.writing() as connection:
            connection.execute(tables.worker.delete().where(tables.worker.c.id == self.id))

    def _pause(self) -> None:
        """Wait about a second, or until a child ends or a signal comes; not all workers ask at the same moment."""
        until = time.monotonic() + POLL * secrets.SystemRandom().uniform(0.7, 1.3)
        signals = self.signals
        while time.monotonic() < until and self.signals == signals:
            if any(one.process.poll() is not None for one in self.children):
                return
            time.sleep(SLICE)

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Count the signals that ask for an end; the second one ends everything at once."""

        def hear(number: int, _: FrameType | None) -> None:
            self.signals += 1
            if self.signals > 1:
                for one in self.children:
                    one.process.kill()
                os._exit(128 + number)

        before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end_children(self) -> None:
        for one in self.children:
            one.process.kill()
        for one in self.children:
            one.process.wait()


def _cause(code: int) -> str:
    if code == -signal.SIGKILL:
        return "killed, perhaps for want of memory"
    return f"signal {-code}" if code < 0 else f"exit code {code}"
