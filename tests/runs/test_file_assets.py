"""An asset of one file: its name means the file as it was at submission, a number means a version; money is bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest

from databases import set_settings
from stellwerk import operation as registry
from stellwerk.errors import UserError
from stellwerk.operation import FileRef, Operation, operation
from stellwerk.record import tables
from stellwerk.run import BudgetSpent, Run
from stellwerk.runs import execution, planning
from stellwerk.workspace import Workspace


def refuse_no(text: str, file: str) -> None:
    if text.startswith("no"):
        raise UserError(f"{file}, line 1: this begins with no")


NoteRef = Annotated[str, FileRef("note", "notes", suffix=".txt", check=refuse_no)]


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    made = Workspace.init(tmp_path / "workspace")
    (made.root / "notes").mkdir()
    yield made
    made.record.database.close()


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., Any]], Operation]:
    monkeypatch.setitem(registry._registry, "probe", {})
    monkeypatch.setattr(execution, "code_digest", lambda module: "code 1")

    def register(function: Callable[..., Any]) -> Operation:
        function.__module__ = "stellwerk.probe.operations"
        operation(example={})(function)
        return registry._registry["probe"][function.__name__]

    return register


def note_version(run: Run, *, name: str, file: str, content: str) -> dict[str, str]:
    text = run.store.get(content).decode()
    return {"version": run.output("note", name, identity={"text": text}, content={"text": content}, facts={"file": file})}


def read(note: NoteRef, *, run: Run) -> str:
    """Read a note.

    Args:
        note: its name.
    """
    version = run.asset("note", "note", note_version)
    return f"{version.ref} {version.identity['text']}"


def write(workspace: Workspace, text: str, name: str = "shop") -> None:
    (workspace.root / "notes" / f"{name}.txt").write_text(text)


def test_a_name_means_the_file_and_a_number_the_version(workspace: Workspace, probe: Callable[..., Operation]) -> None:
    entry = probe(read)
    write(workspace, "milk")
    assert execution.call(workspace, entry, {"note": "shop"}) == "note/shop@1 milk"
    write(workspace, "bread")
    assert execution.call(workspace, entry, {"note": "note/shop"}) == "note/shop@2 bread"
    assert execution.call(workspace, entry, {"note": "shop@1"}) == "note/shop@1 milk"
    write(workspace, "milk")
    assert execution.call(workspace, entry, {"note": "shop"}) == "note/shop@1 milk"
    assert workspace.record.resolve("note/shop").number == 1
    (workspace.root / "notes" / "shop.txt").unlink()
    assert execution.call(workspace, entry, {"note": "shop"}) == "note/shop@1 milk"


def test_an_edit_after_submission_does_not_move_the_run(workspace: Workspace, probe: Callable[..., Operation]) -> None:
    entry = probe(read)
    write(workspace, "milk")
    run = execution.submit(workspace, entry, {"note": "shop"})
    write(workspace, "bread")
    assert execution.execute(workspace, run) == "note/shop@1 milk"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("shop", r"^notes/shop\.txt, line 1: this begins with no$"),
        ("shopp", r"there is no notes/shopp\.txt; there are: shop"),
        ("../shop", "is no name of a spec"),
        ("shop@3", "there is no note named 'shop'"),
    ],
)
def test_a_mistake_is_one_sentence_and_notes_no_run(
    workspace: Workspace, probe: Callable[..., Operation], name: str, said: str
) -> None:
    entry = probe(read)
    write(workspace, "no milk")
    with pytest.raises(UserError, match=said):
        execution.call(workspace, entry, {"note": name})
    assert workspace.record.rows(tables.run) == []


ASKED: list[int] = []


def ask(run: Run, *, upto: int) -> dict[str, Any]:
    ASKED.append(upto)
    return {"again": len(ASKED) < 3, "asked": len(ASKED)}


def test_an_outcome_with_something_left_is_kept_and_done_again(workspace: Workspace, probe: Callable[..., Operation]) -> None:
    ASKED.clear()

    def asking(*, run: Run) -> int:
        """Ask."""
        return int(run.step("ask", ask, upto=3)["asked"])

    entry = probe(asking)
    assert [execution.call(workspace, entry, {}) for _ in range(5)] == [1, 2, 3, 3, 3]
    outcomes = [step["outcome"]["again"] for step in workspace.record.rows(tables.step, order=tables.step.c.finished)]
    assert outcomes == [True, True, False, False, False]


def spend(*, run: Run) -> dict[str, float]:
    """Spend."""
    for _ in range(10):
        run.spend(0.4, "EUR")
        run.check()
    return run.money


def test_a_budget_of_money_stops_a_run(workspace: Workspace, probe: Callable[..., Operation]) -> None:
    entry = probe(spend)
    assert execution.call(workspace, entry, {}) == {"EUR": pytest.approx(4.0)}
    (expected,) = (one for one in planning.plan(workspace, entry, None).estimates if one.what == "money")
    assert (expected.median, expected.unit) == (4.0, "EUR")
    set_settings(workspace.root, "budget: {money: {EUR: 1.5}}\n")
    bounded = Workspace(workspace.root)
    with pytest.raises(BudgetSpent, match=r"its budget of 1\.5 EUR in stellwerk\.yaml"):
        execution.call(bounded, entry, {})
    set_settings(workspace.root, "budget: {money: {USD: 9}}\n")
    other = Workspace(workspace.root)
    with pytest.raises(UserError, match=r"bounds USD, but this costs EUR; add it there"):
        execution.call(other, entry, {})
    for opened in (bounded, other):
        opened.record.database.close()
