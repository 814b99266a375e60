"""How often somebody may try a password: each failure doubles the wait, for the account and for the address that it came from.

In memory and bounded. The account's wait stays short and does not hold for an address from which its owner logged in before,
so that nobody is locked out by another one's attempts.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

FREE = 5  # attempts before the first wait
FORGOTTEN = 3600.0  # seconds after the last attempt
LONGEST_OF_ADDRESS, LONGEST_OF_ACCOUNT = 900.0, 60.0  # seconds to wait at most
ENTRIES = 10_000


@dataclass
class _Tries:
    count: int
    last: float


class Throttle:
    """Counts failed logins; one for each process that serves."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tries: OrderedDict[tuple[str, str], _Tries] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def attempt(self, account: str, address: str) -> float:
        """Count an attempt before it is known how it ends, so that many at once are counted too.

        Returns:
            Seconds to wait, and then nothing was counted; 0 where the attempt may be made.
        """
        address, now = network(address), self._clock()
        with self._lock:
            keys = [("address", address)]
            if (account, address) not in self._known:
                keys.append(("account", account))
            wait = max(self._wait(key, now) for key in keys)
            if wait <= 0:
                for key in keys:
                    self._count(key, now)
            return max(0.0, wait)

    def succeeded(self, account: str, address: str) -> None:
        """Take the attempt back, for it was the right password; the failures before it from this address stay counted."""
        address = network(address)
        with self._lock:
            self._tries.pop(("account", account), None)
            if tries := self._tries.get(("address", address)):
                tries.count -= 1
            self._known[account, address] = None
            self._known.move_to_end((account, address))
            if len(self._known) > ENTRIES:
                self._known.popitem(last=False)

    def _wait(self, key: tuple[str, str], now: float) -> float:
        tries = self._tries.get(key)
        if tries is None or tries.count < FREE or now - tries.last > FORGOTTEN:
            return 0.0
        longest = LONGEST_OF_ADDRESS if key[0] == "address" else LONGEST_OF_ACCOUNT
        return tries.last + min(2.0 ** min(tries.count - FREE, 20), longest) - now

    def _count(self, key: tuple[str, str], now: float) -> None:
        tries = self._tries.get(key)
        count = 1 if tries is None or now - tries.last > FORGOTTEN else tries.count + 1
        self._tries[key] = _Tries(count, now)
        self._tries.move_to_end(key)
        if len(self._tries) > ENTRIES:
            self._tries.popitem(last=False)


def network(address: str) -> str:
    """What one caller holds of the address space: an IPv4 address, or 64 bits of IPv6."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((int(found) >> 64 << 64, 64)))
