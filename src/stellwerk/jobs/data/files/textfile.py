"""Reading documents: Markdown, plain text and web pages, one row a file with title and text.

It knows where a title stands and takes the main text out of a page, with headings and tables as Markdown. Front
matter stays in the text.
"""

from __future__ import annotations

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

_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)^(?:---|\.\.\.)[ \t]*$", re.DOTALL | re.MULTILINE)
_TITLE_FIELD = re.compile(r"^title[ \t]*:[ \t]*(\S.*?)[ \t\r]*$", re.IGNORECASE | re.MULTILINE)
_HEADING = re.compile(r"^#{1,6}[ \t]+(\S.*?)[ \t#\r]*$", re.MULTILINE)
_UNDERLINED = re.compile(r"^(\S.*?)[ \t\r]*\n(?:=+|-{3,})[ \t\r]*$", re.MULTILINE)
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE)
_BLANKS = re.compile(r"\n\s*\n\s*")
MAX_NESTING = 2000  # elements within elements; the extractor calls itself for each level


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
    front = _FRONT_MATTER.match(text)
    if front:
        field = _TITLE_FIELD.search(front[1])
        if field:
            return field[1].strip("\"'") or None
        text = text[front.end() :]
    text = _FENCE.sub("", text)
    found = [match for match in (_HEADING.search(text), _UNDERLINED.search(text)) if match]
    return min(found, key=lambda match: match.start())[1] if found else None


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
    tree = _parse(page)
    title = " ".join("".join(tree.xpath("string(//title)")).split()) or None
    text = None
    if _nesting(tree) <= MAX_NESTING:
        text = trafilatura.extract(
            page,
            output_format="markdown",
            include_formatting=True,
            include_tables=True,
            include_comments=False,
            deduplicate=False,
        )
    if not text or not text.strip():
        text = _all_text(tree)
        source.facts.note("no main text was found in the page, so all its text was taken")
    if not text.strip():
        raise FileProblem("empty_file", "is a page without text; if it is filled by scripts, save it from the browser")
    return title, text.strip() + "\n"


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
    for element in tree.xpath("//script|//style|//noscript|//template|//head|//comment()"):
        element.drop_tree()
    for element in tree.iter("p", "div", "li", "tr", "br", "h1", "h2", "h3", "h4", "h5", "h6", "section", "article"):
        element.tail = "\n" + (element.tail or "")
    text = "".join(tree.itertext())
    return _BLANKS.sub("\n\n", "\n".join(line.strip() for line in text.splitlines())).strip()
