"""The numbers of a dataset version that people look at: what each rule did, and how values lie to their bounds.

Reads the ledger and the values of all documents, one column at a time. Does not draw.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stellwerk.engine.engine import read_shard

if TYPE_CHECKING:
    from stellwerk.record.record import Version
    from stellwerk.store.store import Store

CONSISTENT: Final = 0.6745
"""MAD of a normal distribution in standard deviations: the factor of the robust z (Iglewicz and Hoaglin, 1993)."""
ORDER: Final = ("read", "load", "erase", "normalise", "select", "outliers", "personal", "duplicates")


@dataclass(frozen=True)
class Rule:
    """What one rule did to how many documents."""

    step: str
    rule: str
    bound: str | None
    changed: int
    dropped: int


@dataclass(frozen=True)
class Values:
    """The values of one score or column in all documents, and its bounds; both inclusive."""

    name: str
    values: Any
    lower: float | None
    upper: float | None
    median: float | None = None
    deviations: float | None = None


def rules(store: Store, version: Version) -> list[Rule]:
    """The rules that did something, in the order of the steps."""
    tables = [
        read_shard(store.path(shard)).select(["decision", "step", "rule", "bound"]) for shard in version.content["ledger"]
    ]
    table = pa.concat_tables(tables)
    dropped = table.filter(pc.equal(table["decision"], "dropped"))
    rows = dropped.group_by(["step", "rule", "bound"], use_threads=False).aggregate([([], "count_all")]).to_pylist()
    found = [Rule(row["step"], row["rule"], row["bound"], 0, row["count_all"]) for row in rows]
    for edit, count in version.facts["counts"]["edits"].items():
        found.append(Rule("personal" if edit.startswith("mask:") else "normalise", edit, None, count, 0))
    return sorted(found, key=lambda rule: (_place(rule.step), -rule.dropped - rule.changed, rule.rule))


def told(version: Version) -> list[Rule]:
    """The same from the facts of the version, without the bounds, and without reading anything."""
    counts = version.facts["counts"]
    found = [Rule(rule["step"], rule["rule"], None, 0, rule["documents"]) for rule in counts["rules"]]
    found += [
        Rule("personal" if edit.startswith("mask:") else "normalise", edit, None, count, 0)
        for edit, count in counts["edits"].items()
    ]
    return sorted(found, key=lambda rule: (_place(rule.step), -rule.dropped - rule.changed, rule.rule))


def bounded(store: Store, version: Version) -> Iterator[Values]:
    """The scores and columns of numbers on which the spec sets a bound, in its order."""
    spec = version.facts["spec"]
    outliers = spec["outliers"] or {"columns": [], "bound": 0.0, "scale": "linear"}
    limits = {name: (bound["min"], bound["max"]) for name, bound in spec["select"].items()}
    for name in dict.fromkeys([*limits, *outliers["columns"]]):
        lower, upper = limits.get(name, (None, None))
        far = name in outliers["columns"] and outliers["scale"] == "linear"
        values = numbers(store, version, name) if far or lower is not None or upper is not None else None
        if values is None:
            continue
        if not far:
            yield Values(name, values, lower, upper)
            continue
        there = values[np.isfinite(values)]
        median = float(np.median(there)) if len(there) else 0.0
        reach = outliers["bound"] * float(np.median(np.abs(there - median))) / CONSISTENT if len(there) else 0.0
        if not reach:
            yield Values(name, values, lower, upper)
            continue
        lower = max(median - reach, lower) if lower is not None else median - reach
        upper = min(median + reach, upper) if upper is not None else median + reach
        yield Values(name, values, lower, upper, median, outliers["bound"])


def numbers(store: Store, version: Version, name: str) -> Any:
    """One score, or column of numbers, of all documents; None where there is no such."""
    parts = []
    for scores, documents in zip(version.content["scores"], version.content["documents"], strict=True):
        table = next((t for t in map(_open, (store.path(scores), store.path(documents))) if name in t.column_names), None)
        if table is None:
            continue
        kind = table.schema.field(name).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            return None
        parts.append(pc.fill_null(table[name].cast(pa.float64()), np.nan).to_numpy())
    return np.concatenate(parts) if parts else None


def _open(path: Any) -> pa.Table:
    return read_shard(path)


def _place(step: str) -> int:
    return ORDER.index(step) if step in ORDER else len(ORDER)
