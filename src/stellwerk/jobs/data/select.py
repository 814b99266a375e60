"""Which documents pass: an expression over tags that were computed before, so that another bound costs seconds.

The rules are asked in the order of the spec; the first one that a document fails is the reason it is dropped.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stellwerk.errors import UserError
from stellwerk.jobs.data.outliers import robust_z
from stellwerk.jobs.data.spec import Bound, known_scores
from stellwerk.text import personal as personal_data

Rule = tuple[str, str, Any, list[Any], str]
Value = str | int | float | bool
LONGEST = 100  # characters of a value that the ledger holds


@dataclass(frozen=True)
class Asked:
    """What a document must be in order to pass.

    Attributes:
        bounds: on scores and columns, each as `Bound` gives it as JSON.
        outlier_bound: the largest distance as robust z, None where nobody asked.
        centres: median and MAD of each column that is looked at for outliers.
        personal_action: `drop` drops a document in which personal data were found.
    """

    bounds: dict[str, dict[str, Any]]
    outlier_bound: float | None
    centres: dict[str, dict[str, Any]]
    personal_action: str


def check_names(bounds: Mapping[str, Bound], columns: Sequence[str]) -> None:
    """See that each bound is on a score or on a column, and that no two columns differ in case only.

    Raises:
        UserError: a name is neither, with the nearest one; or two columns are one to a table that ignores case.
    """
    spelt: dict[str, str] = {}
    for name in columns:
        other = spelt.setdefault(name.lower(), name)
        if other != name:
            raise UserError(f"the columns {other!r} and {name!r} differ only in case; rename one, or list it in drop_columns")
    known = sorted({*known_scores(), *columns})
    for name in bounds:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"the columns are: {', '.join(columns)}"
            raise UserError(f"select: there is no score or column {name!r}; {hint}")


def check_values(bounds: Mapping[str, Bound], types: Mapping[str, set[pa.DataType]]) -> None:
    """See that each value that a bound lists can stand in its column.

    Args:
        bounds: as the spec has them.
        types: of each score and column, over all documents.

    Raises:
        UserError: a value that no document could have.
    """
    for name, bound in bounds.items():
        kinds = {kind for kind in types.get(name, set()) if not pa.types.is_null(kind)}
        for field, values in (("in", bound.in_), ("not_in", bound.not_in)):
            wrong = [value for value in values or () if kinds and not any(_fits(value, kind) for kind in kinds)]
            if wrong:
                held = " or ".join(sorted(map(str, kinds)))
                raise UserError(
                    f"select: {name} holds {held}, and {shown(wrong[:1])[0]!r} in its {field!r} is no such value; "
                    f"correct it or take it out"
                )


def judged(
    documents: pa.Table, normalised: pa.Table, scores: pa.Table, personal: pa.Table, *, asked: dict[str, Any]
) -> pa.Table:
    """Kernel: for each document the first rule that it fails.

    Returns:
        step, rule, value, bound as strings; all null for a document that passes. Personal data in a value are masked.
    """
    n = documents.num_rows
    found: dict[str, Any] = {name: np.full(n, None, object) for name in ("step", "rule", "value", "bound")}
    open_rows = np.ones(n, np.bool_)
    for step, rule, fails, values, bound in _rules(documents, normalised, scores, personal, Asked(**asked)):
        rows = np.flatnonzero(fails & open_rows)
        if len(rows):
            found["step"][rows], found["rule"][rows], found["bound"][rows] = step, rule, bound
            found["value"][rows] = shown([values[int(row)] for row in rows])
            open_rows[rows] = False
    return pa.table({name: pa.array(column, pa.string()) for name, column in found.items()})


def failures(name: str, column: pa.ChunkedArray, bound: Bound) -> Iterator[tuple[Any, str]]:
    """Each condition of a bound: which rows fail it, and the condition in words. A missing value fails `required` only."""
    missing = pc.is_null(column).to_numpy()
    if bound.required:
        yield missing, f"{name} is there"
    for limit, word, compare in ((bound.min, ">=", pc.less), (bound.max, "<=", pc.greater)):
        if limit is not None:
            yield _true(compare(_as_number(name, column), limit)), f"{name} {word} {_text(limit)}"
    for values, word, inverted in ((bound.in_, "in", True), (bound.not_in, "not in", False)):
        if values is not None:
            among = _true(pc.is_in(column, value_set=_value_set(values, column.type)))
            words = f"{name} {word} {', '.join(map(str, shown(values)))}"
            yield (~among & ~missing) if inverted else among, words


def shown(values: Sequence[Any]) -> list[str | None]:
    """Values as people see them: numbers exactly, long texts cut, and personal data in them masked."""
    texts = [_text(value) for value in values]
    found = personal_data.scan(texts, list(personal_data.KINDS))
    masked = personal_data.mask(texts, found).to_pylist() if found.num_rows else texts
    return [None if text is None else text[:LONGEST] for text in masked]


def column_of(name: str, *tables: pa.Table) -> pa.ChunkedArray | None:
    """A score or column by its name, from the first table that has it."""
    return next((table[name] for table in tables if name in table.column_names), None)


def _rules(documents: pa.Table, normalised: pa.Table, scores: pa.Table, personal: pa.Table, asked: Asked) -> Iterator[Rule]:
    n = documents.num_rows
    for name, given in asked.bounds.items():
        bound = Bound.model_validate(given)
        column = column_of(name, scores, normalised.drop_columns(["text"]), documents)
        column = pa.chunked_array([pa.nulls(n)]) if column is None else column
        for fails, words in failures(name, column, bound):
            yield "select", name, fails, _values(column) if fails.any() else [], words
    for name, centre in asked.centres.items():
        if name in documents.column_names and asked.outlier_bound is not None:
            far = np.abs(robust_z(documents[name], centre)) > asked.outlier_bound
            words = f"|robust z| <= {_text(asked.outlier_bound)}"
            yield "outliers", f"outlier:{name}", far, _values(documents[name]) if far.any() else [], words
    if asked.personal_action == "drop":
        kinds: list[str | None] = [None] * n
        for row, kind in zip(personal["row"].to_pylist(), personal["kind"].to_pylist(), strict=True):
            kinds[row] = kind
        yield "personal", "personal_data", np.array([kind is not None for kind in kinds]), kinds, "no personal data"


def _values(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_float32(column.type):
        column = column.cast(pa.string())  # the shortest text that gives the same number again has no digits of a float64
    return list(column.to_pylist())


def _value_set(values: Sequence[Value], kind: pa.DataType) -> pa.Array:
    """The values that can stand in a column, in its type."""
    found = []
    for value in values:
        try:
            found.append(pa.array([_as_type(value, kind)], kind))
        except (ValueError, OverflowError):
            continue  # such as 0.5 among whole numbers: no row has it
    return pa.concat_arrays(found) if found else pa.array([], kind)


def _fits(value: Value, kind: pa.DataType) -> bool:
    try:
        _as_type(value, kind)
    except ValueError:
        return False
    return True


def _as_type(value: Value, kind: pa.DataType) -> Any:
    """A value of a spec as a column's type would have it; a number may be a fraction where the column holds whole ones.

    Raises:
        ValueError: it is no value of such a type.
    """
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        if isinstance(value, bool):
            raise ValueError("a truth value is no number")
        return _number(value)
    if pa.types.is_boolean(kind):
        if str(value).lower() not in ("true", "false"):
            raise ValueError("neither true nor false")
        return str(value).lower() == "true"
    if pa.types.is_date(kind):
        return date.fromisoformat(str(value))
    if pa.types.is_timestamp(kind):
        moment = datetime.fromisoformat(str(value))
        if kind.tz and moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        if not kind.tz and moment.tzinfo is not None:
            raise ValueError("a moment with a zone, where the column has none")
        return moment
    return _text(value)


def _number(value: str | int | float) -> int | float:
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            return _number(float(value))
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _as_number(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        raise UserError(f"select: {name} holds text, so min and max do not apply; use in or not_in")
    if pa.types.is_temporal(column.type):
        raise UserError(f"select: {name} holds dates, and min and max are numbers; use in or not_in")
    return column.cast(pa.float64())


def _true(mask: Any) -> Any:
    return pc.fill_null(mask, False).to_numpy()


def _text(value: Any) -> str | None:
    """A value as text: a number as the shortest one that gives it again."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
