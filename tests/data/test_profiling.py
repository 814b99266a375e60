"""The profile of a table: its numbers, and what it must not show."""

from __future__ import annotations

import math
import statistics
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stellwerk.jobs.data import profiling
from stellwerk.jobs.data.profile_report import ColumnProfile
from stellwerk.jobs.data.profiling import profile


def column(values: list[Any], name: str = "x", dtype: Any = None) -> ColumnProfile:
    frame = pl.LazyFrame({name: pl.Series(name, values, dtype=dtype, strict=False)})
    return profile(frame).columns[0]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.none(), st.just(math.nan), st.integers(-50, 50).map(float)), max_size=40))
def test_numbers_agree_with_plain_python(values: list[float | None]) -> None:
    found = column(values, dtype=pl.Float64)
    filled = [each for each in values if each is not None and not math.isnan(each)]
    assert (found.n, found.nulls, found.distinct) == (len(filled), len(values) - len(filled), len(set(filled)))
    assert found.distinct_exact
    if not filled:
        assert found.min is None and found.median is None and found.outliers is None and found.histogram is None
        return
    median = statistics.median(filled)
    assert (found.min, found.max, found.median) == (min(filled), max(filled), median)
    assert found.mean == pytest.approx(statistics.mean(filled))
    mad = statistics.median(abs(each - median) for each in filled)
    expected = sum(0.6745 * abs(each - median) / mad > 3.5 for each in filled) if mad else None
    assert found.outliers == expected
    if found.histogram:
        assert sum(found.histogram.counts) + found.histogram.below + found.histogram.above == len(filled)


def test_the_outlier_is_found() -> None:
    values = [float(each % 10) for each in range(200)]
    assert column(values).outliers == 0
    assert column([*values, 1e6, -1e6]).outliers == 2
    frame = pl.LazyFrame({"x": [*values, 40.0]})
    assert profile(frame, outlier_bound=3.5).columns[0].outliers == 1
    assert profile(frame, outlier_bound=30).columns[0].outliers == 0


def test_infinity_does_not_break_the_numbers() -> None:
    found = column([math.inf, 1.0, 2.0, 3.0])
    assert (found.min, found.max, found.mean) == (1.0, 3.0, 2.0)


def test_text_has_lengths_and_no_extremes() -> None:
    found = column(["a", "bbb", "", "  ", None, "ü" * 5])
    assert (found.type, found.n, found.nulls, found.empty) == ("text", 5, 1, 2)
    assert found.characters_max == 5 and found.characters_mean == pytest.approx(11 / 5)
    assert found.min is None and found.max is None


def test_dates_have_extremes() -> None:
    days = [date(2024, 1, 1) + timedelta(days=each) for each in range(10)]
    found = column(days, name="created")
    assert (found.type, found.min, found.max) == ("date", days[0], days[-1])


def test_frequent_values_are_shown_where_they_repeat() -> None:
    found = column(["invoice"] * 60 + ["repair"] * 39 + ["rare"], name="intent")
    assert [(each.value, each.rows) for each in found.top] == [("invoice", 60), ("repair", 39)]
    assert found.top[0].share == 0.6 and found.withheld is None
    assert column([True, False, None] * 10, name="open").top[0].rows == 10


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("agent", ["Anna", "Bo"]),
        ("customerName", ["ACME", "Foo"]),
        ("Bearbeiterin", ["AM", "BK"]),
        ("x", ["Anna Müller", "Bo Meier"]),
        ("x", ["Müller, Anna", "Meier, Bo"]),
        ("x", ["Frau Müller", "repair"]),
        ("x", ["anna@example.org", "none"]),
        ("x", ["0171 1234567", "none"]),
        ("x", ["DE89 3704 0044 0532 0130 00", "none"]),
        ("x", ["K-1234567", "K-7654321"]),
    ],
)
def test_values_that_look_personal_are_not_shown(name: str, values: list[str]) -> None:
    found = column(values * 50, name=name)
    assert found.top == () and found.withheld
    assert not any(value in found.model_dump_json() for value in values)


def test_extremes_of_personal_columns_are_not_shown() -> None:
    for values in ([17112345671, 17112345672, 17112345679] * 5, [date(1970, 5, 17), date(1980, 1, 2)] * 5):
        found = column(values, name="phone" if isinstance(values[0], int) else "birth_date")
        assert found.withheld and found.min is None and found.max is None and not found.quantiles and found.histogram is None


def test_rare_values_and_long_texts_are_not_shown() -> None:
    assert column(["a"] * 4 + ["b"] * 4).top == (), "fewer than five rows"
    assert column([f"v{each}" for each in range(150)] * 10).top == (), "too many values"
    assert column(["word " * 20] * 100).top == (), "too long"


def test_histogram_of_a_known_shape() -> None:
    shape = column([float(each) for each in range(1001)]).histogram
    assert shape is not None
    assert (shape.low, shape.high, shape.below, shape.above) == (10, 990, 10, 10)
    assert sum(shape.counts) == 981 and max(shape.counts) - min(shape.counts) <= 2


def test_many_different_values_are_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling, "COUNTED", 2000)
    found = column(list(range(40_000)))
    assert not found.distinct_exact and found.distinct == pytest.approx(40_000, rel=0.1)


def test_groups_sizes_and_odd_types(tmp_path: Path) -> None:
    from deltalake import write_deltalake

    table = pa.table(
        {
            "doc_id": [str(each) for each in range(6)],
            "source": ["a"] * 6,
            "language": ["de", "de", "de", "en", "en", None],
            "split": ["train"] * 4 + ["test"] * 2,
            "tags": [["x"]] * 6,
        }
    )
    write_deltalake(str(tmp_path / "t"), table)
    found = profile(tmp_path / "t")
    assert found.rows == 6
    assert found.bytes == sum(file.stat().st_size for file in (tmp_path / "t").glob("*.parquet"))
    groups = [(each.column, each.group, each.rows) for each in found.groups]
    assert groups == [
        ("source", "a", 6),
        ("language", "de", 3),
        ("language", "en", 2),
        ("language", "(none)", 1),
        ("split", "train", 4),
        ("split", "test", 2),
    ]
    assert found.columns[-1].type.startswith("List") and found.columns[-1].distinct is None
    assert profile(table).bytes == table.nbytes and profile(table.append_column("none", pa.nulls(6))).columns[-1].nulls == 6


def test_an_empty_table_and_a_table_without_columns() -> None:
    schema = {"a": pl.String, "b": pl.Float64, "c": pl.Date, "d": pl.Boolean, "e": pl.Int64}
    found = profile(pl.LazyFrame(schema=schema))
    assert found.rows == 0 and [each.n for each in found.columns] == [0] * 5
    assert found.model_validate_json(found.model_dump_json()) == found
    assert profile(pl.LazyFrame()).columns == ()
