"""Cutting a stream of bytes into blocks of whole lines, in bounded memory.

It knows line ends (LF, CR LF, and CR alone) and the length of a line; encodings with wide characters were turned into
UTF-8 before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stellwerk.jobs.data.files.shapes import FileProblem

BLOCK = 2**20


@dataclass(frozen=True)
class LongLine:
    """A line that is longer than the limit and was skipped; it counts as one line."""

    size: int


def line_blocks(chunks: Iterator[bytes], limit: int, block: int = BLOCK) -> Iterator[bytes | LongLine]:
    """Cut a stream into blocks that end at a line end.

    Args:
        chunks: the stream.
        limit: the longest line in bytes; a longer one is skipped and yielded as `LongLine`.
        block: wanted size of a block in bytes.

    Yields:
        Blocks of whole lines; only the last may lack its line end.

    Raises:
        FileProblem: as the stream raises it, after all whole lines before it were yielded.
    """
    buffer = bytearray()
    skipped = 0
    seen = 0
    try:
        for chunk in chunks:
            if skipped:
                chunk, ended = _after_line_end(chunk)
                skipped += 0 if ended else len(chunk)
                if not ended:
                    continue
                yield LongLine(skipped)
                skipped = 0
            buffer += chunk
            if len(buffer) < block:
                continue
            cut = _last_line_end(buffer, seen)
            if cut:
                yield bytes(buffer[:cut])
                del buffer[:cut]
                seen = 0
            else:
                seen = max(len(buffer) - 1, 0)
            if len(buffer) > limit:
                skipped = len(buffer)
                buffer.clear()
                seen = 0
    except FileProblem:
        cut = _last_line_end(buffer, 0)
        if cut:
            yield bytes(buffer[:cut])
        raise
    if skipped:
        yield LongLine(skipped)
    if buffer:
        yield bytes(buffer)


def _last_line_end(buffer: bytearray, start: int) -> int:
    cut = buffer.rfind(b"\n", start) + 1
    # A CR in the last place may be the first half of CR LF.
    return cut or buffer.rfind(b"\r", start, len(buffer) - 1) + 1


def _after_line_end(chunk: bytes) -> tuple[bytes, bool]:
    cut = chunk.find(b"\n") + 1 or chunk.find(b"\r") + 1
    return (chunk[cut:], True) if cut else (chunk, False)
