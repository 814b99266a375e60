"""Answers calls for a server: what is light on a thread, what reads data in a process that can be ended, runs by a worker.

A query of a job may run what its caller wrote over all the data there is, so it has a limit of time and of memory behind which
its process is killed; the queries of the core read the record and stay in this process, where they are quick. Who may
call is not asked here.
"""

from __future__ import annotations

import functools
import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import IO, Any

import anyio
import anyio.from_thread
import anyio.to_thread

from stellwerk.errors import StellwerkError, UserError
from stellwerk.operation import Operation, Sensitive
from stellwerk.record.connecting import RecordUnreachable
from stellwerk.runs import execution, queue
from stellwerk.runs.operations import GOING, Following
from stellwerk.runs.queue import Queued
from stellwerk.workspace import Workspace

SECONDS = 60.0  # for one query
BYTES = 3 << 30  # of memory, for one query that reads data
LIGHT = 12  # threads; more would wait for the interpreter or for a connection of the record's pool
ASIDE = 2  # runs at a time whose values must not wait anywhere
FOLLOW = "runs.follow"
FOLLOW_SECONDS = 20.0
LOOK = 0.5  # seconds between two looks at a run
SLICE = 0.1


class TooBusy(StellwerkError):
    """A call took longer than it may, or others did; it may be given again."""


class Answers:
    """Answers for all callers of one server.

    Args:
        workspace: whose operations are called.
        seconds: after which a query is given up.
        processes: that answer queries of jobs, at most; one for each core if not given, two at least and four at most.
    """

    def __init__(self, workspace: Workspace, seconds: float = SECONDS, processes: int | None = None) -> None:
        size = processes or min(4, max(2, os.cpu_count() or 1))
        self._seconds = seconds
        self._root = workspace.root
        self._store = workspace.store
        self._idle: list[Answerer] = []
        self._all: set[Answerer] = set()
        self._lock = threading.Lock()
        self._aside = threading.BoundedSemaphore(ASIDE)
        self._heavy = anyio.CapacityLimiter(size)
        self._light = anyio.CapacityLimiter(LIGHT)

    async def answer(self, workspace: Workspace, operation: Operation, values: Mapping[str, Any]) -> bytes:
        """Answer a query.

        Args:
            workspace: acting for the caller.
            operation: one that is no run.
            values: JSON, as a network door takes them (`exchange.model`).

        Returns:
            The result as JSON.

        Raises:
            UserError: a value is wrong.
            TooBusy: it took too long.
        """

        def lightly() -> bytes:
            return as_json(execution.call(workspace, operation, values))

        def heavily() -> bytes:
            return self._ask(_call(workspace, operation, values), anyio.from_thread.check_cancelled)

        heavy = is_heavy(operation)
        if operation.path == FOLLOW:
            return await self.follow(workspace, operation, values)
        limiter = self._heavy if heavy else self._light
        try:
            # A process is ended by its own clock, so that its time does not begin while it waits for its turn.
            with anyio.fail_after(self._seconds * (3 if heavy else 1)):
                return await anyio.to_thread.run_sync(
                    heavily if heavy else lightly, limiter=limiter, abandon_on_cancel=not heavy
                )
        except TimeoutError:
            raise TooBusy(_too_long(operation, self._seconds)) from None

    async def follow(
        self,
        workspace: Workspace,
        operation: Operation,
        values: Mapping[str, Any],
        longest: float = FOLLOW_SECONDS,
        tell: Callable[[Following], Awaitable[None]] | None = None,
    ) -> bytes:
        """Wait for a run without holding a thread.

        Args:
            workspace: acting for the caller.
            operation: runs.follow.
            values: its parameters.
            longest: how many seconds to wait at most, and unless told otherwise.
            tell: is told at each look where the run stands.
        """
        checked = operation.validate({"seconds": longest, **values})
        until = time.monotonic() + min(checked["seconds"], longest)
        while True:
            look = functools.partial(execution.call, workspace, operation, {**checked, "seconds": 0})
            standing = await anyio.to_thread.run_sync(look, limiter=self._light, abandon_on_cancel=True)
            if tell is not None:
                await tell(standing)
            left = until - time.monotonic()
            if standing.state not in GOING or left <= 0:
                return as_json(standing)
            # `latest` may soon be another one.
            checked["run_id"] = standing.run
            await anyio.sleep(min(LOOK, left))

    def check(self, workspace: Workspace, operation: Operation, values: Mapping[str, Any]) -> None:
        """Check the values of a call, and that what they name is there, without calling.

        Raises:
            UserError: a value is wrong.
        """
        taken = execution.received(workspace, operation, values)
        if operation.kind == "run" and not _secret(operation, taken):
            queue.check(workspace, operation, taken)
        execution.prepare(workspace, operation, taken)

    def start(self, workspace: Workspace, operation: Operation, values: Mapping[str, Any]) -> Queued:
        """Begin a run: a worker does it, or a process of this server where a value may name a person and so is not kept.

        Raises:
            UserError: a value is wrong; nothing was noted.
        """
        if not _secret(operation, values):
            run = queue.enqueue(workspace, operation, values)
            position = queue.positions(workspace.record).get(run)
        else:
            run, position = self._start_aside(workspace, operation, values), None
        then = f"GET /api/runs/{run}/events, or stellwerk runs follow {run[:8]}"
        return Queued(run=run[:8], id=run, operation=operation.path, state="queued", position=position, next=then)

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            for answerer in self._all:
                answerer.end()
            self._all.clear()
            self._idle.clear()

    def _start_aside(self, workspace: Workspace, operation: Operation, values: Mapping[str, Any]) -> str:
        if not self._aside.acquire(blocking=False):
            raise TooBusy(f"{ASIDE} such runs are being worked on already, and their values wait nowhere; call it again then")
        try:
            run = execution.submit(workspace, operation, values)
            values = execution.received(workspace, operation, values)
            answerer = Answerer(self._root, "run")
        except BaseException:
            self._aside.release()
            raise
        with self._lock:
            self._all.add(answerer)

        def attend() -> None:
            with suppress(StellwerkError):
                answerer.ask(_call(workspace, operation, values, run=run), None, None)
            self._done_with(answerer)
            self._aside.release()

        threading.Thread(target=attend, name=f"run {run[:8]}", daemon=True).start()
        return run

    def _ask(self, call: bytes, check: Callable[[], None]) -> bytes:
        """Have a process answer: one that is free, or a new one."""
        while True:
            with self._lock:
                answerer, fresh = (self._idle.pop(), False) if self._idle else (Answerer(self._root), True)
                self._all.add(answerer)
            try:
                found = answerer.ask(call, self._seconds, BYTES, check)
            except BrokenPipeError:
                # One that rested for long has ended.
                self._done_with(answerer)
                if fresh:
                    raise StellwerkError("the process that answers could not be started; call it again") from None
                continue
            except BaseException:
                if answerer.process.poll() is not None:
                    self._done_with(answerer)
                    with suppress(OSError):
                        self._store.sweep()
                else:
                    self._rest(answerer)
                raise
            self._rest(answerer)
            return found

    def _rest(self, answerer: Answerer) -> None:
        with self._lock:
            if answerer in self._all:
                self._idle.append(answerer)

    def _done_with(self, answerer: Answerer) -> None:
        answerer.end()
        with self._lock:
            self._all.discard(answerer)


