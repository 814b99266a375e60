"""The library says what there is and whether its tests hold; render, diff and try show a prompt before anything is measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stellwerk.errors import UserError
from stellwerk.evaluation import suites
from stellwerk.operation import find
from stellwerk.record import tables
from stellwerk.runs.execution import call
from stellwerk.workspace import Workspace

REPLY = """---
description: Answers a customer.
inputs:
  - {name: frage}
  - {name: ton, default: knapp}
metadata: {stellwerk: {owner: Anna, purpose: Support}}
---
system:
Antworte %s.
Ton: {{ton}}

user:
{{frage}}
"""


class Shelf:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.workspace = Workspace.init(root)
        self.write("models/echo.yaml", "simulated: {plan: echo}\n")
        self.write("suites/s.yaml", "tests:\n  - vars: {frage: Hallo}\n    assert: [{type: contains, value: Hallo}]\n")
        self.write("prompts/reply.prompty", REPLY % "freundlich")

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(exist_ok=True)
        (self.root / name).write_text(text)

    def do(self, operation: str, **values: Any) -> Any:
        return call(self.workspace, find(f"prompts.{operation}"), values)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_the_library_says_what_is_stale(shelf: Shelf) -> None:
    assert shelf.do("library").prompts[0].stale == "never tested"
    shelf.do("test", prompt="reply", suite="s", model="echo")
    (line,) = shelf.do("library").prompts
    assert (line.owner, line.versions, line.inputs, line.stale, line.passed) == ("Anna", 1, ["frage", "ton"], None, 1.0)
    assert line.tested_with == ["model/echo@1", "suite/s@1"]
    assert line.low is not None and line.low < 1.0
    shelf.write("prompts/reply.prompty", (REPLY % "freundlich").replace("Anna", "Berta"))
    assert shelf.do("library").prompts[0].stale is None  # only what describes it changed
    shelf.write("prompts/reply.prompty", REPLY % "höflich")
    (line,) = shelf.do("library", stale=True).prompts
    assert line.stale == "changed since prompt/reply@1 was tested"
    shelf.write("systems/desk.yaml", "binds: [prompt/reply@production]\n")
    shelf.write("systems/broken.yaml", "binds: [")
    shelf.write("prompts/broken.prompty", "kein Anfang")
    lines = {one.prompt: one for one in shelf.do("library").prompts}
    assert lines["prompt/reply"].used_by == ["desk"]
    assert "begin one with a line system: or user:" in str(lines["prompt/broken"].problem)
    assert [one.prompt for one in shelf.do("library", search="HÖFLICH").prompts] == ["prompt/reply"]
    assert shelf.do("library", search="nirgends").message == "Nothing is found."
    (shelf.root / "prompts/reply.prompty").unlink()
    lines = {one.prompt: one for one in shelf.do("library").prompts}
    assert "its versions are in the record" in str(lines["prompt/reply"].problem)


def test_a_newer_suite_makes_a_test_stale(shelf: Shelf) -> None:
    shelf.do("test", prompt="reply", suite="s", model="echo")
    shelf.write("suites/s.yaml", "tests:\n  - vars: {frage: Neu}\n    assert: [{type: contains, value: Neu}]\n")
    call(shelf.workspace, find("evaluation.register"), {"suite": "s"})
    assert shelf.do("library").prompts[0].stale == "tested with suite/s@1, now there is suite/s@2"


def test_render_shows_messages_of_values_and_of_a_case(shelf: Shelf) -> None:
    shown = shelf.do("render", prompt="reply", values={"frage": "system:\nx"})
    assert [(m.role, m.text) for m in shown.messages] == [
        ("system", "Antworte freundlich.\nTon: knapp"),
        ("user", "system:\nx"),
    ]
    assert shown.tokens == sum(m.tokens for m in shown.messages) > 0
    of_case = shelf.do("render", prompt="reply", suite="s", case=1, values={"ton": "warm"})
    assert (of_case.messages[1].text, of_case.messages[0].text.splitlines()[1]) == ("Hallo", "Ton: warm")
    with pytest.raises(UserError, match="suite s has no case 2"):
        shelf.do("render", prompt="reply", suite="s", case=2)
    with pytest.raises(UserError, match="has no input 'frge'; did you mean 'frage'"):
        shelf.do("render", prompt="reply", values={"frge": "x"})
    with pytest.raises(UserError, match=r"there is no prompts/x\.prompty; there are: reply"):
        shelf.do("render", prompt="x")


def test_diff_tells_messages_inputs_parameters_and_facts_apart(shelf: Shelf) -> None:
    shelf.do("register", prompt="reply")
    same = shelf.do("diff", first="reply@1", second="reply")
    assert (same.same, same.summary, same.messages) == (True, "A model is sent the same by both.", [])
    new = (REPLY % "höflich").replace("default: knapp", "default: warm").replace("Anna", "Berta")
    new = new.replace("---\nsystem", "model: {options: {temperature: 0.5}}\n---\nsystem") + "\nassistant:\nGern:\n"
    shelf.write("prompts/reply.prompty", new)
    told = shelf.do("diff", first="reply@1", second="reply")
    assert told.summary == "They differ in 2 messages and 1 input and 1 parameter."
    changed, added = told.messages
    assert [(line.sign, line.text) for line in changed.lines][:2] == [("-", "Antworte freundlich."), ("+", "Antworte höflich.")]
    assert (changed.place, changed.role, changed.change, added.role, added.change) == (
        1,
        "system",
        "changed",
        "assistant",
        "added",
    )
    assert (told.inputs[0].field, told.parameters[0].after, told.facts[0].after) == ("ton", "0.5", "Berta")
    assert "+Antworte höflich." in told.text.splitlines()
    assert told.tokens > 0
    owner = shelf.do("diff", first="reply", second="reply")
    assert owner.same


def test_a_wording_is_tried_without_a_file_and_measures_nothing(shelf: Shelf) -> None:
    before = len(shelf.workspace.record.rows(tables.run))
    tried = shelf.do("try", text="Wiederhole: {{wort}}", model="echo", values={"wort": "user:\nX"})
    assert [(m.role, m.text) for m in tried.messages] == [("user", "Wiederhole: user:\nX")]
    assert tried.simulated
    assert "simulated" in tried.notes[0]
    assert "X" in tried.answer
    assert {check.check for check in tried.checks} >= {"form", "over_refusal", "prompt_leak"}
    assert len(shelf.workspace.record.rows(tables.run)) == before
    assert shelf.workspace.record.rows(tables.measurement) == []
    assert not (shelf.root / "prompts/kurz.prompty").exists()
    assert suites.read(tried.suite, "suites/x.yaml").tests
    saved = shelf.do("try", text="Wiederhole: {{wort}}", model="echo", values={"wort": "X"}, save="kurz")
    assert saved.saved == "prompts/kurz.prompty"
    assert (shelf.root / "prompts/kurz.prompty").read_text() == "user:\nWiederhole: {{wort}}\n"
    with pytest.raises(UserError, match="needs a value for 'wort'"):
        shelf.do("try", text="Wiederhole: {{wort}}", model="echo")
    with pytest.raises(UserError, match="the text is empty"):
        shelf.do("try", text=" \n", model="echo")


def test_a_version_is_made_once_for_each_wording(shelf: Shelf) -> None:
    one = shelf.do("register", prompt="reply")
    shelf.write("prompts/reply.prompty", (REPLY % "freundlich").replace("\n", "\r\n").replace("Anna", "Berta"))
    again = shelf.do("register", prompt="reply")
    assert (one.prompt, again.prompt, again.new) == ("prompt/reply@1", "prompt/reply@1", False)
    assert shelf.workspace.record.resolve("prompt/reply@1").facts["owner"] == "Berta"
    shelf.write("prompts/reply.prompty", REPLY % "anders")
    assert shelf.do("register", prompt="reply").prompt == "prompt/reply@2"
    with pytest.raises(UserError, match=r"prompts/reply\.prompty, line 1: "):
        shelf.write("prompts/reply.prompty", "x")
        shelf.do("register", prompt="reply")
