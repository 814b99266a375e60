"""The command `serve`: it says where it listens, works on what is queued, and ends in order with its worker."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from served import ended

from servers import free_port
from stellwerk.doors.serve import listen
from stellwerk.errors import UserError
from stellwerk.record import tables
from stellwerk.workspace import Workspace

PATIENCE = 60.0  # seconds; the machine may be busy
Started = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture
def start(desk: Path) -> Iterator[Started]:
    """Starts `stellwerk serve` and waits until it says where it listens."""
    begun: list[subprocess.Popen[str]] = []

    def begin(*words: str) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "stellwerk", "serve", "-w", str(desk), "--port", "0", *words],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        begun.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, (line, process.communicate()[1])
        return process, found[0]

    yield begin
    for process in begun:
        for one in family(process):
            one.kill()
        process.kill()
        process.communicate()


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []


def worker_of(process: subprocess.Popen[str]) -> psutil.Process:
    return until(lambda: next((one for one in family(process) if "stellwerk.doors.beside" in words_of(one)), None))


def words_of(one: psutil.Process) -> list[str]:
    """The command of a process; one that has just ended has none any more."""
    try:
        return one.cmdline()
    except psutil.Error:
        return []


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.05)
    return found


def test_what_is_queued_is_worked_on_and_both_processes_end_with_ctrl_c(start: Started) -> None:
    process, address = start()
    with httpx.Client(base_url=address, timeout=PATIENCE) as client:
        assert client.get("/").status_code == 200
        run = client.post("/api/data/test", json={"dataset": "letters"}).json()["id"]
        assert ended(client, run)["result"]["failed"] == 0
        query = client.post("/api/data/query", json={"dataset": "letters", "sql": "SELECT 1 AS secret"})
        assert query.json()["rows"] == [[1]]
    others = family(process)
    assert len(others) >= 2
    began = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert time.monotonic() - began < 20
    assert not [one for one in others if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    # The line with the address was read; the log tells of runs, and of nothing that a call holds.
    assert said[0] == ""
    assert "secret" not in said[1]
    assert "Traceback" not in said[1]


def test_who_listens_to_a_run_does_not_keep_the_server(start: Started) -> None:
    process, address = start("--no-worker")
    with httpx.Client(base_url=address, timeout=PATIENCE) as client:
        run = client.post("/api/data/test", json={"dataset": "letters"}).json()["id"]
        with client.stream("GET", f"/api/runs/{run}/events") as answer:
            lines = answer.iter_lines()
            assert next(lines) == "event: state"
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert not [line for line in lines if line == "event: end"]
            assert time.monotonic() - began < 4
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


def test_a_worker_that_dies_is_started_again(start: Started) -> None:
    process, _ = start()
    first = worker_of(process)
    first.kill()
    again = until(lambda: next((one for one in [worker_of(process)] if one.pid != first.pid), None))
    assert again.is_running()


def test_a_worker_does_not_outlive_a_server_that_was_killed(start: Started, desk: Path) -> None:
    process, _ = start()
    worker = worker_of(process)
    until(lambda: any(str(worker.pid) in row["holder"].split() for row in Workspace(desk).record.rows(tables.worker)))
    process.kill()
    assert until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)


def test_a_port_that_is_taken_is_a_sentence_with_a_free_one(desk: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "stellwerk", "serve", "-w", str(desk), "--port", str(port)], capture_output=True, text=True
        )
        assert done.returncode == 2
        found = re.fullmatch(
            rf"port {port} is taken, perhaps by another stellwerk serve; try --port (\d+)", done.stderr.strip()
        )
        assert found
        with listen("127.0.0.1", int(found[1])):
            pass


@pytest.mark.parametrize(
    ("host", "port", "said"),
    [
        ("203.0.113.7", 0, "not an address of this machine"),
        ("no such host", 0, "no address or name"),
        ("127.0.0.1", 70000, "0 to 65535"),
    ],
)
def test_an_address_that_cannot_be_is_a_sentence(host: str, port: int, said: str) -> None:
    with pytest.raises(UserError, match=said), listen(host, port):
        pass


def test_an_address_that_others_reach_needs_a_login(desk: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "stellwerk", "serve", "-w", str(desk), "--host", "0.0.0.0", "--port", str(free_port()),
         "--name", "stellwerk.example.com", "--behind-proxy"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "nobody could log in" in done.stderr
