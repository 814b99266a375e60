"""The pages of a PDF as Markdown: text and headings by kreuzberg, ruled tables by pdfplumber, pictures of text by tesseract.

Runs in the child process only. A page is *thin* if it has almost no text and pictures cover much of it, as a scan does: a title
page has few words too, but no picture that fills it, and an empty form has all its text.
"""

from __future__ import annotations

import io
import logging
import re
import shutil
import subprocess
from typing import Any

import kreuzberg  # noqa: F401 - loaded with this module, before the limit of memory holds
import pdfplumber
import pypdfium2
import pypdfium2.raw as raw

from stellwerk.jobs.data.files.extractor import extracted
from stellwerk.jobs.data.files.shapes import FileProblem

THIN = 40  # characters; a stamp such as a scanner's name is shorter
COVERED = 0.4  # share of the page under pictures
RULES = 4  # a ruled table has at least so many lines
MOST_RULES = 5000  # a drawing
DPI = 300
PDF = "application/pdf"
logging.getLogger("pdfminer").setLevel(logging.CRITICAL)


def extract(data: bytes, ocr: str | None) -> dict[str, Any]:
    """Take the text out of a PDF.

    Args:
        data: the file.
        ocr: languages for thin pages, None to leave them.

    Returns:
        As `extractor.answer`.

    Raises:
        FileProblem: it is locked or damaged.
    """
    document = _opened(data)
    looks = [_look(page) for page in document]
    thin = [number for number, look in enumerate(looks, 1) if look["thin"]]
    pages = [""] * len(looks)
    title, notes = None, list[str]()
    if len(thin) < len(looks):
        found = extracted(data, PDF, include_document_structure=True)
        title = found.metadata.get("title")
        pages = _written(found.document["nodes"] if found.document else [], len(looks))
        ruled = [number for number, look in enumerate(looks) if look["ruled"]]
        _put_unruled(found.document["nodes"] if found.document else [], pages, ruled)
        if not _put_tables(data, pages, ruled):
            notes.append("is damaged, so its tables were not searched; their words stand in the text")
    if ocr is not None:
        for number in thin:
            pages[number - 1] = _by_picture(document[number - 1], ocr)
        thin = [number for number in thin if len(pages[number - 1]) < THIN]
    return {"title": title, "pages": pages, "numbered": True, "thin": thin, "notes": notes}


def _written(nodes: list[dict[str, Any]], pages: int) -> list[str]:
    """The parts of a document as Markdown, by page; its own Markdown does not say truly where pages begin."""
    parts: list[list[str]] = [[] for _ in range(pages)]
    page, bullet = 1, False
    for node in nodes:
        page = min(node.get("page") or page, pages)
        content = node["content"]
        kind, text = content["node_type"], (content.get("text") or "").strip()
        if kind == "heading":
            text = f"{'#' * min(content.get('level', 1), 6)} {text}"
        elif kind == "list_item" or (bullet and kind == "paragraph"):
            # The sign of an item may stand alone, before its text.
            bullet = kind == "list_item" and not text
            text = f"- {text}" if text else ""
        elif kind in ("group", "list", "page_break", "table"):  # the words of a table stand in its paragraphs, too
            continue
        if text:
            parts[page - 1].append(text)
    return ["\n\n".join(part) for part in parts]


def _grid(grid: dict[str, Any]) -> list[list[str]]:
    rows = [[""] * grid["cols"] for _ in range(grid["rows"])]
    for cell in grid["cells"]:
        rows[cell["row"]][cell["col"]] = " ".join(cell["content"].split())
    return rows


def _opened(data: bytes) -> Any:
    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise FileProblem("locked_file", "is protected by a password; save it without one") from None
        raise FileProblem("damaged_file", "is damaged or no PDF; open it in its program and save it again") from None


def _look(page: Any) -> dict[str, bool]:
    """What a page consists of, without reading its text."""
    width, height = page.get_size()
    pictures, rules = 0.0, 0
    for part in page.get_objects(max_depth=3):
        if part.type == raw.FPDF_PAGEOBJ_IMAGE:
            left, bottom, right, top = part.get_bounds()
            pictures += max(0.0, min(right, width) - max(left, 0.0)) * max(0.0, min(top, height) - max(bottom, 0.0))
        rules += part.type == raw.FPDF_PAGEOBJ_PATH
    signs = len("".join(page.get_textpage().get_text_bounded().split()))
    covered = pictures / (width * height) if width * height else 0.0
    return {"thin": signs < THIN and covered >= COVERED, "ruled": RULES <= rules <= MOST_RULES}


