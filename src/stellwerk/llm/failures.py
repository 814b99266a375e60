"""What can go wrong with one attempt to ask an endpoint, in our words: whether another may help, and after how long.

What the endpoint wrote in its error is not quoted, for it may quote what was sent; its words for machines are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import aiohttp

from stellwerk import waiting
from stellwerk.llm import wire
from stellwerk.llm.chat import Failure

MOST_ERROR_BYTES = 64 * 1024
_FULL = ("insufficient_quota", "billing_hard_limit_reached")  # 429s that no waiting ends

_SAID: dict[int, tuple[Failure, str]] = {
    400: ("rejected", "refuses this request as malformed, too long or not allowed (400)"),
    401: ("unauthorised", "does not know who asks (401); see that key in its file names the right one"),
    402: ("unauthorised", "wants to be paid first (402); see to the account with its provider"),
    403: ("unauthorised", "does not allow this key to ask (403); ask its provider for the right to"),
    404: ("server", "is not there (404); correct endpoint or model in its file"),
    405: ("server", "does not take such requests (405); correct endpoint in its file"),
    413: ("rejected", "refuses this request as too long (413)"),
    422: ("rejected", "refuses this request as malformed (422)"),
}
_AGAIN: dict[int, tuple[Failure, str]] = {
    408: ("timeout", "did not get the request in time (408); try later"),
    409: ("server", "is busy with something that excludes this (409); try later"),
    425: ("server", "was asked too early (425); try later"),
    429: ("rate_limited", "says that it is asked too often (429); lower limits in its file, or try later"),
}


class Failed(Exception):
    """One attempt failed.

    Attributes:
        kind: of the failure, as callers know it.
        reason: the end of a sentence that begins with the model.
        again: whether another attempt may help.
        wait: seconds that the endpoint asks to wait, None where it does not say.
        status: of HTTP, where there was one.
        codes: words for machines that the endpoint gave.
    """

    def __init__(
        self, kind: Failure, reason: str, *, again: bool = True, wait: float | None = None, status: int | None = None,
        codes: Sequence[str] = (),
    ) -> None:  # fmt: skip
        super().__init__(reason)
        self.kind: Failure = kind
        self.reason = reason
        self.again = again
        self.wait = wait
        self.status = status
        self.codes = tuple(codes)


async def checked(response: aiohttp.ClientResponse) -> None:
    """See that an answer is a good one.

    Raises:
        Failed: it is not.
    """
    status = response.status
    if 200 <= status < 300:
        return
    codes = wire.error_codes(await _beginning(response)) if status >= 400 else []
    wait = waiting.asked(response.headers.get("Retry-After"))
    if status == 429 and any(code in _FULL for code in codes):
        reason = "has no budget left with its provider (429); see to the account"
        raise Failed("rate_limited", reason, again=False, status=status, codes=codes)
    if status in _AGAIN or status >= 500:
        kind, reason = _AGAIN.get(status, ("server", f"has a fault of its own ({status}); try later"))
        raise Failed(kind, reason, wait=wait, status=status, codes=codes)
    if 300 <= status < 400:
        reason = f"sends to another address ({status}), which is not followed; write that address as endpoint into its file"
        raise Failed("server", reason, again=False, status=status)
    kind, reason = _SAID.get(status, ("server", f"answered with status {status}; see what its API expects"))
    raise Failed(kind, reason, again=False, status=status, codes=codes)


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """The body of an error, if it is no longer than such are; one that is, or breaks off, says nothing."""
    parts, size = [], 0
    with contextlib.suppress(aiohttp.ClientError):
        async for part in response.content.iter_any():
            size += len(part)
            if size > MOST_ERROR_BYTES:
                break
            parts.append(part)
    return b"".join(parts) if size <= MOST_ERROR_BYTES else b""


def of_library(error: Exception, seconds: float) -> Failed:
    """What a library raised, in our words.

    Args:
        error: that it raised.
        seconds: that one attempt may take.
    """
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return Failed(
            "connection",
            "has a certificate that is not trusted or not for this host; "
            "name your own authority's certificates in REQUESTS_CA_BUNDLE",
            again=False,
        )
    if isinstance(error, aiohttp.ServerTimeoutError | aiohttp.ConnectionTimeoutError):
        return Failed("timeout", "could not be reached in time; see that the address is right, or try later")
    if isinstance(error, TimeoutError):
        return Failed("timeout", f"did not answer within {seconds:g} seconds; try later, or raise limits: timeout in its file")
    if isinstance(error, aiohttp.ClientConnectorError):
        return Failed("connection", "could not be reached; see that the address is right and that it runs, or try later")
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError | OSError):
        return Failed("connection", "broke off its answer; try later")
    if isinstance(error, aiohttp.InvalidURL | ValueError):
        return Failed("connection", "has an address that cannot be asked; correct endpoint in its file", again=False)
    return Failed("connection", "answered with something else than HTTP; see that the address is right")
