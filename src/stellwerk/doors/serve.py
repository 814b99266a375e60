"""The command that serves pages, REST and MCP, with a worker beside it that does what they start.

Knows address, signals and the two processes' ends: the server lets its listeners go and finishes what it answers, the worker
lets its runs stop in order. What is served, `web/app.py` puts together.
"""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import logging
import os
import signal
import socket
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from cyclopts import Parameter

from stellwerk.errors import UserError
from stellwerk.workspace import Workspace

PORT = 8320
LAST = 65535
PATIENCE = 8.0  # seconds for the worker's runs to stop in order; what is killed then can be gone on with
STEADY = 60.0  # seconds after which a worker that lived so long is started again at once
log = logging.getLogger("stellwerk.serve")
Flag = Parameter(negative=())


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    name: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    certificate: Path | None = None,
    key: Path | None = None,
    behind_proxy: Annotated[bool, Flag] = False,
    login: Annotated[bool, Flag] = False,
    workers: int = 1,
    no_worker: Annotated[bool, Flag] = False,
    open_: Annotated[bool, Parameter("--open", negative=())] = False,
    workspace: Annotated[Path | None, Parameter(["--workspace", "-w"])] = None,
) -> int:
    """Serve the pages, REST and MCP, with a worker for the runs that they start, until it is told to end.

    On this machine's own address it serves you alone, without a login. Any other address asks callers for a token or a login.

    Args:
        host: the address to listen on.
        port: the port to listen on; 0 takes a free one.
        name: a further name by which browsers reach it; may be given several times.
        certificate: file of a TLS certificate, in PEM.
        key: file of its key.
        behind_proxy: a server in front of this one ends TLS.
        login: ask for a login on this machine's own address too.
        workers: how many runs to work on at a time.
        no_worker: start no worker; another one works on the queue, or nobody does.
        open_: open the start page in the browser.
        workspace: the folder of the workspace.
    """
    from stellwerk.doors.binding import policy_for, server_options
    from stellwerk.doors.files import ENVELOPE
    from stellwerk.doors.web.app import build
    from stellwerk.record import leases
    from stellwerk.runs import log as logs
    from stellwerk.runs.exchange import UPLOAD_BYTES

    if workers < 1:
        raise UserError(f"--workers is {workers}, expected 1 or more; to have none, give --no-worker")
    leases.configured()
    folder = Workspace(workspace) if workspace else Workspace.find()
    folder.store.sweep()
    with listen(host, port) as listening:
        taken = int(listening.getsockname()[1])
        policy = policy_for(
            folder, host, taken, names=name, certificate=certificate, key=key, behind_proxy=behind_proxy, login=login
        )
        policy = dataclasses.replace(policy, upload=UPLOAD_BYTES + ENVELOPE)
        logs.to(sys.stderr)
        address = f"{'https' if certificate else 'http'}://{f'[{host}]' if ':' in host else host}:{taken}"
        options: dict[str, Any] = {**server_options(policy), "log_config": None, "lifespan": "on"}
        worker = None if no_worker else Companion(folder.root, workers)
        server = Server(uvicorn.Config(build(folder, policy), **options), address, worker, show=open_)
        asyncio.run(server.run_all(listening))
    return 0


@contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """A socket at an address.

    Raises:
        UserError: the port is taken, or the address is not one of this machine.
    """
    if not 0 <= port <= LAST:
        raise UserError(f"--port is {port}, expected 0 to {LAST}")
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError:
        raise UserError(f"--host is {host!r}, which is no address or name known here; give one such as 127.0.0.1") from None
    with socket.socket(family, kind, protocol) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(place)
            # Two servers may bind a port as long as neither listens.
            listening.listen()
        except OSError as error:
            raise UserError(_why_not(host, port, error)) from None
        listening.setblocking(False)
        yield listening


class Server(uvicorn.Server):
    """The server, which says where it listens, and ends with its worker."""

    def __init__(self, config: uvicorn.Config, address: str, worker: Companion | None, *, show: bool) -> None:
        super().__init__(config)
        self._address = address
        self._worker = worker
        self._show = show

    async def run_all(self, listening: socket.socket) -> None:
        """Serve until a signal; the worker has ended when this returns."""
        worker = asyncio.create_task(self._worker.keep()) if self._worker else None
        try:
            await self.serve(sockets=[listening])
        finally:
            if self._worker and worker:
                await self._worker.end()
                await worker

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin, and say so."""
        await super().startup(sockets)
        if self.should_exit:
            return
        print(f"Stellwerk serves {self._address}  (end it with Ctrl-C)", flush=True)
        if self._show:
            await asyncio.to_thread(webbrowser.open, self._address)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Have the worker end, let go who listens to runs, and finish what is being answered."""
        from stellwerk.doors import events

        if self._worker:
            self._worker.ask_to_end()
        events.end_all()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Listen to signals; raised again afterwards, as uvicorn does, they would not let the worker end."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Companion:
    """A worker process that is started again when it dies, and ends with the server, however that ends."""

    def __init__(self, folder: Path, concurrency: int) -> None:
        # `beside` watches over this process, so that a worker outlives no server that was killed.
        words = [str(folder), str(os.getpid()), str(concurrency)]
        self._command = [sys.executable, "-P", "-m", "stellwerk.doors.beside", *words]
        self._process: asyncio.subprocess.Process | None = None
        self._ending = asyncio.Event()

    async def keep(self) -> None:
        """Have a worker until the end."""
        wait = 1.0
        while not self._ending.is_set():
            began = asyncio.get_running_loop().time()
            # In a session of its own, so that Ctrl-C reaches the server alone.
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True
            )
            code = await self._process.wait()
            if self._ending.is_set():
                return
            wait = 1.0 if asyncio.get_running_loop().time() - began > STEADY else wait
            log.warning("the worker ended (%s); it is started again in %g s", code, wait)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), wait)
            wait = min(2 * wait, STEADY)

    def ask_to_end(self) -> None:
        """Ask it to end, once."""
        if not self._ending.is_set():
            self._ending.set()
            self._signal(signal.SIGTERM)

    async def end(self) -> None:
        """End it: in order if it does so in time, else at once."""
        self.ask_to_end()
        if self._process is None:
            return
        try:
            await asyncio.wait_for(self._process.wait(), PATIENCE)
        except (TimeoutError, asyncio.CancelledError):
            # A worker that is told twice ends its children and itself.
            self._signal(signal.SIGTERM)
            await self._process.wait()

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)


def _why_not(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        free = _next_free(host, port)
        return f"port {port} is taken, perhaps by another stellwerk serve" + (f"; try --port {free}" if free else "")
    if error.errno == errno.EACCES:
        return f"port {port} is for the system's own services; give one from 1024 on, such as --port {PORT}"
    return f"--host is {host}, which is not an address of this machine; give 127.0.0.1, or one of its own"


def _next_free(host: str, port: int) -> int | None:
    for candidate in range(port + 1, min(port + 100, LAST + 1)):
        with suppress(UserError), listen(host, candidate):
            return candidate
    return None
