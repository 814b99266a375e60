"""Makes documents of several formats with planted words, headings and table cells, and looks for these in what was read.

Every planted mark stands once in the whole set, so that what is found was read from its own place. Web pages have a navigation
and a footer, whose marks should not be in the text.
"""

from __future__ import annotations

import html
import json
import subprocess
import zipfile
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from xml.sax.saxutils import escape

FORMATS = ("pdf", "docx", "pptx", "odt", "eml", "html")
SECTIONS, PARAGRAPHS, ROWS, COLUMNS = 5, 3, 5, 3
FILLER = (
    "Die Pumpe am Förderband wird vor jeder Schicht geprüft, und das Öl im Getriebe nach Plan gewechselt. "
    "If the bearing runs hot, stop the drive, lock the main switch and measure the play of the shaft again. "
)
SLIDES = """
import json, sys
from pptx import Presentation
from pptx.util import Inches
for path, sections in json.load(sys.stdin).items():
    deck = Presentation()
    for heading, paragraphs, rows in sections:
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = heading
        slide.placeholders[1].text = "\\n".join(paragraphs)
        slide = deck.slides.add_slide(deck.slide_layouts[6])
        table = slide.shapes.add_table(len(rows), len(rows[0]), Inches(1), Inches(1), Inches(8), Inches(4)).table
        for r, row in enumerate(rows):
            for c, cell in enumerate(row):
                table.cell(r, c).text = cell
    deck.save(path)
"""


@dataclass(frozen=True)
class Section:
    """A heading with paragraphs and a table; its marks are single words."""

    heading: str
    paragraphs: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Yield:
    """What share of the planted marks was found.

    Attributes:
        words: in paragraphs.
        headings: in a line that is marked as a heading.
        cells: in a line that is marked as a row of a table.
        anywhere: of all three, wherever in the text.
        furniture: of navigation and footer, which are no text.
    """

    words: float
    headings: float
    cells: float
    anywhere: float
    furniture: float


def sections(number: int) -> list[Section]:
    """What document number N says."""
    return [
        Section(
            f"Wartung hö{number:03}x{s}",
            [f"{FILLER * 2}Siehe wü{number:03}x{s}x{p} im Handbuch. {FILLER}" for p in range(PARAGRAPHS)],
            [[f"zä{number:03}x{s}x{r}x{c}" for c in range(COLUMNS)] for r in range(ROWS)],
        )
        for s in range(SECTIONS)
    ]


def make(folder: Path, kind: str, count: int, with_pptx: Path) -> list[Path]:
    """Write documents of one format; the first is for warming up.

    Args:
        folder: is made.
        kind: one of `FORMATS`.
        count: of documents.
        with_pptx: a Python that has python-pptx.
    """
    folder.mkdir(parents=True)
    paths = [folder / f"manual{number:03}.{kind}" for number in range(count)]
    contents = [sections(number) for number in range(count)]
    if kind == "pptx":
        given = {
            str(path): [[s.heading, s.paragraphs, s.rows] for s in said] for path, said in zip(paths, contents, strict=True)
        }
        subprocess.run([str(with_pptx), "-c", SLIDES], input=json.dumps(given), text=True, check=True)
        return paths
    write = {"pdf": _pdf, "docx": _docx, "odt": _odt, "eml": _eml, "html": _html}[kind]
    for path, said in zip(paths, contents, strict=True):
        write(path, said)
    return paths


def found(texts: dict[int, str]) -> Yield:
    """Look for the marks of documents, by number, in their texts."""
    words = headings = cells = anywhere = furniture = 0
    for number, text in texts.items():
        marked = " ".join(line for line in text.splitlines() if line.lstrip().startswith("#"))
        rows = " ".join(line for line in text.splitlines() if line.lstrip().startswith("|"))
        for section in sections(number):
            mark = section.heading.split()[1]
            inside = [cell for row in section.rows for cell in row]
            spoken = [paragraph.partition("Siehe ")[2].split()[0] for paragraph in section.paragraphs]
            headings += mark in marked
            cells += sum(cell in rows for cell in inside)
            words += sum(word in text for word in spoken)
            anywhere += sum(each in text for each in (mark, *inside, *spoken))
        furniture += ("navigation" in text) + ("impressum" in text)
    n = max(1, len(texts)) * SECTIONS
    return Yield(
        words / (n * PARAGRAPHS),
        headings / n,
        cells / (n * ROWS * COLUMNS),
        anywhere / (n * (1 + PARAGRAPHS + ROWS * COLUMNS)),
        furniture / (2 * max(1, len(texts))),
    )


