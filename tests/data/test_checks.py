"""Data tests: what each condition counts, what is never passed in silence, and what drift measures."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stellwerk.errors import UserError
from stellwerk.jobs.data import drift
from stellwerk.jobs.data.check_spec import Check, CheckResult
from stellwerk.jobs.data.checks import run_checks

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def ask(data: dict[str, Any], previous: dict[str, Any] | None = None, **check: Any) -> CheckResult:
    """The only result of one check."""
    before = None if previous is None else pl.LazyFrame(previous, strict=False)
    (result,) = run_checks(pl.LazyFrame(data, strict=False), [Check.model_validate(check)], before, now=NOW)
    return result


def test_missing_values_are_nulls_and_nan() -> None:
    result = ask({"doc_id": ["a", "b", "c", "d"], "x": [1.0, None, math.nan, 4.0]}, column="x", not_null=True)
    assert (result.n, result.failed, result.share, result.state) == (4, 2, 0.5, "failed")
    assert result.doc_ids == ("b", "c")
    assert ask({"x": [1.0, None, math.nan, 4.0]}, column="x", not_null=0.5).passed
    assert not ask({"x": [1.0, None, math.nan, 4.0]}, column="x", not_null=0.4).passed


def test_repeated_values_are_counted_beyond_the_first_and_missing_ones_left_out() -> None:
    result = ask({"doc_id": list("abcdef"), "k": ["x", "y", "x", None, "x", None]}, column="k", unique=True)
    assert (result.n, result.failed, result.passed) == (4, 2, False)
    assert set(result.doc_ids) <= {"a", "c", "e"} and result.doc_ids
    assert ask({"k": ["x", "y", None, None]}, column="k", unique=True).passed


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(-3, 3)), min_size=1, max_size=30))
def test_counts_agree_with_plain_python(values: list[int | None]) -> None:
    frame = pl.LazyFrame({"x": values}, schema={"x": pl.Int64})
    checks = [
        Check.model_validate({"column": "x", "not_null": True, "unique": True, "min": -1, "max": 2, "in": [0, 1, 2]}),
        Check.model_validate({"rows": {"min": 5}}),
    ]
    missing, unique, bounded, listed, rows = run_checks(frame, checks, now=NOW)
    filled = [each for each in values if each is not None]
    assert missing.failed == len(values) - len(filled)
    assert unique.failed == len(filled) - len(set(filled))
    assert bounded.failed == sum(not -1 <= each <= 2 for each in filled)
    assert listed.failed == sum(each not in (0, 1, 2) for each in filled)
    assert unique.n == bounded.n == listed.n == len(filled)
    assert rows.passed == (len(values) >= 5)
    assert (listed.state == "nothing to measure") == (not filled)


def test_several_conditions_of_one_check_come_in_a_fixed_order() -> None:
    frame = pl.LazyFrame({"x": ["a", "b"]})
    check = Check.model_validate(
        {"column": "x", "matches": "[ab]", "in": ["a"], "unique": True, "not_null": True, "severity": "warn"}
    )
    results = run_checks(frame, [check], now=NOW)
    assert [each.condition for each in results] == ["not_null", "unique", "in", "matches"]
    assert [each.passed for each in results] == [True, True, False, True]
    assert {each.severity for each in results} == {"warn"}


def test_results_name_ids_and_never_values() -> None:
    data = {"doc_id": ["t:1"], "mail": ["anna.mueller@example"], "n": [123456789]}
    results = [
        ask(data, column="mail", format="email"),
        ask(data, column="mail", matches="x+"),
        ask(data, column="mail", one_of=["y"]),
        ask(data, column="n", max=5),
    ]
    for result in results:
        assert result.doc_ids == ("t:1",) and not result.passed
        assert "anna" not in result.model_dump_json() and "123456789" not in result.model_dump_json()


def test_at_most_five_ids() -> None:
    result = ask({"doc_id": [str(each) for each in range(50)], "x": [0] * 50}, column="x", min=1)
    assert result.failed == 50 and result.doc_ids == ("0", "1", "2", "3", "4")
    result = ask({"doc_id": [str(each) for each in range(50)], "x": [each // 2 for each in range(50)]}, column="x", unique=True)
    assert result.failed == 25 and len(result.doc_ids) == 5


FORMS = {
    "email": "a.b+c@example.org|x@sub.example.de != a@b|a b@c.de|@x.de|a@x..de|",
    "date": "2024-02-29 != 2023-02-29|2024-2-9|29.02.2024|2024-02-29T00:00",
    "datetime": "2024-02-29T23:59:59Z|2024-02-29 10:00|2024-02-29T10:00:00.5+01:00 != "
    "2024-02-30T10:00|2024-01-01|2024-01-01T24:00",
    "url": "https://example.org|http://a.de:80/x?y#z|ftp://[::1]/ != example.org|https://|https://a b|javascript:alert(1)",
    "uuid": "123e4567-e89b-12d3-a456-426614174000 != 123e4567e89b12d3a456426614174000|g23e4567-e89b-12d3-a456-426614174000",
    "iban": "DE89370400440532013000|DE89 3704 0044 0532 0130 00|GB82WEST12345698765432|MT84MALT011000012345MTLCAST001S != "
    "DE89370400440532013001|DE8937040044053201300|XX89370400440532013000|de89370400440532013000",
    "language": "de|en-GB|zh-Hans-CN|deu|es-419 != xx|german|de_DE|d|",
}


@pytest.mark.parametrize(("form", "values"), FORMS.items(), ids=FORMS.keys())
def test_formats(form: str, values: str) -> None:
    good, bad = (part.split("|") for part in values.split(" != "))
    result = ask({"doc_id": good + bad, "x": good + bad}, column="x", format=form)
    assert result.failed == len(bad)
    assert set(result.doc_ids) == set(bad[:5])
    assert result.n == len(good) + len(bad)
    assert ask({"x": [*good, None]}, column="x", format=form).n == len(good)


def test_dates_have_the_format_date_by_themselves() -> None:
    assert ask({"x": [date(2024, 1, 1), None]}, column="x", format="date").n == 1
    assert ask({"x": [datetime(2024, 1, 1)]}, column="x", format="datetime").passed


def test_a_pattern_must_match_the_whole_value() -> None:
    result = ask({"x": ["T-1", "T-1\n", "xT-1", "T-12"]}, column="x", matches="T-[0-9]|T-[0-9]{2}")
    assert result.failed == 2


def test_bounds_of_dates_and_times() -> None:
    days = {"x": [date(2024, 1, 1), date(2024, 12, 31), date(2025, 1, 1)]}
    assert ask(days, column="x", min=date(2024, 1, 1), max=date(2024, 12, 31)).failed == 1
    times = {"x": [datetime(2024, 12, 31, 23, 59), datetime(2025, 1, 1)]}
    assert ask(times, column="x", max=date(2024, 12, 31)).failed == 1, "the last day counts to its end"
    assert ask(times, column="x", max=datetime(2024, 12, 31)).failed == 2
    zoned = {"x": [datetime(2024, 12, 31, 23, 59, tzinfo=UTC)]}
    assert ask(zoned, column="x", max=datetime(2025, 1, 1, 0, 59, tzinfo=UTC)).passed


def test_infinity_is_outside_every_range() -> None:
    assert ask({"x": [math.inf, 1.0, -math.inf, math.nan]}, column="x", min=0, max=5).failed == 2


@pytest.mark.parametrize(
    ("values", "passed", "age"),
    [
        ([datetime(2026, 11, 20, 12), datetime(2020, 1, 1)], True, 2.0),
        ([date(2026, 10, 1)], False, 52.5),
        (["2026-11-21T12:00:00Z", "nonsense"], True, 1.0),
        (["21.11.2026"], True, 1.5),
        ([datetime(2026, 11, 20, 12, tzinfo=UTC)], True, 2.0),
        ([datetime(2026, 11, 22, 14)], True, 0.0),
    ],
)
def test_freshness_is_the_age_of_the_newest_value(values: list[Any], passed: bool, age: float) -> None:
    result = ask({"x": values}, column="x", not_older_than="30d")
    assert result.passed is passed
    assert result.value == pytest.approx(age)


def test_a_date_in_the_future_does_not_make_data_fresh() -> None:
    result = ask({"x": [date(2020, 1, 1), date(2099, 1, 1)]}, column="x", not_older_than="2w")
    assert not result.passed and "1 lie in the future" in result.text
    assert ask({"x": [date(2099, 1, 1)]}, column="x", not_older_than="2w").state == "nothing to measure"


@pytest.mark.parametrize(
    "check",
    [
        {"column": "x", "not_null": True},
        {"column": "x", "unique": True},
        {"column": "x", "min": 1},
        {"column": "x", "in": [1]},
        {"column": "x", "matches": "1"},
        {"column": "x", "format": "email"},
        {"column": "t", "not_older_than": "1d"},
        {"drift": "x"},
    ],
)
def test_an_empty_table_passes_nothing(check: dict[str, Any]) -> None:
    frame = pl.LazyFrame(schema={"doc_id": pl.String, "x": pl.Int64, "t": pl.Date})
    for before in (None, frame):
        (result,) = run_checks(frame, [Check.model_validate(check)], before, now=NOW)
        assert result.state == "nothing to measure" and not result.passed
        assert (result.n, result.share, result.value) == (0, None, None)


def test_an_empty_table_fails_its_number_of_rows() -> None:
    result = ask({"x": []}, rows={"min": 1})
    assert result.state == "failed" and result.value == 0
    assert ask({"x": []}, rows={"max": 1}).passed
    assert not ask({"x": [1, 2]}, rows={"max": 1}).passed


def test_a_column_of_nulls_is_nothing_to_measure_except_for_completeness() -> None:
    assert ask({"x": [None, None]}, column="x", not_null=True).state == "failed"
    for check in ({"unique": True}, {"min": 1}, {"in": [1]}, {"matches": "a"}, {"format": "iban"}, {"not_older_than": "1d"}):
        assert ask({"x": [None, None]}, column="x", **check).state == "nothing to measure"


@pytest.mark.parametrize(
    ("check", "words"),
    [
        ({"column": "inten", "not_null": True}, "did you mean intent?"),
        ({"drift": "zzz"}, "there are: doc_id, intent"),
        ({"column": "intent", "min": 1}, "the column holds text"),
        ({"column": "hours", "max": date(2024, 1, 1)}, "the column holds numbers"),
        ({"column": "intent", "in": ["a", False]}, "quote words such as 'no'"),
        ({"column": "hours", "in": ["1"]}, "the column holds numbers"),
        ({"column": "intent", "matches": "(?=x)"}, "no look-ahead"),
        ({"column": "hours", "not_older_than": "1d"}, "needs dates"),
        ({"column": "tags", "matches": "x"}, "needs text"),
        ({"column": "tags", "unique": True}, "needs single values"),
    ],
)
def test_mistakes_are_named_in_one_sentence(check: dict[str, Any], words: str) -> None:
    data = {"doc_id": ["a"], "intent": ["x"], "hours": [1.0], "tags": [["x"]]}
    with pytest.raises(UserError) as error:
        ask(data, previous=data, **check)
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("check", "words"),
    [
        ({"column": "x"}, "asks nothing"),
        ({"column": "x", "unique": False}, "asks nothing"),
        ({}, "exactly one of column, rows and drift"),
        ({"column": "x", "drift": "y", "unique": True}, "column and drift"),
        ({"rows": {}}, "min, max or both"),
        ({"rows": {"min": 5, "max": 1}}, "above max"),
        ({"rows": {"min": 1}, "unique": True}, "unique belongs to a check with column"),
        ({"drift": "x", "in": ["a"]}, "in belongs to a check with column"),
        ({"drift": "x", "max": -1}, "PSI above 0"),
        ({"column": "x", "min": 3, "max": 1}, "above max"),
        ({"column": "x", "min": 3, "max": date(2024, 1, 1)}, "both be"),
        ({"column": "x", "not_older_than": "30 Tage"}, "90min, 12h, 30d"),
        ({"column": "x", "not_null": 1.5}, "less than 1"),
        ({"column": "x", "format": "phone"}, "'email'"),
        ({"column": "x", "min": True}, "valid"),
        ({"column": "x", "uniqe": True}, "Extra inputs"),
        ({"column": "x", "min": math.nan}, "finite"),
        ({"column": "x", "in": []}, "at least 1"),
    ],
)
def test_wrong_checks_are_refused(check: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Check.model_validate(check)


def test_the_schema_for_editors_has_the_words_of_the_file() -> None:
    properties = Check.model_json_schema()["properties"]
    assert "in" in properties and "one_of" not in properties
    assert all("description" in each for each in properties.values())


def test_zero_is_a_share_and_yaml_dates_stay_dates() -> None:
    assert Check.model_validate({"column": "x", "not_null": 0}).not_null == 0
    assert ask({"x": [None]}, column="x", not_null=0).state == "failed"
    assert Check.model_validate({"column": "x", "min": "2024-01-01"}).min == date(2024, 1, 1)
    assert type(Check.model_validate({"column": "x", "min": 3}).min) is int


def test_psi_by_hand() -> None:
    # (0.5-0.2) ln(0.5/0.2) + (0.5-0.8) ln(0.5/0.8)
    expected = 0.3 * math.log(2.5) - 0.3 * math.log(0.625)
    assert drift.psi([20, 80], [50, 50]) == pytest.approx(expected)
    result = ask({"x": ["a"] * 50 + ["b"] * 50}, previous={"x": ["a"] * 20 + ["b"] * 80}, drift="x")
    assert result.value == pytest.approx(expected) and result.state == "failed" and result.bound == "PSI <= 0.2"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 1000), min_size=2, max_size=8), st.integers(1, 9))
def test_psi_is_zero_for_equal_shares_and_symmetric(counts: list[int], factor: int) -> None:
    if sum(counts) == 0:
        counts[0] = 1
    assert drift.psi(counts, [each * factor for each in counts]) == pytest.approx(0, abs=1e-9)
    other = [each + 1 for each in reversed(counts)]
    assert drift.psi(counts, other) == pytest.approx(drift.psi(other, counts))
    assert drift.psi(counts, other) >= 0


def test_drift_of_numbers_dates_and_missing_values() -> None:
    steady = {"x": [float(each % 100) for each in range(2000)]}
    assert ask(steady, previous=steady, drift="x").value == pytest.approx(0)
    moved = {"x": [each + 40.0 for each in steady["x"]]}
    assert not ask(moved, previous=steady, drift="x").passed
    gaps = {"x": [None if index % 2 else each for index, each in enumerate(steady["x"])]}
    assert not ask(gaps, previous=steady, drift="x").passed, "rows without a value are a bin of their own"
    start = date(2024, 1, 1)
    days = {"x": [start + timedelta(days=each % 300) for each in range(1500)]}
    later = {"x": [each + timedelta(days=200) for each in days["x"]]}
    assert ask(days, previous=days, drift="x").passed and not ask(later, previous=days, drift="x").passed
    assert ask({"x": [7] * 50}, previous={"x": [7] * 50}, drift="x").value == pytest.approx(0)


def test_drift_counts_new_categories_and_many_of_them() -> None:
    old = {"x": [f"c{each % 150}" for each in range(3000)]}
    assert ask(old, previous=old, drift="x").value == pytest.approx(0)
    new = {"x": old["x"][:1500] + ["never seen"] * 1500}
    assert (ask(new, previous=old, drift="x").value or 0) > 1


@pytest.mark.parametrize(
    ("previous", "words"),
    [
        (None, "no previous version"),
        ({"y": ["a"]}, "no such column"),
        ({"x": [1.5]}, "was number and is text now"),
        ({"x": [None]}, "was other and is text"),
        ({"x": [str(each) for each in range(500)]}, "500 different values"),
    ],
)
def test_drift_that_cannot_be_measured_is_not_passed(previous: dict[str, Any] | None, words: str) -> None:
    result = ask({"x": ["a", "b"]}, previous=previous, drift="x")
    assert result.state == "nothing to measure" and not result.passed and words in result.text


def test_small_samples_are_told_from_drift() -> None:
    result = ask({"x": list("abcde")}, previous={"x": list("aabcd")}, drift="x")
    assert "by chance alone" in result.text


def test_a_delta_table_and_an_arrow_table_answer_alike(tmp_path: Path) -> None:
    from deltalake import write_deltalake

    table = pa.table({"doc_id": ["a", "b", "c"], "x": pa.array(["k", None, "k"], pa.large_string())})
    write_deltalake(str(tmp_path / "t"), table)
    checks = [Check.model_validate({"column": "x", "unique": True, "not_null": True})]
    assert run_checks(table, checks, now=NOW) == run_checks(tmp_path / "t", checks, now=NOW)
    with pytest.raises(UserError, match="no _delta_log"):
        run_checks(tmp_path / "none", checks, now=NOW)


def test_no_check_is_no_result() -> None:
    assert run_checks(pl.LazyFrame({"x": [1]}), [], now=NOW) == []
