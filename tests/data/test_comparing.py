"""The difference of two states: rows by key, columns by name, groups; never a value."""

from __future__ import annotations

import io
import lzma
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stellwerk.errors import UserError
from stellwerk.jobs.data.comparing import diff
from stellwerk.jobs.data.diff_report import ChangedValues, Difference

A: dict[str, list[Any]] = {
    "doc_id": list("abcde"),
    "text": ["1", "2", "3", "4", None],
    "origin": list("vwxyz"),
    "n": [1, 2, 3, 4, 5],
    "split": ["train"] * 5,
}
B: dict[str, list[Any]] = {
    "doc_id": list("bcdef"),
    "text": ["2", "x", "4", None, "n"],
    "origin": list("12345"),
    "n": [2, 3, 4, 6, 7],
    "split": ["train", "test", None, "train", "train"],
}


def compare(a: dict[str, Any], b: dict[str, Any], **options: Any) -> Difference:
    return diff(pl.LazyFrame(a), pl.LazyFrame(b), **options)


def test_rows_are_added_removed_changed_and_unchanged() -> None:
    found = compare(A, B)
    assert (found.rows_before, found.rows_after) == (5, 5)
    assert (found.added, found.removed, found.changed, found.unchanged) == (1, 1, 3, 1)
    assert (found.added_ids, found.removed_ids, found.changed_ids) == (("f",), ("a",), ("c", "d", "e"))
    changed = {each.column: each.rows for each in found.values}
    assert changed == {"text": 1, "split": 2, "n": 1, "origin": 4}
    assert found.values[0] == ChangedValues(column="origin", rows=4, share=1.0)
    assert not found.same and found.columns == () and found.ignored == ("origin",)


def test_an_ignored_column_does_not_change_a_row() -> None:
    moved = {**A, "origin": ["other"] * 5}
    assert compare(A, moved).changed == 0 and not compare(A, moved).same
    assert compare(A, moved, ignore=()).changed == 5


def test_equal_states_are_the_same() -> None:
    found = compare(A, {name: list(reversed(values)) for name, values in A.items()})
    assert found.same and found.unchanged == 5 and found.values == ()


def test_missing_values_are_equal_to_each_other_only() -> None:
    a = {"doc_id": [1, 2, 3, 4], "x": [None, float("nan"), 0.0, -0.0]}
    assert compare(a, a).same
    assert compare(a, {"doc_id": [1, 2, 3, 4], "x": [0.0, None, 0.0, 0.0]}).values == (
        ChangedValues(column="x", rows=1, share=0.25),
    )


def test_groups_before_and_after() -> None:
    found = compare(A, B)
    assert [(each.column, each.group, each.before, each.after) for each in found.groups] == [
        ("split", "(none)", 0, 1),
        ("split", "test", 0, 1),
        ("split", "train", 5, 3),
    ]


def test_schema_changes() -> None:
    a = {"doc_id": [1, 2, 3], "gone": ["x", "y", "z"], "typed": [1, 2, 3], "lang": ["de", "en", "de"]}
    b = {"doc_id": [1, 2, 3], "come": [1, 2, 3], "typed": [1.0, 2.0, 3.5], "language": ["de", "en", "de"]}
    found = compare(a, b)
    assert [(each.column, each.change, each.after) for each in found.columns] == [
        ("gone", "removed", None),
        ("typed", "type changed", "Float64"),
        ("lang", "likely renamed", "language"),
        ("come", "added", "Int64"),
    ]
    assert found.columns[2].equal == 1.0
    assert found.values == (ChangedValues(column="typed", rows=1, share=1 / 3),), "1 and 1.0 are equal"


def test_a_rename_needs_more_than_nine_of_ten_equal_values_and_two_different_ones() -> None:
    keys = list(range(100))
    values = [f"v{each}" for each in keys]

    def renamed(left: list[Any], right: list[Any]) -> bool:
        found = compare({"doc_id": keys, "old": left}, {"doc_id": keys, "new": right})
        return any(each.change == "likely renamed" for each in found.columns)

    assert renamed(values, values[:91] + ["other"] * 9)
    assert not renamed(values, values[:90] + ["other"] * 10)
    assert not renamed(["same"] * 100, ["same"] * 100), "a constant says nothing"
    assert not renamed([None] * 99 + ["x"], [None] * 99 + ["y"]), "values that both lack are not equal values"


