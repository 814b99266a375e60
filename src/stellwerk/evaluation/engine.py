"""Asks a target all cases, many at once, and scores each answer as it comes; samples come out in the order of the cases.

Knows no model, no file and no statistics. It holds a bounded window of cases, so that a suite of any size fits in memory.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from stellwerk.errors import StellwerkError
from stellwerk.evaluation.case import Answer, Case, Sample, Score
from stellwerk.evaluation.target import Target

WINDOW = 4  # cases in memory for each call in flight, so that one slow answer does not hold up the others
BEAT = 0.25  # seconds between two looks whether the run was stopped
HOPELESS = 50  # calls in a row without an answer, at least, after which the rest is not tried


class Scoring(Protocol):
    """How answers are judged; `scorers.registry.scoring` makes one of a suite."""

    def score(self, case: Case, answer: Answer) -> tuple[Score, ...] | Awaitable[tuple[Score, ...]]:
        """The scores of an answer, one for each check."""
        ...

    def sample(self, case: Case, repeat: int, answer: Answer, scores: tuple[Score, ...]) -> Sample:
        """The sample that case, answer and scores make."""
        ...


class Unreachable(StellwerkError):
    """So many calls in a row got no answer that the rest was not tried; what was answered is kept."""


@dataclass(slots=True)
class _Patience:
    """Counts calls in a row that got no answer."""

    most: int
    failed: int = 0

    def note(self, answer: Answer) -> None:
        self.failed = self.failed + 1 if answer.is_error else 0
        if answer.failure == "unauthorised":
            raise Unreachable(answer.problem or "the endpoint does not accept the key; check it")
        if self.failed >= self.most:
            problem = answer.problem or f"{answer.failure}"
            raise Unreachable(f"{self.failed} calls in a row got no answer, the last one: {problem}; the rest was not tried")


async def judged(
    cases: Iterable[Case],
    target: Target,
    scoring: Scoring,
    *,
    repeats: int = 1,
    at_once: int = 32,
    check: Callable[[], None] | None = None,
) -> AsyncGenerator[tuple[Case, Sample], None]:
    """Ask and score each case, `repeats` times.

    Args:
        cases: read only as far as the window reaches.
        target: that is asked; it is open already.
        scoring: of the answers.
        repeats: how often each case is asked.
        at_once: calls in flight at most; the target may allow fewer.
        check: is called before each case, and while one is waited for; what it raises ends all.

    Yields:
        Each case with a sample, in the order of the cases and repeats.

    Raises:
        Unreachable: the endpoint does not accept the key, or many calls in a row got no answer.
    """
    places = min(at_once, target.at_once)
    free = asyncio.Semaphore(places)
    patience = _Patience(max(2 * places, HOPELESS))
    waiting: deque[asyncio.Task[tuple[Case, Sample]]] = deque()
    try:
        for case, repeat in _asked(cases, repeats):
            if check is not None:
                check()
            if len(waiting) >= WINDOW * places:
                yield await _next(waiting, patience, check)
            waiting.append(asyncio.create_task(_judge(case, repeat, target, scoring, free)))
        while waiting:
            if check is not None:
                check()
            yield await _next(waiting, patience, check)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def samples(
    cases: Iterable[Case],
    target: Target,
    scoring: Scoring,
    *,
    repeats: int = 1,
    at_once: int = 32,
    check: Callable[[], None] | None = None,
) -> AsyncGenerator[Sample, None]:
    """The samples alone; see `judged`."""
    # Closed here and now where nobody listens any longer, so that no call is left behind.
    async with aclosing(judged(cases, target, scoring, repeats=repeats, at_once=at_once, check=check)) as found:
        async for _, sample in found:
            yield sample


def _asked(cases: Iterable[Case], repeats: int) -> Iterator[tuple[Case, int]]:
    return ((case, repeat) for case in cases for repeat in range(repeats))


async def _next(
    waiting: deque[asyncio.Task[tuple[Case, Sample]]], patience: _Patience, check: Callable[[], None] | None
) -> tuple[Case, Sample]:
    # A target may think for an hour; whoever stops the run does not wait for that.
    while check is not None and not waiting[0].done():
        await asyncio.wait((waiting[0],), timeout=BEAT)
        check()
    found = await waiting[0]
    waiting.popleft()
    patience.note(found[1].answer)
    return found


async def _judge(case: Case, repeat: int, target: Target, scoring: Scoring, free: asyncio.Semaphore) -> tuple[Case, Sample]:
    async with free:
        answer = await target.answer(case, repeat)
    # Judges are models with limits of their own; while they think, the target answers others.
    scores: tuple[Score, ...] | Awaitable[tuple[Score, ...]] = () if answer.is_error else scoring.score(case, answer)
    if inspect.isawaitable(scores):
        scores = await scores
    return case, scoring.sample(case, repeat, answer, scores)
