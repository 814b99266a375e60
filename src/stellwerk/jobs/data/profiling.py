"""Describes a table: how many rows, and for each column its type, gaps, spread, and shape.

Knows what may be shown: extremes of numbers and dates only, frequent values only where they repeat and do not look personal;
never a single person's text. Does not judge whether anything is right.

Two passes over the data: one for counts, extremes and quantiles, one for what needs them (outliers, histograms, frequent
values, exact numbers of different values).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable

from stellwerk.jobs.data.frames import Table, collect, kind, scan, value
from stellwerk.jobs.data.profile_report import ColumnProfile, GroupRows, Histogram, Profile, TopValue
from stellwerk.text.personal import KINDS
from stellwerk.text.personal import scan as scan_personal

BINS = 20
OUTLIER_BOUND = 3.5  # Iglewicz and Hoaglin, How to Detect and Handle Outliers (1993)
COUNTED = 100_000  # different values counted one by one; above, those in a part of the hash space, 0.3 % off on average
TOP, TOP_SHARE, TOP_COUNT, TOP_CHARACTERS, TOP_DISTINCT = 10, 0.01, 5, 40, 100
QUANTILES = (0.01, 0.05, 0.25, 0.75, 0.95, 0.99)
_GROUPS = ("source", "language", "split")

_PERSON_COLUMN = re.compile(
    r"(?:^|[_\W])(?:name|vorname|nachname|first_?name|last_?name|surname|author|autor|agent|employee|mitarbeiter(?:in)?|user|"
    r"bearbeiter(?:in)?|kunde|kundin|customer|contact|kontakt|ansprechpartner(?:in)?|e?_?mail|telefon|phone|mobile?|fax|iban|bic|"
    r"konto|account|card|karte|stra(?:ss|ß)e|street|address|adresse|birth|birthday|geburt\w*|dob|ssn|steuer_?id|passport|salary|"
    r"gehalt|password|passwort|token|secret)(?:$|[_\W])",
    re.IGNORECASE,
)
_PERSON_VALUE = re.compile(r"@|\d{5}|^(?:(?:Herr|Frau|Dr|Prof|Mr|Mrs|Ms)\b\.?|[A-ZÄÖÜ][\w'-]+,? [A-ZÄÖÜ][\w'.-]*$)")


def profile(table: Table, outlier_bound: float = OUTLIER_BOUND) -> Profile:
    """Describe a table in two passes over it; 8 bytes of memory a row for each numeric column.

    Args:
        table: folder of a Delta table, Arrow table or lazy frame.
        outlier_bound: bound of the robust z-score |0.6745 (x - median) / MAD| (Iglewicz and Hoaglin 1993).

    Returns:
        the profile; no text of a single row is in it.
    """
    frame = scan(table)
    schema = frame.collect_schema()
    names = list(schema)
    first = [answer for number, name in enumerate(names) for answer in _first(number, name, schema[name])]
    facts = collect(frame.select(pl.len().alias("rows"), *first)).row(0, named=True)
    second = [
        answer for number, name in enumerate(names) for answer in _second(number, name, schema[name], facts, outlier_bound)
    ]
    shapes = collect(frame.select(pl.len().alias("rows"), *second)).row(0, named=True)
    facts |= shapes
    rows = int(facts["rows"])
    columns = tuple(_column(number, name, schema[name], facts, rows) for number, name in enumerate(names))
    return Profile(
        rows=rows, bytes=_bytes(table), outlier_bound=outlier_bound, columns=columns, groups=tuple(_groups(frame, schema))
    )


def _bytes(table: Table) -> int | None:
    if isinstance(table, pl.LazyFrame):
        return None
    if isinstance(table, pa.Table):
        return int(table.nbytes)
    actions = pa.table(DeltaTable(str(Path(table))).get_add_actions(flatten=True))
    return int(sum(actions["size_bytes"].to_pylist()))


def _number(name: str, dtype: Any) -> pl.Expr:
    return value(name, dtype).cast(pl.Float64)


def _personal_name(name: str) -> bool:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return _PERSON_COLUMN.search(words) is not None


def _first(number: int, name: str, dtype: Any) -> list[pl.Expr]:
    """Counts, extremes and quantiles of one column."""
    filled, word = value(name, dtype), kind(dtype)
    answers = [filled.count().alias(f"n {number}")]
    if word != "other":
        answers.append(filled.approx_n_unique().alias(f"about {number}"))
    if word == "number":
        numbers = _number(name, dtype)
        finite = numbers.filter(numbers.is_finite())
        answers += [finite.min().alias(f"min {number}"), finite.max().alias(f"max {number}")]
        answers += [finite.mean().alias(f"mean {number}"), finite.median().alias(f"median {number}")]
        answers += [finite.quantile(each, "linear").alias(f"q{each} {number}") for each in QUANTILES]
    elif word in ("date", "timestamp"):
        answers += [filled.min().alias(f"min {number}"), filled.max().alias(f"max {number}")]
    elif word == "text":
        text = filled.cast(pl.String)
        length = text.str.len_chars()
        answers += [length.mean().alias(f"mean {number}"), length.max().alias(f"max {number}")]
        answers += [length.quantile(each, "linear").alias(f"q{each} {number}") for each in (QUANTILES[0], QUANTILES[-1])]
        answers.append((~text.str.contains(r"\S")).sum().alias(f"empty {number}"))
    return answers


def _second(number: int, name: str, dtype: Any, facts: dict[str, Any], bound: float) -> list[pl.Expr]:
    """What needs the first pass: outliers, histogram, frequent values."""
    filled, word, answers = value(name, dtype), kind(dtype), []
    if word == "number" and facts[f"median {number}"] is not None:
        numbers = _number(name, dtype)
        distance = (numbers - facts[f"median {number}"]).abs()
        mad = distance.median()
        far = pl.when(mad > 0).then(0.6745 * distance > bound * mad)
        answers.append(far.sum().alias(f"outliers {number}"))
        answers.append((mad > 0).alias(f"spread {number}"))
        answers += _histogram(number, numbers, facts)
    elif word == "text" and facts[f"n {number}"]:
        answers += _histogram(number, filled.cast(pl.String).str.len_chars().cast(pl.Float64), facts)
    if word != "other":
        hashed = pl.when(filled.is_not_null()).then((filled.cast(pl.String) if word == "text" else filled).hash())
        parts = _parts(number, facts)
        counted = hashed.filter(hashed <= 2**64 // parts - 1).n_unique() * parts
        answers.append(counted.alias(f"distinct {number}"))
    few = 0 < (facts.get(f"about {number}") or 0) <= TOP_DISTINCT
    short = word == "yes/no" or (word == "text" and (facts[f"max {number}"] or 0) <= TOP_CHARACTERS)
    if few and short and not _personal_name(name):
        counted = filled.cast(pl.String).drop_nulls().value_counts(name="rows").struct.rename_fields(["value", "rows"])
        answers.append(counted.implode().alias(f"top {number}"))
    return answers


def _parts(number: int, facts: dict[str, Any]) -> int:
    """Into how many parts the hash space is cut, of which one is counted; 1 is exact."""
    return max(1, int(facts[f"about {number}"]) // COUNTED)


def _histogram(number: int, numbers: pl.Expr, facts: dict[str, Any]) -> list[pl.Expr]:
    low, high = facts[f"q{QUANTILES[0]} {number}"], facts[f"q{QUANTILES[-1]} {number}"]
    if low is None or high is None or not high > low:
        return []
    place = ((numbers - low) * (BINS / (high - low))).floor().clip(-1, BINS)
    place = pl.when(numbers == high).then(BINS - 1).otherwise(place).cast(pl.Int8)
    return [pl.concat_list([(place == index).sum().cast(pl.Int64) for index in range(-1, BINS + 1)]).alias(f"bins {number}")]


def _column(number: int, name: str, dtype: Any, facts: dict[str, Any], rows: int) -> ColumnProfile:
    word = kind(dtype)
    n = int(facts[f"n {number}"])
    distinct = facts.get(f"distinct {number}")
    found: dict[str, Any] = {
        "name": name,
        "type": str(dtype) if word == "other" else word,
        "n": n,
        "nulls": rows - n,
        "distinct": None if distinct is None else min(int(distinct), n),
        "distinct_exact": word == "other" or _parts(number, facts) == 1,
    }
    personal = _personal_name(name)
    if word == "number":
        found |= _numbers(number, facts, personal)
    elif word in ("date", "timestamp") and not personal:
        found |= {"min": facts[f"min {number}"], "max": facts[f"max {number}"]}
    elif word == "text":
        found |= {
            "characters_mean": facts[f"mean {number}"],
            "characters_max": facts[f"max {number}"],
            "empty": facts[f"empty {number}"],
        }
    if not personal or word == "text":
        found["histogram"] = _bins(number, facts, "characters" if word == "text" else "value")
    top, withheld = _top(facts.get(f"top {number}"), rows)
    if personal and word != "other":
        withheld = "the column's name suggests personal data"
    return ColumnProfile(**found, top=top, withheld=withheld)


def _numbers(number: int, facts: dict[str, Any], personal: bool) -> dict[str, Any]:
    """Extremes and quantiles are values of single rows: a personal column shows only its mean and median."""
    found: dict[str, Any] = {"mean": facts[f"mean {number}"], "median": facts[f"median {number}"]}
    if facts.get(f"spread {number}"):
        found["outliers"] = int(facts[f"outliers {number}"])
    if not personal and facts[f"median {number}"] is not None:
        found |= {"min": facts[f"min {number}"], "max": facts[f"max {number}"]}
        found["quantiles"] = {f"{each}": facts[f"q{each} {number}"] for each in QUANTILES}
    return found


def _bins(number: int, facts: dict[str, Any], of: str) -> Histogram | None:
    bins = facts.get(f"bins {number}")
    if bins is None:
        return None
    low, high = facts[f"q{QUANTILES[0]} {number}"], facts[f"q{QUANTILES[-1]} {number}"]
    return Histogram(of=of, low=low, high=high, counts=tuple(bins[1:-1]), below=bins[0], above=bins[-1])


def _top(counted: Sequence[dict[str, Any]] | None, rows: int) -> tuple[tuple[TopValue, ...], str | None]:
    """The frequent values of a column, unless they look like persons, addresses or numbers of theirs."""
    frequent = [each for each in counted or () if each["rows"] >= max(TOP_COUNT, TOP_SHARE * rows)]
    if not frequent:
        return (), None
    values = [str(each["value"]) for each in frequent]
    if (
        any(_PERSON_VALUE.search(each) for each in values)
        or scan_personal(pa.array(values, pa.large_string()), list(KINDS)).num_rows
    ):
        return (), "the values look like personal data"
    frequent.sort(key=lambda each: (-each["rows"], each["value"]))
    return tuple(
        TopValue(value=str(each["value"]), rows=each["rows"], share=each["rows"] / rows) for each in frequent[:TOP]
    ), None


def _groups(frame: pl.LazyFrame, schema: pl.Schema) -> list[GroupRows]:
    present = [name for name in _GROUPS if name in schema]
    asked = [
        frame.group_by(pl.col(name).cast(pl.String).fill_null("(none)").alias("group"))
        .len()
        .sort(["len", "group"], descending=[True, False])
        for name in present
    ]
    counted = pl.collect_all(asked, engine="streaming") if asked else []
    return [
        GroupRows(column=name, group=str(group), rows=int(rows))
        for name, table in zip(present, counted, strict=True)
        for group, rows in table.head(200).rows()
    ]
