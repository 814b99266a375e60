"""The conditions that a check puts on a column: what each computes in Polars, and how its answer reads.

Knows nulls, types and sentences. Does not execute anything, except for the ids of repeated values after a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from stellwerk.errors import UserError
from stellwerk.jobs.data import formats
from stellwerk.jobs.data.check_spec import Check, CheckResult, State, duration
from stellwerk.jobs.data.frames import collect, kind, nearest, value

SAMPLE = 5
ID = "doc_id"
_ZONES = timedelta(days=1)  # a local time without its zone may lie this far ahead of UTC

Row = dict[str, Any]


@dataclass(frozen=True)
class Condition:
    """One question: what to compute, and how to read the answer.

    Attributes:
        columns: per row, named; computed once, although several answers are taken from each.
        answers: one value each, over the columns.
        read: makes the result of the answers.
    """

    columns: list[pl.Expr]
    answers: list[pl.Expr]
    read: Callable[[Row], CheckResult]


class Asked:
    """The table that is asked: its schema, and the aliases of the answers."""

    def __init__(self, frame: pl.LazyFrame, now: datetime) -> None:
        self.frame = frame
        self.schema = frame.collect_schema()
        self.now = (now if now.tzinfo else now.replace(tzinfo=UTC)).astimezone(UTC).replace(tzinfo=None)

    def dtype(self, column: str, asked: str) -> Any:
        """The type of a column that a check names.

        Raises:
            UserError: there is none of that name.
        """
        if column not in self.schema:
            raise UserError(f"the check {asked} of column {column}: the data has no such column{nearest(column, self.schema)}")
        return self.schema[column]


def conditions(check: Check) -> list[Callable[[Asked, Check, int], Condition]]:
    """The conditions of a check of a column, in a fixed order."""
    asked: list[tuple[bool, Callable[[Asked, Check, int], Condition]]] = [
        (check.not_null is not None and check.not_null is not False, _not_null),
        (bool(check.unique), _unique),
        (check.min is not None or check.max is not None, _range),
        (check.one_of is not None, _one_of),
        (check.matches is not None, _matches),
        (check.format is not None, _format),
        (check.not_older_than is not None, _fresh),
    ]
    return [build for wanted, build in asked if wanted]


def result(
    check: Check,
    condition: str,
    *,
    n: int,
    failed: int,
    value: float | None,
    bound: str,
    ok: bool,
    text: str,
    doc_ids: Sequence[Any] = (),
    column: str | None = None,
) -> CheckResult:
    """A result; nothing measured is never passed."""
    state: State = "nothing to measure" if n == 0 and condition != "rows" else "passed" if ok else "failed"
    measured = state != "nothing to measure"
    return CheckResult(
        name=check.name or " ".join(part for part in (column, condition) if part),
        condition=condition,
        column=column,
        n=n,
        failed=failed,
        share=failed / n if n else None,
        value=value if measured else None,
        bound=bound,
        state=state,
        passed=state == "passed",
        severity=check.severity,
        doc_ids=tuple(str(each) for each in doc_ids if each is not None)[:SAMPLE],
        text=text if measured or n else f"{text.rstrip('.')}: nothing was measured.",
    )


def _rowwise(table: Asked, check: Check, number: int, condition: str, fine: pl.Expr, bound: str, wrong: str) -> Condition:
    """A condition that each row with a value meets or breaks.

    Args:
        table: the table.
        check: the check that asks.
        number: of the condition, for the names of its answers.
        condition: its name.
        fine: per row: true, false, or null where there is no value.
        bound: as the check states it.
        wrong: ends the sentence "3 of 90 values in x ...".
    """
    column, broken = str(check.column), f"broken {number}"
    answers = [pl.col(broken).count().alias(f"n{number}"), pl.col(broken).sum().alias(f"f{number}")]

    def read(row: Row) -> CheckResult:
        n, failed = int(row[f"n{number}"]), int(row[f"f{number}"])
        text = f"{_of(failed, n, 'values')} in {column} {wrong}." if n else f"No row has a value in {column}."
        return result(
            check, condition, n=n, failed=failed, value=failed / n if n else None, bound=bound, ok=failed == 0, text=text,
            doc_ids=_ids(row, number), column=column,
        )  # fmt: skip

    return Condition([fine.not_().alias(broken)], [*answers, *_sample(table, broken, number)], read)


def _sample(table: Asked, broken: str, number: int) -> list[pl.Expr]:
    """The ids of the first failing rows."""
    return [pl.col(ID).filter(broken).head(SAMPLE).implode().alias(f"s{number}")] if ID in table.schema else []


def _ids(row: Row, number: int) -> list[Any]:
    sample = row.get(f"s{number}")
    return [] if sample is None else list(sample)


def _not_null(table: Asked, check: Check, number: int) -> Condition:
    column = str(check.column)
    dtype = table.dtype(column, "not_null")
    allowed = 0.0 if check.not_null is True else float(check.not_null or 0)
    missing = f"missing {number}"
    answers = [pl.col(missing).sum().alias(f"f{number}"), *_sample(table, missing, number)]
    bound = f"at most {allowed:.4g} of the rows without a value" if allowed else "every row has a value"

    def read(row: Row) -> CheckResult:
        n, failed = int(row["rows"]), int(row[f"f{number}"])
        text = f"{_of(failed, n, 'rows')} have no value in {column}." if n else "The table has no rows."
        return result(
            check, "not_null", n=n, failed=failed, value=failed / n if n else None, bound=bound,
            ok=failed <= allowed * n, text=text, doc_ids=_ids(row, number), column=column,
        )  # fmt: skip

    return Condition([value(column, dtype).is_null().alias(missing)], answers, read)


def _unique(table: Asked, check: Check, number: int) -> Condition:
    """Different 64-bit hashes prove different values; only where two are equal are the values themselves compared."""
    column = str(check.column)
    dtype = table.dtype(column, "unique")
    filled = value(column, dtype)
    if kind(dtype) == "other" and dtype != pl.Null:
        raise UserError(f"unique of column {column} needs single values, but the column holds {_held(dtype)}")
    hashes = f"hash {number}"
    hashed = pl.when(filled.is_not_null()).then((filled.cast(pl.String) if kind(dtype) == "text" else filled).hash())

    def read(row: Row) -> CheckResult:
        found = np.sort(row[f"h{number}"].to_numpy())
        n, equal = int(found.size), np.unique(found[1:][found[1:] == found[:-1]])
        failed, ids = _repeated(table, filled, hashed, equal) if equal.size else (0, [])
        text = f"{_of(failed, n, 'values')} in {column} repeat another one." if n else f"No row has a value in {column}."
        return result(
            check, "unique", n=n, failed=failed, value=failed / n if n else None, bound="no value twice", ok=failed == 0,
            text=text, doc_ids=ids, column=column,
        )  # fmt: skip

    return Condition([hashed.alias(hashes)], [pl.col(hashes).drop_nulls().implode().alias(f"h{number}")], read)


def _repeated(table: Asked, filled: pl.Expr, hashed: pl.Expr, equal: Any) -> tuple[int, list[Any]]:
    """How many rows repeat a value of another row, and some of their ids.

    Args:
        table: the table.
        filled: the values.
        hashed: their hashes.
        equal: the hashes that occur more than once, array of uint64.
    """
    ids = pl.col(ID) if ID in table.schema else pl.lit(None, dtype=pl.String)
    suspects = table.frame.filter(hashed.is_in(pl.Series(equal).implode())).select(filled.alias("value"), ids.alias("id"))
    groups = collect(suspects.group_by("value").agg(pl.len(), pl.col("id").max())).filter(pl.col("len") > 1)
    return int((groups["len"] - 1).sum()), groups["id"].drop_nulls().sort().head(SAMPLE).to_list()


def _range(table: Asked, check: Check, number: int) -> Condition:
    column = str(check.column)
    dtype = table.dtype(column, "min/max")
    bounds = [each for each in (check.min, check.max) if each is not None]
    dates = isinstance(bounds[0], date)
    wanted = ("date", "timestamp") if dates else ("number",)
    if kind(dtype) not in wanted and dtype != pl.Null:
        raise UserError(
            f"min/max of column {column} {'are dates' if dates else 'are numbers'}, but the column holds {_held(dtype)}; "
            "give bounds of its type, or load the column with that type"
        )
    fine = pl.lit(True)
    for bound, low in ((check.min, True), (check.max, False)):
        if bound is not None:
            compared, limit = _comparable(column, dtype, bound)
            fine = fine & (compared >= limit if low else compared <= limit)
    fine = pl.when(value(column, dtype).is_not_null()).then(fine)
    said = ", ".join(f"{word} {each}" for word, each in (("min", check.min), ("max", check.max)) if each is not None)
    return _rowwise(table, check, number, "range", fine, said, f"lie outside {said}")


def _comparable(column: str, dtype: Any, bound: Any) -> tuple[pl.Expr, Any]:
    """A column and a bound in one type; a bound without a time is compared with the calendar day."""
    expression = value(column, dtype)
    if not isinstance(bound, date) or dtype == pl.Null:
        return expression, bound
    if dtype == pl.Datetime and dtype.time_zone is not None:
        expression = expression.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if isinstance(bound, datetime):
        naive = bound.astimezone(UTC).replace(tzinfo=None) if bound.tzinfo else bound
        return expression.cast(pl.Datetime("us")), pl.lit(naive, dtype=pl.Datetime("us"))
    return expression.cast(pl.Date), pl.lit(bound, dtype=pl.Date)


def _one_of(table: Asked, check: Check, number: int) -> Condition:
    column, allowed = str(check.column), list(check.one_of or ())
    dtype = table.dtype(column, "in")
    name = kind(dtype)
    types: dict[str, tuple[type, ...]] = {"text": (str,), "number": (int, float), "yes/no": (bool,), "date": (date,)}
    for each in allowed:
        if dtype != pl.Null and (not isinstance(each, types.get(name, ())) or (name == "number" and isinstance(each, bool))):
            hint = "; in YAML quote words such as 'no' and numbers that are text" if name == "text" else ""
            raise UserError(f"in of column {column} lists {each!r}, but the column holds {_held(dtype)}{hint}")
    filled = value(column, dtype)
    if name == "text":
        fine = filled.cast(pl.String).is_in(pl.Series(allowed, dtype=pl.String).implode())
    elif name == "number" and (dtype.is_float() or any(isinstance(each, float) for each in allowed)):
        fine = filled.cast(pl.Float64).is_in(pl.Series(allowed, dtype=pl.Float64).implode())
    elif name == "number":
        fine = filled.cast(pl.Int64).is_in(pl.Series(allowed, dtype=pl.Int64).implode())
    else:
        fine = filled.is_in(pl.Series(allowed).implode()) if dtype != pl.Null else pl.lit(None, dtype=pl.Boolean)
    fine = pl.when(filled.is_not_null()).then(fine)
    bound = f"one of {len(allowed)} values"
    return _rowwise(table, check, number, "in", fine, bound, "are not in the list of allowed values")


def _matches(table: Asked, check: Check, number: int) -> Condition:
    column, pattern = str(check.column), str(check.matches)
    dtype = table.dtype(column, "matches")
    _needs_text(column, dtype, "matches")
    try:
        pl.Series([""]).str.contains(rf"\A(?:{pattern})\z")
    except pl.exceptions.PolarsError as error:
        raise UserError(
            f"matches of column {column} is no regular expression that Rust's regex knows (it has no look-ahead and no "
            f"back-references): {pattern}"
        ) from error
    fine = formats.whole(value(column, dtype).cast(pl.String), pattern)
    return _rowwise(table, check, number, "matches", fine, pattern, "do not match the pattern")


def _format(table: Asked, check: Check, number: int) -> Condition:
    column, form = str(check.column), str(check.format)
    dtype = table.dtype(column, "format")
    _needs_text(column, dtype, "format")
    fine = formats.valid(form, value(column, dtype), dtype)
    return _rowwise(table, check, number, "format", fine, form, f"are not written as {form}")


def _needs_text(column: str, dtype: Any, condition: str) -> None:
    if kind(dtype) == "other" and dtype != pl.Null:
        raise UserError(f"{condition} of column {column} needs text, but the column holds {_held(dtype)}")


def _fresh(table: Asked, check: Check, number: int) -> Condition:
    column = str(check.column)
    dtype = table.dtype(column, "not_older_than")
    oldest = duration(str(check.not_older_than))
    if kind(dtype) not in ("date", "timestamp", "text") and dtype != pl.Null:
        raise UserError(f"not_older_than of column {column} needs dates, but the column holds {_held(dtype)}")
    time = _time(column, dtype)
    limit = table.now + _ZONES
    name = f"time {number}"
    answers = [
        pl.col(name).count().alias(f"n{number}"),
        pl.col(name).filter(pl.col(name) <= limit).max().alias(f"m{number}"),
        (pl.col(name) > limit).sum().alias(f"u{number}"),
    ]

    def read(row: Row) -> CheckResult:
        newest, future = row[f"m{number}"], int(row[f"u{number}"])
        n = int(row[f"n{number}"]) - future
        age = max((table.now - newest).total_seconds() / 86400, 0.0) if newest is not None else None
        text = f"No row has a readable date in {column}." if age is None else f"The newest {column} is {age:.1f} days old."
        if future:
            text += f" {future} lie in the future and were left out."
        ok = age is not None and table.now - newest <= oldest
        return result(
            check, "not_older_than", n=n, failed=0 if ok or not n else 1, value=age, bound=str(check.not_older_than), ok=ok,
            text=text, column=column,
        )  # fmt: skip

    return Condition([time.alias(name)], answers, read)


def _time(column: str, dtype: Any) -> pl.Expr:
    """A column as UTC times; text is read as ISO 8601 (a zone is passed over) or as a German date (31.12.2026)."""
    expression = pl.col(column)
    if dtype == pl.Datetime and dtype.time_zone is not None:
        expression = expression.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if kind(dtype) != "text":
        return expression.cast(pl.Datetime("us"))
    text = expression.cast(pl.String).str.strip_chars()
    day = text.str.slice(0, 10)
    return pl.coalesce(
        text.str.slice(0, 19).str.replace(" ", "T").str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False),
        day.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")),
        day.str.to_date("%d.%m.%Y", strict=False).cast(pl.Datetime("us")),
    )


def _of(failed: int, n: int, noun: str) -> str:
    share = failed / n
    said = "under 0.01 %" if share < 0.0001 else f"{100 * share:.2f} %"
    return f"{failed} of {n} {noun} ({said})" if failed else f"None of {n} {noun}"


def _held(dtype: Any) -> str:
    name = kind(dtype)
    return f"{dtype}" if name == "other" else {"timestamp": "timestamps", "date": "dates", "number": "numbers"}.get(name, name)
