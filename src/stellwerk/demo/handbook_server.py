"""The sample company's REST API: serves the service handbook from raw/handbook.json on this machine only.

It behaves as such servers do: pages with a `next` link, a bearer token, and now and then 429 with Retry-After. It reads the
file for each answer, so an edit shows at once. The address and the token reach the spec as environment variables.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from stellwerk.demo.knowledge_base import HANDBOOK

HOST: Final = "127.0.0.1"
PATH: Final = "/api/articles"
ADDRESS: Final = "STELLWERK_DEMO_KB"
TOKEN: Final = "STELLWERK_DEMO_TOKEN"  # noqa: S105 (the name of a variable)
PER_PAGE: Final = 12
REFUSED: Final = 4  # each fourth request is one too many
RETRY_SECONDS: Final = 1


@dataclass(frozen=True)
class Serving:
    """Where the API answers, and to whom."""

    address: str
    token: str

    @property
    def port(self) -> int:
        """The port of the address."""
        return urlsplit(self.address).port or 0

    def exports(self) -> list[str]:
        """The shell's lines that hand both to a build."""
        return [f"export {ADDRESS}={self.address}", f"export {TOKEN}={self.token}"]


@contextmanager
def serving(folder: Path, port: int = 0) -> Iterator[Serving]:
    """Serve a demo's handbook while the block runs, and name it in the environment.

    Args:
        folder: the workspace.
        port: the one that is asked for; another free one where it is taken. With 0 the system chooses.
    """
    token = secrets.token_urlsafe(24)
    server = _listen(folder / HANDBOOK, token, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="handbook", daemon=True)
    thread.start()
    found = Serving(f"http://{HOST}:{server.server_address[1]}{PATH}", token)
    before = {name: os.environ.get(name) for name in (ADDRESS, TOKEN)}
    os.environ.update({ADDRESS: found.address, TOKEN: token})
    try:
        yield found
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, path: Path, token: str) -> None:
        self.path, self.token, self.asked, self.lock = path, token, 0, threading.Lock()
        super().__init__((HOST, port), _Handler)


def _listen(path: Path, token: str, port: int) -> _Server:
    try:
        return _Server(port, path, token)
    except OSError:
        return _Server(0, path, token)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        """Answer with a page of articles, or say why not."""
        asked = urlsplit(self.path)
        wanted = f"Bearer {self.server.token}".encode()
        if not hmac.compare_digest(self.headers.get("Authorization", "").encode("utf-8", "replace"), wanted):
            self._answer(HTTPStatus.UNAUTHORIZED, {"error": "a bearer token is needed"}, {"WWW-Authenticate": "Bearer"})
        elif asked.path != PATH:
            self._answer(HTTPStatus.NOT_FOUND, {"error": "there is only /api/articles"})
        elif self._too_many():
            self._answer(HTTPStatus.TOO_MANY_REQUESTS, {"error": "slow down"}, {"Retry-After": str(RETRY_SECONDS)})
        else:
            self._page({name: values[-1] for name, values in parse_qs(asked.query).items()})

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a terminal shows the demo."""

    def _too_many(self) -> bool:
        with self.server.lock:
            self.server.asked += 1
            return self.server.asked % REFUSED == 0

    def _page(self, asked: dict[str, str]) -> None:
        articles = json.loads(self.server.path.read_text(encoding="utf-8"))["articles"]
        since = asked.get("updated_since", "")
        chosen = [article for article in articles if article["updated_at"] >= since]
        number = int(asked["page"]) if asked.get("page", "").isdecimal() else 1
        page = chosen[(number - 1) * PER_PAGE : number * PER_PAGE]
        following = None
        if number * PER_PAGE < len(chosen):
            query = urlencode({**asked, "page": number + 1})
            following = f"http://{HOST}:{self.server.server_address[1]}{PATH}?{query}"
        self._answer(HTTPStatus.OK, {"articles": page, "total": len(chosen), "next": following})

    def _answer(self, status: HTTPStatus, content: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        body = json.dumps(content, ensure_ascii=False).encode("utf-8")
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
