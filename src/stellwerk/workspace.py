"""The workspace: a folder of spec files with its record, store and engine.

Knows where things lie, what a spec file says and on which line, and the lock file. It executes nothing.
"""

from __future__ import annotations

import copy
import functools
import getpass
import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from stellwerk.credentials import resolve, without_password
from stellwerk.errors import UserError
from stellwerk.specfile import parse, read_text

if TYPE_CHECKING:
    from pydantic import BaseModel

    from stellwerk.engine.engine import Engine
    from stellwerk.record.database import Database, Purpose
    from stellwerk.record.record import Record
    from stellwerk.settings import Settings
    from stellwerk.store.store import Store

    Model = TypeVar("Model", bound=BaseModel)

FILE = "stellwerk.yaml"
NAME = re.compile(r"[\w-]{1,100}")  # of a spec and its asset: no sign that a reference, a path or a shell reads otherwise
LOCK = "stellwerk.lock"
KEY_BYTES = 32
STATE = ".stellwerk"
DAMAGED = "this is not what was written there; take the file back from git, or remove it and build again"
HEADER = "# A Stellwerk workspace: what people decide is in the files beside this one, what happened is in the record.\n"


class Workspace:
    """A folder with `stellwerk.yaml`; its record, store and engine open when they are first used.

    Attributes:
        listener: is told how far a run is.
        actor: the name of whoever asks, where a door knows it; else the user of this process.
        authenticated: whether a door has proven that name.
        background: whether runs that an operation starts go to the queue, since whoever asked does not wait for them.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.listener: Callable[[str, float, float | None, str], None] | None = None
        self.actor: str | None = None
        self.authenticated = False
        self.background = False
        if not (self.root / FILE).is_file():
            raise UserError(f"{root} is no workspace, for it has no {FILE}; make one with: stellwerk init {root}")

    @classmethod
    def find(cls, start: Path | None = None) -> Workspace:
        """The workspace that a folder is in: the folder itself or the nearest one above it.

        Raises:
            UserError: there is none.
        """
        start = (start or Path.cwd()).resolve()
        for folder in (start, *start.parents):
            if (folder / FILE).is_file():
                return cls(folder)
        raise UserError(f"{start} is not inside a workspace, a folder with {FILE}; make one with: stellwerk init")

    @classmethod
    def init(cls, root: Path, record: str | None = None, schema: str | None = None) -> Workspace:
        """Make a folder a workspace; what is already there stays as it is.

        Args:
            root: the folder.
            record: address of the record's database, such as postgresql://user@host/name; a file of the workspace if left out.
            schema: of PostgreSQL, for workspaces that share a database.

        Raises:
            UserError: the path is a file, or cannot be written, or its record cannot be made.
        """
        if "%" in str(root.resolve()):
            raise UserError(f"{root} has a % in its path, which dataset tables cannot have; choose another folder")
        state = root / STATE
        content = HEADER + f"name: {json.dumps(root.resolve().name, ensure_ascii=False)}\n" + record_setting(record, schema)
        _check_file(root, content, record)
        try:
            root.mkdir(parents=True, exist_ok=True)
            state.mkdir(mode=0o700, exist_ok=True)
            state.chmod(0o700)
            _write_new(root / FILE, content)
            _ignore_state(root / ".gitignore")
            _write_new(state / "key", secrets.token_hex(KEY_BYTES) + "\n", mode=0o600)
        except (FileExistsError, NotADirectoryError):
            raise UserError(f"{root} is a file; give the folder that is to be the workspace") from None
        except PermissionError as error:
            raise UserError(f"{error.filename} cannot be written; give a folder of your own") from None
        workspace = cls(root)
        workspace.store.create()
        workspace.database("create").close()
        if (state / "record.db").exists():
            (state / "record.db").chmod(0o600)
        return workspace

    def acting(self, actor: str | None, authenticated: bool) -> Workspace:
        """The same workspace, with the same record and store, for a caller of a door that many come through."""
        self.record, self.store  # noqa: B018  (opened once for all callers)
        theirs = copy.copy(self)
        theirs.actor, theirs.authenticated, theirs.background = actor, authenticated, True
        return theirs

    @property
    def state(self) -> Path:
        """The folder of what the product keeps: record, store, key."""
        return self.root / STATE

    @functools.cached_property
    def settings(self) -> Settings:
        """What `stellwerk.yaml` says.

        Raises:
            UserError: one sentence, with its line, for each mistake.
        """
        from stellwerk.settings import Settings

        return parse(read_text(self.root / FILE), FILE).check(Settings)

    def credential(self, reference: str) -> str:
        """The value behind `env:NAME` or `file:PATH`; a text that is no reference is returned as it is."""
        return resolve(reference, self.root)

    @functools.cached_property
    def record(self) -> Record:
        """The record."""
        from stellwerk.record.record import Record

        return Record(self.database())

    def database(self, purpose: Purpose = "use") -> Database:
        """Open the record's database anew.

        Args:
            purpose: `use` it, `create` it where there is none, or `upgrade` an older one.

        Raises:
            UserError: there is none, or one of another version, or the settings name no such thing.
        """
        from sqlalchemy import make_url
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError

        from stellwerk.record.database import Database

        if not self.state.is_dir():
            raise UserError(f"{self.root} has no {STATE} folder; make it with: stellwerk init {self.root}")
        place = self.settings.record
        if place is None:
            return Database(f"sqlite:///{self.state / 'record.db'}", None, purpose)
        try:
            url = make_url(self.credential(place.url))
            if place.password:
                url = url.set(password=self.credential(place.password))
            return Database(url, place.schema_, purpose)
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError):
            raise UserError(
                f"{FILE}: record is no address of a database such as postgresql://host/name, or its driver is not installed "
                "(pip install 'stellwerk[postgres]')"
            ) from None

    @functools.cached_property
    def store(self) -> Store:
        """The store: a folder, or a bucket with a folder as its cache."""
        from stellwerk.store.store import Store

        store, place = Store(self.state / "store"), self.settings.store
        if place is not None:
            from stellwerk.store.remote import RemoteStore

            # Not in the folder of a store: what the bucket does not have is removed from the cache.
            store = RemoteStore(self.state / "cache", place, self.root, self.settings.network.allow)
        if self.state.is_dir():
            store.create()
        return store

    @functools.cached_property
    def engine(self) -> Engine:
        """The engine."""
        from stellwerk.engine.engine import Engine

        return Engine(self.store, self.settings.workers)

    @property
    def person(self) -> str:
        """The random id of whoever works here now; whoever holds the folder holds the record, so a name proves little alone."""
        try:
            name = self.actor or os.environ.get("STELLWERK_PERSON") or getpass.getuser()
        except (KeyError, OSError):
            # In a container the user may have no name.
            name = f"user {os.getuid()}"
        return self.record.person(name)

    def keyed(self, value: str) -> str:
        """HMAC-SHA256 of a value with the workspace's key: the same value gives the same token, nobody can read it back."""
        return hmac.new(self._key, value.encode(), hashlib.sha256).hexdigest()

    def sealed(self, purpose: str, value: str) -> str:
        """HMAC-SHA256 of what this product made itself; no value that `keyed` is ever given has the same."""
        return hmac.new(self._key, b"\xff" + f"{purpose}\0{value}".encode(errors="replace"), hashlib.sha256).hexdigest()

    @functools.cached_property
    def _key(self) -> bytes:
        """The key that tokens and hidden ids are made with; who shares a record shares it, else erasures would not hold."""
        place = self.settings.key
        text = self.credential(place) if place else (self.state / "key").read_text().strip()
        try:
            key = bytes.fromhex(text)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise UserError(f"{place or self.state / 'key'} holds no key, expected {2 * KEY_BYTES} hexadecimal digits")
        fingerprint = hmac.new(key, b"fingerprint", hashlib.sha256).hexdigest()
        if not self.record.agree("key", fingerprint):
            raise UserError(
                f"the key in {place or self.state / 'key'} is not the one that this record was written with, so erasures would "
                f"not hold here; take {STATE}/key from where the record was made, or name it with 'key: env:NAME' in {FILE}"
            )
        return key

    def spec_path(self, folder: str, name: str, suffix: str = ".yaml") -> Path:
        """The spec file of a name.

        Raises:
            UserError: there is no such file; the sentence names those that there are.
        """
        if not NAME.fullmatch(name):
            raise UserError(f"{name[:60]!r} is no name of a spec; give the name of a file in {folder}/ without {suffix}")
        path = self.root / folder / f"{name}{suffix}"
        if not path.is_file():
            known = ", ".join(self.specs(folder, suffix))
            raise UserError(f"there is no {folder}/{name}{suffix}; {f'there are: {known}' if known else 'the folder is empty'}")
        return path

    def specs(self, folder: str, suffix: str = ".yaml") -> list[str]:
        """The names of the spec files in a folder."""
        found = (path.name.removesuffix(suffix) for path in (self.root / folder).glob(f"*{suffix}"))
        return sorted(name for name in found if NAME.fullmatch(name))

    def spec(self, folder: str, name: str, model: type[Model]) -> Model:
        """Read and check a spec file.

        Raises:
            UserError: one sentence, with its line, for each mistake.
        """
        path = self.spec_path(folder, name)
        return parse(read_text(path), f"{folder}/{path.name}").check(model)

    def update_lock(self, changed: bool) -> None:
        """Write the lock file if something was made, or if it does not pin what is the latest now."""
        if changed or self.lock().get("versions") != self._pinned():
            self.write_lock()

    def write_lock(self) -> None:
        """Pin in `stellwerk.lock` the latest version of each asset, and the head of the journal as an anchor."""
        import yaml

        from stellwerk.record import journal

        with self.record.database.reading() as connection:
            anchor = journal.head(connection)
        noted = {"record": self.record.id, "seq": anchor.seq, "hash": anchor.hash}
        content = {"anchor": noted, "versions": self._pinned()}
        text = "# Written by Stellwerk; commit it. It pins versions, and anchors the record's journal.\n"
        write_text(self.root / LOCK, text + yaml.safe_dump(content, sort_keys=True))

    def _pinned(self) -> dict[str, dict[str, Any]]:
        """Number and digest of the latest version of each asset."""
        from stellwerk.record import tables

        newest = tables.alias.select().with_only_columns(tables.alias.c.version).where(tables.alias.c.name == "latest")
        latest = self.record.versions(tables.version.c.id.in_(newest))
        return {f"{v.kind}/{v.name}": {"number": v.number, "digest": v.digest} for v in latest}

    def lock(self) -> dict[str, Any]:
        """What the lock file says; empty where there is none."""
        path = self.root / LOCK
        found = parse(read_text(path), LOCK).value if path.is_file() else None
        if found is not None and not isinstance(found, dict):
            raise UserError(f"{LOCK}: {DAMAGED}")
        return found or {}

    def anchor(self) -> tuple[int, str] | None:
        """The head of the journal as the lock file noted it: the number of an entry, and its hash.

        None where it notes none, or that of another record: the file travels with git, a record stays on its machine.
        """
        match self.lock().get("anchor"):
            case None:
                return None
            case {"record": str(record), "seq": int(seq), "hash": str(digest)}:
                return (seq, digest) if record == self.record.id else None
        raise UserError(f"{LOCK}: {DAMAGED}")


