"""Leases: at most one process works on a run, and one that lost its lease can no longer commit.

A lease has an expiry that its holder pushes ahead (heartbeat) and a token that grows with each change of hands (fencing):
a paused process that wakes up late finds a newer token and stops before it writes.
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from sqlalchemy import Connection, select

from stellwerk.errors import StellwerkError
from stellwerk.record import tables
from stellwerk.record.database import Database

SECONDS = 30.0


class LeaseLost(StellwerkError):
    """Another process has taken the run over."""


def claim(database: Database, key: str, seconds: float = SECONDS) -> int | None:
    """Take the lease if it is free, expired, or its holder on this machine is dead.

    Returns:
        The fencing token, or None while another process holds the lease.
    """
    with database.writing() as connection:
        row = connection.execute(select(tables.lease).where(tables.lease.c.id == key)).one_or_none()
        values = {"holder": _holder(os.getpid()), "expires": time.time() + seconds}
        if row is None:
            connection.execute(tables.lease.insert(), {"id": key, "token": 1, **values})
            return 1
        if row.expires > time.time() and not _dead(row.holder):
            return None
        connection.execute(tables.lease.update().where(tables.lease.c.id == key).values(token=row.token + 1, **values))
        return int(row.token) + 1


def renew(database: Database, key: str, token: int, seconds: float = SECONDS) -> bool:
    """Push the expiry ahead; False when the lease has changed hands."""
    with database.engine.connect().execution_options(writes=True) as connection, connection.begin():
        lease = tables.lease
        statement = lease.update().where(lease.c.id == key, lease.c.token == token)
        return connection.execute(statement.values(expires=time.time() + seconds)).rowcount == 1


def check(connection: Connection, key: str, token: int) -> None:
    """Fence a commit: raise LeaseLost unless the token is still the newest."""
    current = connection.execute(select(tables.lease.c.token).where(tables.lease.c.id == key)).scalar()
    if current != token:
        raise LeaseLost(f"run {key[:8]} was taken over by another process; nothing more was written by this one")


def release(database: Database, key: str, token: int) -> None:
    """Let the lease expire now; the token stays, so that a late holder is still fenced off."""
    renew(database, key, token, seconds=-1.0)


def held(database: Database, key: str) -> bool:
    """Whether a living process works on the run."""
    with database.reading() as connection:
        return is_held(connection, key)


def is_held(connection: Connection, key: str) -> bool:
    """Whether a living process works on the run, as a transaction sees it."""
    row = connection.execute(select(tables.lease).where(tables.lease.c.id == key)).one_or_none()
    return row is not None and row.expires > time.time() and not _dead(row.holder)


def _holder(pid: int) -> str:
    return f"{socket.gethostname()} {_boot()} {pid} {_started(pid)}"


def _dead(holder: str) -> bool:
    """True only where it is certain: same machine, same boot, and no such process any more."""
    host, boot, pid, started = holder.split(" ")
    if (host, boot) != (socket.gethostname(), _boot()):
        return False
    return _started(int(pid)) != started


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "-"


def _started(pid: int) -> str:
    """The start time of a process in clock ticks, which tells it from a later one with the same number."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "zombie" if fields[0] == "Z" else fields[19]
    except OSError:
        return "none"
