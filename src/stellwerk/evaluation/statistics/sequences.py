"""Intervals at which one may look as often as one likes while cases come in: whatever the number of looks, the error stays.

Knows arrays only. An interval of `paired` or `intervals` is right for one look; looking ten times at a 95 % interval of two
equal systems finds a difference in about one of five tests.
"""

from __future__ import annotations

import math

import numpy as np

from stellwerk.evaluation.statistics.clusters import Clusters, Floats, Values, codes, numbers, totals
from stellwerk.evaluation.statistics.intervals import Interval

GRID = 400
"""Candidates between the ends; the interval is widened to the next one."""
BLOCK = 2000


def always_valid(
    values: Values,
    clusters: Clusters | None = None,
    *,
    least: float = -1.0,
    most: float = 1.0,
    planned: int | None = None,
    level: float = 0.95,
) -> Interval:
    """Mean of bounded values with a confidence sequence: valid at every look at once.

    Each candidate for the mean is bet against, case by case, with stakes that know the past only; one against which the
    capital ever grew to 2 / (1 - level) is out (Waudby-Smith and Ramdas 2023, hedged betting; Ville's inequality). No
    candidate returns, so what was decided stays decided when more cases come in. Measured on two equal systems with
    10 looks: a difference is seen in 0.6 % to 2.4 % of tests, and in 19 % with an interval for one look. With `planned` it is
    a seventh to a third wider than that interval, without about twice as wide.

    Args:
        values: in the order in which they came, shape (n,), such as differences of pairs.
        clusters: of each value; a cluster counts as the mean of its values, once, at the place where it is complete.
        least, most: what a value can be.
        planned: values (or clusters) that there will be at most; the interval is narrowest there, and valid anyhow.

    Raises:
        ValueError: if there is nothing, or a value is not within least and most.
    """
    array = numbers(values)
    if array.min() < least or array.max() > most:
        raise ValueError(f"expected values from {least} to {most}")
    units = _units(array, clusters)
    scaled = (units - least) / (most - least)
    low, high = _bets(scaled, planned, level)
    width = most - least
    alone = len(units) == len(array)
    value = float(units.mean())
    return Interval(
        value, least + low * width, least + high * width, len(array), "betting", level, None if alone else len(units)
    )


def _units(array: Floats, clusters: Clusters | None) -> Floats:
    """Mean of each cluster, in the order in which the clusters end."""
    groups = codes(clusters, len(array))
    sums, sizes = totals(array, groups)
    last = np.zeros(len(sums), dtype=np.intp)
    np.maximum.at(last, groups, np.arange(len(array)))
    return np.asarray((sums / sizes)[np.argsort(last)])


def _bets(x: Floats, planned: int | None, level: float) -> tuple[float, float]:
    """The ends of the candidates that were never beaten, for x in [0, 1]."""
    candidates = np.linspace(0.0, 1.0, GRID + 1)[1:-1]
    stakes = _stakes(x, planned, level)
    bar = math.log(2 / (1 - level))
    up, down = np.zeros(len(candidates)), np.zeros(len(candidates))
    best_up, best_down = np.zeros(len(candidates)), np.zeros(len(candidates))
    for start in range(0, len(x), BLOCK):
        part, stake = x[start : start + BLOCK, None], stakes[start : start + BLOCK, None]
        rest = part - candidates
        gains = up + np.cumsum(np.log1p(np.minimum(stake, 0.75 / candidates) * rest), axis=0)
        losses = down + np.cumsum(np.log1p(-np.minimum(stake, 0.75 / (1 - candidates)) * rest), axis=0)
        up, down = gains[-1], losses[-1]
        best_up, best_down = np.maximum(best_up, gains.max(axis=0)), np.maximum(best_down, losses.max(axis=0))
    below = candidates[best_up >= bar]
    above = candidates[best_down >= bar]
    low = float(below.max()) if len(below) else 0.0
    high = float(above.min()) if len(above) else 1.0
    return low, high


def _stakes(x: Floats, planned: int | None, level: float) -> Floats:
    """How much to bet at each step, from what came before it: sqrt(2 log(2 / alpha) / (variance so far * horizon))."""
    steps = np.arange(1, len(x) + 1, dtype=np.float64)
    means = (0.5 + np.cumsum(x)) / (steps + 1)
    spread = (0.25 + np.cumsum(np.square(x - means))) / (steps + 1)
    before = np.concatenate(([0.25], spread[:-1]))
    horizon = steps * np.log(steps + 1) if planned is None else np.full(len(x), float(max(planned, 1)))
    return np.asarray(np.sqrt(2 * math.log(2 / (1 - level)) / (before * horizon)))
