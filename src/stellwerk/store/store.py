"""Where bytes live: artifacts named by their SHA-256, and folders of tables, in one folder on disk.

Everything is written beside its place and renamed into it, so that a killed process leaves the old state or the new one. An
artifact is never changed. `remote.RemoteStore` offers the same few methods on a bucket; `open_store` tells which one is meant.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from stellwerk.errors import StellwerkError

PREFIX = "sha256:"
TABLE = "table:"
Kept = tuple[str, int, float]  # reference, bytes, and when it was last written or met again (Unix seconds)


def open_store(address: Mapping[str, Any]) -> Store:
    """The store that another process named by its `address`."""
    if "place" not in address:
        return Store(Path(address["root"]))
    from stellwerk.settings import StorePlace
    from stellwerk.store.remote import RemoteStore

    place = StorePlace.model_validate(address["place"])
    return RemoteStore(Path(address["root"]), place, Path(address["base"]), address["allow"])


class Store:
    """A folder of artifacts and tables.

    `written` counts the bytes of new content that this object has added.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.written = 0
        self._counting = threading.Lock()

    @property
    def address(self) -> dict[str, Any]:
        """What another process of this machine needs to open this store, as JSON; it holds no secrets."""
        return {"root": str(self.root)}

    def count(self, size: int) -> None:
        """Add bytes to `written`, for example those that a process at work for this one has added."""
        with self._counting:
            self.written += size

    def create(self) -> None:
        """Make the folders, readable for their owner only."""
        for folder in (self.root, self.root / "artifacts", self.root / "tables", self.root / "partial"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def put(self, content: bytes) -> str:
        """Keep bytes; returns their reference, `sha256:` and 64 hexadecimal digits."""
        reference = PREFIX + hashlib.sha256(content).hexdigest()
        if not self._met_again(self._place(reference)):
            with self.partial() as file:
                file.write_bytes(content)
                self._keep(file, reference)
            self.count(len(content))
        return reference

    def put_file(self, path: Path) -> str:
        """Keep a file, which is moved into the store."""
        reference, size = digest(path), path.stat().st_size
        if self._met_again(self._place(reference)):
            path.unlink()
        else:
            self._keep(path, reference)
            self.count(size)
        return reference

    def get(self, reference: str) -> bytes:
        """The bytes of an artifact."""
        return self.path(reference).read_bytes()

    def path(self, reference: str) -> Path:
        """Where an artifact lies.

        Raises:
            StellwerkError: it was removed, for example by an erasure.
        """
        path = self._place(reference)
        if not path.exists():
            raise StellwerkError(f"{reference[:20]}… is no longer in the store {self.root}; build it again")
        return path

    def paths(self, references: Iterable[str]) -> list[Path]:
        """Where several artifacts lie; from a bucket they are fetched together."""
        return [self.path(reference) for reference in references]

    def has(self, reference: str) -> bool:
        """Whether an artifact or a table is here."""
        return (self._table(reference) if reference.startswith(TABLE) else self._place(reference)).exists()

    def missing(self, value: Any) -> Iterator[str]:
        """The artifacts and tables that a JSON value refers to and that are not here."""
        return (reference for reference in references(value) if not self.has(reference))

    @contextmanager
    def partial(self) -> Iterator[Path]:
        """A path to write to before the result is moved to its place; what is left there is removed."""
        folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=self.root / "partial"))
        try:
            yield folder / "content"
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def put_table(self, folder: Path, name: str) -> str:
        """Move a finished folder to `tables/<name>`; returns its reference. A folder that is there already stays."""
        reference = TABLE + name
        place = self._table(reference)
        if not self._met_again(place):
            size = bytes_of(folder)
            if self._keep_table(folder, place):
                self.count(size)
        return reference

    def table(self, reference: str) -> Path:
        """The folder of a table.

        Raises:
            StellwerkError: it was removed.
        """
        place = self._table(reference)
        if not place.exists():
            raise StellwerkError(f"the table {reference.partition(':')[2]} is no longer in the store {self.root}")
        return place

    def size(self) -> int:
        """Bytes of all that is here."""
        return bytes_of(self.root)

    def artifacts(self) -> Iterator[Kept]:
        """All artifacts, in no order."""
        for file in (self.root / "artifacts").glob("*/*"):
            with suppress(FileNotFoundError):
                status = file.stat()
                yield PREFIX + file.name, status.st_size, status.st_mtime

    def tables(self) -> Iterator[Kept]:
        """All tables, in no order: the topmost folders that hold a file."""
        todo = [self.root / "tables"]
        while todo:
            folder = todo.pop()
            with suppress(FileNotFoundError):
                entries = list(folder.iterdir())
                if any(entry.is_file() for entry in entries):
                    name = folder.relative_to(self.root / "tables").as_posix()
                    yield TABLE + name, bytes_of(folder), folder.stat().st_mtime
                else:
                    todo += entries

    def remove(self, reference: str) -> int:
        """Remove an artifact or a table; returns the bytes that this frees. What is not here frees none."""
        place = self._table(reference) if reference.startswith(TABLE) else self._place(reference)
        with self.partial() as aside:
            try:
                # It is gone at once: a process that is killed now leaves no half table.
                place.replace(aside)
            except FileNotFoundError:
                return 0
            return bytes_of(aside)

    def claim(self, owner: str) -> set[str]:
        """Note that a record's contents lie here; returns the other records of which that was noted."""
        del owner  # a folder lies within its workspace
        return set()

    def sweep(self) -> None:
        """Remove what killed processes of this machine left half-written."""
        for folder in (self.root / "partial").iterdir():
            process = folder.name.partition("-")[0]
            if process.isdecimal() and not _alive(int(process)):
                shutil.rmtree(folder, ignore_errors=True)

    def _place(self, reference: str) -> Path:
        digest = reference.removeprefix(PREFIX)
        return self.root / "artifacts" / digest[:2] / digest

    def _table(self, reference: str) -> Path:
        return self.root / "tables" / reference.removeprefix(TABLE)

    def _met_again(self, place: Path) -> bool:
        """Whether content is here already; its time is set to now, so that who clears up by age leaves it."""
        if not place.exists():
            return False
        with suppress(OSError):
            os.utime(place)
        return True

    def _keep(self, file: Path, reference: str) -> None:
        place = self._place(reference)
        place.parent.mkdir(exist_ok=True)
        _sync(file)
        file.replace(place)
        _sync(place.parent)

    def _keep_table(self, folder: Path, place: Path) -> bool:
        """Move a folder to its place; False where another process has put the same content there in the meantime."""
        _sync_all(folder)
        _sync(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.replace(place)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            return False
        _sync(place.parent)
        return True


def copy(source: Store, target: Store) -> int:
    """Copy all artifacts and tables, for example of a workspace that moves into a bucket; returns the bytes that were new."""
    before = target.written
    for reference, _, _ in source.artifacts():
        with target.partial() as file:
            shutil.copyfile(source.path(reference), file)
            target.put_file(file)
    for reference, _, _ in source.tables():
        if source.has(reference):
            with target.partial() as folder:
                shutil.copytree(source.table(reference), folder)
                target.put_table(folder, reference.removeprefix(TABLE))
    return target.written - before


def digest(path: Path) -> str:
    """The reference of a file's content."""
    with path.open("rb") as file:
        return PREFIX + hashlib.file_digest(file, "sha256").hexdigest()


def bytes_of(place: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    files = [place] if place.is_file() else (file for file in place.rglob("*") if file.is_file())
    total = 0
    for file in files:
        with suppress(FileNotFoundError):
            total += file.stat().st_size
    return total


def references(value: Any) -> Iterator[str]:
    """The artifacts and tables that a JSON value refers to."""
    if isinstance(value, str):
        if value.startswith((PREFIX, TABLE)):
            yield value
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from references(part)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def _sync_all(folder: Path) -> None:
    for path in folder.rglob("*"):
        _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
