"""Every operation gives the same result through every door, with the example that it declares."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import jsonschema
import pytest
from answering_model import answering
from mcp import Client
from pydantic_core import to_jsonable_python
from served import call, ended, served, work_on_queue

import stellwerk
from databases import ON_POSTGRESQL
from stellwerk.demo import company
from stellwerk.doors import mcp, mcp_tools
from stellwerk.errors import StellwerkError
from stellwerk.operation import LocalPath, Operation, find, load_all
from stellwerk.record import tables
from stellwerk.runs import exchange
from stellwerk.workspace import Workspace

OPERATIONS = {entry.path: entry for entry in load_all()}
# What differs between two calls by its nature: times, places, and how much a run found already done.
# Their example names a run that has ended, so both doors refuse it.
ENDED = {"runs.cancel", "runs.resume"}
VOLATILE = {"seconds", "started", "finished", "created", "run", "message", "folder", "file", "digest", "sha256", "bytes"}
VOLATILE |= {"token", "expires", "revoked", "id", "when", "measured", "next", "runs", "address", "probed", "tested"}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small workspace of the sample company with both datasets built."""
    folder = tmp_path_factory.mktemp("doors") / "company"
    Workspace.init(folder)
    company.generate(folder, tickets=150)
    (folder / "datasets").mkdir()
    for name in company.DATASETS:
        (folder / "datasets" / f"{name}.yaml").write_text(company.spec_text(name), encoding="utf-8")
    opened = stellwerk.open(folder)
    opened.data.build("tickets")
    judge(opened, folder)
    release(opened, folder)
    opened.workspace.record.database.close()
    return folder


def judge(opened: Any, folder: Path) -> None:
    """Have a prompt and its tests, the last run a comparison, a study that was drawn and rated, and a judge."""
    for path in company.PROMPTS:
        (folder / path).parent.mkdir(exist_ok=True)
        text = company.file_text(path)
        if path == "prompts/reply.prompty":
            text = text.replace("als JSON mit", "nur mit einem JSON-Objekt ohne weiteren Text mit")
        (folder / path).write_text(text, encoding="utf-8")
    opened.prompts.test("reply", "support", "simulated")
    opened.evaluation.study("tone")
    opened.evaluation.rate("tone", "2", "gut")
    opened.prompts.compare("reply", "reply-short", "support", "simulated")


@pytest.fixture(scope="module", autouse=True)
def desk() -> Iterator[None]:
    """The desk's assistant behind an address, as apps/desk.yaml names it."""
    with answering() as address:
        os.environ["DESK_URL"] = f"{address}/v1/chat/completions"
        yield
        del os.environ["DESK_URL"]


def release(opened: Any, folder: Path) -> None:
    """Have a finding, a decision, and a release of a system that binds the one dataset."""
    for path in company.SYSTEMS:
        (folder / path).parent.mkdir(exist_ok=True)
        text = company.file_text(path)
        text = text.replace("  - dataset/knowledge", "  # - dataset/knowledge").replace("min: 0.6", "min: 0.1")
        (folder / path).write_text(text.replace("max: 0.15", "max: 0.9"), encoding="utf-8")
    opened.data.test("tickets")
    record = opened.workspace.record
    (run,) = record.rows(tables.run, order=tables.run.c.created.desc(), limit=1)
    with record.writing(opened.workspace.person) as transaction:
        transaction.insert(
            tables.finding, run=run["id"], step=None, version=record.resolve("tickets", "dataset").id, rule="secret",
            severity="medium", title="two keys in clear", details={}, status="open", created=transaction.at,
        )  # fmt: skip
    with (folder / "systems/support-desk.yaml").open("a") as file:
        file.write("sign_offs: [data protection]\n")
    opened.release.sign("support-desk", "data protection", "screened", "2027-01-31")
    opened.release.make("support-desk")


