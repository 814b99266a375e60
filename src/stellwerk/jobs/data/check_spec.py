"""What a data test may ask of a table, and what it answers.

Knows the checks of the spec file's `tests:` and the result of one. How they are computed stands in checks.py, which is loaded
only when checks run: these models stay light.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

Format = Literal["email", "date", "datetime", "url", "uuid", "iban", "language"]
Severity = Literal["warn", "error"]
State = Literal["passed", "failed", "nothing to measure"]
Bound = Annotated[StrictInt | Annotated[StrictFloat, Field(allow_inf_nan=False)] | date | datetime, Field(union_mode="smart")]
Share = Annotated[float, Field(ge=0, lt=1)]

DRIFT_BOUND = 0.2
_UNITS = {"min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_CONDITIONS = ("not_null", "unique", "min", "max", "one_of", "matches", "format", "not_older_than")


class RowBounds(BaseModel):
    """How many rows the table may have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min: int | None = Field(default=None, ge=0, description="at least so many rows")
    max: int | None = Field(default=None, ge=0, description="at most so many rows")

    @model_validator(mode="after")
    def _bounds(self) -> RowBounds:
        if self.min is None and self.max is None:
            raise ValueError("rows needs min, max or both, e.g. rows: {min: 1000}")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"rows: min {self.min} is above max {self.max}")
        return self


class Check(BaseModel):
    """One entry of `tests:`. It looks at a column, at the number of rows, or at drift; a column may be asked several things."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    column: str | None = Field(default=None, description="the column that the conditions below are about")
    not_null: StrictBool | Share | None = Field(
        default=None, description="true: every row has a value; a number: the largest share of rows without one (null or NaN)"
    )
    unique: StrictBool | None = Field(
        default=None, description="true: no value occurs twice; rows without a value are left out"
    )
    min: Bound | None = Field(default=None, description="smallest number, date or time allowed")
    max: Bound | None = Field(
        default=None, description="largest number, date or time allowed; with drift: the largest PSI allowed"
    )
    one_of: list[StrictStr | StrictBool | StrictInt | StrictFloat | date] | None = Field(
        default=None, validation_alias="in", serialization_alias="in", min_length=1, description="the values allowed"
    )
    matches: str | None = Field(default=None, description="regular expression (Rust syntax) that the WHOLE value must match")
    format: Format | None = Field(
        default=None, description="a known form; email, url and uuid by form, iban with its check digits"
    )
    not_older_than: str | None = Field(default=None, description="age of the newest value: 90min, 12h, 30d or 2w")
    rows: RowBounds | None = Field(default=None, description="bounds of the number of rows")
    drift: str | None = Field(default=None, description="column whose distribution is compared with the previous version (PSI)")
    severity: Severity = Field(
        default="error", description="error: a failure stops the release of the data; warn: it is only shown"
    )
    name: str | None = Field(default=None, description="how results call this check; made from column and condition if absent")

    @model_validator(mode="after")
    def _consistent(self) -> Check:
        subjects = [name for name in ("column", "rows", "drift") if getattr(self, name) is not None]
        if len(subjects) != 1:
            given = " and ".join(subjects) or "none of them"
            raise ValueError(f"a check has exactly one of column, rows and drift, this one has {given}")
        conditions = [name for name in _CONDITIONS if getattr(self, name) is not None and getattr(self, name) is not False]
        allowed = {"column": _CONDITIONS, "drift": ("max",), "rows": ()}[subjects[0]]
        for name in conditions:
            if name not in allowed:
                raise ValueError(f"{'in' if name == 'one_of' else name} belongs to a check with column, not with {subjects[0]}")
        if self.column is not None and not conditions:
            raise ValueError(
                f"the check of column {self.column} asks nothing; add one of not_null, unique, min, max, in, matches, format, "
                "not_older_than"
            )
        self._bounds()
        if self.not_older_than is not None:
            duration(self.not_older_than)
        return self

    def _bounds(self) -> None:
        if self.drift is not None and self.max is not None and (isinstance(self.max, date) or self.max <= 0):
            raise ValueError(f"drift: max is a PSI above 0 such as {DRIFT_BOUND}, not {self.max}")
        if self.min is None or self.max is None:
            return
        if isinstance(self.min, date) != isinstance(self.max, date):
            raise ValueError(f"min {self.min} and max {self.max} must both be numbers or both be dates")
        if _order(self.min) > _order(self.max):
            raise ValueError(f"min {self.min} is above max {self.max}")


class CheckResult(BaseModel):
    """What one condition of one check found."""

    TABLE: ClassVar = ("state", "severity", "name", "n", "failed", "text")
    model_config = ConfigDict(frozen=True)

    name: str = Field(description="name of the check")
    condition: str = Field(description="not_null, unique, range, in, matches, format, not_older_than, rows or drift")
    column: str | None = Field(description="the column; none for a check of rows")
    n: int = Field(description="rows that were measured (with a value, except for not_null and rows)")
    failed: int = Field(description="rows that break the condition; 0 or 1 for rows, not_older_than and drift")
    share: float | None = Field(description="failed / n; none where nothing was measured")
    value: float | None = Field(description="what is compared: share of failing rows, count of rows, age in days, or PSI")
    bound: str = Field(description="the bound that it is compared with, as written in the check")
    state: State = Field(description="passed, failed, or nothing to measure (never the same as passed)")
    passed: bool = Field(description="whether the state is passed")
    severity: Severity = Field(description="warn or error")
    doc_ids: tuple[str, ...] = Field(description="up to five of the failing documents; ids only, never values")
    text: str = Field(description="the result in one sentence")


def duration(text: str) -> timedelta:
    """Read a duration such as 90min, 12h, 30d or 2w.

    Args:
        text: a whole number and a unit: min, h, d or w.

    Raises:
        ValueError: it is written otherwise.
    """
    match = re.fullmatch(r"\s*(\d{1,6})\s*(min|h|d|w)\s*", text)
    if match is None:
        raise ValueError(f"not_older_than is a duration such as 90min, 12h, 30d or 2w, not {text!r}")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _order(bound: Any) -> Any:
    """A date or time without its zone, so that bounds can be compared; a number as it is."""
    if isinstance(bound, datetime):
        return bound.replace(tzinfo=None)
    return datetime(bound.year, bound.month, bound.day) if isinstance(bound, date) else bound
