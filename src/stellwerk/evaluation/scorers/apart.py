"""Matches regular expressions and JSON Schemas in processes of their own, each of which is ended when one takes too long.

Knows nothing of checks. A pattern such as (a+)+$ takes centuries on forty letters, and so do references that branch at each
level; Python cannot stop them from within.
"""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Any

SECONDS = 1.0
# Nothing is fetched: a registry that knows no schema but the given one has nothing to look up elsewhere.
_CHILD = """
import functools, json, re, sys

@functools.lru_cache(maxsize=256)
def validator(schema):
    import jsonschema, referencing
    parsed = json.loads(schema)
    return jsonschema.validators.validator_for(parsed, jsonschema.Draft202012Validator)(parsed, registry=referencing.Registry())

def misfit(schema, value):
    try:
        error = next(validator(schema).iter_errors(value), None)
    except Exception as error:
        return "$: " + type(error).__name__
    return error.json_path + ": " + error.validator if error else ""

if sys.argv[1] == "schema":
    import jsonschema, referencing
sys.stdout.write("ready\\n")
sys.stdout.flush()
for line in sys.stdin:
    given = json.loads(line)
    answer = misfit(*given) if sys.argv[1] == "schema" else bool(re.search(given[0], given[2], given[1]))
    sys.stdout.write(json.dumps(answer) + "\\n")
    sys.stdout.flush()
"""
_lock = threading.Lock()
_children: dict[str, subprocess.Popen[bytes]] = {}


def search(pattern: str, flags: int, text: str) -> bool | None:
    """Whether a pattern matches somewhere in a text; None where that took longer than a second.

    Args:
        pattern: of Python's `re`, known to compile.
        flags: of `re`.
        text: to search.
    """
    answer = _asked("pattern", pattern, int(flags), text)
    return None if answer is None else bool(answer)


def misfit(schema: str, value: Any) -> str | None:
    """Where a value does not fit a schema, empty where it fits; None where that took longer than a second.

    Args:
        schema: as JSON, known to be one.
        value: JSON.
    """
    answer = _asked("schema", schema, value)
    return None if answer is None else str(answer)


def _asked(kind: str, *question: Any) -> Any:
    with _lock:
        process = _running(kind)
        late = threading.Timer(SECONDS, process.kill)
        late.start()
        try:
            assert process.stdin and process.stdout
            process.stdin.write(json.dumps(question).encode() + b"\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except (OSError, RecursionError):
            answer = b""
        finally:
            late.cancel()
        if not answer.endswith(b"\n"):
            _end(kind)
            return None
        return json.loads(answer)


def _running(kind: str) -> subprocess.Popen[bytes]:
    """The process, ready to be asked: what it needs to start is not taken from the first question's second."""
    if kind not in _children or _children[kind].poll() is not None:
        _end(kind)
        arguments = [sys.executable, "-I", "-c", _CHILD, kind]
        _children[kind] = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # noqa: S603
        out = _children[kind].stdout
        assert out
        out.readline()
    return _children[kind]


def _end(kind: str) -> None:
    child = _children.pop(kind, None)
    if child is None:
        return
    with suppress(OSError):
        child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout):
        with suppress(OSError):
            if pipe:
                pipe.close()


@atexit.register
def _end_all() -> None:
    for kind in list(_children):
        _end(kind)
