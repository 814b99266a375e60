"""Writers that take a dataset batch by batch: a Parquet file, a file of JSON lines, a file of conversations.

Knows how a row becomes bytes, and which rows make a conversation. Does not know where the rows come from, which file a
row belongs in, or what else stands in the folder.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Final, Protocol

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stellwerk.errors import UserError
from stellwerk.jobs.data.reports import ChatFields, Format

_GROUP_ROWS: Final = 65_536
_GROUP_BYTES: Final = 32 * 2**20


class Writer(Protocol):
    """A file that takes tables of rows and counts the rows."""

    rows: int

    def write(self, table: pa.Table) -> None:
        """Append the rows of a table, in order."""

    def close(self) -> None:
        """Write what is still held back and close the file."""


def chat_fields(schema: pa.Schema, chat: ChatFields | None) -> ChatFields:
    """Check that the dataset has the columns of the turns.

    Args:
        schema: the columns of the dataset.
        chat: the columns to use, or None for the usual names.

    Returns:
        The columns to use.

    Raises:
        UserError: a column is absent.
    """
    fields = chat or ChatFields()
    for role, column in (("user", fields.user), ("assistant", fields.assistant), ("system", fields.system)):
        if column is not None and column not in schema.names:
            raise UserError(
                f"chat export: the dataset has no column {column} for the {role} turn; name one of: {', '.join(schema.names)}"
            )
    return fields


def with_turns(batch: pa.Table, fields: ChatFields, skipped: dict[str, int]) -> pa.Table:
    """Keep the rows that have a question and an answer.

    Args:
        batch: rows with the columns of `fields`.
        fields: the columns of the turns.
        skipped: reason -> rows; the rows left out are added to it.

    Returns:
        The rows kept, in order.
    """
    answered = _filled(batch[fields.assistant])
    asked = _filled(batch[fields.user])
    for reason, lacking in (
        (f"no {fields.assistant}", pc.invert(answered)),
        (f"no {fields.user}", pc.and_not(answered, asked)),
    ):
        if count := pc.sum(lacking).as_py():
            skipped[reason] = skipped.get(reason, 0) + count
    return batch.filter(pc.and_(answered, asked))


def _filled(column: pa.ChunkedArray) -> pa.ChunkedArray:
    text = pc.utf8_trim_whitespace(pc.cast(column, pa.large_string()))
    return pc.fill_null(pc.not_equal(text, ""), False)


def _conversations(table: pa.Table, fields: ChatFields) -> Iterable[dict[str, Any]]:
    columns = [(r, c) for r, c in (("system", fields.system), ("user", fields.user)) if c] + [("assistant", fields.assistant)]
    turns = [(role, pc.cast(table[column], pa.large_string()).to_pylist()) for role, column in columns]
    for row in range(table.num_rows):
        yield {
            "messages": [
                {"role": role, "content": values[row]}
                for role, values in turns
                if role != "system" or (values[row] or "").strip()
            ]
        }


class _ParquetFile:
    """One zstd Parquet file; small batches are gathered into row groups of a useful size."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.rows = 0
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self._waiting: list[pa.Table] = []

    def write(self, table: pa.Table) -> None:
        self.rows += table.num_rows
        self._waiting.append(table)
        if sum(t.num_rows for t in self._waiting) >= _GROUP_ROWS or sum(t.nbytes for t in self._waiting) > _GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting))
            self._waiting = []

    def close(self) -> None:
        try:
            self._flush()
        finally:
            self._writer.close()


class _JsonLines:
    """One UTF-8 file with a JSON object per line, gzipped where its name ends in .gz."""

    def __init__(self, path: Path, rows_of: Callable[[pa.Table], Iterable[Mapping[str, Any]]]) -> None:
        self.rows = 0
        self._rows_of = rows_of
        self._raw = path.open("wb")
        # No name and no time in the header: the same rows are the same bytes.
        self._file: IO[bytes] = (
            gzip.GzipFile("", "wb", 6, self._raw, mtime=0) if path.suffix == ".gz" else self._raw  # type: ignore[assignment]
        )

    def write(self, table: pa.Table) -> None:
        option = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NAIVE_UTC
        self._file.writelines(orjson.dumps(row, default=_plain, option=option) for row in self._rows_of(table))
        self.rows += table.num_rows

    def close(self) -> None:
        self._file.close()
        self._raw.close()


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, int | Decimal):
        return str(value)  # beyond 64 bits or exact: a JSON number would lose digits
    raise TypeError(f"a value of type {type(value).__name__} has no JSON form")


def open_writer(path: Path, schema: pa.Schema, format: Format, fields: ChatFields | None) -> Writer:
    """Open the writer of a format.

    Args:
        path: the file, which must not exist; .gz at its end compresses JSON lines.
        schema: the columns of what will be written.
        format: the format of the export.
        fields: the columns of the turns, for chat only.

    Returns:
        The open writer; the caller closes it.
    """
    if fields is not None:
        return _JsonLines(path, lambda table: _conversations(table, fields))
    if format == "jsonl":
        return _JsonLines(path, lambda table: table.to_pylist())
    return _ParquetFile(path, schema)
