"""Intervals by drawing again, for a statistic without a formula: a ratio of two sums, such as the cost for each solved case."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from stellwerk.evaluation.statistics.clusters import Clusters, Floats, Values, codes, numbers, totals
from stellwerk.evaluation.statistics.intervals import Interval

DRAWS = 2000
MOST = 5000
CELLS = 4_000_000
"""Numbers of one block of drawings, to bound the memory."""


def merged(sums: Floats) -> Floats:
    """At most 5,000 rows, each the sum of as many neighbours: clusters that are independent stay so when they are merged."""
    size = math.ceil(len(sums) / MOST)
    return sums if size < 2 else np.add.reduceat(sums, np.arange(0, len(sums) - len(sums) % size, size), axis=0)


def redrawn(sums: Floats, draws: int, seed: int) -> Floats:
    """Totals over clusters that are drawn again, each as likely as another.

    Args:
        sums: what each cluster adds, shape (clusters, columns).

    Returns:
        shape (draws, columns).
    """
    generator = np.random.default_rng(seed)
    count = len(sums)
    block = max(1, CELLS // count)
    even = np.full(count, 1 / count)
    parts = [generator.multinomial(count, even, size=min(block, draws - at)) @ sums for at in range(0, draws, block)]
    return np.concatenate(parts)


def ratio(over: Values, under: Values, clusters: Clusters | None = None, *, level: float = 0.95, seed: int = 0) -> Interval:
    """sum(over) / sum(under) with an interval; infinite where nothing is below the line.

    BCa over cases or whole clusters. Measured on log-normal costs of cases of which 30 % and 80 % are solved: covers in
    93.5 % to 96.5 % at n = 50 and 200, in 92 % to 96 % at n = 20.

    Args:
        over: such as costs, shape (n,).
        under: such as 1 for each solved case, shape (n,).

    Raises:
        ValueError: if nothing is given, the lengths differ or a value is not finite.
    """
    above, below = numbers(over), numbers(under)
    if above.shape != below.shape:
        raise ValueError(f"expected as many values of both, got {len(above)} and {len(below)}")
    groups = codes(clusters, len(above))
    sums = np.stack([totals(above, groups)[0], totals(below, groups)[0]], axis=1)

    def divided(drawn: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(drawn[:, 1] > 0, drawn[:, 0] / drawn[:, 1], np.inf)

    return bca(sums, divided, len(above), level=level, seed=seed)


def mean(values: Values, clusters: Clusters | None = None, *, level: float = 0.95, seed: int = 0) -> Interval:
    """Mean with a BCa interval, for scores or differences that are skewed.

    On log-normal values (sigma 0.7) it covers in 90 % at n = 20, 92.5 % at n = 50, 94 % at n = 200. With few values take the
    t interval of `intervals.mean`.
    """
    array = numbers(values)
    groups = codes(clusters, len(array))
    sums, sizes = totals(array, groups)
    return bca(np.stack([sums, sizes], axis=1), lambda drawn: drawn[:, 0] / drawn[:, 1], len(array), level=level, seed=seed)


def bca(
    sums: Floats, statistic: Callable[[Floats], Floats], n: int, *, draws: int = DRAWS, level: float = 0.95, seed: int = 0
) -> Interval:
    """Bias-corrected and accelerated bootstrap interval (Efron 1987) of a statistic of sums over clusters.

    Args:
        sums: what each cluster adds, shape (clusters, columns).
        statistic: from drawn totals, shape (draws, columns), to values, shape (draws,).
        n: observations.
        seed: of the drawing.
    """
    from scipy.special import ndtr, ndtri

    count = len(sums)
    alone = count == n
    value = float(statistic(sums.sum(axis=0, keepdims=True))[0])
    clusters = None if alone else count
    if count < 2 or not math.isfinite(value):
        return Interval(value, -math.inf, math.inf, n, "BCa", level, clusters)
    sums = merged(sums)
    count = len(sums)
    drawn = statistic(redrawn(sums, draws, seed))
    share = ((drawn < value).sum() + (drawn == value).sum() / 2) / draws
    left = statistic(sums.sum(axis=0) - sums)
    rests = left.mean() - left if np.isfinite(left).all() else np.full(count, np.inf)
    spread = float(np.square(rests).sum())
    if not math.isfinite(spread) or spread == 0.0 or not 0 < share < 1:
        low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
        return Interval(value, float(low), float(high), n, "bootstrap percentiles", level, clusters)
    push = float((rests**3).sum() / (6 * spread**1.5))
    bias = float(ndtri(share))
    reach = bias + ndtri(np.array([(1 - level) / 2, (1 + level) / 2]))
    ends = ndtr(bias + reach / (1 - push * reach))
    low, high = np.quantile(drawn, ends, method="inverted_cdf")
    return Interval(value, float(low), float(high), n, "BCa", level, clusters)