class Answerer:
    """A process that answers one call at a time."""

    def __init__(self, root: Path, *words: str) -> None:
        command = [sys.executable, "-P", "-m", "stellwerk.doors.answerer", str(root), str(os.getpid()), *words]
        self.process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603 - our own module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True
        )

    def ask(self, call: bytes, seconds: float | None, memory: int | None, check: Callable[[], None] = lambda: None) -> bytes:
        """Give it a call and wait for the answer; it is killed at its limits, and when `check` raises: nobody waits any more.

        Raises:
            UserError: the value of a parameter is wrong.
            TooBusy: the time is over.
            BrokenPipeError: it has ended before.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(call + b"\n")
        deadline = None if seconds is None else time.monotonic() + seconds
        content, said = bytearray(), None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while said is None or len(content) < said["bytes"]:
                if selector.select(SLICE):
                    content += self._read(self.process.stdout)
                    if said is None and b"\n" in content:
                        line, _, content = content.partition(b"\n")
                        said = json.loads(line)
                try:
                    check()
                except BaseException:
                    self.end()
                    raise
                if deadline is not None and time.monotonic() > deadline:
                    self.end()
                    raise TooBusy(f"it took longer than {seconds:g} s and was ended; ask for less")
                if memory is not None and _memory(self.process.pid) > memory:
                    self.end()
                    raise UserError(f"it needed more than {memory >> 30} GB of memory and was ended; ask for less")
        return _told(said["kind"], bytes(content))

    def _read(self, pipe: IO[bytes]) -> bytes:
        part = pipe.read(1 << 20)
        if not part:
            code = self.process.wait()
            self.end()
            if code == 0:
                raise BrokenPipeError
            why = "perhaps for want of memory" if code == -9 else f"exit code {code}"
            raise UserError(f"its process ended ({why}); ask for less")
        return part

    def end(self) -> None:
        """Kill it; harmless if it has ended."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]


def is_heavy(operation: Operation) -> bool:
    """Whether a query reads more than the record: those of the jobs do, and those that judge or ask models."""
    return operation.package in _jobs() or operation.package in ("evaluation", "llm")


@functools.cache
def _jobs() -> frozenset[str]:
    return frozenset(entry.name for entry in entry_points(group="stellwerk.jobs"))


def as_json(value: Any) -> bytes:
    """A result as every JSON parser reads it: what is no number is null."""
    from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

    try:
        return to_json(value, inf_nan_mode="null")
    except PydanticSerializationError:  # names of files may be no text
        plain = to_jsonable_python(to_jsonable_python(value), inf_nan_mode="null")
        return json.dumps(plain, ensure_ascii=False).encode(errors="replace")


def _call(workspace: Workspace, operation: Operation, values: Mapping[str, Any], run: str | None = None) -> bytes:
    call = {"operation": operation.path, "values": values, "run": run}
    return json.dumps({**call, "actor": workspace.actor, "authenticated": workspace.authenticated}).encode()


def _told(kind: str, content: bytes) -> bytes:
    if kind == "result":
        return content
    errors = {"user": UserError, "conflict": execution.Conflict, "away": RecordUnreachable}
    raise errors.get(kind, StellwerkError)(content.decode())


def _secret(operation: Operation, values: Mapping[str, Any]) -> bool:
    return any(isinstance(p.marker, Sensitive) and values.get(name) is not None for name, p in operation.parameters.items())


def _too_long(operation: Operation, seconds: float) -> str:
    still = "; it may still come about" if operation.changes else ""
    return f"{operation.path.replace('.', ' ')} took longer than {seconds:g} s and was given up{still}"


def _memory(process: int) -> int:
    """Bytes that a process has in memory."""
    with suppress(OSError, IndexError, ValueError):
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
