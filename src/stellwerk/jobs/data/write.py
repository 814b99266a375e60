"""Writing a dataset version: the kept documents, masked, as one Delta table that is moved to its place when it is whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from stellwerk.engine.engine import read_shard
from stellwerk.jobs.data.digest import ContentDigest, schema_of
from stellwerk.jobs.data.files.schema import cast
from stellwerk.jobs.data.shards import schema as common
from stellwerk.text import personal as personal_data

if TYPE_CHECKING:
    from stellwerk.store.store import Store

# Statistics stand in the log of a Delta table, where an erasure would have to find them; these hold nothing personal.
STATISTICS = "language_score,words"
ROWS = 8192


def finished(
    documents: pa.Table,
    normalised: pa.Table,
    scores: pa.Table,
    personal: pa.Table,
    copies: pa.Table,
    ledger: pa.Table,
    *,
    action: str,
) -> pa.Table:
    """Kernel: the rows of a shard that stay, as they stand in the dataset."""
    there = pc.not_equal(ledger["decision"], "dropped")
    columns: dict[str, Any] = {}
    for name in documents.column_names:
        # A table without texts keeps null, so that "no text" and "empty text" stay apart.
        column = normalised["text"] if name == "text" and documents["text"].null_count < documents.num_rows else documents[name]
        if action == "mask" and personal.num_rows:
            column = _masked(column, personal.filter(pc.equal(personal["column"], name)))
        columns[name] = column.filter(there)
    for name in ("language", "language_score", "words"):
        columns[name] = scores[name].filter(there)
    columns["split"] = ledger["split"].filter(there)
    columns["cluster"] = copies["cluster"].filter(there)
    return pa.table(columns)


def write_table(store: Store, shards: Sequence[str], name: str) -> tuple[str, dict[str, str], str, int]:
    """Write shards as one Delta table.

    Args:
        store: holds the shards, and the table.
        shards: finished shards, in order.
        name: of the dataset.

    Returns:
        The table's reference, its schema, the digest of its content, and its rows.
    """
    from deltalake import WriterProperties, write_deltalake

    schema = common([store.path(shard) for shard in shards])
    digest = ContentDigest(schema)

    def batches() -> Iterator[pa.RecordBatch]:
        for shard in shards:
            table = cast(read_shard(store.path(shard)), schema)
            digest.update(table)
            yield from table.to_batches(max_chunksize=ROWS)

    with store.partial() as folder:
        reader = pa.RecordBatchReader.from_batches(schema, batches())
        # Small row groups: readers hold a whole one in memory.
        properties = WriterProperties(compression="ZSTD", max_row_group_size=ROWS)
        configuration = {"delta.dataSkippingStatsColumns": STATISTICS}
        write_deltalake(str(folder), reader, configuration=configuration, writer_properties=properties)
        reference = store.put_table(folder, f"dataset/{name}/{digest.hexdigest()[:32]}")
    return reference, schema_of(schema), digest.hexdigest(), digest.rows


def _masked(column: pa.ChunkedArray, findings: pa.Table) -> pa.ChunkedArray:
    if not findings.num_rows:
        return column
    masked = personal_data.mask(column.combine_chunks(), findings)
    return pa.chunked_array([masked.cast(column.type)])
