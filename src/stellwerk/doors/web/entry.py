"""The page where one logs in, and the way out. It shows nothing of the workspace.

Who may come in, and how often somebody may try, the guard knows.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from stellwerk.doors import login as door
from stellwerk.doors.refusal import Refused
from stellwerk.doors.web.page import page, text

router = APIRouter()


@router.get("/login")
def form(request: Request, next: str = door.HOME) -> Response:
    """The form; whoever is logged in already goes on."""
    caller = request.state.caller
    if caller.authenticated or "read" in caller.scopes:
        return RedirectResponse(door.local_path(next), 303)
    return page(request, "login.html", next=door.local_path(next), name="", fault="")


@router.post("/login")
async def enter(request: Request) -> Response:
    """Begin a session, or show the form again with the reason why not."""
    given = await request.form(max_files=0, max_fields=10)
    name, password, target = (str(given.get(field, "")) for field in ("name", "password", "next"))
    try:
        return await door.login(request, name, password, target or door.HOME)
    except Refused as refused:
        answer = page(
            request, "login.html", refused.status, next=door.local_path(target), name=name, fault=_fault(request, refused)
        )
        answer.headers.update(refused.headers)
        return answer


@router.post("/logout")
async def leave(request: Request) -> RedirectResponse:
    """End the session."""
    return await door.logout(request)


def _fault(request: Request, refused: Refused) -> str:
    """The sentence of a refusal in the reader's language."""
    if refused.status == 429:
        return text(
            request, "There were too many attempts. Try again in %(seconds)s seconds.", seconds=refused.headers["Retry-After"]
        )
    if refused.status == 401:
        return text(request, "Name and password do not belong together.")
    return refused.sentence
