"""Renders a report as PDF through Typst: the same content as the page, for A4 and print.

Knows how a report becomes plain data for the template `report.typ`: texts stay data there and never become markup or code.
Opens no connection and reads no file but the template; colours, fonts and metadata depend on nothing but the input.
"""

from __future__ import annotations

import html
import json
import re
import tempfile
import unicodedata
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stellwerk.report import words
from stellwerk.report.charts import distribution_svg, notes
from stellwerk.report.flow import flow_rows, flow_svg
from stellwerk.report.interval import reading_svg, reading_text, threshold_text
from stellwerk.report.lineage import lineage_rows, lineage_svg
from stellwerk.report.page import (
    Charts,
    Column,
    Distribution,
    FlowPicture,
    LineagePicture,
    Number,
    Numbers,
    Prose,
    Report,
    Signal,
    SignalLine,
    Signals,
    Table,
    Value,
    evidence,
)
from stellwerk.report.signs import sign_svg
from stellwerk.report.theme import colours, resolved
from stellwerk.report.words import Language, number, share, visible, word

if TYPE_CHECKING:
    import typst

_TEMPLATE: Final = Path(__file__).parent / "templates" / "report.typ"
_FONT: Final = "Libertinus Serif"
# What the two typefaces of Typst hold whole; other signs would all look alike, as an empty box.
_UNDRAWN: Final = re.compile(
    "[^\\t\\n\\x20-\u04ff\u0590-\u05f4\u1e00-\u1fff\u2000-\u2040\u2042\u2044-\u2052\u2054-\u209c\u20a0-\u20c0\u2116\u2122\u2190-\u23ff\u2500-\u25ff]"
)
_TOO_WIDE: Final = 900.0  # px of a picture that would be too small to read across an A4 page
_STATES: Final = ("clear", "stop", "caution", "dark")
_SAID: Final = ("contents", "gate", "signal", "value", "evidence", "kept_short", "dropped", "not_required")


def render_pdf(report: Report, language: Language = "en", made: datetime | None = None) -> bytes:
    """Write a report as PDF.

    Args:
        report: its content, the same as of the page.
        language: of labels and number formats that are ours, and of the document.
        made: stands in its metadata and on each page; without it neither names a time, and the file is no PDF/A.

    Returns:
        A PDF on A4 with bookmarks that can be archived and read aloud (PDF/A-2a, PDF/UA-1, but where a text holds rare
        sequences of signs that these do not allow); equal input gives equal bytes.
    """
    import typst

    content = _shown(_Writer(language).report(report, made))
    inputs = {"content": json.dumps(content, ensure_ascii=False)}
    template = _TEMPLATE.read_bytes()
    moment = int(made.timestamp()) if made else 0
    with tempfile.TemporaryDirectory() as root:
        compiler = typst.Compiler(
            root=root, package_path=root, package_cache_path=root, sys_inputs=inputs, font_paths=_fonts(),
            ignore_system_fonts=True,
        )  # fmt: skip
        try:
            standards: list[typst.PDFStandard] = ["a-2a", "ua-1"] if made else ["ua-1"]
            written = compiler.compile(template, format="pdf", pdf_standards=standards, timestamp=moment)
        except typst.TypstError:
            # Some rare sequences of signs have no place in these standards; the report is printed all the same.
            written = compiler.compile(template, format="pdf", timestamp=moment)
    assert isinstance(written, bytes)
    return written


@cache
def _fonts() -> typst.Fonts:
    import typst

    return typst.Fonts(include_system_fonts=False)


def _shown(value: Any) -> Any:
    """The same data with no sign in it that cannot be seen, or that the fonts cannot draw."""
    if isinstance(value, str):
        return _drawn(visible(value))
    if isinstance(value, dict):
        return {key: _shown(part) for key, part in value.items()}
    return [_shown(part) for part in value] if isinstance(value, list | tuple) else value


def _drawn(text: str) -> str:
    """A text with the code point of each sign that the fonts cannot draw."""
    if text.isascii():
        return text
    lost = (bool(_UNDRAWN.match(sign)) or unicodedata.category(sign) == "Cn" for sign in text)
    return "".join(f"[U+{ord(sign):04X}]" if gone else sign for sign, gone in zip(text, lost, strict=True))


