"""The routes by which files travel: uploads into the store, downloads out of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse
from starlette.datastructures import UploadFile

from stellwerk.doors.faults import ERRORS, MISSING, Described, Error, as_json
from stellwerk.doors.guard import Caller
from stellwerk.doors.refusal import Refused
from stellwerk.errors import UserError
from stellwerk.operation import Scope
from stellwerk.runs import exchange
from stellwerk.runs.exchange import UPLOAD_BYTES, Upload

if TYPE_CHECKING:
    from starlette.types import Message

    from stellwerk.workspace import Workspace

CHUNK = 1 << 20
ENVELOPE = 1 << 16  # what a multipart form may add to its file
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"file": {"type": "string", "contentMediaType": "application/octet-stream"}},
                    "required": ["file"],
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


def add(made: APIRouter, workspace: Workspace) -> None:
    """Add the two routes."""
    too_large: Described = {413: {"model": Error, "description": f"a file has {UPLOAD_BYTES} bytes at most"}}

    @made.post(
        "/uploads",
        status_code=201,
        response_model=Upload,
        responses={**ERRORS, **too_large},
        openapi_extra=BODY,
        tags=["files"],
    )
    async def upload(
        request: Request,
        name: Annotated[str | None, Query(description="of the file, where the body is the file itself")] = None,
    ) -> Upload:
        """Send a file, as a form or as the body itself; operations take its reference where they take a file.

        It is kept for a week at least, and longer where nobody clears up.
        """
        allow(request, "run")
        with workspace.store.partial() as file:
            if request.headers.get("content-type", "").startswith("multipart/form-data"):
                name = await _write_form(request, file)
            else:
                await _write_body(request, file)
            return await anyio.to_thread.run_sync(exchange.keep, workspace, file, name or "file")

    binary = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    responses: Described = {200: {"content": binary}, **as_json({**ERRORS, **MISSING})}

    @made.get("/downloads/{digest}/{name}", response_class=FileResponse, responses=responses, tags=["files"])
    def download(request: Request, digest: str, name: str, signature: str) -> FileResponse:
        """Fetch a file that an operation wrote; its result says where it is to be had."""
        allow(request, "read")
        try:
            file = exchange.find(workspace, digest, name, signature)
        except UserError as error:
            raise Refused(404, str(error)) from None
        return FileResponse(
            file, media_type="application/octet-stream", filename=name, headers={"X-Content-Type-Options": "nosniff"}
        )


def allow(request: Request, scope: Scope) -> Caller:
    """The caller, who may do such things.

    Raises:
        Refused: they may not.
    """
    caller: Caller = request.state.caller
    if scope not in caller.scopes:
        raise Refused(403, f"this needs the scope {scope}; {caller.name or 'this caller'} has none of it")
    return caller


async def _write_body(request: Request, file: Path) -> None:
    received = 0
    with file.open("wb") as target:
        async for chunk in request.stream():
            received += len(chunk)
            _check_size(received)
            target.write(chunk)


async def _write_form(request: Request, file: Path) -> str:
    """Write the file of a form; returns its name."""
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        _check_size(received - ENVELOPE)
        return message

    async with Request(request.scope, receive).form(max_files=1, max_fields=4) as form:
        sent = next((value for value in form.values() if isinstance(value, UploadFile)), None)
        if sent is None:
            raise UserError("the form holds no file; send one as its field file")
        with file.open("wb") as target:
            while chunk := await sent.read(CHUNK):
                target.write(chunk)
        return sent.filename or "file"


def _check_size(received: int) -> None:
    if received > UPLOAD_BYTES:
        raise Refused(413, f"the file is larger than {UPLOAD_BYTES >> 20} MB", {"Connection": "close"})
