"""How fast one endpoint is asked: so many requests and tokens a minute, so many at once, and none while it wants quiet.

Clients of this process that ask the same endpoint share the rates, since the endpoint counts them together. Knows times and
amounts, not what is asked.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable

from stellwerk.llm.spec import Limits

BURST = 1.0  # seconds' worth that may go out at once after a pause
_shared: dict[tuple[str, str], Rates] = {}
_lock = threading.Lock()


class Bucket:
    """A token bucket that hands out places in time: whoever takes from it is told how long to wait.

    What is taken may exceed what the bucket holds; it is then in debt, and the next one waits until that is paid.
    """

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Make a full bucket.

        Args:
            per_minute: units that flow in, in a minute.
            clock: seconds, never going back.
        """
        self._rate = per_minute / 60
        self._most = max(1.0, self._rate * BURST)
        self._level = self._most
        self._clock = clock
        self._at = clock()

    def take(self, amount: float) -> float:
        """Take units now; returns seconds to wait before they may be used."""
        self._flow()
        missing = min(amount, self._most) - self._level
        self._level -= amount
        return max(0.0, missing / self._rate)

    def give(self, amount: float) -> None:
        """Put back units that were taken and not used; a negative amount takes further ones that were."""
        self._flow()
        self._level = min(self._most, self._level + amount)

    def _flow(self) -> None:
        now = self._clock()
        self._level = min(self._most, self._level + (now - self._at) * self._rate)
        self._at = now


class Rates:
    """The rates of one endpoint; used by several event loops at the same time."""

    def __init__(self, requests: float | None, tokens: float | None) -> None:
        self._lock = threading.Lock()
        self._requests = Bucket(requests) if requests else None
        self._tokens = Bucket(tokens) if tokens else None
        self._quiet_until = -math.inf

    @property
    def bounded(self) -> bool:
        """Whether there is any rate to keep."""
        return self._requests is not None or self._tokens is not None

    def quiet(self, seconds: float) -> None:
        """Let nobody ask for a while: the endpoint said that it is asked too often."""
        with self._lock:
            self._quiet_until = max(self._quiet_until, time.monotonic() + seconds)

    async def admit(self, tokens: float) -> None:
        """Wait until a request of about so many tokens may go out."""
        if self.bounded:
            await self._in_turn(tokens)
        while (wait := self._quiet_until - time.monotonic()) > 0:
            await asyncio.sleep(wait)

    def settle(self, expected: float, used: float) -> None:
        """Correct what was taken for a request by the tokens that it used."""
        if self._tokens is not None and expected != used:
            with self._lock:
                self._tokens.give(expected - used)

    async def _in_turn(self, tokens: float) -> None:
        with self._lock:
            wait = self._requests.take(1) if self._requests else 0.0
            wait = max(wait, self._tokens.take(tokens) if self._tokens else 0.0)
        try:
            await asyncio.sleep(wait)
        except asyncio.CancelledError:
            with self._lock:
                if self._requests:
                    self._requests.give(1)
                if self._tokens:
                    self._tokens.give(tokens)
            raise


def rates(endpoint: str, model: str, limits: Limits) -> Rates:
    """The rates of an endpoint's model, one for all who ask it in this process.

    Args:
        endpoint: its address.
        model: the id under which the endpoint knows it.
        limits: as its file says; other numbers than before begin anew.
    """
    numbers = (limits.requests_per_minute, limits.tokens_per_minute)
    key = (endpoint, f"{model}\0{numbers}")
    with _lock:
        return _shared.setdefault(key, Rates(*numbers))
