"""The servers of the tests end with the process that started them, however that ends."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import servers

STARTS = """
import servers, signal
with servers.{kind}() as server:
    print(server.port, server.folder, flush=True)
    signal.pause()
"""


@pytest.mark.parametrize("kind", ["PostgreSQL", "MariaDB"])
def test_a_killed_process_leaves_no_server(kind: str) -> None:
    server = getattr(servers, kind)()
    server.binary(server.program)  # skips where it is absent
    with subprocess.Popen(
        [sys.executable, "-c", STARTS.format(kind=kind)], stdout=subprocess.PIPE, cwd=Path(__file__).parent, text=True
    ) as owner:
        assert owner.stdout
        port, folder = owner.stdout.readline().split()
        socket.create_connection(("127.0.0.1", int(port))).close()
        owner.send_signal(signal.SIGKILL)
    end = time.monotonic() + 30
    while _answers(int(port)):
        assert time.monotonic() < end, "the server is still there"
        time.sleep(0.05)
    shutil.rmtree(folder)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
