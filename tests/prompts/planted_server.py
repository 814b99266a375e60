"""The planted model behind an endpoint on loopback, which counts what it was asked, so that paying twice is seen."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from planted import PlantedModel

from stellwerk.llm.chat import from_json


class Server(ThreadingHTTPServer):
    """Answers `/chat/completions` as the planted model does.

    Attributes:
        asked: how often each question came.
        delay: seconds that an answer takes.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, delay: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: Counter[str] = Counter()
        self.delay = delay
        self.model = PlantedModel(0)
        self.lock = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that was killed is no error of the server."""

    @property
    def address(self) -> str:
        """Of the endpoint, as a model's file names it."""
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The models."""
        self._send({"object": "list", "data": [{"id": "planted", "object": "model"}]})

    def do_POST(self) -> None:
        """A chat."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            key = json.dumps(asked["messages"], sort_keys=True)
            repeat = self.server.asked[key]
            self.server.asked[key] += 1
            reply = asyncio.run(self.server.model.complete([from_json(m) for m in asked["messages"]], repeat=repeat))
        time.sleep(self.server.delay)
        message = {"role": "assistant", "content": reply.text}
        usage = {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}
        self._send({"model": "planted", "choices": [{"message": message, "finish_reason": "stop"}], "usage": usage})

    def _send(self, value: dict[str, Any]) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@contextmanager
def serving(delay: float = 0.0) -> Iterator[Server]:
    """A server for the time of a test."""
    with Server(delay) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
