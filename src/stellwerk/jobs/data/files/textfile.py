"""Reading documents: Markdown, plain text and web pages, one row a file with title and text.

It knows where a title stands and takes the main text out of a page, with headings and tables as Markdown. Front
matter stays in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pyarrow as pa

from stellwerk.jobs.data.files.encoding import check_text, decode_document, detect
from stellwerk.jobs.data.files.extraction import extractor
from stellwerk.jobs.data.files.names import ORIGIN
from stellwerk.jobs.data.files.schema import with_facts
from stellwerk.jobs.data.files.shapes import FileProblem, Source
from stellwerk.jobs.data.files.unpack import whole

_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE)


def read_document(source: Source) -> Iterator[pa.Table]:
    """Read one document.

    Args:
        source: the opened file; `facts.format` is md, txt or html.

    Yields:
        One table of one row: origin (the path), title (may be null), text.

    Raises:
        FileProblem: the file is binary, too large or empty.
    """
    facts = source.facts
    if not detect(source.head, source.options.encoding).wide:
        check_text(source.head, facts.format)
    limit = source.options.max_document_bytes
    sentence = f"is larger than {limit / 2**20:.3g} MiB as one document; split it or raise max_document_bytes"
    data = whole(source.chunks, limit, sentence)
    hint = _CHARSET.search(data[:4096]) if facts.format == "html" else None
    text = decode_document(data, source.options.encoding, facts, hint[1].decode("ascii") if hint else None)
    if not text.strip():
        raise FileProblem("empty_file", "holds only blanks; export it again or remove it")
    title: str | None = None
    if facts.format == "html":
        found = extractor().ask(text.encode(), "html", source.options)
        title, (text,) = found["title"], found["pages"]
        for note in found["notes"]:
            facts.note(note)
    elif facts.format == "md":
        title = markdown_title(text)
    columns = [pa.array([source.name]), pa.array([title], pa.string()), pa.array([text], pa.string())]
    yield with_facts(pa.table(columns, names=[ORIGIN, "title", "text"]), facts)


def markdown_title(text: str) -> str | None:
    """Find the title of a Markdown text: `title` in its front matter, else its first heading.

    Args:
        text: the whole text.

    Returns:
        The title, or None.
    """
    lines = [line.rstrip() for line in text.split("\n")]
    start = 0
    if lines[0] == "---":
        end = next((number for number, line in enumerate(lines[1:], 1) if line in ("---", "...")), None)
        for line in lines[1:end] if end else []:
            name, colon, value = line.partition(":")
            if colon and name.rstrip().lower() == "title" and value.strip():
                return value.strip().strip("\"'") or None
        start = end + 1 if end else 1
    return _first_heading(lines[start:])


def _first_heading(lines: list[str]) -> str | None:
    fence = ""
    before = ""
    for line in lines:
        if fence:
            fence = "" if line.startswith(fence) else fence
        elif line.startswith(("```", "~~~")):
            fence, line = line[:3], ""
        elif before and (set(line) == {"="} or (set(line) == {"-"} and len(line) > 2)):
            return before
        elif line.startswith("#"):
            marks = len(line) - len(line.lstrip("#"))
            title = line[marks:].strip(" \t#")
            if marks <= 6 and title and line[marks] in " \t":
                return title
        before = "" if fence else line.strip()
    return None
