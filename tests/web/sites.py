"""Small workspaces, the server that shows one, and a visitor who reads and posts as a browser without scripts does."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any

import httpx
import uvicorn
import yaml

from stellwerk.doors.binding import policy_for, server_options
from stellwerk.doors.web.app import build
from stellwerk.operation import find
from stellwerk.runs import execution
from stellwerk.workspace import Workspace

TICKETS = [
    {"id": f"T-{n:03}", "text": f"Pump {n} stands still since Monday, please send somebody who repairs it.", "intent": "repair"}
    for n in range(1, 41)
]
ARTICLES = [
    {"id": f"A-{n:03}", "text": f"Article {n}: how to change the seal of a pump, in {n} steps.", "title": f"Seal {n}"}
    for n in range(1, 25)
]
SYSTEM = {
    "purpose": "Answer letters to the support desk",
    "owner": "support-desk@example.com",
    "role": "deployer",
    "binds": ["dataset/knowledge"],
}


class Visitor(httpx.Client):
    """A browser without scripts: it keeps cookies, follows redirects, and posts a form with the token that the page holds."""

    workspace: Workspace

    def __init__(self, address: str, language: str = "en") -> None:
        super().__init__(base_url=address, follow_redirects=True, headers={"accept-language": language}, timeout=60)

    def read(self, path: str, language: str | None = None) -> str:
        """The page of an address, which has to be there."""
        answer = self.get(path, headers={"accept-language": language} if language else None)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {visible(answer.text)[:300]}"
        return answer.text

    def submit(self, path: str, /, on: str = "/", **fields: Any) -> httpx.Response:
        """Post a form as the page `on` shows it."""
        token = re.search(r'(?:name="csrf" value="|X-CSRF-Token": ")([^"]*)"', self.read(on))
        assert token, f"{on} holds no token"
        return self.post(path, data={"csrf": unescape(token[1]), **fields}, headers={"origin": str(self.base_url).rstrip("/")})


@contextmanager
def served(workspace: Workspace, *, login: bool = False) -> Iterator[str]:
    """Serve a workspace on a free port of loopback while the block runs; gives the address.

    Args:
        workspace: whose pages are served.
        login: whether an account is asked for.
    """
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        policy = policy_for(workspace, "127.0.0.1", port, login=login)
        config = uvicorn.Config(build(workspace, policy), lifespan="on", **{**server_options(policy), "log_level": "warning"})
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        until = time.monotonic() + 60
        while not server.started:
            assert thread.is_alive() and time.monotonic() < until, "the server did not start"
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join(timeout=60)
            assert not thread.is_alive()


def write_dataset(workspace: Workspace, name: str, rows: list[dict[str, Any]], **fields: Any) -> None:
    """Write raw/NAME.jsonl and datasets/NAME.yaml."""
    for folder in ("raw", "datasets"):
        (workspace.root / folder).mkdir(exist_ok=True)
    (workspace.root / "raw" / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = {"name": "main", "files": f"raw/{name}.jsonl", "key": "id", "text": "text"}
    spec = {
        "purpose": f"Hold {name}",
        "owner": "data@example.com",
        "licence": "proprietary",
        "legal_basis": "GDPR Art. 6(1)(f)",
        "sources": [source],
        **fields,
    }
    (workspace.root / "datasets" / f"{name}.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))


def write_system(workspace: Workspace, name: str, **fields: Any) -> None:
    """Write systems/NAME.yaml."""
    (workspace.root / "systems").mkdir(exist_ok=True)
    (workspace.root / "systems" / f"{name}.yaml").write_text(yaml.safe_dump(fields, sort_keys=False))


def call(workspace: Workspace, path: str, **values: Any) -> Any:
    """Call an operation in this process."""
    return execution.call(workspace, find(path), values)


def visible(html: str) -> str:
    """What a reader sees of a page, with single spaces."""
    return " ".join(unescape(re.sub(r"<(script|style|title)\b.*?</\1>|<[^>]+>", " ", html, flags=re.DOTALL)).split())
