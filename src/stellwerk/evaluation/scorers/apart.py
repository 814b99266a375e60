"""Matches regular expressions in a process of its own, which is ended when one takes too long.

Knows nothing of checks. A pattern such as (a+)+$ takes centuries on forty letters; Python cannot stop it from within.
"""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
import threading
from contextlib import suppress

SECONDS = 1.0
_CHILD = """
import json, re, sys
for line in sys.stdin:
    pattern, flags, text = json.loads(line)
    sys.stdout.write("1" if re.search(pattern, text, flags) else "0")
    sys.stdout.flush()
"""
_lock = threading.Lock()
_child: subprocess.Popen[bytes] | None = None


def search(pattern: str, flags: int, text: str) -> bool | None:
    """Whether a pattern matches somewhere in a text; None where that took longer than a second.

    Args:
        pattern: of Python's `re`, known to compile.
        flags: of `re`.
        text: to search.
    """
    with _lock:
        process = _running()
        late = threading.Timer(SECONDS, process.kill)
        late.start()
        try:
            assert process.stdin and process.stdout
            process.stdin.write(json.dumps([pattern, int(flags), text]).encode() + b"\n")
            process.stdin.flush()
            answer = process.stdout.read(1)
        except OSError:
            answer = b""
        finally:
            late.cancel()
        if not answer:
            _end()
            return None
        return answer == b"1"


def _running() -> subprocess.Popen[bytes]:
    global _child
    if _child is None or _child.poll() is not None:
        _end()
        arguments = [sys.executable, "-I", "-c", _CHILD]
        _child = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # noqa: S603
    return _child


def _end() -> None:
    global _child
    if _child is not None:
        with suppress(OSError):
            _child.kill()
        _child.wait()
        for pipe in (_child.stdin, _child.stdout):
            with suppress(OSError):
                if pipe:
                    pipe.close()
    _child = None


atexit.register(_end)
