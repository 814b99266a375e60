"""The server that the benchmark of the pages asks, in a process of its own: python -m benchmarks.showing.server FOLDER PORT."""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn

from stellwerk.doors.guard import Policy
from stellwerk.doors.web.app import build
from stellwerk.workspace import Workspace

if __name__ == "__main__":
    port = int(sys.argv[2])
    policy = Policy(hosts=frozenset({f"127.0.0.1:{port}"}))
    uvicorn.run(build(Workspace(Path(sys.argv[1])), policy), host="127.0.0.1", port=port, log_level="warning")
