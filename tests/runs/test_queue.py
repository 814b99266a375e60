"""A run is handed to a worker whole or not at all, and taken by one worker at a time, the oldest first."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from stellwerk.doors import cli
from stellwerk.errors import UserError
from stellwerk.operation import find
from stellwerk.record import leases, tables
from stellwerk.record.journal import verify
from stellwerk.runs import execution, queue
from stellwerk.runs import operations as runs
from stellwerk.workspace import Workspace


def enqueue(workspace: Workspace, number: int = 0, **values: Any) -> str:
    return queue.enqueue(workspace, find("probework.quick"), {"folder": str(workspace.root.parent), "number": number, **values})


def row(workspace: Workspace, run: str) -> dict[str, Any]:
    return workspace.record.rows(tables.run, tables.run.c.id == run)[0]


def test_runs_are_taken_oldest_first_and_by_one_only(workspace: Workspace) -> None:
    wanted = [enqueue(workspace, number) for number in range(3)]
    assert queue.positions(workspace.record) == {run: place for place, run in enumerate(wanted, 1)}
    taken = [queue.take(workspace) for _ in range(4)]
    assert [one and one.run for one in taken] == [*wanted, None]
    assert [one and (one.token, one.attempt) for one in taken[:3]] == [(1, 1)] * 3
    assert queue.positions(workspace.record) == {}
    assert [line.state for line in runs.list_(workspace=workspace).runs] == ["queued"] * 3


def test_workers_that_race_share_the_queue_without_a_run_twice(workspace: Workspace) -> None:
    wanted = [enqueue(workspace, number) for number in range(12)]
    found: list[str] = []

    def work() -> None:
        mine = Workspace(workspace.root)
        while taken := queue.take(mine):
            found.append(taken.run)
        mine.record.database.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(found) == sorted(wanted)
    with workspace.record.database.reading() as connection:
        assert list(verify(connection)) == []


def test_a_run_and_its_place_are_written_together_or_not_at_all(workspace: Workspace) -> None:
    prepared = execution.prepare(workspace, find("probework.quick"), {"folder": "x"})
    with pytest.raises(KeyError), workspace.record.writing(workspace.person) as transaction:
        queue.add(transaction, prepared, None)
        raise KeyError
    assert workspace.record.rows(tables.run) == workspace.record.rows(tables.queue) == []
    with pytest.raises(UserError, match="folder"):
        enqueue(workspace, folder=7)
    assert workspace.record.rows(tables.run) == workspace.record.rows(tables.queue) == []


def test_what_no_worker_could_do_is_refused(small: Workspace) -> None:
    personal = find("probework.personal")
    with pytest.raises(UserError, match="who may name a person, so its value is not kept and cannot wait") as error:
        queue.enqueue(small, personal, {"who": "Zacharias"})
    assert "Zacharias" not in str(error.value)
    with pytest.raises(UserError, match="file is a path on this machine, and a worker may be on another; run it here"):
        queue.enqueue(small, personal, {"file": Path("x.csv")})
    with pytest.raises(UserError, match="only looks something up"):
        queue.enqueue(small, find("runs.list"), {})
    assert small.record.rows(tables.run) == []


def test_a_cancelled_run_leaves_the_queue(workspace: Workspace) -> None:
    first, second = enqueue(workspace, 1), enqueue(workspace, 2)
    assert runs.cancel(first[:8], workspace=workspace).state == "cancelled"
    assert queue.positions(workspace.record) == {second: 1}
    taken = queue.take(workspace)
    assert taken is not None
    assert taken.run == second
    assert runs.cancel(second, workspace=workspace).state == "cancelling"
    queue.give_back(workspace, taken, counts=True)
    again = queue.take(workspace)
    assert again is not None
    assert row(workspace, second)["state"] == "cancelled", "whoever worked on it died, and it is done no more"
    queue.finish(workspace, again)
    assert workspace.record.rows(tables.queue) == []
    assert not leases.held(workspace.record.database, second)


def test_a_run_that_ended_three_processes_is_given_up(workspace: Workspace) -> None:
    run = enqueue(workspace)
    for attempt in (1, 2, 3):
        taken = queue.take(workspace)
        assert taken is not None
        assert taken.attempt == attempt
        assert row(workspace, run)["state"] == "queued"
        queue.give_back(workspace, taken, counts=True)
    taken = queue.take(workspace)
    assert taken is not None
    assert row(workspace, run)["state"] == "failed"
    assert "its process ended 3 times in the middle of the work" in row(workspace, run)["error"]
    assert f"stellwerk runs resume {run[:8]}" in row(workspace, run)["error"]
    with workspace.record.database.reading() as connection:
        assert list(verify(connection)) == []


def test_a_run_that_was_left_through_no_fault_of_its_own_is_not_given_up(small: Workspace) -> None:
    run = enqueue(small)
    for _ in range(8):
        taken = queue.take(small)
        assert taken is not None
        assert taken.attempt == 1
        queue.give_back(small, taken, counts=False)
    assert row(small, run)["state"] == "queued"


def test_a_worker_that_was_replaced_neither_fails_nor_finishes_a_run(workspace: Workspace) -> None:
    run = enqueue(workspace)
    late = queue.take(workspace)
    assert late is not None
    with workspace.record.database.writing() as connection:
        connection.execute(tables.lease.update().values(expires=0.0))
    assert queue.take(workspace) is not None
    for act in (lambda: queue.finish(workspace, late), lambda: queue.fail(workspace, late, "late")):
        with pytest.raises(leases.LeaseLost):
            act()
    queue.give_back(workspace, late, counts=False)
    assert leases.held(workspace.record.database, run), "the lease of its successor stays"
    assert row(workspace, run)["state"] == "queued"
    assert len(workspace.record.rows(tables.queue)) == 1


def test_the_command_line_hands_a_run_over_and_returns(small: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["probework", "quick", "x", "--queue", "-w", str(small.root)]
    assert cli.run([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["operation"], told["state"], told["position"]) == ("probework.quick", "queued", 1)
    assert told["id"].startswith(told["run"])
    assert cli.run(words) == 0
    shown = capsys.readouterr().out
    assert "stellwerk runs follow" in shown
    assert queue.positions(small.record)[told["id"]] == 1
    listed = runs.list_(workspace=small).runs
    assert [(line.state, line.position) for line in listed] == [("queued", 2), ("queued", 1)]
    assert runs.show(told["run"], workspace=small).position == 1
    assert cli.run(["probework", "personal", "--who", "Zacharias", "--queue", "-w", str(small.root)]) == 2
    assert "Zacharias" not in capsys.readouterr().err
    assert cli.run(["runs", "list", "--queue", "-w", str(small.root)]) == 2
    capsys.readouterr()
    small.record.database.close()


def test_a_waiting_run_may_be_done_at_the_terminal(small: Workspace) -> None:
    run = enqueue(small, 4)
    assert execution.resume(small, run) == 4
    assert queue.positions(small.record) == {}
    taken = queue.take(small)
    assert taken is not None, "nobody was told of its end yet"
    assert taken.run == run
