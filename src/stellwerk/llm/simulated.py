"""A model that is none: answers follow from a plan, the question and a seed. For tests and teaching; it has learnt nothing.

Plans: `echo` repeats the question; `sums` and `rules` stand in simulation/rules.py, `support`, the demo's support desk, in
simulation/support.py. The last two also write prompts (gepa's reflection, shortening, rewording: simulation/proposing.py) and
judge (simulation/judging.py), known by what the prompt asks for. Options of every plan: `delay`, the seconds that an answer
takes, and `failures`, the share of calls without an answer. Every reply reports the model `simulated`.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

from stellwerk.errors import UserError
from stellwerk.llm.chat import PLAIN, CallFailed, Finish, Message, Params, Reply, ToolCall, Usage
from stellwerk.llm.simulation import rules
from stellwerk.llm.simulation.asked import Asked, number
from stellwerk.llm.simulation.drawing import draw
from stellwerk.llm.spec import ModelSpec, Simulation

EDITION = 1  # grows when the same plan answers differently, which makes it another model
MODEL = "simulated"  # what replies report as their model
DIMENSIONS = 256
COMMON = frozenset({"delay", "failures"})
_PIECE = re.compile(r"\w{1,6}|[^\w\s]")


class SimulatedClient:
    """A `ChatClient` that answers by a plan.

    Args:
        name: of the asset.
        spec: its file, or the simulation of it.

    Raises:
        UserError: an option is unknown or makes no sense.
    """

    simulated = True

    def __init__(self, name: str, spec: ModelSpec | Simulation) -> None:
        plan = spec.simulated if isinstance(spec, ModelSpec) else spec
        if plan is None:
            raise UserError(f"model {name} is not simulated; give simulated: {{plan: …}} in models/{name}.yaml")
        self.name = name
        self._plan = plan
        self._params = spec.params if isinstance(spec, ModelSpec) else Params()
        self._delay, self._failures = _checked(name, plan)

    async def complete(self, messages: Sequence[Message], params: Params = PLAIN, *, repeat: int = 0) -> Reply:
        """Answer as planned, `delay` seconds later.

        Raises:
            CallFailed: as planned by `failures`.
        """
        began = time.perf_counter()
        asked = Asked.of(messages, self._params.under(params), self._plan.seed, repeat)
        if self._delay:
            await asyncio.sleep(self._delay)
        if asked.draw("failure") < self._failures:
            raise CallFailed(f"model {self.name} gave no answer, as its simulation plans it", "server", status=503)
        text, calls = self._answer(asked)
        text, finish = _cut(text, asked.params)
        return Reply(
            text, "tool_calls" if calls else finish, Usage(tokens(asked.whole), tokens(text)), MODEL,
            fingerprint=f"plan-{self._plan.plan}-{EDITION}", tool_calls=calls, seconds=time.perf_counter() - began,
            taken=datetime.now(UTC).isoformat(timespec="seconds"),
        )  # fmt: skip

    async def stream(self, messages: Sequence[Message], params: Params = PLAIN) -> AsyncIterator[str | Reply]:
        """The same answer in pieces."""
        reply = await self.complete(messages, params)
        for piece in re.findall(r"\S+\s*|\s+", reply.text):
            yield piece
        yield reply

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Vectors of length 1 from hashed character n-grams: texts with common spellings are near, whatever they mean."""
        return [vector(text) for text in texts]

    async def __aenter__(self) -> SimulatedClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def _answer(self, asked: Asked) -> tuple[str, tuple[ToolCall, ...]]:
        from stellwerk.llm.simulation import judging, proposing, support

        plan, options = self._plan.plan, self._plan.options
        if plan == "echo":
            return asked.question, ()
        if plan == "sums":
            return rules.sums(asked, options), ()
        if (proposed := proposing.propose(asked, plan, options)) is not None:
            return proposed, ()
        if (verdict := judging.judge(asked, options)) is not None:
            return verdict, ()
        if plan == "rules":
            return rules.rules(asked, options), ()
        if (call := support.tool_call(asked)) is not None:
            return "", (call,)
        return support.support(asked, options), ()


def tokens(text: str) -> int:
    """Tokens as the simulation counts them: words in pieces of six letters, and signs."""
    return sum(1 for _ in _PIECE.finditer(text))


def vector(text: str) -> list[float]:
    """The vector of a text: hashed counts of its 3- to 5-grams of letters, `DIMENSIONS` numbers, of length 1."""
    found = [0.0] * DIMENSIONS
    spelt = f" {' '.join(text.casefold().split())} "
    for size in (3, 4, 5):
        for start in range(max(1, len(spelt) - size + 1)):
            place = draw(spelt[start : start + size])
            found[int(place * DIMENSIONS)] += 1.0 if place * DIMENSIONS % 1 < 0.5 else -1.0
    length = math.sqrt(sum(value * value for value in found)) or 1.0
    return [value / length for value in found]


def _checked(name: str, plan: Simulation) -> tuple[float, float]:
    from stellwerk.llm.simulation import judging, support

    known = {"echo": frozenset[str](), **rules.OPTIONS, "support": support.OPTIONS}[plan.plan] | COMMON
    known |= judging.OPTIONS if plan.plan in ("rules", "support") else frozenset()
    for option in plan.options:
        if option not in known:
            there = ", ".join(sorted(known))
            raise UserError(f"models/{name}.yaml: simulated.options.{option} is no option of {plan.plan}; there are: {there}")
    try:
        if plan.plan in rules.OPTIONS:
            rules.check(plan.plan, plan.options)
        if plan.plan == "support":
            support.check(plan.options)
        judging.check(plan.options)
        return number(plan.options, "delay", 0.0, high=3600), number(plan.options, "failures", 0.0)
    except ValueError as error:
        raise UserError(f"models/{name}.yaml: {error}") from None


def _cut(text: str, params: Params) -> tuple[str, Finish]:
    """The answer up to a stop text or the allowed length."""
    ends = [place for stop in params.stop if stop and (place := text.find(stop)) >= 0]
    text = text[: min(ends)] if ends else text
    pieces: list[Any] = list(_PIECE.finditer(text))
    if params.max_tokens is None or len(pieces) <= params.max_tokens:
        return text, "stop"
    return text[: pieces[params.max_tokens - 1].end()], "length"
