"""`llm serve`: what it answers over HTTP is what the OpenAI protocol says, and whom it refuses."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from stellwerk.errors import UserError
from stellwerk.llm import serving
from stellwerk.llm.chat import Message, Reply
from stellwerk.llm.endpoint import EndpointClient
from stellwerk.llm.simulated import SimulatedClient
from stellwerk.llm.spec import ModelSpec, Simulation
from stellwerk.operation import find
from stellwerk.runs import execution
from stellwerk.workspace import Workspace


@contextmanager
def running(client: Any, key: str | None = None) -> Iterator[tuple[str, serving.Endpoint]]:
    """An endpoint over a client, in a thread; its address."""
    endpoint = serving.Endpoint(client, key)
    listening = serving._listen(0)
    ended = threading.Event()

    async def serve() -> None:
        task = asyncio.create_task(serving.run_server(endpoint.app(), listening, None))
        await asyncio.to_thread(ended.wait)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1", endpoint
    finally:
        ended.set()
        thread.join()
        listening.close()


def simulated(plan: str = "support", **options: Any) -> SimulatedClient:
    return SimulatedClient("desk", Simulation.model_validate({"plan": plan, "options": options}))


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running(simulated("echo")) as (found, _):
        yield found


def ask(address: str, **fields: Any) -> httpx.Response:
    body = {"model": "desk", "messages": [{"role": "user", "content": "Guten Tag, wie geht es?"}], **fields}
    return httpx.post(f"{address}/chat/completions", json=body)


def test_our_own_client_reaches_it_by_three_lines(address: str) -> None:
    async def call() -> tuple[Reply, list[str | Reply], list[list[float]]]:
        async with EndpointClient("desk", ModelSpec(endpoint=address), None) as client:
            said = [Message("user", "Hallo Welt")]
            pieces = [piece async for piece in client.stream(said)]
            return await client.complete(said), pieces, await client.embed(["eins", "zwei"])

    reply, pieces, vectors = asyncio.run(call())
    assert (reply.text, reply.finish, reply.model) == ("Hallo Welt", "stop", "simulated")
    assert reply.usage is not None
    assert reply.usage.input == 2
    assert reply.fingerprint == "plan-echo-1"
    assert "".join(str(piece) for piece in pieces[:-1]) == "Hallo Welt"
    assert [len(vector) for vector in vectors] == [256, 256]


def test_an_answer_has_the_fields_of_the_protocol(address: str) -> None:
    found = ask(address).json()
    assert found["object"] == "chat.completion"
    assert found["model"] == "simulated"
    assert found["choices"][0]["message"] == {"role": "assistant", "content": "Guten Tag, wie geht es?"}
    assert found["usage"]["total_tokens"] == found["usage"]["prompt_tokens"] + found["usage"]["completion_tokens"]
    assert httpx.get(f"{address}/models").json()["data"][0]["id"] == "desk"


def test_a_stream_ends_with_usage_and_done(address: str) -> None:
    text = ask(address, stream=True, stream_options={"include_usage": True}).text
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line]
    assert lines[-1] == "[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"]) == "Guten Tag, wie geht es?"
    assert chunks[-1]["usage"]["completion_tokens"] == 7
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"


def test_limits_and_stops_are_kept(address: str) -> None:
    cut = ask(address, max_completion_tokens=2).json()["choices"][0]
    assert (cut["message"]["content"], cut["finish_reason"]) == ("Guten Tag", "length")
    assert ask(address, stop="wie").json()["choices"][0]["message"]["content"] == "Guten Tag, "


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"model": "gpt"}, 404, "its only one is 'desk'"),
        ({"messages": []}, 400, "messages"),
        ({"messages": "hallo"}, 400, "messages"),
        ({"messages": [{"content": "x"}]}, 400, "messages"),
        ({"messages": [{"role": "root", "content": "x"}]}, 400, "role"),
        ({"temperature": "hot"}, 400, "parameters"),
        ({"temperature": -1}, 400, "parameters"),
        ({"n": 2}, 400, "n has to be 1"),
        ({"response_format": {"type": "json_object"}}, 400, "response_format"),
        ({"logit_bias": {}}, 400, "logit_bias"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(address: str, fields: dict[str, Any], status: int, said: str) -> None:
    found = ask(address, **fields)
    assert found.status_code == status
    assert said in found.json()["error"]["message"]


def test_bodies_are_bounded_and_have_to_be_json(address: str) -> None:
    place = f"{address}/chat/completions"
    assert httpx.post(place, content=b"{").status_code == 400
    assert httpx.post(place, content=b"[" * 100_000).status_code == 400
    assert httpx.post(place, content=b"[]").status_code == 400
    assert httpx.post(place, content=b" " * (serving.BODY + 10)).status_code == 413
    assert httpx.post(f"{address}/embeddings", json={"input": []}).status_code == 400
    assert httpx.post(f"{address}/embeddings", json={"input": [1]}).status_code == 400


def test_a_name_of_another_host_is_refused(address: str) -> None:
    assert httpx.get(f"{address}/models", headers={"Host": "evil.example"}).status_code == 403


def test_only_who_has_the_key_is_answered() -> None:
    with running(simulated("echo"), "geheim-123") as (address, endpoint):
        place = f"{address}/models"
        assert httpx.get(place).status_code == 401
        wrong = httpx.get(place, headers={"Authorization": "Bearer geheim-124"})
        assert wrong.status_code == 401
        assert "geheim" not in wrong.text
        assert httpx.get(place, headers={"Authorization": "Bearer geheim-123"}).status_code == 200
        assert endpoint.calls == 0


def test_failures_have_a_status() -> None:
    with running(simulated("echo", failures=1)) as (address, endpoint):
        assert ask(address).status_code == 503
        assert ask(address, stream=True).status_code == 503
        assert endpoint.calls == 0


def test_a_schema_reaches_the_model() -> None:
    schema = {"type": "object", "properties": {"category": {"enum": ["repair", "delivery"]}}}
    with running(simulated()) as (address, _):
        said = [{"role": "user", "content": "Wo bleibt unsere Lieferung A123456?"}]
        form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
        found = ask(address, messages=said, response_format=form).json()
    assert json.loads(found["choices"][0]["message"]["content"])["category"] in ("repair", "delivery")


def test_the_operation_serves_for_some_time_and_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = Workspace.init(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "sim.yaml").write_text("simulated: {plan: echo}\n")
    report = execution.call(workspace, find("llm.serve"), {"model": "sim", "port": 0, "seconds": 0.2})
    assert report.simulated
    assert report.seconds >= 0.2
    assert f"sim, which is simulated, is served at {report.address}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "key", "said"),
    [
        ("endpoint: https://api.example.eu/v1\n", None, "endpoint already"),
        ("simulated: {plan: echo}\n", "geheim", "written out"),
        ("simulated: {plan: echo}\n", "env:NO_SUCH_KEY", "not set"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(tmp_path: Path, file: str, key: str | None, said: str) -> None:
    workspace = Workspace.init(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "sim.yaml").write_text(file)
    with pytest.raises(UserError, match=said) as error:
        serving.serve(workspace, "sim", 0, key, 0.1)
    assert "geheim" not in str(error.value)


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "sim.yaml").write_text("simulated: {plan: echo}\n")
    with serving._listen(0) as taken, pytest.raises(UserError, match="is taken"):
        serving.serve(workspace, "sim", taken.getsockname()[1], None, 0.1)
