"""Where people rate: one thing at a time, by keys on a keyboard or by a thumb; what they rate says nothing of where it is from.

A rating is an operation; a value that will not do stands at the form, with what was typed. Nobody sees what others said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from stellwerk.doors import guard
from stellwerk.doors.web.page import page, workspace_of
from stellwerk.errors import UserError
from stellwerk.evaluation.ratings import drawing, rating
from stellwerk.operation import find
from stellwerk.record import tables
from stellwerk.runs import execution

if TYPE_CHECKING:
    from stellwerk.evaluation.ratings.reports import NextItem
    from stellwerk.workspace import Workspace

router = APIRouter()


@router.get("/rate")
def studies(request: Request) -> Response:
    """The studies that there are, with how far whoever asks is in each."""
    guard.require(request, find("evaluation.next"))
    workspace = workspace_of(request)
    names = sorted({version.name for version in workspace.record.versions(tables.asset.c.kind == drawing.KIND)})
    return page(request, "rate_studies.html", studies=[found for name in names if (found := _mine(workspace, name))])


@router.get("/rate/{study}")
def show(request: Request, study: str, item: str | None = None, said: str = "") -> Response:
    """One thing to rate: the next one, or that of a number."""
    return _page(request, study, item, said=said)


@router.post("/rate/{study}")
def note(request: Request, study: str, item: str = Form(""), value: str = Form(""), comment: str = Form("")) -> Response:
    """Note a rating and go on to the next thing."""
    operation = find("evaluation.rate")
    guard.require(request, operation)
    values = {"study": study, "item": item, "value": value, "comment": comment.strip() or None}
    try:
        execution.call(workspace_of(request), operation, values)
    except UserError as error:
        return _page(request, study, item or None, fault=str(error), typed=comment)
    return RedirectResponse(f"/rate/{quote(study, safe='')}?said={quote(item, safe='')}", 303)


def _page(
    request: Request, study: str, item: str | None, *, said: str = "", fault: str = "", typed: str | None = None
) -> Response:
    guard.require(request, find("evaluation.next"))
    workspace = workspace_of(request)
    try:
        found = rating.next_item(workspace, study, item)
    except UserError as error:
        if fault:
            found, fault = rating.next_item(workspace, study), str(error)
        else:
            raise HTTPException(404, str(error)) from None
    return page(
        request,
        "rate.html",
        422 if fault else 200,
        study=study,
        found=found,
        said=said if said.isdecimal() and len(said) < 8 else "",
        fault=fault,
        typed=typed if typed is not None else found.comment or "",
    )


def _mine(workspace: Workspace, name: str) -> NextItem | None:
    try:
        return rating.next_item(workspace, name)
    except UserError:  # it is for other people
        return None
