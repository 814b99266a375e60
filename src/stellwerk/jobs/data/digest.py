"""The digest of a table's content: equal rows in equal order give the same digest, however they were cut or stored.

It rests on the values alone and not on how a library lays out a file, so that an upgrade never makes a new version.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class ContentDigest:
    """SHA-256 over the columns of a table that arrives in pieces; all pieces have the same schema."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self.rows = 0
        self._columns = [(hashlib.sha256(), hashlib.sha256(), hashlib.sha256()) for _ in schema]

    def update(self, table: pa.Table) -> None:
        """Add the next rows."""
        self.rows += table.num_rows
        for column, hashes in zip(table.columns, self._columns, strict=True):
            for chunk in column.chunks:
                for part, digest in zip(_parts(chunk), hashes, strict=True):
                    digest.update(part)

    def hexdigest(self) -> str:
        """The digest of all rows so far, 64 hexadecimal digits."""
        whole = hashlib.sha256(f"{self.rows}\n".encode())
        for field, hashes in zip(self.schema, self._columns, strict=True):
            whole.update(f"{field.name}\0{_type_name(field.type)}\0".encode())
            for digest in hashes:
                whole.update(digest.digest())
        return whole.hexdigest()


def schema_of(schema: pa.Schema) -> dict[str, str]:
    """Column to type, as the record and people name it."""
    return {field.name: _type_name(field.type) for field in schema}


def _parts(chunk: pa.Array) -> tuple[bytes, bytes, bytes]:
    """Which values are there, their lengths, and their bytes, a missing one counting as empty or zero."""
    there = pc.is_valid(chunk).to_numpy(zero_copy_only=False).tobytes()
    if pa.types.is_null(chunk.type):
        return there, b"", b""
    if _is_text(chunk.type):
        values = pc.fill_null(chunk.cast(pa.large_string()), "")
        lengths = pc.binary_length(values).to_numpy().astype(np.int64).tobytes()
        return there, lengths, _bytes(values)
    if pa.types.is_boolean(chunk.type):
        chunk = chunk.cast(pa.int8())
    elif pa.types.is_date32(chunk.type):
        chunk = chunk.cast(pa.int32())
    elif pa.types.is_timestamp(chunk.type):
        chunk = chunk.cast(pa.timestamp("us")).cast(pa.int64())
    elif pa.types.is_integer(chunk.type):
        chunk = chunk.cast(pa.int64())
    return there, b"", pc.fill_null(chunk, 0).to_numpy(zero_copy_only=False).tobytes()


def _bytes(texts: pa.LargeStringArray) -> bytes:
    """The texts one after the other, as they lie in memory."""
    _, offsets, content = texts.buffers()
    if content is None:
        return b""
    first, last = np.frombuffer(offsets, np.int64)[[texts.offset, texts.offset + len(texts)]].tolist()
    return bytes(content.slice(first, last - first))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _type_name(kind: pa.DataType) -> str:
    return "string" if _is_text(kind) else str(kind)
