"""Which documents pass: an expression over tags that were computed before, so that another bound costs seconds.

The rules are asked in the order of the spec; the first one that a document fails is the reason it is dropped.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stellwerk.errors import UserError
from stellwerk.jobs.data.outliers import robust_z
from stellwerk.jobs.data.spec import Bound, known_scores

if TYPE_CHECKING:
    pass

Rule = tuple[str, str, Any, pa.Array | list[str | None], str]


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


def judged(
    documents: pa.Table,
    normalised: pa.Table,
    scores: pa.Table,
    personal: pa.Table,
    *,
    bounds: dict[str, dict[str, Any]],
    outlier_bound: float | None,
    centres: dict[str, dict[str, Any]],
    personal_action: str,
) -> pa.Table:
    """Kernel: for each document the first rule that it fails.

    Returns:
        step, rule, value, bound as strings; all null for a document that passes.
    """
    n = documents.num_rows
    found: dict[str, Any] = {name: np.full(n, None, object) for name in ("step", "rule", "value", "bound")}
    open_rows = np.ones(n, np.bool_)
    for step, rule, fails, values, bound in _rules(
        documents, normalised, scores, personal, bounds, outlier_bound, centres, personal_action
    ):
        rows = np.flatnonzero(fails & open_rows)
        if len(rows):
            found["step"][rows], found["rule"][rows], found["bound"][rows] = step, rule, bound
            found["value"][rows] = [_text(values[int(row)]) for row in rows]
            open_rows[rows] = False
    return pa.table({name: pa.array(column, pa.string()) for name, column in found.items()})


def failures(name: str, column: pa.ChunkedArray, bound: Bound) -> Iterator[tuple[Any, str]]:
    """Each condition of a bound: which rows fail it, and the condition in words. A missing value fails `required` only."""
    missing = pc.is_null(column).to_numpy()
    if bound.required:
        yield missing, f"{name} is there"
    for limit, word, compare in ((bound.min, ">=", pc.less), (bound.max, "<=", pc.greater)):
        if limit is not None:
            yield _true(compare(_as_number(name, column), limit)), f"{name} {word} {limit:g}"
    for values, word, inverted in ((bound.in_, "in", True), (bound.not_in, "not in", False)):
        if values is not None:
            texts = pa.array([_text(value) for value in values], pa.string())
            among = _true(pc.is_in(column.cast(pa.string()), value_set=texts))
            yield (~among & ~missing) if inverted else among, f"{name} {word} {', '.join(map(str, values))}"


def column_of(name: str, *tables: pa.Table) -> pa.ChunkedArray | None:
    """A score or column by its name, from the first table that has it."""
    return next((table[name] for table in tables if name in table.column_names), None)


def _rules(
    documents: pa.Table,
    normalised: pa.Table,
    scores: pa.Table,
    personal: pa.Table,
    bounds: dict[str, dict[str, Any]],
    outlier_bound: float | None,
    centres: dict[str, dict[str, Any]],
    personal_action: str,
) -> Iterator[Rule]:
    n = documents.num_rows
    for name, given in bounds.items():
        bound = Bound.model_validate(given)
        column = column_of(name, scores, normalised.drop_columns(["text"]), documents)
        column = pa.chunked_array([pa.nulls(n)]) if column is None else column
        for fails, words in failures(name, column, bound):
            yield "select", name, fails, column.to_pylist() if fails.any() else [], words
    for name, centre in centres.items():
        if name in documents.column_names and outlier_bound is not None:
            far = np.abs(robust_z(documents[name], centre))
            yield (
                "outliers",
                f"outlier:{name}",
                far > outlier_bound,
                documents[name].to_pylist(),
                f"|robust z| <= {outlier_bound:g}",
            )
    if personal_action == "drop":
        kinds: list[str | None] = [None] * n
        for row, kind in zip(personal["row"].to_pylist(), personal["kind"].to_pylist(), strict=True):
            kinds[row] = kind
        yield "personal", "personal_data", np.array([kind is not None for kind in kinds]), kinds, "no personal data"


def _as_number(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        raise UserError(f"select: {name} holds text, so min and max do not apply; use in or not_in")
    if pa.types.is_temporal(column.type):
        raise UserError(f"select: {name} holds dates, and min and max are numbers; use in or not_in")
    return column.cast(pa.float64())


def _true(mask: Any) -> Any:
    return pc.fill_null(mask, False).to_numpy()


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else str(value)[:100]
