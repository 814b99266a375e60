"""A worker process beside a server, so that what is queued is worked on; it ends with the server, however that ends.

Knows starting and ending it. What it works on and how, `runs/worker.py` knows.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stellwerk.engine.ending import end_with

WAIT = 10.0  # seconds for the runs at work to stop in order; what is killed then is taken again by another worker


@contextmanager
def worker(folder: Path) -> Iterator[None]:
    """Have a worker at work on a workspace's queue for as long as this process is in the block.

    Args:
        folder: of the workspace.
    """
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-P", "-m", __name__, str(folder.absolute()), str(os.getpid())],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        # In a session of its own, so that Ctrl-C reaches the server alone, which then ends its worker.
        start_new_session=True,
    )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(WAIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main() -> None:
    """Work on the queue of the folder that the arguments name, for as long as the server that they name is there."""
    folder, server = Path(sys.argv[1]), int(sys.argv[2])
    concurrency = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    end_with(server, lambda: os.kill(os.getpid(), signal.SIGTERM))  # in order, as Ctrl-C would
    from stellwerk.record import leases
    from stellwerk.runs import log
    from stellwerk.runs.worker import Worker
    from stellwerk.workspace import Workspace

    leases.configured()
    log.to(sys.stderr)
    Worker(Workspace(folder), concurrency).work()


if __name__ == "__main__":
    main()
