"""The engine asks many at once, gives samples in order, holds a bounded window, and keeps errors apart from wrong answers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import pytest

from stellwerk.evaluation import engine
from stellwerk.evaluation.case import Answer, Case, Check, Sample
from stellwerk.evaluation.engine import Unreachable
from stellwerk.evaluation.scorers.registry import scoring
from stellwerk.evaluation.target import PromptTarget, asked_with
from stellwerk.llm.chat import CallFailed, Params, Reply, Usage
from stellwerk.llm.prompts import read

EQUALS = Check("equals", "yes")
PLAIN = Params()


class Answering:
    """A target that answers by a rule, and notes how many calls it had at once."""

    name = "rule"
    simulated = True

    def __init__(self, rule: Any, at_once: int = 1000) -> None:
        self.rule = rule
        self.at_once = at_once
        self.flying = self.most = self.asked = 0

    async def answer(self, case: Case, repeat: int = 0) -> Answer:
        self.asked += 1
        self.flying += 1
        self.most = max(self.most, self.flying)
        await asyncio.sleep(random.random() / 500)
        self.flying -= 1
        found = self.rule(case, repeat)
        return found if isinstance(found, Answer) else Answer(found)

    async def __aenter__(self) -> Answering:
        return self

    async def __aexit__(self, *_: object) -> None: ...


def cases(number: int, seen: list[int] | None = None) -> Iterator[Case]:
    for index in range(number):
        if seen is not None:
            seen.append(index)
        yield Case(f"c{index}", {"n": index}, (EQUALS,))


def ask(target: Any, number: int, **options: Any) -> list[Sample]:
    async def all_of() -> list[Sample]:
        return [sample async for sample in engine.samples(cases(number), target, scoring([EQUALS]), **options)]

    return asyncio.run(all_of())


def test_samples_come_in_the_order_of_the_cases_and_repeats() -> None:
    found = ask(Answering(lambda case, repeat: "yes" if repeat == 1 else "no"), 40, repeats=3, at_once=16)
    assert [(sample.case, sample.repeat) for sample in found] == [(f"c{i}", r) for i in range(40) for r in range(3)]
    assert [sample.passed for sample in found] == [False, True, False] * 40


def test_no_more_calls_fly_than_either_side_allows_and_all_places_are_used() -> None:
    for ours, theirs in ((7, 1000), (1000, 7)):
        target = Answering(lambda *_: "yes", at_once=theirs)
        ask(target, 100, at_once=ours)
        assert target.most == 7


def test_a_slow_answer_does_not_hold_up_others_and_few_cases_are_in_memory() -> None:
    seen: list[int] = []
    lead: list[int] = []

    async def run() -> None:
        target = Answering(lambda *_: "yes", at_once=4)
        given = 0
        async for _ in engine.samples(cases(400, seen), target, scoring([EQUALS]), at_once=4):
            given += 1
            lead.append(len(seen) - given)

    asyncio.run(run())
    assert len(seen) == 400
    assert 4 <= max(lead) <= 4 * engine.WINDOW


def test_an_error_is_no_wrong_answer_and_a_refusal_of_the_endpoint_is_an_answer() -> None:
    kinds = {0: "timeout", 1: "rejected"}

    def rule(case: Case, _: int) -> Any:
        kind: Any = kinds.get(case.inputs["n"] % 3)
        return Answer("", failure=kind, problem="no") if kind else "yes"

    found = ask(Answering(rule), 30)
    assert [sample.passed for sample in found[:3]] == [None, False, True]
    assert found[0].score is None and found[0].scores == () and found[1].score == 0


def test_a_key_that_is_not_accepted_ends_all_at_once() -> None:
    target = Answering(lambda *_: Answer("", failure="unauthorised", problem="the key of the model is not accepted"))
    with pytest.raises(Unreachable, match="the key of the model"):
        ask(target, 10_000, at_once=8)
    assert target.asked < 100


def test_an_endpoint_that_is_away_is_not_asked_ten_thousand_times() -> None:
    target = Answering(lambda *_: Answer("", failure="connection", problem="away"))
    with pytest.raises(Unreachable, match="50 calls in a row got no answer, the last one: away"):
        ask(target, 10_000, at_once=8)
    assert target.asked < 150
    assert all(sample.answer.is_error for sample in ask(target, 49, at_once=8)), "few failures are reported, not raised"


def test_what_check_raises_ends_all_and_leaves_no_call_behind() -> None:
    target = Answering(lambda *_: "yes")
    left = iter(range(20))

    def check() -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    async def run() -> set[Any]:
        with pytest.raises(KeyboardInterrupt):
            async for _ in engine.samples(cases(1000), target, scoring([EQUALS]), at_once=4, check=check):
                pass
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(run()) == set()
    assert target.asked <= 20


def test_who_stops_listening_leaves_no_call_behind() -> None:
    async def run() -> set[Any]:
        asked = engine.samples(cases(1000), Answering(lambda *_: "yes"), scoring([EQUALS]), at_once=4)
        async for _ in asked:
            break
        await asked.aclose()
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(run()) == set()


PROMPT = """---
name: sums
inputs:
  - name: a
  - name: b
    kind: integer
---
system:
Answer with the number alone.

user:
Add: {{a}} + {{b}}
"""


class Adding:
    """A client that adds, knows what it was asked, and fails where it is told to."""

    name = "adding"
    simulated = True

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails
        self.seen: list[Any] = []

    async def complete(self, messages: Any, params: Params = PLAIN, *, repeat: int = 0) -> Reply:
        self.seen.append((messages, params, repeat))
        if self.fails:
            raise CallFailed("models/adding.yaml did not answer in 5 tries", "timeout", attempts=5)
        a, b = messages[-1].content.removeprefix("Add: ").split(" + ")
        return Reply(str(int(a) + int(b)), usage=Usage(10, 2), model="adding-1", seconds=0.5, attempts=2, kept=True)

    def stream(self, messages: Any, params: Params = PLAIN) -> Any:
        raise NotImplementedError

    async def embed(self, texts: Any) -> Any:
        raise NotImplementedError

    async def __aenter__(self) -> Adding:
        return self

    async def __aexit__(self, *_: object) -> None: ...


def test_a_prompt_is_rendered_and_asked_with_the_models_parameters_under_its_own() -> None:
    prompt, client = read(PROMPT, "prompts/sums.prompty"), Adding()
    target = PromptTarget(prompt, client, Params(temperature=0.5, max_tokens=9), lambda usage: (usage.output * 0.1, "EUR"))
    answer = asyncio.run(target.answer(Case("x", {"a": "2", "b": 3}), 4))
    (messages, params, repeat) = client.seen[0]
    assert [message.role for message in messages] == ["system", "user"] and repeat == 4
    assert (params.temperature, params.max_tokens) == (0.5, 9)
    assert (answer.text, answer.cost, answer.currency, answer.attempts, answer.kept) == ("5", 0.2, "EUR", 2, True)
    assert answer.messages == tuple(messages) and answer.model == "adding-1"


def test_a_call_that_failed_is_an_answer_that_says_so() -> None:
    answer = asyncio.run(PromptTarget(read(PROMPT, "p"), Adding(fails=True)).answer(Case("x", {"a": "2", "b": 3})))
    assert answer.is_error and answer.problem == "models/adding.yaml did not answer in 5 tries" and answer.attempts == 5


def test_the_shape_that_a_prompt_asks_for_goes_to_the_model() -> None:
    prompt = read(PROMPT, "p")
    assert asked_with(prompt, Params()).schema_ is None
