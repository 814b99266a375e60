"""A workspace in which prompts, models and hostile answers were tested, and a model that sometimes gives no answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml
from sites import call

from stellwerk.workspace import Workspace

PLANTED = "<script>alert(1)</script><img src=x onerror=alert(2)>"
TURNED = "abc\u202egnp.exe\u2066"
LONG = "x" * 30_000
CASES = 130  # for testing; some pages of calls
PROMPT = """---
name: {name}
inputs:
  - {{name: a, kind: integer}}
  - {{name: b, kind: integer}}
---
system:
You add two numbers and answer with the sum alone, {words}.

user:
Add: {{{{a}}}} + {{{{b}}}}
"""
ECHO = "---\nname: echo\ninputs:\n  - {name: text, kind: string}\n---\nuser:\n{{text}}\n"


def write(workspace: Workspace, name: str, content: Any) -> None:
    """Write a file of the workspace; what is no text becomes YAML."""
    path = workspace.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def prepare(workspace: Workspace) -> None:
    """Prompts, models and suites, and nothing tested."""
    for name, words in (("adding", "with no word beside it"), ("adding-short", "briefly")):
        write(workspace, f"prompts/{name}.prompty", PROMPT.format(name=name, words=words))
    write(workspace, "prompts/echo.prompty", ECHO)
    price = [{"input": 0.4, "output": 1.6, "currency": "EUR", "since": "2026-01-01"}]
    for name, accuracy in (("good", 0.9), ("weak", 0.5)):
        plan = {"plan": "sums", "seed": 3, "options": {"accuracy": accuracy}}
        write(workspace, f"models/{name}.yaml", {"simulated": plan, "price": price})
    write(workspace, "models/mirror.yaml", {"simulated": {"plan": "echo"}})
    tests = [
        {"vars": {"a": n, "b": 7}, "assert": [{"type": "equals", "value": str(n + 7)}], "metadata": {"id": f"sum-{n:03}"}}
        for n in range(CASES)
    ]
    write(
        workspace,
        "suites/sums.yaml",
        {"description": "Sums of two numbers", "tests": tests, "splits": {"test": 1.0}, "unwanted": [{"prompt_leak": None}]},
    )
    hostile = [{"vars": {"text": text}, "assert": [{"type": "equals", "value": PLANTED}]} for text in (PLANTED, TURNED, LONG)]
    write(workspace, "suites/hostile.yaml", {"description": f"Hostile {PLANTED}", "tests": hostile, "splits": {"test": 1.0}})


def ask_all(workspace: Workspace) -> dict[str, str]:
    """Test what `prepare` wrote; gives the first digits of each run."""
    prepare(workspace)
    runs = {
        "good": call(workspace, "prompts.test", prompt="adding", suite="sums", model="good").run,
        "short": call(workspace, "prompts.test", prompt="adding-short", suite="sums", model="good").run,
        "weak": call(workspace, "prompts.test", prompt="adding", suite="sums", model="weak").run,
        "hostile": call(workspace, "prompts.test", prompt="echo", suite="hostile", model="mirror").run,
    }
    compared = call(
        workspace, "prompts.compare", first="adding", second="adding", suite="sums", model="good", second_model="weak"
    )
    return runs | {"compared": compared.runs[0].partition(":")[0]}


@contextmanager
def breaking() -> Iterator[str]:
    """A model on loopback that repeats the question, and breaks down where it holds `break`; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"][-1]["content"]
            if "break" in asked:
                self._send(500, {"error": {"message": "it broke"}})
                return
            message = {"role": "assistant", "content": asked}
            self._send(200, {"model": "tiny", "choices": [{"message": message, "finish_reason": "stop"}]})

        def do_GET(self) -> None:
            self._send(200, {"data": [{"id": "tiny"}]})

        def _send(self, status: int, value: Any) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
