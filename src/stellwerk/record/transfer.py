"""Carrying evidence from one record to another as a file.

An export is gzipped JSON Lines: a header with the anchor of the record that it came from, then every journaled row, then a
digest of it all. Names of persons stay behind. Rows that a record already has are left as they are; versions are matched by
content and numbered anew where a number is taken; only the mark of an erasure goes over to versions that are here already.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Connection, Table, func, select
from sqlalchemy.exc import SQLAlchemyError

from stellwerk.errors import UserError
from stellwerk.record import journal, tables
from stellwerk.record.connecting import RecordUnreachable
from stellwerk.record.record import Record, Transaction, now, version_id

FORMAT = "stellwerk-record/1"


@dataclass(frozen=True)
class Transfer:
    """What an export or import moved.

    Attributes:
        rows: in all.
        new: rows that were new here.
        anchor: of the record that they came from.
        erasures: those that were new here. Their tombstones rest on the key of another workspace, so builds here cannot tell
            which documents they concern.
        tainted: versions that were here and are tainted now.
    """

    rows: int
    new: int
    anchor: journal.Anchor
    erasures: int = 0
    tainted: int = 0


def export(record: Record, path: Path) -> Transfer:
    """Write all journaled rows to a file, whole or not at all."""
    digest, rows = hashlib.sha256(), 0
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with record.database.reading() as connection:
            anchor = journal.head(connection)
            header = {"format": FORMAT, "seq": anchor.seq, "hash": anchor.hash, "at": now()}
            with partial.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as packed:
                for line in _lines(connection, header):
                    digest.update(line)
                    packed.write(line)
                    rows += 1
                packed.write(journal.canonical({"sha256": digest.hexdigest()}) + b"\n")
        partial.replace(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)
    return Transfer(rows - 1, 0, anchor)


def import_(record: Record, path: Path, person: str) -> Transfer:
    """Take in the rows of an exported file that this record does not have yet, all or none.

    Raises:
        UserError: the file is no export, is damaged, or was changed.
    """
    header, rows = _read(path)
    try:
        anchor = journal.Anchor(header["seq"], header["hash"], path.name)
        with record.writing(person) as transaction:
            taken = Counter(name for name, row in _ordered(rows) if _take(transaction, name, row))
            tainted = _taint(transaction, rows)
    except RecordUnreachable:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, SQLAlchemyError):
        raise UserError(f"{path}: its rows do not fit together, so nothing was imported; export it again") from None
    return Transfer(len(rows), taken.total(), anchor, taken["erasure"], tainted)


def _ordered(rows: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows so that none comes before one that it names, and versions by their number."""
    places = {table.name: place for place, table in enumerate(tables.JOURNALED)}
    yield from sorted(rows, key=lambda entry: (places[entry[0]], entry[1]["number"] if entry[0] == "version" else 0))


def _lines(connection: Connection, header: dict[str, Any]) -> Iterator[bytes]:
    yield journal.canonical(header) + b"\n"
    for table in tables.JOURNALED:
        for row in connection.execute(select(table).order_by(table.c.id)).mappings():
            yield journal.canonical({"table": table.name, "row": dict(row)}) + b"\n"


def _read(path: Path) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
    broken = UserError(f"{path}: this is not a whole export of a record; export it again with: stellwerk record export")
    try:
        content = gzip.decompress(path.read_bytes())
        lines = io.BytesIO(content).readlines()
        header, last = json.loads(lines[0]), json.loads(lines[-1])
        entries = [json.loads(line) for line in lines[1:-1]]
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    except (OSError, EOFError, ValueError, IndexError, RecursionError, zlib.error):
        raise broken from None
    if not isinstance(header, dict) or header.get("format") != FORMAT or not isinstance(last, dict):
        raise broken
    if last.get("sha256") != hashlib.sha256(b"".join(lines[:-1])).hexdigest():
        raise UserError(f"{path}: its content does not match its own digest: it was changed after the export")
    try:
        return header, [(entry["table"], entry["row"]) for entry in entries]
    except (TypeError, KeyError):
        raise broken from None


def _take(transaction: Transaction, name: str, row: dict[str, Any]) -> int:
    table = tables.metadata.tables[name]
    connection = transaction.connection
    if connection.execute(select(table.c.id).where(table.c.id == row["id"])).first():
        return 0
    check_columns(table, row)
    if name == "version":
        _check_identity(connection, row)
        taken = select(func.max(table.c.number)).where(table.c.asset == row["asset"])
        highest = connection.execute(taken).scalar() or 0
        same = select(table.c.id).where(table.c.asset == row["asset"], table.c.number == row["number"])
        row = {**row, "number": highest + 1 if connection.execute(same).first() else row["number"]}
    if name == "alias":
        same = select(table.c.id).where(table.c.asset == row["asset"], table.c.name == row["name"])
        if connection.execute(same).first():
            return 0
    transaction.insert(table, **row)
    return 1


def _taint(transaction: Transaction, rows: Iterable[tuple[str, dict[str, Any]]]) -> int:
    """Taint the versions that were here already and are tainted there; a mark that a version has stays."""
    marked, version, erasure = 0, tables.version, tables.erasure
    for name, row in rows:
        if name != "version" or row["tainted"] is None:
            continue
        if not transaction.connection.execute(select(erasure.c.id).where(erasure.c.id == row["tainted"])).first():
            raise ValueError("a mark without its erasure")
        clear = select(version.c.id).where(version.c.id == row["id"], version.c.tainted.is_(None))
        if transaction.connection.execute(clear).first():
            transaction.update(version, row["id"], tainted=row["tainted"])
            marked += 1
    return marked


def check_columns(table: Table, row: dict[str, Any]) -> None:
    """Check a row that comes from a file; SQLite would take a text for a number.

    Raises:
        ValueError: it has other columns.
        TypeError: a value has another type than its column.
    """
    if row.keys() != set(table.c.keys()):
        raise ValueError(f"columns of {table.name}")
    for column in table.columns:
        value = row[column.name]
        free = isinstance(column.type, JSON) or (value is None and column.nullable)
        if not free and not isinstance(value, column.type.python_type):
            raise TypeError(f"{table.name}.{column.name}")


def _check_identity(connection: Connection, row: dict[str, Any]) -> None:
    """A version is named by its content, so its id and digest must be those of the identity that it states."""
    asset = connection.execute(select(tables.asset).where(tables.asset.c.id == row["asset"])).one()
    digest = hashlib.sha256(journal.canonical(row["identity"])).hexdigest()
    if (row["id"], row["digest"]) != (version_id(asset.kind, asset.name, row["identity"]), digest):
        raise ValueError("identity of a version")
