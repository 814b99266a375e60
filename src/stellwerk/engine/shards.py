"""Shards: tables as Parquet artifacts of the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stellwerk.errors import StellwerkError
from stellwerk.store.store import Store

if TYPE_CHECKING:
    import pyarrow as pa


def read_shard(path: Path) -> pa.Table:
    """Read a shard whole.

    Raises:
        StellwerkError: the file is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path, memory_map=True)
    except (pa.ArrowInvalid, OSError):
        raise StellwerkError(f"the artifact {path} is damaged; remove it and build again: what it held is made anew") from None


def write_shard(store: Store, table: pa.Table) -> str:
    """Keep a table as a shard: Parquet, zstd, without statistics, which would repeat values of personal columns."""
    import pyarrow.parquet as pq

    with store.partial() as path:
        pq.write_table(table, path, compression="zstd", write_statistics=False)
        return store.put_file(path)
