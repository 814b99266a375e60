"""Clearing up removes only what nothing needs, says what it would do first, and never breaks a workspace."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from places import call, clone, make, texts, write

from stellwerk.errors import StellwerkError, UserError
from stellwerk.operation import find
from stellwerk.record import leases, tables
from stellwerk.runs import execution
from stellwerk.workspace import Workspace

STATES = [("eins", "zwei"), ("eins", "drei"), ("eins", "vier", "fünf")]


def contents(workspace: Workspace) -> set[str]:
    return {reference for reference, _, _ in (*workspace.store.artifacts(), *workspace.store.tables())}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Three versions of a dataset."""
    return make(tmp_path_factory.mktemp("built") / "workspace", *STATES)


@pytest.fixture
def workspace(built: Workspace, tmp_path: Path) -> Workspace:
    """A workspace of its own for each test, equal to the one that was built."""
    return clone(built, tmp_path / "workspace")


def test_without_apply_it_only_says_what_it_would_remove(workspace: Workspace) -> None:
    before, runs = contents(workspace), len(workspace.record.rows(tables.run))
    said = call(workspace, "gc", keep=1, days=0)
    assert not said.applied
    assert said.bytes > 0
    assert said.versions[:2] == ["dataset/letters@1", "dataset/letters@2"]
    assert contents(workspace) == before
    assert len(workspace.record.rows(tables.run)) == runs
    done = call(workspace, "gc", keep=1, days=0, apply=True)
    assert (done.removed, done.versions, done.bytes) == (said.removed, said.versions, said.bytes)


def test_what_is_kept_works_and_what_went_says_so(workspace: Workspace) -> None:
    before = {version.ref: version.digest for version in workspace.record.versions()}
    spare = call(workspace, "gc", keep=1, days=0, apply=True)
    assert spare.applied
    assert call(workspace, "gc", keep=1, days=0).removed == [], "nothing is left to do"
    assert texts(workspace) == ["eins", "fünf", "vier"]
    rows = call(workspace, "data.query", dataset="letters", sql="SELECT doc_id FROM ledger").rows
    assert call(workspace, "data.explain", dataset="letters", document=rows[0][0])
    assert "no longer in the store" in call(workspace, "show", reference="letters@1").removed
    assert call(workspace, "show", reference="letters").removed is None
    with pytest.raises(StellwerkError, match="no longer in the store"):
        texts(workspace, "letters@1")
    assert call(workspace, "data.build", dataset="letters").message.startswith("nothing changed")
    write(workspace, *STATES[0])
    call(workspace, "data.build", dataset="letters")
    assert {version.ref: version.digest for version in workspace.record.versions()} == before, "done again to the same digest"
    assert call(workspace, "show", reference="letters@1").removed is None
    assert texts(workspace) == ["eins", "zwei"]
    assert call(workspace, "record.verify").intact


def test_the_record_notes_what_was_removed(workspace: Workspace) -> None:
    done = call(workspace, "gc", keep=1, days=0, apply=True)
    shown = call(workspace, "runs.show", run_id="latest")
    assert (shown.operation, shown.state) == ("gc", "done")
    (step,) = workspace.record.rows(tables.step, tables.step.c.name == "gc")
    assert step["outcome"]["versions"] == done.versions
    assert sum(kind["bytes"] for kind in step["outcome"]["removed"].values()) == done.bytes
    assert call(workspace, "record.verify").intact


def test_what_an_alias_points_to_keeps_its_bytes(workspace: Workspace) -> None:
    first = workspace.record.resolve("letters@1")
    (asset,) = workspace.record.rows(tables.asset, tables.asset.c.kind == "dataset")
    with workspace.record.writing(workspace.person) as transaction:
        transaction.move_alias(asset["id"], "production", first.id, first.run)
    done = call(workspace, "gc", keep=1, days=0, apply=True)
    assert "dataset/letters@1" not in done.versions
    assert "dataset/letters@2" in done.versions
    assert texts(workspace, "letters@production") == ["eins", "zwei"]
    assert texts(workspace) == ["eins", "fünf", "vier"]


def test_newest_versions_and_young_contents_stay(workspace: Workspace) -> None:
    said = call(workspace, "gc", keep=3, days=0)
    assert said.versions == []
    said = call(workspace, "gc", keep=1, days=1)
    assert (said.removed, said.versions) == ([], [])
    assert said.young_bytes > 0
    old = time.time() - 2 * 86400
    table = workspace.store.table(workspace.record.resolve("letters@1").content["table"])
    os.utime(table, (old, old))
    said = call(workspace, "gc", keep=1, days=1)
    assert said.versions == ["dataset/letters@1"]


def test_what_no_row_refers_to_stays_for_an_hour(workspace: Workspace) -> None:
    reference = workspace.store.put(b"the spec of a run that is about to be submitted")
    call(workspace, "gc", keep=1, days=0, apply=True)
    assert workspace.store.has(reference)
    past = time.time() - 2 * 3600
    os.utime(workspace.store.path(reference), (past, past))
    call(workspace, "gc", keep=1, days=0, apply=True)
    assert not workspace.store.has(reference)


