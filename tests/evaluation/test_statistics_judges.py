"""Agreement, correction and ranking, against published numbers, statsmodels, an independent fit, real verdicts and ratings."""

from __future__ import annotations

import csv
import gzip
import math
from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from statsmodels.stats.inter_rater import cohens_kappa

from stellwerk.evaluation.statistics import agreement, bootstrap, correction, intervals, ranking

# The example of Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability": 4 observers, 12 units.
FOUR = list(
    zip(
        [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
        [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
        strict=True,
    )
)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=5, max_size=60))
@settings(max_examples=60, deadline=None)
def test_kappa_is_that_of_statsmodels(pairs: list[tuple[int, int]]) -> None:
    pairs = [*pairs, (0, 3), (3, 0), (1, 2), (2, 1)]  # all labels occur, as the table of statsmodels needs them
    first, second = [one for one, _ in pairs], [two for _, two in pairs]
    table = np.histogram2d(first, second, bins=[range(5), range(5)])[0]
    for weighting in (None, "linear", "quadratic"):
        ours, theirs = agreement.kappa(first, second, weighting=weighting), cohens_kappa(table, wt=weighting)
        assert ours.value == pytest.approx(float(theirs.kappa), abs=1e-9)
        assert ours.low == pytest.approx(float(theirs.kappa_low), abs=1e-9)
        assert ours.high == pytest.approx(min(1.0, float(theirs.kappa_upp)), abs=1e-9)


def test_published_values() -> None:
    alphas = [agreement.krippendorff(FOUR, scale=scale).value for scale in ("nominal", "ordinal", "interval")]
    assert [round(alpha, 3) for alpha in alphas] == [0.743, 0.815, 0.849]
    ac1 = agreement.gwet(FOUR)
    # As irrCAC gives it for these data: 0.775, from 0.461 on.
    assert (round(ac1.value, 3), round(ac1.low, 3), ac1.high) == (0.775, 0.461, 1.0)


def test_the_paradox_of_kappa() -> None:
    first, second = [1] * 94 + [0] * 6, [1] * 91 + [0] * 3 + [1] * 5 + [0]
    assert agreement.kappa(first, second).value < 0.2
    assert agreement.gwet(list(zip(first, second, strict=True))).value > 0.9


def test_agreement_where_little_can_be_said() -> None:
    assert math.isnan(agreement.kappa(["a"] * 5, ["a"] * 5).value)
    assert agreement.gwet([["a", "a"]] * 5).value == 1.0
    assert math.isnan(agreement.krippendorff([["a", "a"]] * 5).value)
    for call in (
        lambda: agreement.kappa([], []),
        lambda: agreement.gwet([["a", None]]),
        lambda: agreement.krippendorff([["a"]]),
    ):
        with pytest.raises(ValueError, match="at least one"):
            call()
    with pytest.raises(ValueError, match="numbers"):
        agreement.krippendorff([["a", "b"]], scale="interval")
    far, near = (
        agreement.kappa([1, 2, 9], [2, 1, 9], weighting="quadratic"),
        agreement.kappa([1, 2, 9], [1, 9, 2], weighting="quadratic"),
    )
    assert far.value > 0.9 > near.value


@pytest.mark.parametrize("weights", [(0.5, 0.5), (0.4, 0.3, 0.3)])
def test_intervals_of_agreement_cover(weights: tuple[float, ...]) -> None:
    generator = np.random.default_rng(2)
    q = len(weights)

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        truth = generator.choice(q, n, p=weights)
        one, two = (np.where(generator.random(n) < 0.8, truth, generator.choice(q, n)) for _ in range(2))
        return one, two

    # P(both keep the truth) adds agreement beyond what two draws by the same shares have.
    shares = np.array(weights) * 0.8 + 0.2 / q
    chance = float((shares**2).sum())
    match = sum(w * (0.8 * (v == t) + 0.2 / q) ** 2 for t, w in enumerate(weights) for v in range(q))
    kappa = (match - chance) / (1 - chance)
    by_gwet = float((shares * (1 - shares)).sum() / (q - 1))
    ac1 = (match - by_gwet) / (1 - by_gwet)
    hits = {"kappa": 0, "ac1": 0, "alpha": 0}
    for seed in range(400):
        first, second = (x.tolist() for x in draw(100))
        both = list(zip(first, second, strict=True))
        for name, found, truth in (
            ("kappa", agreement.kappa(first, second), kappa),
            ("ac1", agreement.gwet(both), ac1),
            ("alpha", agreement.krippendorff(both, draws=300, seed=seed), kappa),
        ):
            hits[name] += found.low <= truth <= found.high
    assert all(count / 400 >= 0.91 for count in hits.values()), hits  # 0.93 and more, with the error of 400 draws


