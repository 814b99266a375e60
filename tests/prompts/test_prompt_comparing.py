"""Two prompts on the same cases: the verdict follows the planted difference, and what cannot be told is undecided."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from planted import BASE, EFFECT, USEFUL
from searchplace import SearchPlace

from stellwerk.errors import UserError
from stellwerk.jobs.prompts.search.pairs import smallest
from stellwerk.record import tables

TWO_RULES = f"Beantworte die Frage.\n{USEFUL[0]}\n{USEFUL[1]}"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[SearchPlace]:
    made = SearchPlace(tmp_path / "workspace")
    made.prompt("good", TWO_RULES)
    yield made
    made.close()


def test_better_prompt_is_found_better_by_what_was_planted(place: SearchPlace) -> None:
    report = place.call("prompts.compare", first="reply", second="good", suite="cases", model="sim")
    assert report.verdict == report.gain.verdict == "better" and report.simulated
    assert report.gain.low < 2 * EFFECT < report.gain.high  # planted: two rules more
    assert report.gain.difference == pytest.approx(report.gain.second - report.gain.first)
    # The luck of a question is the same for both, so the better prompt loses none.
    assert report.worse == 0 and report.better == round(report.gain.difference * report.gain.n)
    assert report.better + report.worse + report.equal == report.gain.n
    assert all((case.first, case.second) == (0.0, 1.0) for case in report.differing)
    tokens = next(one for one in report.others if one.metric == "input")
    assert tokens.difference > 0 and tokens.verdict is None and tokens.p is None
    noted = next(m for m in place.workspace.record.rows(tables.measurement, tables.measurement.c.metric == "difference"))
    assert noted["value"] == pytest.approx(report.gain.difference) and noted["complete"]
    assert noted["details"]["against"] == ["prompt/reply@1", "model/sim@1"]
    other_way = place.call("prompts.compare", first="good", second="reply", suite="cases", model="sim")
    assert other_way.verdict == "worse" and other_way.gain.difference == pytest.approx(-report.gain.difference)
    assert [case.second for case in other_way.differing] == [0.0] * len(other_way.differing)


def test_both_tests_can_be_looked_at(place: SearchPlace) -> None:
    report = place.call("prompts.compare", first="reply", second="good", suite="cases", model="sim")
    shown = place.call("evaluation.compare", first=report.runs[0], second=report.runs[1])
    assert shown.difference == pytest.approx(report.gain.difference) and shown.verdict == report.verdict


def test_small_difference_is_undecided_and_says_what_would_tell(place: SearchPlace) -> None:
    place.suite(40, splits={"test": 1.0})
    place.model("noisy", noise=1.0)
    place.prompt("other", "Beantworte die Frage genau.")
    report = place.call("prompts.compare", first="reply", second="other", suite="cases", model="noisy")
    assert report.verdict == "undecided"
    assert report.smallest == pytest.approx(smallest(40))
    assert report.needs is None or report.needs > 40
    assert any("does not mean that they are equal" in note for note in report.notes)


def test_margin_allows_not_worse(place: SearchPlace) -> None:
    place.suite(splits={"test": 1.0})
    place.prompt("other", "Beantworte bitte die Frage.")
    without = place.call("prompts.compare", first="reply", second="other", suite="cases", model="sim")
    within = place.call("prompts.compare", first="reply", second="other", suite="cases", model="sim", margin=0.1)
    assert (without.verdict, within.verdict) == ("undecided", "equivalent")


def test_two_models_with_one_prompt(place: SearchPlace) -> None:
    place.model("able", base=BASE + 0.4)
    report = place.call("prompts.compare", first="reply", second="reply", suite="cases", model="sim", second_model="able")
    assert report.verdict == "better" and report.second_model == "model/able@1"
    assert "prompt/reply@1 with model/able@1" in report.message
    with pytest.raises(UserError, match="compared with itself"):
        place.call("prompts.compare", first="reply", second="reply", suite="cases", model="sim")


def test_more_unwanted_outputs_are_worse(place: SearchPlace) -> None:
    place.suite(unwanted=["prompt_leak"])
    place.model("leaky", leak=0.6)
    values = {"first": "good", "second": "good", "suite": "cases", "model": "sim", "second_model": "leaky"}
    report = place.call("prompts.compare", **values)
    leaks = next(one for one in report.others if one.metric == "unwanted.prompt_leak")
    assert leaks.difference == pytest.approx(0.6, abs=0.15) and leaks.verdict == "worse"
    decided = place.call("prompts.compare", **values, metric="unwanted.prompt_leak")
    assert decided.verdict == "worse" and decided.better == 0 and decided.worse > 0


def test_metric_that_is_not_there_is_refused(place: SearchPlace) -> None:
    with pytest.raises(UserError, match="no metric 'charm'"):
        place.call("prompts.compare", first="reply", second="good", suite="cases", model="sim", metric="charm")
    assert not place.workspace.record.rows(tables.measurement)  # it was said before anything was asked


def test_failed_calls_are_left_out(place: SearchPlace) -> None:
    place.model("shaky", failures=0.1)
    whole = place.call("prompts.compare", first="reply", second="good", suite="cases", model="sim")
    report = place.call("prompts.compare", first="reply", second="good", suite="cases", model="shaky")
    assert whole.left_out == 0 < report.left_out
    assert report.gain.n + report.left_out == whole.gain.n
    assert report.verdict == "better"
    assert any("got no answer" in note for note in report.notes)
    noted = place.workspace.record.rows(tables.measurement, tables.measurement.c.metric == "difference")
    assert sorted(row["complete"] for row in noted) == [False, True]


@pytest.mark.parametrize("cases", [40, 100, 400])
def test_smallest_difference_is_found_as_often_as_promised(cases: int) -> None:
    from stellwerk.evaluation.statistics import paired

    found = smallest(cases, 0.3)
    assert found is not None
    up = (0.3 + found) / 2
    drawn = np.random.default_rng(1).choice([1.0, -1.0, 0.0], (1_000, cases), p=[up, 0.3 - up, 0.7])
    # By the verdict that a comparison gives, not by a formula like that of the promise.
    words = [paired.verdict(paired.difference(one < 0, one > 0)).word for one in drawn]
    assert 0.76 < sum(word == "better" for word in words) / 1_000 < 0.86
    assert smallest(18, 0.3) is None
