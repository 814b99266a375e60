"""Real database servers for tests: on loopback, in a temporary folder, on a free port, ended with the test process.

Knows where Debian puts the programs and how they are set up without a password. A test is skipped where they are absent.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import pytest

PATIENCE = 60  # seconds until a server must answer; the machine may be busy
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def free_port() -> int:
    """A port of loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """What the servers share: a folder, a port, a process that dies with this one."""

    program: str
    account: str  # to run under where this process is root, which the servers refuse
    dying: int  # the signal that ends the server at once
    port: int

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.folder: Path | None = None

    def url(self, database: str | None = None) -> str:
        """The address of a database of this server, for SQLAlchemy."""
        raise NotImplementedError

    def create_database(self, name: str) -> str:
        """Make an empty database; its address."""
        self.execute(f"CREATE DATABASE {self.quoted(name)}")
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database, if it is there."""
        self.execute(f"DROP DATABASE IF EXISTS {self.quoted(name)}")

    def start(self) -> Self:
        """Make the folder, start the server and wait until it answers; skips the test where it is not installed."""
        found = self.binary(self.program)
        self.folder = Path(tempfile.mkdtemp(prefix=f"stellwerk-{self.program}-", dir="/tmp"))
        user = self._user()
        if user:
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        try:
            self.prepare(self.folder / "data")
            for _ in range(3):  # another process may take the port in between
                self.port = free_port()
                if self._begin([found, *self.options(self.folder / "data")]):
                    return self
            raise RuntimeError(f"{self.program} does not start:\n{self.log()}")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server and remove its folder."""
        if self.process is not None:
            self.process.send_signal(self.dying)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def binary(self, name: str) -> str:
        """The path of a program, newest version first."""
        newest = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
        places = [*newest, Path("/usr/sbin", name), Path("/usr/bin", name)]
        found = next((str(place) for place in places if os.access(place, os.X_OK)), None) or shutil.which(name)
        if found is None:
            pytest.skip(f"{name} is not installed (Debian: apt install postgresql mariadb-server)")
        return found

    def prepare(self, data: Path) -> None:
        """Fill the folder of the server's data."""
        raise NotImplementedError

    def options(self, data: Path) -> list[str]:
        """The arguments of the server."""
        raise NotImplementedError

    def execute(self, sql: str) -> None:
        """Run one statement outside a transaction."""
        raise NotImplementedError

    def quoted(self, name: str) -> str:
        """A name as it stands in SQL."""
        raise NotImplementedError

    def log(self) -> str:
        """What the server said."""
        path = self.folder / "log" if self.folder else None
        return path.read_text(errors="replace")[-3000:] if path and path.exists() else ""

    def call(self, *command: str) -> None:
        """Run a program under the server's account."""
        done = subprocess.run(command, capture_output=True, cwd=self.folder, **self._account())
        if done.returncode:
            raise RuntimeError(f"{command[0]}: {(done.stdout + done.stderr).decode(errors='replace')[-3000:]}")

    def _begin(self, command: list[str]) -> bool:
        """Start the server; whether it answers, or has ended."""
        assert self.folder
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, preexec_fn=self._dies_with(os.getpid()), **self._account()
            )
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            with contextlib.suppress(Exception):
                self.execute("SELECT 1")
                if self.process.poll() is None:
                    return True
            if time.monotonic() > end:
                raise RuntimeError(f"{self.program} does not answer after {PATIENCE} s:\n{self.log()}")
            time.sleep(0.05)
        self.process = None
        return False

    def _dies_with(self, parent: int) -> Callable[[], None]:
        """Runs in the child after it changed its account (which would clear the wish): end when the parent's thread ends."""
        dying = self.dying

        def ask() -> None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, dying)
            if os.getppid() != parent:
                os._exit(1)

        return ask

    def _user(self) -> pwd.struct_passwd | None:
        if os.geteuid() != 0:
            return None
        for name in (self.account, "nobody"):
            with contextlib.suppress(KeyError):
                return pwd.getpwnam(name)
        return None

    def _account(self) -> dict[str, Any]:
        user = self._user()
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "HOME": str(self.folder)}
        who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
        return {"env": environment, **who}


class PostgreSQL(Server):
    """A PostgreSQL server; user postgres, no password, database postgres."""

    program = "postgres"
    account = "postgres"
    dying = signal.SIGQUIT  # ends all its processes at once and gives its shared memory back

    def url(self, database: str | None = None) -> str:
        """The address of a database of this server, for SQLAlchemy."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{quote(database or 'postgres')}"

    def prepare(self, data: Path) -> None:
        """Fill the folder of the server's data."""
        self.call(self.binary("initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8",
                  "--locale=C.UTF-8", "--no-sync")  # fmt: skip

    def options(self, data: Path) -> list[str]:
        """The arguments of the server."""
        settings = ["listen_addresses=127.0.0.1", f"port={self.port}", "unix_socket_directories=", "fsync=off",
                    "full_page_writes=off", "synchronous_commit=off", "shared_buffers=32MB", "jit=off"]  # fmt: skip
        return ["-D", str(data), *(part for setting in settings for part in ("-c", setting))]

    def execute(self, sql: str) -> None:
        """Run one statement outside a transaction."""
        import psycopg

        with psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", dbname="postgres", autocommit=True, connect_timeout=5
        ) as connection:
            connection.execute(sql)  # type: ignore[call-overload]

    def drop_database(self, name: str) -> None:
        """Remove a database, if it is there, and whoever is connected to it."""
        self.execute(f"DROP DATABASE IF EXISTS {self.quoted(name)} WITH (FORCE)")

    def quoted(self, name: str) -> str:
        """A name as it stands in SQL."""
        return '"' + name.replace('"', '""') + '"'


class MariaDB(Server):
    """A MariaDB server; user root, no password, database test."""

    program = "mariadbd"
    account = "mysql"
    dying = signal.SIGKILL

    def url(self, database: str | None = None) -> str:
        """The address of a database of this server, for SQLAlchemy."""
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/{quote(database or 'test')}?charset=utf8mb4"

    def prepare(self, data: Path) -> None:
        """Fill the folder of the server's data."""
        self.call(self.binary("mariadb-install-db"), "--no-defaults", f"--datadir={data}", "--skip-log-bin",
                  "--auth-root-authentication-method=normal", "--innodb-log-file-size=8M")  # fmt: skip

    def options(self, data: Path) -> list[str]:
        """The arguments of the server."""
        account = self._user()
        return ["--no-defaults", f"--datadir={data}", f"--port={self.port}", "--bind-address=127.0.0.1", "--skip-name-resolve",
                f"--socket={data.parent / 'socket'}", f"--pid-file={data.parent / 'pid'}", "--character-set-server=utf8mb4",
                "--skip-log-bin", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=64M",
                "--innodb-log-file-size=8M", "--innodb-flush-method=nosync", "--max-allowed-packet=256M",
                *([f"--user={account.pw_name}"] if account else [])]  # fmt: skip

    def execute(self, sql: str) -> None:
        """Run one statement outside a transaction."""
        import pymysql

        with pymysql.connect(host="127.0.0.1", port=self.port, user="root", connect_timeout=5, autocommit=True) as connection:
            connection.cursor().execute(sql)

    def quoted(self, name: str) -> str:
        """A name as it stands in SQL."""
        return "`" + name.replace("`", "``") + "`"
