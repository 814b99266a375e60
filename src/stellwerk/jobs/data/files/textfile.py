"""Reading documents: Markdown, plain text and web pages, one row a file with title and text.

It knows where a title stands and takes the main text out of a page, with headings and tables as Markdown. Front
matter stays in the text.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pyarrow as pa
import trafilatura
from lxml import etree  # type: ignore[import-untyped]
from lxml import html as lxml_html

from stellwerk.jobs.data.files.encoding import check_text, decode_document, detect
from stellwerk.jobs.data.files.names import ORIGIN
from stellwerk.jobs.data.files.schema import with_facts
from stellwerk.jobs.data.files.shapes import FileProblem, Source
from stellwerk.jobs.data.files.unpack import whole

_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE)
_BLANKS = re.compile(r"\n\s*\n\s*")
logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # it writes an error for each page without a main text
HIDDEN = frozenset(("script", "style", "noscript", "template", "head"))
BLOCKS = frozenset(
    [
        "p",
        "div",
        "li",
        "tr",
        "br",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "section",
        "article",
        "ul",
        "ol",
        "table",
        "dt",
        "dd",
        "pre",
        "blockquote",
    ]
)
MAX_NESTING = 2000  # elements within elements; the extractor calls itself for each level


# Parsers of HTML drop C1 characters, which a text in the wrong encoding is full of and its repair needs; they travel as
# hieroglyphs, in a page that has none itself.
_KEPT = {code: 0x13000 + code for code in range(0x80, 0xA0)}
_BACK = {kept: code for code, kept in _KEPT.items()}


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
        title, text = page_text(text, source)
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


def page_text(page: str, source: Source) -> tuple[str | None, str]:
    """Take title and main text out of a web page.

    Args:
        page: the HTML.
        source: gets a note when all text was taken, because no main text was found.

    Returns:
        Title or None, and the text: headings, lists and tables as Markdown; without navigation, scripts and styles.

    Raises:
        FileProblem: the page cannot be parsed, or holds no text.
    """
    back: dict[int, int] = {}
    if not any(chr(kept) in page for kept in _BACK):
        page, back = page.translate(_KEPT), _BACK
    tree = _parse(page)
    title = " ".join("".join(tree.xpath("string(//title)")).split()) or None
    text = _main_text(page) if _nesting(tree) <= MAX_NESTING else None
    if not text or not text.strip():
        text = _all_text(tree)
        source.facts.note("no main text was found in the page, so all its text was taken")
    if not text.strip():
        raise FileProblem("empty_file", "is a page without text; if it is filled by scripts, save it from the browser")
    return title and title.translate(back), text.strip().translate(back) + "\n"


def _main_text(page: str) -> str | None:
    try:
        text: str | None = trafilatura.extract(
            page, output_format="markdown", include_formatting=True, include_tables=True, include_comments=False
        )
    except Exception:  # noqa: BLE001  (pages from the wild: whatever the extractor trips over, all text of the page is still read)
        return None
    return text


def _parse(page: str) -> lxml_html.HtmlElement:
    try:
        return lxml_html.document_fromstring(page.replace("\0", "").encode(), parser=lxml_html.HTMLParser(encoding="utf-8"))
    except (etree.LxmlError, ValueError, AssertionError):
        raise FileProblem("corrupt_file", "cannot be parsed as a web page; check that it is HTML") from None


def _nesting(tree: lxml_html.HtmlElement) -> int:
    deepest = depth = 0
    for event, _ in etree.iterwalk(tree, events=("start", "end")):
        depth += 1 if event == "start" else -1
        deepest = max(deepest, depth)
    return deepest


def _all_text(tree: lxml_html.HtmlElement) -> str:
    parts: list[str] = []
    hidden = 0
    for event, element in etree.iterwalk(tree, events=("start", "end", "comment", "pi")):
        starts = event == "start"
        if element.tag in HIDDEN:
            hidden += 1 if starts else -1
        elif element.tag in BLOCKS:
            parts.append("\n")
        piece = element.text if starts else element.tail
        if piece and not hidden:
            parts.append(piece)
    text = "".join(parts)
    return _BLANKS.sub("\n\n", "\n".join(line.strip() for line in text.splitlines())).strip()
