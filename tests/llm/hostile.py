"""A fake OpenAI server on loopback that answers well, and badly in every way that it is told to; it counts what it sees.

    with Hostile() as server:
        server.then(status(429, {"Retry-After": "1"}), cut(20))  # one for each request to come; good answers afterwards
        ...ask server.url, then look at server.requests, server.most_at_once, server.hung_up

It runs on a thread of this process; `python tests/llm/hostile.py [MILLISECONDS]` serves alone, says its address, and ends with
its input.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import sys
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 429: "Too Many Requests", 500: "Internal Server Error"}


@dataclass
class Exchange:
    """One request, and the way to answer it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    writer: asyncio.StreamWriter
    server: Hostile

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    async def send(
        self, status: int, body: bytes, headers: Mapping[str, str] | None = None, kind: str = "application/json"
    ) -> None:
        """Answer as a good server would."""
        head = {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}", *(f"{k}: {v}" for k, v in head.items()), "", ""]
        self.writer.write("\r\n".join(lines).encode() + body)
        await self.writer.drain()

    async def raw(self, content: bytes, *, hang_up: bool = False) -> None:
        """Send bytes as they are."""
        self.writer.write(content)
        await self.writer.drain()
        if hang_up:
            self.writer.close()


Behaviour = Callable[[Exchange], Awaitable[None]]


