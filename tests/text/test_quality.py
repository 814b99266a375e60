"""Quality scores against a slow reference that says the same in plain Python, one text and one rule at a time."""

from __future__ import annotations

import json
import lzma
import re
import tracemalloc
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stellwerk.text.endings import incomplete_end
from stellwerk.text.quality import SCHEMA, STOP_WORDS, scores
from stellwerk.text.quality_scores import COUNTS, SCORES
from stellwerk.text.tokens import tokenize

PIECES = [
    *[
        "der",
        "Die",
        "the",
        "and",
        "Maschine",
        "Störung",
        "12",
        "4711",
        "A",
        "b",
        "_x",
        "ÄÖÜ",
        "straße",
        "ΣΑΣ",
        "é",
        "数据",
        "😀",
        "x.y",
    ],
    *["a"] * 4,
    *[" "] * 12,
    *["\n", "\n\n", "\n \n", "\r\n", "\t", "\u00a0", "- ", "* ", "• ", "-", "#", "...", "..", "…", ".", "!", '"', "(", ","],
    "Bitte rufen Sie uns an.\n",
    "one two three four five six ",
    "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0NTY3ODk=",
    "=" * 70,
]
texts = st.lists(st.sampled_from(PIECES), max_size=80).map("".join) | st.text(max_size=60)


def fold(text: str) -> str:
    return "".join(char.lower() if len(char.lower()) == 1 else char for char in text)


def share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def later(items: list[str]) -> list[str]:
    seen: set[str] = set()
    return [item for item in items if item in seen or seen.add(item)]  # type: ignore[func-returns-value]


def top_share(words: list[str], size: int, total: int) -> float:
    grams = [tuple(words[at : at + size]) for at in range(len(words) - size + 1)]
    if not grams:
        return 0.0
    best, count = Counter(grams).most_common(1)[0]
    if count < 2:
        return 0.0
    chosen, at = 0, 0
    while at < len(grams):
        hit = grams[at] == best
        chosen += hit
        at += size if hit else 1
    return chosen * len(" ".join(best)) / total


def duplicate_share(words: list[str], size: int, total: int) -> float:
    grams = [tuple(words[at : at + size]) for at in range(len(words) - size + 1)]
    read: set[tuple[str, ...]] = set()
    characters, at = 0, 0
    while at < len(grams):
        if grams[at] in read:
            characters += len("".join(grams[at]))
            at += size
        else:
            read.add(grams[at])
            at += 1
    return share(characters, total)


def layout(text: str) -> dict[str, float]:
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    paragraphs = [part.strip() for part in re.split(r"\n(?:[^\S\n]*\n)+", text) if part.strip()]
    repeated, repeated_paragraphs = later([fold(x) for x in lines]), later([fold(x) for x in paragraphs])
    encoded = [run for run in re.findall(r"[A-Za-z0-9+/=]{60,}", text) if re.search("[A-Za-z]", run)]
    return {
        "lines": len(lines),
        "bullet_line_share": share(sum(bool(re.match(r"[•‣◦▪▫■□●○◆◇►▶⁃∙·]|[-*+–—]\s", x)) for x in lines), len(lines)),
        "ellipsis_line_share": share(sum(x.endswith(("...", "…")) for x in lines), len(lines)),
        "end_punctuation_line_share": share(sum(x[-1] in ".!?…\"'”“’‘»«›‹。！？" for x in lines), len(lines)),
        "short_line_share": share(sum(len(x) <= 30 for x in lines), len(lines)),
        "duplicate_line_share": share(len(repeated), len(lines)),
        "duplicate_line_char_share": share(len("".join(repeated)), len(text)),
        "duplicate_paragraph_share": share(len(repeated_paragraphs), len(paragraphs)),
        "duplicate_paragraph_char_share": share(len("".join(repeated_paragraphs)), len(text)),
        "base64_share": share(sum(len(run) for run in encoded if re.search("[0-9]", run)), len(text)),
    }


def reference(text: str, language: str | None) -> dict[str, float]:
    words = re.findall(r"\w+", text)
    folded = [fold(word) for word in words]
    lists = [STOP_WORDS[language]] if language in STOP_WORDS else list(STOP_WORDS.values())
    stops = max(([word for word in folded if word in listed] for listed in lists), key=len)
    gapless = text.split()
    letters = [char for char in text if char.isalpha()]
    symbols = text.count("#") + text.count("…") + text.count("...")
    return {
        **layout(text),
        "chars": len(text),
        "words": len(words),
        "mean_word_length": share(len("".join(words)), len(words)),
        "alpha_word_share": share(sum(any(c.isalpha() for c in word) for word in gapless), len(gapless)),
        "symbol_word_ratio": symbols / max(len(words), 1),
        "newline_ratio": text.count("\n") / max(len(words), 1),
        "digit_share": share(sum(char.isdecimal() for char in text), len(text)),
        "uppercase_share": share(sum(char.isupper() for char in letters), len(letters)),
        "non_ascii_share": share(sum(not char.isascii() for char in text), len(text)),
        "stop_word_count": len(set(stops)),
        "stop_word_share": share(len(stops), len(words)),
        **{f"top_{size}gram_share": top_share(folded, size, len(text)) for size in (2, 3, 4)},
        **{f"duplicate_{size}gram_share": duplicate_share(folded, size, len(text)) for size in range(5, 11)},
    }


