"""The start page: its sentence, what stops each system, the clicks that mend, the first steps, and what may come in."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

import pytest
from sites import ARTICLES, SYSTEM, TICKETS, Visitor, call, visible, write_dataset, write_system

from stellwerk.record import tables
from stellwerk.workspace import Workspace

PLANTED = "<script>alert(1)</script>"


def test_one_sentence_says_how_many_may_run_and_what_stops_the_others(visitor: Visitor) -> None:
    assert "1 of 2 systems can be released; classifier is stopped by 1 gate." in visible(visitor.read("/"))
    german = visible(visitor.read("/", "de"))
    assert "1 von 2 KI-Systemen kann freigegeben werden; classifier wird von 1 Prüfpunkt aufgehalten." in german


def test_what_stops_a_system_stands_there_with_value_threshold_and_reason(visitor: Visitor) -> None:
    page = visitor.read("/")
    said = visible(page)
    assert "The dataset's own tests pass dataset/tickets@1 Measured 1 tests, but required is at most 0 tests." in said
    assert "Threshold ≤ 0 tests n 2" in said
    assert 'href="/systems/classifier#job-data"' in page
    assert said.count("not required") == 14
    assert re.search(r'href="/runs/[0-9a-f]{32}">See the cases', page)


def test_a_broken_file_of_a_system_is_told_and_hides_no_other(new: Callable[..., Visitor]) -> None:
    def prepare(workspace: Workspace) -> None:
        write_system(workspace, "broken", purpose="x")
        write_system(workspace, "other", **SYSTEM)

    said = visible(new(prepare).read("/"))
    assert "None of 2 systems can be released; the file of broken has a mistake; other lacks 1 part that it binds." in said
    assert "systems/broken.yaml, line 1: 'owner' is missing; add it" in said


def test_the_click_that_mends_queues_just_the_run_that_is_needed(new: Callable[..., Visitor]) -> None:
    def prepare(workspace: Workspace) -> None:
        write_dataset(workspace, "knowledge", ARTICLES[:5], tests=[{"column": "id", "unique": True}])
        call(workspace, "data.build", dataset="knowledge")
        write_system(workspace, "support-desk", **SYSTEM)

    visitor = new(prepare)
    assert "No evidence The dataset's own tests pass" in visible(visitor.read("/"))
    answer = visitor.submit("/systems/support-desk/mend", gate="data.tests", back="/")
    assert answer.url.path == "/"
    waiting = visitor.workspace.record.rows(tables.run, tables.run.c.state == "queued")
    assert [(row["operation"], row["parameters"]) for row in waiting] == [("data.test", {"dataset": "knowledge@1"})]
    assert 'hx-trigger="every 3s"' in visitor.read("/now")
    assert "on a version: knowledge@1" in visible(answer.text)


def test_nothing_asks_again_by_itself_while_nothing_runs(visitor: Visitor) -> None:
    assert "hx-trigger" not in visitor.read("/now")
    assert 'hx-select="#signals"' in visitor.read("/now?busy=1")


def test_an_empty_workspace_says_what_to_do(new: Callable[..., Visitor]) -> None:
    visitor = new()
    said = visible(visitor.read("/"))
    assert "Try a file" in said
    assert "Register a bought AI tool" in said
    assert "Describe your AI system" not in said
    assert "Import a promptfoo config" in said


def test_a_file_is_tried_kept_and_becomes_a_spec(new: Callable[..., Visitor]) -> None:
    visitor = new()
    rows = f"id,text\n1,The {PLANTED} pump leaks and has to be sealed\n2,Anna.Berg@example.com asks for a second valve today\n"
    rows += "".join(f"{n},A larger file than a form may otherwise be, with row {n}\n" for n in range(3, 30_000))
    token = re.search(r'name="csrf" value="([^"]+)"', visitor.read("/begin/file"))
    assert token
    sent = visitor.post(
        "/begin/file",
        headers={"origin": str(visitor.base_url).rstrip("/")},
        files={"csrf": (None, unescape(token[1])), "file": ("../../Letters <b>.csv", rows, "text/csv")},
    )
    assert sent.status_code == 200, visible(sent.text)
    assert PLANTED not in sent.text
    assert "Anna.Berg" not in sent.text
    assert "EMAIL 1" in visible(sent.text)
    reference = re.search(r'name="reference" value="([^"]+)"', sent.text)
    assert reference
    kept = visitor.submit("/begin/file/keep", reference=unescape(reference[1]), name="letters")
    assert kept.url.path == "/operations/data.build"
    assert [path.name for path in (visitor.workspace.root / "raw").iterdir()] == ["Letters _b_.csv"]
    assert call(visitor.workspace, "data.build", dataset="letters").counts.read == 29_999
    assert visitor.submit("/begin/file/keep", reference=unescape(reference[1]), name="letters").status_code == 422
    assert visitor.submit("/begin/file/keep", reference="/etc/passwd", name="other").status_code == 422


def test_a_system_is_shown_as_a_file_and_then_written_once(new: Callable[..., Visitor]) -> None:
    def prepare(workspace: Workspace) -> None:
        write_dataset(workspace, "tickets", TICKETS[:5])
        call(workspace, "data.build", dataset="tickets")

    visitor = new(prepare)
    assert "Describe your AI system" in visible(visitor.read("/"))
    fields = {
        "name": "desk",
        "purpose": f"Answer {PLANTED}",
        "owner": "a@b.example",
        "role": "deployer",
        "binds": ["dataset/tickets"],
    }
    file = visitor.workspace.root / "systems" / "desk.yaml"
    shown = visitor.submit("/begin/system", on="/begin/system", do="show", **fields)
    assert "- dataset/tickets" in shown.text
    assert not file.exists()
    written = visitor.submit("/begin/system", on="/begin/system", do="write", **fields)
    assert written.url.path == "/systems/desk"
    assert PLANTED not in written.text
    before = file.read_text()
    again = visitor.submit("/begin/system", on="/begin/system", do="write", **{**fields, "owner": "other"})
    assert again.status_code == 422
    assert "systems/desk.yaml is already there" in visible(again.text)
    assert file.read_text() == before


@pytest.mark.parametrize("name", ["../out", "a b", "", "a/b", "x" * 101])
def test_no_file_is_written_elsewhere(new: Callable[..., Visitor], name: str) -> None:
    visitor = new()
    fields = {"purpose": "x", "owner": "y", "role": "deployer", "binds": "dataset/x", "do": "write"}
    assert visitor.submit("/begin/system", on="/begin/system", name=name, **fields).status_code == 422
    assert not (visitor.workspace.root / "systems").exists()


def test_a_bought_tool_becomes_two_files_and_a_run(new: Callable[..., Visitor]) -> None:
    visitor = new()
    fields = {
        "name": "copilot",
        "provider": "Example",
        "product": "Copilot",
        "purpose": "Write drafts",
        "owner": "it@example.com",
    }
    answer = visitor.submit("/begin/service", on="/begin/service", do="write", region="EU", **fields)
    assert answer.url.path == "/systems/copilot"
    assert "service/copilot is bound, but there is no such version" in visible(answer.text)
    (run,) = visitor.workspace.record.rows(tables.run)
    assert (run["operation"], run["state"]) == ("release.register", "queued")
    call(visitor.workspace, "release.register", service="copilot")
    assert "Fill in what is missing" in visible(visitor.read("/systems/copilot"))
