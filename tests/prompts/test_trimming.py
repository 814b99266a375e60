"""A cheaper wording keeps what matters, loses what does not, and is only called as good where that is proven."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import USEFUL, USELESS, strength
from searchplace import SearchPlace

from stellwerk.errors import UserError
from stellwerk.jobs.prompts.search.pieces import droppable, pieces, without
from stellwerk.record import tables

LONG = "Beantworte die Frage.\n" + "\n".join([USEFUL[0], *USELESS[:3], USEFUL[1], *USELESS[3:]])


@pytest.fixture
def place(tmp_path: Path) -> Iterator[SearchPlace]:
    made = SearchPlace(tmp_path / "workspace")
    made.suite(360, splits={"test": 0.4, "held-out": 0.6})
    made.prompt("long", LONG)
    yield made
    made.close()


def test_trim_leaves_out_what_does_nothing_and_proves_it(place: SearchPlace) -> None:
    place.model(price=2.0)
    report = place.call("prompts.trim", prompt="long", suite="cases", model="sim", calls=600, save="short")
    written = (place.root / "prompts/short.prompty").read_text(encoding="utf-8")
    assert strength(written) == pytest.approx(strength(LONG))
    assert not any(rule in written for rule in USELESS)
    assert report.proven and report.verdict == "equivalent" and report.file == "prompts/short.prompty"
    assert report.calls <= 600 and report.calls_proof == 2 * report.cases["prove"]
    assert report.tokens_after < report.tokens_before
    assert report.sent_saved > 0 and report.currency == "EUR"
    # 2 EUR for a million tokens, sent or answered.
    assert report.money_saved == pytest.approx(1000 * report.sent_saved * 2e-6, rel=0.2)


def test_unwanted_outputs_have_to_stay_as_rare_for_a_proof(place: SearchPlace) -> None:
    place.suite(360, splits={"test": 0.4, "held-out": 0.6}, unwanted=["prompt_leak"])
    place.model(leak=0.1)
    whole = place.call("prompts.trim", prompt="long", suite="cases", model="sim", calls=600, save="short")
    (leaks,) = whole.unwanted
    assert leaks.metric == "unwanted.prompt_leak" and leaks.verdict == "equivalent" and whole.proven
    # So few cases cannot show it, whatever the score does.
    few = place.call("prompts.trim", prompt="long", suite="cases", model="sim", calls=600, margin=0.001)
    assert few.unwanted[0].verdict == "undecided" and not few.proven
    assert any("unwanted.prompt_leak rises by less than the margin is not shown" in note for note in few.notes)


def test_a_test_on_the_cases_that_chose_a_wording_says_so_under_any_name(place: SearchPlace) -> None:
    place.call("prompts.trim", prompt="long", suite="cases", model="sim", calls=600, save="short")
    place.write("prompts/renamed.prompty", (place.root / "prompts/short.prompty").read_text(encoding="utf-8"))
    notes = {}
    for name, split in (("long", "test"), ("renamed", "test"), ("renamed", "held-out")):
        report = place.call("prompts.test", prompt=name, suite="cases", model="sim", split=split)
        notes[name, split] = any("chose this wording" in note for note in report.notes)
    assert notes == {("long", "test"): False, ("renamed", "test"): True, ("renamed", "held-out"): False}
    rows = place.workspace.record.rows(tables.measurement, tables.measurement.c.metric == "pass_rate")
    assert {row["details"]["chosen"] for row in rows if row["complete"]} == {False, True}


def test_what_is_proven_is_of_the_model_that_it_was_proven_with(place: SearchPlace) -> None:
    report = place.call("prompts.trim", prompt="long", suite="cases", model="sim", calls=600)
    record = place.workspace.record
    (row,) = record.rows(tables.measurement, tables.measurement.c.metric == "loss_bound")
    links = record.rows(tables.measured, tables.measured.c.measurement == row["id"])
    named = {(link["role"], record.versions_of([link["version"]])[0].ref) for link in links}
    subjects = {("subject", report.result), ("subject", "model/sim@1")}
    assert named == subjects | {("instrument", "suite/cases@1"), ("instrument", report.prompt)}


def test_trim_says_what_is_not_proven(place: SearchPlace) -> None:
    place.suite(60, splits={"test": 0.6, "held-out": 0.4})
    place.model(noise=1.0)
    report = place.call("prompts.trim", prompt="long", suite="cases", model="sim", margin=0.02, save="short")
    assert not report.proven and report.result is not None
    assert report.file is None and not (place.root / "prompts/short.prompty").exists()
    assert any("not proven" in note for note in report.notes)


def test_trim_finds_nothing_where_all_matters(place: SearchPlace) -> None:
    place.prompt("tight", "\n".join(USEFUL))
    report = place.call("prompts.trim", prompt="tight", suite="cases", model="sim")
    assert report.result is None and report.tokens_after is None and not report.diff
    assert "nothing could be left out" in report.message


def test_trim_refuses_before_it_asks(place: SearchPlace) -> None:
    with pytest.raises(UserError, match="give at least calls: 30"):
        place.call("prompts.trim", prompt="long", suite="cases", model="sim", calls=29)
    place.suite(splits={"test": 1.0})
    with pytest.raises(UserError, match="no cases of split held-out"):
        place.call("prompts.trim", prompt="long", suite="cases", model="sim")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sei nett. Sei kurz!", ["Sei nett. ", "Sei kurz!"]),
        ("Nenne z. B. die Frist. Ende.", ["Nenne z. B. die Frist. ", "Ende."]),
        ("Am 3. Mai kommt sie. Gut?", ["Am 3. Mai kommt sie. ", "Gut?"]),
        ("Eins.\n\n- zwei\n- drei", ["Eins.\n", "\n", "- zwei\n", "- drei"]),
        ("Für {{name}}. Und {{frist}}.", ["Für {{name}}. Und {{frist}}."]),
    ],
)
def test_pieces_are_lines_and_sentences(text: str, expected: list[str]) -> None:
    assert pieces(text) == expected


@given(st.text("ab .!?\n{}-3", max_size=60))
def test_pieces_joined_are_the_text(text: str) -> None:
    assert "".join(pieces(text)) == text
    assert without(pieces(text), set()).replace("\n", "") == text.strip().replace("\n", "")


def test_pieces_that_are_left_out_leave_no_gap() -> None:
    parts = pieces("Eins. Zwei.\nDrei.\n\nVier {{name}}.")
    assert [droppable(part) for part in parts] == [True, True, True, False, False]
    assert without(parts, {1}) == "Eins. \nDrei.\n\nVier {{name}}."
    assert without(parts, {2}) == "Eins. Zwei.\n\nVier {{name}}."
    assert without(parts, {0, 1, 2}) == "Vier {{name}}."
