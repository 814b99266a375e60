"""The child process that takes the text out of documents: what is in a stranger's file may crash it, and only it.

It reads requests from standard input (a line of JSON, then the bytes of the document) and answers each with a line of JSON. It
holds itself to a limit of memory, has no network where the system lets it give that up, and ends when its parent does.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
import re
import resource
import signal
import sys
import threading
import time
from typing import Any

from stellwerk.jobs.data.files.shapes import FileProblem

_CLONE_NEWNET, _CLONE_NEWUSER = 0x40000000, 0x10000000
MEGABYTE = 2**20

OFFICE = {
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text",
    "msg": "application/vnd.ms-outlook",
}


def serve() -> None:
    """Answer requests from standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _leave_network()
    _end_with(int(sys.argv[1]))
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    requests = sys.stdin.buffer
    while line := requests.readline():
        asked = json.loads(line)
        data = requests.read(asked.pop("bytes"))
        print(json.dumps(answer(data, **asked)), file=answers, flush=True)


def answer(data: bytes, *, kind: str, ocr: str | None, megabytes: float) -> dict[str, Any]:
    """Take the text out of one document.

    Args:
        data: the document.
        kind: pdf, docx, pptx, odt or msg.
        ocr: the languages in which pages without text are read as pictures, as tesseract names them; None leaves them.
        megabytes: of memory that this may take beside what the process has.

    Returns:
        `title`, `pages` (a text each), `numbered` (whether they are pages of the format), `thin` (numbers of pages that are
        pictures without text); or `problem`, a rule and a reason.
    """
    from stellwerk.jobs.data.files import pdfpages  # loaded before the limit: libraries are no part of the document

    try:
        with _memory(megabytes):
            return pdfpages.extract(data, ocr) if kind == "pdf" else _office(data, kind)
    except FileProblem as problem:
        return {"problem": [problem.rule, problem.reason]}
    except MemoryError:
        return {"problem": ["too_large", f"needs more than {megabytes:g} MB of memory; split it or raise documents.megabytes"]}
    except BaseException as error:  # noqa: BLE001 - a fault of a library at this document; a panic of Rust is no Exception
        return {"problem": ["extractor_failed", f"could not be read ({type(error).__name__}); open it and save it again"]}


def extracted(data: bytes, mime: str, **config: Any) -> Any:
    """What kreuzberg takes out of a document."""
    import kreuzberg

    asked = kreuzberg.ExtractionConfig(
        use_cache=False,
        enable_quality_processing=False,
        output_format="markdown",
        disable_ocr=True,
        postprocessor=kreuzberg.PostProcessorConfig(enabled=False),
        concurrency=kreuzberg.ConcurrencyConfig(max_threads=1),
        **config,
    )
    try:
        return kreuzberg.extract_bytes_sync(data, mime, asked)
    except kreuzberg.KreuzbergError:
        # What it says may quote the document.
        reason = "is damaged or not what its name says; open it in its program and save it again"
        raise FileProblem("damaged_file", reason) from None


def _office(data: bytes, kind: str) -> dict[str, Any]:
    import kreuzberg

    found = extracted(data, OFFICE[kind], pages=kreuzberg.PageConfig(extract_pages=True))
    pages = cut(found.content, [page["content"] for page in found.pages or []])
    if kind == "pptx":
        pages = _slides(found.content, (found.metadata.get("pages") or {}).get("total_count"))
    title = found.metadata.get("title") or found.metadata.get("subject")
    return {"title": title, "pages": pages or [found.content], "numbered": bool(pages), "thin": []}


def _slides(content: str, count: int | None) -> list[str]:
    """Cut a text at the titles of its slides; nothing where a slide has none, since nobody could tell where it begins."""
    slides = [part.strip() for part in re.split(r"(?m)^(?=## )", content) if part.strip()]
    return slides if len(slides) == count else []


def cut(content: str, pages: list[str]) -> list[str]:
    """Cut a text where its pages begin, by their first words; nothing where one does not begin as it should.

    The text has the better tables, the pages are written another way.
    """
    starts, place = [], 0
    for page in pages:
        words = re.findall(r"\w+", page)[:8]
        found = re.compile(r"\W+".join(map(re.escape, words))).search(content, place) if words else None
        if words and found is None:
            return []
        place = found.start() if found else place
        starts.append(content.rfind("\n", 0, place) + 1)
    return [content[start:end].strip() for start, end in itertools.pairwise([*starts, len(content)])] if starts else []


@contextlib.contextmanager
def _memory(megabytes: float) -> Any:
    """Hold the process to what it has now and so much more."""
    pages = int(_statm().split()[0])
    limit = pages * resource.getpagesize() + int(megabytes * MEGABYTE)
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _statm() -> str:
    with open("/proc/self/statm") as file:  # noqa: PTH123 - nothing more is imported before the limits hold
        return file.read()


def _leave_network() -> None:
    """Go where there is no network; a system that does not allow it leaves the process as it is."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


def _end_with(parent: int) -> None:
    """End in the middle of a document too, when the process that started this one is gone."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os.killpg(0, signal.SIGKILL)  # with what it has started

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    serve()