def _put_unruled(nodes: list[dict[str, Any]], pages: list[str], ruled: list[int]) -> None:
    """Put the tables without rules that kreuzberg sees, where no other table is."""
    for node in nodes:
        number = (node.get("page") or 0) - 1
        if node["content"]["node_type"] == "table" and 0 <= number < len(pages) and number not in ruled:
            rows = _grid(node["content"]["grid"])
            # The first row may be a heading above the table.
            pages[number] = _with_table(pages[number], rows) or _with_table(pages[number], rows[1:]) or pages[number]


def _put_tables(data: bytes, pages: list[str], ruled: list[int]) -> bool:
    """Put Markdown tables where kreuzberg gives their cells one after the other; False where they could not be searched."""
    if not ruled:
        return True
    try:
        found = _ruled_tables(data, ruled)
    except Exception:  # noqa: BLE001 - it is stricter than what reads the text, which is there already
        return False
    for number, rows in found:
        there = _with_table(pages[number], rows)
        if there is None and _full(rows):
            # Its words stand in the text in another order; a second time as a table does no harm, a lost table does.
            there = "\n\n".join(part for part in (pages[number], "\n".join(_lines(rows))) if part)
        pages[number] = there or pages[number]
    return True


def _ruled_tables(data: bytes, ruled: list[int]) -> list[tuple[int, list[list[str]]]]:
    found = []
    with pdfplumber.open(io.BytesIO(data), pages=[number + 1 for number in ruled]) as document:
        for page in document.pages:
            for table in page.find_tables():
                rows = [["" if cell is None else " ".join(cell.split()) for cell in row] for row in table.extract()]
                found.append((page.page_number - 1, [row for row in rows if any(row)]))
            page.close()
    return found


def _full(rows: list[list[str]]) -> bool:
    """Whether it is a table and no drawing of crossing lines: most of its cells say something."""
    cells = [cell for row in rows for cell in row]
    return len(rows) > 1 and len(rows[0]) > 1 and 2 * sum(map(bool, cells)) >= len(cells)


def _with_table(text: str, rows: list[list[str]]) -> str | None:
    """A page's text with a table in the place of its cells; None where they are not found there in this order."""
    if len(rows) < 2 or len(rows[0]) < 2:
        return None
    words = [word for row in rows for cell in row for word in cell.split()]
    found = re.search(r"[\s|*#]+".join(map(re.escape, words)), text) if len(words) <= 3000 else None
    if found is None or re.search(r"(?m)^#", text[text.rfind("\n", 0, found.start()) + 1 : found.end()]):
        return None  # a heading belongs to no table
    table = "\n".join(_lines(rows))
    return "\n\n".join(part for part in (text[: found.start()].rstrip(), table, text[found.end() :].lstrip()) if part)


def _lines(rows: list[list[str]]) -> list[str]:
    width = max(map(len, rows))
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in [*row, *[""] * (width - len(row))]) + " |" for row in rows]
    return [lines[0], "|" + " --- |" * width, *lines[1:]]


def _by_picture(page: Any, languages: str) -> str:
    """Read a page as a picture."""
    program = shutil.which("tesseract")
    if program is None:
        raise FileProblem(
            "ocr_missing", "has pages without text, and tesseract is not installed: apt install tesseract-ocr-deu"
        )
    picture = io.BytesIO()
    page.render(scale=DPI / 72, grayscale=True).to_pil().save(picture, format="PNG")
    done = subprocess.run(  # noqa: S603 - a program of the system on a picture of ours
        [program, "stdin", "stdout", "-l", languages, "--dpi", str(DPI)],
        input=picture.getvalue(), capture_output=True, check=False, env={"OMP_THREAD_LIMIT": "1", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    if done.returncode:
        raise FileProblem("ocr_failed", f"could not be read as pictures; are tesseract's languages {languages} installed?")
    return "\n\n".join(part.strip() for part in done.stdout.decode(errors="replace").split("\n\n") if part.strip())
