"""Serves pages from a record of 10,000 runs, 1,000 assets and a million rows: p50, p95 and CPU of each page in milliseconds.

The record is filled first, which takes about a minute; then a server of its own answers each page a hundred times, one request
after another, so that the time is the server's. `--serve` leaves it open to look at.

    python -m benchmarks pages [runs, default 10000] [assets, default 1000] [rows, default 1000000]
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

REQUESTS = 100
TARGET = 150.0  # ms at the 95th percentile
SYSTEM = "purpose: Answer letters\nowner: desk@example.com\nrole: deployer\nbinds: [{binds}]\n"


def prepare(folder: Path, runs: int, assets: int, rows: int) -> None:
    """Make the workspace, and say how long each part took."""
    from benchmarks.showing import million, much
    from stellwerk.workspace import Workspace

    workspace = Workspace.init(folder)
    clock = time.perf_counter()
    much.fill(workspace, runs, assets)
    print(f"  {runs} runs, {4 * runs} steps, {assets} assets, {3 * assets} versions: {time.perf_counter() - clock:.0f} s")
    clock = time.perf_counter()
    million.build(workspace, "million", rows)
    print(f"  a dataset of {rows} rows: {time.perf_counter() - clock:.0f} s", flush=True)
    (folder / "systems").mkdir()
    for name, binds in {"desk": "dataset/million", "helper": "prompt/asset-0002, dataset/asset-0006, model/asset-0004"}.items():
        (folder / "systems" / f"{name}.yaml").write_text(SYSTEM.format(binds=binds))


def addresses(folder: Path, runs: int, assets: int) -> dict[str, str]:
    """The pages that are measured."""
    run, asset = f"{runs // 2:032x}", f"/assets/dataset/asset-{(assets // 2) // 6 * 6:04}"
    return {
        "start": "/",
        "a system": "/systems/helper",
        "jobs": "/jobs",
        "a job": "/jobs/data",
        "runs": "/runs",
        "runs, failed": "/runs?state=failed",
        "runs, last page": f"/runs?number={max(runs // 50, 1)}",
        "a run": f"/runs/{run}",
        "assets": "/assets",
        "assets, searched": "/assets?search=99",
        "an asset": asset,
        "a version": f"{asset}/2",
        "a version, its signals": f"{asset}/2/signals",
        "findings": "/findings",
        "releases": "/releases",
        "a form": "/operations/data.build?dataset=million",
        "its plan": "/operations/data.build/plan?dataset=million",
        "the million": "/assets/dataset/million/1",
        "the million's rows": "/data/million/1/rows",
    }


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A server in a process of its own: its address, and the process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.showing.server", str(folder), str(port)])
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                httpx.get(address)
                break
            except httpx.TransportError:
                time.sleep(0.2)
        yield address, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def measure(address: str, server: psutil.Process, pages: dict[str, str]) -> bool:
    """Print a line for each page; returns whether all are as quick as they are to be."""
    print(f"\n  {'page':24} {'p50 ms':>8} {'p95 ms':>8} {'CPU ms':>8} {'kB':>7}")
    slow = []
    with httpx.Client(base_url=address, timeout=60) as client:
        for name, path in pages.items():
            answer = client.get(path)
            if answer.status_code != 200:
                print(f"  {name:24} {answer.status_code}")
                slow.append(name)
                continue
            took, before = [], _cpu(server)
            for _ in range(REQUESTS):
                clock = time.perf_counter()
                client.get(path)
                took.append(1000 * (time.perf_counter() - clock))
            cpu = 1000 * (_cpu(server) - before) / REQUESTS
            p95 = statistics.quantiles(took, n=20)[-1]
            mark = "" if p95 <= TARGET else f"  over {TARGET:.0f} ms"
            slow += [name] if mark else []
            print(
                f"  {name:24} {statistics.median(took):8.1f} {p95:8.1f} {cpu:8.1f} {len(answer.content) / 1000:7.1f}{mark}",
                flush=True,
            )
    print(f"  slower than {TARGET:.0f} ms: {', '.join(slow) or 'none'}")
    return not slow


def _cpu(server: psutil.Process) -> float:
    used = server.cpu_times()
    return float(used.user + used.system)


def main(runs: int, assets: int, rows: int) -> int:
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before it starts")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "workspace"
        prepare(folder, runs, assets, rows)
        with served(folder) as (address, server):
            good = measure(address, server, addresses(folder, runs, assets))
            if "--serve" in sys.argv:
                input(f"  {address} is open; press Enter to end ")
    return 0 if good else 1


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:] if not argument.startswith("--")]
    sys.exit(main(*given, *(10_000, 1_000, 1_000_000)[len(given) :]))
