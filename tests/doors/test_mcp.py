"""The MCP door, as clients meet it: over standard input and output, and over HTTP, with a worker beside it."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import anyio
import jsonschema
import psutil
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, ResourceLink, TextContent
from pydantic_core import to_jsonable_python

import stellwerk
from stellwerk.access import tokens
from stellwerk.doors import mcp_answers
from stellwerk.doors.mcp import server
from stellwerk.doors.mcp_tools import UPLOAD_BYTES
from stellwerk.errors import UserError
from stellwerk.operation import LocalPath, load_all
from stellwerk.workspace import Workspace

LETTERS = "id,text\n1,the first letter\n2,der zweite Brief\n3,a third one\n"
SPEC = "sources: [{name: letters, files: raw/*.csv, key: id, text: text}]\ntests: [{rows: {min: 2}}]\n"
ERAS = ("auto", "legacy")  # the protocol of 2026-07-28, and the handshake of those before it
SLOW = "SELECT count(*) FROM range(1000000) a, range(1000000) b, range(1000) c WHERE a.range * b.range % 7 = c.range"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a spec, whose path has a blank and an umlaut."""
    root = tmp_path_factory.mktemp("mcp") / "Müller Daten"
    Workspace.init(root)
    for name, text in {"raw/letters.csv": LETTERS, "datasets/letters.yaml": SPEC}.items():
        (root / name).parent.mkdir()
        (root / name).write_text(text)
    stellwerk.open(root).data.build("letters")
    return root


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """A server over HTTP."""
    with started(folder, "--http", "--port", "0") as process:
        assert process.stdout is not None
        yield re.findall(r"http://\S+", process.stdout.readline())[0]


def command(folder: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "stellwerk", "mcp", "--workspace", str(folder), *words]


