"""Measures a command with all processes that it starts: wall time, CPU time, and the peak of their memory together."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

PERIOD = 0.1


@dataclass
class Usage:
    """What a command took.

    Attributes:
        wall: seconds.
        cpu: seconds of all processes, user and system.
        pss: peak of the sum of their proportional set sizes, in bytes: a page that several share counts once.
        rss: peak of the sum of their resident sets, in bytes: shared pages count in each process.
        processes: most of them at one time.
    """

    wall: float
    cpu: float
    pss: int
    rss: int
    processes: int


def measure(
    command: Sequence[str],
    log: Path,
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    fine: Collection[int] = (0,),
) -> Usage:
    """Run a command to its end.

    Args:
        command: with its arguments.
        log: is written: what it says, on both streams.
        folder: to run it in; this process's if left out.
        environment: that it gets; this process's if left out.
        fine: exit codes that are no failure.

    Raises:
        RuntimeError: it failed; the message ends with the end of its output.
    """
    started = time.monotonic()
    with log.open("wb") as output:
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=folder, env=environment)
    pss = rss = most = 0
    seen: dict[int, float] = {}
    while True:
        ended, status, used = os.wait4(child.pid, os.WNOHANG)
        if ended:
            break
        now = _look(child.pid, seen)
        pss, rss, most = max(pss, now[0]), max(rss, now[1]), max(most, now[2])
        time.sleep(PERIOD)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in fine:
        raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}:\n{log.read_text()[-2000:]}")
    # A process that nobody waited for is missing in the one sum, the last moments of each in the other.
    cpu = max(used.ru_utime + used.ru_stime, sum(seen.values()))
    return Usage(time.monotonic() - started, cpu, pss, rss, most)


def _look(root: int, seen: dict[int, float]) -> tuple[int, int, int]:
    pss = rss = count = 0
    try:
        parent = psutil.Process(root)
        tree = [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return 0, 0, 0
    for process in tree:
        try:
            memory, times = process.memory_full_info(), process.cpu_times()
        except psutil.Error:
            continue
        pss, rss, count = pss + memory.pss, rss + memory.rss, count + 1
        seen[process.pid] = times.user + times.system
    return pss, rss, count
