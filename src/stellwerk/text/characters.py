"""A batch of texts as one array of characters: what kind each one is, and hashes of any stretch of them.

All texts of a block lie behind one another in one array, so that the work on 20,000 short tickets is a few calls of
numpy,
as it is on one long law. Knows characters, not words, lines or languages. Its definitions are Python's own
(`str.isspace`,
`str.isalpha`, `\\w`), applied to one character at a time.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

WORD, SPACE, LETTER, UPPER, DIGIT, BASE64 = (1 << bit for bit in range(6))
"""Bits of a character's class; WORD is what `\\w` matches, DIGIT is `str.isdecimal`, BASE64 the 65 characters of
RFC 4648."""

BLOCK_BYTES = 1 << 20
"""Size of a block in UTF-8 bytes: its arrays (about 30 bytes a character) stay near the processor's caches."""
BLOCK_ROWS = 1 << 14
"""Most texts of a block: it bounds what is held per text where texts are empty or tiny."""

_CODE_POINTS = 0x110000
_LAST_LETTER = 0x40000
"""No letter, digit or space of Unicode lies above (planes 4 to 13 are empty, 14 to 16 hold tags and private use)."""
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
_WINDOW = 1 << 18
_WORD_64 = (1 << 64) - 1
_BASE = 0x9E3779B97F4A7C15
"""Base of the polynomial; 5 modulo 8, so that its powers have the longest period that there is modulo 2**64."""
_INVERSE = pow(_BASE, -1, 1 << 64)


class Characters(NamedTuple):
    """A block of n_docs texts with n characters together."""

    codes: npt.NDArray[np.uint32]
    """Code point of each character, shape (n,)."""
    classes: npt.NDArray[np.uint8]
    """Class bits of each character, shape (n,)."""
    starts: I64
    """Index of the first character of each text, and n at the end, shape (n_docs + 1,)."""


def text_array(texts: pa.Array | pa.ChunkedArray | Sequence[str | None]) -> pa.LargeStringArray:
    """Any column or list of texts as one array without nulls (a missing text is an empty one)."""
    if isinstance(texts, pa.ChunkedArray):
        texts = pa.concat_arrays(texts.chunks) if texts.num_chunks else pa.array([], texts.type)
    elif not isinstance(texts, pa.Array):
        texts = pa.array(texts, pa.large_string())
    return pc.fill_null(texts.cast(pa.large_string()), "")


def blocks(texts: pa.LargeStringArray, size: int = BLOCK_BYTES) -> Iterator[pa.LargeStringArray]:
    """Cut an array of texts into consecutive slices of about `size` UTF-8 bytes; a longer text is a slice of its own.

    Args:
        texts: what `text_array` gives.
        size: bytes of a slice; it bounds the memory, and changes no result.

    Yields:
        Slices that cover all rows in order; none for an empty array.
    """
    offsets = _byte_offsets(texts)
    row, rows = 0, len(texts)
    while row < rows:
        end = int(np.searchsorted(offsets, offsets[row] + size, side="right")) - 1
        end = min(max(end, row + 1), row + BLOCK_ROWS, rows)
        yield texts.slice(row, end - row)
        row = end


def characters(block: pa.LargeStringArray) -> Characters:
    """The characters of a block of texts and the class of each."""
    offsets = _byte_offsets(block)
    data = block.buffers()[2]
    raw = bytes(memoryview(data)[offsets[0] : offsets[-1]]) if data is not None else b""
    codes = np.frombuffer(raw.decode("utf-8").encode("utf-32-le"), dtype="<u4")
    lengths = pc.utf8_length(block).to_numpy(zero_copy_only=False)
    return Characters(codes, _class_table().take(codes), bounds(lengths))


def bounds(lengths: npt.NDArray[Any]) -> I64:
    """Offsets from lengths: where each segment starts, and the total at the end, shape (len + 1,)."""
    starts = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    return starts


def runs(mask: Mask, starts: I64) -> tuple[I64, I64]:
    """Where the stretches of true values begin and end (exclusive); a stretch never reaches over the start of a text.

    Args:
        mask: one value per character, shape (n,).
        starts: of `Characters`.

    Returns:
        Sorted begins and ends, one of each per stretch.
    """
    if not len(mask):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    begin, end = mask.copy(), mask.copy()
    begin[1:] &= ~mask[:-1]
    end[:-1] &= ~mask[1:]
    first = starts[:-1][starts[:-1] < starts[1:]]
    begin[first] = mask[first]
    end[first - 1] = mask[first - 1]
    return np.flatnonzero(begin), np.flatnonzero(end) + 1


