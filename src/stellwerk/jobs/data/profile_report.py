"""What a profile answers; light, so that help and schemas need no data library."""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class TopValue(_Model):
    """A frequent value."""

    value: str = Field(description="the value")
    rows: int = Field(description="rows that have it")
    share: float = Field(description="of all rows")


class Histogram(_Model):
    """Rows in bins of equal width between the 1 % and the 99 % quantile."""

    of: str = Field(description="value, or characters for text")
    low: float = Field(description="lower edge of the first bin")
    high: float = Field(description="upper edge of the last bin")
    counts: tuple[int, ...] = Field(description="rows per bin")
    below: int = Field(description="rows below the first bin")
    above: int = Field(description="rows above the last bin")


class ColumnProfile(_Model):
    """One column."""

    TABLE: ClassVar = ("name", "type", "nulls", "distinct", "min", "median", "max", "outliers", "shape")

    name: str = Field(description="name of the column")
    type: str = Field(description="text, number, date, timestamp, yes/no or the name of another type")
    n: int = Field(description="rows with a value")
    nulls: int = Field(description="rows without a value; NaN counts as none")
    distinct: int | None = Field(description="different values; counted by 64-bit hash")
    distinct_exact: bool = Field(description="false: estimated from a part of the hash space, within about 1 %")
    min: float | date | datetime | None = Field(default=None, description="smallest number, date or time; never of text")
    max: float | date | datetime | None = Field(default=None, description="largest number, date or time; never of text")
    mean: float | None = Field(default=None, description="mean of numbers")
    median: float | None = Field(default=None, description="median of numbers")
    quantiles: dict[str, float] = Field(default={}, description="quantiles of numbers: 0.01, 0.05, 0.25, 0.75, 0.95, 0.99")
    outliers: int | None = Field(default=None, description="numbers with |0.6745 (x - median) / MAD| over the bound")
    characters_mean: float | None = Field(default=None, description="mean length of text in characters")
    characters_max: int | None = Field(default=None, description="longest text in characters")
    empty: int | None = Field(default=None, description="texts without a visible character")
    histogram: Histogram | None = Field(default=None, description="distribution of numbers, or of the length of text")
    top: tuple[TopValue, ...] = Field(default=(), description="frequent values (1 % of the rows each and more)")
    withheld: str | None = Field(default=None, description="why values are not shown")

    @property
    def shape(self) -> str:
        """The distribution of the numbers, or of the lengths of the texts, as a line of bars."""
        fine = self.histogram.counts if self.histogram else ()
        counts = [sum(fine[place : place + 2]) for place in range(0, len(fine), 2)]
        bars, most = "▁▂▃▄▅▆▇█", max(counts, default=0)
        return "".join(" " if not count else bars[count * (len(bars) - 1) // most] for count in counts)


class GroupRows(_Model):
    """Rows of one source, language or split."""

    column: str = Field(description="source, language or split")
    group: str = Field(description="its value; (none) where it has none")
    rows: int = Field(description="rows of it")


class Profile(_Model):
    """A table in numbers."""

    rows: int = Field(description="rows of the table")
    bytes: int | None = Field(description="size of a Delta table's files or of an Arrow table in memory; none for a lazy frame")
    outlier_bound: float = Field(description="bound of the robust z-score")
    columns: tuple[ColumnProfile, ...] = Field(description="one per column, in the table's order")
    groups: tuple[GroupRows, ...] = Field(description="rows per source, language and split, where these columns exist")
