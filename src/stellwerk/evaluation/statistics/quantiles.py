"""An interval for a quantile, such as the median or the 95th percentile of a latency, whatever its distribution."""

from __future__ import annotations

import math

import numpy as np

from stellwerk.evaluation.statistics.clusters import Floats, Values, numbers
from stellwerk.evaluation.statistics.intervals import Interval


def quantile(values: Values, q: float, level: float = 0.95) -> Interval:
    """The q-th quantile with an interval between order statistics.

    It interpolates between the two that are just too near and just far enough (Hettmansperger and Sheather 1986, Nyblom 1992),
    so that it covers in 94 % to 96.5 % (measured on log-normal values, n = 20 to 1,000). Where n is too small for a bound,
    that end is infinite, such as above the 95th percentile until 72 values are there; it then covers in 98 %.

    Args:
        values: independent, shape (n,).
        q: above 0 and below 1.

    Raises:
        ValueError: if q is not between, there is nothing, or a value is not finite.
    """
    if not 0 < q < 1:
        raise ValueError(f"expected a quantile above 0 and below 1, got {q}")
    array = np.sort(numbers(values))
    tail = (1 - level) / 2
    low = _bound(array, q, tail)
    high = -_bound(-array[::-1], 1 - q, tail)
    return Interval(float(np.quantile(array, q)), low, high, len(array), "order statistics", level)


def _bound(array: Floats, q: float, tail: float) -> float:
    """The value that the q-th quantile lies below with probability `tail`; -inf where even the least value may lie above.

    P(quantile < k-th least) = P(at most k - 1 of n fall below it) = B(k - 1; n, q); Nyblom's weight between two of them.
    """
    from scipy.special import bdtr

    n = len(array)
    chances = np.asarray(bdtr(np.arange(n, dtype=np.float64), n, q))
    k = int(np.searchsorted(chances, tail, side="right"))
    if k == 0:
        return -math.inf
    if k == n:
        return float(array[-1])
    near, far = float(chances[k]), float(chances[k - 1])
    weight = 1 / (1 + (n - k) * q * (near - tail) / (k * (1 - q) * (tail - far))) if tail > far else 0.0
    return float((1 - weight) * array[k - 1] + weight * array[k])
