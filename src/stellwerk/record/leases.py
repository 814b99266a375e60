"""Leases: at most one process works on a run, and one that lost its lease can no longer commit.

A lease has an expiry that its holder pushes ahead (heartbeat) and a token that grows with each change of hands (fencing):
a paused process that wakes up late finds a newer token and stops before it writes. Expiry is told by the database's clock where
it has one, so that the clocks of several machines need not agree.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, extract, func, select
from sqlalchemy.exc import InterfaceError, OperationalError

from stellwerk.errors import StellwerkError, UserError
from stellwerk.record import connecting, tables
from stellwerk.record.database import Database

USUAL = 30.0


def configured() -> float:
    """How many seconds a lease lasts without a heartbeat; STELLWERK_LEASE_SECONDS changes it, on all machines alike.

    Raises:
        UserError: the variable is no such number.
    """
    given = os.environ.get("STELLWERK_LEASE_SECONDS", str(USUAL))
    seconds = float(given) if given.replace(".", "", 1).isdecimal() else 0.0
    if not 1 <= seconds <= 86400:
        raise UserError(f"STELLWERK_LEASE_SECONDS is {given[:20]!r}, expected seconds from 1 to 86400; unset it for {USUAL:g}")
    return seconds


def _seconds() -> float:
    """A wrong value is told where it matters, by a worker; it must not keep everything else from starting."""
    try:
        return configured()
    except UserError:
        return USUAL


SECONDS = _seconds()


class LeaseLost(StellwerkError):
    """Another process has taken the run over."""


def claim(database: Database, key: str, seconds: float = SECONDS) -> int | None:
    """Take the lease if it is free, expired, or its holder on this machine is dead.

    Returns:
        The fencing token, or None while another process holds the lease.
    """
    with database.writing() as connection:
        return take(connection, key, seconds)


def take(connection: Connection, key: str, seconds: float) -> int | None:
    """Take the lease within a transaction that holds the head of the journal; None while another process holds it."""
    lease, clock = tables.lease, moment(connection)
    row = connection.execute(select(lease).where(lease.c.id == key).with_for_update()).one_or_none()
    values = {"holder": holder(), "expires": clock + seconds}
    if row is None:
        connection.execute(lease.insert(), {"id": key, "token": 1, **values})
        return 1
    if row.expires > clock and not dead(row.holder):
        return None
    connection.execute(lease.update().where(lease.c.id == key).values(token=row.token + 1, **values))
    return int(row.token) + 1


def renew(database: Database, key: str, token: int, seconds: float = SECONDS) -> bool:
    """Push the expiry ahead; False when the lease has changed hands."""
    with database.engine.connect().execution_options(writes=True) as connection, connection.begin():
        lease = tables.lease
        statement = lease.update().where(lease.c.id == key, lease.c.token == token)
        return connection.execute(statement.values(expires=moment(connection) + seconds)).rowcount == 1


@contextmanager
def fenced(database: Database, key: str, token: int) -> Iterator[Connection]:
    """A short transaction of the lease's holder on tables of the moment, which needs no place in the journal.

    Raises:
        LeaseLost: another process has the lease now; nothing is written.
    """
    try:
        with database.engine.connect().execution_options(writes=True) as connection, connection.begin():
            check(connection, key, token)
            yield connection
    except (OperationalError, InterfaceError) as error:
        raise connecting.sentence(error, database.place) from None


def check(connection: Connection, key: str, token: int) -> None:
    """Fence a commit: raise LeaseLost unless the token is still the newest; until the end of the transaction it stays so."""
    query = select(tables.lease.c.token).where(tables.lease.c.id == key).with_for_update(read=True)
    if connection.execute(query).scalar() != token:
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
    return row is not None and row.expires > moment(connection) and not dead(row.holder)


def living(connection: Connection) -> set[str]:
    """The runs that living processes work on, as a transaction sees it."""
    query = select(tables.lease.c.id, tables.lease.c.holder).where(tables.lease.c.expires > moment(connection))
    rows = connection.execute(query).all()
    gone = {holder for holder in {row.holder for row in rows} if dead(holder)}
    return {row.id for row in rows if row.holder not in gone}


def moment(connection: Connection) -> float:
    """Seconds since 1970 by the clock that all holders share: the database's; those of a SQLite file share a machine."""
    if connection.dialect.name == "postgresql":
        return float(connection.execute(select(extract("epoch", func.clock_timestamp()))).scalar_one())
    return time.time()


def holder() -> str:
    """This process, as other processes can tell whether it lives: host, boot, process, start of the process."""
    return f"{socket.gethostname()} {_boot()} {os.getpid()} {_started(os.getpid())}"


def dead(holder: str) -> bool:
    """True only where it is certain: same machine, same boot, and no such process any more; a stopped one is not dead."""
    host, boot, pid, started = holder.split(" ")
    if (host, boot) != (socket.gethostname(), _boot()):
        return False
    return _started(int(pid)) != started


def _boot() -> str:
    try:
        # Two containers of one machine may share its name; their process numbers are apart.
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return "-"


def _started(pid: int) -> str:
    """The start time of a process in clock ticks, which tells it from a later one with the same number."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "zombie" if fields[0] == "Z" else fields[19]
    except OSError:
        return "none"
