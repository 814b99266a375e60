"""Paired comparisons: the oracles, coverage, equal systems that are told apart rarely, and verdicts."""

from __future__ import annotations

import gzip
import json
import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from stellwerk.evaluation.statistics import intervals, paired, power, sequences


@cache
def gsm8k(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Two real systems on 1,319 items: 175b finetuned, 6b with a verifier."""
    with gzip.open(path / "evals" / "gsm8k-four-systems-solutions.jsonl.gz") as file:
        rows = [json.loads(line) for line in file]
    return tuple(
        np.array([row[name]["is_correct"] for row in rows], dtype=float) for name in ("175b_finetuning", "6b_verification")
    )


@pytest.mark.shared
def test_the_reference_case_to_four_digits(shared_data: Path) -> None:
    found = paired.difference(*gsm8k(shared_data))
    assert round(found.value, 4) == 0.0432
    assert round(found.se, 4) == 0.0144
    assert round(found.p, 5) == 0.00315
    assert (found.better, found.worse, round(found.first, 4), round(found.second, 4)) == (209, 152, 0.3472, 0.3904)
    assert paired.verdict(found) == paired.Verdict("better")
    unpaired = math.hypot(*(intervals.mean(values).high - values.mean() for values in gsm8k(shared_data))) / 1.96
    assert round(unpaired, 3) == 0.019


@pytest.mark.shared
def test_a_small_subset_says_undecided_and_how_many_cases_it_takes(shared_data: Path) -> None:
    first, second = gsm8k(shared_data)
    generator = np.random.default_rng(0)
    words = []
    for _ in range(100):
        some = generator.choice(len(first), 200, replace=False)
        words.append(paired.verdict(paired.difference(first[some], second[some])))
    assert sum(verdict.word == "undecided" for verdict in words) > 70
    assert all((verdict.needs or 201) > 200 for verdict in words)
    assert not any(verdict.word == "worse" for verdict in words)


@pytest.mark.shared
def test_the_planner_names_a_number_that_is_enough(shared_data: Path) -> None:
    first, second = gsm8k(shared_data)
    apart = float((first != second).mean())
    n = power.cases(float((second - first).mean()), apart)
    assert 1000 < n < 1319
    generator = np.random.default_rng(1)
    tables = generator.multinomial(n, [209 / 1319, 152 / 1319, 958 / 1319], size=4000)
    outcome = cache(lambda better, worse: from_table(better, worse, n).word == "better")
    found = sum(outcome(int(better), int(worse)) for better, worse, _ in tables) / 4000
    assert found >= 0.8 - 0.01  # the chance itself is at least 0.8; 4,000 draws have an error of 0.006
    assert found <= 0.84


def from_table(better: int, worse: int, n: int) -> paired.Verdict:
    """The verdict on n pairs of which so many differ; cheap, since it needs no list."""
    rest = np.repeat([1.0, -1.0, 0.0], [better, worse, n - better - worse])
    return paired.verdict(paired.difference((rest < 0).astype(float), (rest > 0).astype(float)))


@given(st.integers(0, 60), st.integers(0, 60))
@settings(max_examples=50, deadline=None)
def test_mcnemar_is_that_of_statsmodels(better: int, worse: int) -> None:
    theirs = mcnemar([[5, better], [worse, 7]], exact=True).pvalue
    assert paired.mcnemar(better, worse) == pytest.approx(float(theirs), abs=1e-9)


def test_holm_is_that_of_statsmodels() -> None:
    generator = np.random.default_rng(2)
    for n in (1, 2, 5, 20):
        values = generator.random(n) ** 3
        values[: n // 3] = values[0]
        assert paired.holm(values) == pytest.approx(multipletests(values, method="holm")[1].tolist(), abs=1e-9)


def test_sign_flips_of_all_signs_are_the_binomial_test() -> None:
    for better, worse in ((9, 1), (5, 5), (12, 2), (3, 0)):
        rest = [1.0] * better + [-1.0] * worse + [0.0] * 10
        assert paired.sign_flip(rest) == pytest.approx(paired.mcnemar(better, worse), abs=1e-12)
    drawn = paired.sign_flip([1.0] * 40 + [-1.0] * 20)
    assert drawn == pytest.approx(paired.mcnemar(40, 20), abs=0.005)
    many = paired.sign_flip([1.0] * 1100 + [-1.0] * 1000)
    assert many == pytest.approx(paired.mcnemar(1100, 1000), abs=0.003)
    # Four clusters have 16 signs, so p cannot be below 2 / 16, however large the difference.
    assert paired.sign_flip([1.0] * 20, [i // 5 for i in range(20)]) == 0.125


def test_the_interval_of_pairs_covers() -> None:
    generator = np.random.default_rng(3)
    for n, better, worse, least, most in (
        (50, 0.1, 0.1, 0.945, 0.975),
        (200, 0.15, 0.05, 0.935, 0.965),
        (20, 0.4, 0.1, 0.935, 0.975),
    ):
        ends = cache(lambda b, w, n=n: _ends(b, w, n))
        hits = 0
        for b, w, _ in generator.multinomial(n, [better, worse, 1 - better - worse], size=4000):
            low, high = ends(int(b), int(w))
            hits += low <= better - worse <= high
        assert least <= hits / 4000 <= most, n


def _ends(better: int, worse: int, n: int) -> tuple[float, float]:
    first = np.repeat([0.0, 1.0, 1.0], [better, worse, n - better - worse])
    second = np.repeat([1.0, 0.0, 1.0], [better, worse, n - better - worse])
    found = paired.difference(first, second)
    return found.low, found.high


@pytest.mark.slow
def test_the_interval_of_clustered_pairs_covers() -> None:
    generator = np.random.default_rng(4)
    size, draws = 5, 1200
    for n, least in ((50, 0.935), (200, 0.935)):
        groups = np.repeat(np.arange(n // size), size)
        hits = 0
        for _ in range(draws):
            shares = generator.dirichlet(np.array([0.25, 0.15, 0.6]) * (1 / 0.3 - 1), n // size)
            cells = np.concatenate([generator.choice(3, size, p=share) for share in shares])
            first, second = (cells != 0).astype(float), (cells != 1).astype(float)
            # The draw of signs is not what is looked at here, and the same groups need not be drawn twice.
            found = paired._interval(second - first, groups, 0.95, True, 1.0)
            hits += found[0] <= 0.1 <= found[1]
        assert least <= hits / draws <= 0.975, n


def test_equal_systems_are_told_apart_in_at_most_five_percent() -> None:
    generator = np.random.default_rng(6)
    for n, apart in ((30, 0.2), (200, 0.3), (1000, 0.05)):
        outcome = cache(lambda b, w, n=n: from_table(b, w, n).word != "undecided")
        tables = generator.multinomial(n, [apart / 2, apart / 2, 1 - apart], size=3000)
        assert sum(outcome(int(b), int(w)) for b, w, _ in tables) / 3000 <= 0.05


def test_equal_systems_with_scores_in_clusters_are_told_apart_rarely() -> None:
    generator = np.random.default_rng(7)
    groups = np.repeat(np.arange(12), 4)
    wrong = 0
    for _ in range(300):
        common = generator.normal(size=12)[groups]
        one, two = common + generator.normal(size=48), common + generator.normal(size=48)
        wrong += paired.verdict(paired.difference(one, two, groups)).word != "undecided"
    assert wrong / 300 <= 0.07  # 0.05 with the error of 300 draws


def test_looking_ten_times_does_not_raise_false_alarms() -> None:
    generator = np.random.default_rng(8)
    alarms = naive = 0
    for _ in range(200):
        rest = generator.choice([-1.0, 0.0, 1.0], 400, p=[0.15, 0.7, 0.15])
        looks = [sequences.always_valid(rest[:n], planned=400) for n in range(40, 401, 40)]
        alarms += any(one.low > 0 or one.high < 0 for one in looks)
        naive += any(abs(rest[:n].mean()) > 1.96 * rest[:n].std() / math.sqrt(n) for n in range(40, 401, 40))
    assert alarms / 200 <= 0.05
    assert naive / 200 > 0.1


@pytest.mark.shared
def test_a_sequence_finds_the_real_difference_and_never_takes_it_back(shared_data: Path) -> None:
    first, second = gsm8k(shared_data)
    looks = [sequences.always_valid((second - first)[:n], planned=1319) for n in (100, 400, 800, 1319)]
    assert all(one.low <= 0.0432 <= one.high for one in looks)
    assert [one.low for one in looks] == sorted(one.low for one in looks)
    assert looks[-1].high - looks[-1].low < 1.5 * 3.92 * 0.0144
    # Twice the cases with the same difference, and it is found.
    twice = np.tile(second - first, 2)
    found = sequences.always_valid(twice, planned=len(twice))
    assert paired.word(found.low, found.high) == "better"


def test_a_cluster_counts_once_in_a_sequence() -> None:
    rest = np.repeat([1.0, -1.0, 0.0, 1.0] * 5, 10)
    groups = np.repeat(np.arange(20), 10)
    found = sequences.always_valid(rest, groups)
    assert found.clusters == 20
    plain = sequences.always_valid([1.0, -1.0, 0.0, 1.0] * 5)
    assert (found.low, found.high) == (plain.low, plain.high)
    with pytest.raises(ValueError, match="expected values"):
        sequences.always_valid([2.0])


def test_verdicts() -> None:
    same = np.array([0.0, 1.0] * 200)
    equal = paired.difference(same, same)
    assert equal.low < 0 < equal.high
    assert paired.verdict(equal).word == "undecided"
    assert paired.verdict(equal, 0.05).word == "equivalent"
    assert paired.verdict(paired.difference(same[:10], same[:10]), 0.05).word == "undecided"
    scores = paired.difference(same[:10] / 2, same[:10] / 2)
    assert scores.low < -0.1 < 0.1 < scores.high
    better = paired.difference(np.zeros(30), np.ones(30))
    assert paired.verdict(better).word == "better"
    assert paired.verdict(better, p=0.2).word == "undecided"
    assert paired.verdict(paired.difference(np.ones(30), np.zeros(30)), 0.1).word == "worse"
    alone = paired.difference([0.0], [1.0])
    assert paired.verdict(alone).word == "undecided"
    with pytest.raises(ValueError, match="as many"):
        paired.difference([1.0], [1.0, 0.0])
    with pytest.raises(ValueError, match="margin"):
        paired.verdict(better, -0.1)
    assert [paired.word(-0.01, 0.03, 0.02), paired.word(-0.01, 0.01, 0.02), paired.word(-0.04, -0.01, 0.02)] == [
        "not_worse",
        "equivalent",
        "worse",
    ]


def test_the_number_that_is_needed_is_enough() -> None:
    generator = np.random.default_rng(9)
    rest = generator.choice([-1.0, 0.0, 1.0], 150, p=[0.1, 0.72, 0.18])
    found = paired.difference((rest < 0).astype(float), (rest > 0).astype(float))
    needs = paired.verdict(found).needs
    assert needs is not None
    assert needs > 150
    b, w = found.better / 150, found.worse / 150
    tables = generator.multinomial(needs, [b, w, 1 - b - w], size=1000)
    outcome = cache(lambda x, y: from_table(x, y, needs).word == "better")
    assert sum(outcome(int(x), int(y)) for x, y, _ in tables) / 1000 > 0.74