def completion(text: str, **changes: Any) -> dict[str, Any]:
    """A good answer, with changes at its top, or in its choice by `choice_NAME`."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    choice |= {name.removeprefix("choice_"): value for name, value in changes.items() if name.startswith("choice_")}
    top = {name: value for name, value in changes.items() if not name.startswith("choice_")}
    usage = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
    made = {"id": "chat-1", "object": "chat.completion", "model": "fake-1", "system_fingerprint": "fp_1", "usage": usage}
    return {key: value for key, value in (made | {"choices": [choice]} | top).items() if value is not None}


def says(value: Any) -> Behaviour:
    """Answer with this JSON."""
    body = json.dumps(value).encode()
    return lambda exchange: exchange.send(200, body)


def status(
    code: int, headers: Mapping[str, str] | None = None, body: bytes = b"{}", kind: str = "application/json"
) -> Behaviour:
    """Answer with a status."""
    return lambda exchange: exchange.send(code, body, headers, kind)


def body(content: bytes, kind: str = "application/json") -> Behaviour:
    """Answer 200 with these bytes."""
    return lambda exchange: exchange.send(200, content, kind=kind)


def html() -> Behaviour:
    """Answer with a page."""
    return body(b"<!DOCTYPE html><html><body>Sign in</body></html>", "text/html")


def cut(after: int = 20) -> Behaviour:
    """Promise a whole answer, and hang up in the middle of its body."""

    async def behave(exchange: Exchange) -> None:
        content = json.dumps(completion("never whole")).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        await exchange.raw(head.encode() + content[:after], hang_up=True)

    return behave


def hangs_up() -> Behaviour:
    """Say nothing and close."""
    return lambda exchange: exchange.raw(b"", hang_up=True)


def raw(content: bytes) -> Behaviour:
    """Send these bytes, whatever they are, and hang up."""
    return lambda exchange: exchange.raw(content, hang_up=True)


def no_http() -> Behaviour:
    """Speak another protocol."""
    return raw(b"220 mail.example ESMTP\r\n\r\n")


def waits(seconds: float, *, after: bytes = b"") -> Behaviour:
    """Send the beginning of an answer, perhaps nothing, and then stall."""

    async def behave(exchange: Exchange) -> None:
        await exchange.raw(after)
        await asyncio.sleep(seconds)
        exchange.writer.close()

    return behave


def drips(seconds: float) -> Behaviour:
    """Send one byte of the body after the other, so that no read ever waits long."""

    async def behave(exchange: Exchange) -> None:
        await exchange.raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n")
        for _ in range(int(seconds / 0.02)):
            await exchange.raw(b" ")
            await asyncio.sleep(0.02)
        exchange.writer.close()

    return behave


def endless(kind: str = "application/json", part: bytes = b" " * 65_536) -> Behaviour:
    """Send a body that does not end while anybody reads it."""

    async def behave(exchange: Exchange) -> None:
        await exchange.raw(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        while True:
            await exchange.raw(f"{len(part):x}\r\n".encode() + part + b"\r\n")

    return behave


def streams(*events: str, end: bool = True, cut_off: bool = False, pieces: int = 0, pause: float = 0.0) -> Behaviour:
    """Stream events, each the data of one; `pieces` cuts the bytes into so many at a time, wherever that falls."""

    async def behave(exchange: Exchange) -> None:
        await exchange.raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        content = b": hello\r\n\r\n" + b"".join(f"data: {event}\n\n".encode() for event in events)
        content += b"data: [DONE]\n\n" if end else b""
        for start in range(0, len(content), pieces or len(content)):
            part = content[start : start + (pieces or len(content))]
            await exchange.raw(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            await asyncio.sleep(pause)
        await exchange.raw(b"" if cut_off else b"0\r\n\r\n", hang_up=cut_off)

    return behave


def delta(text: str | None = None, finish: str | None = None, **more: Any) -> str:
    """One event of a streamed answer."""
    said = {} if text is None else {"content": text}
    return json.dumps(
        {"id": "chat-1", "model": "fake-1", "choices": [{"index": 0, "delta": said, "finish_reason": finish}], **more}
    )


@dataclass
class Hostile:
    """The server.

    Attributes:
        answer: makes the text of a good answer from the request.
        latency: seconds before a good answer.
        names: of the models that it lists.
        usage: that it reports; None leaves it out.
        tls: its certificate, where it has one.
        requests: those that came, the last thousand.
        count: how many came.
        at_once: requests that are being answered.
        most_at_once: the most that there ever were.
        connections: open ones.
        hung_up: connections that the caller closed while it was owed an answer.
    """

    answer: Callable[[Any], str] = lambda request: "OK"
    latency: float = 0.0
    names: tuple[str, ...] = ("fake-1",)
    tls: ssl.SSLContext | None = None
    usage: dict[str, Any] | None = field(default_factory=lambda: {"prompt_tokens": 12, "completion_tokens": 3})
    requests: deque[Exchange] = field(default_factory=lambda: deque(maxlen=1000))
    count: int = 0
    at_once: int = 0
    most_at_once: int = 0
    connections: int = 0
    hung_up: int = 0
    url: str = ""

    def then(self, *behaviours: Behaviour) -> None:
        """Behave so, one for each request to come."""
        self._script.extend(behaviours)

    def always(self, behaviour: Behaviour | None) -> None:
        """Behave so at each request."""
        self._always = behaviour

    def __post_init__(self) -> None:
        self._script: deque[Behaviour] = deque()
        self._always: Behaviour | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="hostile", daemon=True)
        self._ready = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._over = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=2048, ssl=self.tls)
        self.url = f"http{'s' if self.tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        self._ready.set()
        await self._over.wait()
        server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while not writer.is_closing() and (exchange := await self._request(reader, writer)) is not None:
                    await self._respond(exchange, reader)
        finally:
            self.connections -= 1
            self._tasks.discard(task)
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        method, path, _ = first.split(" ", 2)
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        content = await reader.readexactly(int(headers.get("content-length", 0)))
        return Exchange(method, path, headers, content, writer, self)

    async def _respond(self, exchange: Exchange, reader: asyncio.StreamReader) -> None:
        self.count += 1
        self.requests.append(exchange)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        behaviour = self._script.popleft() if self._script else self._always or good
        work = asyncio.ensure_future(behaviour(exchange))
        # A caller that goes away is noticed even while nothing is sent.
        gone = asyncio.ensure_future(reader.read(1)) if behaviour is not good or self.latency else None
        try:
            await asyncio.wait({work} if gone is None else {work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done() or isinstance(work.exception(), ConnectionError):
                self.hung_up += 1
        finally:
            self.at_once -= 1
            work.cancel()
            if gone is not None:
                gone.cancel()
            await asyncio.gather(work, *([gone] if gone is not None else []), return_exceptions=True)
        if gone is not None and gone.done() and not gone.cancelled():
            exchange.writer.close()


async def good(exchange: Exchange) -> None:
    """Answer as OpenAI's protocol says."""
    server = exchange.server
    if server.latency:
        await asyncio.sleep(server.latency)
    if exchange.path.split("?")[0].endswith("/models"):
        await exchange.send(200, json.dumps({"object": "list", "data": [{"id": name} for name in server.names]}).encode())
        return
    request = exchange.json
    if exchange.path.split("?")[0].endswith("/embeddings"):
        data = [{"index": i, "embedding": [float(len(text)), 1.0]} for i, text in enumerate(request["input"])]
        await exchange.send(200, json.dumps({"data": data[::-1], "usage": {"prompt_tokens": len(data)}}).encode())
        return
    text = server.answer(request)
    if request.get("stream"):
        words = [delta(word) for word in text.split(" ")]
        await streams(*words, delta(finish="stop"), json.dumps({"choices": [], "usage": server.usage}))(exchange)
        return
    await exchange.send(200, json.dumps(completion(text, usage=server.usage)).encode())


if __name__ == "__main__":
    with Hostile(latency=float(sys.argv[1]) / 1000 if len(sys.argv) > 1 else 0.0) as alone:
        print(alone.url, flush=True)
        sys.stdin.read()
        print(json.dumps({"count": alone.count, "most_at_once": alone.most_at_once}), flush=True)
