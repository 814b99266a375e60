"""Reads from the store what a build made of documents: the ledger's decision, the text, what was found in it.

Reads one shard at a time and keeps only documents that are asked for or that a step touched. Does not judge.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from stellwerk.engine.engine import read_shard

if TYPE_CHECKING:
    from stellwerk.record.record import Version
    from stellwerk.store.store import Store

SCORES: Final = ("words", "language", "language_score", "incomplete_end")
PARTS: Final = ("documents", "normalised", "scores", "personal", "ledger")
KNOWN: Final = ("doc_id", "source", "origin", "text")
JOINED: Final = ("model", "segment")  # columns that the database adds to a ticket


@dataclass(frozen=True)
class Finding:
    """Personal data that the scan found; a place in a column, never the value."""

    column: str
    kind: str
    start: int
    end: int
    score: float
    evidence: str


@dataclass(frozen=True)
class Document:
    """One document after the build, or what could not become one.

    Attributes:
        text: normalised and not masked; empty for what could not be read.
        missing: the joined columns that have no value.
        cells: the texts of the other columns.
    """

    doc: str
    dataset: str
    text: str
    dropped: bool
    step: str | None
    rule: str | None
    value: str | None
    bound: str | None
    repaired: bool
    scores: dict[str, Any]
    findings: tuple[Finding, ...]
    missing: tuple[str, ...] = ()
    cells: dict[str, str] = field(default_factory=dict)


def documents(store: Store, version: Version, wanted: set[str]) -> Iterator[Document]:
    """The documents of a dataset version that are wanted, dropped, repaired, or hold personal data.

    Args:
        store: holds the shards.
        version: of a dataset, as `data build` made it.
        wanted: ids of documents to return in any case.

    Yields:
        Documents in the order of the dataset, then the rows and files that could not be read.
    """
    for places in zip(*(version.content[part] for part in PARTS), strict=False):
        tables = {part: read_shard(store.path(place)) for part, place in zip(PARTS, places, strict=True)}
        yield from _of_shard(tables, version.name, wanted)
    for place in version.content["ledger"][len(version.content["documents"]) :]:
        for row in read_shard(store.path(place)).to_pylist():
            yield Document(row["doc_id"], version.name, "", True, row["step"], row["rule"], None, None, False, {}, ())


def _of_shard(tables: dict[str, pa.Table], dataset: str, wanted: set[str]) -> Iterator[Document]:
    ledger, normalised = tables["ledger"], tables["normalised"]
    findings = _findings(tables["personal"])
    documents = tables["documents"]
    ids = documents["doc_id"]
    joined = JOINED if set(JOINED) <= set(documents.column_names) else ()
    touched = pc.or_(pc.equal(ledger["decision"], "dropped"), pc.greater(normalised["mojibake"], 0))
    for name in joined:
        touched = pc.or_(touched, pc.is_null(documents[name]))
    asked = pc.is_in(ids, value_set=pa.array(sorted(wanted), pa.string()))
    rows = sorted({*pc.indices_nonzero(pc.or_(touched, asked)).to_pylist(), *findings})
    places = pa.array(rows, pa.int64())
    decided = ledger.take(places).to_pylist()
    scores = tables["scores"].select(list(SCORES)).take(places).to_pylist()
    edited = normalised.select(["text", "mojibake"]).take(places).to_pylist()
    held = documents.take(places).to_pylist()
    for row, cells, entry, score, edit in zip(rows, held, decided, scores, edited, strict=True):
        found = tuple(findings.get(row, ()))
        yield Document(
            cells["doc_id"],
            dataset,
            edit["text"],
            entry["decision"] == "dropped",
            entry["step"],
            entry["rule"],
            entry["value"],
            entry["bound"],
            edit["mojibake"] > 0,
            score,
            found,
            tuple(name for name in joined if cells[name] is None),
            {name: value for name, value in cells.items() if isinstance(value, str) and name not in KNOWN},
        )


def _findings(personal: pa.Table) -> dict[int, list[Finding]]:
    found: dict[int, list[Finding]] = {}
    names = ("column", "kind", "start", "end", "score", "evidence")
    for row in personal.to_pylist():
        found.setdefault(row["row"], []).append(Finding(*(row[name] for name in names)))
    return found
