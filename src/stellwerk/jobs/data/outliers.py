"""Rows whose numbers lie far from the rest, by a measure that outliers themselves cannot shift.

Robust z = 0.6745 (x - median) / MAD, with MAD the median absolute deviation (Iglewicz and Hoaglin, 1993).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stellwerk.errors import UserError
from stellwerk.jobs.data import shards

if TYPE_CHECKING:
    from stellwerk.run import Run


def centres(run: Run, *, documents: list[str], columns: list[str], scale: str) -> dict[str, Any]:
    """Step: median and MAD of each column over all documents.

    Raises:
        UserError: a column is not there, or holds no numbers.
    """
    found = {}
    for name in columns:
        parts = []
        for shard in documents:
            path = run.store.path(shard)
            if name in shards.names(path):
                parts.append(_numbers(shards.columns(path, name)[name], name))
        if not parts:
            known = sorted({c for shard in documents for c in shards.names(run.store.path(shard))})
            raise UserError(f"outliers: there is no column {name!r}; there are: {', '.join(known)}")
        values = scaled(np.concatenate(parts), scale)
        values = values[np.isfinite(values)]
        median = float(np.median(values)) if len(values) else 0.0
        mad = float(np.median(np.abs(values - median))) if len(values) else 0.0
        found[name] = {"median": median, "mad": mad, "n": len(values), "scale": scale}
    return found


def robust_z(column: pa.ChunkedArray, centre: dict[str, Any]) -> Any:
    """The robust z of each value; NaN where there is none, or where over half of all values are equal (MAD 0)."""
    values = _numbers(column, "")
    if not centre["mad"]:
        return np.full(len(values), np.nan)
    with np.errstate(invalid="ignore"):
        return 0.6745 * (scaled(values, centre["scale"]) - centre["median"]) / centre["mad"]


def scaled(values: Any, scale: str) -> Any:
    """Values on the scale: as they are, or their logarithm, where one that is not positive is infinitely far off."""
    if scale == "linear":
        return values
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(values > 0, np.log(values), np.where(np.isnan(values), np.nan, -np.inf))


def _numbers(column: pa.ChunkedArray, name: str) -> Any:
    if column.null_count == len(column):
        return np.full(len(column), np.nan)
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_null(column.type)):
        raise UserError(f"outliers: the column {name!r} holds {column.type}, expected numbers")
    return pc.fill_null(column.cast(pa.float64()), np.nan).to_numpy()
