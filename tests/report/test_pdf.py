"""The PDF of a report says what the report says, in both languages, whatever stands in its texts."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pypdfium2
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from stellwerk.gates import Gate, Measured, Subject
from stellwerk.gates import Signal as GateSignal
from stellwerk.report import sections
from stellwerk.report.charts import histogram
from stellwerk.report.flow import Amount, Flow, FlowStep
from stellwerk.report.lineage import Edge, Lineage, Node
from stellwerk.report.page import (
    Charts,
    Column,
    Command,
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
    render,
)
from stellwerk.report.pdf import render_pdf
from stellwerk.report.words import Language

MADE = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
HOSTILE = [
    '#import "@preview/cetz:0.4.0": *',
    "$x^2$ *bold* _it_ `raw` <label> @ref \\ // /* */ = head",
    '"; panic("x"); //',
    '#read("/etc/passwd") #sys.inputs',
    "<script>alert(1)</script></svg>&amp;",
    "{{ 7*7 }} %s {0}",
    "https://evil.example/x",
]


def signal_lines(text: str, language: Language = "en") -> tuple[SignalLine, ...]:
    gate = Gate(name="prompts.right", job="prompts", concerns=("prompt",), metric="right", min=0.9)
    subject = Subject("p4", "prompt/reply@4", "prompt", "reply")
    measured = Measured(
        "m", "right", 1, 0.872, 0.836, 0.901, 412, "share", True, frozenset({"p4"}), frozenset(), "2026-11-20T09:12:00+00:00"
    )
    signal = GateSignal(gate, subject, "stop", "outside", measurement=measured, attempts=3)
    return (
        sections.signal_line(signal, "Prompts", text, text, ("suite/support@2",), language),
        SignalLine(job="Security", gate=text, state="dark", reason=text),
        SignalLine(job="Ethics", gate="", state=None),
    )


def dossier(text: str = "Größe", language: Language = "en", rows: int = 60) -> Report:
    nodes = tuple(Node(id=str(i), label=f"{text} {i}", kind=text, lit=i == 1, state="dark") for i in range(3))
    flow = Flow(
        sources=(Amount(label=text, count=10),),
        steps=(FlowStep(label=text, drops=(Amount(label=text, count=2),)),),
        kept=7,
        changed=1,
    )
    bars = histogram(np.arange(100) / 10, (3, None))
    return Report(
        title=f"Freigabe {text}",
        subtitle=text,
        headline=(Number(label=text, value="Nein", state="stop", note=text), Number(label="n", value=1234567)),
        summary=(Prose(title="Zuerst", paragraphs=(text,), points=(text,), state="caution"),),
        sections=(
            Signals(title="Gates", lines=signal_lines(text, language), note=text),
            LineagePicture(title="Lineage", lineage=Lineage(nodes=nodes, edges=(Edge(made="0", source="1", by=text),))),
            FlowPicture(title="Flow", flow=flow),
            Charts(title="Charts", charts=(Distribution(title=text, histogram=bars, lower=3, unit=text, note=text),)),
            Table(
                title="Table",
                intro=text,
                columns=(
                    Column(label=text),
                    Column(label="Kopf", kind="code"),
                    Column(label="Zahl", kind="number"),
                    Column(label="%", kind="share"),
                ),
                rows=tuple(
                    (Signal(state="clear", text=text) if i % 2 else None, f"row-{i}", i * 1.5, i / 60) for i in range(rows)
                ),
            ),
            Numbers(title="Numbers", items=(Number(label=text, value=0.5),)),
            Prose(title="Zuletzt", commands=(Command(text=text, says=text),)),
        ),
        footer=(text,),
    )


@contextmanager
def opened(data: bytes) -> Iterator[Any]:
    document = pypdfium2.PdfDocument(data)
    try:
        yield document
    finally:
        document.close()


def pages(data: bytes) -> list[str]:
    """The text of each page; what broke over lines joined again."""
    texts = []
    with opened(data) as document:
        for index in range(len(document)):
            page = document[index]
            text_page = page.get_textpage()
            texts.append(text_page.get_text_range().replace("\ufffe", "-"))
            text_page.close()
            page.close()
    return texts


def letters(text: str) -> str:
    """A text without white space: where lines break is the layout's matter."""
    return re.sub(r"\s+", "", text)


SAID: dict[Language, list[str]] = {
    "en": ["Stop", "No evidence", "Clear", "not required", "1,234,567", "87.2 % (83.6 % to 90.1 %)", "Threshold ≥ 90 %",
           "3 attempts", "measured 20 Nov 2026, 09:12 UTC"],
    "de": ["Halt", "Kein Nachweis", "Frei", "nicht verlangt", "1.234.567", "87,2 % (83,6 % bis 90,1 %)", "Schwelle ≥ 90 %",
           "3 Versuche", "gemessen 20.11.2026, 09:12 UTC"],
}  # fmt: skip


