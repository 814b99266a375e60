"""A few worker processes that stay from map to map, so that start-up and loading are paid once for a run."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress

from stellwerk.errors import StellwerkError

Worker = subprocess.Popen[bytes]


class Pool:
    """Workers that are started when they are first needed, and end with this process at the latest."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._idle: list[Worker] = []
        self.close = weakref.finalize(self, _end, self._idle)

    def run(self, calls: Sequence[str]) -> Iterator[tuple[int, str]]:
        """Give calls to the workers.

        Args:
            calls: lines for `worker.serve`.

        Yields:
            The index of a call and its answer, in the order in which they come.

        Raises:
            StellwerkError: a worker died.
        """
        todo, busy = deque(enumerate(calls)), dict[Worker, int]()
        try:
            with selectors.DefaultSelector() as selector:
                while todo or busy:
                    while todo and len(busy) < self.size:
                        index, call = todo.popleft()
                        worker = self._send(call)
                        busy[worker] = index
                        selector.register(worker.stdout, selectors.EVENT_READ, worker)  # type: ignore[arg-type]
                    for key, _ in selector.select():
                        worker = key.data
                        selector.unregister(key.fileobj)
                        answer = worker.stdout.readline()
                        if not answer.endswith(b"\n"):
                            raise StellwerkError(f"a worker process died ({_cause(worker)}); start the command again")
                        self._idle.append(worker)
                        yield busy.pop(worker), answer.decode()
        finally:
            _end(list(busy))

    def _send(self, call: str) -> Worker:
        """Give a call to a worker that is free, or to a new one."""
        while self._idle:
            worker = self._idle.pop()
            # One that died while it waited is replaced.
            with suppress(BrokenPipeError):
                _write(worker, call)
                return worker
            _end([worker])
        command = [sys.executable, "-m", "stellwerk.engine.worker", str(os.getpid())]
        # Ctrl-C reaches the whole group. A worker inherits that it does not listen, from its first moment on.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - our own module
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        try:
            _write(worker, call)
        except BrokenPipeError:
            cause = _cause(worker)
            _end([worker])
            raise StellwerkError(f"a worker process could not be started ({cause})") from None
        return worker


def _write(worker: Worker, call: str) -> None:
    assert worker.stdin is not None
    worker.stdin.write(call.encode() + b"\n")
    worker.stdin.flush()


def _cause(worker: Worker) -> str:
    code = worker.wait()
    return "killed, perhaps for want of memory" if code == -9 else f"exit code {code}"


def _end(workers: list[Worker]) -> None:
    for worker in workers:
        worker.kill()
    for worker in workers:
        worker.wait()
        for pipe in (worker.stdin, worker.stdout):
            with suppress(BrokenPipeError):
                pipe.close()  # type: ignore[union-attr]
    workers.clear()
