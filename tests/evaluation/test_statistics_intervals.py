"""Intervals for one number cover as their docstrings say, and agree with statsmodels and with what can be computed by hand."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.proportion import proportion_confint

from stellwerk.evaluation.statistics import bootstrap, intervals, quantiles
from stellwerk.evaluation.statistics.clusters import codes, standard_error


def chances(n: int, p: float) -> np.ndarray:
    """Binomial probabilities of 0..n."""
    logs = [math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(n + 1)]
    return np.array([math.exp(c + k * math.log(p) + (n - k) * math.log(1 - p)) for k, c in enumerate(logs)])


def coverage(make, n: int, p: float) -> float:
    """Exact: the chance of all k whose interval holds p."""
    each = chances(n, p)
    return sum(float(each[k]) for k in range(n + 1) if each[k] > 1e-12 and make(k, n).low <= p <= make(k, n).high)


def textbook(k: int, n: int) -> intervals.Interval:
    share = k / n
    reach = 1.96 * math.sqrt(share * (1 - share) / n)
    return intervals.Interval(share, share - reach, share + reach, n, "CLT")


@pytest.mark.parametrize("p", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("n", [20, 50, 200, 1000])
def test_rates_of_independent_cases_cover(n: int, p: float) -> None:
    found = coverage(intervals.middle, n, p)
    if n == 20 and p != 0.5:
        # Whole numbers allow 92.5 % or 98.4 % here and nothing between: adding k = 3 is that step.
        assert found == pytest.approx(0.9841, abs=1e-4)
        assert found - chances(n, 0.05)[3] < 0.93
    else:
        assert 0.935 <= found <= 0.965
    assert coverage(intervals.exact, n, p) >= 0.95


def test_the_textbook_interval_fails_where_ours_does_not() -> None:
    assert coverage(textbook, 20, 0.95) < 0.65
    assert coverage(textbook, 50, 0.95) < 0.93
    assert coverage(intervals.wilson, 20, 0.95) == pytest.approx(0.9245, abs=1e-3)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
@settings(max_examples=60, deadline=None)
def test_intervals_agree_with_statsmodels(pair: tuple[int, int]) -> None:
    k, n = pair
    for ours, theirs in ((intervals.wilson(k, n), "wilson"), (intervals.exact(k, n), "beta")):
        low, high = proportion_confint(k, n, method=theirs)
        assert (ours.low, ours.high) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))
    inner, outer = intervals.middle(k, n), intervals.exact(k, n)
    assert outer.low <= inner.low <= k / n <= inner.high <= outer.high


def test_nothing_seen_has_a_bound_and_nothing_asked_has_none() -> None:
    assert intervals.upper(0, 50) == pytest.approx(1 - 0.025 ** (1 / 50), abs=1e-9)
    assert intervals.upper(0, 200) < 0.0183
    assert intervals.rate([0] * 20).high > 0.1
    for call in (
        lambda: intervals.rate([]),
        lambda: intervals.upper(0, 0),
        lambda: intervals.mean([]),
        lambda: intervals.exact(3, 2),
    ):
        with pytest.raises(ValueError, match="expected"):
            call()
    with pytest.raises(ValueError, match="finite"):
        intervals.mean([0.5, math.nan])
    with pytest.raises(ValueError, match="0 or 1"):
        intervals.rate([0.5, 1])
    with pytest.raises(ValueError, match="cluster labels"):
        intervals.rate([0, 1], ["a"])


def test_clustered_error_is_that_of_statsmodels() -> None:
    generator = np.random.default_rng(1)
    groups = generator.integers(0, 23, 200)
    values = generator.normal(size=200) + groups / 10
    fit = OLS(values, np.ones(200)).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    assert standard_error(values, codes(groups, 200)) == pytest.approx(float(fit.bse[0]), abs=1e-9)
    ours = intervals.mean(values, groups)
    assert (ours.low, ours.high) == pytest.approx(tuple(fit.conf_int()[0]), abs=1e-9)
    alone = intervals.mean(values)
    assert alone.high - alone.value == pytest.approx(intervals.student(0.95, 199) * values.std(ddof=1) / math.sqrt(200))
    assert intervals.mean([1.0]).high == math.inf


def test_a_case_without_cluster_stands_alone() -> None:
    assert codes([None, "a", None, "a", "b"], 5).tolist() == [0, 1, 2, 1, 3]
    assert intervals.rate([0, 1, 1, 0], [None] * 4) == intervals.rate([0, 1, 1, 0])


@cache
def clustered(passed: tuple[int, ...], size: int) -> intervals.Interval:
    """The interval of clusters of one size in which so many passed; the order of clusters does not matter."""
    values = np.concatenate([np.repeat([1.0, 0.0], [k, size - k]) for k in passed])
    return intervals.rate(values, np.repeat(np.arange(len(passed)), size))


def drawn(n: int, p: float, correlation: float, draws: int, size: int = 5) -> tuple[float, float]:
    """Coverage of ours and of the clustered t interval over clusters of five (as XQuAD's paragraphs have)."""
    generator = np.random.default_rng(n * 1000 + int(p * 100) + int(correlation * 10))
    count = n // size
    weight = 1 / correlation - 1 if correlation else None
    rates = np.full((draws, count), p) if weight is None else generator.beta(p * weight, (1 - p) * weight, (draws, count))
    passed = np.sort(generator.binomial(size, rates), axis=1)
    ours = naive = 0
    reach = intervals.student(0.95, count - 1)
    for row in passed:
        found = clustered(tuple(row.tolist()), size)
        ours += found.low <= p <= found.high
        share = row.sum() / n
        error = math.sqrt(count / (count - 1) * float(np.square(row - size * share).sum())) / n
        naive += abs(share - p) <= reach * error
    return ours / draws, naive / draws


def test_rates_of_clustered_cases_cover_in_a_small_grid() -> None:
    assert 0.94 <= drawn(200, 0.5, 0.3, 1500)[0] <= 0.965
    ours, naive = drawn(20, 0.95, 0.3, 1500)
    assert 0.96 <= ours <= 0.99
    assert naive < 0.55


@pytest.mark.slow
@pytest.mark.parametrize("p", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("correlation", [0, 0.3])
@pytest.mark.parametrize("n", [20, 50, 200, 1000])
def test_rates_of_clustered_cases_cover(n: int, correlation: float, p: float) -> None:
    found = drawn(n, p, correlation, 6000)[0]
    print(f"n {n} p {p} correlation {correlation}: {found:.4f}")
    if n >= 200:
        assert 0.935 <= found <= 0.97
    elif n == 50:
        assert 0.94 <= found <= 0.983
    else:
        assert 0.925 <= found <= 0.985


@pytest.mark.slow
@pytest.mark.parametrize("n", [20, 50, 200, 1000])
@pytest.mark.parametrize("correlation", [0, 0.3])
def test_means_of_scores_cover(n: int, correlation: float) -> None:
    generator = np.random.default_rng(n)
    size, draws = 5, 3000
    common = generator.normal(size=(draws, n // size, 1)) * math.sqrt(correlation)
    values = (common + generator.normal(size=(draws, n // size, size)) * math.sqrt(1 - correlation)).reshape(draws, n)
    groups = np.repeat(np.arange(n // size), size)
    hits = sum(found.low <= 0 <= found.high for found in (intervals.mean(row, groups) for row in values))
    assert 0.935 <= hits / draws <= 0.965


@pytest.mark.parametrize(
    ("n", "q", "least", "most"), [(20, 0.5, 0.935, 0.968), (200, 0.95, 0.935, 0.968), (50, 0.95, 0.96, 0.99)]
)
def test_quantiles_cover(n: int, q: float, least: float, most: float) -> None:
    generator = np.random.default_rng(n)
    truth = -math.log(1 - q)
    found = [quantiles.quantile(row, q) for row in generator.exponential(size=(1500, n))]
    assert least <= sum(one.low <= truth <= one.high for one in found) / 1500 <= most
    assert all(one.low <= one.value <= one.high for one in found)


def test_a_quantile_beyond_what_was_seen_has_no_bound() -> None:
    assert quantiles.quantile(range(71), 0.95).high == math.inf
    assert quantiles.quantile(range(73), 0.95).high <= 72
    with pytest.raises(ValueError, match="quantile"):
        quantiles.quantile([1.0], 1.0)


def test_bootstrap_of_a_ratio() -> None:
    generator = np.random.default_rng(5)
    hits = 0
    for seed in range(200):
        costs, solved = generator.lognormal(sigma=0.7, size=60), generator.random(60) < 0.6
        found = bootstrap.ratio(costs, solved, seed=seed)
        hits += found.low <= math.exp(0.245) / 0.6 <= found.high
    assert hits >= 180
    assert bootstrap.ratio([1.0, 2.0], [0, 0]).value == math.inf
    one = bootstrap.mean([0.0, 0.2, 0.9, 1.0], ["a", "a", "b", "b"], seed=3)
    assert one == bootstrap.mean([0.0, 0.2, 0.9, 1.0], ["a", "a", "b", "b"], seed=3)
    assert one.low == pytest.approx(0.1)
    assert one.clusters == 2
