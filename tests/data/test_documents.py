"""Documents of office programs: what is read of them, what is said of those that cannot be read, and the limits."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import document_files as make
import psutil
import pytest

from stellwerk.jobs.data.files import extraction
from stellwerk.jobs.data.files.reading import ReadOptions, Unreadable, read
from stellwerk.jobs.data.files.schema import facts_of

TABLE = [["Teil", "Größe", "Preis"], ["Ventil", "4 mm", "12,50"], ["Ölfilter", "1 l", "7,90"]]
TYPST = "#table(columns: 3, [Teil], [Größe], [Preis], [Ventil], [4 mm], [12,50], [Ölfilter], [1 l], [7,90])"
BEFORE = "Vor der Tabelle steht ein Satz über die Wartung der Presse, und er ist lang genug."
AFTER = "Nach der Tabelle folgt ein Satz über die Prüfung des Drucks, der ebenso lang ist."
PAGES = [f"= Betriebsanleitung\n{BEFORE}", f"== Wartung\n{BEFORE}\n\n{TYPST}\n\n{AFTER}", f"== Störungen\n{AFTER}"]


def rows(path: Path, **options: Any) -> list[dict[str, Any]]:
    """The rows of a file that reads without a complaint."""
    found = list(read(path, path.name, ReadOptions(**options)))
    assert not any(isinstance(piece, Unreadable) for piece in found), found
    return [row for table in found for row in table.to_pylist()]


def complaint(path: Path, **options: Any) -> Unreadable:
    """What is said of a file of which nothing is read."""
    (found,) = read(path, path.name, ReadOptions(**options))
    assert isinstance(found, Unreadable)
    assert found.reason.startswith(path.name)
    assert "\n" not in found.reason
    return found


def has_table(text: str) -> bool:
    """Whether the rows of TABLE stand in a text as those of a Markdown table."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return [line for line in lines if not set("".join(line)) <= set("-")] == TABLE


def test_a_pdf_keeps_headings_tables_and_where_pages_begin(tmp_path: Path) -> None:
    path = tmp_path / "manual.pdf"
    make.pdf(path, PAGES)
    (row,) = rows(path)
    text, starts = row["text"], json.loads(row["page_starts"])
    assert (row["origin"], row["title"], row["pages"]) == ("manual.pdf", "Betriebsanleitung", 3)
    assert [text[start:].splitlines()[0] for start in starts] == ["# Betriebsanleitung", "## Wartung", "## Störungen"]
    assert has_table(text)
    assert starts[1] < text.index("| Teil") < text.index("Nach der Tabelle") < starts[2]
    assert text.count("Ventil") == 1


def test_a_pdf_as_a_row_for_each_page(tmp_path: Path) -> None:
    path = tmp_path / "manual.pdf"
    make.pdf(path, PAGES)
    found = rows(path, pages="each")
    assert [(row["origin"], row["page"], row["pages"]) for row in found] == [(f"manual.pdf#page {n}", n, 3) for n in (1, 2, 3)]
    assert "page_starts" not in found[0]
    (joined,) = rows(path)
    assert "".join(row["text"] for row in found).split() == joined["text"].split()


