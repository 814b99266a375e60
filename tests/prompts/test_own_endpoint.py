"""A user's own endpoint works by three lines of YAML: a real `llm serve` in a process of its own, with a key."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stellwerk.errors import UserError
from stellwerk.operation import find
from stellwerk.record import tables
from stellwerk.runs import execution
from stellwerk.workspace import Workspace

KEY = "three-lines-are-enough-7f3a"
SUITE = """
tests:
  - {vars: {task: "Add: 2 + 3"}, assert: [{type: equals, value: "5"}]}
  - {vars: {task: "Add: 20 + 30"}, assert: [{type: equals, value: "50"}]}
  - {vars: {task: "Add: 7 + 8"}, assert: [{type: equals, value: "16"}]}
"""


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where another workspace's model is served, by the command, for whoever has the key."""
    root = tmp_path_factory.mktemp("other")
    Workspace.init(root)
    write(root, "models/adder.yaml", "simulated: {plan: sums, options: {accuracy: 1.0}}\n")
    command = [sys.executable, "-m", "stellwerk", "llm", "serve", "adder", "--port", "0", "--key", "env:ADDER_KEY"]
    env = {**os.environ, "ADDER_KEY": KEY}
    with subprocess.Popen(command, cwd=root, env=env, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = next(line for line in process.stderr if "served at" in line)
        yield re.search(r"http://127\.0\.0\.1:\d+/v1", said)[0]  # type: ignore[index]
        process.terminate()


@pytest.fixture
def workspace(tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setenv("MY_KEY", KEY)
    made = Workspace.init(tmp_path / "mine")
    write(made.root, "models/mine.yaml", f"endpoint: {address}\nmodel: adder\nkey: env:MY_KEY\n")
    write(made.root, "prompts/add.prompty", "user:\n{{task}}\n")
    write(made.root, "suites/sums.yaml", SUITE)
    yield made
    made.record.database.close()


def call(workspace: Workspace, path: str, **values: Any) -> Any:
    return execution.call(workspace, find(path), values)


def test_three_lines_are_enough_to_ask_and_to_measure(workspace: Workspace) -> None:
    said = call(workspace, "llm.chat", model="mine", text="Add: 40 + 2")
    assert said.answer == "42" and said.cost is None
    report = call(workspace, "prompts.test", prompt="add", suite="sums", model="mine")
    assert (report.cases, report.passed, report.failed, report.errors, report.complete) == (3, 2, 1, 0, True)
    numbers = {line.metric: line for line in report.numbers}
    assert numbers["pass_rate"].value == pytest.approx(2 / 3) and numbers["cost_per_case"].value is None
    rows = workspace.record.rows(tables.measurement, tables.measurement.c.metric == "pass_rate")
    assert [(row["n"], row["complete"]) for row in rows] == [(3, 1)]
    assert KEY not in (workspace.root / "stellwerk.lock").read_text()
    for path in (path for path in workspace.state.rglob("*") if path.is_file()):
        assert KEY.encode() not in path.read_bytes(), path


def test_the_key_is_needed_and_a_wrong_one_is_a_sentence_without_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "wrong-key-that-nobody-has")
    with pytest.raises(Exception, match="key") as caught:
        call(workspace, "prompts.test", prompt="add", suite="sums", model="mine")
    assert "wrong-key" not in str(caught.value) and KEY not in str(caught.value)
    monkeypatch.delenv("MY_KEY")
    with pytest.raises(UserError, match="MY_KEY"):
        call(workspace, "llm.chat", model="mine", text="Add: 1 + 1")
