"""Reading documents of office programs: PDF, Word, PowerPoint, OpenDocument and Outlook, one row a file or a page.

The text is Markdown with headings and tables. Where pages begin is kept, so that what is quoted can be found again. What takes
the text out runs in a child process (`extraction.py`).
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator

import pyarrow as pa

from stellwerk.jobs.data.files.extraction import extractor
from stellwerk.jobs.data.files.names import ORIGIN
from stellwerk.jobs.data.files.schema import with_facts
from stellwerk.jobs.data.files.shapes import DOCUMENTS, FileProblem, Source
from stellwerk.jobs.data.files.unpack import whole

ZIPPED = ("docx", "pptx", "odt")
OLD_OFFICE = b"\xd0\xcf\x11\xe0"
LITTLE = 40  # characters
MOST_UNPACKED = 2**30
MOST_RATIO = 1000


def read_office(source: Source) -> Iterator[pa.Table]:
    """Read one document.

    Args:
        source: the opened file; `facts.format` is one of pdf, docx, pptx, odt, msg.

    Yields:
        One table: origin, title, text, pages, and page_starts (a JSON list of the characters at which pages begin); with
        `options.pages` "each" a row a page instead, with its number in `page`.

    Raises:
        FileProblem: the file is locked, damaged, too large or slow, or holds pictures of text only (`ocr_needed`).
    """
    limit = source.options.max_office_bytes
    sentence = f"is larger than {limit / 2**20:.3g} MiB as one document; split it or raise max_office_bytes"
    data = whole(source.chunks, limit, sentence)
    yield table_of(data, source)


def table_of(data: bytes, source: Source) -> pa.Table:
    """The rows of one document whose bytes are at hand."""
    kind = source.facts.format
    _check(data, kind)
    found = extractor().ask(data, kind, source.options)
    pages = [page.strip() for page in found["pages"]]
    for note in found.get("notes", ()):
        source.facts.note(note)
    _check_yield(pages, found["thin"], data, kind)
    for number in found["thin"][:1]:
        more = f" and {len(found['thin']) - 1} more" if len(found["thin"]) > 1 else ""
        source.facts.note(f"has almost no text on page {number}{more} of {len(pages)}, OCR needed (documents: {{ocr: true}})")
    title = " ".join((found["title"] or "").split()) or _heading(pages)
    numbered = found["numbered"]
    rows = _each(source.name, title, pages) if source.options.pages == "each" and numbered else [
        _joined(source.name, title, pages, numbered)
    ]  # fmt: skip
    fields = [(ORIGIN, pa.string()), ("title", pa.string()), ("text", pa.string()), ("pages", pa.int64())]
    last = ("page", pa.int64()) if source.options.pages == "each" else ("page_starts", pa.string())
    return with_facts(pa.Table.from_pylist(rows, schema=pa.schema([*fields, last])), source.facts)


def _joined(name: str, title: str | None, pages: list[str], numbered: bool) -> dict[str, object]:
    text, starts = "", []
    for page in pages:
        text += "\n\n" if text and page else ""
        starts.append(len(text))
        text += page
    told = {"pages": len(pages), "page_starts": json.dumps(starts)} if numbered else {"pages": None, "page_starts": None}
    return {ORIGIN: name, "title": title, "text": f"{text}\n", **told}


def _each(name: str, title: str | None, pages: list[str]) -> list[dict[str, object]]:
    return [
        {ORIGIN: f"{name}#page {number}", "title": title, "text": f"{page}\n", "pages": len(pages), "page": number}
        for number, page in enumerate(pages, 1)
        if page
    ]


def _heading(pages: list[str]) -> str | None:
    """The first line that is a heading."""
    for page in pages:
        for line in page.splitlines():
            if line.startswith("#"):
                return line.strip("# ").strip() or None
    return None


def _check(data: bytes, kind: str) -> None:
    """See that a file is what its name says, and no bomb.

    Raises:
        FileProblem: it is locked, old, damaged, or unpacks to far too much.
    """
    name = DOCUMENTS[kind]
    if kind not in ZIPPED:
        return
    if data.startswith(OLD_OFFICE):
        raise FileProblem("locked_file", f"is protected by a password or in an old format; save it as {name} without one")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise FileProblem("damaged_file", f"is damaged or no {name}; open it in its program and save it again") from None
    if unpacked > MOST_UNPACKED or unpacked > MOST_RATIO * max(len(data), 2**20):
        raise FileProblem("too_large", f"unpacks to {unpacked / 2**20:,.0f} MiB; it is damaged or meant to do harm")


def _check_yield(pages: list[str], thin: list[int], data: bytes, kind: str) -> None:
    """See that there is text.

    Raises:
        FileProblem: there is none; `ocr_needed` where pictures hold it.
    """
    signs = sum(len("".join(page.split())) for page in pages)
    pictures = bool(thin) or (kind in ZIPPED and signs < LITTLE and _has_pictures(data))
    if pictures and (len(thin) == len(pages) or signs < LITTLE):
        many = f"{len(pages)} pages" if len(pages) > 1 else "1 page"
        raise FileProblem(
            "ocr_needed",
            f"text yield too low, OCR needed: {signs} characters on {many} of pictures; add documents: {{ocr: true}}",
        )
    if not signs:
        raise FileProblem("empty_file", "holds no text; remove it or put the right file there")


def _has_pictures(data: bytes) -> bool:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return any("media/" in name or name.startswith("Pictures/") for name in archive.namelist())
