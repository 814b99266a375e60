"""Tombstones: which documents were erased, so that no later build brings them back from their source.

A tombstone is a keyed hash of a document's id within its dataset. It tells nobody who it was, and nobody without the key of
the workspace can ask it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from stellwerk.engine.engine import read_shard, write_shard
from stellwerk.jobs.data import ledger, shards
from stellwerk.record import tables

if TYPE_CHECKING:
    from stellwerk.run import Run

GONE = "erased"


def token(run: Run, dataset: str, document: str) -> str:
    """The tombstone of a document."""
    return run.workspace.keyed(f"{dataset}\0{document}")


def forget(run: Run, dataset: str, documents: list[str]) -> tuple[list[str], list[str]]:
    """Leave out the documents that were erased before and that the sources still bring.

    Returns:
        The shards without them, and shards of the ledger that say how many there were.
    """
    tokens = sorted(row["token"] for row in run.record.rows(tables.tombstone))
    if not tokens:
        return documents, []
    found = run.step("erased", left_out, dataset=dataset, documents=documents, tokens=tokens)
    return found["documents"], found["stones"]


def left_out(run: Run, *, dataset: str, documents: list[str], tokens: list[str]) -> dict[str, Any]:
    """Step: shards without erased documents; a shard that holds none stays as it is."""
    wanted = set(tokens)
    left, stones = [], []
    for shard in documents:
        there = staying(run, dataset, shard, wanted)
        if all(there):
            left.append(shard)
            continue
        table, mask = read_shard(run.store.path(shard)), pa.array(there)
        stones.append(write_shard(run.store, stones_of(table["source"].filter(pa.array([not stays for stays in there])))))
        left.append(write_shard(run.store, table.filter(mask)))
    return {"documents": left, "stones": stones}


def staying(run: Run, dataset: str, shard: str, tokens: set[str]) -> list[bool]:
    """For each document of a shard, whether it has no tombstone."""
    names = shards.columns(run.store.path(shard), "doc_id")["doc_id"].to_pylist()
    return [token(run, dataset, name) not in tokens for name in names]


def stones_of(sources: Sequence[Any]) -> pa.Table:
    """The ledger's rows of documents that are gone: that there was one, from which source, and no more."""
    n = len(sources)
    columns = {name: pa.nulls(n, pa.string()) for name in ledger.SCHEMA.names}
    said = {"doc_id": GONE, "decision": "dropped", "step": "erase", "rule": GONE}
    columns |= {name: pa.array([value] * n, pa.string()) for name, value in said.items()}
    return pa.table({**columns, "source": sources}, schema=ledger.SCHEMA)
