"""The child process that takes the text out of documents: what is in a stranger's file may crash it, and only it.

It reads requests from standard input (a line of JSON, then the bytes of the document) and answers each with a line of JSON. It
holds itself to a limit of memory, has no network where the system lets it give that up, and ends when its parent does.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import io
import itertools
import json
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import zipfile
import zlib
from typing import Any

from stellwerk.engine.ending import end_with
from stellwerk.jobs.data.files.shapes import FileProblem

_CLONE_NEWNET, _CLONE_NEWUSER = 0x40000000, 0x10000000
MEGABYTE = 2**20

SLIDE = "\U0010fff9slide\U0010fff9"
_HEAD = re.compile("(Subject|From|To|CC|BCC|Date): ")
_AWAY = {sign: chr(0x10FFF0 + place) for place, sign in enumerate("&<>\"'")}
_BACK = {ord(away): sign for sign, away in _AWAY.items()}
_NAMED = {b"amp": "&", b"lt": "<", b"gt": ">", b"quot": '"', b"apos": "'"}
_REFERENCE = re.compile(rb"&(?:(amp|lt|gt|quot|apos)|#([0-9]{1,7})|#[xX]([0-9a-fA-F]{1,6}));")

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
    end_with(int(sys.argv[1]), lambda: os.killpg(0, signal.SIGKILL))  # with what it has started
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    print("ready", file=answers, flush=True)
    requests = sys.stdin.buffer
    while line := requests.readline():
        asked = json.loads(line)
        data = requests.read(asked.pop("bytes"))
        print(json.dumps(answer(data, **asked)), file=answers, flush=True)


def answer(data: bytes, *, kind: str, ocr: str | None, megabytes: float) -> dict[str, Any]:
    """Take the text out of one document.

    Args:
        data: the document.
        kind: pdf, docx, pptx, odt, msg, or html (UTF-8).
        ocr: the languages in which pages without text are read as pictures, as tesseract names them; None leaves them.
        megabytes: of memory that this may take beside what the process has.

    Returns:
        `title`, `pages` (a text each), `numbered` (whether they are pages of the format), `thin` (numbers of pages that are
        pictures without text), `notes` (sentences on what was left out), of a msg also `headers` and how many `attachments`;
        or `problem`, a rule and a reason.
    """
    # Loaded before the limit: libraries are no part of the document.
    if kind == "html":
        from stellwerk.jobs.data.files import webpage
    else:
        _load()
        from stellwerk.jobs.data.files import pdfpages

    try:
        with _memory(megabytes):
            if kind == "html":
                return webpage.extract(data.decode())
            if kind == "pdf":
                return pdfpages.extract(data, ocr)
            return _outlook(data) if kind == "msg" else _office(data, kind)
    except FileProblem as problem:
        return {"problem": [problem.rule, problem.reason]}
    except MemoryError:
        return {"problem": ["too_large", f"needs more than {megabytes:g} MB of memory; split it or raise documents.megabytes"]}
    except BaseException as error:  # noqa: BLE001 - a fault of a library at this document; a panic of Rust is no Exception
        return {"problem": ["extractor_failed", f"could not be read ({type(error).__name__}); open it and save it again"]}


def extracted(data: bytes, mime: str, form: str = "markdown", **config: Any) -> Any:
    """What kreuzberg takes out of a document."""
    import kreuzberg

    asked = kreuzberg.ExtractionConfig(
        use_cache=False,
        enable_quality_processing=False,
        output_format=form,
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

    if kind == "docx":
        data = signs_kept(data)
    slides = {"insert_page_markers": True, "marker_format": f"\n\n{SLIDE}\n\n"} if kind == "pptx" else {}
    found = extracted(data, OFFICE[kind], pages=kreuzberg.PageConfig(extract_pages=True, **slides))
    if kind == "pptx":
        first, *pages = [page.strip() for page in found.content.split(SLIDE)]
        pages = pages if not first else []
    else:
        pages = cut(found.content, [page["content"] for page in found.pages or []])
    title = found.metadata.get("title") or found.metadata.get("subject") or ""
    # A text whose program noted no page breaks is not known to be one page.
    numbered = bool(pages) if kind == "pptx" else len(pages) > 1
    return {
        "title": signs_back(title),
        "pages": [plain(signs_back(page)) for page in pages or [found.content]],
        "numbered": numbered,
        "thin": [],
    }


def _outlook(data: bytes) -> dict[str, Any]:
    found = extracted(data, OFFICE["msg"], form="plain")  # as Markdown its lines are joined
    told, text = found.metadata, found.content.replace("\r\n", "\n")
    if _HEAD.match(text):
        text = text.partition("\n\n")[2]
    names = {"from": "from_email", "to": "to_emails", "cc": "cc_emails", "message-id": "message_id", "date": "created_at"}
    headers = {name: told.get(key) or [] for name, key in names.items()}
    return {
        "title": told.get("subject"),
        "pages": [text],
        "numbered": False,
        "thin": [],
        "headers": {name: value if isinstance(value, list) else [value] for name, value in headers.items()},
        "attachments": len(told.get("attachments") or []),
    }


def signs_kept(data: bytes) -> bytes:
    """A Word file with other signs for &, < and >, since kreuzberg 4.10 leaves out what XML writes as `&amp;`."""
    out = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as new:
            for entry in old.infolist():
                part = old.read(entry)
                changed = entry.filename.endswith(".xml") and entry.filename != "[Content_Types].xml"
                new.writestr(entry.filename, _REFERENCE.sub(_sign, part) if changed else part)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError):
        return data  # what is wrong with it is said where it is read
    return out.getvalue()


def signs_back(text: str) -> str:
    """Undo `signs_kept` in the text that came out."""
    return text.translate(_BACK)


def _sign(match: re.Match[bytes]) -> bytes:
    if match[1]:
        sign = _NAMED[match[1]]
    else:
        number = int(match[2]) if match[2] else int(match[3], 16)
        if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
            return match[0]
        sign = chr(number) if number > 32 else " "
    return _AWAY.get(sign, sign).encode()


def plain(text: str) -> str:
    """Markdown without the backslashes that no reader of it needs: `Achtung\\!` is `Achtung!`."""
    return re.sub(r"(?m)(?<!\\)\\(?:([!&<~])|(?<=[^\n]\\)([#>.)+=-]))", r"\1\2", text)


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


@functools.cache
def _load() -> None:
    """Load kreuzberg's PDF library out of a folder that nobody else can write to.

    It unpacks it into the folder for temporary files and takes what lies there, which may be another user's.
    """
    folder = tempfile.mkdtemp()
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = folder
    try:
        with contextlib.suppress(FileProblem):
            extracted(b"%PDF-1.4\n", "application/pdf")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.environ.pop("TMPDIR")
        if before is not None:
            os.environ["TMPDIR"] = before


def _leave_network() -> None:
    """Go where there is no network; a system that does not allow it leaves the process as it is."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


if __name__ == "__main__":
    serve()
