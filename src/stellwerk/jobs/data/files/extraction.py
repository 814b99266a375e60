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
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

from stellwerk.jobs.data.files.shapes import FileProblem, ReadOptions

MOST_DOCUMENTS = 200  # of one child
SLICE = 0.05  # seconds between looks at the child's memory
MEGABYTE = 2**20


class Extractor:
    """A child process that takes the text out of documents, started when it is first needed."""

    def __init__(self) -> None:
        self._children: list[subprocess.Popen[bytes]] = []
        self._served = 0
        self.close = weakref.finalize(self, _end, self._children)

    def ask(self, data: bytes, kind: str, options: ReadOptions) -> dict[str, Any]:
        """The child's answer for one document, as `extractor.answer` gives it.

        Raises:
            FileProblem: the document is locked, damaged, or broke a limit or the extractor.
        """
        child = self._child()
        ocr = "+".join(options.ocr_languages) if options.ocr else None
        request = {"kind": kind, "ocr": ocr, "megabytes": options.megabytes, "bytes": len(data)}
        assert child.stdin is not None
        try:
            child.stdin.write(json.dumps(request).encode() + b"\n")
            child.stdin.write(data)
            child.stdin.flush()
            line = self._answer(child, options)
        except BrokenPipeError:
            line = b""
        except BaseException:
            self._end()  # its answer would be taken for that of the next document
            raise
        if not line.endswith(b"\n"):
            self._end()
            raise FileProblem("extractor_failed", "made the extractor of documents crash, so it was left out; save it anew")
        self._served += 1
        found: dict[str, Any] = json.loads(line)
        if "problem" in found:
            raise FileProblem(*found["problem"])
        return found

    def _answer(self, child: subprocess.Popen[bytes], options: ReadOptions) -> bytes:
        """Wait for a line, and end the child when it takes too long or too much."""
        assert child.stdout is not None
        begun, before, line = time.monotonic(), _resident(child.pid), b""
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
                    self._end()
                    sentence = f"takes longer than {options.seconds:g} s to read; split it or raise documents.seconds"
                    raise FileProblem("too_slow", sentence)
                if _resident(child.pid) - before > options.megabytes * MEGABYTE:
                    self._end()
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
            )
            self._children.append(child)
            self._served = 0
        return self._children[0]

    def _end(self) -> None:
        _end(self._children)


@functools.cache
def extractor() -> Extractor:
    """The extractor of this process."""
    return Extractor()


def _end(children: list[subprocess.Popen[bytes]]) -> None:
    for child in children:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)  # with what it has started
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
