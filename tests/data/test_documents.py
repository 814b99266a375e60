"""Documents of office programs: what is read of them, what is said of those that cannot be read, and the limits."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import zipfile
from pathlib import Path
from typing import Any

import document_files as make
import docx as word
import outlook_files
import psutil
import pytest

from stellwerk.jobs.data.files import extraction
from stellwerk.jobs.data.files.reading import ReadOptions, Unreadable, read
from stellwerk.jobs.data.files.schema import facts_of
from stellwerk.jobs.data.files.shapes import FileProblem

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
    make.pdf(path, [f"= Kapitel {number}\n#lorem(700)" for number in range(200)])
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


SIGNS = "Müller & Söhne GmbH & Co. KG, p < 5 bar > 3, Tom&Jerry, &amp; und 'so' \"fort\"! Achtung!"


@pytest.mark.parametrize("kind", ["docx", "odt", "pptx"])
def test_no_sign_of_a_text_is_lost_or_escaped(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "pptx":
        make.pptx(path, [(SIGNS, [SIGNS])])
    else:
        getattr(make, kind)(path, [SIGNS], [SIGNS], [[SIGNS, "a|b"], ["1", "2"]])
    (row,) = rows(path)
    assert row["text"].count(SIGNS) == (2 if kind == "pptx" else 3)
    assert row["title"] == SIGNS


def test_characters_written_as_numbers_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.docx"
    make.docx(path, [], ["Gr12e"])
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["word/document.xml"] = parts["word/document.xml"].replace(b"Gr12e", b"Gr&#246;&#xDF;e &#38; &#x3C;5 &lt;b&gt;")
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    (row,) = rows(path)
    assert row["text"] == "Größe & <5 <b>\n"


def test_slides_without_a_title_are_pages_too(tmp_path: Path) -> None:
    path = tmp_path / "talk.pptx"
    make.pptx(path, [("Eins", ["a"]), ("", ["nur Text"]), ("", []), ("Vier", ["d"])])
    found = rows(path, pages="each")
    assert [(row["page"], row["pages"], row["text"]) for row in found] == [
        (1, 4, "## Eins\n\na\n"),
        (2, 4, "## nur Text\n"),
        (4, 4, "## Vier\n\nd\n"),
    ]


def test_a_word_file_has_pages_only_where_they_are_noted(tmp_path: Path) -> None:
    path = tmp_path / "a.docx"
    make.docx(path, ["Kapitel"], [BEFORE] * 200)
    (row,) = rows(path)
    assert (row["pages"], row["page_starts"]) == (None, None)
    document = word.Document()
    for number in range(3):
        document.add_paragraph(f"{number}. {BEFORE}")
        document.add_page_break()
    document.add_paragraph(AFTER)
    document.save(str(path))
    (row,) = rows(path)
    starts = json.loads(row["page_starts"])
    assert [row["text"][start:].split()[0] for start in starts] == ["0.", "1.", "2.", "Nach"]


UNRULED = TYPST.replace("columns: 3,", "columns: 3, stroke: none, column-gutter: 1cm,")


def test_a_table_without_rules_stands_there_once(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    make.pdf(path, [f"= Titel\n{UNRULED}", UNRULED, f"{BEFORE}\n\n{UNRULED}\n\n{AFTER}"])
    (row,) = rows(path)
    assert row["text"].count("Ventil") == row["text"].count("12,50") == 3
    assert "# Titel" in row["text"]


def test_cells_of_several_lines_make_no_second_table(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    cells = (
        "[Teil], [Beschreibung der Sache], [Preis in Euro], [Ventil groß], [ein langer Text in der Zelle über Zeilen], [12,50]"
    )
    make.pdf(path, [f"= Titel\nvorher\n#table(columns: (3cm, 3cm, 4cm), {cells})\nnachher"])
    (row,) = rows(path)
    lines = row["text"].splitlines()
    assert lines[0] == "# Titel"
    assert "| Ventil groß | ein langer Text in der Zelle über Zeilen | 12,50 |" in lines
    assert row["text"].count("12,50") == 1


def test_a_drawing_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    down = "".join(f"#place(top + left, dx: {n * 6}pt, line(end: (0pt, 360pt)))" for n in range(60))
    across = "".join(f"#place(top + left, dy: {n * 6}pt, line(end: (360pt, 0pt)))" for n in range(60))
    make.pdf(path, [f"= Titel\n{BEFORE} {AFTER}\n{down}{across}"])
    (row,) = rows(path)
    assert "|" not in row["text"]


def test_a_damaged_pdf_keeps_its_text_where_its_tables_cannot_be_found(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    make.pdf(path, PAGES)
    path.write_bytes(path.read_bytes().replace(b"startxref", b"startxxxx"))
    (row,) = rows(path)
    assert row["pages"] == 3
    assert "Ventil" in row["text"]


def test_threads_do_not_mix_their_documents(tmp_path: Path) -> None:
    names = ["Eins", "Zwei", "Drei"]
    for name in names:
        make.pdf(tmp_path / f"{name}.pdf", [f"{name} #lorem(300)"] * 5)
    found: list[tuple[str, str]] = []

    def work(name: str) -> None:
        for _ in range(5):
            found.extend((name, row["text"].split()[0]) for row in rows(tmp_path / f"{name}.pdf"))

    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted((name, name) for name in names for _ in range(5))


def test_an_interrupted_document_leaves_no_answer_to_the_next(tmp_path: Path) -> None:
    make.pdf(tmp_path / "Lang.pdf", ["= Lang\n#lorem(300)"] * 60)
    make.pdf(tmp_path / "Kurz.pdf", ["= Kurz\nText"])
    rows(tmp_path / "Kurz.pdf")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, stop)
    try:
        with pytest.raises(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            rows(tmp_path / "Lang.pdf")
    finally:
        signal.signal(signal.SIGALRM, before)
    (row,) = rows(tmp_path / "Kurz.pdf")
    assert row["title"] == "Kurz"


def test_a_child_that_died_while_it_waited_costs_no_document(tmp_path: Path) -> None:
    make.pdf(tmp_path / "a.pdf", PAGES)
    rows(tmp_path / "a.pdf")
    (child,) = extraction.extractor()._children
    os.kill(child.pid, signal.SIGKILL)
    assert len(rows(tmp_path / "a.pdf")) == 1


def test_the_child_leaves_no_file_and_knows_no_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make.pdf(tmp_path / "a.pdf", PAGES)
    for name in ("T", "H", "C"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "T"))
    monkeypatch.setenv("HOME", str(tmp_path / "H"))
    monkeypatch.setenv("CRM_PASSWORD", "geheim")
    monkeypatch.chdir(tmp_path / "C")
    extraction.extractor()._end()
    rows(tmp_path / "a.pdf")
    (child,) = extraction.extractor()._children
    assert b"geheim" not in Path(f"/proc/{child.pid}/environ").read_bytes()
    assert [path for name in ("T", "H", "C") for path in (tmp_path / name).rglob("*")] == []
    extraction.extractor()._end()


def test_no_library_is_loaded_that_another_user_may_have_put_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """kreuzberg unpacks its PDF library into the folder for temporary files, and takes one of its size that is there."""
    make.pdf(tmp_path / "a.pdf", PAGES)
    script = "import kreuzberg, sys; print(kreuzberg.extract_file_sync(sys.argv[1]).content)"
    (tmp_path / "T").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "T"))
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "a.pdf")], check=True, capture_output=True)
    (planted,) = (tmp_path / "T").rglob("libpdfium.so")
    planted.write_bytes(b"\0" * planted.stat().st_size)
    extraction.extractor()._end()
    assert len(rows(tmp_path / "a.pdf")) == 1
    (child,) = extraction.extractor()._children
    assert str(planted) not in Path(f"/proc/{child.pid}/maps").read_text()
    extraction.extractor()._end()


def test_an_outlook_mail_is_a_mail(tmp_path: Path) -> None:
    path = tmp_path / "a.msg"
    since = dt.datetime(2026, 11, 22, 8, 30) - dt.datetime(1601, 1, 1)
    texts = {0x001A: "IPM.Note", 0x0037: "Störung & Größe", 0x1000: "Guten Tag,\r\n\r\nMüller & Söhne <x>!\r\n> zitiert\r\n"}
    texts |= {0x0C1A: "Erika Muster", 0x0C1F: "erika@example.org", 0x1035: "<1@example.org>"}
    outlook_files.msg(path, texts, sent=round(since.total_seconds()) * 10**7, attachments=[("a.pdf", b"%PDF-1.4")])
    (table,) = read(path, path.name, ReadOptions())
    (row,) = table.to_pylist()
    assert row["title"] == "Störung & Größe"
    assert row["text"] == "Guten Tag,\n\nMüller & Söhne <x>!\n> zitiert\n"
    assert (row["sent"], row["sender"]) == (dt.datetime(2026, 11, 22, 8, 30), "Erika Muster <erika@example.org>")
    assert facts_of(table).notes == ["has 1 attachment, which is not read; save the mail as .eml to have them"]
    mail = tmp_path / "a.eml"
    mail.write_bytes(make.mail(Message_ID="<1@example.org>").as_bytes())
    assert rows(mail)[0]["message_id"] == row["message_id"]
    assert list(rows(mail)[0]) == list(row)


def test_a_page_or_attachment_that_is_gone_goes_from_an_appended_source(place: Any) -> None:
    (place.root / "raw").mkdir()
    make.pdf(place.root / "raw" / "a.pdf", PAGES)
    place.spec(sources=[{"name": "m", "files": "raw/*", "load": "append", "documents": {"pages": "each"}}])
    place.build()
    make.pdf(place.root / "raw" / "a.pdf", PAGES[:2])
    place.build()
    rows = place.read(place.version("source/set.m").content["shards"])
    assert rows["origin"].to_pylist() == ["raw/a.pdf#page 1", "raw/a.pdf#page 2"]


def test_what_was_in_the_way_of_one_run_is_tried_again_by_the_next(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (place.root / "raw").mkdir()
    make.pdf(place.root / "raw" / "a.pdf", PAGES)
    place.spec(sources=[{"name": "m", "files": "raw/*"}])
    with monkeypatch.context() as patch:
        patch.setattr(extraction.Extractor, "ask", _crashing)
        assert place.build().counts.kept == 0
    assert place.build().counts.kept == 1


def _crashing(*_: Any) -> Any:
    raise FileProblem("extractor_failed", "made the extractor of documents crash")


def test_an_interrupt_does_not_shift_the_texts_of_the_next_documents(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.pdf" for name in "ab"]
    for path, name in zip(paths, ("Erstes", "Zweites"), strict=True):
        make.pdf(path, [f"= {name} Kapitel {number}\n{BEFORE} {name}" for number in range(40)])
    rows(paths[1])

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(KeyboardInterrupt):
            for _ in range(100):
                rows(paths[0])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    (row,) = rows(paths[1])
    assert "Zweites" in row["text"]
    assert "Erstes" not in row["text"]
