"""The server's application: pages, REST and MCP behind one guard.

Each module of `PAGES` holds the routes of one part of the product; none of them writes anything but by calling an operation.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from stellwerk import __version__
from stellwerk.doors import guard, mcp, rest
from stellwerk.doors.web.page import page
from stellwerk.errors import StellwerkError

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace

STATIC = Path(__file__).parent / "static"
PERSONS = (403, 413, 429)  # refusals of requests that are well formed, so that a page can be made of them
PAGES = (
    "start", "systems", "releases", "findings", "jobs", "forms", "runs", "assets", "data",
    "rating", "prompts", "optimisations", "evaluations", "matrix", "comparisons", "entry",
)  # fmt: skip


def build(workspace: Workspace, policy: guard.Policy) -> FastAPI:
    """Put the application together.

    Args:
        workspace: whose record and store are shown.
        policy: who may come in.
    """
    app = FastAPI(title="Stellwerk", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.workspace = workspace
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.include_router(rest.router(workspace))
    mcp.mount(app, workspace)
    for name in PAGES:
        app.include_router(importlib.import_module(f"stellwerk.doors.web.{name}").router)
    app.add_exception_handler(StellwerkError, _refused)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.state.secure = policy.secure
    app.add_middleware(guard.Guard, workspace=workspace, policy=policy, page=_kept_out)
    return app


def _kept_out(request: Request, status: int, sentence: str) -> Response:
    """What the guard refused, for a person to read; whoever it has not let in yet is nobody to the page."""
    if not hasattr(request.state, "caller"):
        request.state.caller = guard.NOBODY
    if status not in PERSONS:
        return JSONResponse({"error": sentence}, status)
    return _said(request, sentence, status)


def _refused(request: Request, error: Exception) -> Response:
    """A sentence of an operation, as a page or as JSON."""
    return _said(request, str(error), 422)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _said(request, str(error.detail), error.status_code, dict(error.headers or {}))


def _invalid(request: Request, error: Exception) -> Response:
    """A part of the address that is no number, or the like."""
    assert isinstance(error, RequestValidationError)
    fields = ", ".join(str(fault["loc"][-1]) for fault in error.errors())
    return _said(request, f"these parts of the request are not as expected: {fields}", 422)


def _said(request: Request, sentence: str, status: int, headers: dict[str, Any] | None = None) -> Response:
    if request.url.path.startswith(("/api", "/mcp")) or request.headers.get("hx-request"):
        return JSONResponse({"error": sentence}, status, headers)
    answer = page(request, "sorry.html", status, sentence=sentence, number=status)
    answer.headers.update(headers or {})
    return answer
