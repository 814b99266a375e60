"""Asking the child process for the text of a document, with limits of time and memory.

One child serves documents one after the other and is replaced after a crash, a broken limit, or many documents, because
extractors leak. Whatever happens to it becomes a sentence about the document, and the next one is read by a fresh child.
"""

from __future__ import annotations

import functools
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

from stellwerk.jobs.data.files.shapes import FileProblem, ReadOptions

MOST_DOCUMENTS = 200  # of one child
SLICE = 0.05  # seconds between looks at the child's memory
MEGABYTE = 2**20
KEPT = frozenset(("PATH", "LANG", "LD_LIBRARY_PATH", "TMPDIR", "VIRTUAL_ENV", "HOME", "COVERAGE_PROCESS_START"))


class Extractor:
    """A child process that takes the text out of documents, started when it is first needed."""

    def __init__(self) -> None:
        self._children: list[subprocess.Popen[bytes]] = []
        self._served = 0
        self._lock = threading.Lock()  # a door may read in several threads
        self.close = weakref.finalize(self, _end, self._children)

    def ask(self, data: bytes, kind: str, options: ReadOptions) -> dict[str, Any]:
        """The child's answer for one document, as `extractor.answer` gives it.

        Raises:
            FileProblem: the document is locked, damaged, or broke a limit or the extractor.
        """
        ocr = "+".join(options.ocr_languages) if options.ocr else None
        request = {"kind": kind, "ocr": ocr, "megabytes": options.megabytes, "bytes": len(data)}
        with self._lock:
            line = self._line(json.dumps(request).encode() + b"\n", data, options)
        found: dict[str, Any] = json.loads(line)
        if "problem" in found:
            raise FileProblem(*found["problem"])
        return found

    def _line(self, request: bytes, data: bytes, options: ReadOptions) -> bytes | bytearray:
        """The answer to a request; a child that dies is replaced once, for it may have died of something else."""
        for _ in range(2):
            child = self._child()
            try:
                _write(child, request)
                _write(child, data)
                line = self._answer(child, options)
            except BrokenPipeError:
                line = b""
            except BaseException:
                self._end()  # or the next document would get the answer to this one
                raise
            if line.endswith(b"\n"):
                self._served += 1
                return line
            if _aborted(child):
                self._end()
                sentence = f"made the extractor stop, most likely for want of memory ({options.megabytes:g} MB)"
                raise FileProblem("too_large", f"{sentence}; split it or raise documents.megabytes")
            self._end()
        raise FileProblem("extractor_failed", "made the extractor of documents crash, so it was left out; save it anew")

    def _answer(self, child: subprocess.Popen[bytes], options: ReadOptions) -> bytes | bytearray:
        """Wait for a line, and end the child when it takes too long or too much."""
        assert child.stdout is not None
        begun, before, line = time.monotonic(), _resident(child.pid), bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if selector.select(SLICE):
                    piece = os.read(child.stdout.fileno(), MEGABYTE)
                    if not piece:
                        return b""
                    line += piece
                    continue
                if time.monotonic() - begun > options.seconds:
                    sentence = f"takes longer than {options.seconds:g} s to read; split it or raise documents.seconds"
                    raise FileProblem("too_slow", sentence)
                if _resident(child.pid) - before > options.megabytes * MEGABYTE:
                    sentence = f"needs more than {options.megabytes:g} MB of memory; split it or raise documents.megabytes"
                    raise FileProblem("too_large", sentence)
        return line

    def _child(self) -> subprocess.Popen[bytes]:
        if self._children and (self._served >= MOST_DOCUMENTS or self._children[0].poll() is not None):
            self._end()
        if not self._children:
            command = [sys.executable, "-P", "-m", "stellwerk.jobs.data.files.extractor", str(os.getpid())]
            # Libraries print; what they print may quote the document.
            child = subprocess.Popen(  # noqa: S603 - our own module
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                start_new_session=True,
                env=_environment(),
            )
            self._children.append(child)
            child.stdout.readline()  # type: ignore[union-attr]  # it is ready: its start is no time of the document
            self._served = 0
        return self._children[0]

    def _end(self) -> None:
        _end(self._children)


@functools.cache
def extractor() -> Extractor:
    """The extractor of this process."""
    return Extractor()


def _aborted(child: subprocess.Popen[bytes]) -> bool:
    """Whether a child whose answers ended stopped itself, as Rust and C++ do when they get no memory."""
    with suppress(subprocess.TimeoutExpired):
        return child.wait(1) == -signal.SIGABRT
    return False


def _write(child: subprocess.Popen[bytes], data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        # A signal may end a write to a pipe before all is written.
        rest = rest[os.write(child.stdin.fileno(), rest[:MEGABYTE]) :]  # type: ignore[union-attr]


def _environment() -> dict[str, str]:
    """What the child is told of this process's surroundings: no credential."""
    return {name: value for name, value in os.environ.items() if name in KEPT or name.startswith(("LC_", "PYTHON"))}


def _end(children: list[subprocess.Popen[bytes]]) -> None:
    for child in children:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)  # a picture that is being read ends with it
        child.wait()
        for pipe in (child.stdin, child.stdout):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
    children.clear()


def _resident(process: int) -> int:
    """Bytes of memory that a process and its children hold."""
    total = 0
    with suppress(OSError, ValueError, IndexError):
        total = int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        for line in Path(f"/proc/{process}/task/{process}/children").read_text().split():
            total += _resident(int(line))
    return total