def assert_equals_reference(batch: list[str], languages: list[str | None] | None) -> None:
    rows = scores(batch, languages).to_pylist()
    assert len(rows) == len(batch)
    for row, text, language in zip(rows, batch, languages or [None] * len(batch), strict=True):
        expected = reference(text, language)
        assert set(row) == set(expected) | {"incomplete_end"}
        for name, value in expected.items():
            assert row[name] == pytest.approx(value, rel=1e-6, abs=1e-6), (name, text)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(texts, st.sampled_from(["de", "en", "fr", None])), min_size=1, max_size=6))
def test_scores_equal_the_reference(batch: list[tuple[str, str | None]]) -> None:
    assert_equals_reference([text for text, _ in batch], [language for _, language in batch])


@pytest.mark.shared
def test_scores_of_real_pages_equal_the_reference(shared_data: Path) -> None:
    for name in ("gesetze_de", "mdn_de", "eips_en", "powershell_versions_en"):
        with lzma.open(shared_data / "text" / f"{name}.jsonl.xz", "rt", encoding="utf-8") as file:
            batch = [json.loads(line)["text"][:6000] for line, _ in zip(file, range(25), strict=False)]
        assert_equals_reference(batch, None)


@settings(max_examples=50, deadline=None)
@given(st.lists(texts, max_size=8))
def test_a_text_scores_the_same_alone_and_in_a_batch(batch: list[str]) -> None:
    alone = [scores([text]) for text in batch]
    assert scores(batch).equals(pa.concat_tables(alone) if alone else SCHEMA.empty_table())


def test_every_score_has_a_column_and_an_explanation() -> None:
    assert list(SCORES) == SCHEMA.names
    assert {field.name for field in SCHEMA if field.type == pa.int32()} == COUNTS
    for score in SCORES.values():
        assert score.title and score.unit and score.source
        assert score.description.endswith(".")


def test_empty_blank_and_missing_texts_score_zero() -> None:
    table = scores(["", None, " \n\t "])
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name == "newline_ratio":
            assert column.to_pylist() == [0, 0, 1]
        elif name == "chars":
            assert column.to_pylist() == [0, 0, 4]
        else:
            assert column.to_pylist() == [0, 0, 0], name


def test_slices_and_chunks_of_a_column_are_scored_like_lists() -> None:
    column = pa.chunked_array([["eins", "zwei drei"], [], [None, "vier\nvier"]])
    plain = scores(["eins", "zwei drei", None, "vier\nvier"])
    assert scores(column).equals(plain)
    assert scores(column.slice(1, 3)).equals(plain.slice(1, 3).combine_chunks())
    assert scores(pa.chunked_array([], pa.string())).num_rows == 0


def test_a_text_longer_than_a_block_equals_the_reference_and_its_memory_is_bounded() -> None:
    sentence = "Die Maschine 4711 steht seit Montag, bitte schicken Sie einen Techniker.\n"
    text = "".join(f"{number} {sentence}" for number in range(20_000))
    tracemalloc.start()
    row = scores([text]).to_pylist()[0]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert row["words"] == 20_000 * 12
    assert row["lines"] == 20_000
    assert row["duplicate_line_share"] == 0
    # each line but the first repeats the ten words behind its number
    assert row["duplicate_10gram_share"] == pytest.approx(
        19_999 * len("DieMaschine4711stehtseitMontagbitteschickenSieeinen") / len(text)
    )
    assert peak < 120 * len(text)


def test_many_tiny_texts_are_scored_in_bounded_memory() -> None:
    batch = pa.array(["", "ja", None, "nein nein"] * 25_000, pa.large_string())
    tracemalloc.start()
    table = scores(batch)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert table["words"].to_pylist() == [0, 1, 0, 2] * 25_000
    assert peak < 60e6


