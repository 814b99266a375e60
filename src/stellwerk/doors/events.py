"""The progress of runs as server-sent events: one look at a run twice a second, however many listen to it.

A listener is told where the run stands when it comes, what has changed since, and the end, after which it is let go.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio.to_thread
from fastapi.sse import ServerSentEvent
from sqlalchemy.exc import SQLAlchemyError

from stellwerk.runs.operations import GOING, Following, follow

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace

LOOK = 0.5  # seconds
OVER = "end"  # the id of the last event: who comes back with it has heard everything


@dataclass
class Watch:
    """A run that somebody listens to."""

    listeners: int = 0
    seen: Following | None = None
    over: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def tell(self) -> None:
        """Wake who waits for a change."""
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()


class Listening:
    """The runs of a workspace that are listened to, by their ids."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._watches: dict[str, Watch] = {}
        _all.add(self)

    async def listen(self, run: str) -> AsyncIterator[ServerSentEvent]:
        """The events of a run: `state`, `progress` and, as the last one, `end`.

        Args:
            run: its whole id.
        """
        watch = self._watches.setdefault(run, Watch())
        watch.listeners += 1
        if watch.task is None:
            watch.task = asyncio.create_task(self._look(run, watch))
        told: Following | None = None
        try:
            while True:
                changed, now, over = watch.changed, watch.seen, watch.over
                if now is not None:
                    for event in _news(told, now):
                        yield event
                    told = now
                if over:
                    return
                await changed.wait()
        finally:
            watch.listeners -= 1
            if not watch.listeners:
                self._end(run, watch)

    def close(self) -> None:
        """Let all listeners go, for the server ends."""
        for watch in self._watches.values():
            watch.over = True
            watch.tell()

    async def _look(self, run: str, watch: Watch) -> None:
        """Look at a run until it has ended."""
        try:
            while not watch.over:
                try:
                    seen = await anyio.to_thread.run_sync(lambda: follow(run, 0, workspace=self._workspace))
                except SQLAlchemyError:
                    # A record that is away comes back.
                    await asyncio.sleep(LOOK)
                    continue
                if seen != watch.seen:
                    watch.seen, watch.over = seen, watch.over or seen.state not in GOING
                    watch.tell()
                if not watch.over:
                    await asyncio.sleep(LOOK)
        finally:
            watch.over = True
            watch.tell()
            # Who comes from now on begins anew: a run may be gone on with.
            if self._watches.get(run) is watch:
                del self._watches[run]

    def _end(self, run: str, watch: Watch) -> None:
        if watch.task is not None:
            watch.task.cancel()
        if self._watches.get(run) is watch:
            del self._watches[run]


def end_all() -> None:
    """Let all listeners of this process go."""
    for listening in list(_all):
        listening.close()


_all: weakref.WeakSet[Listening] = weakref.WeakSet()


def _news(before: Following | None, now: Following) -> Iterator[ServerSentEvent]:
    if before is None or (before.state, before.error) != (now.state, now.error):
        yield ServerSentEvent(event="state", data={"run": now.run, "state": now.state, "error": now.error})
    known = {line.step: line for line in before.progress} if before else {}
    for line in now.progress:
        if known.get(line.step) != line:
            yield ServerSentEvent(event="progress", data=line)
    if now.state not in GOING:
        yield ServerSentEvent(event="end", id=OVER, data={"run": now.run, "state": now.state, "error": now.error})
