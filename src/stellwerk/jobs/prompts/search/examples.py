"""Shows with each case the cases that are most like it, with their expected answers, before the question itself.

Knows how like two texts are by the runs of four characters that they share; no model is needed for it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from stellwerk.evaluation.case import Answer, Case
from stellwerk.evaluation.target import Price, PromptTarget, answered, failed
from stellwerk.jobs.prompts.copying import texts
from stellwerk.llm.chat import CallFailed, Message
from stellwerk.llm.prompts.rendering import render

LETTERS = 4


class Nearest:
    """Finds the cases that are most like another one.

    Args:
        cases: with expected answers.
    """

    def __init__(self, cases: Sequence[Case]) -> None:
        self._known = [(case, _runs(case)) for case in cases]

    def to(self, case: Case, number: int) -> list[Case]:
        """So many cases, the most like last, since a model heeds that most; never the case itself or one of its cluster."""
        wanted = _runs(case)
        others = [
            (_likeness(wanted, runs), other.id, other)
            for other, runs in self._known
            if other.id != case.id and (case.cluster is None or other.cluster != case.cluster)
        ]
        return [other for _, _, other in sorted(others, key=lambda found: found[:2])[-number:]] if number else []


class WithExamples:
    """A prompt whose question comes after examples, as turns of the conversation.

    Args:
        inner: the prompt with its model.
        price: of a call.
        nearest: finds the examples.
        shown: how many.
    """

    def __init__(self, inner: PromptTarget, price: Price, nearest: Nearest, shown: int) -> None:
        self.name = f"{inner.name}, {shown} examples"
        self.simulated = inner.simulated
        self.at_once = inner.at_once
        self._inner = inner
        self._price = price
        self._nearest = nearest
        self._shown = shown

    async def answer(self, case: Case, repeat: int = 0) -> Answer:
        """Ask the model, after the examples."""
        whole = render(self._inner.prompt, case.inputs)
        turns: list[Message] = []
        for example in self._nearest.to(case, self._shown):
            turns += [render(self._inner.prompt, example.inputs)[-1], Message("assistant", told(example.expected))]
        messages = (*whole[:-1], *turns, whole[-1])
        try:
            reply = await self._inner.client.complete(messages, self._inner.params, repeat=repeat)
        except CallFailed as error:
            return failed(error, messages)
        return answered(reply, messages, self._price)

    async def __aenter__(self) -> WithExamples:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *details: object) -> None:
        await self._inner.__aexit__(*details)


def teachers(cases: Sequence[Case]) -> list[Case]:
    """The cases that can be shown as examples, since it is known what the right answer is."""
    return [case for case in cases if case.expected not in (None, "")]


def told(expected: Any) -> str:
    """An expected answer as a model would write it."""
    return expected if isinstance(expected, str) else json.dumps(expected, ensure_ascii=False)


def _runs(case: Case) -> set[str]:
    found: set[str] = set()
    for text in texts(Case(case.id, case.inputs)):
        plain = " ".join(text.casefold().split())
        found |= {plain[place : place + LETTERS] for place in range(max(1, len(plain) - LETTERS + 1))}
    return found


def _likeness(first: set[str], second: set[str]) -> float:
    """Jaccard: the share of runs that both have among those that either has."""
    return len(first & second) / (len(first | second) or 1)