def copy_of(folder: Path, target: Path) -> Path:
    """An equal workspace; a record on a server is not copied with its folder."""
    if not ON_POSTGRESQL:
        return Path(shutil.copytree(folder, target))
    target.parent.mkdir()
    stellwerk.open(folder).backup(target.with_name("backup"))
    find("restore").function(target.with_name("backup"), target)
    shutil.copytree(folder, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".stellwerk", "stellwerk.yaml"))
    return target


@pytest.mark.parametrize("path", sorted(OPERATIONS))
def test_the_example_gives_the_same_through_every_door(
    path: str, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    entry = OPERATIONS[path]
    monkeypatch.setenv("STELLWERK_PASSWORD", "vier rote Laternen im Nebel")
    folders = {door: copy_of(prepared, tmp_path / door / "company") for door in ("python", *DOORS)}
    prepare(entry, tuple(folders.values()))
    monkeypatch.chdir(folders["python"])
    by_python = to_jsonable_python(outcome(entry, folders["python"]))
    jsonschema.validate(dict(entry.example), entry.parameters_schema)
    assert not isinstance(by_python, str) or path in ENDED, by_python
    for door, ask in DOORS.items():
        with subtests.test(door):
            by_door = ask(entry, folders[door])
            if by_door is ABSENT:
                assert entry.local
            elif isinstance(by_python, str):
                assert without_ids(by_door) == without_ids(by_python)
            else:
                assert steady(by_door) == steady(by_python)
                jsonschema.validate(by_door, entry.result_schema)


@pytest.mark.parametrize("path", sorted(OPERATIONS))
def test_every_parameter_and_operation_is_described(path: str) -> None:
    entry = OPERATIONS[path]
    assert entry.title.endswith(".")
    assert all(parameter.description for parameter in entry.parameters.values())
    assert entry.kind == ("run" if entry.function.__annotations__.get("run") == "Run" else "query")
    assert set(entry.example) <= set(entry.parameters)


def prepare(entry: Operation, folders: tuple[Path, ...]) -> None:
    if entry.path == "record.import":
        for folder in folders:
            stellwerk.open(folder).record.export(folder / "record.jsonl.gz")
    if entry.path == "restore":
        for folder in folders:
            stellwerk.open(folder).backup(folder / "workspace.backup")
    if entry.path == "release.verify":
        for folder in folders:
            stellwerk.open(folder).release.export("support-desk", folder / entry.example["file"])
    if entry.path == "findings.reopen":
        for folder in folders:
            stellwerk.open(folder).findings.accept("latest", "it is a sample", "2027-01-31")
    if entry.path == "release.waive":
        for folder in folders:
            file = folder / "systems/support-desk.yaml"
            file.write_text(file.read_text(encoding="utf-8").replace("days: 7", "max: -1"), encoding="utf-8")
    if entry.path == "access.revoke":
        for folder in folders:
            stellwerk.open(folder).access.token(entry.example["name"])
    if entry.path == "access.remove":
        for folder in folders:
            stellwerk.open(folder).access.account(entry.example["name"], password="env:STELLWERK_PASSWORD")


def outcome(entry: Operation, folder: Path) -> Any:
    """The result of the Python door, or the sentence of its error."""
    opened = stellwerk.open(folder)
    try:
        target = getattr(opened, entry.package) if entry.package else opened
        return getattr(target, entry.name)(**entry.example)
    except StellwerkError as error:
        return str(error)


def by_command(entry: Operation, folder: Path) -> Any:
    """The result that the command line prints, or its sentence."""
    done = subprocess.run(
        [sys.executable, "-m", "stellwerk", *arguments(entry), "--json"], cwd=folder, capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr
    if done.returncode == 2:
        return done.stderr.strip().splitlines()[-1]
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


def by_rest(entry: Operation, folder: Path) -> Any:
    """The result that REST answers, or that of the run which a worker does, or its sentence."""
    with served(folder) as client:
        answer = call(client, entry, dict(entry.example), folder)
        assert (answer.status_code == 404) == entry.local
        if entry.local:
            return ABSENT
        if answer.status_code == 202:
            work_on_queue(folder)
            shown = ended(client, answer.json()["id"])
            assert shown["state"] == "done", shown["error"]
            result = shown["result"]
        elif answer.status_code in (409, 422):
            return answer.json()["error"]
        else:
            assert answer.status_code == 200, answer.text
            result = answer.json()
        if exchange.gives(entry):
            assert [client.get(file["url"]).status_code for file in result.pop("downloads")] == [200]
        return with_folders(entry, result)


def by_mcp(entry: Operation, folder: Path) -> Any:
    """The structured result of the MCP tool, or that of the run which a worker does, or its sentence."""

    async def ask() -> Any:
        async with Client(mcp.server(Workspace(folder))) as client:
            name = entry.path.replace(".", "_")
            assert (name in {tool.name for tool in (await client.list_tools()).tools}) is not entry.local
            if entry.local:
                return ABSENT
            answer = await client.call_tool(name, await brought_along(entry, folder, client))
            if answer.is_error:
                return answer.content[0].text
            result = answer.structured_content
            if entry.kind == "run":
                run = {"run_id": result["run"]}
                work_on_queue(folder)
                standing = (await client.call_tool("runs_follow", run)).structured_content
                assert standing["state"] == "done", standing["error"]
                result = (await client.call_tool("runs_show", run)).structured_content["result"]
            if exchange.gives(entry):
                assert [(await client.read_resource(f"stellwerk:/{file['url']}")).contents for file in result.pop("downloads")]
            return with_folders(entry, result)

    return anyio.run(ask)


async def brought_along(entry: Operation, folder: Path, client: Client) -> dict[str, Any]:
    """The example with uploads instead of files, and without places to write to."""
    given = dict(entry.example)
    for name, parameter in entry.parameters.items():
        if isinstance(parameter.marker, LocalPath) and name in given:
            place = given.pop(name)
            if not parameter.marker.writes:
                content = (folder / place).read_bytes()
                if len(content) > mcp_tools.UPLOAD_BYTES:
                    # A larger file is sent by REST; its reference is the same.
                    given[name] = exchange.store_upload(Workspace(folder), Path(place).name, content)
                    continue
                file = {"name": Path(place).name, "base64": base64.b64encode(content).decode()}
                given[name] = (await client.call_tool("upload", file)).structured_content["reference"]
    return given


def with_folders(entry: Operation, result: Any) -> Any:
    """A file that was sent has no folder any more; this names it as the example does."""
    text = json.dumps(result)
    for name, parameter in entry.parameters.items():
        if isinstance(parameter.marker, LocalPath) and not parameter.marker.writes and name in entry.example:
            text = text.replace(Path(entry.example[name]).name, entry.example[name])
    return json.loads(text)


DOORS: dict[str, Callable[[Operation, Path], Any]] = {"command": by_command, "rest": by_rest, "mcp": by_mcp}
ABSENT = object()


def arguments(entry: Operation) -> list[str]:
    """The example as the arguments of a command."""
    words = [*([entry.package] if entry.package else []), entry.name]
    for name, value in entry.example.items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, list):
            words += [part for one in value for part in (option, str(one))]
        elif isinstance(value, dict):
            words += [option, json.dumps(value)]
        else:
            words += [option] if value is True else [] if value is False else [option, str(value)]
    return words


def steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: steady(part) for name, part in value.items() if name not in VOLATILE}
    # How long a simulated answer takes is no part of what an operation says.
    timed = ("latency", "seconds")
    kept = (
        [part for part in value if not str(isinstance(part, dict) and part.get("metric")).startswith(timed)]
        if isinstance(value, list)
        else value
    )
    return [steady(part) for part in kept] if isinstance(kept, list) else kept


def without_ids(sentence: str) -> str:
    return " ".join(word for word in sentence.split() if not any(c.isdigit() for c in word))
