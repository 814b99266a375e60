"""Opening a file as a stream of bytes, unpacked where it is compressed, within limits.

It knows gzip, xz and Zstandard by their first bytes and stops a decompression bomb; it does not know what the bytes
mean.
"""

from __future__ import annotations

import io
import lzma
import os
import stat
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import zstandard

from stellwerk.jobs.data.files.shapes import FileProblem, ReadOptions

CHUNK = 2**20
HEAD = 2**16
RATIO_FROM = 100 * 2**20  # below this a high ratio harms nobody
XZ_MEMORY = 256 * 2**20  # `xz -9` needs 65 MiB; a crafted header may ask for 4 GiB
ZSTD_PIECE = 2048  # one Zstandard block of 4 bytes can unpack to 128 KiB: small pieces bound one step to 64 MiB

MAGIC = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstandard"}
EXTENSIONS = {".gz": "gzip", ".xz": "xz", ".zst": "zstandard"}


def compression_of(head: bytes) -> str | None:
    """Tell the compression by the first bytes; None where there is none."""
    return next((name for magic, name in MAGIC.items() if head.startswith(magic)), None)


def open_regular(path: Path) -> IO[bytes]:
    """Open a regular file for reading; a pipe, a folder or a device is refused at once.

    Args:
        path: the file, or a link to it.

    Returns:
        The opened file; the caller closes it.

    Raises:
        FileProblem: `unreadable_file`, or `empty_file` for 0 bytes.
    """
    try:
        # Without O_NONBLOCK the opening of a pipe waits for a writer that may never come.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        if path.is_symlink():
            reason = "is a link to a file that does not exist; restore that file or remove the link"
        else:
            reason = "does not exist (any more); check the path and run again"
        raise FileProblem("unreadable_file", reason) from None
    except PermissionError:
        raise FileProblem("unreadable_file", "may not be read by this user; give read permission (chmod +r)") from None
    except OSError as error:
        reason = f"cannot be opened ({error.strerror}); check the path and the disk"
        raise FileProblem("unreadable_file", reason) from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
        raise FileProblem("unreadable_file", f"is {kind}, not a file; let the pattern match files only")
    if status.st_size == 0:
        os.close(descriptor)
        raise FileProblem("empty_file", "has 0 bytes; export it again or remove it")
    return os.fdopen(descriptor, "rb")


def unpacked(file: IO[bytes], path: Path, options: ReadOptions) -> tuple[str | None, Iterator[bytes]]:
    """Stream the bytes of a file, decompressed where its first bytes say that it is compressed.

    Args:
        file: the file, opened at its start.
        path: its path; an extension such as .gz must agree with the content.
        options: the limits.

    Returns:
        The compression or None, and the chunks, each of at most about 64 MiB, most of 1 MiB.

    Raises:
        FileProblem: `corrupt_file` or `too_large`, also while the chunks are taken.
    """
    compression = compression_of(file.read(8))
    file.seek(0)
    named = EXTENSIONS.get(path.suffix.lower())
    if named and named != compression:
        reason = f"has the ending {path.suffix} but its content is not {named}; rename it or download it again"
        raise FileProblem("corrupt_file", reason)
    if compression is None:
        return None, _plain(file)
    chunks = {"gzip": _gzip, "xz": _xz, "zstandard": _zstandard}[compression](file)
    return compression, _limited(chunks, file, options)


def seekable(chunks: Iterator[bytes]) -> IO[bytes]:
    """Write a stream into an unnamed temporary file, for formats that are read from the end."""
    target = tempfile.TemporaryFile()  # noqa: SIM115  (the caller closes it)
    try:
        for chunk in chunks:
            target.write(chunk)
    except BaseException:
        target.close()
        raise
    target.seek(0)
    return target