def counts_between(mask: Mask, starts: I64) -> I64:
    """How many true values each text has, shape (n_docs,)."""
    where = np.flatnonzero(mask)
    return np.diff(np.searchsorted(where, starts))


def owners(positions: I64, starts: I64) -> I64:
    """The segment (text) that each of the sorted positions lies in; empty segments own nothing."""
    return np.searchsorted(starts, positions, side="right") - 1


def stretch_hashes(codes: npt.NDArray[np.uint32], *stretches: tuple[I64, I64]) -> list[U64]:
    """64-bit hashes of stretches of characters, each lower-cased by itself, equal wherever the stretch stands.

    A polynomial over the ring of integers modulo 2**64 whose coefficients are random per character, taken from running
    sums, then mixed; chance collisions of n different stretches are about n**2 / 2**60 likely. The same on every
    machine
    and in every version; it is not made to resist somebody who constructs collisions.

    Args:
        codes: of `Characters`.
        stretches: pairs of sorted begins and sorted ends (exclusive).

    Returns:
        For each pair an array of hashes, one per stretch.
    """
    cuts = [cut for pair in stretches for cut in pair]
    sums = _running_sums(codes, cuts)
    return [
        mix((high - low) * _inverse_powers(begin))
        for (begin, _), low, high in zip(stretches, sums[::2], sums[1::2], strict=True)
    ]


def mix(values: U64) -> U64:
    """Spread 64-bit values evenly, one to one (the finaliser of SplitMix64, Steele et al. 2014,
    doi:10.1145/2660193.2660195)."""
    values = values ^ (values >> np.uint64(30))
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values


def _inverse_powers(exponents: I64) -> U64:
    """What takes a stretch's distance from the start of the block out of its weighted sum."""
    windows, rest = np.divmod(exponents, _WINDOW)
    last = int(windows[-1]) if len(windows) else 0
    per_window = np.array([pow(_step(_INVERSE), window, 1 << 64) for window in range(last + 1)], np.uint64)
    return _power_table(_INVERSE)[rest] * per_window[windows]


def _running_sums(codes: npt.NDArray[np.uint32], cuts: list[I64]) -> list[U64]:
    """The weighted sum of all characters before each cut; window by window, since only the values at the cuts are
    kept."""
    sums = [np.zeros(len(cut), np.uint64) for cut in cuts]
    folded, powers = _fold_table(), _power_table(_BASE)
    carry, scale = 0, 1
    for start in range(0, len(codes), _WINDOW):
        window = folded.take(codes[start : start + _WINDOW])
        window *= powers[: len(window)]
        np.cumsum(window, out=window)
        for cut, result in zip(cuts, sums, strict=True):
            low, high = np.searchsorted(cut, [start, start + len(window)], side="right")
            values = window[cut[low:high] - (start + 1)]
            result[low:high] = values * np.uint64(scale) + np.uint64(carry)
        carry = (int(window[-1]) * scale + carry) & _WORD_64
        scale = (scale * _step(_BASE)) & _WORD_64
    return sums


def _step(base: int) -> int:
    return pow(base, _WINDOW, 1 << 64)


def _byte_offsets(texts: pa.LargeStringArray) -> I64:
    offsets = texts.buffers()[1]
    if offsets is None or not len(texts):
        return np.zeros(1, np.int64)
    return np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]


@functools.cache
def _power_table(base: int) -> U64:
    table = np.full(_WINDOW, np.uint64(base))
    table[0] = 1
    return np.cumprod(table, dtype=np.uint64)


@functools.cache
def _class_table() -> npt.NDArray[np.uint8]:
    table = np.zeros(_CODE_POINTS, np.uint8)
    for code in range(_LAST_LETTER):
        char = chr(code)
        if char.isalnum() or char == "_":
            kinds = LETTER * char.isalpha() | UPPER * char.isupper() | DIGIT * char.isdecimal()
            table[code] = WORD | kinds | BASE64 * (char in _BASE64)
        elif char.isspace():
            table[code] = SPACE
        elif char in _BASE64:
            table[code] = BASE64
        elif char.isupper():
            table[code] = UPPER
    return table


@functools.cache
def _fold_table() -> U64:
    """A random 64-bit number per character, the same for a letter's upper and lower case."""
    lower = np.arange(_CODE_POINTS, dtype=np.uint64)
    for code in range(_LAST_LETTER):
        folded = chr(code).lower()
        if len(folded) == 1:
            lower[code] = ord(folded)
    return mix((lower + np.uint64(1)) * np.uint64(_BASE))
