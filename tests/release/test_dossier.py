"""The dossier says what is known and what is weak, in both languages, and writes nothing where there is no fact."""

from __future__ import annotations

import string
from pathlib import Path

import pypdfium2
import pytest
from desk import LETTERS, Desk
from heads import WEAK, data, head
from hypothesis import given, settings
from hypothesis import strategies as st

from stellwerk.release import dossier_words
from stellwerk.release.bundle import unpack
from stellwerk.release.dossier import dossier
from stellwerk.release.manifest import Head, SystemPart
from stellwerk.report.page import Prose, Report, Section, Table, render
from stellwerk.report.words import Language

LANGUAGES: tuple[Language, ...] = ("en", "de")
UNKNOWN = {"en": "not yet known", "de": "noch nicht bekannt"}


def section(report: Report, title: str) -> Section:
    return next(part for part in (*report.summary, *report.sections) if part.title.startswith(title))


def titles(report: Report) -> str:
    return "\n".join(part.title for part in (*report.summary, *report.sections))


def facts(report: Report, title: str) -> dict[str, str]:
    table = section(report, title)
    assert isinstance(table, Table)
    return {str(row[0]): str(row[1]) for row in table.rows}


def first_page(report: Report) -> str:
    """All that stands before the contents, as text."""
    parts = [*report.headline, *report.summary]
    return "\n".join(str(part.model_dump()) for part in parts)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_page_says_whether_it_may_run_and_what_that_means(language: Language) -> None:
    sound, weak = dossier(head(), language), dossier(head(**WEAK), language)
    assert [card.state for card in (sound.headline[0], weak.headline[0])] == ["clear", "caution"]
    assert {"en": "no legal advice and no certificate", "de": "keine Rechtsberatung und kein Zertifikat"}[
        language
    ] in first_page(sound)
    assert {"en": "gates that you set are met", "de": "von Ihnen gesetzten Prüfpunkte erfüllt"}[language] in first_page(sound)
    (verdict,) = (part for part in weak.summary[:1])
    assert isinstance(verdict, Prose)
    assert {"en": "Waivers let 1 of 2 signals pass", "de": "lassen 1 von 2 Signalen passieren"}[language] in verdict.paragraphs[
        0
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_weak_is_named_with_person_date_and_reason(language: Language) -> None:
    part = section(dossier(head(**WEAK), language), {"en": "What is weak", "de": "Was schwach ist"}[language])
    assert isinstance(part, Prose)
    said = "\n".join(part.points)
    own = {
        "en": ("Asks data.kept", "Not authenticated: 3 of 4"),
        "de": ("Verlangt data.kept", "Nicht authentifiziert: 3 von 4"),
    }
    for fact in ("Max Amt", "a pilot", "2027", "a column went", "a key in a letter", "Jo Rat", "2026", "12", *own[language]):
        assert fact in said
    assert "a column came" not in said, "it was accepted, and is of low severity"
    assert part.state == "caution"
    sound = section(dossier(head(), language), part.title)
    assert isinstance(sound, Prose)
    assert sound.state is None
    assert sound.paragraphs
    assert len(sound.points) == 2, "the oldest measurement and the fewest cases are said of every release"


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_signed_stands_there_with_whether_that_was_proven(language: Language) -> None:
    table = section(dossier(head(**WEAK), language), {"en": "Who signed", "de": "Wer unterschrieben hat"}[language])
    assert isinstance(table, Table)
    proven = {"en": ["not authenticated", "authenticated"], "de": ["nicht authentifiziert", "authentifiziert"]}[language]
    assert [row[1:3] for row in table.rows] == [("Ida Amt", proven[0]), ("Ute Amt", proven[1])]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_data_record_holds_facts_and_nothing_else(language: Language) -> None:
    title = {"en": "Data record", "de": "Datenblatt"}[language]
    known = list(facts(dossier(head(), language), title).values())
    assert "train the writer" in known[0]
    assert "letters are in German" in known[3]
    assert {"en": "1,000", "de": "1.000"}[language] in known[4]
    assert known[5] == known[6] == UNKNOWN[language], "nobody examined bias"
    assert known[7] == "no letters before 2020"
    bare = facts(dossier(head(data=[type(data())(ref="dataset/letters@2")], signals=[]), language), title)
    assert len(bare) == 8
    assert set(bare.values()) == {UNKNOWN[language]}


@pytest.mark.parametrize("language", LANGUAGES)
def test_annex_iv_stands_there_for_high_risk_systems_only(language: Language) -> None:
    for high_risk in (None, False, True):
        system = SystemPart(name="desk", purpose="p", owner="o", role="provider", high_risk=high_risk, oversight="four eyes")
        report = dossier(head(system=system), language)
        annex = {"en": "Annex IV", "de": "Anhang IV"}[language]
        assert (annex in titles(report)) is (high_risk is True)
    points = facts(report, {"en": "Technical documentation", "de": "Technische Dokumentation"}[language])
    assert len(points) == 9
    assert list(points.values())[2] == "four eyes"
    assert list(points.values())[4:] == [UNKNOWN[language]] * 5


@pytest.mark.parametrize("language", LANGUAGES)
def test_data_protection_stands_there_where_personal_data_were_found(language: Language) -> None:
    report = dossier(head(), language)
    entry = facts(report, {"en": "Entry for the record", "de": "Eintrag für das"}[language])
    assert "EMAIL" in "".join(entry.values())
    assert "two years" in entry.values()
    assert list(entry.values()).count(UNKNOWN[language]) == 3, "subjects, recipients, third countries"
    screening = facts(report, {"en": "Screening", "de": "Vorprüfung"}[language])
    assert "37" in "".join(screening.values())
    for personal in (None, data().personal.model_copy(update={"counts": {"SECRET": 3}})):  # type: ignore[union-attr]
        without = dossier(head(data=[data(personal=personal)]), language)
        assert "Art. 30" not in titles(without)
        assert "Art. 35" not in titles(without)


def test_every_sentence_has_both_languages_with_the_same_places_to_fill() -> None:
    for key, (english, german) in dossier_words._SENTENCES.items():
        places = [sorted(name for _, name, _, _ in string.Formatter().parse(text) if name) for text in (english, german)]
        assert places[0] == places[1], key
        assert bool(english) == bool(german), key
        for word in ("Sicherheitspunkt", "Gate", "Waiver", "Release", "Finding", "Asset"):
            assert word not in german.replace("stellwerk release", ""), key


@settings(max_examples=20, deadline=None)
@given(text=st.text(alphabet=st.characters(codec="utf-8"), max_size=80).map(lambda text: f"{text}<script>x</script>{{}}%"))
def test_no_text_of_a_person_becomes_markup(text: str) -> None:
    system = SystemPart(name="desk", title=text, purpose=text, owner=text, role="provider", users=text, high_risk=True)
    shown = head(system=system, data=[data(purpose=text, known_gaps=[text])])
    html = render(dossier(Head(**{**dict(shown), "note": text}), "de"), "de")
    assert "<script" not in html.lower()


def test_documents_hold_no_personal_value_and_both_languages_say_the_same(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk")
    desk.measure()
    desk.make()
    desk.export(tmp_path / "desk.zip")
    members = unpack((tmp_path / "desk.zip").read_bytes())
    shown = dict(members)
    for name in ("dossier.en.pdf", "dossier.de.pdf"):
        with pypdfium2.PdfDocument(members[name]) as file:
            shown[name] = "\n".join(page.get_textpage().get_text_bounded() for page in file).encode()
        assert members[name].startswith(b"%PDF-")
    for name, content in shown.items():
        assert b"k.muster" not in content, name
        assert not any(letter.encode() in content for letter in LETTERS), name
    for ending in ("html", "pdf"):
        assert b"EMAIL" in shown[f"dossier.de.{ending}"]
        assert "nicht authentifiziert" in shown[f"dossier.de.{ending}"].decode()
        assert "not authenticated" in shown[f"dossier.en.{ending}"].decode()
    assert b"keine Rechtsberatung" in shown["dossier.de.pdf"]
