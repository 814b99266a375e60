"""Restoring a workspace from a backup, on either database: all of it, or nothing.

Everything is put into a folder beside its place, rows into one transaction; when the file has shown to be whole, the journal
to verify and every artifact to have its SHA-256, the transaction is committed and the folder moved to its place.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import yaml
from sqlalchemy import Connection, delete, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from stellwerk.errors import StellwerkError, UserError
from stellwerk.record import journal, schema, tables, transfer
from stellwerk.record.connecting import RecordUnreachable
from stellwerk.record.database import Database
from stellwerk.upkeep import archive, backup
from stellwerk.workspace import FILE, Workspace, record_setting

Members = Generator[tuple[str, IO[bytes]], None, None]

_ROWS = re.compile(r"record/(\w+)/\d+\.jsonl")
_FILE = re.compile(r"workspace/((?:[^/.][^/]*/)?(?:\.gitignore|[^/.][^/]*))")
_ARTIFACT = re.compile(r"artifacts/(sha256:[0-9a-f]{64})")
_TABLE = re.compile(r"tables/((?:[\w-][\w.-]*/)*[\w-][\w.-]*)//((?:\w[\w.-]*/)*\w[\w.-]*)")
_TABLES = {table.name: table for table in backup.KEPT}


@dataclass
class Restored:
    """What was put back."""

    anchor: journal.Anchor
    rows: int = 0
    contents: int = 0
    with_bytes: bool = True


def load(path: Path, folder: Path, record: str | None, schema_name: str | None = None) -> Restored:
    """Make a workspace of a backup.

    Args:
        path: the backup.
        folder: where the workspace is to be; absent, or empty.
        record: address of an empty database for the record; a file of the workspace if left out.
        schema_name: of PostgreSQL, for the record.

    Raises:
        UserError: the file is no whole backup, or there is something at the folder or in the database already.
    """
    place = folder.absolute()
    if "%" in str(place):
        raise UserError(f"{folder} has a % in its path, which dataset tables cannot have; choose another folder")
    if place.is_symlink() or (place.exists() and (not place.is_dir() or any(place.iterdir()))):
        raise UserError(f"{folder} is there already; give a folder that is absent or empty")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{place.name}.", suffix=".partial", dir=place.parent))
    except OSError as error:
        raise UserError(f"{folder} cannot be made: {error.strerror}; give a folder of your own") from None
    try:
        with closing(archive.reading(path)) as members:
            return _Restoring(path, members, partial, place, record_setting(record, schema_name)).work()
    finally:
        shutil.rmtree(partial, ignore_errors=True)


class _Restoring:
    """One restoration at work."""

    def __init__(self, path: Path, members: Members, partial: Path, place: Path, setting: str) -> None:
        self.path, self.members, self.root, self.place, self.setting = path, members, partial, place, setting

    def work(self) -> Restored:
        manifest = self._manifest()
        found = Restored(journal.Anchor(manifest["seq"], manifest["hash"], self.path.name), with_bytes=manifest["bytes"])
        rest = self._take_files()
        workspace = Workspace(self.root)
        workspace.store.create()
        database = workspace.database("restore")
        try:
            with database.engine.connect().execution_options(writes=True) as connection, connection.begin():
                self._fill(workspace, database, connection, rest, found)
                self.root.chmod(0o755)
            database.close()
            self._move()
        except RecordUnreachable:
            raise
        except DBAPIError as error:
            raise self._unfit(error) from None
        except SQLAlchemyError:
            raise self._broken() from None
        finally:
            database.close()
        return found

    def _fill(self, workspace: Workspace, database: Database, connection: Connection, rest: Members, found: Restored) -> None:
        schema.create(connection, database.schema)
        connection.execute(delete(tables.journal_head))
        tables_at_work: dict[str, Path] = {}
        for name, file in rest:
            if match := _ROWS.fullmatch(name):
                found.rows += self._take_rows(connection, match[1], file)
            elif match := _ARTIFACT.fullmatch(name):
                self._take_artifact(workspace, match[1], file)
                found.contents += 1
            elif match := _TABLE.fullmatch(name):
                folder = tables_at_work.setdefault(match[1], self.root / ".stellwerk" / "taken" / str(len(tables_at_work)))
                _write(folder / match[2], file)
            else:
                raise self._broken()
        for name, folder in tables_at_work.items():
            workspace.store.put_table(folder, name)
            found.contents += 1
        shutil.rmtree(self.root / ".stellwerk" / "taken", ignore_errors=True)
        self._verify(connection, found.anchor)

    def _manifest(self) -> dict[str, Any]:
        name, file = next(self.members, ("", None))
        with suppress(ValueError):
            found = json.loads(file.read()) if file and name == "manifest.json" else None
            if isinstance(found, dict) and found.get("format") == backup.FORMAT:
                if not isinstance(found.get("seq"), int) or not isinstance(found.get("hash"), str) or "bytes" not in found:
                    raise self._broken()
                if str(found.get("revision")) > schema.HEAD:
                    raise UserError(f"{self.path} was made by a newer Stellwerk; update this one")
                return found
        raise UserError(f"{self.path}: this is no backup of this Stellwerk; make one with: stellwerk backup FILE")

    def _take_files(self) -> Members:
        """Write the workspace's files and its keys; gives the members that follow them, and those after."""
        state = self.root / ".stellwerk"
        state.mkdir(mode=0o700)
        for name, file in self.members:
            if name in ("key", backup.SIGNING):
                _write(state / name, file, 0o600)
            elif match := _FILE.fullmatch(name):
                _write(self.root / match[1], file)
            else:
                break
        else:
            raise self._broken()
        settings = self.root / FILE
        if not settings.is_file() or not (state / "key").is_file():
            raise self._broken()
        settings.write_text(_with_record(settings.read_text(encoding="utf-8"), self.setting), encoding="utf-8")

        def following() -> Members:
            yield name, file
            yield from self.members

        return following()

    def _take_rows(self, connection: Connection, name: str, file: IO[bytes]) -> int:
        table = _TABLES.get(name)
        try:
            rows = [json.loads(line) for line in file.read().splitlines()]
            if table is None or not all(isinstance(row, dict) for row in rows):
                raise self._broken()
            for row in rows:
                transfer.check_columns(table, row)
        except journal.UNREADABLE:
            raise self._broken() from None
        connection.execute(table.insert(), rows)
        return len(rows)

    def _take_artifact(self, workspace: Workspace, reference: str, file: IO[bytes]) -> None:
        with workspace.store.partial() as content:
            _write(content, file)
            if workspace.store.put_file(content) != reference:
                raise UserError(
                    f"{self.path}: {reference[:20]}… is not what was written there: it is damaged; take another copy"
                )

    def _verify(self, connection: Connection, anchor: journal.Anchor) -> None:
        heads = connection.execute(select(tables.journal_head)).all()
        if len(heads) != 1 or (heads[0].seq, heads[0].hash) != (anchor.seq, anchor.hash):
            raise self._broken()
        problem = next(journal.verify(connection, [anchor]), None)
        if problem:
            raise UserError(f"{self.path}: its record does not verify ({problem}), so nothing was restored")

    def _move(self) -> None:
        if (self.root / ".stellwerk" / "record.db").exists():
            (self.root / ".stellwerk" / "record.db").chmod(0o600)
        try:
            self.root.replace(self.place)
        except OSError as error:
            raise StellwerkError(
                f"{self.place} cannot be made: {error.strerror}; remove what was put there meanwhile"
            ) from None

    def _broken(self) -> UserError:
        return UserError(f"{self.path}: its parts do not fit together, so nothing was restored; take another copy of it")

    def _unfit(self, error: DBAPIError) -> StellwerkError:
        kind = type(error.orig).__name__
        return StellwerkError(f"{self.path}: the database does not take what it holds ({kind}), so nothing was restored")


def _write(path: Path, file: IO[bytes], mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as target:
        shutil.copyfileobj(file, target, 1024 * 1024)


def _with_record(text: str, setting: str) -> str:
    """The settings with another place of the record, and the store in the folder: a bucket belongs to one record.

    Comments stay where the file is written as usual.
    """
    plain = re.sub(r"(?m)^(record|store):.*\n?(?:[ \t]+\S.*\n?)*", "", text)
    edited = plain + ("\n" if plain and not plain.endswith("\n") else "") + setting
    wanted = {key: value for key, value in (yaml.safe_load(text) or {}).items() if key not in ("record", "store")}
    with suppress(yaml.YAMLError):
        if yaml.safe_load(edited) == {**wanted, **(yaml.safe_load(setting) or {})}:
            return edited
    return yaml.safe_dump(wanted, allow_unicode=True, sort_keys=False) + setting
