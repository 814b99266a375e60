"""The REST door: `POST /api/<package>/<name>` for every operation, made from the registry.

Queries answer at once (200), runs are handed to a worker (202 and where to look). Files travel by /api/uploads and
/api/downloads. Who may come in, the guard knows.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Body, Depends, Header, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel

from stellwerk import __version__
from stellwerk.doors import files
from stellwerk.doors.answering import SECONDS, Answers
from stellwerk.doors.events import OVER, Listening
from stellwerk.doors.faults import CONFLICT, ERRORS, MISSING, Described, Route, as_json
from stellwerk.doors.guard import require
from stellwerk.doors.refusal import Refused
from stellwerk.errors import UserError
from stellwerk.operation import Operation, find, load_all
from stellwerk.record import tables
from stellwerk.runs import exchange, execution
from stellwerk.runs.queue import Queued
from stellwerk.runs.reading import RunReport

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace

VALIDATE = "validate-only"
LARGEST = 2**63 - 1  # what a record can hold
RUN_ID = re.compile(r"latest|[0-9a-f]{1,32}")


class Valid(BaseModel):
    """A call that was only checked."""

    valid: bool


def router(workspace: Workspace, seconds: float = SECONDS) -> APIRouter:
    """All routes below /api.

    Args:
        workspace: that the operations work in.
        seconds: after which a query is given up.
    """
    answers, listening = Answers(workspace, seconds), Listening(workspace)

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        app.state.answers = answers  # the pages' forms are answered by the same processes
        yield
        listening.close()
        await anyio.to_thread.run_sync(answers.close)

    made = APIRouter(prefix="/api", route_class=Route, lifespan=lifespan)
    _add_runs(made, workspace, listening)
    files.add(made, workspace)
    for operation in load_all():
        if not operation.local:
            _add(made, workspace, answers, operation)

    schema = functools.cache(lambda: described(made))

    @made.get("/openapi.json", include_in_schema=False)
    def openapi(request: Request) -> JSONResponse:
        if not request.state.caller.scopes:
            raise Refused(403, "this caller may not do anything here")
        return JSONResponse(schema())

    return made


def _add(made: APIRouter, workspace: Workspace, answers: Answers, operation: Operation) -> None:
    """The route of one operation."""
    model: Any = exchange.model(operation)

    async def endpoint(request: Request, body: BaseModel | None, validate: bool, prefer: str | None) -> Response:
        caller = require(request, operation)
        values = body.model_dump(mode="json", exclude_unset=True) if body is not None else {}
        _check_values(values)
        in_thread = anyio.to_thread.run_sync
        theirs = await in_thread(workspace.acting, caller.name, caller.authenticated)
        if validate or VALIDATE in (prefer or ""):
            await in_thread(answers.check, theirs, operation, values)
            return JSONResponse({"valid": True}, headers={"Preference-Applied": VALIDATE})
        if operation.kind == "run":
            queued = await in_thread(answers.start, theirs, operation, values)
            return JSONResponse(queued.model_dump(), 202, {"Location": f"/api/runs/{queued.id}"})
        return Response(await answers.answer(theirs, operation, values), media_type="application/json")

    needed = any(field.is_required() for field in model.model_fields.values())
    _take(
        endpoint,
        body=(Annotated[model if needed else model | None, Body()], inspect.Parameter.empty if needed else None),
        validate=(Annotated[bool, Query(description='only check the call; answers {"valid": true}')], False),
        prefer=(Annotated[str | None, Header(description=f"{VALIDATE} does the same as ?validate=true")], None),
    )
    is_run = operation.kind == "run"
    responses: Described = {**ERRORS, **(CONFLICT if operation.changes else {}), **({200: {"model": Valid}} if is_run else {})}
    made.add_api_route(
        "/" + operation.path.replace(".", "/"),
        endpoint,
        methods=["POST"],
        status_code=202 if is_run else 200,
        response_model=Queued if is_run else exchange.result_type(operation) | Valid,
        responses=responses,
        name=operation.path,
        operation_id=operation.path,
        summary=operation.title,
        description=_text(operation),
        tags=[operation.package or "stellwerk"],
    )


def _add_runs(made: APIRouter, workspace: Workspace, listening: Listening) -> None:
    """Where a run can be looked at and listened to."""
    show = find("runs.show")

    def key(request: Request, run: str) -> str:
        require(request, show)
        rows = []
        if RUN_ID.fullmatch(run):
            where = () if run == "latest" else (tables.run.c.id.startswith(run, autoescape=True),)
            rows = workspace.record.rows(tables.run, *where, order=tables.run.c.created.desc(), limit=1 if not where else 2)
        if len(rows) != 1:
            several = "more than one run begins" if rows else "no run begins"
            raise HTTPException(404, f"{several} with {run[:40]!r}; see them with: POST /api/runs/list")
        return str(rows[0]["id"])

    @made.get("/runs/{run}", response_model=RunReport, responses={**ERRORS, **MISSING}, tags=["runs"])
    def look_at_a_run(request: Request, run: str = Depends(key)) -> Any:
        """Show one run: its parameters, steps, inputs and outputs, and its result once it is done."""
        caller = require(request, show)
        return execution.call(workspace.acting(caller.name, caller.authenticated), show, {"run_id": run})

    async def standing(run: str = Depends(key), last_event_id: Annotated[str | None, Header()] = None) -> str:
        if last_event_id == OVER:
            # What a browser that was told of the end takes as the wish not to come back.
            raise HTTPException(204)
        return run

    @made.get("/runs/{run}/events", response_class=EventSourceResponse, responses=as_json({**ERRORS, **MISSING}), tags=["runs"])
    async def listen_to_a_run(run: str = Depends(standing)) -> AsyncIterator[ServerSentEvent]:
        """Follow a run by server-sent events: `state`, `progress`, and `end` as the last one."""
        async for event in listening.listen(run):
            yield event


def described(made: APIRouter) -> dict[str, Any]:
    """The description of all routes in OpenAPI 3.1."""
    from fastapi.openapi.utils import get_openapi

    found = get_openapi(
        title="Stellwerk",
        version=__version__,
        openapi_version="3.1.0",
        summary="Does eight jobs of generative AI, keeps the evidence, and clears a release while it holds.",
        description="Each operation is what the command line and Python offer under the same name. "
        "Queries answer at once; runs answer 202 and are followed at /api/runs/{run}/events.",
        routes=made.routes,
    )
    found.setdefault("components", {})["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "made by: stellwerk access token NAME"},
        "session": {"type": "apiKey", "in": "cookie", "name": "stellwerk", "description": "of a login in the browser"},
    }
    # A server for this machine alone asks for neither.
    found["security"] = [{"token": []}, {"session": []}, {}]
    return found


def _take(endpoint: Any, **given: tuple[Any, Any]) -> None:
    """Give a function the parameters that FastAPI is to see."""
    kind = inspect.Parameter.KEYWORD_ONLY
    named = [inspect.Parameter(name, kind, annotation=hint, default=default) for name, (hint, default) in given.items()]
    request = inspect.Parameter("request", kind, annotation=Request)
    endpoint.__signature__ = inspect.Signature([request, *named], return_annotation=Response)


def _text(operation: Operation) -> str:
    needs = f"Needs the scope {operation.scope}."
    travel = " The result holds where the files are to be had." if exchange.gives(operation) else ""
    return f"{operation.description}\n\n{needs}{travel}"


def _check_values(value: Any) -> None:
    """Refuse what no record could hold."""
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            _check_values(part)
    elif isinstance(value, int) and abs(value) > LARGEST:
        raise UserError(f"a number is larger than {LARGEST}, which is the most here")
    elif isinstance(value, str) and ("\0" in value or (not value.isprintable() and _is_broken(value))):
        raise UserError("a text holds a character that is none (NUL or half of a surrogate pair); leave it out")


def _is_broken(value: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in value)
