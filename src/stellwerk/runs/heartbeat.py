"""The heartbeat of a run: keeps its lease, and watches for what should stop it, on a thread of its own.

Knows why a run stops (cancelled, called back by its worker, taken over, budget spent). What then becomes of it is told
elsewhere.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sqlalchemy.exc import SQLAlchemyError

from stellwerk.record import leases, tables
from stellwerk.run import Run

BEAT = 0.5  # seconds


@contextmanager
def heartbeat(run: Run, called_back: Callable[[], bool]) -> Iterator[None]:
    """Watch over a run while its operation works.

    Args:
        run: its `stopped` is set when it should stop; an interrupt reaches a main thread that is deep in the engine.
        called_back: whether the worker wants the run back.
    """
    over = threading.Event()
    main = threading.get_ident() if threading.current_thread() is threading.main_thread() else None

    def beat() -> None:
        renewed = time.monotonic()
        while not over.wait(BEAT):
            if called_back():
                run.stopped = run.stopped or "returned"
            if run.spent():
                run.stopped = run.stopped or "budget"
            # A record that cannot be reached now may be in a moment; without it nothing is committed anyway.
            with suppress(SQLAlchemyError):
                if run.record.rows(tables.run, tables.run.c.id == run.id)[0]["state"] == "cancelling":
                    run.stopped = "cancelled"
                if time.monotonic() - renewed > leases.SECONDS / 3:
                    if not run.keep_lease():
                        run.stopped = "lost"
                    renewed = time.monotonic()
            # Other threads than the main one ask `check`.
            while run.stopped and main is not None:
                signal.pthread_kill(main, signal.SIGINT)
                if over.wait(15):
                    return

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