def test_one_column_is_renamed_once() -> None:
    values = ["a", "b", "c"]
    found = compare({"doc_id": [1, 2, 3], "old": values}, {"doc_id": [1, 2, 3], "new 1": values, "new 2": values})
    assert [(each.column, each.change) for each in found.columns] == [("old", "likely renamed"), ("new 2", "added")]


@settings(max_examples=40, deadline=None)
@given(*[st.dictionaries(st.integers(0, 20), st.one_of(st.none(), st.sampled_from("xyz")), max_size=15)] * 2)
def test_counts_agree_with_plain_python(a: dict[int, str | None], b: dict[int, str | None]) -> None:
    def frame(rows: dict[int, str | None]) -> pl.LazyFrame:
        return pl.LazyFrame({"doc_id": list(rows), "x": list(rows.values())}, schema={"doc_id": pl.Int64, "x": pl.String})

    found = diff(frame(a), frame(b))
    both = a.keys() & b.keys()
    assert found.added == len(b.keys() - a.keys()) and found.removed == len(a.keys() - b.keys())
    assert found.changed == sum(a[key] != b[key] for key in both)
    assert found.unchanged == len(both) - found.changed
    assert found.same == (a == b)


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ({"id": [1]}, {"doc_id": [1]}, "A has no column doc_id"),
        ({"doc_id": [1]}, {"docid": [1]}, "did you mean docid?"),
        ({"doc_id": [1, 1]}, {"doc_id": [1]}, "repeats in 1 of 2 rows of A"),
        ({"doc_id": [1]}, {"doc_id": [1, None]}, "1 rows of B have no doc_id"),
    ],
)
def test_a_key_that_does_not_name_rows(a: dict[str, Any], b: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as error:
        compare(a, b)
    assert words in str(error.value)


def test_only_keys_are_shown() -> None:
    a = {"doc_id": ["t:1"], "text": ["Anna Mueller, 0171 123"]}
    b = {"doc_id": ["t:1"], "text": ["Bernd Meier, 0171 456"]}
    said = compare(a, b).model_dump_json()
    assert "t:1" in said and "Mueller" not in said and "Meier" not in said


def test_versions_of_a_delta_table(tmp_path: Path) -> None:
    from deltalake import write_deltalake

    write_deltalake(str(tmp_path / "a"), pa.table({"doc_id": ["1", "2"], "text": pa.array(["x", "y"], pa.large_string())}))
    write_deltalake(str(tmp_path / "b"), pa.table({"doc_id": ["2", "3"], "text": pa.array(["y", "z"], pa.large_string())}))
    found = diff(tmp_path / "a", tmp_path / "b")
    assert (found.added, found.removed, found.changed, found.unchanged) == (1, 1, 0, 1)


@pytest.mark.shared
def test_states_of_the_influenza_survey(shared_data: Path) -> None:
    """RKI GrippeWeb: counted independently by joining the lines in Python."""
    frames = []
    for state in ("2024-04-11", "2026-08-20"):
        raw = lzma.decompress((shared_data / "text" / f"rki_grippeweb_{state}.tsv.xz").read_bytes())
        frame = pl.read_csv(io.BytesIO(raw), separator="\t", infer_schema=False)
        names = ["Kalenderwoche", "Region", "Altersgruppe", "Erkrankung"]
        frames.append(frame.with_columns(pl.concat_str(names, separator="|").alias("doc_id")))
    a, b = ({row["doc_id"]: row for row in frame.iter_rows(named=True)} for frame in frames)
    found = diff(frames[0].lazy(), frames[1].lazy())
    both = a.keys() & b.keys()
    assert len(both) > 1000
    assert found.added == len(b.keys() - a.keys()) and found.removed == len(a.keys() - b.keys())
    assert found.changed == sum(a[key] != b[key] for key in both) > 0