@pytest.mark.parametrize("language", ["en", "de"])
def test_it_says_what_the_report_says(language: Language) -> None:
    text = "Überprüfung −3,5 ≤ 8 „ßÄ“ – 5 €"
    read = pages(render_pdf(dossier(text, language), language, MADE))
    whole = letters("".join(read))
    assert all(
        letters(part) in whole for part in [text, *SAID[language], "prompt/reply@4", "row-0", "row-59", "suite/support@2"]
    )
    label = f"Page 1 of {len(read)}" if language == "en" else f"Seite 1 von {len(read)}"
    assert label in read[0]
    assert ("As of 22 Nov 2026" if language == "en" else "Stand 22.11.2026") in read[0]


def test_the_summary_has_the_first_page_and_heads_come_again_after_a_break() -> None:
    read = pages(render_pdf(dossier(rows=120), "de", MADE))
    assert "Zuerst" in read[0]
    assert "Gates" not in read[0]
    assert "Gates" in read[1]
    tables = [page for page in read if re.search(r"row-\d", page)]
    assert len(tables) >= 3
    assert all("Kopf" in page for page in tables)
    assert all("Freigabe Größe" in page for page in read)


def test_it_names_itself_and_can_be_archived_and_read_aloud() -> None:
    data = render_pdf(dossier(), "de", MADE)
    with opened(data) as document:
        assert document.get_metadata_dict()["Title"] == "Freigabe Größe"
        assert document.get_metadata_dict()["CreationDate"].startswith("D:20261122100000")
        assert [entry.get_title() for entry in document.get_toc()][:1] == ["Freigabe Größe"]
        assert document.is_tagged()
        assert {tuple(map(round, document.get_page_size(i))) for i in range(len(document))} == {(595, 842)}
    assert b"/Lang" in data
    assert b"pdfaid:part>2" in data or b'pdfaid:part="2"' in data
    assert b"pdfuaid:part" in data


def test_equal_reports_give_equal_bytes_in_any_process() -> None:
    report = dossier(rows=5)
    code = (
        "import sys; from datetime import datetime; from stellwerk.report.page import Report; "
        "from stellwerk.report.pdf import render_pdf; report = Report.model_validate_json(sys.stdin.buffer.read()); "
        f"sys.stdout.buffer.write(render_pdf(report, 'de', datetime.fromisoformat('{MADE.isoformat()}')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=report.model_dump_json().encode(), capture_output=True, check=True
    )
    assert render_pdf(report, "de", MADE) == done.stdout


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_stay_literal(text: str) -> None:
    read = letters("".join(pages(render_pdf(dossier(text, rows=3), "en", MADE))))
    assert read.count(letters(text)) >= 12


def test_signs_that_cannot_be_seen_are_shown() -> None:
    text = "a\u202eb\x00c\ud800d漢\u2028e"
    read = letters("".join(pages(render_pdf(dossier(text, rows=2), "en", MADE))))
    assert read.count("a[U+202E]b[U+0000]c[U+D800]d[U+6F22][U+2028]e") >= 12
    html = render(dossier(text, rows=2))
    assert "a[U+202E]b[U+0000]c[U+D800]d漢[U+2028]e" in html
    assert "\u202e" not in html
    html.encode()


def test_long_words_break_inside_their_column_and_long_texts_over_pages() -> None:
    word, essay = "sha256:" + "0123456789abcdef" * 12, "Ein langer Satz, der nie endet. " * 700
    columns = (Column(label="a"), Column(label="b", kind="code"), Column(label="c"))
    table = Table(title="t", columns=columns, rows=((word, word, "kurz"), (essay, None, None)))
    report = Report(title="x", sections=(table,))
    data = render_pdf(report, "de", MADE)
    read = letters("".join(pages(data)))
    assert word in read
    assert read.count("Satz,") == 700
    with opened(data) as document:
        page = document[0]
        text_page = page.get_textpage()
        right = max(text_page.get_charbox(i)[2] for i in range(text_page.count_chars()))
        text_page.close()
        page.close()
    assert right < 595 - 50


def test_a_wide_picture_has_a_page_of_its_own() -> None:
    nodes = tuple(Node(id=str(i), label=f"n{i}") for i in range(6))
    chain = Lineage(nodes=nodes, edges=tuple(Edge(made=str(i + 1), source=str(i)) for i in range(5)))
    with opened(render_pdf(Report(title="x", sections=(LineagePicture(title="L", lineage=chain),)))) as document:
        sizes = [document.get_page_size(index) for index in range(len(document))]
    assert [width > height for width, height in sizes] == [False, True, False]


@settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(st.text(max_size=80))
def test_any_text_can_be_printed(text: str) -> None:
    assert render_pdf(dossier(text, rows=2), "de", MADE).startswith(b"%PDF-")


def test_an_empty_report_is_a_page() -> None:
    assert len(pages(render_pdf(Report(title="leer"), "de"))) == 1
