"""The text of a mail's body: bytes to characters, flowed lines to paragraphs, HTML to lines.

A mail has no navigation, so nothing of it is left out but what its reader could not see; quoted history stays. It does
not know parts and headers.
"""

from __future__ import annotations

import codecs
import re

from lxml import etree  # type: ignore[import-untyped]
from lxml import html as lxml_html

from stellwerk.jobs.data.files.encoding import clean_surrogates, decode_document
from stellwerk.jobs.data.files.shapes import Facts, FileProblem

_SINGLE = re.compile(r"ascii|cp1252|latin|iso8859|cp125\d|mac")
_STATEFUL = re.compile(r"iso2022|hz|utf_?7|utf-7|utf-16|utf-32")
_NOT_FOR_MAIL = frozenset(("idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem"))
_WIDER = {  # what programs mean by a name
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}
_META = re.compile(rb"charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE)
_UNSEEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_ENDS = re.compile("([\n\ufffe])")
_GAPS = re.compile(r"\n{3,}")
HIDDEN = frozenset(("script", "style", "head", "title", "template", "noscript"))
LINES = frozenset(("div", "br", "li", "tr", "dt", "dd", "hr", "center", "address", "section", "article", "header", "footer"))
PARAGRAPHS = frozenset(("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "blockquote", "pre"))


def codec_of(charset: str) -> str | None:
    """Find Python's codec for a charset as mails name it.

    Args:
        charset: such as `iso-8859-1`; may be empty or unknown.

    Returns:
        The codec, the wider one where programs mean that: `cp1252` for Latin-1 and ASCII; None where it is unknown.
    """
    try:
        info = codecs.lookup(charset.strip().strip("\"'")[:40])
    except (LookupError, ValueError, UnicodeError):
        return None
    if not info._is_text_encoding or info.name.replace("-", "_") in _NOT_FOR_MAIL:
        return None
    return _WIDER.get(info.name, info.name)


def body_text(data: bytes, charset: str, facts: Facts, html: bool = False) -> str:
    """Decode a body.

    Args:
        data: without its transfer encoding.
        charset: as the mail names it; may be empty or wrong.
        facts: gets the encoding, and a note where it is a guess.
        html: the body is HTML, which may name its charset itself.

    Returns:
        The text with `\\n` as line ends.
    """
    if html and not charset and (match := _META.search(data[:4096])):
        charset = match[1].decode()
    codec = codec_of(charset)
    text = None
    # UTF-8 that calls itself Latin-1 is common; the reverse cannot be read as UTF-8. Other encodings are believed.
    if codec and not _SINGLE.search(codec):
        try:
            text = data.decode(codec)
            facts.encoding = codec
        except (UnicodeError, ValueError):
            text = data.decode(codec, "replace") if _STATEFUL.search(codec) else None
    if text is None:
        text = decode_document(data, None, facts, codec)
    return clean_surrogates(text).replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")


def joined_lines(text: str, delete_space: bool) -> str:
    """Join the lines of a `format=flowed` text (RFC 3676) into paragraphs.

    Args:
        text: the decoded body.
        delete_space: the blank at the end of a line is not part of the text (`delsp=yes`).

    Returns:
        The text; quoted lines keep one `>` for each level.
    """
    done: list[str] = []
    open_depth = -1  # of quotes, of the line that goes on; -1 when none does
    for line in text.split("\n"):
        content = line.lstrip(">")
        depth = len(line) - len(content)
        content = content.removeprefix(" ")
        flows = content.endswith(" ") and content != "-- "
        kept = content[:-1] if flows and delete_space else content
        if open_depth == depth and content != "-- ":
            done.append(kept)
        else:
            done.append(("\n" if done else "") + ">" * depth + (" " if depth and content else "") + kept)
        open_depth = depth if flows else -1
    return "".join(done)


def html_text(page: str) -> str:
    """Turn an HTML body into lines.

    Args:
        page: the decoded HTML.

    Returns:
        Its text: blocks on lines of their own, paragraphs after an empty line, cells of a row joined by ` | `, items of
        lists after `- `; without scripts, styles and what is not displayed. Empty where nothing is left.

    Raises:
        FileProblem: `corrupt_file`, when it cannot be parsed.
    """
    try:
        data = page.replace("\0", "").encode()
        tree = lxml_html.document_fromstring(data, parser=lxml_html.HTMLParser(encoding="utf-8", remove_comments=True))
    except (etree.LxmlError, ValueError, AssertionError):
        if not page.strip():
            return ""
        raise FileProblem("corrupt_file", "has a body that cannot be parsed as HTML; check how it was saved") from None
    lines = [""]
    for piece in _ENDS.split("".join(_pieces(tree))):
        if piece == "\n" or (piece == "\ufffe" and lines[-1].strip()):
            lines.append("")
        elif piece != "\ufffe":
            lines[-1] += piece
    return _GAPS.sub("\n\n", "\n".join(_line(line) for line in lines)).strip()


def _pieces(tree: lxml_html.HtmlElement) -> list[str]:
    """The text with `\\n` where a line ends, U+FFFE where one begins, `\\t` between cells, U+FFFF for an item of a list."""
    parts: list[str] = []
    hidden = kept = 0
    for event, element in etree.iterwalk(tree, events=("start", "end")):
        starts = event == "start"
        tag = element.tag if isinstance(element.tag, str) else ""
        step = 1 if starts else -1
        if tag in HIDDEN or _UNSEEN.search(element.get("style") or ""):
            hidden += step
        kept += step if tag == "pre" else 0
        if not hidden:
            parts.append(_mark(tag, starts, element))
        piece = element.text if starts else element.tail
        if piece and not hidden:
            parts.append(piece.replace("\t", " ").replace("\r", "") if kept else " ".join(_split(piece)))
    return parts


def _split(piece: str) -> list[str]:
    # An empty first or last word keeps the blank between this piece and its neighbours.
    words = piece.split()
    if not words:
        return ["", ""]
    return [*([""] if piece[0].isspace() else []), *words, *([""] if piece[-1].isspace() else [])]


def _mark(tag: str, starts: bool, element: lxml_html.HtmlElement) -> str:
    parent = element.getparent()
    within = parent.tag if parent is not None and tag in ("p", "div") else ""
    if within in ("td", "th", "li") and (len(parent) == 1 or (starts and within == "li" and parent[0] is element)):
        return ""  # so that the cells of a row, and an item and its text, stay on one line
    if tag in ("td", "th"):
        return "\t"
    if tag == "br":
        return "\n" if starts else ""
    if tag == "li" and starts:
        return "\ufffe\uffff"
    if tag in PARAGRAPHS and "MsoNormal" not in (element.get("class") or ""):
        return "\ufffe\n"
    return "\ufffe" if tag in LINES or tag in PARAGRAPHS else ""


def _line(line: str) -> str:
    cells = [" ".join(cell.split()) for cell in line.split("\t")]
    return " | ".join(cell for cell in cells if cell.strip("\uffff")).replace("\uffff", "- ").strip()
