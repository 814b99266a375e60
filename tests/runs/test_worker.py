"""Workers: each run once, by whoever lives; a worker that dies, stops in order or wakes up late leaves nothing twice."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from stellwerk.operation import find
from stellwerk.record import leases, tables
from stellwerk.runs import operations as runs
from stellwerk.runs import queue
from stellwerk.workspace import Workspace

Start = Callable[..., subprocess.Popen[str]]
Until = Callable[..., None]
Marks = Callable[[], list[str]]
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ .+")


def enqueue(workspace: Workspace, name: str, **values: Any) -> str:
    entry = find(f"probework.{name}")
    given = {"folder": str(workspace.root.parent)} if "folder" in entry.parameters else {}
    return queue.enqueue(workspace, entry, {**given, **values})


def row(workspace: Workspace, run: str) -> dict[str, Any]:
    return workspace.record.rows(tables.run, tables.run.c.id == run)[0]


def steps(workspace: Workspace) -> list[str]:
    return [step["name"] for step in workspace.record.rows(tables.step, order=tables.step.c.finished)]


def end(process: subprocess.Popen[str], code: int = 0) -> str:
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert "Traceback" not in said
    return said


def child_of(process: subprocess.Popen[str]) -> psutil.Process:
    return next(one for one in psutil.Process(process.pid).children() if "stellwerk.runs.child" in one.cmdline())


def test_once_works_until_nothing_is_left_and_says_a_line_an_event(
    workspace: Workspace, start: Start, marks: Marks, intact: Callable[[Workspace], bool]
) -> None:
    wanted = [enqueue(workspace, "quick", number=number) for number in (3, 1, 2)]
    failed = enqueue(workspace, "fail")
    said = end(start("worker", "--once", "-w", str(workspace.root)))
    assert marks() == ["3", "1", "2"], "the oldest first"
    assert [row(workspace, run)["state"] for run in [*wanted, failed]] == ["done"] * 3 + ["failed"]
    assert row(workspace, failed)["error"] == "the Süd server is down"
    assert [row(workspace, run)["result"] for run in wanted] == [3, 1, 2]
    assert workspace.record.rows(tables.queue) == workspace.record.rows(tables.worker) == []
    lines = said.splitlines()
    assert all(LINE.fullmatch(line) for line in lines), said
    for run, state in [*((run, "done") for run in wanted), (failed, "failed")]:
        assert sum(f"run {run[:8]} probework." in line for line in lines) == 2
        assert any(f"run {run[:8]}" in line and f" {state} after " in line for line in lines)
    assert str(workspace.root) not in said
    assert "Süd" not in said
    assert len(workspace.record.rows(tables.usage)) == 4
    assert intact(workspace)


def test_two_runs_are_worked_on_at_a_time_and_the_workers_are_listed(
    small: Workspace, start: Start, until: Until, marks: Marks
) -> None:
    for _ in range(3):
        enqueue(small, "flow")
    worker = start("worker", "--concurrency", "2", "-w", str(small.root))
    until(lambda: marks().count("second") == 2)
    (line,) = runs.workers(workspace=small).workers
    assert (line.state, line.runs, line.concurrency, line.process) == ("working", 2, 2, worker.pid)
    assert sorted(one.state for one in runs.list_(workspace=small).runs) == ["queued", "running", "running"]
    (small.root.parent / "go").touch()
    until(lambda: {one.state for one in runs.list_(workspace=small).runs} == {"done"})
    until(lambda: runs.workers(workspace=small).workers[0].state == "idle")
    worker.terminate()
    assert "worker ended" in end(worker)
    assert runs.workers(workspace=small).workers == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_in_order_puts_the_run_back_into_the_queue(
    workspace: Workspace, start: Start, until: Until, marks: Marks, number: int, intact: Callable[[Workspace], bool]
) -> None:
    run = enqueue(workspace, "flow")
    worker = start("worker", "-w", str(workspace.root))
    until(lambda: "second" in marks())
    assert row(workspace, run)["state"] == "running"
    os.killpg(worker.pid, number)
    said = end(worker)
    assert f"run {run[:8]} probework.flow went back to the queue" in said
    assert (row(workspace, run)["state"], row(workspace, run)["error"]) == ("queued", None)
    (waiting,) = workspace.record.rows(tables.queue)
    assert waiting["attempts"] == 0, "it ended no process"
    assert not leases.held(workspace.record.database, run)
    assert steps(workspace) == ["first"]
    (workspace.root.parent / "go").touch()
    end(start("worker", "--once", "-w", str(workspace.root)))
    assert row(workspace, run)["state"] == "done"
    assert marks() == ["first", "second", "second", "woke"]
    assert steps(workspace) == ["first", "second"]
    assert intact(workspace)


def test_the_second_signal_ends_everything_at_once(small: Workspace, start: Start, until: Until, marks: Marks) -> None:
    run = enqueue(small, "flow")
    worker = start("worker", "-w", str(small.root))
    until(lambda: "second" in marks())
    child = child_of(worker)
    child.suspend()
    worker.terminate()
    time.sleep(0.3)
    assert worker.poll() is None, "it waits for its child"
    worker.terminate()
    end(worker, 128 + signal.SIGTERM)
    until(lambda: not psutil.pid_exists(child.pid) or child.status() == psutil.STATUS_ZOMBIE)
    assert runs.list_(workspace=small).runs[0].state == "queued"
    taken = queue.take(small)
    assert taken is not None
    assert (taken.run, taken.attempt) == (run, 2)


@pytest.mark.parametrize("victim", ["worker", "child"])
def test_who_is_killed_in_the_middle_of_a_step_is_replaced_and_nothing_is_done_twice(
    workspace: Workspace, start: Start, until: Until, marks: Marks, victim: str, intact: Callable[[Workspace], bool]
) -> None:
    run = enqueue(workspace, "flow")
    first = start("worker", "-w", str(workspace.root))
    until(lambda: "second" in marks())
    child = child_of(first)
    if victim == "worker":
        first.kill()
        first.wait()
        until(lambda: not psutil.pid_exists(child.pid) or child.status() == psutil.STATUS_ZOMBIE)
        assert runs.list_(workspace=workspace).runs[0].state == "queued"
        assert [line.state for line in runs.workers(workspace=workspace).workers] == ["dead"]
        start("worker", "-w", str(workspace.root))
    else:
        child.kill()
    until(lambda: marks().count("second") == 2, 20)
    (workspace.root.parent / "go").touch()
    until(lambda: row(workspace, run)["state"] == "done")
    assert marks() == ["first", "second", "second", "woke"]
    assert steps(workspace) == ["first", "second"]
    assert len(workspace.record.versions()) == 2
    until(lambda: workspace.record.rows(tables.queue) == [])
    assert intact(workspace)


@pytest.mark.slow
def test_a_paused_worker_that_wakes_up_late_commits_nothing(
    workspace: Workspace, start: Start, until: Until, marks: Marks, intact: Callable[[Workspace], bool]
) -> None:
    short = {"STELLWERK_LEASE_SECONDS": "3"}
    run = enqueue(workspace, "flow")
    late = start("worker", "-w", str(workspace.root), **short)
    until(lambda: "second" in marks())
    stopped = [psutil.Process(late.pid), child_of(late)]
    for process in stopped:
        process.suspend()
    successor = start("worker", "-w", str(workspace.root), **short)
    until(lambda: marks().count("second") == 2)
    assert row(workspace, run)["state"] == "running"
    (workspace.root.parent / "go").touch()
    until(lambda: row(workspace, run)["state"] == "done" and not workspace.record.rows(tables.queue))
    before = {table.name: workspace.record.rows(table) for table in (*tables.JOURNALED, tables.journal, tables.progress)}
    for process in stopped:
        process.resume()
    until(lambda: not psutil.pid_exists(stopped[1].pid))
    assert marks()[:4] == ["first", "second", "second", "woke"]
    after = {table.name: workspace.record.rows(table) for table in (*tables.JOURNALED, tables.journal, tables.progress)}
    assert after == before
    assert after["progress"] == []
    assert steps(workspace) == ["first", "second"]
    assert len(after["usage"]) == 1
    late.terminate()
    assert "was left and can be taken again" in end(late)
    successor.terminate()
    end(successor)
    assert row(workspace, run)["state"] == "done"
    assert intact(workspace)


@pytest.mark.slow
def test_a_run_that_ends_its_process_three_times_fails(small: Workspace, start: Start, marks: Marks) -> None:
    run, other = enqueue(small, "crash"), enqueue(small, "quick", number=5)
    said = end(start("worker", "--once", "-w", str(small.root)))
    assert marks() == ["crash", "5", "crash", "crash"] or marks() == ["crash", "crash", "crash", "5"]
    assert said.count("lost its process (killed, perhaps for want of memory) and can be taken again") == 3
    assert row(small, run)["state"] == "failed"
    assert "ended 3 times in the middle of the work" in row(small, run)["error"]
    assert row(small, other)["state"] == "done"


def test_a_run_that_this_worker_does_not_know_fails_with_a_sentence(small: Workspace, start: Start, tmp_path: Path) -> None:
    run = enqueue(small, "quick")
    with small.record.writing(small.person) as transaction:
        transaction.update(tables.run, run, operation="elsewhere.cook")
    end(start("worker", "--once", "-w", str(small.root)))
    assert row(small, run)["state"] == "failed"
    assert "there is no package 'elsewhere'" in row(small, run)["error"]


def test_cancelling_a_run_that_a_worker_has_ends_it(small: Workspace, start: Start, until: Until, marks: Marks) -> None:
    run = enqueue(small, "flow")
    worker = start("worker", "-w", str(small.root))
    until(lambda: "second" in marks())
    assert runs.cancel(run, workspace=small).state == "cancelling"
    until(lambda: row(small, run)["state"] == "cancelled" and not small.record.rows(tables.queue))
    worker.terminate()
    end(worker)


@pytest.mark.slow
def test_a_record_that_is_away_for_a_while_ends_no_worker(
    tmp_path: Path, probe: Path, postgresql: Any, start: Start, until: Until, marks: Marks
) -> None:
    url = postgresql.create_database("away")
    workspace = Workspace.init(tmp_path / "workspace", url)
    run = enqueue(workspace, "flow")
    worker = start("worker", "-w", str(workspace.root), STELLWERK_LEASE_SECONDS="3")
    until(lambda: "second" in marks())
    workspace.record.database.close()
    postgresql.execute("ALTER DATABASE away ALLOW_CONNECTIONS false")
    postgresql.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'away'")
    (tmp_path / "go").touch()
    until(lambda: "woke" in marks() or not psutil.Process(worker.pid).children())
    time.sleep(2.5)
    assert worker.poll() is None
    again = Workspace(workspace.root)
    postgresql.execute("ALTER DATABASE away ALLOW_CONNECTIONS true")
    until(lambda: row(again, run)["state"] == "done" and not again.record.rows(tables.queue))
    assert steps(again) == ["first", "second"]
    again.record.database.close()
    worker.terminate()
    said = end(worker)
    assert said.count("the record cannot be reached, it is tried again") == 1
    assert said.count("the record can be reached again") == 1


def test_once_ends_where_the_record_cannot_be_reached(small: Workspace, start: Start) -> None:
    (small.root / "stellwerk.yaml").write_text("record: postgresql://nobody@127.0.0.1:1/none\n")
    said = end(start("worker", "--once", "-w", str(small.root)), 3)
    assert "127.0.0.1:1/none" in said


def test_a_worker_elsewhere_does_the_run_in_a_folder_of_its_own(
    tmp_path: Path, probe: Path, postgresql: Any, start: Start, marks: Marks
) -> None:
    url = postgresql.create_database("shared_by_two")
    here, there = (Workspace.init(tmp_path / name, url) for name in ("here", "there"))
    run = enqueue(here, "quick", number=7)
    end(start("worker", "--once", "-w", str(there.root)))
    assert row(here, run)["state"] == "done"
    assert marks() == ["7"]
    for workspace in (here, there):
        if "record" in vars(workspace):
            workspace.record.database.close()


def test_a_wrong_length_of_leases_is_one_sentence(small: Workspace, start: Start) -> None:
    said = end(start("worker", "--once", "-w", str(small.root), STELLWERK_LEASE_SECONDS="soon"), 2)
    assert "STELLWERK_LEASE_SECONDS is 'soon', expected seconds from 1 to 86400" in said
    assert "expected 1 or more" in end(start("worker", "--concurrency", "0", "-w", str(small.root)), 2)


def test_leases_end_by_the_clock_of_the_database(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run = enqueue(workspace, "quick")
    taken = queue.take(workspace)
    assert taken is not None
    if workspace.record.database.engine.dialect.name == "postgresql":
        # This machine's clock is an hour ahead.
        real = time.time
        monkeypatch.setattr(leases.time, "time", lambda: real() + 3600)
    assert leases.held(workspace.record.database, run)
    assert leases.claim(workspace.record.database, run) is None
    assert leases.renew(workspace.record.database, run, taken.token)
    (lease,) = workspace.record.rows(tables.lease)
    monkeypatch.undo()
    assert abs(lease["expires"] - time.time() - leases.SECONDS) < 10


def test_help_of_the_worker_is_there(small: Workspace, start: Start) -> None:
    process = start("worker", "--help")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "--once" in out
    assert json.dumps(out)
