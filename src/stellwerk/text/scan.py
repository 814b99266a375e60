"""Finds spans in many texts at once: normalise, prefilter, judge, resolve overlaps, map back.

Knows how to search a column of texts in linear time and to name each span in code points of the text that was given.
Does not know what is searched: a Rule brings the pattern of candidates and the function that judges one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html.entities import name2codepoint
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import re2

CHECK_DIGIT = "check digit"
PATTERN = "pattern"
CONTEXT = "context"

# Stands between two texts of one chunk; no pattern matches it and no context window crosses it.
BOUNDARY = "\x00"

_CHUNK = 1 << 20  # code points worked at once: bounds the memory
_CUT = re.compile(rb"\x00|\n\n")
_BLOCK = 4 << 10  # bytes asked at once which patterns occur: small enough that most blocks of plain text have none


class Found(NamedTuple):
    """A span in the normalised text that a judge has accepted."""

    start: int
    end: int
    score: float
    evidence: str


Judge = Callable[[str, int, int], Found | None]


@dataclass(frozen=True)
class Rule:
    """One kind of candidate: a linear-time pattern that must occur, and the judge of each place where it does.

    Attributes:
        kind: what is reported, e.g. IBAN.
        pattern: RE2 syntax, without groups that capture; often only the head of the value.
        judge: given the normalised text and the candidate's start and end in it, returns the exact span or None.
    """

    kind: str
    pattern: str
    judge: Judge


SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("kind", pa.string()),
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("score", pa.float32()),
        ("evidence", pa.string()),
    ]
)

# ---------------------------------------------------------------- normalise

_DROP = 0xFFFFFFFF


def _folding() -> Any:
    table = np.arange(0x10000, dtype=np.uint32)
    for dropped in (0xAD, 0x34F, 0x61C, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A)):
        table[dropped] = _DROP
    for blank in (0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000):
        table[blank] = ord(" ")
    for line in (0x85, 0x2028, 0x2029):
        table[line] = ord("\n")
    for dash in (*range(0x2010, 0x2016), 0x2212, 0xFE58, 0xFE63):
        table[dash] = ord("-")
    for slash in (0x2044, 0x2215):
        table[slash] = ord("/")
    for zero in (0x660, 0x6F0):
        table[zero : zero + 10] = np.arange(ord("0"), ord("0") + 10)
    table[0xFF01:0xFF5F] = np.arange(0x21, 0x7F)
    return table


_FOLD = _folding()
_FOLDED = re.compile("[" + "".join(chr(int(i)) for i in np.flatnonzero(np.arange(0x10000, dtype=np.uint32) != _FOLD)) + "]")
_ESCAPE = re.compile(r"&(?:#(\d{2,5})|#[xX]([0-9a-fA-F]{2,4})|([A-Za-z]{2,8}));|\\(?:u([0-9a-fA-F]{4})|([nrt\"/]))")
_ESCAPED = {"n": 10, "r": 13, "t": 9, '"': 34, "/": 47}


def _unescaped(match: re.Match[str]) -> int | None:
    decimal, hexadecimal, name, escape, letter = match.groups()
    if name:
        return name2codepoint.get(name)
    if letter:
        return _ESCAPED[letter]
    code = int(decimal) if decimal else int(hexadecimal or escape, 16)
    # A surrogate would not encode; a NUL would look like the end of the text.
    return code if 0 < code < 0xD800 else None


class Normalised:
    """A text as the patterns want it, and the way back to the code points that it came from."""

    def __init__(self, original: str) -> None:
        self.text = original
        self._origin: Any = None
        self._ends: dict[int, int] = {}
        escapes = "&" in original or "\\" in original
        if not escapes and (original.isascii() or not _FOLDED.search(original)):
            return
        codes = np.frombuffer(original.encode("utf-32-le"), dtype=np.uint32).copy()
        keep = np.ones(len(codes), dtype=bool)
        if escapes:
            for match in _ESCAPE.finditer(original):
                code = _unescaped(match)
                if code is not None:
                    start, end = match.span()
                    codes[start] = code
                    keep[start + 1 : end] = False
                    self._ends[start] = end
        small = codes < 0x10000
        codes[small] = _FOLD[codes[small]]
        keep &= codes != _DROP
        self.text = codes[keep].tobytes().decode("utf-32-le")
        self._origin = np.flatnonzero(keep)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Give the code points of the original that a span of `text` came from."""
        if self._origin is None:
            return start, end
        last = int(self._origin[end - 1])
        return int(self._origin[start]), self._ends.get(last, last + 1)


# ---------------------------------------------------------------- candidates


def _options() -> Any:
    options = re2.Options()
    options.never_capture = True
    options.log_errors = False
    options.max_mem = 64 << 20
    return options


@lru_cache(maxsize=16)
def _compiled(patterns: tuple[str, ...]) -> tuple[Any, list[Any]]:
    together = re2.Set.SearchSet(_options())
    for pattern in patterns:
        together.Add(pattern)
    together.Compile()
    return together, [re2.compile(pattern, _options()) for pattern in patterns]


