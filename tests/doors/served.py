"""REST behind the guard on a real server of this process, for tests that come in by HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from servers import free_port
from stellwerk.doors import guard, rest
from stellwerk.doors.binding import policy_for, server_options
from stellwerk.operation import LocalPath, Operation
from stellwerk.runs.operations import GOING
from stellwerk.runs.worker import Worker
from stellwerk.workspace import Workspace


@contextmanager
def served(folder: Path, **options: Any) -> Iterator[httpx.Client]:
    """A client of a server for a workspace; `options` are those of `rest.router`."""
    workspace, port = Workspace(folder), free_port()
    policy = policy_for(workspace, "127.0.0.1", port)
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(rest.router(workspace, **options))
    app.add_middleware(guard.Guard, workspace=workspace, policy=policy)
    server = uvicorn.Server(uvicorn.Config(app, port=port, **{**server_options(policy), "log_config": None}))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server does not start"
        time.sleep(0.01)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()
        workspace.record.database.close()


def call(client: httpx.Client, entry: Operation, values: dict[str, Any], folder: Path) -> httpx.Response:
    """Call an operation as somebody elsewhere does: files are sent first, and nothing is written at a place of the caller's."""
    sent = dict(values)
    for name, parameter in entry.parameters.items():
        if isinstance(parameter.marker, LocalPath) and name in sent:
            if parameter.marker.writes:
                del sent[name]
            else:
                sent[name] = upload(client, folder / sent[name])
    return client.post(f"/api/{entry.path.replace('.', '/')}", json=sent)


def upload(client: httpx.Client, file: Path) -> str:
    with file.open("rb") as content:
        answer = client.post("/api/uploads", files={"file": (file.name, content)})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["reference"])


def work_on_queue(folder: Path) -> None:
    """A real worker does what waits."""
    Worker(Workspace(folder)).work(once=True)


def ended(client: httpx.Client, run: str) -> dict[str, Any]:
    """A run that has come to its end."""
    until = time.monotonic() + 60
    while (shown := client.get(f"/api/runs/{run}").json())["state"] in GOING:
        assert time.monotonic() < until, shown
        time.sleep(0.05)
    return dict(shown)
