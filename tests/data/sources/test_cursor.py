"""The cursor: order of numbers, dates and times as they are written, and how far back rows are read again."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.errors import UserError
from stellwerk.jobs.data.sources import cursor


def column(values: list[Any], kind: pa.DataType | None = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


@pytest.mark.parametrize(
    ("values", "since", "expected"),
    [
        ([3, None, 11, 9], None, "11"),
        ([3], "11", "11"),
        ([2.5, float("nan"), float("inf")], None, "2.5"),
        (["9", "11", None], None, "11"),
        (["2026-01-02T00:30:00+01:00", "2026-01-02T00:00:00Z"], None, "2026-01-02T00:00:00Z"),
        (["2026-01-02T01:00:00+01:00", "2026-01-01T23:59:59"], None, "2026-01-02T01:00:00+01:00"),
        (["2026-01-02", "2025-12-31"], "2026-01-01T10:00:00Z", "2026-01-02"),
        ([dt.date(2026, 1, 2), None], None, "2026-01-02"),
        ([dt.datetime(2026, 1, 2, 3, 4, 5, 6)], "2026-01-01", "2026-01-02T03:04:05.000006"),
        ([None, None], "5", "5"),
        ([], None, None),
    ],
)
def test_highest(values: list[Any], since: str | None, expected: str | None) -> None:
    assert cursor.highest(column(values), since) == expected


@pytest.mark.parametrize("values", [["b", "a"], ["1", "2026-01-01T00:00:00"], [True]])
def test_no_order(values: list[Any]) -> None:
    with pytest.raises(UserError, match="column"):
        cursor.highest(column(values), None)


@pytest.mark.parametrize(
    ("since", "overlap", "expected"),
    [
        ("100", 0, "100"),
        ("100", 30, "70"),
        ("12345678901234567890", 1, "12345678901234567889"),
        ("1.5", 0.25, "1.25"),
        ("2026-01-02", 3600, "2026-01-01"),
        ("2026-01-02T00:30:00Z", 3600, "2026-01-01T23:30:00Z"),
        ("2026-01-02T00:30:00+01:00", 60, "2026-01-02T00:29:00+01:00"),
        ("2026-01-02 00:30:00", 60, "2026-01-02 00:29:00"),
        ("2026-01-02T00:30:00.250000", 0.5, "2026-01-02T00:29:59.750000"),
    ],
)
def test_lower(since: str, overlap: float, expected: str) -> None:
    assert cursor.lower(since, overlap) == expected


MOMENTS = st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2100, 1, 1), timezones=st.none() | st.just(dt.UTC))


@given(st.lists(MOMENTS, min_size=1), st.integers(0, 10**7))
def test_nothing_above_the_floor_is_below_it(moments: list[dt.datetime], overlap: int) -> None:
    texts = column([moment.isoformat() for moment in moments], pa.string())
    highest = cursor.highest(texts, None)
    assert highest is not None
    in_utc = [moment.replace(tzinfo=dt.UTC) for moment in moments]
    assert dt.datetime.fromisoformat(highest).replace(tzinfo=dt.UTC) == max(in_utc)
    floor = max(in_utc) - dt.timedelta(seconds=overlap)
    assert cursor.below(texts, cursor.lower(highest, overlap)).to_pylist() == [moment < floor for moment in in_utc]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1), st.integers(0, 1000))
def test_numbers_are_compared_exactly(values: list[int], overlap: int) -> None:
    highest = cursor.highest(column(values, pa.int64()), None)
    assert highest == str(max(values))
    assert cursor.below(column(values, pa.int64()), cursor.lower(highest, overlap)).to_pylist() == [
        value < max(values) - overlap for value in values
    ]


def test_a_column_that_became_another_kind() -> None:
    with pytest.raises(UserError, match="no common order"):
        cursor.below(column([1, 2]), "2026-01-01")
