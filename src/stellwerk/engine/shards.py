"""Shards: tables as Parquet artifacts of the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stellwerk.errors import StellwerkError
from stellwerk.store.store import Store

if TYPE_CHECKING:
    import pyarrow as pa


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say of a damaged file which one it is and what to do.

    Raises:
        StellwerkError: the file is damaged.
    """
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowInvalid, OSError):
        raise StellwerkError(f"the artifact {path} is damaged; remove it and build again: what it held is made anew") from None


def read_shard(path: Path) -> pa.Table:
    """Read a shard whole.

    Raises:
        StellwerkError: the file is damaged.
    """
    import pyarrow.parquet as pq

    with reading(path):
        return pq.read_table(path, memory_map=True)


def write_shard(store: Store, table: pa.Table) -> str:
    """Keep a table as a shard: Parquet, zstd, without statistics, which would repeat values of personal columns."""
    import pyarrow.parquet as pq

    with store.partial() as path:
        pq.write_table(table, path, compression="zstd", write_statistics=False)
        return store.put_file(path)
