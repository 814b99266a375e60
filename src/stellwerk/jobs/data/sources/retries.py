"""Waiting and trying again: how long after which failure, at most how often, and never deaf to being stopped.

It knows times, not what is asked for.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from stellwerk import waiting

LONGEST_BACK_OFF = 60.0
LONGEST_RETRY_AFTER = 600.0  # a server that asks for more is asked again after so long
SLICE = 0.1  # seconds between two looks whether the run was stopped

Check = Callable[[], None]
Result = TypeVar("Result")


class Abandoned(Exception):
    """Nobody waits for the answer any more."""


class TooSlow(Exception):
    """An answer did not come in time."""


def pause(seconds: float, check: Check) -> None:
    """Wait, and see all the while whether to go on.

    Args:
        seconds: how long; none if not above 0.
        check: raises where the run was stopped.
    """
    end = time.monotonic() + seconds
    check()
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(SLICE, left))
        check()


def back_off(attempt: int) -> float:
    """Seconds to wait after a failed attempt, 0 after the first failure."""
    return waiting.back_off(attempt, LONGEST_BACK_OFF)


def retry_after(header: str | None) -> float | None:
    """Seconds that a server asks to wait, at most 600; None where it does not say."""
    return waiting.asked(header, longest=LONGEST_RETRY_AFTER)


class Pace:
    """Keeps requests at least so far apart."""

    def __init__(self, per_second: float | None) -> None:
        self._gap = 1 / per_second if per_second else 0.0
        self._next = 0.0

    def wait(self, check: Check) -> None:
        """Wait until the next request may go out."""
        pause(self._next - time.monotonic(), check)
        self._next = time.monotonic() + self._gap


def within(seconds: float, work: Callable[[Check], Result], check: Check) -> Result:
    """Do work that may hang in the network, on a thread of its own, so that it can be given up at any moment.

    Args:
        seconds: how long it may take as a whole.
        work: is handed a function to call between its parts, which raises `Abandoned` once nobody waits any more.
        check: raises where the run was stopped; it is called on this thread all the while.

    Raises:
        TooSlow: it took longer.
    """
    results: queue.SimpleQueue[tuple[Result | None, BaseException | None]] = queue.SimpleQueue()
    over = threading.Event()

    def going_on() -> None:
        if over.is_set():
            raise Abandoned

    def target() -> None:
        try:
            results.put((work(going_on), None))
        except BaseException as error:  # noqa: BLE001 - it is raised again by whoever waits
            results.put((None, error))

    threading.Thread(target=target, name="fetch", daemon=True).start()
    end = time.monotonic() + seconds
    try:
        while True:
            check()
            try:
                result, error = results.get(timeout=max(0.0, min(SLICE, end - time.monotonic())))
            except queue.Empty:
                if time.monotonic() >= end:
                    raise TooSlow from None
                continue
            if error is not None:
                raise error
            return result  # type: ignore[return-value]
    finally:
        over.set()
