"""The command that serves the MCP tools: to the client that started it, on standard input and output, or over HTTP.

Knows the streams. The tools are in `mcp.py`; how a server over HTTP begins and ends, `serve.py` knows.
"""

from __future__ import annotations

import logging
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from stellwerk.workspace import Workspace

if TYPE_CHECKING:
    import socket

    from stellwerk.doors.guard import Policy

PORT = 8321
Flag = Parameter(negative=())


def mcp(
    *,
    job: str | None = None,
    http: Annotated[bool, Flag] = False,
    host: str = "127.0.0.1",
    port: int = PORT,
    name: Annotated[tuple[str, ...], Flag] = (),
    certificate: Path | None = None,
    key: Path | None = None,
    behind_proxy: Annotated[bool, Flag] = False,
    no_worker: Annotated[bool, Flag] = False,
    workspace: Annotated[Path | None, Parameter(["--workspace", "-w"])] = None,
) -> int:
    """Serve the operations as tools to assistants, by the Model Context Protocol, with a worker for the runs that they start.

    Args:
        job: offer one job's tools, such as data, with what every job needs.
        http: serve over HTTP, at /mcp, rather than on standard input and output.
        host: the address for HTTP; at any but this machine's own, callers need a token.
        port: the port for HTTP; 0 takes a free one.
        name: a further name by which clients reach it; may be given several times.
        certificate: file of a TLS certificate, in PEM.
        key: file of its key.
        behind_proxy: a server in front of this one ends TLS.
        no_worker: start no worker; another one works on the queue, or nobody does.
        workspace: the folder of the workspace.
    """
    from stellwerk.record import leases
    from stellwerk.runs import log

    leases.configured()
    folder = Workspace(workspace) if workspace else Workspace.find()
    folder.store.sweep()
    log.to(sys.stderr)
    # What libraries have to say may quote the data.
    logging.getLogger().addHandler(logging.NullHandler())
    if not http:
        _serve_one(folder, job, with_worker=not no_worker)
        return 0
    from stellwerk.doors.binding import policy_for
    from stellwerk.doors.serve import listen

    with listen(host, port) as listening:
        taken = int(listening.getsockname()[1])
        policy = policy_for(folder, host, taken, names=name, certificate=certificate, key=key, behind_proxy=behind_proxy)
        address = f"{'https' if certificate else 'http'}://{f'[{host}]' if ':' in host else host}:{taken}/mcp"
        _serve_many(folder, job, policy, listening, address, with_worker=not no_worker)
    return 0


def _serve_one(folder: Workspace, job: str | None, *, with_worker: bool) -> None:
    """Serve the client on standard input and output until it closes them; all that is printed goes to standard error."""
    import anyio
    from mcp.server.stdio import stdio_server

    from stellwerk.doors.beside import worker
    from stellwerk.doors.mcp import server

    served = server(folder, job)
    if sys.stdin.isatty():
        print(f"an MCP client starts this: stellwerk mcp --workspace {folder.root}  (Ctrl-D ends it)", file=sys.stderr)

    async def serve() -> None:
        async with stdio_server() as (received, sent):
            await served.run(received, sent, served.create_initialization_options())

    with worker(folder.root) if with_worker else nullcontext():
        anyio.run(serve)


def _serve_many(
    folder: Workspace, job: str | None, policy: Policy, listening: socket.socket, address: str, *, with_worker: bool
) -> None:
    """Serve who comes over HTTP, until a signal."""
    import asyncio

    import uvicorn
    from starlette.applications import Starlette

    from stellwerk.doors.binding import server_options
    from stellwerk.doors.guard import Guard
    from stellwerk.doors.mcp import mount
    from stellwerk.doors.serve import Companion, Server

    app = Starlette()
    mount(app, folder, job)
    app.add_middleware(Guard, workspace=folder, policy=policy)
    options = server_options(policy) | {"log_config": None, "lifespan": "on"}
    config = uvicorn.Config(app, **options)
    worker = Companion(folder.root, 1) if with_worker else None
    asyncio.run(Server(config, address, worker, show=False).run_all(listening))
