"""What a hostile endpoint, web page, cache or model file could do: keys stay where they are, answers end as sentences."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest
from hostile import Hostile, body, completion, says
from test_serving import running, simulated

from stellwerk.errors import UserError
from stellwerk.llm import replies, wire
from stellwerk.llm.chat import CallFailed, Message, Params, Reply
from stellwerk.llm.endpoint import EndpointClient
from stellwerk.llm.opening import open_model
from stellwerk.llm.replies import Replies
from stellwerk.llm.spec import ModelSpec, read
from stellwerk.workspace import Workspace

KEY = "sk-very-secret-0815"


def ask(server: Hostile, key: str | None = KEY) -> Reply:
    async def main() -> Reply:
        spec = ModelSpec.model_validate({"endpoint": server.url, "model": "fake-1", "limits": {"attempts": 1}})
        async with EndpointClient("writer", spec, key) as client:
            return await client.complete([Message("user", "Hello")])

    return asyncio.run(main())


def test_a_key_that_an_endpoint_repeats_is_in_no_reply() -> None:
    with Hostile() as server:
        server.then(says(completion(f"You sent Bearer {KEY}.", model=KEY, system_fingerprint=KEY, id=KEY)))
        found = ask(server)
    assert found.text == "You sent Bearer [key]." and KEY not in repr(found)


def test_a_word_that_is_also_a_short_key_stays_in_the_answer() -> None:
    with Hostile() as server:
        server.then(says(completion("The cell is EMPTY.")))
        assert ask(server, "EMPTY").text == "The cell is EMPTY."


def test_what_an_endpoint_calls_itself_holds_no_sign_that_a_database_or_terminal_reads_otherwise() -> None:
    with Hostile() as server:
        server.then(says(completion("Hi", model="a\0b\x1b[31mred", system_fingerprint="\u202egnp")))
        found = ask(server)
    assert found.model == "a\ufffdb\ufffd[31mred" and found.fingerprint == "\ufffdgnp"


@pytest.mark.parametrize("arguments", ['{"a":' * 400 + "1" + "}" * 400, '{"a": 1' + "0" * 30 + ', "b": "\\ud800"}'])
def test_arguments_of_a_tool_that_cannot_be_kept_are_no_answer(arguments: str) -> None:
    content = '{"choices": [{"message": {"tool_calls": [{"function": {"name": "x", "arguments": ' + arguments + "}}]}}]}"
    with Hostile() as server:
        server.then(body(content.encode()))
        with pytest.raises(CallFailed, match="too deep or too large"):
            ask(server)


@pytest.mark.parametrize("number", ["1" + "0" * 400, "NaN", "Infinity", "true", '"1"', "1e301"])
def test_numbers_that_are_none_are_no_vector(number: str) -> None:
    with pytest.raises(wire.Unreadable):
        wire.vectors(wire.load(b'{"data": [{"embedding": [' + number.encode() + b"]}]}"), 1)


@pytest.mark.parametrize(
    "address",
    ["http://", "https://", "http://a b/", "http://[::1/v1", "ftp://x/", "http://x:99999/", "http://käse/", "https://u:p@x/"],
)
def test_an_address_that_is_none_is_a_mistake_of_the_file(address: str) -> None:
    with pytest.raises(UserError, match=r"^models/m.yaml, line 1: 'endpoint'"):
        read(f"endpoint: '{address}'", "models/m.yaml")


def test_an_address_holds_no_key_for_it_stands_in_the_record() -> None:
    with pytest.raises(UserError) as caught:
        read("endpoint: https://x/v1?api-key=SECRET", "models/m.yaml")
    assert "key: env:NAME" in str(caught.value) and "SECRET" not in str(caught.value)
    assert read("endpoint: https://x/v1?api-version=2026-01-01", "models/m.yaml").endpoint


@pytest.mark.parametrize(
    ("address", "allow", "goes"),
    [
        ("http://10.0.0.5/v1", [], False), ("http://llm.example/v1", [], False), ("http://localhost.example/v1", [], False),
        ("https://llm.example/v1", [], True), ("http://127.0.0.1:1/v1", [], True), ("http://localhost/v1", [], True),
        ("http://10.0.0.5/v1", ["10.0.0.0/8"], True), ("http://llm.example/v1", ["llm.example"], True),
        ("http://11.0.0.5/v1", ["10.0.0.0/8"], False),
    ],
)  # fmt: skip
def test_a_key_goes_over_no_network_in_the_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, allow: list[str], goes: bool
) -> None:
    Workspace.init(tmp_path / "w")
    with (tmp_path / "w/stellwerk.yaml").open("a") as file:
        file.write(f"network: {{allow: {allow}}}\n")
    workspace = Workspace(tmp_path / "w")
    monkeypatch.setenv("SOME_KEY", KEY)
    spec = read(f"endpoint: {address}\nkey: env:SOME_KEY", "models/m.yaml")
    if goes:
        open_model(workspace, "m", spec, keep=False)
    else:
        with pytest.raises(UserError, match="travel in the open"):
            open_model(workspace, "m", spec, keep=False)
    open_model(workspace, "m", spec.model_copy(update={"key": None}), keep=False)


@pytest.mark.parametrize("kept", [b"{", b"[]", b"null", b'{"text": 1}', b'{"text": "a", "usage": 5, "tool_calls": []}'])
def test_a_kept_reply_that_is_none_is_asked_for_anew(tmp_path: Path, kept: bytes) -> None:
    workspace = Workspace.init(tmp_path / "w")
    key = replies.key("i", [Message("user", "x")], Params(), 0)
    assert key is not None
    opened = Replies(workspace)
    opened.put(key, Reply("hi"), "30 days")
    opened.close()
    connection = sqlite3.connect(workspace.state / "replies.db")
    connection.execute("update reply set body = ?", (kept,))
    connection.commit()
    connection.close()
    opened = Replies(workspace)
    assert opened.reply(key) is None
    opened.close()


def test_kept_replies_on_a_damaged_disk_are_one_sentence(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path / "w")
    key = bytes(32)
    opened = Replies(workspace)
    opened.put(key, Reply("hi" * 5000), "30 days")
    opened.close()
    path = workspace.state / "replies.db"
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xaa" * (len(content) - 4096))
    with pytest.raises(UserError, match="is damaged; remove it"):
        opened = Replies(workspace)
        try:
            opened.reply(key)
        finally:
            opened.close()


def test_a_web_page_of_elsewhere_cannot_have_this_machine_work() -> None:
    with running(simulated("echo")) as (address, endpoint):
        asked = {"messages": [{"role": "user", "content": "Hello"}]}
        for origin in ("https://evil.example", "null", "http://127.0.0.1.evil.example", "http://localhost.evil.example:80"):
            refused = httpx.post(f"{address}/chat/completions", json=asked, headers={"Origin": origin})
            assert refused.status_code == 403 and "access-control-allow-origin" not in refused.headers
        assert endpoint.calls == 0
        for origin in ("http://localhost:3000", "http://127.0.0.1:8081", "http://[::1]"):
            assert httpx.post(f"{address}/chat/completions", json=asked, headers={"Origin": origin}).status_code == 200
        assert httpx.get(f"{address}/models", headers={"Host": "evil.example"}).status_code == 403


ODD: list[Any] = [
    {"messages": "x"}, {"messages": [5]}, {"messages": [{"role": ["user"]}]}, {"messages": [{"role": "user"}], "tools": [1]},
    {"messages": [{"role": "user", "tool_calls": [1]}]},
    {"messages": [{"role": "user", "content": "x"}], "seed": 10**30}, {"messages": [{"role": "user"}], "stop": 5},
    {"messages": [{"role": "user", "content": "x"}], "response_format": 5}, {"messages": {}}, {"messages": None}, [], "x", None,
]  # fmt: skip


@pytest.mark.parametrize("asked", ODD)
def test_an_odd_request_is_refused_with_a_sentence(asked: Any) -> None:
    with running(simulated("echo")) as (address, _):
        found = httpx.post(f"{address}/chat/completions", json=asked)
    assert found.status_code == 400 and found.json()["error"]["message"]


@pytest.mark.parametrize(
    "more", [b'"stream_options": 5, "stream": true', b'"stream_options": [1], "stream": true', b'"stream": false']
)
def test_half_a_pair_of_surrogates_and_odd_options_are_answered(more: bytes) -> None:
    with running(simulated("echo")) as (address, _):
        content = b'{"messages": [{"role": "user", "content": "a \\ud800 b"}], ' + more + b"}"
        found = httpx.post(f"{address}/chat/completions", content=content)
    assert found.status_code == 200 and ("\ufffd" in found.text or "\\ufffd" in found.text)
