"""The client for endpoints: what it sends, and what it makes of answers, good, odd, bad and none."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import gzip
import ipaddress
import json
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from email.utils import format_datetime
from pathlib import Path
from typing import Any, TypeVar

import hostile
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hostile import Hostile, completion, says, status
from hypothesis import given
from hypothesis import strategies as st

from stellwerk import waiting
from stellwerk.errors import UserError
from stellwerk.llm import connection, wire
from stellwerk.llm.chat import CallFailed, Message, Params, ToolCall, Usage
from stellwerk.llm.endpoint import PLAIN, EndpointClient
from stellwerk.llm.spec import ModelSpec

KEY = "sk-very-secret-0815"
SECRET_WORDS = "Frau Schmidt aus Köln"
ASKED = [Message("system", "Be kind."), Message("user", SECRET_WORDS)]
Result = TypeVar("Result")


@pytest.fixture
def server() -> Iterator[Hostile]:
    with Hostile() as made:
        yield made


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "FIRST", 0.01)


def using(
    server: Hostile, use: Callable[[EndpointClient], Awaitable[Result]], *, key: str | None = KEY, **fields: Any
) -> Result:
    """What a function makes of an open client."""

    async def main() -> Result:
        spec = ModelSpec.model_validate({"endpoint": server.url, "model": "fake-1", **fields})
        async with EndpointClient("writer", spec, key) as client:
            return await use(client)

    return asyncio.run(main())


def ask(server: Hostile, how: Params = PLAIN, **fields: Any) -> Any:
    return using(server, lambda client: client.complete(ASKED, how), **fields)


def fails(server: Hostile, **fields: Any) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        ask(server, **fields)
    shown = f"{caught.value!s}{caught.value!r}{caught.value.__cause__!r}"
    assert KEY not in shown and SECRET_WORDS not in shown and server.url not in shown
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


def test_asks_as_the_protocol_says(server: Hostile) -> None:
    schema = {"title": "verdict", "type": "object", "additionalProperties": False}
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {}}}
    params = Params(
        temperature=0, top_p=0.5, max_tokens=7, seed=3, stop=("END",), schema=schema, tools=(tool,), extra={"user": "u"}
    )
    reply = ask(server, params)
    request = server.requests[-1]
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.json == {
        "model": "fake-1",
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": SECRET_WORDS}],
        "temperature": 0, "top_p": 0.5, "max_tokens": 7, "seed": 3, "stop": ["END"], "tools": [tool], "user": "u",
        "response_format": {"type": "json_schema", "json_schema": {"name": "verdict", "schema": schema, "strict": True}},
    }  # fmt: skip
    assert (reply.text, reply.finish, reply.usage) == ("OK", "stop", Usage(12, 3))
    assert (reply.model, reply.fingerprint, reply.id) == ("fake-1", "fp_1", "chat-1")
    assert reply.attempts == 1 and not reply.kept and 0 < reply.seconds < 5
    age = dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(reply.taken)
    assert dt.timedelta(0) <= age < dt.timedelta(seconds=5)


def test_the_file_says_how_it_is_asked_where_the_prompt_does_not(server: Hostile) -> None:
    ask(server, Params(temperature=0.9), params={"temperature": 0.1, "max_tokens": 5, "extra": {"max_tokens": None}})
    sent = server.requests[-1].json
    assert sent["temperature"] == 0.9
    assert "max_tokens" not in sent, "a field of extra that is null takes it out"


def test_an_endpoint_may_have_a_query_and_no_key(server: Hostile) -> None:
    server.url += "?api-version=2026-01-01"
    ask(server, key=None)
    assert server.requests[-1].path == "/v1/chat/completions?api-version=2026-01-01"
    assert "authorization" not in server.requests[-1].headers


def test_its_only_model_is_found_once_and_several_are_the_users_choice(server: Hostile) -> None:
    async def twice(client: EndpointClient) -> None:
        await asyncio.gather(client.complete(ASKED), client.complete(ASKED))

    using(server, twice, model=None)
    assert sorted(request.path for request in server.requests) == ["/v1/chat/completions"] * 2 + ["/v1/models"]
    assert server.requests[-1].json["model"] == "fake-1"
    server.names = ("large", "small")
    with pytest.raises(UserError, match=r"models/writer.yaml: its endpoint has 2 models \(large, small\); write model:"):
        ask(server, model=None)
    server.names = ()
    assert fails(server, model=None).kind == "not_json"


def test_tool_calls(server: Hostile) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"id": 7}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    server.then(says(completion("", choice_message=message, choice_finish_reason="tool_calls")))
    reply = ask(server)
    assert (reply.text, reply.finish, reply.tool_calls) == ("", "tool_calls", (ToolCall("c1", "look_up", '{"id": 7}'),))
    again = [*ASKED, Message("assistant", "", reply.tool_calls), Message("tool", "found", tool_call_id="c1")]
    using(server, lambda client: client.complete(again))
    assert server.requests[-1].json["messages"][2]["tool_calls"] == [call]
    assert server.requests[-1].json["messages"][3] == {"role": "tool", "content": "found", "tool_call_id": "c1"}


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("stop", "stop"), ("length", "length"), ("content_filter", "content_filter"), ("max_tokens", "length"), ("eos", "stop"),
     ("function_call", "tool_calls"), ("STOP", "stop"), ("bored", "other"), (None, "other"), (7, "other")],
)  # fmt: skip
def test_finish_reasons(reason: Any, finish: str) -> None:
    assert wire.answer(completion("x", choice_finish_reason=reason)).finish == finish


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        (None, None),
        ({}, None),
        ("many", None),
        ({"prompt_tokens": None, "completion_tokens": 3}, None),
        ({"prompt_tokens": -1, "completion_tokens": 3}, None),
        ({"prompt_tokens": 1.5, "completion_tokens": 3}, None),
        ({"prompt_tokens": True, "completion_tokens": 3}, None),
        ({"prompt_tokens": 0, "completion_tokens": 0}, Usage(0, 0)),
        ({"prompt_tokens": 9, "completion_tokens": 8, "completion_tokens_details": {"reasoning_tokens": 5}}, Usage(9, 8, 0, 5)),
        ({"prompt_tokens": 9, "completion_tokens": 8, "prompt_tokens_details": {"cached_tokens": 4}}, Usage(9, 8, 4, 0)),
        ({"prompt_tokens": 9, "completion_tokens": 8, "prompt_tokens_details": None}, Usage(9, 8)),
        ({"prompt_tokens": 9, "completion_tokens": 8, "prompt_tokens_details": {"cached_tokens": 99}}, Usage(9, 8, 9, 0)),
    ],
)
def test_usage(said: Any, usage: Usage | None) -> None:
    assert wire.answer(completion("x", usage=said)).usage == usage


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": "Grüße, 你好, 🚆, Z͑ͫ, a\u200bb\u0000"}, "Grüße, 你好, 🚆, Z͑ͫ, a\u200bb\u0000"),
        ({"content": [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]}, "ab"),
        ({"content": None, "refusal": "I cannot."}, "I cannot."),
        ({"content": None}, ""),
        ({"content": 7}, ""),
    ],
)
def test_texts(server: Hostile, message: dict[str, Any], text: str) -> None:
    server.then(says(completion("", choice_message=message)))
    assert ask(server).text == text


def test_odd_json_is_read_all_the_same(server: Hostile) -> None:
    half = json.dumps(completion("AB")).replace("AB", r"A\ud800B\ud83d\ude86").encode()
    whole = json.dumps(completion("fine")).encode()
    server.then(hostile.body(half), hostile.body(b"\xef\xbb\xbf" + whole), hostile.body(whole, "text/plain"))
    assert [ask(server).text for _ in range(3)] == ["A\ufffdB🚆", "fine", "fine"]


WORDS = [
    "choices",
    "message",
    "content",
    "usage",
    "data",
    "embedding",
    "index",
    "id",
    "error",
    "tool_calls",
    "function",
    "name",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*WORDS, "name", "arguments", "prompt_tokens"]), inner),
)


@given(JSON)
def test_whatever_json_comes_is_read_or_refused(value: Any) -> None:
    for read in (wire.answer, wire.models, lambda v: wire.vectors(v, 2), lambda v: wire.answer({"choices": [{"message": v}]})):
        try:
            read(value)
        except wire.Unreadable as error:
            assert "\n" not in str(error)
    wire.usage(value)
    wire.error_codes(json.dumps(value).encode())


@given(st.binary())
def test_whatever_bytes_come_are_read_or_refused(content: bytes) -> None:
    with contextlib.suppress(wire.Unreadable):
        wire.load(content)


@pytest.mark.parametrize(
    ("behaviour", "kind", "attempts", "says"),
    [
        (status(429), "rate_limited", 3, "asked too often"),
        (status(500), "server", 3, "fault of its own"),
        (status(529), "server", 3, "529"),
        (status(408), "timeout", 3, "408"),
        (status(503, body=b"<html>down</html>", kind="text/html"), "server", 3, "503"),
        (status(401), "unauthorised", 1, "does not know who asks"),
        (status(402), "unauthorised", 1, "paid first"),
        (status(403), "unauthorised", 1, "does not allow this key"),
        (status(404), "server", 1, "correct endpoint or model"),
        (status(400), "rejected", 1, "too long"),
        (status(413), "rejected", 1, "413"),
        (status(422), "rejected", 1, "422"),
        (status(418), "server", 1, "418"),
        (status(302, {"Location": "http://127.0.0.1:9/steal"}), "server", 1, "not followed"),
        (status(307, {"Location": "http://127.0.0.1:9/steal"}), "server", 1, "not followed"),
        (hostile.html(), "not_json", 2, "web page"),
        (hostile.body(b""), "not_json", 2, "with nothing"),
        (hostile.body(b"OK"), "not_json", 2, "something else than JSON"),
        (hostile.body(b"[" * 200_000), "not_json", 2, "something else than JSON"),
        (hostile.body(b"\xff\xfe\x00"), "not_json", 2, "something else than JSON"),
        (hostile.body(b"9" * 5000), "not_json", 2, "something else than JSON"),
        (says({}), "not_json", 2, "without choices"),
        (says({"choices": []}), "not_json", 2, "without choices"),
        (says({"error": {"message": SECRET_WORDS}}), "not_json", 2, "without choices"),
        (says(completion("", choice_message=None)), "not_json", 2, "without message"),
        (hostile.cut(), "connection", 3, "broke off"),
        (hostile.cut(0), "connection", 3, "broke off"),
        (hostile.hangs_up(), "connection", 3, "broke off"),
        (hostile.no_http(), "connection", 3, "something else than HTTP"),
        (hostile.waits(60), "timeout", 3, "within 0.2 seconds"),
        (hostile.waits(60, after=b"HTTP/1.1 200 OK\r\nContent-"), "timeout", 3, "within 0.2 seconds"),
        (hostile.waits(60, after=b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"), "timeout", 3, "within 0.2 seconds"),
        (hostile.drips(60), "timeout", 3, "within 0.2 seconds"),
        (hostile.waits(60, after=b"HTTP/1.1 500 No\r\nContent-Length: 99\r\n\r\n{"), "timeout", 3, "within 0.2 seconds"),
        (hostile.body(b"x" * 100, "application/json; \x80"), "not_json", 2, "something else than JSON"),
        (hostile.raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000), "connection", 3, "something else than HTTP"),
        (hostile.raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200_000), "connection", 3, ""),
        (hostile.raw(b"HTTP/1.1 200 OK\r\nContent-Length: -7\r\n\r\n{}"), "connection", 3, "something else than HTTP"),
        (hostile.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "connection", 3, ""),
        (hostile.raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 50), "connection", 3, "broke off"),
        (status(204, body=b""), "not_json", 2, "with nothing"),
        (status(200, {"Content-Encoding": "gzip"}, b"no gzip"), "server", 1, "not packed as it says"),
    ],
)  # fmt: skip
def test_failures_have_a_kind_an_end_and_a_sentence(
    server: Hostile, behaviour: hostile.Behaviour, kind: str, attempts: int, says: str
) -> None:
    server.always(behaviour)
    failed = fails(server, limits={"attempts": 3, "timeout": 0.2})
    assert (failed.kind, failed.attempts, server.count) == (kind, attempts, attempts)
    assert str(failed).startswith("model writer ") and says in str(failed) and "\n" not in str(failed)
    assert (f"({attempts} attempts)" in str(failed)) == (attempts > 1)


def test_a_redirect_is_not_followed(server: Hostile) -> None:
    server.then(status(302, {"Location": server.url.removesuffix("/v1") + "/elsewhere"}))
    fails(server)
    assert [request.path for request in server.requests] == ["/v1/chat/completions"]


def test_nobody_there_and_no_such_host(server: Hostile) -> None:
    for url in ("http://127.0.0.1:1/v1", "http://no-such-host.invalid/v1"):
        server.url = url
        failed = fails(server, limits={"attempts": 2})
        assert (failed.kind, failed.attempts) == ("connection", 2) and "could not be reached" in str(failed)


def test_words_for_machines_are_told_and_sentences_and_keys_are_not(server: Hostile) -> None:
    error = {"message": f"{SECRET_WORDS} with {KEY}", "code": "context_length_exceeded", "param": "messages", "type": KEY}
    server.then(status(400, body=json.dumps({"error": error}).encode()))
    assert str(fails(server)).endswith("[context_length_exceeded, messages]")
    server.then(status(400, body=json.dumps({"code": f"bad_key_{KEY}", "type": SECRET_WORDS}).encode()))
    assert "[" not in str(fails(server))


def test_no_waiting_ends_an_empty_account(server: Hostile) -> None:
    server.always(status(429, body=b'{"error": {"code": "insufficient_quota"}}'))
    failed = fails(server)
    assert (failed.kind, failed.attempts) == ("rate_limited", 1) and "no budget left" in str(failed)


def test_it_tries_again_and_says_how_often(server: Hostile) -> None:
    server.then(status(500), hostile.cut(), hostile.html())
    reply = ask(server)
    assert (reply.text, reply.attempts, server.count) == ("OK", 4, 4)


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_it_waits_as_long_as_the_endpoint_asks(server: Hostile, form: str) -> None:
    later = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=2)
    wait = "0.6" if form == "seconds" else format_datetime(later, usegmt=True)
    server.then(status(429, {"Retry-After": wait}))
    started = time.monotonic()
    assert ask(server).attempts == 2
    assert 0.5 < time.monotonic() - started < 4


def test_all_who_ask_wait_while_it_wants_quiet(server: Hostile) -> None:
    async def both(client: EndpointClient) -> float:
        first = asyncio.create_task(client.complete(ASKED))
        await asyncio.sleep(0.1)
        started = time.monotonic()
        await client.complete(ASKED)
        waited = time.monotonic() - started
        await first
        return waited

    server.then(status(429, {"Retry-After": "0.5"}))
    assert 0.3 < using(server, both) < 2


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("3", 3), (" 3 ", 3), ("0", 0), ("1.5", 1.5), ("99999999999999999999", 300), ("-5", None), ("soon", None),
     ("", None), ("Wed, 21 Oct 2026 07:28:10 GMT", 10), ("Wed, 21 Oct 2026 07:27:00 GMT", 0), ("²", None),
     ("Wed, 21 Oct 9999 07:28:00 GMT", 300), ("Wed, 99 Oct 2026 07:28:00 GMT", None), ("1.2.3", None), (".", None)],
)  # fmt: skip
def test_retry_after(header: str | None, seconds: float | None) -> None:
    now = dt.datetime(2026, 10, 21, 7, 28, 0, tzinfo=dt.UTC)
    assert waiting.asked(header, now) == seconds


def test_backing_off_doubles_and_ends_somewhere() -> None:
    for attempt, longest in ((0, 0.01), (3, 0.08), (50, waiting.LONGEST)):
        assert all(longest / 2 <= waiting.back_off(attempt) <= longest for _ in range(50))


def test_a_body_has_an_end(server: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MOST_BYTES", 1 << 20)
    monkeypatch.setattr(connection.Connection.fetch, "__defaults__", (1 << 20,))
    server.always(hostile.endless())
    failed = fails(server)
    assert (failed.kind, failed.attempts) == ("server", 1) and "more than 1 MiB" in str(failed)


def test_what_was_packed_unasked_is_unpacked_up_to_a_limit(server: Hostile) -> None:
    packed = gzip.compress(json.dumps(completion("small")).encode())
    server.then(status(200, {"Content-Encoding": "gzip"}, packed))
    assert ask(server).text == "small"
    assert server.requests[-1].headers["accept-encoding"] == "identity"
    server.then(status(200, {"Content-Encoding": "gzip"}, gzip.compress(bytes(100 << 20), 9)))
    assert "more than 16 MiB" in str(fails(server))


def test_a_certificate_has_to_be_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(_certificate(tmp_path / "own.pem"))
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    with Hostile(tls=tls) as server:
        failed = fails(server)
        assert (failed.kind, failed.attempts) == ("connection", 1) and "certificate" in str(failed)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "own.pem"))
        assert ask(server).text == "OK"


def _certificate(path: Path) -> Path:
    """A key and a certificate of its own for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "probe")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def test_a_text_that_is_none_is_not_sent(server: Hostile) -> None:
    with pytest.raises(CallFailed, match="surrogates") as caught:
        using(server, lambda client: client.complete([Message("user", "a\ud800b")]))
    assert caught.value.kind == "rejected" and server.count == 0


