"""What changed between two schemas of a source, in sentences."""

from __future__ import annotations

import pyarrow as pa

from stellwerk.jobs.data.digest import schema_of
from stellwerk.jobs.data.files.schema import settle, unify

Said = dict[str, str]  # column to type, as people name it


def changes(before: Said, after: Said) -> list[str]:
    """What changed, a sentence each; a column that went while one of its type came may be renamed."""
    gone = [name for name in before if name not in after]
    come = [name for name in after if name not in before]
    found = [
        f"column {name!r} was {before[name]}, now {after[name]}"
        for name in before
        if name in after and before[name] != after[name]
    ]
    for name in gone:
        twin = next((other for other in come if _alike(name, other) and before[name] == after[other]), None)
        if twin:
            come.remove(twin)
            found.append(f"column {name!r} is gone and {twin!r} of the same type came: perhaps renamed")
        else:
            found.append(f"column {name!r} is gone")
    return found + [f"column {name!r} is new ({after[name]})" for name in come]


def widened(before: Said, schema: pa.Schema, complete: bool) -> Said:
    """The schema of a source of which only new rows were read, so that a few rows are not taken for a change.

    Args:
        before: what the source said at the last load.
        schema: of the new rows.
        complete: whether the new rows have all columns that there are, as those of a table do.
    """
    now = {name: kind for name, kind in schema_of(schema).items() if name != "origin"}
    found = {name: _wider(before[name], now[name]) if name in before else now[name] for name in now}
    return found if complete else {**before, **found}


def _wider(before: str, now: str) -> str:
    if before == now or now == "null":
        return before
    one, other = _TYPES.get(before), _TYPES.get(now)
    if one is None or other is None:
        return now
    both = settle(unify([pa.schema([("x", one)]), pa.schema([("x", other)])]))
    return schema_of(both)["x"]


_TYPES = {
    schema_of(pa.schema([("x", kind)]))["x"]: kind
    for kind in (pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.date32(), pa.timestamp("us"), pa.null())
}


def _alike(first: str, second: str) -> bool:
    one, other = set(first.lower().split("_")), set(second.lower().split("_"))
    return bool(one & other)