@pytest.mark.parametrize("kind", ["docx", "odt"])
def test_a_text_document_keeps_headings_and_tables(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"manual.{kind}"
    getattr(make, kind)(path, ["Betriebsanleitung Größe", "Wartung"], [BEFORE, AFTER], TABLE)
    (row,) = rows(path)
    assert "# Betriebsanleitung Größe" in row["text"]
    assert {BEFORE, AFTER} <= set(row["text"].splitlines())
    assert has_table(row["text"])


def test_slides_are_pages(tmp_path: Path) -> None:
    path = tmp_path / "talk.pptx"
    make.pptx(path, [("Ziele", ["Weniger Ausfälle im Werk", "Kürzere Wege"]), ("Zahlen", ["Im März waren es zwölf"])])
    (row,) = rows(path)
    assert row["pages"] == 2
    first, second = json.loads(row["page_starts"])
    assert "Kürzere Wege" in row["text"][first:second]
    assert "zwölf" in row["text"][second:]


def test_an_email_with_documents_is_a_row_for_each(tmp_path: Path) -> None:
    manual = tmp_path / "manual.pdf"
    make.pdf(manual, PAGES)
    mail = make.mail(
        "Anbei die Anleitung.", attachments=[("Anleitung.pdf", "application/pdf", manual.read_bytes())], Subject="Größe"
    )
    path = tmp_path / "mail.eml"
    path.write_bytes(mail.as_bytes())
    first, second = rows(path)
    assert (first["title"], first["attached_to"]) == ("Größe", None)
    assert (second["origin"], second["attached_to"], second["pages"]) == ("mail.eml#attachment 1", "mail.eml", 3)
    assert has_table(second["text"])


def test_a_pdf_of_pictures_needs_ocr_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "scan.pdf"
    make.scanned_pdf(path, [BEFORE, AFTER])
    found = complaint(path)
    assert found.rule == "ocr_needed"
    assert "text yield too low, OCR needed: 0 characters on 2 pages" in found.reason


def test_pages_of_pictures_among_others_are_named(tmp_path: Path) -> None:
    path = tmp_path / "mixed.pdf"
    make.mixed_pdf(path, [(f"= Anfang\n{BEFORE}", False), (AFTER, True), (f"= Ende\n{AFTER}", False)])
    (table,) = read(path, path.name, ReadOptions())
    assert facts_of(table).notes == ["has almost no text on page 2 of 3, OCR needed (documents: {ocr: true})"]
    (row,) = table.to_pylist()
    starts = json.loads(row["page_starts"])
    assert row["text"][starts[2] :].startswith("# Ende")


def test_a_title_page_and_an_empty_form_need_no_ocr(tmp_path: Path) -> None:
    path = tmp_path / "title.pdf"
    make.pdf(path, ["= Titel", "#line(length: 100%)\n#line(length: 100%)", f"= Text\n{BEFORE}"])
    (table,) = read(path, path.name, ReadOptions())
    assert facts_of(table).notes == []
    assert table["pages"].to_pylist() == [3]


@pytest.mark.shared
def test_a_form_of_the_law_gazette_has_all_its_text(shared_data: Path) -> None:
    """It has little text because it is an empty form; looked at as a picture, no word of it is missing."""
    (row,) = rows(shared_data / "text" / "bgbl1_2017_j0330-1_0220.pdf")
    for words in ("Eichung nach Artikel 5", "Wasserverdrängung bei größter Eintauchung", "nicht mehr wasserdicht ist"):
        assert words in row["text"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed (apt install tesseract-ocr)")
def test_ocr_reads_pictures_and_keeps_their_pages(tmp_path: Path) -> None:
    path = tmp_path / "mixed.pdf"
    make.mixed_pdf(path, [(f"= Anfang\n{BEFORE}", False), (AFTER, True), (f"= Ende\n{BEFORE}", False)])
    (row,) = rows(path, ocr=True)
    _, second, third = json.loads(row["page_starts"])
    assert set(AFTER.split()) - set(row["text"][second:third].split()) <= {"Prüfung"}
    make.scanned_pdf(path, [BEFORE])
    (row,) = rows(path, ocr=True)
    assert "Wartung der Presse" in " ".join(row["text"].split())


def test_ocr_in_a_language_that_is_not_installed_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "scan.pdf"
    make.scanned_pdf(path, [BEFORE])
    found = complaint(path, ocr=True, ocr_languages=("xyz",))
    assert found.rule in ("ocr_failed", "ocr_missing")


@pytest.mark.parametrize("kind", ["pdf", "docx", "pptx", "odt", "msg"])
@pytest.mark.parametrize("content", [b"no document at all " * 50, b"%PDF-1.7\n%%EOF", b"PK\x03\x04" + b"\0" * 200])
def test_what_is_no_document_is_named(tmp_path: Path, kind: str, content: bytes) -> None:
    path = tmp_path / f"a.{kind}"
    path.write_bytes(content)
    assert complaint(path).rule in ("damaged_file", "empty_file", "corrupt_file", "extractor_failed")


def test_a_locked_file_is_named(tmp_path: Path) -> None:
    make.locked_pdf(tmp_path / "locked.pdf")
    assert complaint(tmp_path / "locked.pdf").rule == "locked_file"
    (tmp_path / "locked.docx").write_bytes(b"\xd0\xcf\x11\xe0" + b"\0" * 2000)
    assert complaint(tmp_path / "locked.docx").rule == "locked_file"


def test_a_bomb_is_not_unpacked_and_entities_are_not_followed(tmp_path: Path) -> None:
    make.bomb_docx(tmp_path / "bomb.docx")
    found = complaint(tmp_path / "bomb.docx")
    assert (found.rule, "unpacks to" in found.reason) == ("too_large", True)
    secret = tmp_path / "secret"
    secret.write_text("the-content-of-another-file")
    make.entity_docx(tmp_path / "entity.docx", f"file://{secret}")
    for piece in read(tmp_path / "entity.docx", "entity.docx", ReadOptions()):
        assert isinstance(piece, Unreadable) or "the-content" not in str(piece.to_pylist())


@pytest.mark.parametrize(("limit", "rule"), [({"seconds": 0.001}, "too_slow"), ({"megabytes": 0.5}, "too_large")])
def test_a_document_beyond_a_limit_is_left_out_and_the_next_one_is_read(tmp_path: Path, limit: Any, rule: str) -> None:
    path = tmp_path / "a.pdf"
    make.pdf(path, PAGES * 20)
    assert complaint(path, **limit).rule == rule
    assert len(rows(path)) == 1


def test_a_child_that_is_killed_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    make.pdf(path, PAGES)
    rows(path)
    (child,) = extraction.extractor()._children
    child.send_signal(signal.SIGKILL)
    child.wait()
    rows(path)
    assert extraction.extractor()._children[0].pid != child.pid


def test_the_child_ends_with_its_parent(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    make.pdf(path, PAGES)
    script = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        from stellwerk.jobs.data.files import extraction
        from stellwerk.jobs.data.files.reading import read
        list(read(Path({str(path)!r}), "a.pdf"))
        print(extraction.extractor()._children[0].pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    child = int(done.stdout)
    psutil.wait_procs([psutil.Process(child)] if psutil.pid_exists(child) else [], timeout=10)
    assert not psutil.pid_exists(child)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may surely leave the network")
def test_the_child_has_no_network(tmp_path: Path) -> None:
    make.pdf(tmp_path / "a.pdf", PAGES)
    rows(tmp_path / "a.pdf")
    (child,) = extraction.extractor()._children
    assert Path(f"/proc/{child.pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()


def test_documents_of_a_build_say_their_pages_and_what_was_left_out(place: Any) -> None:
    (place.root / "raw").mkdir()
    make.pdf(place.root / "raw" / "a.pdf", PAGES)
    make.scanned_pdf(place.root / "raw" / "b.pdf", [BEFORE])
    make.docx(place.root / "raw" / "c.docx", ["Kapitel"], [BEFORE], TABLE)
    place.spec(sources=[{"name": "m", "files": ["raw/*.pdf", "raw/*.docx"], "documents": {"pages": "each"}}])
    place.adds_up(place.build())
    lost = [row for row in place.ledger() if row["decision"] == "dropped"]
    assert [(row["origin"], row["rule"]) for row in lost if row["step"] == "read"] == [("raw/b.pdf", "ocr_needed")]
    table = place.table().to_pylist()
    assert {row["origin"] for row in table} >= {"raw/a.pdf#page 1", "raw/a.pdf#page 2"}
    (finding,) = place.findings("unreadable", place.version("source/set.m").id)
    assert finding["details"]["rules"] == ["ocr_needed"]
