"""Calls of a test by their place: a page of them, those that hold a text, the one before and after.

Reads no more shards than it needs, so that a page of 200,000 calls costs as much as one of 500.
"""

from __future__ import annotations

import gzip
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stellwerk.evaluation.evidence import Evidence, Only, state_of
from stellwerk.evaluation.rows import load

LOOKED_THROUGH = 20  # shards that a search reads for one page

Row = tuple[int, dict[str, Any]]


@dataclass(frozen=True)
class Hits:
    """What a search found.

    Attributes:
        rows: numbers from 0, and calls.
        start: the first number that was looked at.
        end: the number after the last one.
        more: whether calls follow that were not looked at.
    """

    rows: list[Row]
    start: int
    end: int
    more: bool


def page(found: Evidence, only: Only, offset: int, limit: int) -> list[Row]:
    """Some calls of a kind.

    Args:
        found: the test.
        only: of which kind.
        offset: calls of the kind to skip.
        limit: calls at most.
    """
    rows: list[Row] = []
    for first, shard in _shards(found):
        held = shard["samples"] if only == "all" else shard[only]
        if offset >= held:
            offset -= held
            continue
        fitting = list(_kind(found, first, shard, only))
        rows += fitting[offset : offset + limit - len(rows)]
        offset = 0
        if len(rows) >= limit:
            break
    return rows


def search(found: Evidence, only: Only, text: str, start: int, limit: int) -> Hits:
    """Calls that hold a text, whatever its case, from a number on.

    Args:
        found: the test.
        only: of which kind.
        text: that is looked for in inputs, messages, answers and what was expected.
        start: the number to begin at, from 0.
        limit: calls at most.
    """
    wanted, rows, read = text.casefold(), list[Row](), 0
    for first, shard in _shards(found):
        last = first + shard["samples"]
        if last <= start or (only != "all" and not shard[only]):
            continue
        if read == LOOKED_THROUGH:
            return Hits(rows, start, first, True)
        read += 1
        for number, row in _kind(found, first, shard, only):
            if number >= start and any(wanted in each.casefold() for each in texts(row)):
                if len(rows) == limit:
                    return Hits(rows, start, number, True)
                rows.append((number, row))
    return Hits(rows, start, len(found), False)


def at(found: Evidence, numbers: Collection[int]) -> dict[int, dict[str, Any]]:
    """The calls of some numbers, from 0; of each shard that is read only these are decoded."""
    wanted, rows = sorted(set(numbers)), dict[int, dict[str, Any]]()
    for first, shard in _shards(found):
        mine = [number for number in wanted if first <= number < first + shard["samples"]]
        if mine:
            lines = _lines(found, shard)
            rows |= {number: load(lines[number - first]) for number in mine}
    return rows


def beside(found: Evidence, number: int, only: Only) -> tuple[int | None, int | None]:
    """The numbers of the calls of a kind before and after one, from 0; None where there is none."""
    if only == "all":
        return (number - 1 if number else None), (number + 1 if number + 1 < len(found) else None)
    before: int | None = None
    shards = [(first, shard) for first, shard in _shards(found) if shard[only]]
    for first, shard in reversed(shards):
        if first < number:
            mine = [place for place, _ in _kind(found, first, shard, only) if place < number]
            if mine:
                before = mine[-1]
                break
    for first, shard in shards:
        if first + shard["samples"] > number + 1:
            later = next((place for place, _ in _kind(found, first, shard, only) if place > number), None)
            if later is not None:
                return before, later
    return before, None


def texts(row: Mapping[str, Any]) -> Iterator[str]:
    """The texts of a call that people read."""
    answer = row["answer"]
    yield from (row["case"], answer["text"], row["description"] or "", str(row["expected"] or ""))
    yield from (message["content"] for message in answer["messages"])
    yield from (value if isinstance(value, str) else str(value) for value in row["inputs"].values())


def _shards(found: Evidence) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Each shard with the number of its first call."""
    first = 0
    for shard in found.counts["shards"]:
        yield first, shard
        first += shard["samples"]


def _kind(found: Evidence, first: int, shard: Mapping[str, Any], only: Only) -> Iterator[Row]:
    for number, line in enumerate(_lines(found, shard), first):
        row = load(line)
        if only == "all" or state_of(row) == only:
            yield number, row


def _lines(found: Evidence, shard: Mapping[str, Any]) -> list[bytes]:
    return gzip.decompress(found.store.get(shard["content"])).splitlines()
