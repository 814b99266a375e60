"""Logging in to the pages, and out; the page with the form stands elsewhere.

Attempts are counted, and take as long for a name that there is not. The log says where a failed one came from, but not the
name, for people type passwords into the wrong field.
"""

from __future__ import annotations

import logging
import math
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from anyio import to_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse

from stellwerk.access import accounts, names
from stellwerk.access.sessions import ABSOLUTE
from stellwerk.doors.refusal import Refused

if TYPE_CHECKING:
    from stellwerk.doors.guard import Guard

HOME = "/"
LONGEST = 2000  # signs of a path to go on to
WRONG = "name and password do not belong together"
WAIT = "there were too many attempts; try again in {seconds} seconds"
log = logging.getLogger("stellwerk.doors")
# Browsers leave out tabs and line breaks, and read \ as /; a host may follow two of them.
_ELSEWHERE = re.compile(r"[^/]|/[/\\]|.*[\x00-\x1f\x7f-\x9f]", re.DOTALL)


async def login(request: Request, name: str, password: str, next_: str = HOME) -> RedirectResponse:
    """Begin a session for whoever knows the password.

    Args:
        request: with the form.
        name: of the account.
        password: of the account.
        next_: where to go on to; only paths here count.

    Returns:
        The way there, with the session's cookie.

    Raises:
        Refused: 401, they do not belong together; 429, there were too many attempts. Show the form again with its sentence.
    """
    guard: Guard = request.state.guard
    name, address = names.typed(name), request.client.host if request.client else ""
    wait = guard.throttle.attempt(name, address)
    if wait > 0:
        seconds = math.ceil(wait)
        raise Refused(429, WAIT.format(seconds=seconds), {"Retry-After": str(seconds)})
    account = await to_thread.run_sync(accounts.verify, guard.workspace, name, password, limiter=guard.passwords)
    if account is None:
        log.warning("a login from %s failed", address)
        raise Refused(401, WRONG)
    guard.throttle.succeeded(name, address)
    await _end(request)
    response = RedirectResponse(local_path(next_), 303)
    response.set_cookie(
        guard.sessions.cookie, await run_in_threadpool(guard.sessions.begin, account), max_age=int(ABSOLUTE),
        path="/", secure=guard.policy.secure, httponly=True, samesite="lax",
    )  # fmt: skip
    return response


async def logout(request: Request) -> RedirectResponse:
    """End the session of a request; returns the way to the login."""
    guard: Guard = request.state.guard
    await _end(request)
    response = RedirectResponse("/login", 303)
    response.delete_cookie(guard.sessions.cookie, path="/", secure=guard.policy.secure, httponly=True, samesite="lax")
    return response


def local_path(text: str) -> str:
    """A path of ours as it is; the start page for all that leads elsewhere, or could in some browser."""
    if not text or len(text) > LONGEST or " " in text:
        return HOME
    # Something on the way may decode it once more.
    decoded, before = text, ""
    while decoded != before:
        if _ELSEWHERE.match(decoded):
            return HOME
        decoded, before = unquote(decoded), decoded
    return text


async def _end(request: Request) -> None:
    guard: Guard = request.state.guard
    if cookie := request.cookies.get(guard.sessions.cookie):
        await run_in_threadpool(guard.sessions.end, cookie)
