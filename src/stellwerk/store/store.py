"""Where bytes live: artifacts named by their SHA-256, and folders of tables, in one folder on disk.

Everything is written beside its place and renamed into it, so that a killed process leaves the old state or the new one. An
artifact is never changed. A later store on S3 offers the same few methods.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stellwerk.errors import StellwerkError

PREFIX = "sha256:"


class Store:
    """A folder of artifacts and tables."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def create(self) -> None:
        """Make the folders, readable for their owner only."""
        for folder in (self.root, self.root / "artifacts", self.root / "tables", self.root / "partial"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def put(self, content: bytes) -> str:
        """Keep bytes; returns their reference, `sha256:` and 64 hexadecimal digits."""
        reference = PREFIX + hashlib.sha256(content).hexdigest()
        if not self.has(reference):
            with self.partial() as file:
                file.write_bytes(content)
                self._keep(file, reference)
        return reference

    def put_file(self, path: Path) -> str:
        """Keep a file, which is moved into the store."""
        with path.open("rb") as file:
            reference = PREFIX + hashlib.file_digest(file, "sha256").hexdigest()
        if self.has(reference):
            path.unlink()
        else:
            self._keep(path, reference)
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

    def has(self, reference: str) -> bool:
        """Whether an artifact is here."""
        return self._place(reference).exists()

    def missing(self, value: Any) -> Iterator[str]:
        """The artifacts and tables that a JSON value refers to and that are not here."""
        if isinstance(value, str):
            if (value.startswith(PREFIX) and not self.has(value)) or (
                value.startswith("table:") and not self._table(value).exists()
            ):
                yield value
        elif isinstance(value, dict | list | tuple):
            for part in value.values() if isinstance(value, dict) else value:
                yield from self.missing(part)

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
        reference = f"table:{name}"
        place = self._table(reference)
        if not place.exists():
            _sync_all(folder)
            _sync(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                folder.replace(place)
            except OSError as error:
                # Another process has put the same content there in the meantime.
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            _sync(place.parent)
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
        """Bytes on disk."""
        return sum(file.stat().st_size for file in self.root.rglob("*") if file.is_file())

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
        return self.root / "tables" / reference.removeprefix("table:")

    def _keep(self, file: Path, reference: str) -> None:
        place = self._place(reference)
        place.parent.mkdir(exist_ok=True)
        _sync(file)
        file.replace(place)
        _sync(place.parent)


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