def _html(path: Path, said: list[Section]) -> None:
    menu = "".join(f"<li><a href='/{word}'>{word}</a></li>" for word in ("navigation", "Produkte", "Kontakt", "Karriere"))
    page = f"<body><nav><ul>{menu}</ul></nav><main><article><h1>Handbuch</h1>{_markup(said)}</article></main>"
    foot = "<footer><p>© impressum</p></footer></body>"
    head = "<!doctype html><html lang='de'><head><meta charset='utf-8'><title>Handbuch</title></head>"
    path.write_text(f"{head}{page}{foot}</html>", encoding="utf-8")


def _markup(said: list[Section]) -> str:
    parts = []
    for section in said:
        parts.append(f"<h2>{html.escape(section.heading)}</h2>")
        parts += [f"<p>{html.escape(paragraph)}</p>" for paragraph in section.paragraphs]
        rows = ["".join(f"<td>{cell}</td>" for cell in row) for row in section.rows]
        parts.append("<table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>")
    return "".join(parts)


def _eml(path: Path, said: list[Section]) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "desk@example.org", "service@example.org", "Wartung der Förderbänder"
    mail["Date"] = "Sun, 22 Nov 2026 08:00:00 +0100"
    plain = [f"{s.heading}\n\n" + "\n\n".join([*s.paragraphs, *(" ".join(row) for row in s.rows)]) for s in said]
    mail.set_content("\n\n".join(plain))
    mail.add_alternative(f"<html><body>{_markup(said)}</body></html>", subtype="html")
    path.write_bytes(mail.as_bytes())


def _pdf(path: Path, said: list[Section]) -> None:
    import typst

    parts = []
    for section in said:
        cells = ", ".join(f"[{cell}]" for row in section.rows for cell in row)
        parts += [f"= {section.heading}", *section.paragraphs, f"#table(columns: {COLUMNS}, {cells})"]
    path.write_bytes(typst.compile("\n\n".join(parts).encode()))


def _docx(path: Path, said: list[Section]) -> None:
    import docx

    document = docx.Document()
    for section in said:
        document.add_heading(section.heading, 1)
        for paragraph in section.paragraphs:
            document.add_paragraph(paragraph)
        table = document.add_table(len(section.rows), COLUMNS)
        for line, row in zip(table.rows, section.rows, strict=True):
            for cell, text in zip(line.cells, row, strict=True):
                cell.text = text
    document.save(str(path))


def _odt(path: Path, said: list[Section]) -> None:
    names = {name: f"urn:oasis:names:tc:opendocument:xmlns:{name}:1.0" for name in ("office", "text", "table", "manifest")}
    parts = []
    for section in said:
        parts.append(f'<text:h text:outline-level="1">{escape(section.heading)}</text:h>')
        parts += [f"<text:p>{escape(paragraph)}</text:p>" for paragraph in section.paragraphs]
        cells = [
            "".join(f"<table:table-cell><text:p>{cell}</text:p></table:table-cell>" for cell in row) for row in section.rows
        ]
        parts.append("<table:table>" + "".join(f"<table:table-row>{row}</table:table-row>" for row in cells) + "</table:table>")
    spaces = " ".join(f'xmlns:{name}="{uri}"' for name, uri in names.items())
    start = f'<?xml version="1.0" encoding="UTF-8"?><office:document-content {spaces} office:version="1.2">'
    content = f"{start}<office:body><office:text>{''.join(parts)}</office:text></office:body></office:document-content>"
    kind = "application/vnd.oasis.opendocument.text"
    entries = {"/": kind, "content.xml": "text/xml"}
    listed = "".join(
        f'<manifest:file-entry manifest:full-path="{name}" manifest:media-type="{media}"/>' for name, media in entries.items()
    )
    manifest = f'<manifest:manifest xmlns:manifest="{names["manifest"]}">{listed}</manifest:manifest>'
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("mimetype", kind, zipfile.ZIP_STORED)
        file.writestr("content.xml", content, zipfile.ZIP_DEFLATED)
        file.writestr("META-INF/manifest.xml", manifest, zipfile.ZIP_DEFLATED)
