"""Tests a dataset table: all checks become one lazy query, which is executed once.

Knows the pass over the table, row counts and drift. The models stand in check_spec.py, the conditions of a column in
conditions.py, the comparison of distributions in drift.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from stellwerk.jobs.data import drift
from stellwerk.jobs.data.check_spec import DRIFT_BOUND, Check, CheckResult
from stellwerk.jobs.data.conditions import ID, Asked, Condition, Row, conditions, result
from stellwerk.jobs.data.frames import Table, collect, scan

__all__ = ["Check", "CheckResult", "run_checks"]


def run_checks(current: Table, checks: Sequence[Check], previous: Table | None = None, *, now: datetime) -> list[CheckResult]:
    """Ask all checks of a table in one pass over it (and one over the previous version where drift is asked).

    Args:
        current: the dataset table: folder of a Delta table, Arrow table or lazy frame.
        checks: what is asked.
        previous: the dataset's version before, for drift; None if there is none.
        now: the instant that freshness is measured against; without a zone it is taken as UTC.

    Returns:
        one result per condition, in the order of the checks. A condition that found no row to look at has the state
        `nothing to measure` and `passed` false.

    Raises:
        UserError: a column does not exist or cannot be asked this.
    """
    table = Asked(scan(current), now)
    known = _drift_references(table, checks, previous)
    wanted: list[Condition] = []
    for check in checks:
        if check.rows is not None:
            wanted.append(_rows(check, len(wanted)))
        elif check.drift is not None:
            wanted.append(_drift(table, check, known, previous is not None, len(wanted)))
        else:
            for build in conditions(check):
                wanted.append(build(table, check, len(wanted)))
    columns = [column for each in wanted for column in each.columns]
    answers = [answer for each in wanted for answer in each.answers]
    ids = [ID] if ID in table.schema else []
    frame = table.frame.select(*ids, *columns) if ids or columns else table.frame
    row = collect(frame.select(pl.len().alias("rows"), *answers))
    return [each.read({name: row[name][0] for name in row.columns}) for each in wanted]


def _rows(check: Check, _number: int) -> Condition:
    bounds = check.rows
    assert bounds is not None
    said = ", ".join(f"{word} {each}" for word, each in (("min", bounds.min), ("max", bounds.max)) if each is not None)

    def read(row: Row) -> CheckResult:
        n = int(row["rows"])
        ok = (bounds.min is None or n >= bounds.min) and (bounds.max is None or n <= bounds.max)
        text = f"The table has {n} rows ({said})."
        return result(check, "rows", n=n, failed=0 if ok else 1, value=float(n), bound=said, ok=ok, text=text)

    return Condition([], [], read)


def _drift_references(table: Asked, checks: Sequence[Check], previous: Table | None) -> dict[str, drift.Reference]:
    columns = {each.drift: table.dtype(each.drift, "drift") for each in checks if each.drift is not None}
    return drift.references(scan(previous), columns) if columns and previous is not None else {}


def _drift(table: Asked, check: Check, known: dict[str, drift.Reference], compared: bool, number: int) -> Condition:
    column = str(check.drift)
    reference = known.get(column)
    most = float(check.max) if isinstance(check.max, int | float) else DRIFT_BOUND
    problem = reference.problem if reference else None if compared else "there is no previous version to compare with"
    said = f"PSI <= {most:g}"
    columns, answers = [], []
    if reference and not problem:
        columns.append(drift.binned(reference, table.schema[column]).alias(f"bin {number}"))
        answers.append(drift.counting(reference, f"bin {number}").alias(f"b{number}"))

    def read(row: Row) -> CheckResult:
        n = int(row["rows"])
        if reference is None or problem or n == 0:
            text = f"Drift of {column}: {problem or 'the table has no rows'}."
            return result(check, "drift", n=0, failed=0, value=None, bound=said, ok=False, text=text, column=column)
        now = row[f"b{number}"].to_list()
        index, chance = drift.psi(reference.counts, now), drift.by_chance(reference.counts, now)
        text = f"The distribution of {column} moved by a PSI of {index:.3f} from {sum(reference.counts)} to {n} rows."
        if chance > most / 2:
            text += f" So few rows differ by {chance:.3f} by chance alone."
        ok = index <= most
        return result(check, "drift", n=n, failed=0 if ok else 1, value=index, bound=said, ok=ok, text=text, column=column)

    return Condition(columns, answers, read)
