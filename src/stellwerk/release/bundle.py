"""The file of a release that travels: a zip whose bytes follow from its members alone.

Members lie in it unpacked, in one order and with one date, so that the same members are the same file; whatever else stands in
such a file was put there by somebody else. Knows zips and their tricks. Does not know what the members mean.
"""

from __future__ import annotations

import io
import secrets
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from stellwerk.errors import UserError

MAXIMUM_BYTES: Final = 256 * 2**20
MAXIMUM_MEMBERS: Final = 64
_DATE: Final = (1980, 1, 1, 0, 0, 0)
_UNIX: Final = 3
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, KeyError, NotImplementedError, RuntimeError)


class Damaged(Exception):
    """A file is no bundle; the text says why."""


def pack(members: Mapping[str, bytes]) -> bytes:
    """The file of some members."""
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", zipfile.ZIP_STORED) as file:
        for name, content in sorted(members.items()):
            entry = zipfile.ZipInfo(name, _DATE)
            # Python would write what system it runs on.
            entry.create_system, entry.external_attr = _UNIX, 0o644 << 16
            file.writestr(entry, content)
    return found.getvalue()


def unpack(content: bytes) -> dict[str, bytes]:
    """The members of a file, read within bounds and written nowhere.

    Raises:
        Damaged: it is no zip, is far too large, or holds what an export never writes.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            entries = file.infolist()
            if len(entries) > MAXIMUM_MEMBERS:
                raise Damaged(f"it holds {len(entries)} members, a release has a few")
            if len({entry.filename for entry in entries}) < len(entries):
                raise Damaged("two of its members have the same name")
            for entry in entries:
                if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
                    raise Damaged(f"its member {_shown(entry.filename)} is packed, which an export never does")
            if sum(entry.file_size for entry in entries) > len(content):
                raise Damaged("its members lie one in the other")
            return {entry.filename: file.read(entry) for entry in entries}
    except _DAMAGED:
        raise Damaged("it is damaged, or no zip file") from None


def read(path: Path) -> bytes:
    """The bytes of a file that may be a bundle.

    Raises:
        UserError: it is not there, cannot be read, or is far too large.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAXIMUM_BYTES + 1)
    except FileNotFoundError:
        raise UserError(f"there is no file {path}; give one made by: stellwerk release export") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > MAXIMUM_BYTES:
        raise UserError(f"{path} has over {MAXIMUM_BYTES // 2**20} MiB, so it is no exported release")
    return content


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        UserError: it cannot be written there.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)


def _shown(name: str) -> str:
    return repr(name[:60])
