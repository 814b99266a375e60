"""The journal: a hash chain over every write to the record.

Each entry holds the digest of the row as it stands after the write, never its content, so a person's data can be erased
without breaking the chain. A chain cannot show that its own tail was cut: that shows only against an *anchor*, the head of
the journal as noted elsewhere (lock file, export, release).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Float, Integer, String, Table, inspect, select, update

from stellwerk.record import tables

START = "0" * 64
PAGE = 500
UNREADABLE = (ValueError, TypeError, RecursionError)
_NO_TEXT = re.compile("[\0\ud800-\udfff]")  # PostgreSQL holds no NUL in a text, and neither database half a character


@dataclass(frozen=True)
class Anchor:
    """The head of the journal at some time: the number of its last entry, and that entry's hash."""

    seq: int
    hash: str
    place: str = "the record itself"


def row_digest(table: Table, row: Mapping[str, Any]) -> str:
    """SHA-256 of a row in canonical JSON: all columns by name, null where nothing is said."""
    values = {column.name: row.get(column.name) for column in table.columns}
    return hashlib.sha256(canonical(values)).hexdigest()


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no blanks; the same bytes for the same value on every machine."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    # Names of files that are not UTF-8 hold lone surrogates.
    return text.encode(errors="surrogatepass")


def plain(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row exactly as the database will give it back: floats as floats, JSON after one round trip."""
    found: dict[str, Any] = {}
    for column in table.columns:
        value = row.get(column.name)
        if isinstance(column.type, Float) and value is not None:
            value = float(value) + 0.0  # SQLite keeps no negative zero
        elif isinstance(column.type, Integer) and value is not None:
            value = int(value)
        elif isinstance(column.type, String) and isinstance(value, str):
            value = _NO_TEXT.sub("\ufffd", value)
        elif isinstance(value, dict | list | tuple):
            value = json.loads(canonical(value))
        found[column.name] = value
    return found


def head(connection: Connection) -> Anchor:
    """The last entry of the journal."""
    row = connection.execute(select(tables.journal_head)).one()
    return Anchor(row.seq, row.hash)


def append(connection: Connection, person: str, at: str, entries: Iterable[tuple[Table, Mapping[str, Any]]]) -> None:
    """Add one entry for each row that a transaction wrote."""
    last = head(connection)
    seq, previous = last.seq, last.hash
    written = []
    for table, row in entries:
        seq += 1
        entry = {
            "seq": seq,
            "at": at,
            "subject": table.name,
            "key": row["id"],
            "digest": row_digest(table, row),
            "person": person,
            "previous": previous,
        }
        previous = entry["hash"] = _hash(entry)
        written.append(entry)
    if written:
        connection.execute(tables.journal.insert(), written)
        connection.execute(update(tables.journal_head).values(seq=seq, hash=previous))


def verify(connection: Connection, anchors: Iterable[Anchor] = ()) -> Iterator[str]:
    """Say, a sentence each, what was changed, reordered, added or removed behind the record's back.

    Args:
        connection: a view of the record.
        anchors: heads of the journal that were noted elsewhere.
    """
    latest: dict[tuple[str, str], str] = {}
    hashes: dict[int, str] = {}
    expected, previous = 1, START
    for row in connection.execute(select(tables.journal).order_by(tables.journal.c.seq)).mappings():
        entry = dict(row)
        seq = entry["seq"]
        if seq < expected:
            yield f"journal: entry {seq} was added before the first"
        elif seq != expected:
            gap = f"entry {expected} was" if seq == expected + 1 else f"entries {expected} to {seq - 1} were"
            yield f"journal: {gap} removed"
        elif entry["previous"] != previous:
            yield f"journal: entry {seq} does not follow entry {seq - 1}: one of them was changed or moved"
        if _hash(entry) != entry["hash"]:
            yield f"journal: entry {seq} ({entry['subject']} {entry['key']}) was changed or moved"
        expected, previous = max(seq + 1, 1), entry["hash"]
        hashes[seq] = previous
        latest[entry["subject"], entry["key"]] = entry["digest"]
    heads = [Anchor(row.seq, row.hash) for row in connection.execute(select(tables.journal_head))]
    if len(heads) != 1:
        yield f"journal: it has {len(heads)} heads, expected one: one was removed or added"
    yield from _heads(heads, hashes, anchors)
    yield from _rows(connection, latest)


def _heads(own: Iterable[Anchor], hashes: Mapping[int, str], anchors: Iterable[Anchor]) -> Iterator[str]:
    end = max(hashes, default=0)
    for anchor in (*own, *anchors):
        if anchor.seq and anchor.seq not in hashes:
            yield f"journal: it ends at entry {end}, but {anchor.place} knows entry {anchor.seq}: its tail was cut"
        elif anchor.seq and hashes[anchor.seq] != anchor.hash:
            yield f"journal: entry {anchor.seq} is not the one that {anchor.place} knows: the journal was written anew"
    for anchor in own:
        if end > anchor.seq:
            yield f"journal: it goes on after entry {anchor.seq}, which is its head: entries were added"
        elif not anchor.seq and anchor.hash != START:
            yield "journal: its head was changed"


def _rows(connection: Connection, latest: dict[tuple[str, str], str]) -> Iterator[str]:
    there = set(inspect(connection).get_table_names())
    for table in (table for table in tables.JOURNALED if table.name in there):  # an older record may lack the newest
        for key, digest in _digests(connection, table):
            known = latest.pop((table.name, key), None)
            if known is None:
                yield f"{table.name} {key}: the row was added without the journal"
            elif known != digest:
                yield f"{table.name} {key}: the row was changed"
    for name, key in latest:
        yield f"{name} {key}: the row was removed"


def _digests(connection: Connection, table: Table) -> Iterator[tuple[str, str | None]]:
    """The id and digest of each row; no digest for a row that cannot even be read, so that it was not written here."""
    keys = list(connection.execute(select(table.c.id)).scalars())
    for start in range(0, len(keys), PAGE):
        page = keys[start : start + PAGE]
        try:
            rows = connection.execute(select(table).where(table.c.id.in_(page))).mappings().all()
            found = {row["id"]: row_digest(table, dict(row)) for row in rows}
        except UNREADABLE:
            found = {}
            for key in page:
                with suppress(*UNREADABLE):
                    row = connection.execute(select(table).where(table.c.id == key)).mappings().one()
                    found[key] = row_digest(table, dict(row))
        yield from ((key, found.get(key)) for key in page)


def _hash(entry: Mapping[str, Any]) -> str:
    fields = ("previous", "seq", "at", "subject", "key", "digest", "person")
    return hashlib.sha256("\n".join(str(entry[field]) for field in fields).encode()).hexdigest()
