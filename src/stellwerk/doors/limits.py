"""How much a request may bring, how long it may take, and what its head may look like.

A body is counted while it streams, so that one which does not say its length, or a false one, stops at the same place.
"""

from __future__ import annotations

import asyncio
import re
import time

from starlette.types import Message, Receive, Scope

from stellwerk.doors.refusal import Refused

TARGET = 8 * 1024  # bytes of path and query
HEAD = 32 * 1024  # bytes of all headers
HEADERS = 100
GRACE = 20.0  # seconds that a body may take in any case
RATE = 16 * 1024  # bytes a second that it must bring on average after that
ONCE = (b"host", b"authorization", b"content-length", b"content-type", b"origin", b"sec-fetch-site", b"x-csrf-token")
_ODD = re.compile(r"[\x00-\x1f\x7f\\]|//|/\.\.?(?:/|$)")
# Of the other encodings that Python knows, some take minutes for a megabyte.
_CHARSET = re.compile(rb';\s*charset="?utf-?8"?\s*(?=;|$)', re.I)
CLOSE = {"Connection": "close"}  # where it is not plain what belongs to the next request


def check_head(scope: Scope, limit: int) -> None:
    """Refuse a head that is too large, says a thing twice, or names a path that another program may read otherwise.

    Args:
        scope: of the request.
        limit: bytes that its body may have.

    Raises:
        Refused: 400, 413, 414, 415 or 431.
    """
    head: list[tuple[bytes, bytes]] = scope["headers"]
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > TARGET:
        raise Refused(414, f"the address is longer than {TARGET} bytes")
    if len(head) > HEADERS or sum(len(name) + len(value) for name, value in head) > HEAD:
        raise Refused(431, f"the request has over {HEADERS} headers, or over {HEAD} bytes of them")
    names = [name for name, _ in head]
    if twice := next((name for name in ONCE if names.count(name) > 1), None):
        raise Refused(400, f"the header {twice.decode()} stands there more than once", CLOSE)
    if any(b"charset" in _CHARSET.sub(b"", value).lower() for name, value in head if name == b"content-type"):
        raise Refused(415, "the body is in another encoding than UTF-8; send it as UTF-8", CLOSE)
    if b"content-length" in names and b"transfer-encoding" in names:
        raise Refused(400, "the request says in two ways where its body ends", CLOSE)
    if _ODD.search(scope["path"]):
        raise Refused(400, "the path holds .. or // or a sign that no path here has")
    length = next((value for name, value in head if name == b"content-length"), b"0")
    if not length.isdigit() or int(length) > limit:
        raise too_large(limit)


def too_large(limit: int) -> Refused:
    """The refusal of a body over its limit."""
    return Refused(413, f"the request is larger than the {limit / 2**20:.3g} MiB that it may have here")


class Body:
    """The body of a request as it streams in, cut off where it is too large or too slow.

    Attributes:
        refused: why it was cut off; the application may have taken the error for one of its own.
    """

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self._limit = receive, limit
        self._began: float | None = None
        self._bytes = 0
        self._whole = False
        self.refused: Refused | None = None

    async def receive(self) -> Message:
        """The next message of the request.

        Raises:
            Refused: 413 or 408.
        """
        if self._whole:
            # What comes now says that the caller went away; an answer that streams waits for it as long as it likes.
            return await self._receive()
        if self.refused is not None:
            raise self.refused
        try:
            async with asyncio.timeout(self._left()):
                message = await self._receive()
        except TimeoutError:
            self.refused = Refused(408, "the request came too slowly; send it again over a better connection", CLOSE)
            raise self.refused from None
        self._bytes += len(message.get("body", b""))
        if self._bytes > self._limit:
            self.refused = too_large(self._limit)
            raise self.refused
        self._whole = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    def _left(self) -> float:
        """Seconds until the next part must be there."""
        now = time.monotonic()
        if self._began is None:
            self._began = now
        return max(0.0, self._began + GRACE + self._bytes / RATE - now)