@contextmanager
def started(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """The command as a process."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command(folder, *words), stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd="/") as process:
        try:
            yield process
        finally:
            process.terminate()


def talk(where: Any, what: Callable[[Client], Awaitable[Any]], mode: str = "auto", token: str | None = None) -> Any:
    """Have a client do something with a server."""

    async def run() -> Any:
        async with AsyncExitStack() as stack:
            if token:
                http = await stack.enter_async_context(create_mcp_http_client({"Authorization": f"Bearer {token}"}))
                there: Any = streamable_http_client(where, http_client=http)
            else:
                there = where
            return await what(await stack.enter_async_context(Client(there, mode=mode)))

    return anyio.run(run)


def beside(folder: Path, *words: str) -> StdioServerParameters:
    """A server on standard input and output, which a client starts somewhere else."""
    first, *rest = command(folder, *words)
    return StdioServerParameters(command=first, args=rest, cwd="/", env=dict(os.environ))


async def call(client: Client, tool: str, /, **given: Any) -> CallToolResult:
    return await client.call_tool(tool, given)


def said(result: CallToolResult) -> str:
    first = result.content[0]
    assert isinstance(first, TextContent)
    return first.text


async def refused(client: Client, tool: str, /, **given: Any) -> str:
    """The sentence with which a call is refused."""
    result = await call(client, tool, **given)
    assert result.is_error, said(result)
    assert result.structured_content is None
    return said(result)


async def done(client: Client, run: str, tell: Any = None) -> dict[str, Any]:
    """Follow a run to its end."""
    with anyio.fail_after(180):
        while True:
            found = (await client.call_tool("runs_follow", {"run_id": run}, progress_callback=tell)).structured_content
            if found["state"] not in ("queued", "running"):
                return dict(found)


@pytest.mark.parametrize("mode", ERAS)
def test_tools_that_look_come_first_and_say_what_they_change(folder: Path, mode: str) -> None:
    tools = talk(server(Workspace(folder)), lambda client: client.list_tools(), mode).tools
    looks = [tool.annotations.read_only_hint for tool in tools]
    assert looks == sorted(looks, reverse=True)
    hints = {tool.name: tool.annotations for tool in tools}
    entries = {entry.path.replace(".", "_"): entry for entry in load_all()}
    assert set(hints) == {name for name, entry in entries.items() if not entry.local} | {"upload"}
    for tool in tools:
        jsonschema.Draft202012Validator.check_schema(tool.input_schema)
        jsonschema.Draft202012Validator.check_schema(tool.output_schema)
        assert tool.description
        assert tool.input_schema["additionalProperties"] is False
        if tool.name != "upload":
            entry = entries[tool.name]
            assert hints[tool.name].read_only_hint is not entry.changes
            places = {p.name for p in entry.parameters.values() if isinstance(p.marker, LocalPath) and p.marker.writes}
            assert set(tool.input_schema["properties"]) == set(entry.parameters) - places
    assert (hints["data_build"].destructive_hint, hints["data_build"].idempotent_hint) == (False, True)
    assert all(hints[name].destructive_hint for name in ("data_erase", "gc", "runs_cancel"))


def test_a_client_builds_a_dataset_and_follows_it_to_its_end(folder: Path, tmp_path: Path) -> None:
    moments: list[tuple[float, str | None]] = []

    async def tell(progress: float, _: float | None, message: str | None) -> None:
        moments.append((progress, message))

    async def work(client: Client) -> tuple[Any, Any, Any]:
        await client.list_tools()  # with these the client checks what is answered against the schemas
        (folder / "raw/letters.csv").write_text(f"{LETTERS}4,the fourth letter\n")
        queued = (await call(client, "data_build", dataset="letters")).structured_content
        ended = await done(client, queued["run"], tell)
        shown = (await call(client, "runs_show", run_id=queued["run"])).structured_content
        table = await call(client, "data_query", dataset="letters", sql="SELECT count(*) AS n FROM documents")
        return queued, {**ended, **shown}, table

    queued, run, table = talk(beside(folder), work)
    assert queued["state"] == "queued"
    assert f'runs_follow with {{"run_id": "{queued["run"]}"}}' in queued["next"]
    assert run["state"] == "done", run["error"]
    assert run["outputs"]
    assert "n\n4" in said(table)
    by_python = stellwerk.open(folder).data.query("letters", sql="SELECT count(*) AS n FROM documents")
    assert without_seconds(table.structured_content) == without_seconds(to_jsonable_python(by_python))
    numbers = [number for number, _ in moments]
    assert numbers
    assert numbers == sorted(set(numbers))
    assert all(message in ("queued", "running", "done") or ": " in message for _, message in moments if message)
    assert any(": " in message for _, message in moments if message)


def without_seconds(value: dict[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in value.items() if name != "seconds"}


def test_nothing_but_the_protocol_is_written_to_standard_output(folder: Path) -> None:
    calls = [
        ("data_profile", {"dataset": "letters"}),
        ("nothing", {}),
        ("data_query", {"dataset": "letters", "sql": "nonsense"}),
    ]
    start = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    asked: list[tuple[int | None, str, dict[str, Any]]] = [(0, "initialize", start), (None, "notifications/initialized", {})]
    asked += [(n, "tools/call", {"name": name, "arguments": given}) for n, (name, given) in enumerate(calls, start=1)]
    with started(folder) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number, method, params in asked:
            message = {"jsonrpc": "2.0", "method": method, "params": params} | ({} if number is None else {"id": number})
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()
        answers = [json.loads(process.stdout.readline()) for _ in range(4)]
        process.stdin.close()
        assert process.stdout.read() == ""
        assert process.stderr is not None
        assert "worker ended" in process.stderr.read()
        assert process.wait(60) == 0
    assert {answer["id"] for answer in answers} == {0, 1, 2, 3}
    assert all(answer["jsonrpc"] == "2.0" for answer in answers)


@pytest.mark.parametrize("mode", ERAS)
def test_mistakes_are_sentences_that_say_the_way_out(folder: Path, mode: str) -> None:
    async def err(client: Client) -> list[str]:
        with pytest.raises(MCPError, match="did you mean data_build"):
            await call(client, "data_buidl", dataset="letters")
        return [
            await refused(client, "show", reference="nothing"),
            await refused(client, "show"),
            await refused(client, "show", reference="letters", colour="red"),
            await refused(client, "data_build", dataset="nothing"),
            await refused(client, "data_try", file="/etc/passwd"),
            await refused(client, "data_try", file=f"upload:{'0' * 64}/passwd?{'0' * 64}"),
            await refused(client, "data_export", dataset="letters", folder="/tmp/stolen"),
            await refused(client, "runs_follow", run_id="latest", seconds="long"),
        ]

    told = talk(server(Workspace(folder)), err, mode)
    for sentence, part in zip(
        told,
        [
            "there is no asset named 'nothing'",
            "reference is missing",
            "there is no parameter colour",
            "there is no datasets/nothing.yaml; there are: letters",
            "no path on the server is taken from here",
            "nobody here gave that reference",
            "there is no parameter folder here",
            "seconds:",
        ],
        strict=True,
    ):
        assert part in sentence
        assert "\n" not in sentence


def test_a_small_file_is_brought_along_and_tried(folder: Path) -> None:
    async def bring(client: Client) -> tuple[Any, Any]:
        given = {"text": LETTERS, "base64": base64.b64encode(LETTERS.encode()).decode()}
        kept = [
            (await call(client, "upload", name="../../letters.csv", **{kind: text})).structured_content
            for kind, text in given.items()
        ]
        assert kept[0] == kept[1]
        assert kept[0]["name"] == "letters.csv"
        too_large = await refused(client, "upload", name="a.csv", text="x" * (UPLOAD_BYTES + 1))
        assert f"upload takes {UPLOAD_BYTES:,}" in too_large
        assert "either text or base64" in await refused(client, "upload", name="a.csv")
        assert "either text or base64" in await refused(client, "upload", name="a.csv", **given)
        assert "base64" in await refused(client, "upload", name="a.csv", base64="ä")
        assert "colour" in await refused(client, "upload", name="a.csv", text="x", colour="red")
        tried = await call(client, "data_try", file=kept[0]["reference"])
        return tried, await call(client, "data_query", dataset="letters", sql="SELECT 1 AS one", limit=1)

    tried, _ = talk(server(Workspace(folder)), bring)
    assert not tried.is_error, said(tried)
    assert (tried.structured_content["file"], tried.structured_content["rows"]) == ("letters.csv", 3)
    assert "rows: 3" in said(tried)


def test_one_job_is_served_with_what_every_job_needs(folder: Path) -> None:
    tools = talk(beside(folder, "--job", "data", "--no-worker"), lambda client: client.list_tools()).tools
    names = [tool.name for tool in tools]
    assert names[0].startswith("data_")
    assert {"jobs", "show", "runs_list", "runs_follow", "runs_cancel", "data_build", "upload"} <= set(names)
    assert not {"gc", "record_import"} & set(names)
    with pytest.raises(UserError, match=r"there is no job 'dada' with operations; there are: .*data"):
        server(Workspace(folder), "dada")


def test_what_an_export_writes_is_a_resource(folder: Path) -> None:
    async def export(client: Client) -> bytes:
        queued = (await call(client, "data_export", dataset="letters", format="jsonl")).structured_content
        ended = await done(client, queued["run"])
        assert ended["state"] == "done", ended["error"]
        shown = await call(client, "runs_show", run_id=queued["run"])
        (link,) = [part for part in shown.content if isinstance(part, ResourceLink)]
        (found,) = (await client.read_resource(link.uri)).contents
        with pytest.raises(MCPError, match="no download of this workspace"):
            await client.read_resource(link.uri[:-1] + ("0" if link.uri[-1] != "0" else "1"))
        with pytest.raises(MCPError, match="no such resource"):
            await client.read_resource("file:///etc/passwd")
        return base64.b64decode(found.blob)  # type: ignore[union-attr]

    with zipfile.ZipFile(io.BytesIO(talk(beside(folder), export))) as archive:
        rows = [line for name in archive.namelist() if name.endswith(".jsonl") for line in archive.read(name).splitlines()]
    assert {json.loads(row)["text"] for row in rows} >= {"the first letter", "der zweite Brief"}


def test_a_call_that_is_given_up_ends_its_work(folder: Path) -> None:
    async def give_up(client: Client) -> list[psutil.Process]:
        await call(client, "data_query", dataset="letters", sql="SELECT 1 AS one")
        busy = [child for child in psutil.Process().children(recursive=True) if "stellwerk.doors.answerer" in child.cmdline()]
        assert busy
        with anyio.move_on_after(1.5) as scope:
            await call(client, "data_query", dataset="letters", sql=SLOW)
        assert scope.cancelled_caught
        with anyio.move_on_after(0.5) as scope:
            await call(client, "runs_follow", run_id="latest")
        with anyio.fail_after(30):
            while any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in busy):
                await anyio.sleep(0.1)
        result = await call(client, "data_query", dataset="letters", sql="SELECT 1 AS one")
        assert not result.is_error, said(result)
        return busy

    talk(beside(folder, "--no-worker"), give_up)


def test_the_worker_ends_with_a_server_that_is_killed(folder: Path) -> None:
    with started(folder) as process:
        assert process.stderr is not None
        assert "worker started" in process.stderr.readline()
        children = psutil.Process(process.pid).children()
        assert children
        process.send_signal(signal.SIGKILL)
        _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive


@pytest.mark.parametrize("mode", ERAS)
def test_over_http_the_local_user_has_all_tools(address: str, folder: Path, mode: str) -> None:
    async def look(client: Client) -> Any:
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert {"data_build", "gc", "upload"} <= set(names)
        queued = (await call(client, "data_build", dataset="letters")).structured_content
        moments: list[float] = []

        async def tell(progress: float, *_: Any) -> None:
            moments.append(progress)

        assert (await done(client, queued["run"], tell))["state"] == "done"
        assert moments
        return await call(client, "show", reference="dataset/letters")

    shown = talk(address, look, mode)
    assert shown.structured_content == to_jsonable_python(stellwerk.open(folder).show("dataset/letters"))


@pytest.mark.parametrize("mode", ERAS)
def test_a_token_has_the_tools_of_its_scopes_and_its_name_in_the_record(address: str, folder: Path, mode: str) -> None:
    made = {name: tokens.make(Workspace(folder), f"{name}-{mode}", scopes, 1)[0] for name, scopes in SCOPES.items()}

    async def read(client: Client) -> None:
        tools = (await client.list_tools()).tools
        assert tools
        assert all(tool.annotations.read_only_hint for tool in tools)
        assert "record_export" not in {tool.name for tool in tools}
        assert "needs the scope run" in await refused(client, "data_build", dataset="letters")
        assert "needs the scope run" in await refused(client, "upload", name="a.csv", text="a")

    async def build(client: Client) -> str:
        queued = (await call(client, "data_build", dataset="letters")).structured_content
        await done(client, queued["run"])
        return str((await call(client, "runs_show", run_id=queued["run"])).structured_content["person"])

    talk(address, read, mode, made["reader"])
    assert talk(address, build, mode, made["builder"]) == f"builder-{mode}"


SCOPES: dict[str, list[Any]] = {"reader": ["read"], "builder": ["read", "run"]}


def test_a_session_serves_only_the_token_that_opened_it(address: str, folder: Path) -> None:
    one, other = (tokens.make(Workspace(folder), name, ["read"], 1)[0] for name in ("one", "other"))
    accept = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}
    start = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    begin = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": start}

    async def ask() -> list[int]:
        async with create_mcp_http_client(accept) as client:
            opened = await client.post(address, json=begin, headers={"Authorization": f"Bearer {one}"})
            session = {"Mcp-Session-Id": opened.headers["mcp-session-id"]}
            ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
            tried = [{"Authorization": f"Bearer {token}"} for token in (one, other)] + [{}, {"Authorization": "Bearer none"}]
            found = [(await client.post(address, json=ping, headers={**session, **more})).status_code for more in tried]
            elsewhere = await client.post(address, json=begin, headers={"Host": "attacker.example"})
            page = await client.post(address, json=begin, headers={"Origin": "https://attacker.example"})
            form = await client.post(address, content=json.dumps(begin), headers={"Content-Type": "text/plain"})
            return [*found, elsewhere.status_code, page.status_code, form.status_code]

    assert anyio.run(ask) == [200, 404, 404, 401, 421, 403, 415]


def test_a_server_with_an_open_session_ends_when_it_is_told(folder: Path) -> None:
    async def stay(client: Client) -> float:
        await client.list_tools()
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        await anyio.to_thread.run_sync(process.wait, 60)
        return time.monotonic() - began

    with started(folder, "--http", "--port", "0") as process:
        assert process.stdout is not None
        where = re.findall(r"http://\S+", process.stdout.readline())[0]
        assert talk(where, stay, "legacy") < 40


def test_other_machines_are_served_only_with_tokens_and_encryption(folder: Path) -> None:
    refused = subprocess.run(command(folder, "--http", "--host", "0.0.0.0"), capture_output=True, text=True)
    assert refused.returncode == 2
    assert "--name" in refused.stderr


def test_a_long_answer_is_cut_as_text_and_refused_beyond_a_megabyte() -> None:
    rows = [[n, "x" * 50] for n in range(5000)]
    content = json.dumps({"columns": ["n", "text"], "rows": rows, "empty": []}).encode()
    result = mcp_answers.answer("data_query", content)
    assert result.structured_content == json.loads(content)
    text = said(result)
    assert len(text) < mcp_answers.TEXT + 200
    assert text.startswith("n | text\n0 | xxx")
    assert "cut here" in text
    with pytest.raises(UserError, match=r"data_query answers with 1\.\d MB, more than the 1 MB"):
        mcp_answers.answer("data_query", json.dumps({"text": "x" * 2**20}).encode())


def test_what_data_say_cannot_steer_a_terminal() -> None:
    assert "\x1b" not in said(mcp_answers.answer("show", json.dumps({"text\x1b": "\x1b[2J", "rows": [{"a": "\x1b"}]}).encode()))
    assert "\x1b" not in said(mcp_answers.refusal("there is no \x1b[2J"))