@pytest.mark.parametrize("key", ["two\nlines", "schlüssel", "nul\0"])
def test_a_key_that_cannot_be_sent_is_refused(server: Hostile, key: str) -> None:
    with pytest.raises(UserError, match=r"models/writer.yaml: the value behind key") as caught:
        ask(server, key=key)
    assert key not in str(caught.value)


def test_vectors_come_in_order_and_in_parts(server: Hostile) -> None:
    texts = ["x" * (n % 7) for n in range(150)]
    vectors, usage = using(server, lambda client: client.embedded(texts))
    assert vectors == [[float(len(text)), 1.0] for text in texts]
    assert usage == Usage(150, 0) and server.count == 3
    assert server.requests[0].path == "/v1/embeddings"
    assert using(server, lambda client: client.embed([])) == []


@pytest.mark.parametrize(
    "data",
    [None, [], [{"embedding": [1.0]}], [{"embedding": [1.0]}, {"embedding": [1.0, 2.0]}],
     [{"embedding": [1.0]}, {"embedding": ["a"]}], [{"embedding": [1.0]}, {"embedding": []}],
     [{"embedding": [1.0], "index": 1}, {"embedding": [1.0], "index": 1}],
     [{"embedding": [1.0], "index": "a"}, {"embedding": [1.0], "index": None}]],
)  # fmt: skip
def test_vectors_that_are_none_are_refused(server: Hostile, data: Any) -> None:
    server.always(says({"data": data}))
    with pytest.raises(CallFailed) as caught:
        using(server, lambda client: client.embed(["a", "b"]))
    assert caught.value.kind == "not_json"


