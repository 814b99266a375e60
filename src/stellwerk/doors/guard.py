"""The guard at the doors that a network reaches: every request passes here first, every answer leaves through here.

Knows who asks and what all requests must keep to; it holds no page and no route. Which operation a caller may use is asked
with `require`. Add it last, so that it stands before all other middleware: `app.add_middleware(Guard, workspace=, policy=)`.
"""

from __future__ import annotations

import logging
import secrets
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, get_args
from urllib.parse import quote

from anyio import CapacityLimiter
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from stellwerk.access import tokens
from stellwerk.access.sessions import Sessions
from stellwerk.access.throttle import Throttle
from stellwerk.doors import forgery, headers, limits
from stellwerk.doors.refusal import Refused
from stellwerk.errors import UserError, where
from stellwerk.operation import Operation, Scope

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace

__all__ = ["ALL", "Caller", "Guard", "Policy", "Refused", "require"]

ALL: frozenset[Scope] = frozenset(get_args(Scope))
MACHINES = ("/api", "/mcp")  # where programs come in; all else is for people
PASSWORDS = 4
SAFE = ("GET", "HEAD", "OPTIONS")
log = logging.getLogger("stellwerk.doors")


@dataclass(frozen=True)
class Caller:
    """Whoever sent a request; routes find it as `request.state.caller`.

    Attributes:
        name: of the account or token; None for the local user, and for whoever has not logged in yet.
        scopes: what they may do.
        authenticated: whether a password or token has proven the name.
        csrf: what their forms must send as field `csrf` (the first one of a multipart form) or header `X-CSRF-Token`.
    """

    name: str | None
    scopes: frozenset[Scope]
    authenticated: bool
    csrf: str = ""

    @property
    def by_token(self) -> bool:
        """Whether it is a program with a token, which no browser sends on behalf of another page."""
        return self.authenticated and not self.csrf


NOBODY = Caller(None, frozenset(), False)
NO_LOGIN = "this needs a login: send a token as Authorization: Bearer TOKEN; make one with: stellwerk access token NAME"
NOT_VALID = "this token is not known, has expired or was revoked; make one with: stellwerk access token NAME"


@dataclass(frozen=True)
class Policy:
    """What the guard asks of every request; `binding.policy_for` makes the one that fits an address.

    Attributes:
        hosts: what may stand in the header Host, such as `127.0.0.1:8000`.
        require_login: whether every caller needs a token or a session; else the local user needs none.
        secure: whether browsers come by https.
        behind_proxy: whether another server in front ends TLS.
        certificate: file of the certificate, where this server ends TLS itself.
        key: file of its key.
        open: paths that need no login; those that end in / stand for all below them.
        leave: path where one logs out.
        uploads: paths, with all below them, that take large bodies.
        body: bytes that a request may have.
        upload: bytes that an upload may have.
    """

    hosts: frozenset[str]
    require_login: bool = False
    secure: bool = False
    behind_proxy: bool = False
    certificate: Path | None = None
    key: Path | None = None
    open: tuple[str, ...] = ("/login", "/static/", "/favicon.ico")
    leave: str = "/logout"
    uploads: tuple[str, ...] = ("/api/uploads", "/begin/file", "/operations")
    body: int = 2**20
    upload: int = 64 * 2**20


def require(request: HTTPConnection, operation: Operation) -> Caller:
    """The caller of a request, who may use an operation.

    Raises:
        Refused: 403, they may not; 404, no network door offers it.
    """
    caller: Caller = request.state.caller
    if operation.local:
        raise Refused(404, f"{operation.path} is offered on the command line of the machine alone")
    if operation.scope not in caller.scopes:
        has = ", ".join(sorted(caller.scopes)) or "none"
        raise Refused(403, f"{operation.path} needs the scope {operation.scope}; {caller.name or 'this caller'} has: {has}")
    return caller


