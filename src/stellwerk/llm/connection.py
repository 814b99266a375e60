"""A connection to one endpoint: sends a request, reads no more of the answer than it may, and takes no longer than it may.

It follows no redirect, keeps no cookie and takes no proxy out of the environment. What a library raises ends here, for it may
quote headers, addresses and bodies. It knows HTTP, not what is asked.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import zlib
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import aiohttp

from stellwerk.llm.allowed import LEAST_KEY
from stellwerk.llm.failures import Failed, checked, of_library

MOST_BYTES = 16 * 1024 * 1024  # of an answer
CONNECT_SECONDS = 15.0


@dataclass
class Part:
    """A piece of a body of some content type, and whether it is the first one."""

    content: bytes
    kind: str
    begins: bool


class Connection:
    """Reaches one endpoint. Opened and closed inside one event loop by `async with`."""

    def __init__(self, address: str, key: str | None, seconds: float) -> None:
        """Make a connection; nothing is reached yet.

        Args:
            address: of the endpoint, such as https://api.example.eu/v1; a query is kept at the end of each address.
            key: that it wants, where it wants one.
            seconds: that one attempt may take as a whole.
        """
        self._base, _, self._query = address.partition("?")
        self._key = key
        self._seconds = seconds
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        headers = {"Accept-Encoding": "identity", "Content-Type": "application/json", "User-Agent": "stellwerk"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        bundle = os.environ.get("REQUESTS_CA_BUNDLE")
        secure = bundle is not None and self._base.startswith("https:")
        trusted: ssl.SSLContext | bool = ssl.create_default_context(cafile=bundle) if secure else True
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=trusted, ttl_dns_cache=60),
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            trust_env=False,
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def fetch(self, path: str, body: bytes | None, most: int = MOST_BYTES) -> bytes:
        """Send a request once; returns the body of its good answer.

        Args:
            path: below the endpoint, such as /chat/completions.
            body: JSON; None asks without one.
            most: bytes that the answer may have.

        Raises:
            Failed: there was no good answer.
        """
        with self._in_our_words():
            async with asyncio.timeout(self._seconds):
                response = await self._send(path, body)
                async with response:
                    await checked(response)
                    parts, size = [], 0
                    async for part in response.content.iter_any():
                        size = _counted(size, part, most)
                        parts.append(part)
                    return self._without_key(_unpacked(b"".join(parts), response.headers.get("Content-Encoding", ""), most))

    async def parts(self, path: str, body: bytes, most: int = MOST_BYTES) -> AsyncGenerator[Part, None]:
        """Send a request once; gives the body of its good answer as it comes.

        The clock runs also while the caller is busy with a piece, but strikes only where this waits for the endpoint.

        Raises:
            Failed: there was no good answer, or it broke off.
        """
        end = asyncio.get_running_loop().time() + self._seconds
        with self._in_our_words():
            async with asyncio.timeout_at(end):
                response = await self._send(path, body)
        async with response:
            with self._in_our_words():
                async with asyncio.timeout_at(end):
                    await checked(response)
            kind, size = response.headers.get("Content-Type", ""), 0
            while True:
                with self._in_our_words():
                    async with asyncio.timeout_at(end):
                        part = await response.content.readany()
                    size = _counted(size, part, most)
                if not part:
                    return
                yield Part(part, kind, size == len(part))

    def _without_key(self, body: bytes) -> bytes:
        """An answer in which an endpoint that repeats what it was sent does not bring the key into files and records."""
        key = (self._key or "").encode()
        return body.replace(key, b"[key]") if len(key) >= LEAST_KEY else body

    async def _send(self, path: str, body: bytes | None) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("a client is used inside its 'async with'")
        url = f"{self._base}{path}" + (f"?{self._query}" if self._query else "")
        return await self._session.request("GET" if body is None else "POST", url, data=body, allow_redirects=False)

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        try:
            yield
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise of_library(error, self._seconds) from None


def _unpacked(body: bytes, encoding: str, most: int) -> bytes:
    """A body that was packed though nobody asked for it, as some gateways do; no more of it than it may have."""
    if encoding.lower() not in ("gzip", "x-gzip", "deflate"):
        return body
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        found = unpack.decompress(body, most)
    except zlib.error:
        raise Failed("server", "sent a body that is not packed as it says; tell who runs it", again=False) from None
    if unpack.unconsumed_tail:
        raise _too_long(most)
    return found


def _counted(size: int, part: bytes, most: int) -> int:
    if size + len(part) > most:
        raise _too_long(most)
    return size + len(part)


def _too_long(most: int) -> Failed:
    return Failed("server", f"sent an answer of more than {most >> 20} MiB; lower max_tokens", again=False)
