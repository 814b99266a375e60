"""Groups of observations that are not independent of each other: sums by group, and the standard error that heeds them.

Knows arrays only.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = Sequence[float] | Sequence[bool] | NDArray[Any]
Clusters = Sequence[Hashable] | NDArray[Any]
Floats = NDArray[np.float64]
Integers = NDArray[np.intp]


def numbers(values: Values) -> Floats:
    """One axis of finite numbers.

    Args:
        values: shape (n,).

    Raises:
        ValueError: if there are none, or one of them is no number; an unknown value must be left out or treated before.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not array.size:
        raise ValueError("expected at least one value, on one axis")
    if not np.isfinite(array).all():
        raise ValueError("a value is not a finite number")
    return array


def codes(clusters: Clusters | None, n: int) -> Integers:
    """The cluster of each observation as a number from 0, in order of first appearance.

    Args:
        clusters: shape (n,), any hashable labels; None for observations that each stand alone. A label None stands alone, too.

    Returns:
        shape (n,).

    Raises:
        ValueError: if there are more or fewer labels than values.
    """
    if clusters is None:
        return np.arange(n, dtype=np.intp)
    if len(clusters) != n:
        raise ValueError(f"expected {n} cluster labels, one for each value, got {len(clusters)}")
    seen: dict[Hashable, int] = {}
    listed = clusters.tolist() if isinstance(clusters, np.ndarray) else clusters
    return np.fromiter(
        (seen.setdefault((place,) if label is None else (0, label), len(seen)) for place, label in enumerate(listed)),
        dtype=np.intp,
        count=n,
    )


def totals(values: Floats, groups: Integers) -> tuple[Floats, Floats]:
    """Sum and size of each cluster.

    Returns:
        two arrays, shape (clusters,).
    """
    count = int(groups.max()) + 1
    sums = np.bincount(groups, weights=values, minlength=count)
    return sums.astype(np.float64), np.bincount(groups, minlength=count).astype(np.float64)


def standard_error(values: Floats, groups: Integers) -> float:
    """Standard error of the mean of clustered observations; `nan` for a single cluster.

    SE = sqrt(G/(G-1) * sum_g (sum_i (x_gi - mean))^2) / n, which is s/sqrt(n) where each observation stands alone
    (Miller, "Adding Error Bars to Evals", arXiv:2411.00640; Liang and Zeger 1986 with the small-sample factor).
    """
    sums, sizes = totals(values, groups)
    count = len(sums)
    if count < 2:
        return float("nan")
    rests = sums - sizes * values.mean()
    return float(np.sqrt(count / (count - 1) * np.square(rests).sum()) / len(values))
