"""How REST tells of errors: a status, and a sentence as JSON.

Knows which kind of error is which status. Nothing that a library says is passed on.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

from stellwerk.doors.answering import TooBusy
from stellwerk.doors.refusal import Refused
from stellwerk.errors import UserError
from stellwerk.operation import _sentence
from stellwerk.record.connecting import RecordUnreachable
from stellwerk.runs import execution

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Described = dict[int | str, dict[str, Any]]


class Error(BaseModel):
    """Why a request was not answered."""

    error: str = Field(description="one sentence: what is wrong, and what to do")


ERRORS: Described = {
    401: {"model": Error, "description": "nobody is logged in"},
    403: {"model": Error, "description": "the caller may not do this"},
    422: {"model": Error, "description": "a value is wrong"},
    503: {"model": Error, "description": "it took too long, or the record is away"},
}
MISSING: Described = {404: {"model": Error, "description": "there is no such thing"}}
CONFLICT: Described = {409: {"model": Error, "description": "the state of a run does not allow it"}}


def as_json(errors: Described) -> Described:
    """The same errors for a route whose answer is not JSON otherwise."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {status: {"description": error["description"], "content": content} for status, error in errors.items()}


class Route(APIRoute):
    """A route whose errors are a sentence."""

    def get_route_handler(self) -> Handler:
        """The handler, which answers errors too."""
        handler = super().get_route_handler()

        async def told(request: Request) -> Response:
            try:
                return await handler(request)
            except Refused as error:
                return _said(error.status, error.sentence, error.headers)
            except HTTPException as error:
                return _said(error.status_code, str(error.detail), error.headers)
            except RequestValidationError as error:
                return _said(422, "; ".join(map(_fault, error.errors())))
            except execution.Conflict as error:
                return _said(409, str(error))
            except UserError as error:
                return _said(422, str(error))
            except (RecordUnreachable, TooBusy) as error:
                return _said(503, str(error), {"Retry-After": "5"})

        return told


def _fault(error: Any) -> str:
    """A fault of a request as a sentence."""
    if error["type"] == "json_invalid":
        return "the body is no JSON"
    if error["loc"] == ("body",):
        return "the body must be a JSON object with the parameters, sent as application/json"
    return _sentence({**error, "loc": error["loc"][1:]})


def _said(status: int, sentence: str, headers: Any = None) -> Response:
    if status == 204:
        return Response(status_code=204)
    return Response(
        Error(error=sentence.encode(errors="replace").decode()).model_dump_json(), status, headers, "application/json"
    )
