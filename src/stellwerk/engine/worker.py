"""A worker process: runs kernels that it is told, one line of JSON a call, and ends when its parent does.

Nothing is pickled: a kernel is named by module and function, data are read from the store and written to it. Loaded models and
compiled patterns stay in the process from call to call.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from typing import Any

from stellwerk.engine.ending import end_with
from stellwerk.engine.shards import read_shard, write_shard
from stellwerk.errors import StellwerkError, UserError, where
from stellwerk.store.store import PREFIX, Store, open_store


def work(store: Store, module: str, function: str, parameters: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, Any]:
    """Run a kernel on one item.

    Returns:
        `shard`, the reference of the result; or `error`, a sentence, with `by_user` or `trace`.
    """
    try:
        kernel = getattr(importlib.import_module(module), function)
        given = {name: _table(store, value) for name, value in item.items()}
        return {"shard": write_shard(store, kernel(**given, **parameters))}
    except StellwerkError as error:
        return {"error": str(error), "by_user": isinstance(error, UserError)}
    except Exception as error:  # noqa: BLE001 - reported by the run with its traceback
        # What a library says may quote the data, so the sentence leaves it out.
        return {"error": f"the kernel {function} failed: {where(error)}", "trace": traceback.format_exc()}


def serve() -> None:
    """Answer calls from standard input until it ends."""
    # Ctrl-C reaches the whole group; the parent decides what becomes of this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with(int(sys.argv[1]))
    # What a library prints must not get among the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        print(json.dumps(_answer(**json.loads(line))), file=answers, flush=True)


def _answer(store: str, **call: Any) -> dict[str, Any]:
    """Run a kernel for another process, and say how many bytes this added to the store."""
    try:
        opened = _opened(store)
    except StellwerkError as error:
        return {"error": str(error), "by_user": isinstance(error, UserError)}
    before = opened.written
    return {**work(opened, **call), "written": opened.written - before}


@functools.lru_cache(maxsize=2)
def _opened(address: str) -> Store:
    """A store stays open from call to call, with its connections and what it remembers."""
    return open_store(json.loads(address))


def _table(store: Store, value: Any) -> Any:
    return read_shard(store.path(value)) if isinstance(value, str) and value.startswith(PREFIX) else value


if __name__ == "__main__":
    serve()