@pytest.mark.parametrize(("rate", "right"), [(0.05, (0.9, 0.9)), (0.5, (0.7, 0.95)), (0.8, (0.9, 0.9))])
def test_rogan_gladen_covers(rate: float, right: tuple[float, float]) -> None:
    generator = np.random.default_rng(3)
    hits = plain = 0
    for _ in range(1000):
        passed = generator.binomial(500, rate * right[0] + (1 - rate) * (1 - right[1]))
        one, two = generator.binomial(100, right[0]), generator.binomial(100, right[1])
        found = correction.rogan_gladen(passed, 500, (one, 100), (two, 100))
        hits += found.low <= rate <= found.high
        seen = intervals.exact(int(passed), 500)
        plain += seen.low <= rate <= seen.high
    assert 0.93 <= hits / 1000 <= 0.98
    assert plain / 1000 < 0.9
    with pytest.raises(ValueError, match="chance"):
        correction.rogan_gladen(5, 10, (5, 10), (5, 10))


@cache
def llmbar(path: Path) -> dict[str, list[tuple[int, int, int]]]:
    """gold, verdict, verdict with both swapped, of each judge with the strategy Vanilla on 419 items."""
    found: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    with gzip.open(path / "evals" / "llmbar-judge-verdicts.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            if row["strategy"] == "Vanilla":
                verdicts = (int(row[name].replace("None", "0")) for name in ("gold", "winner_unswapped", "winner_swapped"))
                found[row["judge"]].append(tuple(verdicts))
    return found


@pytest.mark.shared
def test_only_what_holds_in_both_orders_is_more_often_right(shared_data: Path) -> None:
    judges = llmbar(shared_data)
    gpt4 = judges[next(name for name in judges if name.startswith("GPT-4"))]
    assert len(gpt4) == 419
    kept = [gold == one for gold, one, other in gpt4 if one == other != 0]
    same = intervals.rate([float(one == other != 0) for _, one, other in gpt4])
    right = intervals.rate([float(x) for x in kept])
    assert round(same.value, 2) == 0.93
    assert round(right.value, 3) == 0.871
    once = sum(gold == one for gold, one, _ in gpt4) / 419
    assert right.value > once
    chatgpt = judges[next(name for name in judges if name.startswith("ChatGPT"))]
    other = intervals.rate([float(one == two) for _, one, two in chatgpt])
    assert other.high < same.low


@pytest.mark.shared
def test_corrected_rates_cover_the_gold_value_with_fifty_labels(shared_data: Path) -> None:
    generator = np.random.default_rng(11)
    judges = llmbar(shared_data)
    for name, rows in judges.items():
        gold = np.array([float(g == 1) for g, _, _ in rows])
        judged = np.array([float(one == 1) for _, one, _ in rows])
        truth, hits, untuned, narrower = gold.mean(), 0, 0, 0
        for _ in range(1000):
            known = set(generator.choice(len(gold), 50, replace=False).tolist())
            labels = [value if i in known else None for i, value in enumerate(gold)]
            found = correction.ppi_mean(judged, labels)
            plain = correction.ppi_mean(judged, labels, tuned=False)
            hits += found.low <= truth <= found.high
            untuned += plain.low <= truth <= plain.high
            alone = intervals.mean(gold[sorted(known)])
            narrower += found.high - found.low < alone.high - alone.low
        print(
            f"{name}: gold {truth:.3f}, covers {hits / 1000:.3f}, without weight {untuned / 1000:.3f}, "
            f"narrower than labels alone {narrower / 1000:.2f}"
        )
        assert min(hits, untuned) / 1000 >= 0.93, name
        if name.startswith("GPT-4"):
            assert narrower > 800


def test_ppi_covers_in_all_that_could_be() -> None:
    generator = np.random.default_rng(12)
    hits = 0
    for _ in range(1000):
        gold = (generator.random(300) < 0.7).astype(float)
        judged = np.where(generator.random(300) < 0.85, gold, 1 - gold)
        found = correction.ppi_mean(judged, [*gold[:60], *[None] * 240])
        hits += found.low <= 0.7 <= found.high
    assert 0.935 <= hits / 1000 <= 0.97
    with pytest.raises(ValueError, match="two labelled"):
        correction.ppi_mean([1.0, 0.0], [1.0, None])


@cache
def wmt(path: Path) -> tuple[list[str], np.ndarray]:
    """Systems, and the mean MQM score of each on 1,418 segments; shape (segments, systems)."""
    with gzip.open(path / "evals" / "wmt-mqm-newstest2020-ende-avg-seg.tsv.gz", "rt") as file:
        rows = [line.split() for line in file][1:]
    names = sorted({row[0] for row in rows})
    scores = {(row[0], int(row[2])): float(row[1]) for row in rows}
    return names, np.array([[scores[name, s] for name in names] for s in sorted({s for _, s in scores})])


def independent_fit(wins: np.ndarray) -> np.ndarray:
    """Bradley-Terry by a general optimiser on the likelihood."""

    def loss(theta: np.ndarray) -> float:
        return float((wins * np.logaddexp(0, theta[None, :] - theta[:, None])).sum())

    found = minimize(loss, np.zeros(len(wins)), method="BFGS", options={"gtol": 1e-7}).x
    return found - found.mean()


@pytest.mark.shared
def test_ranks_of_translations_are_those_of_an_independent_fit(shared_data: Path) -> None:
    names, scores = wmt(shared_data)
    total = ranking.matches(scores).sum(axis=0)
    assert ranking.fit(total, prior=0) == pytest.approx(independent_fit(total), abs=1e-5)
    places = ranking.ranked(scores, seed=1)
    order = [names[place.system] for place in places]
    assert order[:3] == ["Human-B.0", "Human-A.0", "Human-P.0"]  # people before machines
    assert [place.worst for place in places[:3]] == [1, 2, 3]
    assert any(place.best < place.rank for place in places)
    assert all(place.best <= place.rank <= place.worst and place.low < place.strength < place.high for place in places)
    assert places == ranking.ranked(scores, seed=1)


def test_ranks_hold_together_and_equal_systems_share_theirs() -> None:
    generator = np.random.default_rng(4)
    truth = np.array([0.0, 0.0, 0.0, 0.5])
    wrong = 0
    for seed in range(150):
        scores = generator.normal(size=(120, 4)) + truth
        places = {place.system: place for place in ranking.ranked(scores, draws=300, seed=seed)}
        first = places[3].best > 1 or places[3].worst < 1
        wrong += first or any(places[i].best > 2 or places[i].worst < 4 for i in range(3))
    assert wrong / 150 <= 0.09  # 0.05 with the error of 150 draws


def test_clusters_make_ranks_less_sure() -> None:
    generator = np.random.default_rng(5)
    groups = np.repeat(np.arange(15), 20)
    scores = generator.normal(size=(300, 2)) + generator.normal(size=(15, 2))[groups] * 2
    plain, heeded = ranking.ranked(scores), ranking.ranked(scores, groups)
    assert heeded[0].high - heeded[0].low > 2 * (plain[0].high - plain[0].low)


def test_systems_that_never_met_cannot_be_ranked() -> None:
    nan = math.nan
    with pytest.raises(ValueError, match="never met"):
        ranking.ranked(np.array([[1, 0, nan, nan], [nan, nan, 1, 0]]))
    with pytest.raises(ValueError, match="two systems"):
        ranking.ranked(np.array([[1.0], [0.0]]))
    always = np.array([[1.0, 0.0]] * 20)
    with pytest.raises(ValueError, match="always won"):
        ranking.fit(ranking.matches(always).sum(axis=0), prior=0)
    places = ranking.ranked(always)
    assert math.isfinite(places[0].strength)
    assert [(place.best, place.worst) for place in places] == [(1, 1), (2, 2)]
    assert ranking.ranked(always[:4])[0].worst == 2  # four wins of four are not enough
    equal = ranking.ranked(np.ones((50, 3)))
    assert all((place.best, place.worst) == (1, 3) and place.low < 0 < place.high for place in equal)
    alone = ranking.ranked(always, ["a"] * 20)
    assert (alone[0].worst, alone[0].high) == (2, math.inf)
    assert (places[0].wins, places[0].ties, places[0].losses) == (20, 0, 0)
    chained = ranking.ranked(np.array([[2, 1, nan]] * 30 + [[nan, 2, 1]] * 30 + [[1, 2, nan], [nan, 1, 2]] * 3))
    assert [place.system for place in chained] == [0, 1, 2]


def test_many_cases_are_merged_and_say_the_same() -> None:
    generator = np.random.default_rng(6)
    scores = generator.integers(0, 2, size=(12_000, 2)).astype(float)
    scores[:, 1] = np.maximum(scores[:, 1], generator.random(12_000) < 0.02)
    many = ranking.ranked(scores, draws=400)
    assert many[0].high - many[0].strength == pytest.approx(1.96 * math.sqrt(0.5 / 12_000), rel=0.15)
    wide = bootstrap.mean(scores[:, 0])
    assert (wide.high - wide.low) == pytest.approx(3.92 * 0.5 / math.sqrt(12_000), rel=0.1)
