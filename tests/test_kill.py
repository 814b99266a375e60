"""A build that is killed at any moment and resumed ends exactly as one that nobody disturbed."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from databases import set_settings
from stellwerk.engine.engine import read_shard
from stellwerk.errors import StellwerkError
from stellwerk.operation import find
from stellwerk.record import tables
from stellwerk.record.operations import verify
from stellwerk.run import Run
from stellwerk.runs import execution as runs
from stellwerk.runs import operations as run_operations
from stellwerk.workspace import Workspace

COMMAND = [sys.executable, "-m", "stellwerk"]
KILLS = 10
SPEC = """
purpose: the kill test
sources:
  - {name: tickets, files: raw/tickets/*.csv, key: ticket_id, text: [subject, body]}
  - {name: labels, files: raw/labels.jsonl, key: ticket_id, joins: tickets}
  - {name: pages, files: raw/pages/*.md}
personal: {action: mask}
select:
  words: {min: 4}
  hours: {max: 900}
outliers: {columns: [hours]}
"""
WORDS = """
    pump valve motor sensor belt invoice order part machine error leak noise pressure temperature oil filter replaced
    delivered broken urgent please customer site line shift operator manual stopped started repaired spare warranty
""".split()  # noqa: SIM905


def make_workspace(folder: Path, rows: int) -> Workspace:
    """A workspace with csv, jsonl and md files; some rows are short, copied, far out, or hold an address."""
    dice = random.Random(5)
    workspace = Workspace.init(folder)
    (folder / "datasets").mkdir()
    (folder / "datasets" / "tickets.yaml").write_text(SPEC)
    (folder / "raw" / "tickets").mkdir(parents=True)
    (folder / "raw" / "pages").mkdir()
    texts: list[str] = []
    with (folder / "raw" / "labels.jsonl").open("w") as labels:
        for part in range(4):
            with (folder / "raw" / "tickets" / f"{part}.csv").open("w", newline="") as file:
                table = csv.writer(file, delimiter=";")
                table.writerow(["ticket_id", "subject", "body", "hours"])
                for row in range(rows // 4):
                    key = f"T-{part}-{row:05}"
                    texts.append(texts[dice.randrange(len(texts))] if row % 9 == 8 else _text(dice, row))
                    table.writerow(
                        [key, f"Ticket {dice.choice(WORDS)}", texts[-1], 10**6 if row % 97 == 5 else dice.randrange(800)]
                    )
                    labels.write(json.dumps({"ticket_id": key, "intent": dice.choice(["invoice", "repair"])}) + "\n")
    for number in range(20):
        (folder / "raw" / "pages" / f"{number}.md").write_text(f"# Page {number}\n\n{_text(dice, 1)}\n")
    return workspace


def _text(dice: random.Random, row: int) -> str:
    words = " ".join(dice.choices(WORDS, k=2 if row % 13 == 7 else dice.randrange(20, 90)))
    return f"{words} write to erika.muster{row}@example.org" if row % 11 == 3 else words


def stellwerk(workspace: Workspace, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments, "-w", str(workspace.root)], capture_output=True, text=True, timeout=120, check=False
    )


def answer(workspace: Workspace, *arguments: str) -> dict[str, Any]:
    done = stellwerk(workspace, *arguments, "--json")
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@dataclass(frozen=True)
class Outcome:
    """All that a build made, as digests that any other way to it must reach."""

    version: str
    digest: str
    table: str
    ledger: str
    counts: dict[str, Any]


def outcome(workspace: Workspace) -> Outcome:
    import deltalake

    version = workspace.record.resolve("dataset/tickets")
    table = deltalake.DeltaTable(str(workspace.store.table(version.content["table"]))).to_pyarrow_table()
    ledger = pa.concat_tables([read_shard(workspace.store.path(shard)) for shard in version.content["ledger"]])
    found = Outcome(version.ref, version.digest, _digest(table), _digest(ledger), version.facts["counts"])
    workspace.record.database.close()
    del workspace.record
    return found


def _digest(table: pa.Table) -> str:
    rows = sorted(json.dumps(row, sort_keys=True, default=str) for row in table.to_pylist())
    return hashlib.sha256("\n".join([*map(str, table.schema), *rows]).encode()).hexdigest()


def is_sound(workspace: Workspace) -> None:
    """The record is intact, nothing half-written is left, and no process of it lives."""
    found = verify(workspace=workspace)
    assert (found.intact, found.problems) == (True, [])
    workspace.record.database.close()
    del workspace.record
    workspace.store.sweep()
    assert list((workspace.state / "store" / "partial").iterdir()) == []
    assert living(str(workspace.root)) == []


def living(text: str) -> list[psutil.Process]:
    """The processes that have a text in their command line or environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and text in " ".join([*process.cmdline(), *process.environ().values()]):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, float]]:
    """A workspace that was built without disturbance, and the seconds that it took."""
    workspace = make_workspace(tmp_path_factory.mktemp("undisturbed") / "workspace", 2000)
    began = time.monotonic()
    answer(workspace, "data", "build", "tickets")
    yield workspace, time.monotonic() - began
    workspace.record.database.close()


def copy_of(workspace: Workspace, folder: Path) -> Workspace:
    """The same files in a new workspace, in which nothing was built."""
    fresh = Workspace.init(folder)
    for name in ("datasets", "raw"):
        shutil.copytree(workspace.root / name, folder / name)
    return fresh


def on_one_process(workspace: Workspace) -> Workspace:
    """The same workspace, whose kernels run where the test can see them."""
    set_settings(workspace.root, "name: small\nworkers: 1\n")
    return Workspace(workspace.root)


def kill_build(workspace: Workspace, after: float) -> float | None:
    """Start a build and kill it without warning, only the process itself: that its children end is its own affair.

    Returns:
        None, or the seconds that it took if it was done before.
    """
    began = time.monotonic()
    mark = {"STELLWERK_KILLED": str(workspace.root)}
    process = subprocess.Popen(
        [*COMMAND, "data", "build", "tickets", "-w", str(workspace.root)],
        start_new_session=True, env={**os.environ, **mark}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        process.communicate(timeout=after)
        took = time.monotonic() - began
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    deadline = time.monotonic() + 10
    while living(str(workspace.root)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert living(str(workspace.root)) == []
    if process.returncode == -signal.SIGKILL:
        return None
    assert process.returncode == 0
    return took


@pytest.mark.slow
def test_a_build_killed_at_ten_random_points_ends_identically(undisturbed: tuple[Workspace, float], tmp_path: Path) -> None:
    reference, seconds = undisturbed
    wanted = outcome(reference)
    dice, states = random.Random(11), []
    for number in range(KILLS):
        # One point in each tenth of the build; on a machine that got faster the build ends before it and is done again.
        share, took = (number + dice.random()) / KILLS, seconds
        while took is not None:
            workspace = copy_of(reference, tmp_path / f"{number} {took}")
            seconds = min(seconds, took)
            took = kill_build(workspace, seconds * share)
        listed = run_operations.list_(workspace=workspace).runs
        states.append(listed[0].state if listed else "not begun")
        if not listed:
            answer(workspace, "data", "build", "tickets")
        elif listed[0].state != "done":
            assert listed[0].state in ("interrupted", "queued")
            answer(workspace, "runs", "resume", "latest")
        assert outcome(workspace) == wanted, states
        assert len(run_operations.list_(workspace=workspace).runs) == 1
        is_sound(workspace)
        shutil.rmtree(workspace.root)
    assert states.count("interrupted") >= KILLS // 2, states


@pytest.mark.slow
def test_a_build_killed_again_and_again_gets_to_its_end(undisturbed: tuple[Workspace, float], tmp_path: Path) -> None:
    reference, seconds = undisturbed
    workspace = copy_of(reference, tmp_path / "workspace")
    kill_build(workspace, 0.6 * seconds)
    before = 0
    for _ in range(3):
        process = subprocess.Popen(
            [*COMMAND, "runs", "resume", "latest", "-w", str(workspace.root)], start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(0.4 * seconds)
        process.kill()
        process.wait()
        steps = len(workspace.record.rows(tables.step))
        assert steps >= before
        before = steps
    if run_operations.list_(workspace=workspace).runs[0].state != "done":
        answer(workspace, "runs", "resume", "latest")
    assert outcome(workspace) == outcome(reference)


def test_an_unchanged_second_build_does_nothing_and_says_so(undisturbed: tuple[Workspace, float]) -> None:
    workspace, _ = undisturbed
    before, lock = outcome(workspace), (workspace.root / "stellwerk.lock").read_bytes()
    report = answer(workspace, "data", "build", "tickets")
    assert report["message"].startswith("nothing changed")
    shown = answer(workspace, "runs", "show", "latest")
    assert all(step["reused"] == step["shards"] for step in shown["steps"])
    assert shown["outputs"]
    assert outcome(workspace) == before
    assert (workspace.root / "stellwerk.lock").read_bytes() == lock
    is_sound(workspace)


def test_a_changed_bound_redoes_only_what_depends_on_it(undisturbed: tuple[Workspace, float]) -> None:
    workspace, _ = undisturbed
    first, spec = outcome(workspace), workspace.root / "datasets" / "tickets.yaml"
    spec.write_text(SPEC.replace("min: 4", "min: 30"))
    report = answer(workspace, "data", "build", "tickets")
    assert "made dataset/tickets@2" in report["message"]
    steps = {step["step"]: step["reused"] == step["shards"] for step in answer(workspace, "runs", "show", "latest")["steps"]}
    redone = {name for name, reused in steps.items() if not reused}
    assert "select" in redone
    assert redone <= {"select", "duplicates", "ledger", "write", "publish"}
    assert {"read tickets", "normalise", "score", "personal data", "verify candidates"} <= set(steps) - redone
    second = outcome(workspace)
    assert second.counts["dropped"] > first.counts["dropped"]
    spec.write_text(SPEC)
    assert answer(workspace, "data", "build", "tickets")["message"].startswith("nothing changed")
    assert outcome(workspace) == first, "old content is the old version, and the latest one again"
    lock = (workspace.root / "stellwerk.lock").read_text()
    assert first.digest in lock
    assert second.digest not in lock
    is_sound(workspace)


class PowerCut(BaseException):
    """Stands for the end of the process: nothing of the product may catch it and go on."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Outcome, int]:
    """A small workspace, what its build makes, and how many transactions that takes."""
    workspace = on_one_process(make_workspace(tmp_path_factory.mktemp("small") / "workspace", 60))
    count = 0
    original = Run._committing

    def counting(self: Run) -> Any:
        nonlocal count
        count += 1
        return original(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "_committing", counting)
        runs.call(workspace, find("data.build"), {"dataset": "tickets"})
    return workspace, outcome(workspace), count


@pytest.mark.slow
@settings(
    max_examples=12, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(place=st.integers(0, 10**6), moment=st.sampled_from(["before", "inside", "after"]), again=st.integers(0, 40))
def test_a_build_that_ends_at_any_commit_and_is_resumed_is_identical(
    small: tuple[Workspace, Outcome, int], tmp_path_factory: pytest.TempPathFactory, place: int, moment: str, again: int
) -> None:
    from contextlib import contextmanager

    reference, wanted, commits = small
    workspace = on_one_process(copy_of(reference, tmp_path_factory.mktemp("cut") / "workspace"))
    original, left = Run._committing, 0

    @contextmanager
    def cutting(self: Run) -> Iterator[Any]:
        nonlocal left
        left -= 1
        if left == 0 and moment == "before":
            raise PowerCut
        with original(self) as transaction:
            yield transaction
            if left == 0 and moment == "inside":
                raise PowerCut
        if left == 0 and moment == "after":
            raise PowerCut
        if left < 0:
            raise PowerCut

    run_id = runs.submit(workspace, find("data.build"), {"dataset": "tickets"})
    for end in (1 + place % commits, 1 + again):
        left = end
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Run, "_committing", cutting)
            try:
                runs.execute(workspace, run_id)
            except PowerCut:
                continue
            except StellwerkError as error:
                assert "done" in str(error)
    if workspace.record.rows(tables.run)[0]["state"] != "done":
        runs.resume(workspace, run_id)
    assert outcome(workspace) == wanted
    keys = [row["key"] for row in workspace.record.rows(tables.step)]
    assert len(keys) == len(set(keys)), "no step was committed twice"
    is_sound(workspace)
