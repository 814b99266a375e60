"""A model as everybody gets it: not paid twice, charged to the run, ended with the run."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import hostile
import pytest
from hostile import Hostile

from stellwerk import operation as registry
from stellwerk import waiting
from stellwerk.errors import UserError
from stellwerk.llm.chat import CallFailed, ChatClient, Message, Params, Reply
from stellwerk.llm.opening import open_model
from stellwerk.llm.spec import ModelSpec
from stellwerk.operation import Operation, operation
from stellwerk.record import tables
from stellwerk.run import BudgetSpent, Interrupted, Run
from stellwerk.runs import execution as runs
from stellwerk.workspace import Workspace

ASKED = [Message("user", "Hello")]
PRICE = [{"input": 1000, "output": 1000, "since": "2026-01-01"}]  # 0.015 EUR for each call of the fake server
Use = Callable[[ChatClient], Awaitable[Any]]


@pytest.fixture
def server() -> Iterator[Hostile]:
    with Hostile() as made:
        yield made


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "FIRST", 0.01)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    made = Workspace.init(tmp_path / "place")
    yield made
    if "record" in vars(made):
        made.record.database.close()


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., Any]], Operation]:
    """Makes a function of a test an operation `probe.<name>`."""
    monkeypatch.setitem(registry._registry, "probe", {})

    def register(function: Callable[..., Any]) -> Operation:
        function.__module__ = "stellwerk.probe.operations"
        operation(example={})(function)
        return registry._registry["probe"][function.__name__]

    monkeypatch.setattr(runs, "code_digest", lambda module: "code 1")
    return register


def spec_of(server: Hostile, **fields: Any) -> ModelSpec:
    return ModelSpec.model_validate({"endpoint": server.url, "model": "fake-1", **fields})


def using(workspace: Workspace, spec: ModelSpec, use: Use, **options: Any) -> Any:
    async def main() -> Any:
        async with open_model(workspace, "writer", spec, **options) as client:
            return await use(client)

    return asyncio.run(main())


def ask(workspace: Workspace, spec: ModelSpec, params: Params | None = None, repeat: int = 0, **options: Any) -> Reply:
    reply = using(workspace, spec, lambda client: client.complete(ASKED, params or Params(), repeat=repeat), **options)
    assert isinstance(reply, Reply)
    return reply


def test_the_same_call_is_paid_once(workspace: Workspace, server: Hostile) -> None:
    spec = spec_of(server, params={"temperature": 0})
    first, second = ask(workspace, spec), ask(workspace, spec)
    assert (first.kept, second.kept, server.count) == (False, True, 1)
    assert (second.text, second.usage, second.seconds, second.taken) == (first.text, first.usage, first.seconds, first.taken)
    assert ask(workspace, spec, Params(temperature=0)).kept, "the file says the same"
    for different in (
        {"params": Params(temperature=1)}, {"repeat": 1}, {"keep": False}, {"version": "another"},
    ):  # fmt: skip
        assert not ask(workspace, spec, **different).kept
    for changed in ({"model": "fake-2"}, {"date": "2026-01-01"}, {"params": {"temperature": 0.5}}):
        assert not ask(workspace, spec_of(server, **{"params": {"temperature": 0}, **changed})).kept


def test_keep_none_keeps_nothing(workspace: Workspace, server: Hostile) -> None:
    spec = spec_of(server, keep="none")
    assert not ask(workspace, spec).kept and not ask(workspace, spec).kept
    assert not (workspace.state / "replies.db").exists()


def test_failures_are_not_kept(workspace: Workspace, server: Hostile) -> None:
    server.then(hostile.status(400))
    with pytest.raises(CallFailed):
        ask(workspace, spec_of(server))
    assert not ask(workspace, spec_of(server)).kept


def test_a_hosted_model_is_asked_anew_after_a_day(workspace: Workspace, server: Hostile) -> None:
    def older(seconds: float) -> None:
        connection = sqlite3.connect(workspace.state / "replies.db")
        connection.execute("update reply set taken = taken - ?", (seconds,))
        connection.commit()
        connection.close()

    hosted, own = spec_of(server, hosted=True), spec_of(server)
    ask(workspace, hosted)
    older(86_000)
    assert ask(workspace, hosted).kept and ask(workspace, own).kept
    older(800)
    assert ask(workspace, own).kept
    assert ask(workspace, hosted, older=True).kept
    assert not ask(workspace, hosted).kept
    assert ask(workspace, hosted).kept, "the new reply took the place of the old one"


def test_the_only_model_of_an_endpoint_is_part_of_the_key(workspace: Workspace, server: Hostile) -> None:
    spec = spec_of(server, model=None)
    assert not ask(workspace, spec).kept and ask(workspace, spec).kept
    server.names = ("fake-2",)
    assert not ask(workspace, spec).kept


def test_a_simulated_model_answers_again_and_nothing_is_kept(workspace: Workspace) -> None:
    spec = ModelSpec.model_validate({"simulated": {"plan": "echo"}})
    assert using(workspace, spec, lambda client: client.complete(ASKED)).text
    assert not (workspace.state / "replies.db").exists()


def test_each_text_is_embedded_once(workspace: Workspace, server: Hostile) -> None:
    def embed(*texts: str) -> Any:
        return using(workspace, spec_of(server), lambda client: client.embed(texts))

    assert embed("a", "bb", "a") == [[1.0, 1.0], [2.0, 1.0], [1.0, 1.0]]
    assert embed("ccc", "bb") == [[3.0, 1.0], [2.0, 1.0]]
    assert [request.json["input"] for request in server.requests] == [["a", "bb"], ["ccc"]]
    assert embed() == []


def test_a_key_is_looked_up_before_any_call(workspace: Workspace, server: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of(server, key="env:PROBE_KEY")
    monkeypatch.delenv("PROBE_KEY", raising=False)
    with pytest.raises(UserError, match="PROBE_KEY"):
        open_model(workspace, "writer", spec)
    monkeypatch.setenv("PROBE_KEY", "sk-1")
    ask(workspace, spec)
    assert server.requests[-1].headers["authorization"] == "Bearer sk-1"


def calls(
    workspace: Workspace, spec: ModelSpec, probe: Any, count: int = 1, settings: str = "", **options: Any
) -> dict[str, float]:
    """Make calls one after another in a run; what it spent."""
    spent: dict[str, float] = {}

    def work(*, run: Run) -> None:
        """Call."""

        async def several(client: ChatClient) -> None:
            try:
                for number in range(count):
                    await client.complete([Message("user", str(number))])
            finally:
                spent.update(run.money)

        using(run.workspace, spec, several, run=run, **options)

    with (workspace.root / "stellwerk.yaml").open("a") as file:
        file.write(settings)
    runs.call(Workspace(workspace.root), probe(work), {})
    return spent


def test_a_run_is_charged_for_calls_and_not_for_kept_replies(workspace: Workspace, server: Hostile, probe: Any) -> None:
    spec = spec_of(server, price=PRICE)
    assert calls(workspace, spec, probe, 4) == {"EUR": pytest.approx(0.06)}
    assert calls(workspace, spec, probe, 5) == {"EUR": pytest.approx(0.015)}
    assert server.count == 5


def test_a_budget_of_money_ends_the_run_and_going_on_pays_nothing_twice(
    workspace: Workspace, server: Hostile, probe: Any
) -> None:
    spec = spec_of(server, price=PRICE)
    with pytest.raises(BudgetSpent, match=r"budget of 0\.05 EUR"):
        calls(workspace, spec, probe, 6, "budget: {money: {EUR: 0.05}}\n")
    assert server.count == 4, "the call that went over it was the last"
    assert calls(workspace, spec, probe, 6) == {"EUR": pytest.approx(0.03)}
    assert server.count == 6


@pytest.mark.parametrize(
    ("fields", "says"),
    [({}, "gives no price that holds today"), ({"price": [{**PRICE[0], "since": "2999-01-01"}]}, "gives no price"),
     ({"price": [{**PRICE[0], "currency": "USD"}]}, "bounds EUR, but this costs USD")],
)  # fmt: skip
def test_with_a_budget_of_money_nothing_is_called_whose_price_is_unknown(
    workspace: Workspace, server: Hostile, probe: Any, fields: dict[str, Any], says: str
) -> None:
    with pytest.raises(UserError, match=says):
        calls(workspace, spec_of(server, **fields), probe, 1, "budget: {money: {EUR: 1}}\n")
    assert server.count == 0


def test_with_a_budget_of_money_a_call_without_usage_is_the_last(workspace: Workspace, server: Hostile, probe: Any) -> None:
    server.usage = None
    with pytest.raises(UserError, match="does not say how many tokens"):
        calls(workspace, spec_of(server, price=PRICE), probe, 5, "budget: {money: {EUR: 1}}\n")
    assert server.count == 1


def test_without_such_a_budget_what_is_unknown_is_not_spent(workspace: Workspace, server: Hostile, probe: Any) -> None:
    server.usage = None
    assert calls(workspace, spec_of(server, price=PRICE), probe, 2) == {}
    assert calls(workspace, spec_of(server, keep="none"), probe, 2) == {}


def test_streams_and_vectors_are_charged_too(workspace: Workspace, server: Hostile, probe: Any) -> None:
    spent: dict[str, float] = {}

    def work(*, run: Run) -> None:
        """Call."""

        async def both(client: ChatClient) -> list[Any]:
            return [[piece async for piece in client.stream(ASKED)], await client.embed(["a", "b"])]

        *_, reply = using(run.workspace, spec_of(server, price=PRICE), both, run=run)[0]
        assert reply.text == "OK"
        spent.update(run.money)

    runs.call(workspace, probe(work), {})
    assert spent == {"EUR": pytest.approx(0.015 + 0.002)}


def _hanging(server: Hostile, kind: str) -> Use:
    """A use of a client that would take a minute."""

    async def stream(client: ChatClient) -> None:
        async for _ in client.stream(ASKED):
            pass

    async def wait_to_try_again(client: ChatClient) -> None:
        await client.complete(ASKED)

    server.always(hostile.status(429, {"Retry-After": "60"}) if kind == "waits" else hostile.waits(60))
    return {
        "calls": lambda client: asyncio.gather(*(client.complete([Message("user", str(n))]) for n in range(6))),
        "stream": stream,
        "vectors": lambda client: client.embed(["a"]),
        "waits": wait_to_try_again,
    }[kind]


@pytest.mark.parametrize("kind", ["calls", "stream", "vectors", "waits"])
@pytest.mark.parametrize("thread", ["main", "other"])
def test_a_cancelled_run_ends_its_calls_and_closes_their_connections(
    workspace: Workspace, server: Hostile, probe: Any, kind: str, thread: str
) -> None:
    use = _hanging(server, kind)

    def work(*, run: Run) -> None:
        """Hang."""
        using(run.workspace, spec_of(server), use, run=run)

    made = probe(work)
    ends: list[BaseException] = []

    def target() -> None:
        try:
            runs.call(workspace, made, {})
        except BaseException as error:
            ends.append(error)

    def cancel() -> None:
        while not server.count:
            time.sleep(0.01)
        (row,) = workspace.record.rows(tables.run)
        runs.cancel(workspace, row["id"])

    other = threading.Thread(target=cancel if thread == "main" else target)
    other.start()
    started = time.monotonic()
    (target if thread == "main" else cancel)()
    other.join(10)
    assert time.monotonic() - started < 5
    assert [type(end) for end in ends] == [Interrupted]
    end = time.monotonic() + 3
    while server.connections:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert workspace.record.rows(tables.run)[0]["state"] == "cancelled"


def test_the_budget_of_one_call_ends_the_others(workspace: Workspace, server: Hostile, probe: Any) -> None:
    server.then(*[hostile.waits(60)] * 5)

    async def together(client: ChatClient) -> list[Any]:
        hanging = [asyncio.create_task(client.complete([Message("user", str(n))])) for n in range(5)]
        while server.at_once < 5:
            await asyncio.sleep(0.01)
        ended = [
            await asyncio.gather(client.complete(ASKED), return_exceptions=True),
            await asyncio.gather(*hanging, return_exceptions=True),
        ]
        return [*ended[0], *ended[1]]

    def work(*, run: Run) -> None:
        """Hang."""
        ended = using(run.workspace, spec_of(server, price=PRICE), together, run=run)
        assert [type(end) for end in ended] == [BudgetSpent] * 6

    with (workspace.root / "stellwerk.yaml").open("a") as file:
        file.write("budget: {money: {EUR: 0.01}}\n")
    with pytest.raises(BudgetSpent):
        runs.call(Workspace(workspace.root), probe(work), {})
    assert server.hung_up == 5


def test_a_killed_process_pays_nothing_twice(workspace: Workspace, server: Hostile) -> None:
    code = """
import asyncio, sys
from pathlib import Path
from stellwerk.llm.chat import Message
from stellwerk.llm.opening import open_model
from stellwerk.llm.spec import ModelSpec
from stellwerk.workspace import Workspace
async def main():
    async with open_model(Workspace(Path(sys.argv[1])), "writer", ModelSpec(endpoint=sys.argv[2], model="fake-1")) as client:
        async def one(n):
            await client.complete([Message("user", str(n))])
        for start in range(0, 400, 8):
            await asyncio.gather(*(one(n) for n in range(start, start + 8)))
            print(start, flush=True)
asyncio.run(main())
"""
    server.latency = 0.02
    arguments = [sys.executable, "-c", code, str(workspace.root), server.url]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while int(process.stdout.readline()) < 200:
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
    assert 400 <= server.count <= 400 + 8 * 12, "what was lost were the calls in flight and those of a tenth of a second"
