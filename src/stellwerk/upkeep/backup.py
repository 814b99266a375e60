"""Backing a workspace up in one file: record, store, spec files and keys.

All tables are read in one view of the record, as JSON Lines that no database owns; then come the artifacts and tables that
those rows refer to, which never change. Rows of the moment stay behind: queue, leases, progress and workers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import JSON, Connection, Table, inspect, select

from stellwerk import __version__
from stellwerk.errors import StellwerkError, UserError
from stellwerk.record import journal, schema, tables
from stellwerk.record.database import Database
from stellwerk.record.record import now
from stellwerk.store.store import TABLE, Store, references
from stellwerk.upkeep import archive
from stellwerk.workspace import FILE, LOCK, Workspace

FORMAT = "stellwerk-backup/1"
SIGNING = "signing-key"
OF_THE_MOMENT = ("queue", "lease", "progress", "worker", "session")
KEPT = tuple(table for table in tables.metadata.sorted_tables if table.name not in OF_THE_MOMENT)
_PAGE = 500
WRITTEN = ("[!.]*/[!.]*.yaml", "[!.]*/[!.]*.prompty", "judges/[!.]*")
_CHUNK = 4 * 1024 * 1024  # bytes of rows in one member


@dataclass
class Saved:
    """What a backup holds.

    Attributes:
        rows: of the record.
        contents: artifacts and tables.
        anchor: head of the journal.
        wanted: the contents that rows refer to, here or not.
    """

    anchor: journal.Anchor
    rows: int = 0
    contents: int = 0
    wanted: set[str] = field(default_factory=set)


def save(workspace: Workspace, database: Database, path: Path, *, with_bytes: bool) -> Saved:
    """Write a backup, whole or not at all.

    Args:
        workspace: what is backed up.
        database: its record, which may be an older one.
        path: where to write it.
        with_bytes: also what lies in the store.

    Raises:
        UserError: the file cannot be written, or the record cannot be read.
    """
    with archive.writing(path) as writer, database.reading() as connection:
        found = Saved(journal.head(connection))
        head = {"seq": found.anchor.seq, "hash": found.anchor.hash, "revision": schema.revision(connection)}
        manifest = {"format": FORMAT, "stellwerk": __version__, "at": now(), "bytes": with_bytes, **head}
        writer.add("manifest.json", journal.canonical(manifest))
        for name, file in _files(workspace):
            writer.add_file(name, file)
        there = set(inspect(connection).get_table_names())
        try:
            for table in KEPT:
                if table.name in there:
                    _save_rows(writer, connection, table, found)
        except journal.UNREADABLE:
            raise StellwerkError(
                "the record holds a row that cannot be read; see which with: stellwerk record verify"
            ) from None
        if with_bytes:
            _save_contents(writer, workspace.store, found)
    return found


def _files(workspace: Workspace) -> Iterator[tuple[str, Path]]:
    """The files that people wrote, the lock, and the keys: of tokens, and that which signs releases where there is one."""
    yield "key", workspace.state / "key"
    if (workspace.state / SIGNING).is_file():
        yield SIGNING, workspace.state / SIGNING
    root = workspace.root
    written = {path for pattern in WRITTEN for path in root.glob(pattern)}
    for path in (root / FILE, root / LOCK, root / ".gitignore", *sorted(written)):
        if path.is_file() and not path.is_symlink() and not path.parent.is_symlink():
            yield f"workspace/{path.relative_to(root).as_posix()}", path


def _save_rows(writer: archive.Writer, connection: Connection, table: Table, found: Saved) -> None:
    """Write a table as members of some MiB, and note what its rows refer to."""
    free = [column.name for column in table.columns if isinstance(column.type, JSON)]
    lines, size, part = [], 0, 0
    query = select(table).order_by(*table.primary_key.columns).execution_options(yield_per=_PAGE)
    for row in connection.execute(query).mappings():
        found.rows += 1
        for name in free:
            found.wanted.update(references(row[name]))
        lines.append(journal.canonical(dict(row)))
        size += len(lines[-1])
        if size >= _CHUNK:
            writer.add(f"record/{table.name}/{part}.jsonl", b"\n".join(lines))
            lines, size, part = [], 0, part + 1
    if lines:
        writer.add(f"record/{table.name}/{part}.jsonl", b"\n".join(lines))


def _save_contents(writer: archive.Writer, store: Store, found: Saved) -> None:
    """Write what rows refer to and the store holds; what was cleared up or erased before is not there."""
    for reference, _, _ in store.artifacts():
        if reference in found.wanted:
            found.contents += _save_artifact(writer, store, reference)
    for reference, _, _ in store.tables():
        if reference in found.wanted:
            folder = store.table(reference)
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                if not writer.add_file(f"tables/{reference.removeprefix(TABLE)}//{file.relative_to(folder).as_posix()}", file):
                    raise UserError(f"{reference} was removed during the backup; give the command again")
            found.contents += 1


def _save_artifact(writer: archive.Writer, store: Store, reference: str) -> bool:
    try:
        return writer.add_file(f"artifacts/{reference}", store.path(reference))
    except StellwerkError:
        return False  # cleared up in this moment