def record_setting(record: str | None, schema: str | None = None) -> str:
    """The lines of `stellwerk.yaml` that say where a new record is; none for a file of the workspace.

    Where no place is given, STELLWERK_INIT_RECORD may name a database; each new workspace gets a schema of its own there.
    """
    if not record and (record := os.environ.get("STELLWERK_INIT_RECORD")):
        schema = f"ws_{secrets.token_hex(4)}"
    if not record:
        return ""
    return f"record:\n  url: {json.dumps(record)}\n" + (f"  schema: {json.dumps(schema)}\n" if schema else "")


def _check_file(root: Path, content: str, record: str | None) -> None:
    """Refuse a new `stellwerk.yaml` that would not do, and a record that the file that is there does not name."""
    from stellwerk.settings import Settings

    if not (root / FILE).is_file():
        parse(content, FILE).check(Settings)
    elif record:
        place = Workspace(root).settings.record
        if place is None or place.url != record:
            raise UserError(
                f"{root / FILE} is there already and stays as it is; write record: {without_password(record)} into it"
            )


def write_text(path: Path, text: str) -> None:
    """Replace a text file whole, or leave it as it was."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file whole, or leave it as it was."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(path)


def _write_new(path: Path, text: str, mode: int = 0o644) -> None:
    if not path.exists():
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "w", encoding="utf-8") as file:
            file.write(text)


def _ignore_state(path: Path) -> None:
    content = path.read_bytes() if path.exists() else b""
    line = f"{STATE}/".encode()
    if line not in content.splitlines():
        with path.open("ab") as file:
            file.write(b"\n" * (not content.endswith(b"\n") and content != b"") + line + b"\n")
