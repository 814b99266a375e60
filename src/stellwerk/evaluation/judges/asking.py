"""Asking a judge, in one order or in both, and taking its word for no more than it is: a verdict may be missing, or turn.

Knows a client and the task; nothing of files, of the record and of statistics.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stellwerk.evaluation.judges import wording
from stellwerk.evaluation.judges.wording import Task, Verdict
from stellwerk.llm.chat import CallFailed, Message, Params

if TYPE_CHECKING:
    from stellwerk.llm.chat import ChatClient, Usage


@dataclass(frozen=True, slots=True)
class Said:
    """What a judge said to one question.

    Attributes:
        verdict: None where there is none that can be read.
        problem: why there is none: `unreadable`, `cut_off`, or the kind of a call that failed.
        usage: of the call; None where the endpoint does not say.
        reason: in the judge's own words; a text that belongs into the store alone.
    """

    verdict: Verdict | None
    problem: str | None = None
    usage: Usage | None = None
    reason: str = ""

    @property
    def failed(self) -> bool:
        """Whether the call got no answer at all, which says nothing about the judge."""
        return self.verdict is None and self.problem not in ("unreadable", "cut_off")


@dataclass(frozen=True, slots=True)
class Both:
    """What a judge said in both orders; `second` is turned back, so that the two can be compared."""

    first: Said
    second: Said

    @property
    def consistent(self) -> bool | None:
        """Whether both orders gave the same verdict; None where one gave none."""
        if self.first.verdict is None or self.second.verdict is None:
            return None
        return self.first.verdict == self.second.verdict

    @property
    def verdict(self) -> Verdict | None:
        """For a pair the verdict of both orders, a tie where they differ; None where one gave none."""
        if self.consistent is None:
            return None
        return self.first.verdict if self.consistent else "tie"


async def single(client: ChatClient, task: Task, messages: list[Message], params: Params, *, repeat: int = 0) -> Said:
    """Ask one question."""
    bound = params.model_copy(update={"schema_": wording.schema(task)})
    try:
        reply = await client.complete(messages, bound, repeat=repeat)
    except CallFailed as error:
        return Said(None, error.kind)
    reading = wording.read(task, reply.text)
    if reading is not None:
        return Said(reading.verdict, None, reply.usage, reading.reason)
    return Said(None, "cut_off" if reply.finish == "length" else "unreadable", reply.usage)


async def answer(
    client: ChatClient,
    task: Task,
    params: Params,
    question: str,
    text: str,
    expected: str | None = None,
    *,
    turned: bool = False,
) -> Said:
    """Judge one answer, with the choices named in one order."""
    return await single(client, task, wording.one(task, question, text, expected=expected, turned=turned), params)


async def pair(client: ChatClient, task: Task, params: Params, question: str, first: str, second: str) -> Both:
    """Judge two answers in both orders."""
    straight, turned = await asyncio.gather(
        single(client, task, wording.two(task, question, first, second), params),
        single(client, task, wording.two(task, question, first, second, turned=True), params),
    )
    return Both(straight, replace(turned, verdict=wording.unturned(turned.verdict)))


async def answer_twice(
    client: ChatClient, task: Task, params: Params, question: str, text: str, expected: str | None = None
) -> Both:
    """Judge one answer with the choices named in either order; a judge with a prompt of its own is asked the same twice."""
    messages = [wording.one(task, question, text, expected=expected, turned=turned) for turned in (False, True)]
    again = int(messages[0] == messages[1])
    straight, turned = await asyncio.gather(
        single(client, task, messages[0], params), single(client, task, messages[1], params, repeat=again)
    )
    return Both(straight, turned)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to one question, such as those of two wordings of a prompt."""

    question: str
    first: str
    second: str


async def pairs(client: ChatClient, task: Task, params: Params, asked: Iterable[Pair], at_once: int = 8) -> AsyncIterator[Both]:
    """Judge many pairs in both orders, some at once; verdicts come out in the order of the pairs."""
    waiting: list[asyncio.Task[Both]] = []
    try:
        for one in asked:
            waiting.append(asyncio.create_task(pair(client, task, params, one.question, one.first, one.second)))
            if len(waiting) >= at_once:
                yield await waiting.pop(0)
        while waiting:
            yield await waiting.pop(0)
    finally:
        for task_left in waiting:
            task_left.cancel()
