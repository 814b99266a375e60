"""How far a column's distribution has moved from one version to the next: the population stability index (PSI).

Knows bins and the formula. Does not know which columns are asked, or what bound is too far.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from stellwerk.jobs.data.frames import collect, kind, value

BINS = 10
MAX_CATEGORIES = 200
FLOOR = 1e-4  # share that an empty bin is given, because the logarithm of 0 has no value


@dataclass(frozen=True)
class Reference:
    """The bins of one column, and how many rows of the earlier version fell into each.

    Attributes:
        column: its name.
        edges: for numbers, dates and times: the inner edges, ascending; a bin holds what is at or above its lower edge.
        categories: for text and yes/no: the values; one more bin takes every other value.
        counts: rows of the earlier version per bin, then those without a value.
        problem: why it cannot be compared; the other fields are then empty.
    """

    column: str
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    problem: str | None = None


def references(previous: pl.LazyFrame, columns: dict[str, Any]) -> dict[str, Reference]:
    """Bin the columns by the earlier version, in one pass over it; 8 bytes of memory a row for each numeric column.

    Numbers are cut at the deciles of the earlier version (equal deciles are merged), text and yes/no at each value.

    Args:
        previous: the earlier version.
        columns: columns to compare and their types now.

    Returns:
        the reference of each column.
    """
    schema = previous.collect_schema()
    found: dict[str, Reference] = {}
    asked: dict[str, bool] = {}
    for column, dtype in columns.items():
        if column not in schema:
            found[column] = Reference(column, problem="the previous version has no such column")
            continue
        before, after = _numeric(schema[column]), _numeric(dtype)
        if before is None or after is None or before != after:
            found[column] = Reference(column, problem=f"it was {kind(schema[column])} and is {kind(dtype)} now")
            continue
        asked[column] = after
    if asked:
        expressions = [_gather(column, schema[column], numeric) for column, numeric in asked.items()]
        row = collect(previous.select(expressions))
        for column, numeric in asked.items():
            found[column] = (_by_edges if numeric else _by_value)(column, row[column][0])
    return found


def binned(reference: Reference, dtype: Any) -> pl.Expr:
    """The bin of each row of another version: 0, 1, ... as in `counts` of the reference, the last one for no value.

    Args:
        reference: one without a problem.
        dtype: the column's type in that version.
    """
    last = len(reference.counts) - 1
    if reference.categories:
        text = pl.col(reference.column).cast(pl.String)
        known = list(reference.categories)
        index = text.replace_strict(known, list(range(len(known))), default=last - 1, return_dtype=pl.Int32)
        return pl.when(text.is_null()).then(last).otherwise(index)
    number = _number(reference.column, dtype)
    index = pl.sum_horizontal((number >= edge).cast(pl.Int32) for edge in reference.edges)
    return pl.when(number.is_null()).then(last).otherwise(index)


def counting(reference: Reference, name: str) -> pl.Expr:
    """The rows per bin of the column that `binned` made, as one list."""
    return pl.concat_list([(pl.col(name) == index).sum().cast(pl.Int64) for index in range(len(reference.counts))])


def psi(expected: list[int] | tuple[int, ...], actual: list[int] | tuple[int, ...]) -> float:
    """Population stability index, the sum over the bins of (a - e) * ln(a / e).

    Source: N. Siddiqi, Credit Risk Scorecards (2006); B. Yurdakul, Statistical Properties of Population Stability Index (2018).
    Customary reading: below 0.1 no change, above 0.2 to 0.25 a marked one.

    Args:
        expected: rows per bin in the earlier version, at least one.
        actual: rows per bin now, at least one.

    Returns:
        0 for equal shares, unbounded above. A share below 0.0001 counts as 0.0001; bins empty in both are left out.
    """
    before, after = np.asarray(expected, dtype=float), np.asarray(actual, dtype=float)
    filled = (before > 0) | (after > 0)
    e = np.maximum(before[filled] / before.sum(), FLOOR)
    a = np.maximum(after[filled] / after.sum(), FLOOR)
    return float(np.sum((a - e) * np.log(a / e)))


def by_chance(expected: list[int] | tuple[int, ...], actual: list[int] | tuple[int, ...]) -> float:
    """The PSI that two samples of one distribution have on average: (bins - 1) * (1/n + 1/m), Yurdakul (2018)."""
    filled = sum(1 for e, a in zip(expected, actual, strict=True) if e or a)
    return max(filled - 1, 0) * (1 / sum(expected) + 1 / sum(actual))


def _numeric(dtype: Any) -> bool | None:
    """Whether a column is cut at deciles; None if it can be compared in no way."""
    name = kind(dtype)
    return None if name == "other" else name in ("number", "date", "timestamp")


def _number(column: str, dtype: Any) -> pl.Expr:
    """Numbers, dates (days) and times (microseconds) as floats."""
    if kind(dtype) == "timestamp":
        return pl.col(column).dt.epoch("us").cast(pl.Float64)
    if dtype == pl.Date:
        return pl.col(column).cast(pl.Datetime("us")).dt.epoch("us").cast(pl.Float64)
    return value(column, dtype).cast(pl.Float64)


def _gather(column: str, dtype: Any, numeric: bool) -> pl.Expr:
    """All values of a numeric column, or each value of another with its count."""
    if numeric:
        return _number(column, dtype).implode().alias(column)
    return pl.col(column).cast(pl.String).value_counts(name="count").implode().alias(column)


def _by_edges(column: str, values: pl.Series) -> Reference:
    everything = values.to_numpy()
    numbers = everything[~np.isnan(everything)]
    if numbers.size == 0:
        return Reference(column, problem="the previous version has no value in it")
    edges = np.unique(np.quantile(numbers, np.arange(1, BINS) / BINS, method="lower"))
    below = np.searchsorted(np.sort(numbers), edges, side="left")
    bins = np.diff(np.concatenate([[0], below, [numbers.size]]))
    return Reference(
        column,
        edges=tuple(edges.tolist()),
        counts=(*(int(each) for each in bins), int(everything.size - numbers.size)),
    )


def _by_value(column: str, cells: pl.Series) -> Reference:
    counted = {cell[column]: int(cell["count"]) for cell in cells}
    missing = counted.pop(None, 0)
    if not counted:
        return Reference(column, problem="the previous version has no value in it")
    if len(counted) > MAX_CATEGORIES:
        problem = f"it has {len(counted)} different values, drift compares numbers or up to {MAX_CATEGORIES} categories"
        return Reference(column, problem=problem)
    names = sorted(counted)
    return Reference(column, categories=tuple(names), counts=(*(counted[name] for name in names), 0, missing))
