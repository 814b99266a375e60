"""Asks wordings on cases for a search: each question once, within a bound of calls, on one event loop of its own.

Knows no search. A search is synchronous, and asks batch after batch; the model's client lives as long as the bench does.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

from stellwerk.errors import StellwerkError
from stellwerk.evaluation.case import Case, Sample
from stellwerk.evaluation.engine import Scoring, samples
from stellwerk.evaluation.target import Target

T = TypeVar("T")


class OutOfCalls(StellwerkError):
    """The search may not ask as often as it wanted to."""


@dataclass
class Ledger:
    """How often may still be asked.

    Attributes:
        calls: distinct questions to the model at most; a question that was asked before costs nothing.
        used: so far.
    """

    calls: int
    used: int = 0

    @property
    def left(self) -> int:
        """Calls that are left."""
        return self.calls - self.used


@dataclass
class Bench:
    """Used by `with`; see the module.

    Attributes:
        clients: what is asked and judged with; opened and closed with this.
        scoring: of the answers.
        check: is called before each case; what it raises ends all.
        told: is called with the number of calls that were made.
    """

    clients: Sequence[AbstractAsyncContextManager[Any]]
    scoring: Scoring
    check: Callable[[], None]
    told: Callable[[int], None] = lambda _: None
    asked: int = 0
    _known: dict[tuple[str, str], Sample] = field(default_factory=dict)

    def ask(self, key: str, target: Target, cases: Sequence[Case], ledger: Ledger) -> list[Sample]:
        """The samples of cases, in their order.

        Args:
            key: tells wordings apart.
            target: the wording; it needs not be open, since its client is.
            cases: that are asked.
            ledger: pays for what was not asked before.

        Raises:
            OutOfCalls: more than the ledger has left.
            StellwerkError: a call did not get through, so that no wording could be judged fairly.
        """
        # A batch may hold a case twice.
        fresh = list({case.id: case for case in cases if (key, case.id) not in self._known}.values())
        if len(fresh) > ledger.left:
            raise OutOfCalls(f"{len(fresh)} calls are needed and {ledger.left} are left")
        if fresh:
            for sample in self.wait(self._samples(target, fresh)):
                self._known[key, sample.case] = sample
            ledger.used += len(fresh)
            self.asked += len(fresh)
            self.told(self.asked)
        return [self._known[key, case.id] for case in cases]

    def history(self) -> bytes:
        """Every answer as a line of JSON: the digest of what was asked with, the case, what came back and how it did."""
        import orjson

        lines = (
            {
                "wording": hashlib.sha256(key.encode()).hexdigest(),
                "case": case,
                "score": s.score,
                "passed": s.passed,
                "answer": s.answer.text,
            }
            for (key, case), s in self._known.items()
        )
        return b"".join(orjson.dumps(line) + b"\n" for line in lines)

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Do this on the bench's event loop."""
        return self._runner.run(work)

    async def _samples(self, target: Target, cases: Sequence[Case]) -> list[Sample]:
        async with aclosing(samples(cases, target, self.scoring, check=self.check)) as asked:
            found = [sample async for sample in asked]
        problem = next((s.answer.problem or str(s.answer.failure) for s in found if s.answer.is_error), None)
        if problem is not None:
            count = sum(s.answer.is_error for s in found)
            raise StellwerkError(
                f"{count} of {len(found)} calls did not get through, and a search must not take them for wrong answers: "
                f"{problem}; start it again, what was answered is kept"
            )
        return found

    def __enter__(self) -> Self:
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        try:
            self.wait(self._open())
        except BaseException:
            self._runner.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        try:
            self.wait(self._stack.aclose())
        finally:
            self._runner.close()

    async def _open(self) -> None:
        for client in self.clients:
            await self._stack.enter_async_context(client)


def quality(found: Sequence[Sample]) -> float | None:
    """The mean score of samples; those that could not be scored do not count. None where none could."""
    scores = [s.score for s in found if s.score is not None]
    return sum(scores) / len(scores) if scores else None


def unwanted(cases: Sequence[Case], found: Sequence[Sample]) -> int:
    """On how many cases an unwanted output came."""
    return sum(
        any(score.passed is False and case.checks[score.check].family for score in sample.scores)
        for case, sample in zip(cases, found, strict=True)
    )
