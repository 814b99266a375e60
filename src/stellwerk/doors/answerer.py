"""The process that answers queries for a server, so that one that takes too long can be ended and its memory given back.

Calls come as lines of JSON on standard input; each answer is a line that says what it is and how long, and then its bytes.
It ends with its server, or when nobody has asked for a while.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stellwerk.engine.ending import end_with

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace

IDLE = 300.0  # seconds


def serve(folder: Path) -> None:
    """Answer calls until standard input ends, or rests for long."""
    from stellwerk.workspace import Workspace

    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    _be_quiet()
    calls = os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0)
    workspace = Workspace(folder)
    rest = b""
    while select.select([calls], [], [], IDLE)[0]:
        part = calls.read(1 << 16)
        if not part:
            return
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            kind, content = answer(workspace, json.loads(line))
            answers.write(json.dumps({"kind": kind, "bytes": len(content)}).encode() + b"\n" + content)
            answers.flush()


def answer(workspace: Workspace, call: dict[str, Any]) -> tuple[str, bytes]:
    """One answer.

    Returns:
        `result` and its JSON; or the kind of error (`user`, `conflict`, `away`, `fault`) and its sentence.
    """
    from stellwerk.doors import answering
    from stellwerk.errors import StellwerkError, UserError, where
    from stellwerk.operation import find
    from stellwerk.record.connecting import RecordUnreachable
    from stellwerk.runs import execution

    theirs = workspace.acting(call["actor"], call["authenticated"])
    try:
        operation = find(call["operation"])
        if run := call.get("run"):
            execution.execute(theirs, run, call["values"])
            return "result", b"null"
        return "result", answering.as_json(execution.call(theirs, operation, call["values"]))
    except execution.Conflict as error:
        return "conflict", str(error).encode(errors="replace")
    except UserError as error:
        return "user", str(error).encode(errors="replace")
    except RecordUnreachable as error:
        return "away", str(error).encode(errors="replace")
    except StellwerkError as error:
        return "fault", str(error).encode(errors="replace")
    except Exception as error:  # noqa: BLE001 - what a library says may quote the data, so only the place is told
        return "fault", f"a fault of Stellwerk: {where(error)}".encode()


def _be_quiet() -> None:
    """What a library prints must not get among the answers, and may quote the data."""
    loud = bool(os.environ.get("STELLWERK_DEBUG"))
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(sys.stderr.fileno() if loud else nothing, sys.stdout.fileno())
    if not loud:
        os.dup2(nothing, sys.stderr.fileno())


if __name__ == "__main__":
    # Ctrl-C reaches the whole group; the server decides what becomes of this process. A run is stopped by an interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler if sys.argv[3:] == ["run"] else signal.SIG_IGN)
    end_with(int(sys.argv[2]))
    serve(Path(sys.argv[1]))
