"""One schema for many tables: which type holds a column whose type changes, and the cast to it.

It knows Arrow types and carries facts about a file in a table's metadata; it does not know files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from stellwerk.jobs.data.files.shapes import Facts

FACTS = b"stellwerk.file"
WIDE = b"stellwerk.wide"  # the field holds whole numbers that float64 cannot hold exactly
EXACT = 2**53


def unify(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """Find the schema that holds the rows of all tables.

    Args:
        schemas: of the tables, in their order.

    Returns:
        Every column in order of first appearance. Equal types stay; a column without values takes the other type;
        int64 and float64 give float64 (string if a whole number is beyond 2^53); date and timestamp give timestamp;
        all else gives string.
    """
    fields: dict[str, pa.Field] = {}
    for schema in schemas:
        for field in schema:
            known = fields.get(field.name)
            fields[field.name] = field if known is None else _both(known, field)
    return pa.schema(list(fields.values()))


def _both(first: pa.Field, second: pa.Field) -> pa.Field:
    if first.type.equals(second.type):
        return first if _wide(first) else second
    kinds = {str(first.type), str(second.type)}
    if "null" in kinds:
        return second if pa.types.is_null(first.type) else first
    if kinds == {"int64", "double"}:
        return pa.field(first.name, pa.string() if _wide(first) or _wide(second) else pa.float64())
    if kinds == {"date32[day]", "timestamp[us]"}:
        return pa.field(first.name, pa.timestamp("us"))
    return pa.field(first.name, pa.string())


def _wide(field: pa.Field) -> bool:
    return bool(field.metadata and WIDE in field.metadata)


def settle(schema: pa.Schema) -> pa.Schema:
    """Make columns that never held a value strings, and drop the notes on fields: the last step before storing."""
    return pa.schema([pa.field(f.name, pa.string() if pa.types.is_null(f.type) else f.type) for f in schema])


def cast(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Bring a table to a schema that `unify` made.

    Args:
        table: any of the tables.
        schema: the common schema.

    Returns:
        The rows in the columns and the order of the schema; a column that the table lacks is null. The table's metadata
        is kept.
    """
    columns = []
    for field in schema:
        index = table.schema.get_field_index(field.name)
        if index < 0:
            columns.append(pa.nulls(table.num_rows, field.type))
        else:
            columns.append(_cast_column(table.column(index), field.type))
    return pa.table(columns, schema=schema.with_metadata(table.schema.metadata))


def _cast_column(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    if column.type.equals(wanted):
        return column
    if pa.types.is_floating(column.type) and pa.types.is_string(wanted):
        texts = [None if value is None else float_text(value) for value in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.string())])
    return column.cast(wanted)


def float_text(value: float) -> str:
    """Write a number as JSON and Python do: the shortest text that gives the same number again."""
    return repr(value)


def with_facts(table: pa.Table, facts: Facts) -> pa.Table:
    """Write the facts into a table's metadata, and mark columns with whole numbers beyond 2^53."""
    fields = []
    for field, column in zip(table.schema, table.columns, strict=True):
        wide = False
        if pa.types.is_int64(field.type) and table.num_rows:
            bounds = pc.min_max(column).as_py()
            wide = max(abs(bounds["min"] or 0), abs(bounds["max"] or 0)) > EXACT
        fields.append(pa.field(field.name, field.type, metadata={WIDE: b"1"} if wide else None))
    metadata = {FACTS: orjson.dumps(asdict(facts))}
    return pa.table(table.columns, schema=pa.schema(fields, metadata=metadata))


def facts_of(table: pa.Table) -> Facts:
    """Read the facts on its file out of a table; those of a file's last table are complete.

    Raises:
        KeyError: the table was not made by `reading.read`.
    """
    return Facts(**orjson.loads(table.schema.metadata[FACTS]))