def _blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Cut at the end of a text or at an empty line, where no value runs on; give each block and where it begins."""
    start = 0
    while start < len(data):
        cut = _CUT.search(data, start + _BLOCK)
        end = cut.end() if cut else len(data)
        yield start, data[start:end]
        start = end


def _candidates(text: str, rules: Sequence[Rule]) -> Iterator[tuple[Rule, int, int]]:
    """Yield the places in a normalised text where a rule's pattern occurs, in code points."""
    together, patterns = _compiled(tuple(rule.pattern for rule in rules))
    data = text.encode("utf-8")
    which: list[int] = []
    spans: list[tuple[int, int]] = []
    for offset, block in _blocks(data):
        for index in sorted(together.Match(block) or ()):
            for match in patterns[index].finditer(block):
                start, end = match.span()
                which.append(index)
                spans.append((offset + start, offset + end))
    if not spans:
        return
    points = np.array(spans, dtype=np.int64)
    if not text.isascii():
        continuation = np.flatnonzero((np.frombuffer(data, dtype=np.uint8) & 0xC0) == 0x80)
        points -= np.searchsorted(continuation, points)
    for index, (start, end) in zip(which, points.tolist(), strict=True):
        yield rules[index], start, end


def before(text: str, start: int, size: int) -> str:
    """Give up to `size` characters of the same text that stand before a place in a chunk."""
    window = text[max(0, start - size) : start]
    return window[window.rfind(BOUNDARY) + 1 :]


def words(alternatives: str) -> Any:
    """Compile the words that tell what stands beside them, for `nearest` and `mentioned`; case does not count."""
    return re2.compile(f"(?i)(?:{alternatives})", _options())


def mentioned(window: str, telling: Any) -> bool:
    """Tell whether one of the telling words stands in a window."""
    return telling.search(window.encode()) is not None


def nearest(window: str, wanted: Any, other: Any) -> int:
    """Judge what stands before a place: 1 if the last telling word is a wanted one, -1 if another, 0 if there is none."""
    data = window.encode()
    best = max((match.end() for match in wanted.finditer(data)), default=-1)
    rival = max((match.end() for match in other.finditer(data)), default=-1)
    if best < 0 and rival < 0:
        return 0
    return 1 if best >= rival else -1


# ---------------------------------------------------------------- the whole


def _chunks(texts: Any) -> Iterator[tuple[int, list[str]]]:
    """Group neighbouring texts into chunks of about a million code points: first row, its texts."""
    rows: list[str] = []
    first = size = row = 0
    arrays = texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]
    for array in arrays:
        for at in range(0, len(array), 4096):
            part = array[at : at + 4096]
            for text in part.to_pylist() if isinstance(part, pa.Array) else part:
                rows.append(text or "")
                size += len(rows[-1]) + 1
                row += 1
                if size >= _CHUNK:
                    yield first, rows
                    rows, first, size = [], row, 0
    if rows:
        yield first, rows


def _resolve(found: list[tuple[int, int, str, float, str]]) -> list[tuple[int, int, str, float, str]]:
    """Of overlapping spans keep the surer, then the longer one; the rest in order of place."""
    found.sort(key=lambda item: item[0])
    kept: list[tuple[int, int, str, float, str]] = []
    cluster: list[tuple[int, int, str, float, str]] = []
    reach = -1
    for item in [*found, (1 << 62, 1 << 62, "", 0.0, "")]:
        if item[0] >= reach:
            kept.extend(_disjoint(cluster) if len(cluster) > 1 else cluster)
            cluster = []
        cluster.append(item)
        reach = max(reach, item[1])
    return kept


def _disjoint(cluster: list[tuple[int, int, str, float, str]]) -> list[tuple[int, int, str, float, str]]:
    chosen: list[tuple[int, int, str, float, str]] = []
    covered = np.zeros(max(item[1] for item in cluster) - cluster[0][0], dtype=bool)
    base = cluster[0][0]
    for item in sorted(cluster, key=lambda item: (-item[3], item[0] - item[1], item[0], item[2])):
        place = slice(item[0] - base, item[1] - base)
        if not covered[place].any():
            covered[place] = True
            chosen.append(item)
    return sorted(chosen)


def find(texts: Any, rules: Sequence[Rule]) -> pa.Table:
    """Find what the rules describe.

    Args:
        texts: n texts, null counts as empty: a string array, a chunked array or a sequence of str or None.
        rules: what to look for.

    Returns:
        One row per finding, by row and start, not overlapping within a row: `row` (index into texts), `kind`, `start`, `end`
        (code points of the given text, end exclusive), `score` (0 to 1), `evidence`. Never the value.
    """
    columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
    for first, rows in _chunks(texts) if rules else ():
        joined = BOUNDARY.join(rows)
        if not joined.isascii():
            # Python strings may hold lone surrogates, which UTF-8 cannot; one `?` each keeps the offsets.
            joined = joined.encode("utf-8", "replace").decode("utf-8")
        starts = np.cumsum([0, *(len(text) + 1 for text in rows[:-1])])
        normalised = Normalised(joined)
        found = []
        for rule, start, end in _candidates(normalised.text, rules):
            accepted = rule.judge(normalised.text, start, end)
            if accepted is not None:
                span = normalised.span(accepted.start, accepted.end)
                found.append((*span, rule.kind, accepted.score, accepted.evidence))
        resolved = _resolve(found)
        at = np.searchsorted(starts, [item[0] for item in resolved], side="right") - 1
        for index, (start, end, kind, score, evidence) in zip(at.tolist(), resolved, strict=True):
            offset = int(starts[index])
            values = (first + index, kind, start - offset, end - offset, score, evidence)
            for name, value in zip(SCHEMA.names, values, strict=True):
                columns[name].append(value)
    return pa.table(columns, schema=SCHEMA)
