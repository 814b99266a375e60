"""Watches whether this process or its workers speak to other machines while a demo runs.

Two ways, neither of them complete: Python's own sockets in this process, each attempt of them; and the open connections of
this process and those it started, looked at several times a second where the system has /proc. Says which were watched, and
tells the demo's own server on this machine from all else.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, Field

PAUSE: Final = 0.4  # seconds between two looks
ATTEMPTS: Final = ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname")
PROC: Final = Path("/proc")


class Watched(BaseModel):
    """What was seen of the network."""

    attempts: int = Field(description="connections and name look-ups that Python's sockets tried to another machine")
    connections: int = Field(description="open connections to other machines that were seen")
    looks: int = Field(description="how often open connections were looked at; 0 where the system has no /proc")
    own: int = Field(0, description="connections of Python's sockets to the demo's own server on this machine")
    local: int = Field(0, description="connections of Python's sockets to anything else on this machine")


@dataclass
class _Watch:
    attempts: int = 0
    looks: int = 0
    seen: set[str] = field(default_factory=set)
    ports: Counter[int] = field(default_factory=Counter)  # of this machine, with the number of connections


_active: list[_Watch] = []
_hooked = False


@contextmanager
def watching() -> Iterator[_Watch]:
    """Watch while the block runs; `result` says what was seen."""
    global _hooked
    if not _hooked:
        # A hook cannot be taken back, so there is one for all watches of the process.
        sys.addaudithook(_on_event)
        _hooked = True
    watch, over = _Watch(), threading.Event()

    def look() -> None:
        while True:
            with contextlib.suppress(OSError):
                watch.seen |= open_connections()
                watch.looks += 1
            if over.wait(PAUSE):
                return

    thread = threading.Thread(target=look, name="network watch", daemon=True)
    _active.append(watch)
    if (PROC / "net" / "tcp").exists():
        thread.start()
    try:
        yield watch
    finally:
        over.set()
        if thread.ident:
            thread.join()
        _active.remove(watch)


def result(watch: _Watch, port: int = 0) -> Watched:
    """What a watch has seen.

    Args:
        watch: as `watching` gives it.
        port: of the demo's own server.
    """
    own = watch.ports[port]
    return Watched(
        attempts=watch.attempts, connections=len(watch.seen), looks=watch.looks, own=own, local=watch.ports.total() - own
    )


def open_connections() -> set[str]:
    """The sockets of this process and of those it started that are connected to another machine.

    Raises:
        OSError: the system has no /proc/net.
    """
    outward: set[str] = set()
    for name in ("tcp", "tcp6", "udp", "udp6"):
        table = PROC / "net" / name
        for line in table.read_text().splitlines()[1:] if table.exists() or name == "tcp" else ():
            fields = line.split()
            if not local(decode_address(fields[2].partition(":")[0])):
                outward.add(f"socket:[{fields[9]}]")
    return outward & _own_sockets() if outward else set()


def decode_address(text: str) -> str:
    """An address as /proc/net/tcp writes it: groups of four bytes, each in the machine's order."""
    groups = [bytes.fromhex(text[start : start + 8]) for start in range(0, len(text), 8)]
    packed = b"".join(group[::-1] if sys.byteorder == "little" else group for group in groups)
    return str(ipaddress.ip_address(packed))


def local(host: Any) -> bool:
    """Whether an address or name is this machine, or nobody."""
    if not host or host in ("localhost", b"localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host)
    except (ValueError, UnicodeDecodeError):
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified)


def _own_sockets() -> set[str]:
    own = {os.getpid()}
    parents: dict[int, int] = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    while more := {child for child, parent in parents.items() if parent in own} - own:
        own |= more
    found: set[str] = set()
    for process in own:
        with contextlib.suppress(OSError):
            for link in (PROC / str(process) / "fd").iterdir():
                with contextlib.suppress(OSError):
                    found.add(str(link.readlink()))
    return found


def _on_event(event: str, arguments: tuple[Any, ...]) -> None:
    if not _active or event not in ATTEMPTS:
        return
    # The address is the last argument of a socket's events, the host the first of a look-up's.
    looked_up = event in ("socket.getaddrinfo", "socket.gethostbyname")
    address = arguments[0] if looked_up else arguments[-1]
    host = address[0] if isinstance(address, tuple) else address if looked_up else None
    inward = event == "socket.connect" and isinstance(address, tuple) and len(address) > 1
    for watch in _active:
        if not local(host):
            watch.attempts += 1
        elif inward:
            watch.ports[address[1]] += 1
