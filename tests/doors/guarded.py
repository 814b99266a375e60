"""A real server on loopback whose routes stand behind the guard: pages, an API, uploads, a stream, and a fault."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from stellwerk.access import accounts
from stellwerk.access.throttle import Throttle
from stellwerk.doors import binding, headers
from stellwerk.doors.guard import Guard, Policy, Refused, require
from stellwerk.doors.login import login, logout
from stellwerk.operation import find
from stellwerk.workspace import Workspace

PASSWORD = "vier rote Laternen im Nebel"
PLANTED = "sk-planted-0123456789abcdef"


class Server:
    """uvicorn in a thread; `calls` counts the requests that changed something."""

    def __init__(self, workspace: Workspace, static: Path, **options: Any) -> None:
        self.workspace = workspace
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.policy: Policy = binding.policy_for(workspace, "127.0.0.1", self.port, **options)
        self.calls = self.uploaded = 0
        self.now = 1000.0  # of the throttle, for a busy machine takes longer for a guess than the first waits last
        self.throttle = Throttle(lambda: self.now)
        self.clients: list[httpx.Client] = []
        app = Starlette(routes=self._routes(static))
        app.add_middleware(Guard, workspace=workspace, policy=self.policy, throttle=self.throttle)
        self.server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, lifespan="off", **binding.server_options(self.policy))
        )
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True)

    @property
    def origin(self) -> str:
        return f"http{'s' if self.policy.certificate else ''}://127.0.0.1:{self.port}"

    def __enter__(self) -> Server:
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        for client in self.clients:
            client.close()
        self.server.should_exit = True
        self.thread.join(20)
        self.socket.close()

    def client(self, **options: Any) -> httpx.Client:
        made = httpx.Client(base_url=self.origin, timeout=20, trust_env=False, **options)
        self.clients.append(made)
        return made

    def logged_in(self, name: str = "anna", password: str = PASSWORD) -> httpx.Client:
        """A browser of sorts: it holds the cookie and says where it comes from."""
        client = self.client(headers={"Origin": self.origin, "Sec-Fetch-Site": "same-origin"})
        answer = client.post("/login", data={"name": name, "password": password})
        assert answer.status_code == 303, answer.text
        return client

    def raw(self, data: bytes, seconds: float = 10) -> bytes:
        """What the server answers to bytes, up to the end of the connection or until nothing more comes."""
        found = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            with suppress(OSError):
                connection.sendall(data)
            with suppress(OSError):
                while part := connection.recv(65536):
                    found += part
                    connection.settimeout(0.5)
        return found

    def _routes(self, static: Path) -> list[Route | Mount]:
        async def page(request: Request) -> Response:
            caller = request.state.caller
            return HTMLResponse(f"<p>{caller.name}</p><i>{caller.csrf}</i>", headers={"Cache-Control": "public"})

        async def change(request: Request) -> Response:
            async with request.form() as form:
                size = sum([len(await v.read()) if hasattr(v, "read") else len(str(v)) for v in form.values()])
            self.calls += 1
            return JSONResponse({"size": size})

        async def api(request: Request) -> Response:
            body = await request.json() if await request.body() else None
            if request.method == "POST":
                self.calls += 1
            caller = request.state.caller
            return JSONResponse(
                {"name": caller.name, "scopes": sorted(caller.scopes), "proven": caller.authenticated, "body": body}
            )

        async def operate(request: Request) -> Response:
            require(request, find(request.path_params["path"]))
            self.calls += 1
            return JSONResponse({})

        async def upload(request: Request) -> Response:
            size = 0
            async for part in request.stream():
                size += len(part)
            self.uploaded = size
            return JSONResponse({"size": size})

        async def swallow(request: Request) -> Response:
            try:
                await request.body()
            except Exception:
                return JSONResponse({"all": "well"})
            return JSONResponse({"all": "read"})

        async def stream(request: Request) -> Response:
            async def events() -> AsyncIterator[str]:
                for number in range(3):
                    yield f"data: {number}\n\n"
                    await asyncio.sleep(0.3)

            return StreamingResponse(events(), media_type="text/event-stream")

        async def fault(request: Request) -> Response:
            raise RuntimeError(f"the value {PLANTED} is wrong")

        async def broken(request: Request) -> Response:
            async def part() -> AsyncIterator[bytes]:
                yield b"first"
                raise RuntimeError(PLANTED)

            return StreamingResponse(part())

        async def document(request: Request) -> Response:
            return HTMLResponse("<style>p{}</style>", headers={"Content-Security-Policy": headers.SANDBOX})

        async def lax(request: Request) -> Response:
            return HTMLResponse("", headers={"Content-Security-Policy": "default-src *", "X-Frame-Options": "ALLOWALL"})

        async def sign_in(request: Request) -> Response:
            if request.method == "GET":
                return HTMLResponse("login")
            form = await request.form()
            try:
                return await login(request, str(form["name"]), str(form["password"]), str(form.get("next", "/")))
            except Refused as refused:
                return HTMLResponse(refused.sentence, refused.status, refused.headers)

        async def sign_out(request: Request) -> Response:
            return await logout(request)

        return [
            Route("/", page), Route("/change", change, methods=["POST"]), Route("/document", document), Route("/lax", lax),
            Route("/login", sign_in, methods=["GET", "POST"]), Route("/logout", sign_out, methods=["POST"]),
            Route("/api/me", api, methods=["GET", "POST", "DELETE"]), Route("/mcp", api, methods=["GET", "POST"]),
            Route("/api/operate/{path}", operate, methods=["POST"]), Route("/api/uploads", upload, methods=["POST"]),
            Route("/api/swallow", swallow, methods=["POST"]), Route("/api/stream", stream), Route("/fault", fault),
            Route("/api/fault", fault, methods=["GET", "POST"]), Route("/api/broken", broken),
            Mount("/static", StaticFiles(directory=static)),
        ]  # fmt: skip


def people(workspace: Workspace) -> None:
    """Anna, who may do everything; Ben, who may only look."""
    accounts.save(workspace, "anna", ["read", "run", "approve", "admin"], PASSWORD)
    accounts.save(workspace, "ben", ["read"], PASSWORD)


def assert_headers(answer: httpx.Response, cache: str = "no-store") -> None:
    """Every header that the guard adds, and no other policy beside it."""
    found = answer.headers
    assert found["content-security-policy"] == headers.CONTENT
    assert "unsafe" not in found["content-security-policy"]
    assert {name: found[name] for name in headers.ALWAYS} == headers.ALWAYS
    assert found.get("cache-control", "") == cache
    assert "server" not in found