class _Writer:
    """Turns a report into what the template lays out: texts in the reader's language, shares, states and pictures."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.kinds: dict[type, Callable[[Any], dict[str, Any]]] = {
            Numbers: lambda section: {"items": [self.figure(item) for item in section.items]},
            Table: self.table,
            FlowPicture: self.flow,
            Charts: lambda section: {"charts": [self.chart(chart) for chart in section.charts]},
            Signals: lambda section: {"lines": [self.line(line) for line in section.lines], "note": section.note},
            LineagePicture: self.lineage,
            Prose: lambda section: section.model_dump(include={"paragraphs", "points", "commands", "state"}),
        }

    def report(self, report: Report, made: datetime | None) -> dict[str, Any]:
        """The whole document."""
        return {
            "title": report.title or "Stellwerk",
            "short": report.title if len(report.title) <= 80 else report.title[:79] + "…",
            "subtitle": report.subtitle,
            "headline": [self.figure(item) for item in report.headline],
            "summary": [self.section(section) for section in report.summary],
            "sections": [self.section(section) for section in report.sections],
            "footer": list(report.footer),
            "language": self.language,
            "made": self.word("made", date=words.date(made, self.language)) if made else "",
            "page": self.word("page", page="\x1a", pages="\x1a").split("\x1a"),
            "words": {key: self.word(key) for key in _SAID},
            "states": {key: self.word(key) for key in _STATES},
            "signs": {key: resolved(sign_svg(key)) for key in _STATES},
            "colours": colours(),
        }

    def word(self, key: str, **values: str) -> str:
        """A label in the report's language."""
        return word(key, self.language, **values)

    def section(self, section: Any) -> dict[str, Any]:
        """A section of any kind."""
        return {"kind": section.kind, "title": section.title, "intro": section.intro} | self.kinds[type(section)](section)

    def figure(self, item: Number) -> dict[str, Any]:
        """A figure to be seen at a glance."""
        return {"label": item.label, "value": self.cell(item.value), "note": item.note, "state": item.state}

    def cell(self, value: Value, kind: str = "text") -> dict[str, Any]:
        """What stands in a cell."""
        if isinstance(value, Signal):
            return {"state": value.state, "text": value.text}
        if value is None:
            return {"text": "–", "kind": "none"}
        if isinstance(value, str):
            return {"text": value, "kind": "code" if kind == "code" else "text"}
        if kind == "share":
            return {"text": share(value, 1, self.language), "share": min(max(float(value), 0.0), 1.0)}
        return {"text": number(value, self.language), "kind": "number"}

    def table(self, section: Table) -> dict[str, Any]:
        """A table."""
        rows = [[self.cell(v, c.kind) for v, c in zip(row, section.columns, strict=True)] for row in section.rows]
        return self.grid(section.columns, rows) | {"note": section.note}

    def grid(self, columns: Sequence[Column], rows: list[list[dict[str, Any]]]) -> dict[str, Any]:
        """Columns, each as wide as its texts ask for, and rows."""
        heads = [{"label": c.label, "end": c.kind == "number"} for c in columns]
        widths = [self.width(c, [row[index] for row in rows]) for index, c in enumerate(columns)]
        return {"columns": heads, "widths": widths, "rows": rows}

    def width(self, column: Column, cells: list[dict[str, Any]]) -> float:
        """Share of the width that a column gets: as for its longest words, and more for longer texts."""
        texts = ["x" * (len(self.word(c["state"])) + 3) + " " if "state" in c else "" for c in cells]
        texts = [text + c["text"] + " " * (12 if "share" in c else 0) for text, c in zip(texts, cells, strict=True)]
        longest = max((len(text) for text in texts), default=0)
        least = max([len(w) for text in (column.label, *texts[:400]) for w in text.split(" ")] + [5])
        usual = sum(map(len, texts)) / max(len(texts), 1)
        return min(max(min(least, 22), min(longest, 1.6 * usual), 0.0), 48) + 2.5

    def flow(self, section: FlowPicture) -> dict[str, Any]:
        """The flow of documents, as a picture and as a table."""
        columns = [Column(label=self.word(key)) for key in ("step", "rule")]
        columns += [Column(label=self.word(key), kind="number") for key in ("dropped", "remaining")]
        rows = [[self.cell(value) for value in row] for row in flow_rows(section.flow)]
        svg = flow_svg(section.flow, self.language, vertical=True)
        return self.pictured(svg) | self.grid(columns, rows)

    def lineage(self, section: LineagePicture) -> dict[str, Any]:
        """The lineage, as a picture and as a table."""
        columns = [Column(label=self.word(key)) for key in ("version", "kind", "signal", "made_from")]
        rows = []
        for node, sources in lineage_rows(section.lineage):
            name = node.label if node.ref in ("", node.label) else f"{node.label} ({node.ref})"
            name += f" ({self.word('highlighted')})" if node.lit else ""
            state = Signal(state=node.state) if node.state else None
            rows.append([self.cell(name), self.cell(node.kind), self.cell(state), self.cell(sources or None)])
        return self.pictured(lineage_svg(section.lineage, self.language)) | self.grid(columns, rows)

    def pictured(self, svg: str) -> dict[str, Any]:
        """A large picture, and whether it needs a page of its own."""
        width = float(svg.split(' width="', 1)[1].split('"', 1)[0])
        return {"svg": self.picture(svg), "alt": self.label(svg), "wide": width > _TOO_WIDE}

    def label(self, svg: str) -> str:
        """What a picture says to a screen reader."""
        return html.unescape(svg.split(' aria-label="', 1)[1].split('"', 1)[0])

    def chart(self, chart: Distribution) -> dict[str, Any]:
        """A distribution with its bounds."""
        bounds = (chart.lower, chart.upper)
        svg = distribution_svg(chart.histogram, bounds, title=chart.title, unit=chart.unit, language=self.language)
        outside = f"{number(sum(chart.histogram.outside), self.language)} {self.word('outside')}"
        said = [chart.note] * bool(chart.note) + notes(chart.histogram, bounds, self.language)
        return {"title": chart.title, "outside": outside, "svg": self.picture(svg), "alt": self.label(svg), "notes": said}

    def line(self, line: SignalLine) -> dict[str, Any]:
        """A signal with its reading and evidence."""
        found: dict[str, Any] = line.model_dump(include={"job", "gate", "state", "reason", "subject"})
        found |= {"value": "", "threshold": "", "bar": None, "evidence": evidence(line, self.language)}
        if line.reading is not None:
            limit = threshold_text(line.reading, self.language)
            found["threshold"] = self.word("threshold", bound=limit) if limit else ""
            if line.reading.value is not None:
                found["value"] = reading_text(line.reading, self.language)
                found["bar"] = self.picture(reading_svg(line.reading))
        return found

    def picture(self, svg: str) -> str:
        """A picture in the colours and the typeface of print."""
        return resolved(svg).replace("system-ui, sans-serif", _FONT)
