"""A plan says what earlier runs used, between the least and the most of them, and that it knows nothing where it does."""

from __future__ import annotations

from typing import Any

import pytest

from databases import set_settings
from stellwerk.doors import cli
from stellwerk.errors import UserError
from stellwerk.operation import find
from stellwerk.record import tables
from stellwerk.runs import execution
from stellwerk.runs import operations as runs
from stellwerk.workspace import Workspace


def bake(workspace: Workspace, name: str, times: int) -> None:
    path = workspace.root / "recipes" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"times: {times}\n")
    execution.call(workspace, find("probework.bake"), {"recipe": name})


def past(workspace: Workspace, name: str, *used: tuple[float, float, float | None]) -> None:
    """Done runs that used so many seconds, bytes and units of input."""
    for seconds, stored, extent in used:
        with workspace.record.writing(workspace.person) as transaction:
            run = transaction.insert(
                tables.run, operation="probework.bake", parameters={"recipe": name}, snapshots={}, code="c", state="done",
                person=transaction.person, created=transaction.at,
            )["id"]  # fmt: skip
            transaction.insert(
                tables.step, run=run, key=run, name="bake", reused=None, outcome=None, seconds=1.0, finished=transaction.at
            )
            transaction.insert(tables.usage, run=run, seconds=seconds, stored=stored, extent=extent, created=transaction.at)


def plan(workspace: Workspace, subject: str | None = None) -> Any:
    return runs.plan("probework.bake", subject, workspace=workspace)


def test_each_execution_leaves_what_it_used(workspace: Workspace) -> None:
    bake(workspace, "cake", 3)
    (used,) = workspace.record.rows(tables.usage)
    assert (used["stored"], used["extent"]) == (3000, 30.0)
    assert 0 < used["seconds"] < 60
    bake(workspace, "cake", 3)
    assert [row["stored"] for row in workspace.record.rows(tables.usage, order=tables.usage.c.created)] == [3000, 0]
    with pytest.raises(Exception, match="Süd"):
        execution.call(workspace, find("probework.fail"), {})
    assert len(workspace.record.rows(tables.usage)) == 3


def test_without_an_earlier_run_there_is_no_estimate(small: Workspace) -> None:
    found = plan(small, "cake")
    assert (found.message, found.estimates, found.runs) == ("probework bake has not run yet; no estimate", [], 0)
    with pytest.raises(UserError, match="only looks something up"):
        runs.plan("runs.list", workspace=small)
    with pytest.raises(UserError, match="no operation"):
        runs.plan("probework.nothing", workspace=small)


def test_the_median_stands_between_the_least_and_the_most(workspace: Workspace) -> None:
    past(workspace, "cake", (10, 1e9, None), (30, 3e9, None), (11, 2e9, None), (12, 2e9, None))
    past(workspace, "bread", (500, 9e9, None))
    found = plan(workspace, "cake")
    time, disk = found.estimates
    assert (time.unit, time.low, time.median, time.high) == ("s", 10, 11.5, 30)
    assert (disk.unit, disk.low, disk.median, disk.high) == ("GB", 1, 2, 3)
    assert (found.runs, found.inside, found.scaled) == (4, 0.6, False)
    assert found.message == "4 earlier runs of probework bake cake"
    everything = plan(workspace)
    assert (everything.runs, everything.estimates[0].high) == (5, 500)


def test_few_runs_and_other_subjects_are_said(small: Workspace) -> None:
    past(small, "bread", (10, 0, None), (20, 0, None))
    assert plan(small, "bread").message == "2 earlier runs of probework bake bread; so few say little"
    assert plan(small, "cake").message == (
        "probework bake has not run for cake yet; this is from 2 earlier runs of probework bake for others; so few say little"
    )


def test_earlier_runs_are_scaled_by_the_size_of_their_input_where_all_say_it(small: Workspace) -> None:
    past(small, "cake", (10, 1e9, 10.0), (20, 2e9, 20.0), (40, 4e9, 40.0))
    found = plan(small, "cake")
    assert (found.scaled, found.estimates[0].low, found.estimates[0].high) == (True, 40, 40), "it measures 40 now"
    assert found.message.endswith("scaled by the size of the input")
    past(small, "cake", (7, 1e9, None))
    assert plan(small, "cake").scaled is False


def test_runs_that_found_everything_done_are_left_out_while_others_are_known(small: Workspace) -> None:
    bake(small, "cake", 2)
    for _ in range(3):
        bake(small, "cake", 2)
    found = plan(small, "cake")
    assert found.runs == 1
    assert found.estimates[1].low == found.estimates[1].high == round(2000 / 1e9, 4)


def test_the_budget_is_named_and_the_command_prints_it(small: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    set_settings(small.root, "budget: {minutes: 30, gigabytes: 2.5}\n")
    past(small, "cake", (10, 1e9, None))
    assert cli.run(["runs", "plan", "probework.bake", "cake", "-w", str(small.root)]) == 0
    shown = capsys.readouterr().out
    assert "one earlier run of probework bake cake; so few say little" in shown
    assert "30 minutes" in shown
    assert "2.5 GB added to the store" in shown
