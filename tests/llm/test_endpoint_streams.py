"""Answers that come in pieces: whole ones, ones cut anywhere, and ones that break off."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import hostile
import pytest
from hostile import Hostile, completion, delta, says, status, streams
from hypothesis import given
from hypothesis import strategies as st

from stellwerk import waiting
from stellwerk.llm import streaming, wire
from stellwerk.llm.chat import CallFailed, Message, Reply, ToolCall, Usage
from stellwerk.llm.endpoint import EndpointClient
from stellwerk.llm.failures import Failed
from stellwerk.llm.spec import ModelSpec

ASKED = [Message("user", "Hello")]


@pytest.fixture
def server() -> Iterator[Hostile]:
    with Hostile() as made:
        yield made


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "FIRST", 0.01)


def pieces(server: Hostile, into: list[str | Reply], **limits: Any) -> list[str | Reply]:
    async def main() -> None:
        spec = ModelSpec.model_validate({"endpoint": server.url, "model": "fake-1", "limits": limits})
        async with EndpointClient("writer", spec, None) as client:
            into.extend([piece async for piece in client.stream(ASKED)])

    asyncio.run(main())
    return into


def fails(server: Hostile, **limits: Any) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        pieces(server, [], **limits)
    return caught.value


def test_pieces_and_then_the_whole(server: Hostile) -> None:
    server.answer = lambda _: "Guten Tag 🚆 !"
    *texts, reply = pieces(server, [])
    assert texts == ["Guten", "Tag", "🚆", "!"]
    assert isinstance(reply, Reply)
    assert (reply.text, reply.finish, reply.usage, reply.model) == ("GutenTag🚆!", "stop", Usage(12, 3), "fake-1")
    assert reply.first_seconds is not None and 0 < reply.first_seconds <= reply.seconds
    sent = server.requests[-1].json
    assert sent["stream"] is True and sent["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("size", [1, 2, 7])
def test_bytes_may_be_cut_anywhere(server: Hostile, size: int) -> None:
    server.then(streams(delta("Grü"), delta("ße 🚆"), delta(finish="length"), pieces=size))
    *texts, reply = pieces(server, [])
    assert texts == ["Grü", "ße 🚆"] and isinstance(reply, Reply) and reply.finish == "length"


def test_no_usage_and_no_done_is_an_answer_all_the_same(server: Hostile) -> None:
    server.then(streams(delta("a"), delta(finish="stop"), end=False), streams(delta("a"), end=True))
    first, second = pieces(server, [])[-1], pieces(server, [])[-1]
    assert isinstance(first, Reply) and (first.text, first.finish, first.usage) == ("a", "stop", None)
    assert isinstance(second, Reply) and (second.text, second.finish) == ("a", "other")


def test_tool_calls_come_in_pieces(server: Hostile) -> None:
    def part(index: int, **call: Any) -> str:
        return json.dumps({"choices": [{"delta": {"tool_calls": [{"index": index, **call}]}}]})

    server.then(
        streams(
            part(0, id="c1", function={"name": "look_up", "arguments": ""}),
            part(1, id="c2", function={"name": "send", "arguments": "{"}),
            part(0, function={"arguments": '{"a":'}),
            part(0, function={"arguments": "1}"}),
            part(1, function={"arguments": "}"}),
            delta(finish="tool_calls"),
        )
    )
    (reply,) = pieces(server, [])
    assert isinstance(reply, Reply) and reply.finish == "tool_calls"
    assert reply.tool_calls == (ToolCall("c1", "look_up", '{"a":1}'), ToolCall("c2", "send", "{}"))


def test_an_endpoint_that_does_not_stream_answers_at_once(server: Hostile) -> None:
    server.then(says(completion("whole")), hostile.body(b"data: " + delta("x", "stop").encode(), "text/plain"))
    assert [p if isinstance(p, str) else p.text for p in pieces(server, [])] == ["whole", "whole"]
    assert [p if isinstance(p, str) else p.text for p in pieces(server, [])] == ["x", "x"]


def test_it_is_tried_again_while_nothing_has_come(server: Hostile) -> None:
    server.then(status(500), hostile.hangs_up(), streams(end=False), streams(delta("a"), delta(finish="stop")))
    *texts, reply = pieces(server, [])
    assert texts == ["a"] and isinstance(reply, Reply) and reply.attempts == 4


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (streams(delta("half"), end=False, cut_off=True), "connection"),
        (streams(delta("half"), end=False), "connection"),
        (streams(delta("half"), '{"error": {"message": "overloaded", "code": "overloaded"}}'), "server"),
        (streams(delta("half"), "no json"), "not_json"),
        (streams(delta("half"), "[]"), "not_json"),
    ],
)
def test_what_breaks_off_is_no_answer(server: Hostile, behaviour: hostile.Behaviour, kind: str) -> None:
    server.always(behaviour)
    got: list[str | Reply] = []

    async def main() -> None:
        async with EndpointClient("writer", ModelSpec(endpoint=server.url, model="m"), None) as client:
            async for piece in client.stream(ASKED):
                got.append(piece)

    with pytest.raises(CallFailed) as caught:
        asyncio.run(main())
    assert (caught.value.kind, got, server.count) == (kind, ["half"], 1)


@pytest.mark.parametrize(
    ("behaviour", "kind", "attempts"),
    [
        (status(401), "unauthorised", 1),
        (status(400), "rejected", 1),
        (hostile.html(), "not_json", 2),
        (streams('{"error": "no"}'), "server", 2),
        (hostile.waits(60), "timeout", 2),
        (hostile.waits(60, after=b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: wait\n"), "timeout", 2),
        (hostile.endless("text/event-stream", b"data: " + b"x" * 65_536), "not_json", 2),
        (hostile.endless("text/event-stream", (b"data: " + b" " * 65_000 + b"{}\n\n")), "server", 1),
    ],
)
def test_failures(server: Hostile, behaviour: hostile.Behaviour, kind: str, attempts: int) -> None:
    server.always(behaviour)
    failed = fails(server, attempts=2, timeout=0.3 if kind == "timeout" else 20)
    assert (failed.kind, failed.attempts) == (kind, attempts)


def test_the_clock_stops_the_endpoint_and_not_the_reader(server: Hostile) -> None:
    """A limit of time that strikes while the reader is busy is no reason to cancel the reader."""
    server.then(streams(delta("a"), delta("b"), delta(finish="stop"), pieces=40))

    async def main() -> list[str | Reply]:
        got = []
        async with EndpointClient("writer", ModelSpec(endpoint=server.url, model="m", limits={"timeout": 0.3}), None) as client:
            async for piece in client.stream(ASKED):
                got.append(piece)
                await asyncio.sleep(0.4)
        return got

    assert [piece if isinstance(piece, str) else piece.text for piece in asyncio.run(main())] == ["a", "b", "ab"]


def test_who_stops_reading_closes_the_connection(server: Hostile) -> None:
    server.then(streams(*[delta("x")] * 1000, pause=0.01, pieces=30))

    async def main() -> None:
        async with EndpointClient("writer", ModelSpec(endpoint=server.url, model="m"), None) as client:
            stream = client.stream(ASKED)
            assert await anext(aiter(stream)) == "x"
            await stream.aclose()
            end = time.monotonic() + 5
            while server.connections:
                assert time.monotonic() < end
                await asyncio.sleep(0.01)

    asyncio.run(main())
    assert server.hung_up == 1


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))), st.data())
def test_events_are_the_same_however_they_are_cut(texts: list[str], data: st.DataObject) -> None:
    content = b"".join(b"data: " + json.dumps(text).encode() + b"\r\n\r\n" for text in texts)
    events, found, start = streaming.Events(), [], 0
    while start < len(content):
        size = data.draw(st.integers(1, 20))
        found += events.feed(content[start : start + size])
        start += size
    assert [json.loads(event) for event in [*found, *events.end()]] == texts


@given(st.lists(st.binary()))
def test_whatever_is_streamed_is_taken_or_refused(events: list[bytes]) -> None:
    collected = streaming.Collected()
    try:
        list(collected.take(events))
        collected.answer()
    except (Failed, wire.Unreadable):
        pass
