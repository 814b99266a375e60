"""The main text of a web page as Markdown, without navigation and scripts.

Runs in the child process only (`extractor.py`): a page is a stranger's file.
"""

from __future__ import annotations

import logging
import re
from typing import Any

import trafilatura
from lxml import etree  # type: ignore[import-untyped]
from lxml import html as lxml_html

from stellwerk.jobs.data.files.shapes import FileProblem

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


def extract(page: str) -> dict[str, Any]:
    """Take title and main text out of a web page.

    Args:
        page: the HTML.

    Returns:
        As `extractor.answer`: `title` or None; `pages`, the one text, with headings, lists and tables as Markdown and without
        navigation, scripts and styles; `notes`, which say when all text was taken because no main text was found.

    Raises:
        FileProblem: the page cannot be parsed, or holds no text.
    """
    back: dict[int, int] = {}
    notes: list[str] = []
    if not any(chr(kept) in page for kept in _BACK):
        page, back = page.translate(_KEPT), _BACK
    tree = _parse(page)
    title = " ".join("".join(tree.xpath("string(//title)")).split()) or None
    text = _main_text(page) if _nesting(tree) <= MAX_NESTING else None
    if not text or not text.strip():
        text = _all_text(tree)
        notes.append("no main text was found in the page, so all its text was taken")
    if not text.strip():
        raise FileProblem("empty_file", "is a page without text; if it is filled by scripts, save it from the browser")
    pages = [text.strip().translate(back) + "\n"]
    return {"title": title and title.translate(back), "pages": pages, "numbered": False, "thin": [], "notes": notes}


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
