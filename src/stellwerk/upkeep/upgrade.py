"""Bringing a record that an older Stellwerk made to the tables of this one, in one transaction and after a backup."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, select

from stellwerk.errors import StellwerkError
from stellwerk.record import journal, schema, tables
from stellwerk.record.database import Database
from stellwerk.upkeep import backup
from stellwerk.upkeep.gc import refuse_at_work
from stellwerk.workspace import Workspace


@dataclass(frozen=True)
class Upgraded:
    """From which revision of the tables to which, where the backup is, and what verify says before and after alike."""

    before: str
    after: str
    backup: Path | None
    problems: list[str]


def bring_up(workspace: Workspace, file: Path | None) -> Upgraded:
    """Upgrade a workspace's record.

    Args:
        workspace: whose record it is.
        file: where the backup goes; beside the workspace if left out.

    Raises:
        UserError: a run is being worked on, or the backup cannot be written.
        StellwerkError: the journal did not verify as before, so that nothing was changed.
    """
    database = workspace.database("upgrade")
    try:
        if database.revision == schema.HEAD:
            return Upgraded(schema.HEAD, schema.HEAD, None, [])
        with database.writing() as connection:
            schema.lock(connection, database.schema)
            return _bring_up(workspace, database, connection, file)
    finally:
        database.close()


def _bring_up(workspace: Workspace, database: Database, connection: Connection, file: Path | None) -> Upgraded:
    before = schema.revision(connection)
    assert before is not None
    if before == schema.HEAD:  # by another process, in this moment
        return Upgraded(before, before, None, [])
    refuse_at_work(connection, "upgrade")
    anchors = [journal.Anchor(*noted, "stellwerk.lock")] if (noted := _anchor(workspace, connection)) else []
    problems = list(journal.verify(connection, anchors))
    place = file or _beside(workspace, before)
    backup.save(workspace, database, place, with_bytes=False)
    schema.migrate(connection)
    if list(journal.verify(connection, anchors)) != problems:
        raise StellwerkError(f"the journal at {database.place} did not verify as before, so nothing was changed; see {place}")
    return Upgraded(before, schema.HEAD, place, problems)


def _anchor(workspace: Workspace, connection: Connection) -> tuple[int, str] | None:
    """The anchor of the lock file, if it is this record's."""
    record = connection.execute(select(tables.journal_head.c.record)).scalar()
    noted = workspace.lock().get("anchor")
    if not isinstance(noted, dict) or noted.get("record") != record:
        return None
    return int(noted["seq"]), str(noted["hash"])


def _beside(workspace: Workspace, revision: str) -> Path:
    at = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    return workspace.root.parent / f"{workspace.root.name}-{revision}-{at}.backup"
