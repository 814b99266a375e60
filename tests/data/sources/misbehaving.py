"""A web server on this machine that behaves as a test tells it to, or misbehaves: slow, broken off, endless, lying."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

SECRET = "geheim77"  # in the key file of the tests' workspace, and to be found nowhere else


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    number: int  # of requests to this path, from 1


@dataclass
class Reply:
    """An answer.

    Attributes:
        body: bytes, or JSON.
        length: what Content-Length claims; None claims the truth, -1 sends none.
        wait: seconds before the answer begins.
        reset: the connection is reset after the body instead of closed.
        drip: seconds between the bytes of the body.
        more: further parts of the body, sent after it as they come.
    """

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    wait: float = 0
    reset: bool = False
    drip: float = 0
    more: Iterable[bytes] = ()


class Server:
    """Answers by path; notes what was asked."""

    def __init__(self, certificate: tuple[Path, Path] | None = None) -> None:
        self.routes: dict[str, Callable[[Asked], Reply]] = {}
        self.asked: list[Asked] = []
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self.scheme = "https" if certificate else "http"
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """The address of a path."""
        return f"{self.scheme}://{host}:{self.port}{path}"

    def on(self, path: str, *replies: Reply | Callable[[Asked], Reply]) -> str:
        """Answer a path: with a function, or with replies in turn, the last one again and again. Returns the address."""

        def answer(asked: Asked) -> Reply:
            reply = replies[min(asked.number, len(replies)) - 1]
            return reply if isinstance(reply, Reply) else reply(asked)

        self.routes[path] = answer
        return self.url(path)

    def to(self, path: str) -> list[Asked]:
        """What was asked of a path."""
        return [asked for asked in self.asked if asked.path == path]

    def _note(self, handler: BaseHTTPRequestHandler) -> Asked:
        parts = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        with self._lock:
            number = len(self.to(parts.path)) + 1
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            asked = Asked(handler.command, parts.path, query, dict(handler.headers), body, number)
            self.asked.append(asked)
        return asked

    def _handler(server) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - self is the handler's within
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                asked = server._note(self)
                route = server.routes.get(asked.path)
                try:
                    _send(self, route(asked) if route else Reply(status=404))
                except (OSError, ssl.SSLError):
                    self.close_connection = True

            do_POST = do_GET  # noqa: N815 - the name that the library calls

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing is written to the terminal."""

        return Handler


def _send(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
    time.sleep(reply.wait)
    handler.send_response(reply.status)
    headers = {"Content-Type": "application/json", **reply.headers}
    if reply.length != -1 and reply.status != 304:
        headers["Content-Length"] = str(len(body) if reply.length is None else reply.length)
    if reply.length is not None:
        headers["Connection"] = "close"
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    for byte in [body[at : at + 1] for at in range(len(body))] if reply.drip else [body]:
        handler.wfile.write(byte)
        handler.wfile.flush()
        time.sleep(reply.drip)
    for part in reply.more:
        handler.wfile.write(part)
    if reply.reset:
        handler.wfile.flush()
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = handler.close_connection or reply.length is not None or reply.reset
