"""Writing a dataset version: the kept documents, masked, as one Delta table that is moved to its place when it is whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stellwerk.engine.engine import read_shard
from stellwerk.jobs.data.digest import ContentDigest, schema_of
from stellwerk.jobs.data.files.schema import cast
from stellwerk.jobs.data.shards import schema as common
from stellwerk.text import personal as personal_data

if TYPE_CHECKING:
    from stellwerk.store.store import Store

# Statistics stand in the log of a Delta table, where an erasure would have to find them; these hold nothing personal.
STATISTICS = ("language_score", "words")
FILE = "part-00000.parquet"
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
    """Write shards as one Delta table of one file.

    Args:
        store: holds the shards, and the table.
        shards: finished shards, in order.
        name: of the dataset.

    Returns:
        The table's reference, its schema, the digest of its content, and its rows.
    """
    schema = common(store.paths(shards))
    # Where a row was read is no part of what the dataset says.
    places = [place for place, name in enumerate(schema.names) if name != "origin"]
    digest = ContentDigest(pa.schema([schema.field(place) for place in places]))
    with store.partial() as folder:
        folder.mkdir()
        file = folder / FILE
        # Delta's own writer deals batches out to several hands and loses the order of the rows.
        with pq.ParquetWriter(file, schema, compression="zstd", write_statistics=list(STATISTICS)) as writer:
            for shard in shards:
                table = cast(read_shard(store.path(shard)), schema)
                digest.update(table.select(places))
                # Small row groups: readers hold a whole one in memory.
                writer.write_table(table, row_group_size=ROWS)
        _commit(folder, schema, digest.rows)
        reference = store.put_table(folder, f"dataset/{name}/{digest.hexdigest()[:32]}")
    return reference, schema_of(schema), digest.hexdigest(), digest.rows


def _commit(folder: Path, schema: pa.Schema, rows: int) -> None:
    """Make the file in a folder a Delta table."""
    from deltalake import Schema
    from deltalake.transaction import AddAction, create_table_with_add_actions

    stats = json.dumps({"numRecords": rows})
    action = AddAction(FILE, (folder / FILE).stat().st_size, {}, 0, True, stats)
    configuration = {"delta.dataSkippingStatsColumns": ",".join(STATISTICS)}
    create_table_with_add_actions(str(folder), Schema.from_arrow(schema), [action], configuration=configuration)


def _masked(column: pa.ChunkedArray, findings: pa.Table) -> pa.ChunkedArray:
    """Texts with the names of the kinds in place of what was found; a number has no room for a name, so it is missing."""
    if not findings.num_rows:
        return column
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        found = np.zeros(len(column), np.bool_)
        found[findings["row"].to_numpy()] = True
        return pc.if_else(pa.array(found), pa.scalar(None, column.type), column)
    masked = personal_data.mask(column.combine_chunks(), findings)
    return pa.chunked_array([masked.cast(column.type)])
