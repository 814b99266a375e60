"""The process that works on one queued run, so that memory is given back and a crash hurts nobody else.

Started by a worker that holds the run's lease, and ends with it. Its exit code says whether the run, or only this process, is
at its end.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from stellwerk.engine.ending import end_with

if TYPE_CHECKING:
    from stellwerk.runs.queue import Taken
    from stellwerk.workspace import Workspace

SETTLED = 0  # the run has ended and is out of the queue, or waits there again
LEFT = 75  # the run is not at its end, through no fault of its own: the record was away, or another process has it


def attend(workspace: Workspace, taken: Taken, called_back: Callable[[], bool]) -> int:
    """Execute a run, tell of its end, and take it out of the queue.

    Returns:
        SETTLED or LEFT.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from stellwerk.record import leases

    try:
        _execute(workspace, taken, called_back)
        if _state(workspace, taken.run) == "queued":
            leases.release(workspace.record.database, taken.run, taken.token)
            return SETTLED
        _settle(workspace, taken)
    except (leases.LeaseLost, SQLAlchemyError):
        return LEFT
    return SETTLED


def _execute(workspace: Workspace, taken: Taken, called_back: Callable[[], bool]) -> None:
    """Work on the run if it has not ended; afterwards it has, or waits again."""
    from sqlalchemy.exc import SQLAlchemyError

    from stellwerk.errors import StellwerkError, where
    from stellwerk.operation import find
    from stellwerk.record import leases, tables
    from stellwerk.run import Interrupted
    from stellwerk.runs import execution, queue

    row = workspace.record.rows(tables.run, tables.run.c.id == taken.run)[0]
    if row["state"] in execution.ENDED:
        return
    try:
        operation = find(row["operation"])
        values = operation.validate(row["parameters"])
        execution.execute_held(workspace, taken.run, taken.token, operation, values, called_back=called_back)
    except (leases.LeaseLost, SQLAlchemyError):
        raise
    except Interrupted:
        return
    except Exception as error:  # noqa: BLE001 - the record says it, and whoever is told
        if _state(workspace, taken.run) not in execution.ENDED:
            queue.fail(workspace, taken, str(error) if isinstance(error, StellwerkError) else where(error))


def _settle(workspace: Workspace, taken: Taken) -> None:
    """Tell of the end of a run, then take it out of the queue: whoever should know is told at least once."""
    from stellwerk.record import leases
    from stellwerk.runs import notify, queue

    def keep() -> None:
        if not leases.renew(workspace.record.database, taken.run, taken.token):
            raise leases.LeaseLost(f"run {taken.run[:8]} was taken over by another process")

    notify.tell(workspace, taken.run, keep)
    queue.finish(workspace, taken)


def _state(workspace: Workspace, run: str) -> str:
    from stellwerk.record import tables

    return str(workspace.record.rows(tables.run, tables.run.c.id == run)[0]["state"])


def main() -> int:
    """Attend the run that the arguments name: folder, run, token, attempt, and the process of the worker."""
    wanted_back: list[bool] = []
    signal.signal(signal.SIGTERM, lambda *_: wanted_back.append(True))
    # A shell without job control has its background processes ignore the interrupt, by which a run is stopped here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder, run, token, attempt, worker = sys.argv[1:]
    end_with(int(worker))
    from stellwerk.runs import log
    from stellwerk.runs.queue import Taken
    from stellwerk.workspace import Workspace

    log.to(os.fdopen(os.dup(sys.stderr.fileno()), "w"))
    if not os.environ.get("STELLWERK_DEBUG"):
        # What a library prints may quote the data.
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nothing, stream.fileno())
    workspace = Workspace(Path(folder))
    code = attend(workspace, Taken(run, "", int(token), int(attempt)), lambda: bool(wanted_back))
    logging.shutdown()
    return code


if __name__ == "__main__":
    sys.exit(main())
