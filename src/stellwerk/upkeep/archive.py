"""The file of a backup: a packed tar whose last member is a digest of all that came before it.

Knows how members are written and read one after another, in bounded memory, and what a damaged, cut or foreign file looks
like. It does not know what the members mean.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

from stellwerk.errors import MissingExtra, UserError

END = "end.json"
_ZSTD, _GZIP = b"\x28\xb5\x2f\xfd", b"\x1f\x8b"
_BUFFER = 1024 * 1024
_DAMAGED: tuple[type[Exception], ...] = (tarfile.TarError, EOFError, ValueError, gzip.BadGzipFile, zlib.error)
with suppress(ModuleNotFoundError):
    import zstandard

    _DAMAGED = (*_DAMAGED, zstandard.ZstdError)


class Writer:
    """Adds members to a backup."""

    def __init__(self, tar: tarfile.TarFile, path: Path) -> None:
        self._tar, self._path = tar, path
        self._digest = hashlib.sha256()
        self.members = 0

    def add(self, name: str, content: bytes) -> None:
        """Add bytes."""
        self._add(name, len(content), io.BytesIO(content))

    def add_file(self, name: str, path: Path) -> bool:
        """Add a file as it is now; False where it is gone."""
        try:
            with path.open("rb") as file:
                self._add(name, os.fstat(file.fileno()).st_size, file)
        except FileNotFoundError:
            return False
        return True

    def end(self) -> None:
        """Add the digest of all members, without which a backup does not count."""
        said = {"members": self.members, "sha256": self._digest.hexdigest()}
        self._add(END, len(content := json.dumps(said).encode()), io.BytesIO(content))

    def _add(self, name: str, size: int, source: IO[bytes]) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o600
        self._digest.update(_head(name, size))
        self._tar.addfile(member, cast(IO[bytes], _Counted(source, self._digest.update, self._path)))
        self.members += 1


class _Counted:
    """A file that tells what is read from it, and says in a sentence that its archive is damaged."""

    def __init__(self, file: IO[bytes], tell: Callable[[bytes], None], path: Path) -> None:
        self._file, self._tell, self._path = file, tell, path

    def read(self, size: int = -1) -> bytes:
        try:
            content = self._file.read(size)
        except _DAMAGED:
            raise _damaged(self._path) from None
        self._tell(content)
        return content


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """Write a backup beside its place, readable for its owner only, and move it there when it is whole.

    Raises:
        UserError: it cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with os.fdopen(os.open(partial, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as raw:
            with _packed(raw) as packed, tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar:
                writer = Writer(tar, path)
                yield writer
                writer.end()
            raw.flush()
            os.fsync(raw.fileno())
        partial.replace(path)
    except OSError as error:
        if error.filename not in (None, str(partial), str(path)):
            raise
        raise UserError(f"{path} cannot be written: {error.strerror}; give another place") from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def reading(path: Path) -> Generator[tuple[str, IO[bytes]], None, None]:
    """The members of a backup in their order, each to be read before the next; an end without an error means it is whole.

    Raises:
        UserError: the file is no backup, or is damaged or cut.
    """
    try:
        with path.open("rb") as raw, _unpacked(raw, path) as packed, tarfile.open(fileobj=packed, mode="r|") as tar:
            yield from _members(tar, path)
    except FileNotFoundError as error:
        if error.filename != str(path):
            raise
        raise UserError(f"{path}: there is no such file") from None
    except (IsADirectoryError, PermissionError) as error:
        if error.filename != str(path):
            raise
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except _DAMAGED:
        raise _damaged(path) from None


def _damaged(path: Path) -> UserError:
    return UserError(f"{path}: this is no whole backup: it is damaged or was cut; take another copy of it")


def _members(tar: tarfile.TarFile, path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    digest = hashlib.sha256()
    for members, member in enumerate(tar):
        file = tar.extractfile(member) if member.isreg() else None
        if file is None:
            raise UserError(f"{path}: this is no backup of Stellwerk: it holds more than plain files")
        if member.name == END:
            said = _json(file.read(_BUFFER), path)
            if said != {"members": members, "sha256": digest.hexdigest()}:
                raise UserError(
                    f"{path}: its content does not match its own digest: it was changed or damaged; take another copy"
                )
            return
        digest.update(_head(member.name, member.size))
        counted = _Counted(file, digest.update, path)
        yield member.name, cast(IO[bytes], counted)
        while counted.read(_BUFFER):
            pass
    raise _damaged(path)


def _json(content: bytes, path: Path) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        raise _damaged(path) from None


def _head(name: str, size: int) -> bytes:
    return f"{name}\0{size}\0".encode(errors="surrogateescape")


@contextmanager
def _packed(raw: IO[bytes]) -> Iterator[IO[bytes]]:
    try:
        import zstandard
    except ModuleNotFoundError:
        with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6, mtime=0) as packed:
            yield cast(IO[bytes], packed)
        return
    with zstandard.ZstdCompressor(level=3, write_checksum=True).stream_writer(raw, closefd=False) as packed:
        yield packed


@contextmanager
def _unpacked(raw: IO[bytes], path: Path) -> Iterator[IO[bytes]]:
    start = raw.read(4)
    raw.seek(0)
    if start.startswith(_GZIP):
        with gzip.GzipFile(fileobj=raw, mode="rb") as packed:
            yield cast(IO[bytes], packed)
    elif start == _ZSTD:
        try:
            import zstandard
        except ModuleNotFoundError:
            raise MissingExtra("data", "zstandard") from None
        with zstandard.ZstdDecompressor().stream_reader(raw, closefd=False) as packed:
            yield packed
    else:
        raise UserError(f"{path}: this is no backup; make one with: stellwerk backup FILE")
