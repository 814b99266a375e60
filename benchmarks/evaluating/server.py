"""A model's endpoint on loopback, in a process of its own; it speaks the OpenAI protocol and knows how often it was right.

    python -m benchmarks.evaluating.server SECONDS     prints its port; each answer takes so many seconds

It is also the proxy that contenders are told to use for the rest of the world: it lets nobody out, and remembers who wanted to.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.evaluating import task

STATS = "/stats"
_LENGTH = re.compile(rb"content-length: *(\d+)")


@dataclass
class Seen:
    """What the endpoint saw.

    Attributes:
        calls: that it answered.
        right: answers that were right.
        most: calls at one time.
        first: when the first call came, in seconds.
        last: when the last answer left.
        refused: places outside that were asked for.
    """

    calls: int = 0
    right: int = 0
    most: int = 0
    first: float = 0.0
    last: float = 0.0
    refused: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """From the first call to the last answer."""
        return self.last - self.first


@dataclass(frozen=True)
class Endpoint:
    """An endpoint that is served."""

    port: int

    @property
    def base(self) -> str:
        """Its address, as OpenAI clients want it."""
        return f"http://127.0.0.1:{self.port}/v1"

    def seen(self) -> Seen:
        """What it saw so far."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{STATS}") as reply:
            return Seen(**json.load(reply))


@contextmanager
def served(delay: float) -> Iterator[Endpoint]:
    """An endpoint whose answers take `delay` seconds each."""
    command = [sys.executable, "-m", "benchmarks.evaluating.server", str(delay)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    try:
        assert process.stdout is not None
        yield Endpoint(int(process.stdout.readline()))
    finally:
        process.terminate()
        process.communicate()


class Server:
    """Answers calls on kept connections; bare sockets, so that it costs less than who calls it."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.seen = Seen()
        self._flying = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it is closed."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head.lower())
                body = await reader.readexactly(int(length[1])) if length else b""
                method, place = head.split(b" ", 2)[:2]
                writer.write(await self._answer(method.decode(), place.decode(), body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, method: str, place: str, body: bytes) -> bytes:
        if place == STATS:
            return _http(200, asdict(self.seen))
        if not place.endswith("/chat/completions") or method != "POST":
            self.seen.refused.append(f"{method} {place}")
            return _http(403, {"error": {"message": "this machine only"}})
        return await self._complete(body)

    async def _complete(self, body: bytes) -> bytes:
        self.seen.first = self.seen.first or time.monotonic()
        self._flying += 1
        self.seen.most = max(self.seen.most, self._flying)
        if self.delay:
            await asyncio.sleep(self.delay)
        content = json.loads(body)["messages"][-1]["content"]
        asked = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
        text, right = task.answered(asked)
        self._flying -= 1
        self.seen.calls += 1
        self.seen.right += right
        self.seen.last = time.monotonic()
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
        reply = {"id": f"c{self.seen.calls}", "object": "chat.completion", "created": 1, "model": "tiny"}
        return _http(200, {**reply, "choices": [choice], "usage": usage})


def _http(status: int, value: object) -> bytes:
    body = json.dumps(value).encode()
    return b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body)


async def main(delay: float) -> None:
    server = await asyncio.start_server(Server(delay).connected, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
