"""A client for an endpoint that speaks the OpenAI protocol, hosted or on this machine.

It waits its turn, tries again where that may help, and says what went wrong without a key, an address or a word of what was
sent. It knows no cache, no price and no run.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Self, TypeVar

from stellwerk import waiting
from stellwerk.errors import UserError
from stellwerk.llm import wire
from stellwerk.llm.chat import PLAIN, CallFailed, Message, Params, Reply, Usage
from stellwerk.llm.connection import Connection
from stellwerk.llm.failures import Failed
from stellwerk.llm.limits import rates
from stellwerk.llm.spec import ModelSpec
from stellwerk.llm.streaming import Collected, Events, is_stream

MOST_EMBEDDING_BYTES = 64 * 1024 * 1024  # of one answer
TEXTS_AT_ONCE = 64  # of one embedding request
SIGNS_A_TOKEN = 3.5  # for rates alone, until the endpoint says how many there were

Result = TypeVar("Result")


class EndpointClient:
    """Asks one endpoint. Opened and closed inside one event loop by `async with`."""

    simulated = False

    def __init__(self, name: str, spec: ModelSpec, key: str | None) -> None:
        """Make a client; nothing is connected yet.

        Args:
            name: of the asset.
            spec: with an endpoint.
            key: that the endpoint wants, where it wants one.

        Raises:
            UserError: the key cannot be sent.
        """
        assert spec.endpoint is not None
        if key is not None and not (key.isascii() and key.isprintable()):
            raise UserError(f"models/{name}.yaml: the value behind key holds signs that no key has; copy it anew")
        self.name = name
        self._spec = spec
        self._key = key
        self._model = spec.model
        self._connection = Connection(spec.endpoint, key, spec.limits.timeout)
        self._naming = asyncio.Lock()
        self._places = asyncio.Semaphore(spec.limits.at_once)
        self._rates = rates(spec.endpoint, spec.model or "", spec.limits)

    async def __aenter__(self) -> Self:
        await self._connection.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._connection.__aexit__(*error)

    async def complete(self, messages: Sequence[Message], params: Params = PLAIN, *, repeat: int = 0) -> Reply:
        """Ask for one answer; `repeat` only tells calls apart for others.

        Raises:
            CallFailed: there was no answer.
            UserError: the endpoint has several models and the file names none.
        """
        asked = self.params(params)
        body = self._body(await self.model(), messages, asked, stream=False)

        async def attempt() -> Reply:
            started = time.perf_counter()
            answer = wire.answer(wire.load(await self._connection.fetch("/chat/completions", body)))
            return _reply(answer, time.perf_counter() - started)

        reply, attempts = await self._tried(attempt, _expected(messages, asked), _used)
        return reply if attempts == 1 else dataclasses.replace(reply, attempts=attempts)

    async def stream(self, messages: Sequence[Message], params: Params = PLAIN) -> AsyncGenerator[str | Reply, None]:
        """Ask for one answer piece by piece; it is tried again only while nothing of it has come.

        Raises:
            CallFailed: there was no answer, or it broke off.
            UserError: the endpoint has several models and the file names none.
        """
        asked = self.params(params)
        body = self._body(await self.model(), messages, asked, stream=True)
        expected, count, begun = _expected(messages, asked), 0, False
        while True:
            count += 1
            async with self._places:
                await self._rates.admit(expected)
                try:
                    async with aclosing(self._pieces(body, count)) as pieces:
                        async for piece in pieces:
                            begun = True
                            if isinstance(piece, Reply):
                                self._rates.settle(expected, _used(piece, expected))
                            yield piece
                    return
                except Failed as failed:
                    failure = failed
            if begun:
                raise self._sentence(failure, count)
            await self._wait(failure, count)

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """A vector for each text.

        Raises:
            CallFailed: the model has no embeddings, or there was no answer.
            UserError: the endpoint has several models and the file names none.
        """
        return (await self.embedded(texts))[0]

    async def embedded(self, texts: Sequence[str]) -> tuple[list[list[float]], Usage | None]:
        """A vector for each text, and the tokens that they took together; None where the endpoint does not say.

        Raises:
            CallFailed: the model has no embeddings, or there was no answer.
            UserError: the endpoint has several models and the file names none.
        """
        found: list[list[float]] = []
        tokens: int | None = 0
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            vectors, usage = await self._embed(texts[start : start + TEXTS_AT_ONCE])
            found += vectors
            tokens = None if usage is None or tokens is None else tokens + usage.input
        return found, None if tokens is None else Usage(tokens, 0)

    async def models(self) -> list[str]:
        """The ids of the models that the endpoint lists.

        Raises:
            CallFailed: there was no answer.
        """

        async def attempt() -> list[str]:
            return wire.models(wire.load(await self._connection.fetch("/models", None)))

        return (await self._tried(attempt, 0.0, _as_expected))[0]

    async def model(self) -> str:
        """The id under which the endpoint knows the model: as its file says, or the only one that there is.

        Raises:
            CallFailed: there was no answer.
            UserError: there are several.
        """
        if self._model is None:
            async with self._naming:
                if self._model is None:
                    self._model = self._only(await self.models())
        return self._model

    def params(self, params: Params) -> Params:
        """How the model is asked: as its file says, and as `params` says where it says something."""
        return self._spec.params.under(params) if self._spec.params.model_fields_set else params

    def _only(self, models: Sequence[str]) -> str:
        if len(models) == 1:
            return models[0]
        some = ", ".join(name[:60] for name in models[:5]) + (", …" if len(models) > 5 else "")
        raise UserError(
            f"models/{self.name}.yaml: its endpoint has {len(models)} models ({some}); write model: with one of them"
        )

    async def _embed(self, texts: Sequence[str]) -> tuple[list[list[float]], Usage | None]:
        """Vectors of as many texts as one request takes."""
        model = await self.model()
        try:
            body = wire.embedding_body(model, texts)
        except TypeError:
            raise self._sentence(_no_text(), 0) from None

        async def attempt() -> tuple[list[list[float]], Usage | None]:
            return wire.vectors(wire.load(await self._connection.fetch("/embeddings", body, MOST_EMBEDDING_BYTES)), len(texts))

        return (await self._tried(attempt, sum(map(len, texts)) / SIGNS_A_TOKEN, _used_by_vectors))[0]

    def _body(self, model: str, messages: Sequence[Message], params: Params, stream: bool) -> bytes:
        try:
            return wire.chat_body(model, messages, params, stream)
        except TypeError:
            raise self._sentence(_no_text(), 0) from None

    async def _tried(
        self, attempt: Callable[[], Awaitable[Result]], expected: float, used: Callable[[Result, float], float]
    ) -> tuple[Result, int]:
        """Try until there is an answer; returns it and how often it was tried."""
        count = unreadable = 0
        while True:
            count += 1
            # A call that waits to be tried again leaves its place to others.
            async with self._places:
                await self._rates.admit(expected)
                try:
                    found = await attempt()
                except wire.Unreadable as error:
                    unreadable += 1
                    failure = _unreadable(error, unreadable)
                except Failed as failed:
                    failure = failed
                else:
                    self._rates.settle(expected, used(found, expected))
                    return found, count
            await self._wait(failure, count)

    async def _pieces(self, body: bytes, count: int) -> AsyncGenerator[str | Reply, None]:
        """The pieces of one attempt, and the whole reply at last."""
        started = time.perf_counter()
        collected, events = Collected(), Events()
        whole: list[bytes] | None = None
        first: float | None = None
        try:
            async with aclosing(self._connection.parts("/chat/completions", body)) as parts:
                async for part in parts:
                    if part.begins and not is_stream(part.kind, part.content):
                        whole = []  # it streams nothing, but answers at once
                    if whole is not None:
                        whole.append(part.content)
                        continue
                    for text in collected.take(events.feed(part.content)):
                        first = time.perf_counter() - started if first is None else first
                        yield text
                    if collected.done:
                        break
            for text in collected.take(events.end()):
                first = time.perf_counter() - started if first is None else first
                yield text
            answer = collected.answer() if whole is None else wire.answer(wire.load(b"".join(whole)))
            if whole is not None and answer.text:
                yield answer.text
        except wire.Unreadable as error:
            raise _unreadable(error, count) from None
        yield _reply(answer, time.perf_counter() - started, first, count)

    async def _wait(self, failure: Failed, count: int) -> None:
        """Wait before the next attempt, if there may be one; an endpoint that is asked too often is left quiet by all.

        Raises:
            CallFailed: no further attempt may help, or there were as many as there may be.
        """
        if not failure.again or count >= self._spec.limits.attempts:
            raise self._sentence(failure, count)
        if failure.wait is None:
            await asyncio.sleep(waiting.back_off(count - 1))
            return
        if failure.kind == "rate_limited":
            self._rates.quiet(failure.wait)
        await asyncio.sleep(waiting.spread(failure.wait))

    def _sentence(self, failure: Failed, attempts: int) -> CallFailed:
        """The error that people see; words of the endpoint that could hold its key are left out."""
        codes = [code for code in failure.codes if self._key is None or not (self._key in code or code in self._key)]
        said = f" [{', '.join(codes)}]" if codes else ""
        tries = f" ({attempts} attempts)" if attempts > 1 else ""
        sentence = f"model {self.name} {failure.reason}{said}{tries}"
        return CallFailed(sentence, failure.kind, status=failure.status, attempts=max(attempts, 1))


def _no_text() -> Failed:
    return Failed("rejected", "was not asked, for half a pair of surrogates in a text is no text; mend the case", again=False)


def _unreadable(error: wire.Unreadable, times: int) -> Failed:
    # Once more, for it may be what a gateway says while it starts; more often the address is wrong.
    return Failed("not_json", str(error), again=times < 2)


def _reply(answer: wire.Answer, seconds: float, first: float | None = None, attempts: int = 1) -> Reply:
    taken = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
    return Reply(
        answer.text, answer.finish, answer.usage, answer.model, answer.fingerprint, answer.id, answer.tool_calls,
        seconds, first, attempts, False, taken,
    )  # fmt: skip


def _expected(messages: Sequence[Message], params: Params) -> float:
    """About how many tokens a call takes, for the rates."""
    return sum(len(message.content) for message in messages) / SIGNS_A_TOKEN + (params.max_tokens or 0)


def _used(reply: Reply, expected: float) -> float:
    return reply.usage.input + reply.usage.output if reply.usage is not None else expected


def _used_by_vectors(made: tuple[list[list[float]], Usage | None], expected: float) -> float:
    return made[1].input if made[1] is not None else expected


def _as_expected(_: object, expected: float) -> float:
    return expected
