"""Whether a request comes from a page of ours, or from another web page in the same browser.

Two things must agree: what the browser says of the page that sent it (Sec-Fetch-Site, Origin), and a text that only our pages
hold. Programs that are no browser say nothing of a page, and need no such text where they log in with a token or not at all.
"""

from __future__ import annotations

import hmac
import re
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.types import Message, Receive

from stellwerk.doors.refusal import Refused

FIELD, HEADER = "csrf", "X-CSRF-Token"
FIRST = 16 * 1024  # bytes of a multipart form in which its first field must end
FIELDS = 1000
URLENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
_FIRST_FIELD = re.compile(
    rb'\A--[^\r\n]+\r\nContent-Disposition: form-data; name="csrf"\r\n(?:[^\r\n]+\r\n)*\r\n([^\r\n]*)\r\n', re.I
)
ELSEWHERE = "this request comes from another web page; open the pages of Stellwerk themselves and try again there"
OLD = f"the form does not show that it is ours: send the field {FIELD} or the header {HEADER}, or load the page anew"


def from_browser(request: Request) -> bool:
    """Whether a browser sent it on behalf of some page."""
    return "origin" in request.headers or "sec-fetch-site" in request.headers


def check_site(request: Request, origin: str, *, changes: bool, page: bool) -> None:
    """Refuse what another web page sent; a link from there to a page of ours is welcome.

    Args:
        request: the request.
        origin: of our own pages, such as http://127.0.0.1:8000.
        changes: whether its method is one that changes something.
        page: whether what is asked for is a page, rather than data.

    Raises:
        Refused: 403.
    """
    found = request.headers
    site = found.get("sec-fetch-site", "same-origin")
    if changes:
        if site != "same-origin" or found.get("origin", origin) != origin:
            raise Refused(403, ELSEWHERE)
    elif site not in ("same-origin", "none"):
        link = found.get("sec-fetch-mode") == "navigate" and found.get("sec-fetch-dest") == "document"
        if not (page and link):
            raise Refused(403, ELSEWHERE)


async def check_token(request: Request, receive: Receive, expected: str) -> Receive:
    """Refuse a form that does not hold its token.

    Args:
        request: the request.
        receive: gives its body.
        expected: the token.

    Returns:
        What gives the whole body once more.

    Raises:
        Refused: 403; 413, it has too many fields.
    """
    sent = request.headers.get(HEADER)
    if sent is None:
        sent, receive = await _field(request, receive)
    if not (sent and expected and hmac.compare_digest(sent.encode(), expected.encode())):
        raise Refused(403, OLD)
    return receive


async def _field(request: Request, receive: Receive) -> tuple[str | None, Receive]:
    """The field of a form; of a multipart one only its beginning is read, for the rest may be large."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (URLENCODED, MULTIPART):
        return None, receive
    read: list[Message] = []
    body = b""
    while not read or read[-1].get("more_body", False):
        read.append(await receive())
        body += read[-1].get("body", b"")
        if kind == MULTIPART and len(body) > FIRST:
            break
    waiting = iter(read)

    async def again() -> Message:
        return next(waiting, None) or await receive()

    if kind == MULTIPART:
        found = _FIRST_FIELD.match(body)
        return (found[1].decode("latin-1") if found else None), again
    try:
        values = parse_qs(body.decode("latin-1"), max_num_fields=FIELDS).get(FIELD, [])
    except ValueError:
        raise Refused(413, f"the form has over {FIELDS} fields") from None
    return (values[0] if len(values) == 1 else None), again