def test_erased_rows_go_first_whatever_their_age(workspace: Workspace) -> None:
    call(workspace, "data.erase", dataset="letters", where="text = 'eins'", reason="on request")
    done = call(workspace, "gc", keep=9, days=30, apply=True)
    assert done.tainted == [f"dataset/letters@{number}" for number in (1, 2, 3)]
    assert done.versions == []
    assert texts(workspace) == ["fünf", "vier"]
    for reference in contents(workspace):
        if reference.startswith("table:"):
            files = workspace.store.table(reference).rglob("*.parquet")
            assert not any(b"eins" in file.read_bytes() for file in files)
    assert "no longer in the store" in call(workspace, "show", reference="letters@3").removed


def test_a_tainted_version_that_is_in_use_is_told(workspace: Workspace) -> None:
    first = workspace.record.resolve("letters@1")
    with workspace.record.writing(workspace.person) as transaction:
        transaction.move_alias(first_asset(workspace), "production", first.id, first.run)
    call(workspace, "data.erase", dataset="letters", where="text = 'eins'", reason="on request")
    done = call(workspace, "gc", keep=9, days=30, apply=True)
    assert done.tainted == ["dataset/letters@2", "dataset/letters@3"]
    assert done.still_held == ["dataset/letters@1: letters@production points to it"]
    assert texts(workspace, "letters@1") == ["eins", "zwei"]


def first_asset(workspace: Workspace) -> str:
    return str(workspace.record.rows(tables.asset, tables.asset.c.kind == "dataset")[0]["id"])


def test_a_run_that_failed_keeps_its_steps_until_the_same_command_succeeds(workspace: Workspace) -> None:
    from stellwerk.jobs.data import build

    write(workspace, "sechs", "sieben")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "write_table", None)
        with pytest.raises(TypeError):
            call(workspace, "data.build", dataset="letters")
    (failed,) = workspace.record.rows(tables.run, tables.run.c.state == "failed")
    outcomes = [row["outcome"] for row in workspace.record.rows(tables.step, tables.step.c.run == failed["id"])]
    assert outcomes
    call(workspace, "gc", keep=1, days=0, apply=True)
    assert not list(workspace.store.missing(outcomes))
    execution.resume(workspace, failed["id"])
    assert texts(workspace) == ["sechs", "sieben"]


def test_nothing_is_removed_while_a_run_is_worked_on(workspace: Workspace) -> None:
    run = execution.submit(workspace, find("data.build"), {"dataset": "letters"})
    token = leases.claim(workspace.record.database, run)
    assert token
    before = contents(workspace)
    with pytest.raises(UserError, match=f"run {run[:8]} is being worked on; clear up when it has ended"):
        call(workspace, "gc", keep=1, days=0, apply=True)
    assert contents(workspace) == before
    leases.release(workspace.record.database, run, token)
    assert call(workspace, "gc", keep=1, days=0, apply=True).applied
    execution.execute(workspace, run)
    assert texts(workspace) == ["eins", "fünf", "vier"]


KILLED = """
import os, signal, sys
from pathlib import Path
from places import call
from stellwerk.store.store import Store
from stellwerk.workspace import Workspace
left, remove = int(sys.argv[2]), Store.remove
def counting(self, reference):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return remove(self, reference)
Store.remove = counting
call(Workspace(Path(sys.argv[1])), "gc", keep=1, days=0, apply=True)
"""


@pytest.mark.parametrize("left", [0, 1, 5])
def test_killed_in_the_middle_it_leaves_a_workspace_that_works(workspace: Workspace, left: int) -> None:
    runs = len(workspace.record.rows(tables.run))
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(workspace.root), str(left)], cwd=Path(__file__).parent, capture_output=True
    )
    assert done.returncode == -9, done.stderr
    assert len(workspace.record.rows(tables.run)) == runs
    assert texts(workspace) == ["eins", "fünf", "vier"]
    assert call(workspace, "data.build", dataset="letters").message.startswith("nothing changed")
    assert call(workspace, "gc", keep=1, days=0, apply=True).applied
    assert call(workspace, "record.verify").intact
    assert texts(workspace) == ["eins", "fünf", "vier"]


def test_half_written_files_of_processes_that_ended_go(workspace: Workspace) -> None:
    folder = workspace.store.root / "partial" / f"{2**22 + 1}-x"
    folder.mkdir()
    (folder / "content").write_bytes(b"x" * 1000)
    done = call(workspace, "gc", apply=True)
    assert {line.contents: line.bytes for line in done.removed} == {"half-written by processes that ended": 1000}
    assert not folder.exists()


def test_what_the_latest_rows_met_is_kept(tmp_path: Path) -> None:
    """A merged source is joined to its earlier state again when only the spec changes."""
    workspace = Workspace.init(tmp_path / "workspace")
    (workspace.root / "raw").mkdir()
    (workspace.root / "datasets").mkdir()
    spec = "sources: [{name: s, files: raw/a.jsonl, load: merge, key: id, text: b}]\n"
    (workspace.root / "datasets" / "letters.yaml").write_text(spec)
    for state in ("eins", "zwei"):
        (workspace.root / "raw" / "a.jsonl").write_text(f'{{"id": "{state}", "b": "{state}"}}\n')
        call(workspace, "data.build", dataset="letters")
    call(workspace, "gc", keep=1, days=0, apply=True)
    (workspace.root / "datasets" / "letters.yaml").write_text(spec.replace("load", "licence: MIT, load"))
    call(workspace, "data.build", dataset="letters")
    assert texts(workspace) == ["eins", "zwei"]
