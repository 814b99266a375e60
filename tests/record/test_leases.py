"""At most one process works on a run; one that lost its lease commits nothing, however late it wakes up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from records import problems

from stellwerk.record import leases, tables
from stellwerk.record.record import Record

HERE = Path(__file__).parent


@pytest.fixture
def start(record: Record, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts Python code in another process, with `record` open on the same database."""
    begun: list[subprocess.Popen[str]] = []

    def work(code: str) -> subprocess.Popen[str]:
        opening = f"""
import os, sys, time
from pathlib import Path
from records import *
from stellwerk.record import leases
record = open_record(Path({str(tmp_path / "record.db")!r}))
"""
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = subprocess.Popen([sys.executable, "-u", "-c", opening + code], cwd=HERE, text=True, **pipes)
        begun.append(process)
        return process

    yield work
    for process in begun:
        with suppress(psutil.NoSuchProcess):
            psutil.Process(process.pid).kill()
        process.communicate()


def says(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout
    said = process.stdout.readline().strip()
    assert said == line, (said, process.stderr.read() if process.poll() is not None and process.stderr else "")


def test_a_lease_is_held_by_one_until_it_is_released(record: Record) -> None:
    database = record.database
    assert not leases.held(database, "run")
    assert leases.claim(database, "run") == 1
    assert leases.held(database, "run")
    assert leases.claim(database, "run") is None
    assert leases.claim(database, "another") == 1
    assert leases.renew(database, "run", 1)
    leases.release(database, "run", 1)
    assert not leases.held(database, "run")
    assert leases.claim(database, "run") == 2


def test_each_change_of_hands_fences_the_earlier_holder(record: Record) -> None:
    database = record.database
    leases.claim(database, "run", seconds=-1)
    assert leases.claim(database, "run", seconds=60) == 2
    assert not leases.renew(database, "run", 1)
    with pytest.raises(leases.LeaseLost, match="taken over"), database.writing() as connection:
        leases.check(connection, "run", 1)
    leases.release(database, "run", 1)
    assert leases.held(database, "run"), "a late holder cannot release the lease of its successor"
    with database.writing() as connection:
        leases.check(connection, "run", 2)
    with pytest.raises(leases.LeaseLost), database.writing() as connection:
        leases.check(connection, "unknown", 1)


def test_an_expired_lease_that_nobody_took_can_be_renewed(record: Record) -> None:
    leases.claim(record.database, "run", seconds=-1)
    assert leases.renew(record.database, "run", 1)
    assert leases.held(record.database, "run")


def test_a_dead_holder_is_replaced_at_once(record: Record, start: Callable[..., subprocess.Popen[str]]) -> None:
    process = start("print(leases.claim(record.database, 'run', 3600)); time.sleep(60)")
    says(process, "1")
    assert leases.held(record.database, "run")
    assert leases.claim(record.database, "run") is None
    process.kill()
    deadline = time.monotonic() + 5
    while leases.held(record.database, "run") and time.monotonic() < deadline:
        time.sleep(0.01)
    # It is a zombie now, for nobody has waited for it yet.
    assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
    assert leases.claim(record.database, "run") == 2


def test_a_process_number_that_was_given_again_is_no_holder(record: Record) -> None:
    leases.claim(record.database, "run", 3600)
    host, boot, pid, started = record.rows(tables.lease)[0]["holder"].split(" ")
    for holder, held in (
        (f"{host} {boot} {pid} {started}", True),
        (f"{host} {boot} {pid} 1", False),
        (f"elsewhere {boot} {pid} 1", True),
        (f"{host} another-boot {pid} 1", True),
        (f"{host} {boot} {2**22 + 1} 1", False),
    ):
        with record.database.writing() as connection:
            connection.execute(tables.lease.update().values(holder=holder))
        assert leases.held(record.database, "run") is held, holder


def test_two_processes_that_race_for_a_lease_have_one_winner(start: Callable[..., subprocess.Popen[str]]) -> None:
    code = """
print("ready")
for line in sys.stdin:
    print(leases.claim(record.database, line.strip(), 3600))
"""
    racers = [start(code) for _ in range(4)]
    for racer in racers:
        says(racer, "ready")
    for number in range(10):
        for racer in racers:
            assert racer.stdin
            racer.stdin.write(f"run{number}\n")
            racer.stdin.flush()
        won = sorted(racer.stdout.readline().strip() for racer in racers if racer.stdout)
        assert won == ["1", "None", "None", "None"]


LATE = """
token = leases.claim(record.database, "run", 0.5)
with record.writing(PERSON) as transaction:
    leases.check(transaction.connection, "run", token)
    add_run(transaction, error="in time")
print("first")
sys.stdin.readline()
try:
    with record.writing(PERSON) as transaction:
        add_run(transaction, error="late")
        leases.check(transaction.connection, "run", token)
    print("committed")
except leases.LeaseLost as error:
    print(type(error).__name__, leases.renew(record.database, "run", token))
"""


def test_a_paused_process_that_wakes_up_late_commits_nothing(
    record: Record, start: Callable[..., subprocess.Popen[str]]
) -> None:
    process = start(LATE)
    says(process, "first")
    os.kill(process.pid, signal.SIGSTOP)
    assert process.stdin
    process.stdin.write("go\n")
    process.stdin.flush()
    deadline, token = time.monotonic() + 10, None
    while token is None and time.monotonic() < deadline:
        token = leases.claim(record.database, "run", 3600)
    assert token == 2, "a stopped process keeps its lease no longer than its time"
    os.kill(process.pid, signal.SIGCONT)
    says(process, "LeaseLost False")
    assert [row["error"] for row in record.rows(tables.run)] == ["in time"]
    assert problems(record) == []


def test_without_a_successor_the_late_process_goes_on(record: Record, start: Callable[..., subprocess.Popen[str]]) -> None:
    process = start(LATE)
    says(process, "first")
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(0.7)
    assert not leases.held(record.database, "run")
    os.kill(process.pid, signal.SIGCONT)
    assert process.stdin
    process.stdin.write("go\n")
    process.stdin.flush()
    says(process, "committed")
    assert sorted(row["error"] for row in record.rows(tables.run)) == ["in time", "late"]


def test_a_writer_that_was_killed_in_a_transaction_blocks_nobody(
    record: Record, start: Callable[..., subprocess.Popen[str]]
) -> None:
    process = start("""
with record.writing(PERSON) as transaction:
    add_run(transaction)
    print("inside")
    time.sleep(60)
""")
    says(process, "inside")
    process.kill()
    process.wait()
    began = time.monotonic()
    assert leases.claim(record.database, "run") == 1
    assert time.monotonic() - began < 5
    assert record.rows(tables.run) == []
    assert problems(record) == []
