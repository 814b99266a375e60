"""The command that works on the queue of a workspace."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stellwerk.errors import UserError
from stellwerk.workspace import Workspace


def worker(
    *,
    concurrency: Annotated[int, Parameter(["--concurrency", "-c"])] = 1,
    once: Annotated[bool, Parameter(negative=())] = False,
    workspace: Annotated[Path | None, Parameter(["--workspace", "-w"])] = None,
) -> int:
    """Work on queued runs, and submit what schedules are due for, until it is told to end.

    The first Ctrl-C or SIGTERM lets the runs at work stop in order and wait in the queue again; the second ends them at once.

    Args:
        concurrency: how many runs to work on at a time.
        once: end when no run waits and no schedule is due, for cron, CI and Kubernetes jobs.
        workspace: the folder of the workspace.
    """
    from stellwerk.record import leases
    from stellwerk.runs import log
    from stellwerk.runs.worker import Worker

    if concurrency < 1:
        raise UserError(f"--concurrency is {concurrency}, expected 1 or more")
    leases.configured()
    folder = Workspace(workspace) if workspace else Workspace.find()
    log.to(sys.stderr)
    Worker(folder, concurrency).work(once=once)
    return 0