def test_word_hashes_are_stable_and_ignore_case_place_and_batch() -> None:
    tokens = tokenize(["Pumpe pumpe", "", "x" * 300_000 + " PUMPE"])
    assert tokens.starts.tolist() == [0, 2, 2, 4]
    assert tokens.lengths.tolist() == [5, 5, 300_000, 5]
    assert len({tokens.hashes[at].item() for at in (0, 1, 3)}) == 1
    assert tokenize(["pumpe"]).hashes[0] == tokens.hashes[0]
    assert hex(tokenize(["pumpe"]).hashes[0]) == "0x504752be9ff953d"


@settings(max_examples=100, deadline=None)
@given(st.lists(texts, max_size=5))
def test_equal_words_and_only_they_share_a_hash(batch: list[str]) -> None:
    words = [fold(word) for text in batch for word in re.findall(r"\w+", text)]
    hashes = tokenize(batch).hashes.tolist()
    assert len(words) == len(hashes)
    assert len(set(zip(words, hashes, strict=True))) == len(set(words)) == len(set(hashes))


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        ("Der Drucker druckt nicht mehr.", 0),
        ("Der Drucker druckt nicht mehr", 0),
        ("Mit freundlichen Grüßen\nEva Müller", 0),
        ("Bitte rufen Sie mich an", 0),
        ("Danke und Gruß :(", 0),
        ("Siehe https://example.org/hilfe/", 0),
        ("Fehler 4711 (siehe Anhang)", 0),
        ("Bitte Angebot für SAP", 0),
        (
            "Die Anlage steht seit Montag. Wer kann kommen?\n\nMit freundlichen Grüßen\nEinkauf\nMuster Bau GmbH & Co. KG",
            0,
        ),
        ("Could you send an engineer?\n\nMany thanks and best regards,", 0),
        ("Could you send an engineer?\n\nThanks,\nSophia Rossi", 0),
        ("Wir bitten um Antwort.\n\nViele Grüße aus Bonn\nLuca Nowakowski\nLeiter der Instandhaltung", 0),
        ("Laut Dr. Meier von der Muster & Co. KG brauchen wir ca. 3 mal im Jahr neue Filter, z. B. am 3. Mai", 0),
        ("Die Halle ist offen. Nachts ist niemand da. Fragen beantwortet gern unsere Zentrale: zentrale@firma.example", 0),
        ("Die Maschine läuft ohne Fehler, das Update hat geklappt.\nSeriennummer: TW12.26302-59", 0),
        ("", 0),
        ("Die Maschine steht seit gestern und", 1),
        ("Please send the invoice to the", 1),
        ("Die Hydraulikpumpe verliert Öl, weil die Dichtu", 1),
        ("Wir haben den Wartungs-", 1),
        ("Wir bitten um Antwort.\n\nMit freundlichen Grüßen\nAbteilung Einkauf und", 1),
        ("Wir bitten um Antwort.\n\nMit freundlichen Gr", 1),
        ("Bestellt wurden Filter, Dichtungen,", 1),
        ("Der Fehler tritt auf (nur beim", 1),
        ("Fehler tritt auf (nur nachts.", 1),
        ("Der Drucker druckt nicht… [gekürzt]", 1),
        ("The pump does not start [truncated]", 1),
        ("Die Anlage meldet seit Montag…", 1),
        ("Die Anlage steht seit Montag still. Der Techniker war da, konnte den Fehler aber bisher leider nicht finden", 0.5),
        ("Die Anlage läuft mit Version 4.6 und steht in Halle 18.\nWir haben schon den großen Filter an der Pumpe", 0.5),
        ("Unsere Drehmaschine steht in Halle 14 und läuft ohne jede Störung.\n\nIm Handbuch steht dazu leider wenig bis", 0.5),
        (
            "Gruß\nEva Müller\n\nPS: Die Anlage steht jetzt in Halle 18. Dort läuft sie ohne Störung, aber in der Nacht ist",
            0.5,
        ),
    ],
)
def test_incomplete_ends(tail: str, expected: float) -> None:
    assert incomplete_end(tail) == expected
    assert scores([tail + " \n"]).column("incomplete_end").to_pylist() == [expected]


@pytest.mark.shared
def test_whole_pages_seem_whole_and_cut_pages_more_often_not(shared_data: Path) -> None:
    for name in ("gesetze_de", "mdn_de", "eips_en", "peps_en"):
        with lzma.open(shared_data / "text" / f"{name}.jsonl.xz", "rt", encoding="utf-8") as file:
            whole = [json.loads(line)["text"] for line, _ in zip(file, range(400), strict=False)]
        cut = [text[: len(text) * 2 // 3] for text in whole]
        doubted = [sum(incomplete_end(text[-900:].rstrip()[-300:]) > 0 for text in batch) for batch in (whole, cut)]
        assert doubted[0] <= 0.04 * len(whole), name
        assert doubted[1] >= 0.2 * len(cut), name
