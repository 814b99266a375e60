"""Every operation gives the same result through every door, with the example that it declares."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic_core import to_jsonable_python

import stellwerk
from databases import ON_POSTGRESQL
from stellwerk.demo import company
from stellwerk.errors import StellwerkError
from stellwerk.operation import Operation, find, load_all
from stellwerk.workspace import Workspace

OPERATIONS = {entry.path: entry for entry in load_all()}
# What differs between two calls by its nature: times, places, and how much a run found already done.
# Their example names a run that has ended, so both doors refuse it.
ENDED = {"runs.cancel", "runs.resume"}
VOLATILE = {"seconds", "started", "finished", "created", "run", "message", "folder", "file", "digest", "sha256", "bytes"}


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
    opened.workspace.record.database.close()
    return folder


@pytest.fixture
def workspaces(prepared: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two equal copies, one for each door."""
    return copy_of(prepared, tmp_path / "one" / "company"), copy_of(prepared, tmp_path / "two" / "company")


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
def test_the_example_gives_the_same_through_python_and_the_command_line(
    path: str, workspaces: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = OPERATIONS[path]
    first, second = workspaces
    prepare(entry, workspaces)
    monkeypatch.chdir(first)
    by_python = to_jsonable_python(outcome(entry, first))
    done = subprocess.run(
        [sys.executable, "-m", "stellwerk", *arguments(entry), "--json"], cwd=second, capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr
    if isinstance(by_python, str):
        assert path in ENDED, by_python
        assert done.returncode == 2
        assert without_ids(done.stderr.strip().splitlines()[-1]) == without_ids(by_python)
        return
    assert done.returncode in (0, 1), done.stderr
    by_command = json.loads(done.stdout)
    assert steady(by_command) == steady(by_python)
    jsonschema.validate(by_command, entry.result_schema)
    jsonschema.validate(dict(entry.example), entry.parameters_schema)


@pytest.mark.parametrize("path", sorted(OPERATIONS))
def test_every_parameter_and_operation_is_described(path: str) -> None:
    entry = OPERATIONS[path]
    assert entry.title.endswith(".")
    assert all(parameter.description for parameter in entry.parameters.values())
    assert entry.kind == ("run" if "run" in entry.function.__annotations__ else "query")
    assert set(entry.example) <= set(entry.parameters)


def prepare(entry: Operation, folders: tuple[Path, Path]) -> None:
    if entry.path == "record.import":
        for folder in folders:
            stellwerk.open(folder).record.export(folder / "record.jsonl.gz")
    if entry.path == "restore":
        for folder in folders:
            stellwerk.open(folder).backup(folder / "workspace.backup")


def outcome(entry: Operation, folder: Path) -> Any:
    """The result of the Python door, or the sentence of its error."""
    opened = stellwerk.open(folder)
    try:
        target = getattr(opened, entry.package) if entry.package else opened
        return getattr(target, entry.name)(**entry.example)
    except StellwerkError as error:
        return str(error)


def arguments(entry: Operation) -> list[str]:
    """The example as the arguments of a command."""
    words = [*([entry.package] if entry.package else []), entry.name]
    for name, value in entry.example.items():
        option = f"--{name.replace('_', '-')}"
        words += [option] if value is True else [] if value is False else [option, str(value)]
    return words


def steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: steady(part) for name, part in value.items() if name not in VOLATILE}
    return [steady(part) for part in value] if isinstance(value, list) else value


def without_ids(sentence: str) -> str:
    return " ".join(word for word in sentence.split() if not any(c.isdigit() for c in word))
