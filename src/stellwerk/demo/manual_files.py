"""Writes the sample company's manuals as PDF, Word, HTML and Markdown, and two files that no reader can make much of.

Typst sets the PDFs, python-docx writes Word; both are part of the extra `data`. The same words give the same bytes: no file
holds the time at which it was written. What the manuals say is the matter of demo/manuals.py.
"""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import datetime
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from stellwerk.demo.manuals import Manual, manuals
from stellwerk.demo.phrases import draws
from stellwerk.errors import UserError

SCAN: Final = "raw/manuals/deutsch/abnahmeprotokoll-tw-p-160-scan.pdf"
DAMAGED: Final = "raw/manuals/english/robocell-6-wiring-diagram.pdf"
SCAN_PPI: Final = 80
ZIP_DATE: Final = (2026, 3, 1, 9, 0, 0)


def write_manuals(folder: Path, seed: int) -> Iterator[dict[str, Any]]:
    """Write all manuals and yield the truth of what is wrong with them.

    Args:
        folder: of the workspace; the manuals go to raw/manuals
        seed: of the whole corpus

    Yields:
        Rows of planted.jsonl: kind, doc, detail, and partner for copies.

    Raises:
        UserError: the extra `data` is not installed.
    """
    typesetter = Typesetter()
    writers = {"pdf": typesetter.pdf, "docx": docx, "html": html, "md": markdown}
    scanned = None
    for manual in manuals(seed):
        path = folder / manual.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(writers[path.suffix[1:]](manual))
        scanned = scanned or manual
        for row in manual.planted:
            yield {"kind": row["kind"], "doc": manual.doc, **row}
    if scanned:
        (folder / SCAN).write_bytes(typesetter.scan(scanned))
        yield {"kind": "scan", "doc": f"manuals:{SCAN}", "detail": {"pages": 2}}
    (folder / DAMAGED).write_bytes(_damaged(seed))
    yield {"kind": "damaged_file", "doc": f"manuals:{DAMAGED}", "detail": {"variant": "copy broken off"}}


class Typesetter:
    """Typst with the fonts that it brings: 5 ms for a PDF of some pages."""

    def __init__(self) -> None:
        try:
            import typst
        except ImportError:
            raise UserError("the demo needs the extra data; install it with: pip install 'stellwerk[data]'") from None
        self.typst, self.fonts = typst, typst.Fonts(include_system_fonts=False)
        self.layout = files("stellwerk.demo").joinpath("layout")
        self.compiler = typst.Compiler(font_paths=self.fonts, ignore_system_fonts=True)

    def pdf(self, manual: Manual) -> bytes:
        """A manual as PDF."""
        return self._set("manual.typ", {"manual": json.dumps(manual.content())})

    def letter(self, title: str, language: str, lines: list[str]) -> bytes:
        """A short letter as PDF, for an e-mail to bring."""
        return self._set("letter.typ", {"letter": json.dumps({"title": title, "language": language, "lines": lines})})

    def scan(self, manual: Manual) -> bytes:
        """The second and third page of a manual as a PDF of pictures."""
        text = self.layout.joinpath("manual.typ").read_bytes()
        inputs = {"manual": json.dumps(manual.content())}
        pages: Any = self.compiler.compile(text, format="png", ppi=SCAN_PPI, sys_inputs=inputs)
        with tempfile.TemporaryDirectory() as folder:
            for place, page in enumerate(pages[1:3]):
                (Path(folder) / f"page{place}.png").write_bytes(page)
            copier = self.typst.Compiler(root=folder, font_paths=self.fonts, ignore_system_fonts=True)
            return self._set("scan.typ", {"pages": "2"}, copier)

    def _set(self, layout: str, inputs: dict[str, str], compiler: Any = None) -> bytes:
        text = self.layout.joinpath(layout).read_bytes()
        engine: Any = compiler or self.compiler
        made: bytes = engine.compile(text, format="pdf", sys_inputs=inputs)
        return made


def docx(manual: Manual) -> bytes:
    """A manual as a Word file with headings and tables."""
    document = _word_file(manual.title)
    document.add_paragraph(manual.edition)
    for heading, lines, grid in manual.sections:
        document.add_heading(heading, 1)
        for line in lines:
            document.add_paragraph(line)
        if grid:
            document.add_heading(grid.title, 2)
            table = document.add_table(rows=0, cols=len(grid.header), style="Table Grid")
            for row in (grid.header, *grid.rows):
                for cell, text in zip(table.add_row().cells, row, strict=True):
                    cell.text = text
    document.add_paragraph(manual.end)
    return _saved(document)


def docx_letter(title: str, lines: list[str]) -> bytes:
    """A short letter as a Word file, for an e-mail to bring."""
    document = _word_file(title)
    for line in lines:
        document.add_paragraph(line)
    return _saved(document)


def html(manual: Manual) -> bytes:
    """A manual as a web page with tables."""
    blocks = [f"<h1>{escape(manual.title)}</h1>", f"<p>{escape(manual.edition)}</p>"]
    for heading, lines, grid in manual.sections:
        blocks.append(f"<h2>{escape(heading)}</h2>")
        blocks += [f"<p>{escape(line)}</p>" for line in lines]
        if grid:
            rows = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in grid.rows]
            head = "".join(f"<th>{escape(cell)}</th>" for cell in grid.header)
            body = "\n".join(f"<tr>{row}</tr>" for row in rows)
            blocks += [f"<h3>{escape(grid.title)}</h3>", f"<table>\n<tr>{head}</tr>\n{body}\n</table>"]
    blocks.append(f"<p>{escape(manual.end)}</p>")
    page = f"""<!DOCTYPE html>
<html lang="{manual.language}">
<head><meta charset="utf-8"><title>{escape(manual.title)}</title></head>
<body>
<main>
{chr(10).join(blocks)}
</main>
</body>
</html>
"""
    return page.encode("utf-8")


def markdown(manual: Manual) -> bytes:
    """A manual as Markdown with tables."""
    lines = [f"# {manual.title}", "", manual.edition, ""]
    for heading, sentences, grid in manual.sections:
        lines += [f"## {heading}", "", " ".join(sentences), ""]
        if grid:
            lines += [f"### {grid.title}", "", _row(grid.header), _row(["---"] * len(grid.header))]
            lines += [*map(_row, grid.rows), ""]
    return "\n".join([*lines, manual.end, ""]).encode("utf-8")


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _word_file(title: str) -> Any:
    from docx import Document

    document = Document()
    properties = document.core_properties
    properties.title, properties.author = title, "Tannwerder Maschinenbau GmbH"
    properties.created = properties.modified = datetime(2026, 3, 1, 9, 0)
    document.add_heading(title, 0)
    return document


def _saved(document: Any) -> bytes:
    """The bytes of a Word file, written anew without the time of writing."""
    written, again = io.BytesIO(), io.BytesIO()
    document.save(written)
    with zipfile.ZipFile(written) as source, zipfile.ZipFile(again, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            target.writestr(zipfile.ZipInfo(entry.filename, ZIP_DATE), source.read(entry), zipfile.ZIP_DEFLATED)
    return again.getvalue()


def _damaged(seed: int) -> bytes:
    """The head of a PDF and nothing that follows from it: a copy that broke off and was filled up."""
    rng = draws(f"damaged/{seed}")
    return b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\n" + bytes(
        int(rng.random() * 256) for _ in range(20_000)
    )
