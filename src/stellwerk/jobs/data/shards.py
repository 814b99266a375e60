"""Looking at shards without reading them whole: some columns, the number of rows, the one schema that holds several.

Knows Parquet files and Arrow types; a shard is read whole only where its text is worked on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stellwerk.engine.shards import reading
from stellwerk.jobs.data.files.schema import EXACT, WIDE, settle, unify


def columns(path: Path, *names: str) -> pa.Table:
    """Some columns of a shard."""
    with reading(path):
        return pq.read_table(path, columns=list(names), memory_map=True)


def names(path: Path) -> list[str]:
    """The columns of a shard."""
    return list(types(path))


def types(path: Path) -> dict[str, pa.DataType]:
    """The type of each column of a shard."""
    with reading(path):
        schema = pq.read_schema(path)
    return dict(zip(schema.names, schema.types, strict=True))


def rows(path: Path) -> int:
    """The number of rows of a shard."""
    with reading(path):
        return int(pq.read_metadata(path).num_rows)


def schema(paths: Sequence[Path]) -> pa.Schema:
    """The schema that holds the rows of all shards; `files.schema.cast` brings each to it."""
    found = [pq.read_schema(path).remove_metadata() for path in paths]
    kinds: dict[str, set[str]] = {}
    for each in found:
        for field in each:
            kinds.setdefault(field.name, set()).add(str(field.type))
    mixed = {name for name, types in kinds.items() if len(types) > 1}
    return settle(unify([_measured(path, each, mixed) for path, each in zip(paths, found, strict=True)]))


def _measured(path: Path, schema: pa.Schema, mixed: set[str]) -> pa.Schema:
    """A schema that says of columns whose type differs what their values allow.

    Whole numbers that a float would not hold exactly are marked. A column of strings without any value has no type of its own:
    so is stored what was empty so far.
    """
    for place, field in enumerate(schema):
        text = pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        if field.name in mixed and text and _is_empty(path, field.name):
            schema = schema.set(place, field.with_type(pa.null()))
        elif field.name in mixed and pa.types.is_int64(field.type):
            bounds = pc.min_max(columns(path, field.name)[field.name]).as_py()
            if max(abs(bounds["min"] or 0), abs(bounds["max"] or 0)) > EXACT:
                schema = schema.set(place, field.with_metadata({WIDE: b"1"}))
        elif pa.types.is_large_string(field.type):
            schema = schema.set(place, field.with_type(pa.string()))
    return schema


def _is_empty(path: Path, name: str) -> bool:
    column = columns(path, name)[name]
    return bool(column.null_count == len(column))
