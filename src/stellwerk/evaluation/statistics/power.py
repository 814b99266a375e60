"""How many cases a comparison needs, and which difference a number of cases can show: before anything was asked.

The power of the exact McNemar test is computed, not approximated, so that the number named is enough.
"""

from __future__ import annotations

import math

import numpy as np

from stellwerk.evaluation.statistics.clusters import Floats
from stellwerk.evaluation.statistics.intervals import normal

MOST = 10_000_000
"""Cases beyond which no number is named."""


def independent(rate: float, difference: float) -> float:
    """Share of cases on which two systems differ if they have nothing in common: the most that is to be expected.

    Args:
        rate: of the first; the second is better by `difference`, or worse where better cannot be.
    """
    other = rate + difference if rate + difference <= 1 else rate - difference
    return rate * (1 - other) + other * (1 - rate)


def inflation(cluster_size: float, correlation: float) -> float:
    """How many clustered cases tell as much as one that stands alone: 1 + (size - 1) * correlation (Kish 1965)."""
    return 1 + (cluster_size - 1) * correlation


def power_of(n: int, difference: float, discordant: float, level: float = 0.95) -> float:
    """Chance that the exact McNemar test on n independent cases finds a difference, and finds it on the right side.

    Sums over how many cases differ, D ~ Binomial(n, discordant), the chance that enough of them favour the better system,
    Binomial(D, (1 + difference / discordant) / 2).

    Args:
        difference: of the rates, at most `discordant`.
        discordant: share of cases on which the two differ.

    Raises:
        ValueError: if the difference is larger than the share of cases that differ.
    """
    from scipy.special import bdtr, gammaln, xlog1py, xlogy

    if not 0 < difference <= discordant <= 1:
        raise ValueError("expected 0 < difference <= discordant <= 1")
    middle, reach = n * discordant, 10 * math.sqrt(n * discordant * (1 - discordant)) + 10
    d = np.arange(max(0, math.floor(middle - reach)), min(n, math.ceil(middle + reach)) + 1, dtype=np.float64)
    chance = np.exp(gammaln(n + 1) - gammaln(d + 1) - gammaln(n - d + 1) + xlogy(d, discordant) + xlog1py(n - d, -discordant))
    worst = _most_against(d, (1 - level) / 2)
    against = (1 - difference / discordant) / 2
    found = np.where(worst >= 0, bdtr(np.maximum(worst, 0.0), d.astype(np.int64), against), 0.0)
    return float((chance * found).sum())


def _most_against(d: Floats, tail: float) -> Floats:
    """The largest k with P(Binomial(d, 1/2) <= k) <= tail; -1 where there is none."""
    from scipy.special import bdtr

    low, high = np.full_like(d, -1.0), np.floor(d / 2)
    while (low < high).any():
        middle = np.ceil((low + high) / 2)
        fits = (middle < 0) | (bdtr(np.maximum(middle, 0.0), d.astype(np.int64), 0.5) <= tail)
        low, high = np.where(fits, middle, low), np.where(fits, high, middle - 1)
    return low


def cases(
    difference: float,
    discordant: float,
    *,
    power: float = 0.8,
    level: float = 0.95,
    cluster_size: float = 1,
    correlation: float = 0,
) -> int:
    """Cases that it takes to find a difference of two rates on the same cases.

    Starts at Connor's formula (1987), n = (z_a sqrt(D) + z_b sqrt(D - d^2))^2 / d^2, and goes up until the exact power does.

    Raises:
        ValueError: if the difference is larger than the share of cases that differ, or more than ten million cases are needed.
    """
    from scipy.special import ndtri

    if not 0 < difference <= discordant <= 1:
        raise ValueError("expected 0 < difference <= discordant <= 1")
    root = normal(level) * math.sqrt(discordant) + float(ndtri(power)) * math.sqrt(discordant - difference**2)
    if root / difference > math.sqrt(MOST):
        raise ValueError("more than ten million cases would be needed")
    n = max(5, math.ceil((root / difference) ** 2))
    while power_of(n, difference, discordant, level) < power:
        n += max(1, n // 200)
    return math.ceil(n * inflation(cluster_size, correlation))


def cases_for_scores(
    difference: float,
    deviation: float,
    *,
    power: float = 0.8,
    level: float = 0.95,
    cluster_size: float = 1,
    correlation: float = 0,
) -> int:
    """Cases that it takes to find a difference of two means on the same cases.

    n = (z_a + z_b)^2 * deviation^2 / difference^2, with the two cases more that Student's t costs.

    Args:
        deviation: standard deviation of the differences of single cases, of a pilot.
    """
    from scipy.special import ndtri

    n = ((normal(level) + float(ndtri(power))) * deviation / difference) ** 2 + normal(level) ** 2 / 2
    return math.ceil(max(n, 3) * inflation(cluster_size, correlation))


def cases_unpaired(rate: float, difference: float, *, power: float = 0.8, level: float = 0.95) -> int:
    """Cases for each of two systems that are asked different ones: what pairing saves.

    n = (z_a + z_b)^2 * (p1 (1 - p1) + p2 (1 - p2)) / difference^2, and what an exact test costs (Fleiss 1981).
    """
    from scipy.special import ndtri

    other = rate + difference if rate + difference <= 1 else rate - difference
    spread = rate * (1 - rate) + other * (1 - other)
    n = (normal(level) + float(ndtri(power))) ** 2 * spread / difference**2
    return math.ceil(n / 4 * (1 + math.sqrt(1 + 4 / (n * difference))) ** 2)


def detectable(
    n: int, discordant: float, *, power: float = 0.8, level: float = 0.95, cluster_size: float = 1, correlation: float = 0
) -> float | None:
    """The smallest difference that n cases find with this power; None where not even the largest is found.

    Args:
        discordant: share of cases on which the two differ; the difference cannot be larger.
    """
    worth = int(n / inflation(cluster_size, correlation))
    if worth < 1 or power_of(worth, discordant, discordant, level) < power:
        return None
    low, high = 0.0, discordant
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if power_of(worth, middle, discordant, level) >= power else (middle, high)
    return high
