"""A run remembers its steps, commits each whole or not at all, and can be stopped and gone on with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import psutil
import pyarrow as pa
import pytest
from pydantic import BaseModel

from databases import ON_POSTGRESQL, record_bytes, set_settings
from stellwerk import operation as registry
from stellwerk.engine.engine import write_shard
from stellwerk.errors import StellwerkError, UserError
from stellwerk.operation import Operation, Ref, Sensitive, Spec, operation
from stellwerk.record import journal, leases, tables
from stellwerk.record.lineage import walk
from stellwerk.run import BudgetSpent, Interrupted, Run
from stellwerk.runs import execution as runs
from stellwerk.runs import operations as run_operations
from stellwerk.runs import queue
from stellwerk.settings import Budget
from stellwerk.workspace import Workspace


class Recipe(BaseModel):
    """What a spec file of these tests says."""

    times: int


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    made = Workspace.init(tmp_path / "workspace")
    set_settings(made.root, "name: probe\nworkers: 1\n")
    made = Workspace(made.root)
    yield made
    if "record" in vars(made):
        made.record.database.close()


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., Any]], Operation]:
    """Makes a function of a test an operation `probe.<name>`."""
    monkeypatch.setitem(registry._registry, "probe", {})

    def register(function: Callable[..., Any]) -> Operation:
        function.__module__ = "stellwerk.probe.operations"
        operation(example={})(function)
        return registry._registry["probe"][function.__name__]

    monkeypatch.setattr(runs, "code_digest", lambda module: "code 1")
    return register


def intact(workspace: Workspace) -> bool:
    with workspace.record.database.reading() as connection:
        return list(journal.verify(connection)) == []


def newest(workspace: Workspace) -> dict[str, Any]:
    return workspace.record.rows(tables.run, order=tables.run.c.created.desc(), limit=1)[0]


def count(workspace: Workspace) -> dict[str, int]:
    return {table.name: len(workspace.record.rows(table)) for table in tables.JOURNALED}


DONE: list[str] = []


def load(run: Run, *, content: str) -> dict[str, str]:
    DONE.append(f"load {content}")
    artifact = run.store.put(content.encode())
    version = run.output("source", "raw", identity={"rows": content}, content={"artifact": artifact})
    run.measure("rows", 3, n=3, unit="rows")
    run.finding("odd", "low", "something odd", place="line 3")
    return {"version": version, "artifact": artifact}


def double(run: Run, *, artifact: str, times: int) -> dict[str, str]:
    DONE.append(f"double {times}")
    made = run.store.put(run.store.get(artifact) * times)
    return {"version": run.output("dataset", "made", identity={"rows": made}, content={"artifact": made}), "artifact": made}


def work(run: Run, content: str, times: int) -> str:
    raw = run.step("load", load, content=content)
    made = run.step("double", double, inputs=[run.version(raw["version"])], artifact=raw["artifact"], times=times)
    return run.version(made["version"]).ref


@pytest.fixture
def make(probe: Callable[..., Operation]) -> Operation:
    """An operation of two steps."""
    DONE.clear()

    def make(content: str = "a", times: int = 2, *, run: Run) -> str:
        return work(run, content, times)

    return probe(make)


def test_steps_leave_versions_lineage_measurements_and_findings(workspace: Workspace, make: Operation) -> None:
    assert runs.call(workspace, make, {}) == "dataset/made@1"
    record = workspace.record
    version = record.resolve("dataset/made")
    assert workspace.store.get(version.content["artifact"]) == b"aa"
    assert [other.ref for _, other in walk(record, version, "up")] == ["source/raw@1"]
    assert [other.ref for _, other in walk(record, record.resolve("source/raw"), "down")] == ["dataset/made@1"]
    (measurement,) = record.rows(tables.measurement)
    (link,) = record.rows(tables.measured)
    assert (measurement["metric"], measurement["value"], link["role"]) == ("rows", 3.0, "subject")
    assert link["version"] == record.resolve("source/raw").id
    (finding,) = record.rows(tables.finding)
    assert (finding["rule"], finding["details"], finding["status"]) == ("odd", {"place": "line 3"}, "open")
    row = newest(workspace)
    assert (row["state"], row["result"], row["error"]) == ("done", "dataset/made@1", None)
    assert row["started"] <= row["finished"]
    assert not leases.held(record.database, row["id"])
    assert set(workspace.lock()["versions"]) == {"dataset/made", "source/raw"}
    assert intact(workspace)


def test_the_same_again_does_nothing_but_add_edges(workspace: Workspace, make: Operation) -> None:
    runs.call(workspace, make, {})
    lock = (workspace.root / "stellwerk.lock").read_bytes()
    before = count(workspace)
    assert runs.call(workspace, make, {}) == "dataset/made@1"
    assert DONE == ["load a", "double 2"]
    after = count(workspace)
    assert after.pop("edge") == 2 * before.pop("edge")
    assert after.pop("step") == 2 * before.pop("step")
    assert after.pop("run") == before.pop("run") + 1
    assert after.pop("usage") == before.pop("usage") + 1
    assert after == before
    shown = run_operations.show(workspace=workspace)
    assert [(step.step, step.reused) for step in shown.steps] == [("load", 1), ("double", 1)]
    assert (shown.inputs, shown.outputs) == (["source/raw@1"], ["dataset/made@1", "source/raw@1"])
    listed = run_operations.list_(workspace=workspace).runs
    assert [(line.steps, line.reused) for line in listed] == [(0, 2), (2, 0)]
    assert (workspace.root / "stellwerk.lock").read_bytes() == lock
    assert intact(workspace)


def test_only_what_depends_on_a_changed_parameter_is_redone(workspace: Workspace, make: Operation) -> None:
    runs.call(workspace, make, {"times": 2})
    assert runs.call(workspace, make, {"times": 3}) == "dataset/made@2"
    assert DONE == ["load a", "double 2", "double 3"]
    assert runs.call(workspace, make, {"times": 2}) == "dataset/made@1"
    assert DONE == ["load a", "double 2", "double 3"]
    assert workspace.record.resolve("made").number == 1
    assert workspace.lock()["versions"]["dataset/made"]["number"] == 1


def test_changed_code_redoes_everything(workspace: Workspace, make: Operation, monkeypatch: pytest.MonkeyPatch) -> None:
    runs.call(workspace, make, {})
    monkeypatch.setattr(runs, "code_digest", lambda module: "code 2")
    assert runs.call(workspace, make, {}) == "dataset/made@1"
    assert DONE == ["load a", "double 2"] * 2
    assert [row["code"] for row in workspace.record.rows(tables.run, order=tables.run.c.created)] == ["code 1", "code 2"]


@pytest.mark.parametrize("what", ["source/raw", "dataset/made"])
def test_a_step_whose_bytes_are_gone_is_done_again(workspace: Workspace, make: Operation, what: str) -> None:
    runs.call(workspace, make, {})
    artifact = workspace.record.resolve(what).content["artifact"]
    workspace.store.path(artifact).unlink()
    assert runs.call(workspace, make, {}) == "dataset/made@1"
    assert workspace.store.has(artifact)
    assert len(DONE) == 3


def test_a_step_is_done_again_when_only_the_bytes_of_its_version_are_gone(
    workspace: Workspace, probe: Callable[..., Operation]
) -> None:
    calls = []

    def publish(run: Run) -> str:
        calls.append(1)
        folder = run.workspace.root / "new"
        folder.mkdir()
        (folder / "rows").write_text(f"{len(calls)}")
        table = run.store.put_table(folder, f"dataset/made/{len(calls)}")
        return run.output("dataset", "made", identity={"n": 1}, content={"table": table})

    def silent(*, run: Run) -> str:
        return run.version(run.step("publish", publish)).ref

    entry = probe(silent)
    for expected in (1, 1):
        runs.call(workspace, entry, {})
        assert len(calls) == expected
    place = workspace.store.table("table:dataset/made/1")
    place.rename(place.with_name("moved away"))
    assert runs.call(workspace, entry, {}) == "dataset/made@1"
    assert workspace.record.resolve("made").content == {"table": "table:dataset/made/2"}
    runs.call(workspace, entry, {})
    assert len(calls) == 2
    assert intact(workspace)


def test_an_error_in_a_step_leaves_nothing_of_it_and_keeps_those_before(
    workspace: Workspace, probe: Callable[..., Operation]
) -> None:
    DONE.clear()
    broken = [True]

    def fragile(run: Run) -> str:
        run.output("dataset", "half", identity={"n": 1}, content={})
        run.measure("share", 0.5, n=2)
        run.finding("odd", "low", "odd")
        if broken[0]:
            raise StellwerkError("the disk is full")
        return "whole"

    def flow(*, run: Run) -> str:
        run.step("load", load, content="x")
        return str(run.step("fragile", fragile))

    entry = probe(flow)
    with pytest.raises(StellwerkError, match="the disk is full"):
        runs.call(workspace, entry, {})
    row = newest(workspace)
    assert (row["state"], row["error"]) == ("failed", "the disk is full")
    assert [version.name for version in workspace.record.versions()] == ["raw"]
    assert len(workspace.record.rows(tables.measurement)) == len(workspace.record.rows(tables.finding)) == 1
    assert workspace.record.rows(tables.progress) == []
    broken[0] = False
    assert runs.resume(workspace, row["id"]) == "whole"
    assert DONE == ["load x"]
    assert newest(workspace)["state"] == "done"
    assert len(workspace.record.rows(tables.measurement)) == 2
    assert intact(workspace)


def test_a_measurement_that_cannot_be_written_takes_its_step_with_it(
    workspace: Workspace, probe: Callable[..., Operation]
) -> None:
    def fragile(run: Run) -> str:
        run.output("dataset", "half", identity={"n": 1}, content={})
        run.write(lambda transaction: transaction.insert(tables.measured, measurement="none", version="none", role="subject"))
        return "done"

    def flow(*, run: Run) -> str:
        return str(run.step("fragile", fragile))

    with pytest.raises(Exception, match=r"(?i)foreign key"):
        runs.call(workspace, probe(flow), {})
    assert workspace.record.versions() == workspace.record.rows(tables.step) == []
    assert newest(workspace)["state"] == "failed"
    assert intact(workspace)


def test_errors_with_bytes_that_are_no_text_are_kept(workspace: Workspace, probe: Callable[..., Operation]) -> None:
    def flow(*, run: Run) -> None:
        raise StellwerkError("b\udcffroken.csv cannot be read")

    with pytest.raises(StellwerkError):
        runs.call(workspace, probe(flow), {})
    assert newest(workspace)["error"] == "b?roken.csv cannot be read"


def test_steps_do_not_nest_and_outputs_need_a_step(workspace: Workspace, probe: Callable[..., Operation]) -> None:
    def inner(run: Run) -> int:
        return 1

    def outer(run: Run) -> int:
        return int(run.step("inner", inner))

    def nested(*, run: Run) -> None:
        run.step("outer", outer)

    def outside(*, run: Run) -> None:
        run.output("dataset", "x", identity={}, content={})

    for function in (nested, outside):
        with pytest.raises(RuntimeError, match="step"):
            runs.call(workspace, probe(function), {})


def scaled(shard: pa.Table, *, factor: int) -> pa.Table:
    DONE.append(f"scaled {shard['n'][0].as_py()}")
    if shard["n"][0].as_py() == 13:
        raise ValueError("unlucky")
    return pa.table({"n": [n * factor for n in shard["n"].to_pylist()]})


def test_each_item_of_a_map_is_a_step_of_its_own(workspace: Workspace, probe: Callable[..., Operation]) -> None:
    DONE.clear()

    def flow(numbers: list[int], *, run: Run) -> list[str]:
        items = [{"shard": write_shard(run.store, pa.table({"n": [n]}))} for n in numbers]
        return run.map("scale", scaled, items, factor=2)

    entry = probe(flow)
    with pytest.raises(StellwerkError, match="ValueError: unlucky"):
        runs.call(workspace, entry, {"numbers": [1, 2, 13, 4]})
    assert DONE == ["scaled 1", "scaled 2", "scaled 13"]
    DONE.clear()
    found = runs.call(workspace, entry, {"numbers": [4, 1, 3, 2, 1]})
    assert DONE == ["scaled 4", "scaled 3"]
    from stellwerk.engine.engine import read_shard

    assert [read_shard(workspace.store.path(shard))["n"].to_pylist() for shard in found] == [[8], [2], [6], [4], [2]]


def test_a_done_run_is_not_resumed(workspace: Workspace, make: Operation) -> None:
    runs.call(workspace, make, {})
    with pytest.raises(UserError, match="is done; there is nothing to resume"):
        run_operations.resume(workspace=workspace)
    with pytest.raises(UserError, match="has ended"):
        run_operations.cancel("latest", workspace=workspace)
    with pytest.raises(UserError, match="is done"):
        runs.execute(workspace, newest(workspace)["id"])
    assert newest(workspace)["state"] == "done"
    assert not leases.held(workspace.record.database, newest(workspace)["id"])


def test_a_run_that_is_worked_on_is_left_alone(workspace: Workspace, make: Operation) -> None:
    run_id = runs.submit(workspace, make, {})
    leases.claim(workspace.record.database, run_id)
    with pytest.raises(UserError, match="is being worked on"):
        runs.resume(workspace, run_id)
    assert newest(workspace)["state"] == "queued"


def test_a_queued_run_can_be_cancelled_and_resumed(workspace: Workspace, make: Operation) -> None:
    run_id = runs.submit(workspace, make, {})
    assert runs.cancel(workspace, run_id) == "cancelled"
    assert runs.resume(workspace, run_id) == "dataset/made@1"


def test_a_run_in_another_hand_commits_nothing_more(workspace: Workspace, probe: Callable[..., Operation]) -> None:
    DONE.clear()

    def flow(*, run: Run) -> None:
        run.step("load", load, content="first")
        with run.record.database.writing() as connection:
            connection.execute(tables.lease.update().values(token=99, expires=time.time() + 60))
            its = {"run": run.id, "step": "of the successor", "done": 1, "total": 2, "unit": "", "updated": 0.0}
            connection.execute(tables.progress.insert(), its)
        run.step("late", load, content="second")

    with pytest.raises(leases.LeaseLost):
        runs.call(workspace, probe(flow), {})
    assert [row["name"] for row in workspace.record.rows(tables.step)] == ["load"]
    assert newest(workspace)["state"] == "running", "the state is the successor's to set"
    assert len(workspace.record.rows(tables.progress)) == 1
    assert leases.held(workspace.record.database, newest(workspace)["id"])
    assert intact(workspace)


def test_a_keyboard_interrupt_between_steps_is_resumable(workspace: Workspace, probe: Callable[..., Operation]) -> None:
    DONE.clear()
    stop = [True]

    def flow(*, run: Run) -> str:
        run.step("load", load, content="a")
        if stop[0]:
            raise KeyboardInterrupt
        return work(run, "a", 2)

    with pytest.raises(Interrupted, match="interrupted; go on with: stellwerk runs resume") as error:
        runs.call(workspace, probe(flow), {})
    assert error.value.exit_code == 130
    row = newest(workspace)
    assert (row["state"], row["error"]) == ("interrupted", None)
    stop[0] = False
    assert runs.resume(workspace, row["id"]) == "dataset/made@1"
    assert DONE == ["load a", "double 2"]


def test_a_run_on_another_thread_is_cancelled_without_harm_to_the_main_one(
    workspace: Workspace, probe: Callable[..., Operation]
) -> None:
    begun, ended = threading.Event(), []

    def flow(*, run: Run) -> None:
        begun.set()
        for _ in range(600):
            time.sleep(0.05)
            run.check()

    entry = probe(flow)

    def target() -> None:
        try:
            runs.call(workspace, entry, {})
        except Interrupted as error:
            ended.append(str(error))

    thread = threading.Thread(target=target)
    thread.start()
    assert begun.wait(10)
    assert runs.cancel(workspace, newest(workspace)["id"]) == "cancelling"
    thread.join(10)
    assert not thread.is_alive()
    assert "was cancelled" in ended[0]
    assert newest(workspace)["state"] == "cancelled"


def test_a_cancelled_step_that_sleeps_is_woken(workspace: Workspace, probe: Callable[..., Operation]) -> None:
    def sleep(run: Run) -> None:
        threading.Timer(0.2, runs.cancel, (Workspace(workspace.root), run.id)).start()
        time.sleep(30)

    def flow(*, run: Run) -> None:
        run.step("sleep", sleep)

    began = time.monotonic()
    with pytest.raises(Interrupted, match="was cancelled"):
        runs.call(workspace, probe(flow), {})
    assert time.monotonic() - began < 10
    assert newest(workspace)["state"] == "cancelled"
    time.sleep(0.7)  # the heartbeat is over: no interrupt comes late


def test_sensitive_values_are_nowhere_in_the_record(workspace: Workspace, probe: Callable[..., Operation]) -> None:
    seen = []

    def erase(who: Annotated[str, Sensitive()], rows: int = 1, *, run: Run) -> int:
        seen.append(who)
        run.step("count", lambda run, rows: rows, rows=rows)
        return rows

    entry = probe(erase)
    name = "Zacharias-Unverwechselbar"
    runs.call(workspace, entry, {"who": name})
    assert seen == [name]
    assert newest(workspace)["parameters"] == {"who": {"keyed": workspace.keyed(name)}, "rows": 1}
    workspace.record.database.engine.dispose()
    for path in workspace.root.rglob("*"):
        assert not path.is_file() or name.encode() not in path.read_bytes(), path
    run_id = runs.submit(workspace, entry, {"who": name})
    with pytest.raises(UserError, match="give the whole command probe erase again"):
        runs.resume(workspace, run_id)
    log = workspace.state / "record.db-wal"
    assert ON_POSTGRESQL or name.encode() not in log.read_bytes()
    assert all(name.encode() not in content for content in record_bytes(workspace).values())


def test_a_spec_that_is_edited_during_a_run_does_not_move_it(workspace: Workspace, probe: Callable[..., Operation]) -> None:
    path = workspace.root / "recipes" / "cake.yaml"
    path.parent.mkdir()
    path.write_text("times: 3\n")

    def bake(recipe: Annotated[str, Spec("recipes", Recipe)], *, run: Run) -> int:
        path.write_text("times: 5\n")
        return run.spec("recipe").check(Recipe).times

    entry = probe(bake)
    assert runs.call(workspace, entry, {"recipe": "cake"}) == 3
    run_id = runs.submit(workspace, entry, {"recipe": "cake"})
    path.unlink()
    assert runs.execute(workspace, run_id) == 5
    path.write_text("times: many\n")
    before = count(workspace)
    with pytest.raises(UserError, match=r"recipes/cake\.yaml, line 1: 'times' is 'many', expected a number"):
        runs.call(workspace, entry, {"recipe": "cake"})
    assert count(workspace) == before


@pytest.mark.parametrize("kind", ["dataset", None])
def test_references_are_resolved_when_a_run_is_submitted(
    workspace: Workspace, make: Operation, probe: Callable[..., Operation], kind: str | None
) -> None:
    def look(dataset: Annotated[str, Ref("dataset")], *, run: Run) -> str:
        return run.input(dataset, kind).ref

    runs.call(workspace, make, {"times": 2})
    entry = probe(look)
    run_id = runs.submit(workspace, entry, {"dataset": "made"})
    runs.call(workspace, make, {"times": 3})
    assert workspace.record.resolve("made").number == 2
    assert runs.execute(workspace, run_id) == "dataset/made@1"
    with pytest.raises(UserError, match="no dataset named 'none'"):
        runs.call(workspace, entry, {"dataset": "none"})


@pytest.mark.parametrize(
    ("values", "words"), [({"times": "many"}, "times"), ({"tims": 1}, "no parameter tims"), ({"content": None}, "content")]
)
def test_wrong_parameters_note_nothing(workspace: Workspace, make: Operation, values: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        runs.call(workspace, make, values)
    assert workspace.record.rows(tables.run) == []


def test_the_lock_is_written_later_when_a_run_ended_before_it_could(workspace: Workspace, make: Operation) -> None:
    runs.call(workspace, make, {})
    (workspace.root / "stellwerk.lock").unlink()
    runs.call(workspace, make, {})
    assert set(workspace.lock()["versions"]) == {"dataset/made", "source/raw"}


def test_a_resumed_run_takes_its_own_steps_even_after_others_took_them(
    workspace: Workspace, probe: Callable[..., Operation]
) -> None:
    DONE.clear()
    fail = [True]

    def flow(*, run: Run) -> str:
        run.step("load", load, content="a")
        if fail[0]:
            raise StellwerkError("later")
        return work(run, "a", 2)

    entry = probe(flow)
    with pytest.raises(StellwerkError):
        runs.call(workspace, entry, {})
    first = newest(workspace)["id"]
    fail[0] = False
    runs.call(workspace, entry, {})
    runs.resume(workspace, first)
    keys = [row["key"] for row in workspace.record.rows(tables.step, tables.step.c.run == first)]
    assert len(keys) == len(set(keys)) == 2
    assert DONE == ["load a", "double 2"]


def test_the_code_digest_covers_the_layers_below_and_not_those_above(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import stellwerk

    root = tmp_path / "stellwerk"
    for name in ("run.py", "record/record.py", "jobs/data/build.py", "jobs/models/fit.py", "doors/cli.py", "text/personal.py"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")
    (root / "jobs" / "data" / "__init__.py").write_text("")
    monkeypatch.setattr(stellwerk, "__file__", str(root / "__init__.py"))

    class Found:
        submodule_search_locations = (str(root / "jobs" / "data"),)

    monkeypatch.setattr(runs.importlib.util, "find_spec", lambda package: Found)

    def digest() -> str:
        return runs.code_digest.__wrapped__("stellwerk.jobs.data.operations")

    before = digest()
    for name, covered in {
        "run.py": True, "record/record.py": True, "text/personal.py": True, "jobs/data/build.py": True,
        "jobs/models/fit.py": False, "doors/cli.py": False,
    }.items():  # fmt: skip
        (root / name).write_text("2")
        assert (digest() != before) is covered, name
        (root / name).write_text("1")
    assert digest() == before


PROGRAM = """
import sys, time
from pathlib import Path
import pyarrow as pa
from stellwerk import operation
from stellwerk.runs import execution as runs
from stellwerk.doors import cli
from stellwerk.workspace import Workspace
from stellwerk.engine import engine
from stellwerk.engine.engine import write_shard
from stellwerk.record import leases
from kernels import slow

