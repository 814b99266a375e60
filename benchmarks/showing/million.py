"""A dataset of a million rows as a build leaves it: its table, ledger and scores in the store, and its version."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from stellwerk.engine.shards import write_shard
from stellwerk.jobs.data import ledger
from stellwerk.jobs.data.spec import DatasetSpec
from stellwerk.jobs.data.write import write_table
from stellwerk.record import tables
from stellwerk.workspace import Workspace

IN_ONE = 50_000  # rows of a shard
WORDS = ("the", "pump", "stands", "still", "since", "monday", "and", "its", "seal", "has", "to", "be", "changed", "so",
         "please", "send", "somebody", "soon")  # fmt: skip
SPEC = {
    "purpose": "Measure pages",
    "owner": "data@example.com",
    "sources": [{"name": "main", "files": "raw/*.jsonl", "text": "text"}],
}


def build(workspace: Workspace, name: str, rows: int) -> None:
    """Make the dataset and its spec file."""
    import yaml

    (workspace.root / "datasets").mkdir(exist_ok=True)
    (workspace.root / "datasets" / f"{name}.yaml").write_text(yaml.safe_dump(SPEC))
    chance = np.random.default_rng(7)
    shards: dict[str, list[str]] = {
        part: [] for part in ("documents", "normalised", "scores", "copies", "personal", "ledger", "finished")
    }
    for start in range(0, rows, IN_ONE):
        for part, table in _shard(chance, start, min(IN_ONE, rows - start)).items():
            shards[part].append(write_shard(workspace.store, table))
    reference, schema, digest, count = write_table(workspace.store, shards["finished"], name)
    tally = ledger.tally(workspace.store.paths(shards["ledger"]))
    content = {"table": reference, **{part: found for part, found in shards.items() if part != "finished"}}
    facts: dict[str, Any] = {
        "spec": DatasetSpec.model_validate(SPEC).model_dump(mode="json"), "rows": count, "counts": tally.model_dump(),
        "languages": {"en": count}, "personal": {"searched": [], "not_searched": [], "counts": {}, "documents": 0},
    }  # fmt: skip
    with workspace.record.writing(workspace.person) as transaction:
        row = transaction.insert(
            tables.run, operation="data.build", parameters={"dataset": name}, snapshots={}, code="c" * 64, state="done",
            person=transaction.person, created=transaction.at, started=transaction.at, finished=transaction.at,
        )  # fmt: skip
        transaction.put_version(
            "dataset", name, identity={"schema": schema, "rows": digest}, facts=facts, content=content, run=row["id"]
        )


def _shard(chance: np.random.Generator, start: int, rows: int) -> dict[str, pa.Table]:
    """The parts of some documents, row by row."""
    numbers = np.arange(start, start + rows)
    words = chance.integers(3, 18, rows)
    text = pa.array([" ".join(WORDS[:count]) + f" {number}" for number, count in zip(numbers, words, strict=True)])
    ids = pa.array([f"main:{number}" for number in numbers])
    said = {
        "doc_id": ids,
        "source": pa.array(["main"] * rows),
        "origin": pa.array([f"raw/main.jsonl#line {n}" for n in numbers]),
    }
    intent = pa.array(chance.choice(["repair", "invoice", "offer"], rows))
    documents = pa.table({**said, "text": text.cast(pa.large_string()), "intent": intent})
    scores = pa.table(
        {"language": pa.array(["en"] * rows), "language_score": chance.random(rows), "words": pa.array(words, pa.int32())}
    )
    empty = pa.nulls(rows, pa.string())
    said_too = {**said, "decision": pa.array(["kept"] * rows), "split": pa.array(["train"] * rows)}
    book = pa.table([said_too.get(name, empty) for name in ledger.SCHEMA.names], schema=ledger.SCHEMA)
    normalised = pa.table({"text": documents["text"]})
    copies = pa.table(
        {"kind": pa.array(["none"] * rows), "kept": empty, "jaccard": pa.nulls(rows, pa.float64()), "cluster": ids}
    )
    personal = pa.table({name: pa.array([], kind) for name, kind in _FOUND.items()})
    finished = documents
    for name in ("language", "language_score", "words"):
        finished = finished.append_column(name, scores[name])
    finished = finished.append_column("split", pa.array(["train"] * rows)).append_column("cluster", ids)
    parts = {"documents": documents, "normalised": normalised, "scores": scores, "copies": copies, "personal": personal}
    return {**parts, "ledger": book, "finished": finished}


_FOUND = {"row": pa.int32(), "column": pa.string(), "kind": pa.string(), "start": pa.int32(), "end": pa.int32()}