def test_no_more_than_its_places_are_asked_at_once(server: Hostile) -> None:
    async def many(client: EndpointClient) -> None:
        await asyncio.gather(*(client.complete(ASKED) for _ in range(40)))

    server.latency = 0.02
    using(server, many, limits={"at_once": 5})
    assert (server.most_at_once, server.count) == (5, 40)


def test_a_call_that_waits_to_be_tried_again_leaves_its_place(server: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    async def both(client: EndpointClient) -> float:
        first = asyncio.create_task(client.complete(ASKED))
        await asyncio.sleep(0.1)
        started = time.monotonic()
        await client.complete(ASKED)
        waited = time.monotonic() - started
        await first
        return waited

    monkeypatch.setattr(waiting, "FIRST", 1.0)
    server.then(status(500))
    assert using(server, both, limits={"at_once": 1}) < 0.4


def test_a_cancelled_call_closes_its_connection(server: Hostile) -> None:
    async def cancelled(client: EndpointClient) -> None:
        calls = [asyncio.create_task(client.complete(ASKED)) for _ in range(8)]
        while server.at_once < 8:
            await asyncio.sleep(0.01)
        for call in calls:
            call.cancel()
        assert all(isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*calls, return_exceptions=True))
        await _until(lambda: server.connections == 0)
        assert server.hung_up == 8
        assert (await client.complete(ASKED)).text == "OK", "the client is as good as before"

    server.then(*[hostile.waits(60)] * 4, *[hostile.waits(60, after=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")] * 4)
    using(server, cancelled)


def test_closing_closes_all_connections(server: Hostile) -> None:
    ask(server)

    async def wait() -> None:
        await _until(lambda: server.connections == 0)

    asyncio.run(wait())


async def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)