engine.ALONE_BYTES = 0

def first(run):
    return run.output("source", "raw", identity={"n": 1}, content={})

def wait(run, how):
    print("waiting", flush=True)
    if how == "busy":
        for number in range(10**9):
            run.progress("wait", number)
    time.sleep(60)

def flow(how: str = "sleep", *, run: "Run"):
    run.step("first", first)
    if how == "engine":
        print("waiting", flush=True)
        run.map("slow", slow, [{"shard": write_shard(run.store, pa.table({"n": [n]}))} for n in range(4)])
    if how == "late":
        leases.SECONDS = 1.0
        print("waiting", flush=True)
        sys.stdin.readline()
        run.step("second", lambda run: 2)
    elif how != "resumed":
        run.step("wait", wait, how=how)
    return "end"

flow.__module__ = "stellwerk.probe.operations"
flow.__annotations__ = {"how": str, "return": str, "run": "Run"}
operation.operation(example={})(flow)
runs.code_digest = lambda module: "code 1"
workspace = Workspace(Path(sys.argv[1]))
try:
    print(runs.call(workspace, operation.find("probe.flow"), {"how": sys.argv[2]}))
except runs.StellwerkError as error:
    print(f"{type(error).__name__}: {error}")
    sys.exit(error.exit_code)
"""


KERNELS = """
import time

