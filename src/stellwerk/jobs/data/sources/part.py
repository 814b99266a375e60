"""What a reading step leaves behind: shards, the types that their texts allow, schemas, and what could not be read.

A part is JSON, for it is the outcome of a remembered step. It knows neither files nor databases.
"""

from __future__ import annotations

import base64
import functools
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from stellwerk.engine.engine import write_shard
from stellwerk.jobs.data.files import infer
from stellwerk.jobs.data.files.schema import cast, facts_of, settle, unify
from stellwerk.jobs.data.files.shapes import Unreadable

if TYPE_CHECKING:
    from stellwerk.run import Run

SHARD_BYTES = 8 * 2**20
MOST_NOTES = 1000

Part = dict[str, Any]


class Gathering:
    """Collects the tables of a reading step into shards of about the same size."""

    def __init__(self, run: Run, look_at_texts: bool = True) -> None:
        self._run = run
        self._look = look_at_texts
        self._pending: list[pa.Table] = []
        self._shards: list[str] = []
        self._schemas: list[pa.Schema] = []
        self._stats: infer.TypeStats = {}
        self._unreadable: list[Unreadable] = []
        self._notes: list[str] = []
        self.rows = 0

    def add(self, piece: pa.Table | Unreadable, name: str) -> None:
        """Take the next table, or what could not be read.

        Args:
            piece: of a reader.
            name: what notes of the reader are about.
        """
        self._run.check()
        if isinstance(piece, Unreadable):
            self._unreadable.append(piece)
            return
        if self._look:
            infer.collect([piece], self._stats)
        self._schemas.append(piece.schema)
        self._notes += [f"{name} {note}" for note in facts_of(piece).notes] if facts_known(piece) else []
        self._pending.append(piece)
        self.rows += piece.num_rows
        if sum(table.nbytes for table in self._pending) > SHARD_BYTES:
            self._flush()

    def met(self, rules: Sequence[str]) -> bool:
        """Whether something could not be read for one of these reasons."""
        return any(entry.rule in rules for entry in self._unreadable)

    def note(self, sentence: str) -> None:
        """Keep a sentence on what was guessed or left out."""
        self._notes.append(sentence)

    def part(self, **more: Any) -> Part:
        """What was gathered, as the outcome of a step."""
        if self._pending:
            self._flush()
        return {
            "shards": self._shards,
            "stats": {name: asdict(column) for name, column in self._stats.items()},
            "schemas": [as_text(unify(self._schemas))] if self._schemas else [],
            "unreadable": self._kept_unreadable(),
            "notes": list(dict.fromkeys(self._notes))[:MOST_NOTES],
            **more,
        }

    def _flush(self) -> None:
        schema = unify([table.schema for table in self._pending])
        self._shards.append(write_shard(self._run.store, pa.concat_tables([cast(table, schema) for table in self._pending])))
        self._pending.clear()

    def _kept_unreadable(self) -> str | None:
        if not self._unreadable:
            return None
        columns = {name: [getattr(entry, name) for entry in self._unreadable] for name in ("origin", "reason", "rule")}
        table = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
        return write_shard(self._run.store, table)


def facts_known(table: pa.Table) -> bool:
    """Whether a reader left facts with a table; a database has none."""
    from stellwerk.jobs.data.files.schema import FACTS

    return FACTS in (table.schema.metadata or {})


def schema_of_all(parts: Sequence[Part]) -> pa.Schema:
    """The schema that holds the rows of all parts."""
    return settle(unify([from_text(text) for part in parts for text in part["schemas"]]))


def stats_of_all(parts: Sequence[Part]) -> infer.TypeStats:
    """What is known of the texts of all parts."""
    columns = [{name: infer.ColumnStats(**column) for name, column in part["stats"].items()} for part in parts]
    return functools.reduce(infer.merge, columns) if columns else {}


def unreadable_of_all(parts: Iterable[Part]) -> list[str]:
    """References of what could not be read."""
    return [part["unreadable"] for part in parts if part["unreadable"]]


def notes_of_all(parts: Iterable[Part]) -> list[str]:
    """The notes of all parts, each once."""
    return sorted({note for part in parts for note in part["notes"]})


def as_text(schema: pa.Schema) -> str:
    """An Arrow schema as JSON can hold it."""
    return base64.b64encode(schema.remove_metadata().serialize().to_pybytes()).decode()


def from_text(text: str) -> pa.Schema:
    """An Arrow schema out of its text."""
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))