def with_head(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Look at the first 64 KiB of a stream.

    Returns:
        The head and the whole stream, head included. A problem met while looking is raised when the stream gets there.
    """
    taken: list[bytes] = []
    problem: FileProblem | None = None
    size = 0
    while size < HEAD and problem is None:
        try:
            chunk = next(chunks, None)
        except FileProblem as error:
            problem = error
            break
        if chunk is None:
            break
        taken.append(chunk)
        size += len(chunk)

    def whole() -> Iterator[bytes]:
        yield from taken
        if problem is not None:
            raise problem
        yield from chunks

    return b"".join(taken)[:HEAD], whole()


def _plain(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := _piece(file, CHUNK):
        yield chunk


def _piece(file: IO[bytes], size: int) -> bytes:
    try:
        return file.read(size)
    except OSError as error:
        reason = f"could not be read to its end ({error.strerror}); check the disk and run again"
        raise FileProblem("unreadable_file", reason) from None


def _limited(chunks: Iterator[bytes], file: IO[bytes], options: ReadOptions) -> Iterator[bytes]:
    total = 0
    for chunk in chunks:
        total += len(chunk)
        check_limits(total, file.tell(), options)
        if chunk:
            yield chunk


def check_limits(unpacked_bytes: int, packed_bytes: int, options: ReadOptions) -> None:
    """Raise FileProblem `too_large` when a file unpacks to more than the options allow."""
    if unpacked_bytes > options.max_bytes_unpacked:
        limit = options.max_bytes_unpacked / 2**30
        raise FileProblem("too_large", f"unpacks to more than {limit:.3g} GiB; split it or raise max_bytes_unpacked")
    if unpacked_bytes > RATIO_FROM and unpacked_bytes > options.max_ratio * max(packed_bytes, 1):
        reason = (
            f"unpacks to more than {options.max_ratio} times its size, as a decompression bomb does; "
            "if it is genuine, unpack it yourself and give the unpacked file"
        )
        raise FileProblem("too_large", reason)


def _cut() -> FileProblem:
    return FileProblem("corrupt_file", "breaks off before its compressed data ends; download or copy it again")


def _damaged() -> FileProblem:
    return FileProblem("corrupt_file", "holds compressed data that are damaged; download or copy it again")


def _gzip(file: IO[bytes]) -> Iterator[bytes]:
    data = file.read(HEAD)
    while data:
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            try:
                yield member.decompress(data, CHUNK)
            except zlib.error:
                raise _damaged() from None
            data = member.unconsumed_tail
            if not data and not member.eof:
                data = _piece(file, HEAD)
                if not data:
                    rest = member.flush()
                    if rest:
                        yield rest
                    raise _cut()
        data = member.unused_data.lstrip(b"\0") or _piece(file, HEAD).lstrip(b"\0")


def _xz(file: IO[bytes]) -> Iterator[bytes]:
    data = file.read(HEAD)
    while data:
        stream = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=XZ_MEMORY)
        while not stream.eof:
            try:
                yield stream.decompress(data, CHUNK)
            except lzma.LZMAError:
                raise _damaged() from None
            data = b""
            if stream.needs_input and not stream.eof:
                data = _piece(file, HEAD)
                if not data:
                    raise _cut()
        data = stream.unused_data.lstrip(b"\0") or _piece(file, HEAD).lstrip(b"\0")


def _zstandard(file: IO[bytes]) -> Iterator[bytes]:
    data = file.read(ZSTD_PIECE)
    while data:
        frame = zstandard.ZstdDecompressor().decompressobj()
        while True:
            try:
                yield frame.decompress(data)
            except zstandard.ZstdError:
                raise _damaged() from None
            if frame.eof:
                break
            data = _piece(file, ZSTD_PIECE)
            if not data:
                raise _cut()
        data = frame.unused_data or _piece(file, ZSTD_PIECE)


def whole(chunks: Iterator[bytes], limit: int, sentence: str) -> bytes:
    """Read a stream into memory up to a limit.

    Args:
        chunks: the stream.
        limit: in bytes.
        sentence: what is said when there is more.

    Returns:
        All bytes.

    Raises:
        FileProblem: `too_large`.
    """
    target = io.BytesIO()
    for chunk in chunks:
        if target.tell() + len(chunk) > limit:
            raise FileProblem("too_large", sentence)
        target.write(chunk)
    return target.getvalue()