def slow(shard):
    time.sleep(60)
    return shard
"""


@pytest.fixture
def program(workspace: Workspace, tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts an operation in another process and waits until it is in the middle of it."""
    begun: list[subprocess.Popen[str]] = []
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "kernels.py").write_text(KERNELS)
    set_settings(workspace.root, "workers: 2\n")

    def start(how: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-u", tmp_path / "program.py", workspace.root, how], text=True, start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        begun.append(process)
        assert process.stdout
        said = process.stdout.readline()
        assert said == "waiting\n", (said, process.stderr and process.stderr.read())
        return process

    yield start
    for process in begun:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def workers_of(process: subprocess.Popen[str], wanted: int = 1) -> list[psutil.Process]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        children = psutil.Process(process.pid).children(recursive=True)
        found = [child for child in children if "stellwerk.engine.worker" in " ".join(child.cmdline())]
        if len(found) >= wanted:
            return found
        time.sleep(0.05)
    raise AssertionError("no workers")


@pytest.mark.parametrize("how", ["sleep", "busy", "engine"])
def test_another_process_cancels_a_run(workspace: Workspace, program: Callable[[str], subprocess.Popen[str]], how: str) -> None:
    process = program(how)
    children = workers_of(process) if how == "engine" else []
    assert run_operations.list_(workspace=workspace).runs[0].state == "running"
    assert run_operations.cancel("latest", workspace=workspace).state == "cancelling"
    out, errors = process.communicate(timeout=20)
    assert process.returncode == 130, (out, errors)
    assert "was cancelled; go on with: stellwerk runs resume" in out
    assert "Traceback" not in errors
    assert run_operations.list_(workspace=workspace).runs[0].state == "cancelled"
    assert psutil.wait_procs(children, timeout=5)[1] == []
    assert [row["name"] for row in workspace.record.rows(tables.step)] == ["first"]
    assert intact(workspace)


@pytest.mark.parametrize("how", ["sleep", "engine"])
def test_an_interrupt_from_the_terminal_ends_a_run_in_order(
    workspace: Workspace, program: Callable[[str], subprocess.Popen[str]], how: str
) -> None:
    process = program(how)
    children = workers_of(process) if how == "engine" else []
    os.killpg(process.pid, signal.SIGINT)
    out, errors = process.communicate(timeout=20)
    assert process.returncode == 130, (out, errors)
    assert "was interrupted; go on with: stellwerk runs resume" in out
    assert "Traceback" not in errors
    assert newest(workspace)["state"] == "interrupted"
    assert psutil.wait_procs(children, timeout=5)[1] == []
    assert not leases.held(workspace.record.database, newest(workspace)["id"])


def test_a_killed_run_is_shown_as_interrupted_and_taken_over_at_once(
    workspace: Workspace, program: Callable[[str], subprocess.Popen[str]]
) -> None:
    process = program("sleep")
    process.kill()
    process.wait()
    assert newest(workspace)["state"] == "running"
    shown = run_operations.follow(seconds=0, workspace=workspace)
    assert shown.state == "interrupted"
    assert leases.claim(workspace.record.database, newest(workspace)["id"]) == 2
    assert runs.cancel(workspace, newest(workspace)["id"]) == "cancelling"


def test_a_paused_run_that_was_replaced_commits_nothing_when_it_wakes(
    workspace: Workspace, program: Callable[[str], subprocess.Popen[str]]
) -> None:
    process = program("late")
    run_id = newest(workspace)["id"]
    os.kill(process.pid, signal.SIGSTOP)
    with workspace.record.database.writing() as connection:
        connection.execute(tables.lease.update().values(expires=time.time() - 1))
    assert leases.claim(workspace.record.database, run_id, 3600) == 2
    os.kill(process.pid, signal.SIGCONT)
    out, errors = process.communicate("go\n", timeout=20)
    assert process.returncode == 3, (out, errors)
    assert out.startswith("LeaseLost: ")
    assert "Traceback" not in errors
    assert [row["name"] for row in workspace.record.rows(tables.step)] == ["first"]
    assert leases.held(workspace.record.database, run_id), "the successor keeps its lease"
    assert intact(workspace)


def test_the_heartbeat_keeps_the_lease_of_a_long_step(
    workspace: Workspace, probe: Callable[..., Operation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "SECONDS", 1.5)
    monkeypatch.setattr(leases.claim, "__defaults__", (1.5,))
    monkeypatch.setattr(leases.renew, "__defaults__", (1.5,))

    def long(run: Run) -> list[bool]:
        states = []
        for _ in range(8):
            time.sleep(0.4)
            states.append(leases.held(run.record.database, run.id))
        return states

    def flow(*, run: Run) -> list[bool]:
        return list(run.step("long", long))

    assert runs.call(workspace, probe(flow), {}) == [True] * 8


def test_a_run_that_has_spent_its_time_fails_with_a_sentence_and_can_go_on(
    workspace: Workspace, probe: Callable[..., Operation]
) -> None:
    set_settings(workspace.root, "workers: 1\nbudget: {minutes: 0.02}\n")
    workspace = Workspace(workspace.root)
    DONE.clear()
    slow = [True]

    def sleep(run: Run) -> int:
        if slow[0]:
            time.sleep(60)
        return 1

    def flow(*, run: Run) -> str:
        run.step("load", load, content="a")
        run.step("sleep", sleep)
        return "end"

    began = time.monotonic()
    with pytest.raises(
        BudgetSpent, match=r"stopped at its budget of 0\.02 minutes in stellwerk\.yaml; raise budget there"
    ) as error:
        runs.call(workspace, probe(flow), {})
    assert time.monotonic() - began < 20, "a step that does not look up is woken"
    assert error.value.exit_code == 3
    row = newest(workspace)
    assert (row["state"], row["error"]) == ("failed", str(error.value))
    assert f"stellwerk runs resume {row['id'][:8]}" in row["error"]
    slow[0] = False
    assert runs.resume(workspace, row["id"]) == "end"
    assert DONE == ["load a"], "what was finished before is kept"
    used = workspace.record.rows(tables.usage, order=tables.usage.c.created)
    assert [one["seconds"] > 1 for one in used] == [True, False]
    workspace.record.database.close()


def test_a_run_that_has_filled_its_space_stops_at_the_next_look(workspace: Workspace, probe: Callable[..., Operation]) -> None:
    set_settings(workspace.root, "workers: 1\nbudget: {gigabytes: 0.003}\n")
    workspace = Workspace(workspace.root)

    def flow(*, run: Run) -> None:
        for number in range(10):
            run.step("fill", lambda run, number: run.store.put(os.urandom(1_000_000)), number=number)

    with pytest.raises(BudgetSpent, match=r"its budget of 0\.003 GB in stellwerk\.yaml"):
        runs.call(workspace, probe(flow), {})
    assert len(workspace.record.rows(tables.step)) == 4
    (used,) = workspace.record.rows(tables.usage)
    assert used["stored"] == 4_000_000
    workspace.record.database.close()


def test_of_two_budgets_the_smaller_one_counts(workspace: Workspace, probe: Callable[..., Operation]) -> None:
    set_settings(workspace.root, "budget: {minutes: 90}\n")
    workspace = Workspace(workspace.root)

    def flow(minutes: float, *, run: Run) -> str:
        run.limit(Budget(minutes=minutes), "datasets/a.yaml")
        time.sleep(0.02)
        run.check()
        return "end"

    entry = probe(flow)
    assert runs.call(workspace, entry, {"minutes": 200}) == "end"
    with pytest.raises(BudgetSpent, match=r"its budget of 0\.0001 minutes in datasets/a\.yaml"):
        runs.call(workspace, entry, {"minutes": 0.0001})
    workspace.record.database.close()


def test_what_shards_of_worker_processes_add_counts_too(workspace: Workspace, probe: Callable[..., Operation]) -> None:
    def flow(*, run: Run) -> list[str]:
        items = [{"shard": write_shard(run.store, pa.table({"n": [n]}))} for n in (1, 2)]
        return run.map("scale", scaled, items, factor=2)

    shards = runs.call(workspace, probe(flow), {})
    (used,) = workspace.record.rows(tables.usage)
    assert used["stored"] >= sum(workspace.store.path(shard).stat().st_size for shard in shards)


def test_the_extent_of_a_run_adds_up(workspace: Workspace, probe: Callable[..., Operation]) -> None:
    def flow(*, run: Run) -> None:
        run.extent(100)
        run.extent(20.5)

    runs.call(workspace, probe(flow), {})
    assert [row["extent"] for row in workspace.record.rows(tables.usage)] == [120.5]
    assert intact(workspace)


def test_a_run_that_its_worker_wants_back_waits_again(workspace: Workspace, probe: Callable[..., Operation]) -> None:
    def flow(*, run: Run) -> None:
        run.step("first", lambda run: 1)
        time.sleep(60)

    entry = probe(flow)
    run_id = queue.enqueue(workspace, entry, {})
    taken = queue.take(workspace)
    assert taken is not None
    with pytest.raises(Interrupted, match="went back to the queue"):
        runs.execute_held(workspace, run_id, taken.token, entry, {}, called_back=lambda: True)
    row = newest(workspace)
    assert (row["state"], row["finished"], row["error"]) == ("queued", None, None)
    assert [one["attempts"] for one in workspace.record.rows(tables.queue)] == [0]
    assert [one["name"] for one in workspace.record.rows(tables.step)] == ["first"]


def test_progress_of_a_run_in_another_hand_is_not_written(workspace: Workspace, probe: Callable[..., Operation]) -> None:
    def flow(*, run: Run) -> None:
        with run.record.database.writing() as connection:
            connection.execute(tables.lease.update().values(token=99, expires=time.time() + 60))
        run.progress("late", 1, 2)

    with pytest.raises(leases.LeaseLost):
        runs.call(workspace, probe(flow), {})
    assert workspace.record.rows(tables.progress) == []
    assert newest(workspace)["state"] == "running"
    assert workspace.record.rows(tables.usage) == []


def test_listeners_outside_never_fail_a_run(workspace: Workspace, make: Operation) -> None:
    set_settings(workspace.root, "workers: 1\nopenlineage: {file: /dev/full/events}\n")
    workspace = Workspace(workspace.root)
    assert runs.call(workspace, make, {}) == "dataset/made@1"
    assert newest(workspace)["state"] == "done"
    workspace.record.database.close()