@dataclass
class Guard:
    """ASGI middleware: hosts, limits, headers, authentication, forged requests, and errors that tell nothing they should not.

    Attributes:
        app: what it stands before.
        workspace: whose accounts, tokens and sessions count.
        policy: what is asked of a request.
        page: makes the page that tells a person of a refusal: `(request, status, sentence)`; JSON if left out.
        throttle: how often somebody may try a password.
        passwords: how many are looked at once, for each look takes 64 MiB.
    """

    app: ASGIApp
    workspace: Workspace
    policy: Policy
    page: Callable[[Request, int, str], Response] | None = None
    throttle: Throttle = field(default_factory=Throttle)
    passwords: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(PASSWORDS))

    def __post_init__(self) -> None:
        self.sessions = Sessions(self.workspace, secure=self.policy.secure)
        self.local = Caller(None, ALL, False, self.workspace.keyed("csrf of the local user"))

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it with a refusal."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        request = Request(scope)
        request.state.guard, request.state.caller = self, NOBODY
        limit = self._limit(request)
        body = limits.Body(receive, limit)
        outward = headers.added(send, scope["path"])
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if body.refused is not None and not started:
                # Whatever the application made of a body that was cut off.
                raise body.refused
            started = True
            await outward(message)

        try:
            limits.check_head(scope, limit)
            await self.app(scope, await self._admit(request, body.receive), answer)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001  (nothing that goes wrong may reach the caller as it is)
            response = self._refusal(request, body.refused or error)
            if not started:
                await response(scope, receive, outward)

    async def _admit(self, request: Request, receive: Receive) -> Receive:
        """Find out who asks, and whether it is them; returns what gives the body.

        Raises:
            Refused: the request goes no further.
        """
        path, changes = request.scope["path"], request.method not in SAFE
        machine = _below(path, MACHINES)
        host = self._host(request)
        origin = f"{'https' if self.policy.secure else 'http'}://{host}"
        forgery.check_site(request, origin, changes=changes, page=not machine)
        caller = await run_in_threadpool(self._caller, request)
        request.state.caller = caller
        if caller is NOBODY and not _open(path, self.policy.open):
            raise Refused(401, NO_LOGIN, {"WWW-Authenticate": "Bearer"})
        if not machine and "read" not in caller.scopes and not _open(path, (*self.policy.open, self.policy.leave)):
            raise Refused(403, f"the pages need the scope read, which {caller.name} does not have")
        if not changes or caller.by_token:
            return receive
        if machine and not _below(path, self.policy.uploads):
            _check_json(request)
        if caller is NOBODY:
            # Without a session there is no text that only our page holds; the browser's word must do, and must be there.
            if not forgery.from_browser(request):
                raise Refused(403, forgery.ELSEWHERE)
        elif caller.authenticated or not machine or forgery.from_browser(request):
            return await forgery.check_token(request, receive, caller.csrf)
        return receive

    def _limit(self, request: Request) -> int:
        """Bytes that the body may have; of forms, those alone may be large that hold files."""
        path = request.scope["path"]
        form = not _below(path, MACHINES) and not request.headers.get("content-type", "").lower().startswith(forgery.MULTIPART)
        return self.policy.upload if _below(path, self.policy.uploads) and not form else self.policy.body

    def _host(self, request: Request) -> str:
        """The name by which this server was called: a page elsewhere can give its own name our address, not our name."""
        host = request.headers.get("host", "").lower().removesuffix(":443" if self.policy.secure else ":80")
        if host not in self.policy.hosts:
            served = ", ".join(sorted(self.policy.hosts))
            raise Refused(421, f"this server is not reached by that name; it serves: {served}")
        return host

    def _caller(self, request: Request) -> Caller:
        path, authorization = request.scope["path"], request.headers.get("authorization")
        if authorization is not None and _below(path, MACHINES):
            kind, _, text = authorization.partition(" ")
            token = tokens.find(self.workspace, text.strip()) if kind.lower() == "bearer" else None
            if token is None:
                raise Refused(401, NOT_VALID, {"WWW-Authenticate": 'Bearer error="invalid_token"'})
            return Caller(token.name, token.scopes, True)
        cookie = request.cookies.get(self.sessions.cookie)
        if cookie and not _below(path, ("/mcp",)):
            session = self.sessions.find(cookie)
            if session is not None:
                return Caller(session.name, session.scopes, True, session.csrf)
        return NOBODY if self.policy.require_login else self.local

    def _refusal(self, request: Request, error: Exception) -> Response:
        """The answer to what went wrong: a sentence; the log alone knows more."""
        path = request.scope["path"]
        machine, extra, number = _below(path, MACHINES), {}, None
        match error:
            case Refused():
                status, sentence, extra = error.status, error.sentence, error.headers
            case UserError():
                status, sentence = 400, str(error)
            case _:
                status, number = 500, secrets.token_hex(4)
                sentence = f"a fault of Stellwerk, noted in the server's log as {number}"
                frames = "".join(f"\n  {f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__))
                log.error("fault %s: %s%s", number, where(error), frames)
        if status == 401 and not machine and not _open(path, self.policy.open):
            return _to_login(request)
        if self.page is not None and not machine and number is None:
            response = self.page(request, status, sentence)
            response.headers.update(extra)
            return response
        return JSONResponse({"error": sentence, **({"id": number} if number else {})}, status, headers=dict(extra))


def _to_login(request: Request) -> Response:
    """To the page where one logs in, and from there to where one was going."""
    if "hx-request" in request.headers:
        return Response(status_code=401, headers={"HX-Redirect": "/login"})
    there = request.scope["raw_path"] + (b"?" if request.scope["query_string"] else b"") + request.scope["query_string"]
    return RedirectResponse(f"/login?next={quote(there, safe='')}" if request.method in SAFE else "/login", 303)


def _check_json(request: Request) -> None:
    """Bodies of the API are JSON: what a form of another page can send is none."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    empty = request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers
    if kind != "application/json" and not (empty and not kind):
        raise Refused(415, "the body must be JSON, with the header Content-Type: application/json")


def _below(path: str, roots: tuple[str, ...]) -> bool:
    return any(path == root or path.startswith(f"{root}/") for root in roots)


def _open(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or (place.endswith("/") and path.startswith(place)) for place in places)
