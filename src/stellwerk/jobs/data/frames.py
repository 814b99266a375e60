"""Reads a dataset table as a lazy Polars frame, and names its columns and types in the words of a reader.

Knows the three shapes in which a table is handed around: the folder of a Delta table, an Arrow table, a lazy frame. Does not
know what is asked of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable

from stellwerk.errors import UserError

# A pa.Table is one of the Any: pyarrow brings no types.
Table: TypeAlias = str | Path | pl.LazyFrame | Any


def scan(table: Table) -> pl.LazyFrame:
    """Open a dataset table for reading; nothing is read yet.

    Args:
        table: folder of a Delta table, Arrow table or lazy frame.

    Returns:
        a lazy frame that streams from the files of the table's newest state.

    Raises:
        UserError: the folder holds no Delta table.
    """
    if isinstance(table, pl.LazyFrame):
        return table
    if isinstance(table, pa.Table):
        frame = pl.from_arrow(table)
        return (frame.to_frame() if isinstance(frame, pl.Series) else frame).lazy()
    if not (Path(table) / "_delta_log").is_dir():
        raise UserError(f"{table} holds no dataset table (no _delta_log in it); build the dataset first")
    # Polars takes the percent signs with which Delta writes blanks and umlauts in a path for parts of it; so it gets the files.
    actions = pa.table(DeltaTable(str(table)).get_add_actions())
    return pl.scan_parquet([Path(table) / name for name in sorted(actions["path"].to_pylist())], glob=False)


def collect(frame: pl.LazyFrame) -> pl.DataFrame:
    """Execute a lazy frame once, in bounded memory, with the streaming engine."""
    return frame.collect(engine="streaming")


def kind(dtype: Any) -> str:
    """A column's type in one word.

    Args:
        dtype: a Polars data type.

    Returns:
        `text`, `number`, `date` (calendar day), `timestamp`, `yes/no`, or `other` for nested, binary and empty columns.
    """
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return "text"
    if dtype == pl.Boolean:
        return "yes/no"
    if dtype.is_numeric():
        return "number"
    if dtype == pl.Date:
        return "date"
    return "timestamp" if dtype == pl.Datetime else "other"


def value(column: str, dtype: Any) -> pl.Expr:
    """A column whose missing values are all null: NaN of a float counts as no value."""
    expression = pl.col(column)
    return expression.fill_nan(None) if dtype.is_float() else expression


def nearest(name: str, names: Iterable[str]) -> str:
    """What a reader probably meant, as the end of a sentence.

    Args:
        name: what was written.
        names: what exists.

    Returns:
        `; did you mean X?`, or the names that exist, or that there are none.
    """
    existing = list(names)
    folded = {each.casefold(): each for each in existing}
    close = get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.6)
    if close:
        return f"; did you mean {folded[close[0]]}?"
    if not existing:
        return "; there are none"
    return f"; there are: {', '.join(existing[:12])}{' ...' if len(existing) > 12 else ''}"
