"""Compares two states of a dataset: rows by key, columns by name, counts by split and language.

Knows what changed and how often. Does not show values: rows are named by their key.

Long values are compared by a 64-bit hash, so that a join holds some bytes per cell and not the texts; two different values are
taken for equal with a probability of 1 in 2^64 per cell.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import polars as pl

from stellwerk.errors import UserError
from stellwerk.jobs.data.diff_report import ChangedValues, ColumnChange, Difference, GroupCount
from stellwerk.jobs.data.frames import Table, collect, kind, nearest, scan, value

SAMPLE = 5
RENAMED = 0.9
_KEY, _IN_A, _IN_B, _CHANGED = "key", "in a", "in b", "changed"
_GROUPS = ("split", "language")


def diff(a: Table, b: Table, key: str = "doc_id", ignore: Collection[str] = ("origin",)) -> Difference:
    """Compare two states of a dataset by key, in one streaming join.

    Args:
        a: the earlier state: folder of a Delta table, Arrow table or lazy frame.
        b: the later state.
        key: column whose values name a row; unique and without nulls in both.
        ignore: columns that do not make a row changed (a row's line in its file moves with every row above it).

    Returns:
        the difference. Columns that only one has do not make a row changed.

    Raises:
        UserError: the key is missing, has nulls or repeats.
    """
    before, after = scan(a), scan(b)
    old, new = before.collect_schema(), after.collect_schema()
    for name, schema in (("A", old), ("B", new)):
        if key not in schema:
            raise UserError(f"{name} has no column {key} to compare rows by{nearest(key, schema)}")
    counted = _counted(before, after, old, new, key)
    _checked_key(counted, key)
    common = [name for name in old if name in new and name != key]
    candidates = _candidates(old, new)
    joined = _joined(before, after, old, new, key, common, candidates)
    row = collect(joined.select(*_answers(common, candidates, ignore))).row(0, named=True)
    both = int(row["both"])
    schema_changes = _schema_changes(old, new, key, candidates, row)
    values = [
        ChangedValues(column=each, rows=row[f"d {each}"], share=row[f"d {each}"] / both) for each in common if row[f"d {each}"]
    ]
    return Difference(
        key=key,
        rows_before=counted["rows"][0],
        rows_after=counted["rows"][1],
        added=row["added"],
        removed=row["removed"],
        changed=row["changed"],
        unchanged=both - row["changed"],
        ignored=tuple(sorted(set(ignore) & set(common))),
        columns=tuple(schema_changes),
        values=tuple(sorted(values, key=lambda each: (-each.rows, each.column))),
        groups=tuple(_groups(before, after, old, new)),
        added_ids=tuple(str(each) for each in row["added ids"]),
        removed_ids=tuple(str(each) for each in row["removed ids"]),
        changed_ids=tuple(str(each) for each in row["changed ids"]),
        same=not (row["added"] or row["removed"] or schema_changes or values),
    )


def _candidates(old: pl.Schema, new: pl.Schema) -> list[tuple[str, str]]:
    """Pairs of a removed and an added column of one type, which may be one renamed column."""
    removed, added = [each for each in old if each not in new], [each for each in new if each not in old]
    return [(gone, come) for gone in removed for come in added if old[gone] == new[come] and kind(old[gone]) != "other"]


def _short(column: str, dtype: Any, other: Any) -> pl.Expr:
    """A column as values of at most 8 bytes that are equal where the column's are; both sides in one type."""
    filled = value(column, dtype)
    if dtype != other and "number" in (kind(dtype), kind(other)) and kind(dtype) == kind(other):
        return filled.cast(pl.Float64)
    if dtype != other:
        filled = filled.cast(pl.String, strict=False) if kind(dtype) != "other" else filled
    elif kind(dtype) in ("number", "date", "timestamp", "yes/no") and not dtype.is_decimal():
        return filled
    elif kind(dtype) == "text":
        filled = filled.cast(pl.String)
    return pl.when(filled.is_not_null()).then(filled.hash())


def _joined(
    before: pl.LazyFrame,
    after: pl.LazyFrame,
    old: pl.Schema,
    new: pl.Schema,
    key: str,
    common: list[str],
    candidates: list[tuple[str, str]],
) -> pl.LazyFrame:
    """The full join by key; columns of A are called `a NAME`, of B `b NAME`."""
    gone = sorted({pair[0] for pair in candidates})
    come = sorted({pair[1] for pair in candidates})
    left = [_short(each, old[each], new[each]).alias(f"a {each}") for each in common]
    left += [_short(each, old[each], old[each]).alias(f"a {each}") for each in gone]
    right = [_short(each, new[each], old[each]).alias(f"b {each}") for each in common]
    right += [_short(each, new[each], new[each]).alias(f"b {each}") for each in come]
    name = pl.col(key).cast(pl.String).alias(_KEY)
    return before.select(name, pl.lit(True).alias(_IN_A), *left).join(
        after.select(name, pl.lit(True).alias(_IN_B), *right), on=_KEY, how="full", coalesce=True
    )


def _answers(common: Iterable[str], candidates: list[tuple[str, str]], ignore: Collection[str]) -> list[pl.Expr]:
    """Counts and sample keys over the join."""
    in_a, in_b = pl.col(_IN_A).is_not_null(), pl.col(_IN_B).is_not_null()
    both = in_a & in_b
    differs = {each: both & pl.col(f"a {each}").ne_missing(pl.col(f"b {each}")) for each in common}
    changed = pl.any_horizontal([pl.lit(False), *(mask for each, mask in differs.items() if each not in ignore)])
    states = {"added": in_b & ~in_a, "removed": in_a & ~in_b, _CHANGED: changed}
    answers = [both.sum().alias("both")]
    for name, mask in states.items():
        answers.append(mask.sum().alias(name))
        answers.append(pl.col(_KEY).filter(mask).sort().head(SAMPLE).implode().alias(f"{name} ids"))
    answers += [mask.sum().alias(f"d {each}") for each, mask in differs.items()]
    for number, (gone, come) in enumerate(candidates):
        left, right = pl.col(f"a {gone}"), pl.col(f"b {come}")
        filled = both & (left.is_not_null() | right.is_not_null())
        answers.append((filled & left.eq_missing(right)).sum().alias(f"e {number}"))
        answers.append(filled.sum().alias(f"f {number}"))
        answers.append(left.filter(both).n_unique().alias(f"u {number}"))
    return answers


def _counted(before: pl.LazyFrame, after: pl.LazyFrame, old: pl.Schema, new: pl.Schema, key: str) -> dict[str, tuple[int, int]]:
    """Rows, rows with a key, and different keys, of both."""
    asked = [
        frame.select(
            pl.len().alias("rows"),
            value(key, schema[key]).count().alias("keys"),
            pl.col(key).n_unique().alias("different"),
        )
        for frame, schema in ((before, old), (after, new))
    ]
    first, second = (frame.row(0, named=True) for frame in pl.collect_all(asked, engine="streaming"))
    return {name: (int(first[name]), int(second[name])) for name in ("rows", "keys", "different")}


def _checked_key(counted: dict[str, tuple[int, int]], key: str) -> None:
    """Asked before the join, in which a key that repeats multiplies rows."""
    for name, rows, keys, different in zip("AB", counted["rows"], counted["keys"], counted["different"], strict=True):
        if keys < rows:
            raise UserError(f"{rows - keys} rows of {name} have no {key}; compare by a column that every row has")
        if different < rows:
            raise UserError(
                f"{key} repeats in {rows - different} of {rows} rows of {name}; compare by a column whose values are unique"
            )


def _schema_changes(
    old: pl.Schema, new: pl.Schema, key: str, candidates: list[tuple[str, str]], row: dict[str, Any]
) -> list[ColumnChange]:
    """Added, removed, retyped and probably renamed columns; each column is named once."""
    renamed: dict[str, tuple[str, float]] = {}
    shares = []
    for number, (gone, come) in enumerate(candidates):
        filled = int(row[f"f {number}"])
        share = int(row[f"e {number}"]) / filled if filled else 0.0
        if share > RENAMED and int(row[f"u {number}"]) > 1:
            shares.append((share, gone, come))
    for share, gone, come in sorted(shares, key=lambda each: (-each[0], each[1], each[2])):
        if gone not in renamed and come not in {each[0] for each in renamed.values()}:
            renamed[gone] = (come, share)
    taken = {each[0] for each in renamed.values()}
    changes = []
    for name, dtype in old.items():
        if name in renamed:
            come, share = renamed[name]
            changes.append(ColumnChange(column=name, change="likely renamed", before=str(dtype), after=come, equal=share))
        elif name not in new:
            changes.append(ColumnChange(column=name, change="removed", before=str(dtype), after=None))
        elif dtype != new[name]:
            changes.append(ColumnChange(column=name, change="type changed", before=str(dtype), after=str(new[name])))
    for name, dtype in new.items():
        if name not in old and name not in taken:
            changes.append(ColumnChange(column=name, change="added", before=None, after=str(dtype)))
    return changes


def _groups(before: pl.LazyFrame, after: pl.LazyFrame, old: pl.Schema, new: pl.Schema) -> list[GroupCount]:
    """Rows per split and language."""
    result = []
    for column in _GROUPS:
        sides = [_per_value(frame, column) if column in schema else {} for frame, schema in ((before, old), (after, new))]
        for group in sorted({*sides[0], *sides[1]}):
            count = [side.get(group, 0) for side in sides]
            result.append(GroupCount(column=column, group=group, before=count[0], after=count[1]))
    return result


def _per_value(frame: pl.LazyFrame, column: str) -> dict[str, int]:
    counted = collect(frame.group_by(pl.col(column).cast(pl.String).fill_null("(none)").alias("group")).len())
    return {str(group): int(rows) for group, rows in counted.rows()}
