"""How far two or more judges agree beyond chance: Cohen's kappa, Gwet's AC1, Krippendorff's alpha, each with an interval.

Kappa falls towards 0 where nearly all is of one kind, though the judges agree (the kappa paradox); AC1 does not. Report both.
A value 1.0 with an interval of no width says that no disagreement was seen, not that there is none.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np

from stellwerk.evaluation.statistics.bootstrap import merged, redrawn
from stellwerk.evaluation.statistics.clusters import Clusters, Floats, codes
from stellwerk.evaluation.statistics.intervals import Interval, normal, student

Scale = Literal["nominal", "ordinal", "interval"]
Labels = Sequence[Hashable]


def shares(first: Labels, second: Labels) -> tuple[Floats, list[Hashable]]:
    """How often each pair of labels occurred, as shares; shape (labels, labels), and the labels in order.

    Raises:
        ValueError: if nothing is given or the lengths differ.
    """
    if not len(first) or len(first) != len(second):
        raise ValueError(f"expected as many labels of both, and at least one, got {len(first)} and {len(second)}")
    names = ordered([*first, *second])
    place = {name: i for i, name in enumerate(names)}
    table = np.zeros((len(names), len(names)))
    for one, two in zip(first, second, strict=True):
        table[place[one], place[two]] += 1
    return table / len(first), names


def ordered(labels: Labels) -> list[Hashable]:
    """Each label once: numbers by size, all else by their text."""
    found = set(labels)
    if all(isinstance(label, int | float) for label in found):
        return sorted(found, key=lambda label: float(label))  # type: ignore[arg-type]
    return sorted(found, key=str)


def kappa(
    first: Labels, second: Labels, *, weighting: Literal["linear", "quadratic"] | None = None, level: float = 0.95
) -> Interval:
    """Cohen's kappa of two judges, weighted for an ordered scale, with the interval of Fleiss, Cohen and Everitt (1969).

    Measured with two labels, even and 9 to 1, and with three: covers in 92.5 % to 95 % from 50 items on, but only in 80 % to
    89 % at 20. The value is `nan` where both used one and the same label only: then nothing can be said beyond chance.

    Args:
        weighting: None for labels without an order; else how far two labels are apart: numbers by their difference, all else
            by their places in the order of their texts.
    """
    table, names = shares(first, second)
    n, size = len(first), len(names)
    near = np.eye(size) if weighting is None else 1 - _apart(names) ** (1 if weighting == "linear" else 2)
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    chance = float((near * np.outer(rows, columns)).sum())
    name = f"Cohen's kappa, {weighting} weights" if weighting else "Cohen's kappa"
    if chance >= 1 - 1e-15:
        return Interval(math.nan, -math.inf, math.inf, n, name, level)
    seen = float((near * table).sum())
    value = (seen - chance) / (1 - chance)
    by_row, by_column = near @ columns, rows @ near
    inner = near - (by_row[:, None] + by_column[None, :]) * (1 - value)
    variance = ((table * inner**2).sum() - (value - chance * (1 - value)) ** 2) / (n * (1 - chance) ** 2)
    reach = normal(level) * math.sqrt(max(0.0, float(variance)))
    return Interval(value, value - reach, min(1.0, value + reach), n, name, level)


def gwet(
    ratings: Sequence[Labels], clusters: Clusters | None = None, *, labels: int | None = None, level: float = 0.95
) -> Interval:
    """Gwet's AC1 of two or more judges (Gwet 2008), by the spread of what each item adds.

    Measured as for kappa: covers in 93.5 % to 96 % from 50 items on, in 90 % to 93 % at 20.

    Args:
        ratings: for each item the labels it was given, None where a judge gave none; shape (items, judges).
        clusters: of each item.
        labels: how many there could be; as many as were given, and at least two, if left out.

    Raises:
        ValueError: if no item has two labels.
    """
    names = ordered([label for item in ratings for label in item if label is not None])
    counts = _counts(ratings, names)
    sizes = counts.sum(axis=1)
    paired = sizes >= 2
    if not paired.any():
        raise ValueError("expected at least one item with two labels")
    n, q = int((sizes > 0).sum()), max(len(names), labels or 2)
    used, own = counts[sizes > 0], sizes[sizes > 0]
    prior = (used / own[:, None]).mean(axis=0)
    chance = float((prior * (1 - prior)).sum() / (q - 1))
    both = own >= 2
    agreed = np.where(both, (used * (used - 1)).sum(axis=1) / np.maximum(own * (own - 1), 1), 0.0)
    share = both.mean()
    value = float((agreed.sum() / both.sum() - chance) / (1 - chance))
    each = np.where(both, (agreed - chance) / share, 0.0) / (1 - chance)
    by_chance = (used * (1 - prior)).sum(axis=1) / own / (q - 1)
    each = each - 2 * (1 - value) * (by_chance - chance) / (1 - chance)
    kept = None if clusters is None else [label for label, size in zip(clusters, sizes, strict=True) if size > 0]
    groups = codes(kept, n)
    sums = np.bincount(groups, weights=each - value)
    count = len(sums)
    if count < 2:
        return Interval(value, -math.inf, math.inf, n, "Gwet's AC1", level)
    se = math.sqrt(count / (count - 1) * float(np.square(sums).sum())) / n
    reach = student(level, count - 1) * se
    return Interval(
        value, value - reach, min(1.0, value + reach), n, "Gwet's AC1", level, count if clusters is not None else None
    )


def krippendorff(
    ratings: Sequence[Labels],
    clusters: Clusters | None = None,
    *,
    scale: Scale = "nominal",
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> Interval:
    """Krippendorff's alpha of two or more judges, some of whom may have left items out; interval by drawing items again.

    alpha = 1 - observed / expected disagreement over the coincidences of labels within items (Krippendorff 2011).
    Measured as for kappa: covers in 93 % to 96 % from 50 items on, in 83 % to 93 % at 20. The value is `nan` where all labels
    are the same.

    Args:
        ratings: for each item the labels it was given, None where a judge gave none; shape (items, judges).
        scale: how far labels are apart; interval needs numbers, ordinal takes them in their order.

    Raises:
        ValueError: if no item has two labels, or labels of an interval scale are not numbers.
    """
    usable = [sum(label is not None for label in item) >= 2 for item in ratings]
    items = [item for item, fits in zip(ratings, usable, strict=True) if fits]
    if not items:
        raise ValueError("expected at least one item with two labels")
    names = ordered([label for item in items for label in item if label is not None])
    if scale == "interval" and not all(isinstance(name, int | float) for name in names):
        raise ValueError("labels of an interval scale must be numbers")
    counts = _counts(items, names)
    sizes = counts.sum(axis=1)
    q = len(names)
    per_item = (counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(q)) / (sizes - 1)[:, None, None]
    kept = None if clusters is None else [label for label, fits in zip(clusters, usable, strict=True) if fits]
    groups = codes(kept, len(items))
    count = int(groups.max()) + 1
    tables = np.zeros((count, q, q))
    np.add.at(tables, groups, per_item)
    values = np.array(names, dtype=np.float64) if scale == "interval" else None
    value = float(_alpha(tables.sum(axis=0)[None], scale, values)[0])
    drawn = redrawn(merged(tables.reshape(count, -1)), draws, seed)
    spread = _alpha(drawn.reshape(draws, q, q), scale, values)
    spread = spread[np.isfinite(spread)]
    ends = np.quantile(spread, [(1 - level) / 2, (1 + level) / 2]) if len(spread) and count > 1 else (-math.inf, math.inf)
    name = f"Krippendorff's alpha, {scale}"
    return Interval(value, float(ends[0]), float(ends[1]), len(items), name, level, count if clusters is not None else None)


def _apart(names: list[Hashable]) -> Floats:
    """How far labels are apart, as a share of the most; shape (labels, labels)."""
    places = [float(x) if isinstance(x, int | float) else float(place) for place, x in enumerate(names)]
    apart = np.abs(np.subtract.outer(places, places))
    return np.asarray(apart / max(float(apart.max()), 1e-300))


def _counts(ratings: Sequence[Labels], names: list[Hashable]) -> Floats:
    """How often each item was given each label, shape (items, labels)."""
    place = {name: i for i, name in enumerate(names)}
    counts = np.zeros((len(ratings), len(names)))
    for row, item in enumerate(ratings):
        for label in item:
            if label is not None:
                counts[row, place[label]] += 1
    return counts


def _alpha(tables: Floats, scale: Scale, values: Floats | None) -> Floats:
    """Alpha of many tables of coincidences at once, shape (tables, labels, labels)."""
    each = tables.sum(axis=2)
    total = each.sum(axis=1)
    q = tables.shape[1]
    if scale == "ordinal":
        up = np.cumsum(each, axis=1)
        between = np.abs(up[:, :, None] - up[:, None, :])
        half = np.where(np.arange(q)[:, None] < np.arange(q)[None, :], 1.0, -1.0)
        # Labels from c to k, with half of both ends: cumulated counts from c's end to k's, plus half of c, less half of k.
        apart = (between + half * (each[:, :, None] - each[:, None, :]) / 2) ** 2 * (1 - np.eye(q))
    elif values is not None:
        apart = np.broadcast_to(np.subtract.outer(values, values) ** 2, tables.shape)
    else:
        apart = np.broadcast_to(1 - np.eye(q), tables.shape)
    seen = (tables * apart).sum(axis=(1, 2)) / total
    chance = (each[:, :, None] * each[:, None, :] * apart).sum(axis=(1, 2)) / (total * (total - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(chance > 0, 1 - seen / chance, np.nan))
