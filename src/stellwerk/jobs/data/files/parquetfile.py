"""Reading Parquet files, batch by batch, in the few column types that a dataset has.

It knows how Arrow types become string, int64, float64, bool, date32 and timestamp[us]; nested values become compact
JSON, and moments with a zone are moments of UTC, the one zone that a Delta table knows.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from stellwerk.jobs.data.files.columns import Batcher, as_text, origins, table_of
from stellwerk.jobs.data.files.names import ColumnNames
from stellwerk.jobs.data.files.shapes import Facts, FileProblem, Source

MAX_ROWS = 4096
FLOAT_DIGITS = 15  # so many decimal digits survive in a float64


def read_parquet(source: Source, file: IO[bytes]) -> Iterator[pa.Table]:
    """Read a Parquet file.

    Args:
        source: name, options and facts; its chunks are not used.
        file: the file, which can be read from any place.

    Yields:
        Tables with `#row N` (from 1) as origin.

    Raises:
        FileProblem: the file is damaged, encrypted or not Parquet.
    """
    row = 1
    try:
        parquet = pq.ParquetFile(file, page_checksum_verification=True)
        names = ColumnNames(source.facts).header(parquet.schema_arrow.names)
        batcher = Batcher(source.options.batch_bytes, source.facts)
        yield from batcher.add(_table(source, parquet.schema_arrow.empty_table(), names, row))
        for batch in parquet.iter_batches(batch_size=_rows_per_batch(parquet.metadata, source.options.batch_bytes)):
            yield from batcher.add(_table(source, batch, names, row))
            row += batch.num_rows
        yield from batcher.rest()
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            reason = "holds text that is not UTF-8; write it again"
        elif "ncrypt" in str(error):
            raise FileProblem("encrypted_file", "is encrypted; save it without encryption") from None
        else:
            reason = "is damaged or not a Parquet file; copy or write it again"
        raise FileProblem("corrupt_file", f"{reason} ({row - 1} rows were readable)") from None


def _rows_per_batch(metadata: Any, wanted: int) -> int:
    size = sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
    per_row = max(1, size // max(metadata.num_rows, 1))
    return int(max(1, min(MAX_ROWS, wanted // per_row)))


def _table(source: Source, rows: Any, names: list[str], first: int) -> pa.Table:
    columns = {}
    for name, column in zip(names, rows.columns, strict=True):
        array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        columns[name] = plain_column(array, source.facts)
    numbers = pa.arange(first, first + rows.num_rows)
    return table_of(origins(f"{source.name}#row ", numbers), columns)


def plain_column(array: pa.Array, facts: Facts) -> pa.Array:
    """Bring a column to one of the plain types.

    Args:
        array: of any Arrow type.
        facts: gets a note where something was rounded or rewritten.

    Returns:
        The same rows as string, int64, float64, bool, date32, timestamp[us] or null.
    """
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        return plain_column(array.storage, facts)
    if pa.types.is_dictionary(kind):
        return plain_column(array.dictionary_decode(), facts)
    if pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return array
    if pa.types.is_uint64(kind):
        try:
            return array.cast(pa.int64())
        except pa.ArrowInvalid:
            return array.cast(pa.string())
    if pa.types.is_integer(kind):
        return array.cast(pa.int64())
    if pa.types.is_floating(kind):
        return array.cast(pa.float64())
    if pa.types.is_decimal(kind):
        return array.cast(pa.float64() if kind.precision <= FLOAT_DIGITS else pa.string())
    if pa.types.is_date(kind):
        return array.cast(pa.date32())
    if pa.types.is_timestamp(kind):
        if kind.unit == "ns":
            facts.note("moments finer than a microsecond were cut to microseconds")
        return array.cast(pa.timestamp("us", tz="UTC" if kind.tz else None), safe=False)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return array.cast(pa.string())
    if pa.types.is_time(kind) or pa.types.is_duration(kind):
        return array.cast(pa.string())
    values = array.to_pylist()
    if pa.types.is_nested(kind):
        return pa.array([None if value is None else as_text(_json_ready(value)) for value in values], pa.string())
    return pa.array([None if value is None else _bytes_text(value) for value in values], pa.string())


def _json_ready(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _json_ready(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_ready(inner) for inner in value]
    if isinstance(value, bytes):
        return _bytes_text(value)
    if value is None or isinstance(value, (str, int, float)):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _bytes_text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()
