"""From lines to csv records, with the line where each begins, also when quotes are broken.

It knows quotes and line numbers; it does not know how many cells a row should have, except to tell a broken quote
from a cell of several lines.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from stellwerk.jobs.data.files.separator import dialect

csv.field_size_limit(sys.maxsize if sys.maxsize <= 2**31 - 1 else 2**31 - 1)

MAX_OPEN = 8 * 2**20  # characters: a quoted cell that is longer was never closed


@dataclass
class Records:
    """Records of one block.

    Attributes:
        rows: cells of each record; an empty list is a blank line.
        starts: line number of each record's first line.
        ends: line number of its last line.
        broken: line numbers whose quotes are broken; each of these lines is left out.
    """

    rows: list[list[str]] = field(default_factory=list)
    starts: Sequence[int] = field(default_factory=list)
    ends: Sequence[int] = field(default_factory=list)
    broken: list[int] = field(default_factory=list)


class _Feed:
    """An iterator over lines whose place can be set back."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.place = 0
        self.exhausted = False

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        if self.place >= len(self.lines):
            self.exhausted = True
            raise StopIteration
        self.place += 1
        return self.lines[self.place - 1]


class RecordSplitter:
    """Splits blocks of lines into records; a record may go on in the next block."""

    def __init__(self, separator: str, quote: str) -> None:
        self._format = dialect(separator, quote, strict=True)
        self._separator = separator
        self._carry: list[str] = []
        self._line = 1

    def skip(self, lines: int) -> None:
        """Count lines that were left out before the next block."""
        self._line += lines

    def feed(self, block: list[str], cells: int | None, final: bool = False) -> Records:
        """Split the next lines.

        Args:
            block: whole lines.
            cells: number of cells that a row should have; None before the header.
            final: no further block follows.

        Returns:
            The records that end in this block.
        """
        lines = self._carry + block if self._carry else block
        first = self._line
        self._carry = []
        if not lines:
            return Records()
        try:
            rows = list(csv.reader(lines, self._format))
        except csv.Error:
            rows = []
        if len(rows) == len(lines):  # the usual case: each line is a record, so their numbers are known
            self._line = first + len(lines)
            numbers = range(first, first + len(lines))
            return Records(rows, numbers, numbers)
        return self._carefully(lines, first, cells, final)

    def _carefully(self, lines: list[str], first: int, cells: int | None, final: bool) -> Records:
        rows: list[list[str]] = []
        starts: list[int] = []
        ends: list[int] = []
        broken: list[int] = []
        feed = _Feed(lines)
        reader = csv.reader(feed, self._format)
        while feed.place < len(lines):
            start = feed.place
            feed.exhausted = False
            try:
                row = next(reader)
            except StopIteration:
                break
            except csv.Error:
                if feed.exhausted and not final and self._may_go_on(lines, start):
                    self._carry = lines[start:]
                    break
                broken.append(first + start)
                feed.place = start + 1
                continue
            if self._swallowed(lines, start, feed.place, row, cells):
                broken.append(first + start)
                feed.place = start + 1
                continue
            rows.append(row)
            starts.append(first + start)
            ends.append(first + feed.place - 1)
            if cells is None and any(map(str.strip, row)):
                cells = len(row)  # the header
        self._line = first + len(lines) - len(self._carry)
        return Records(rows, starts, ends, broken)

    @staticmethod
    def _may_go_on(lines: list[str], start: int) -> bool:
        return sum(map(len, lines[start:])) <= MAX_OPEN

    def _swallowed(self, lines: list[str], start: int, end: int, row: list[str], cells: int | None) -> bool:
        """Tell whether an unclosed quote has swallowed whole rows: the lines within are rows by themselves.

        A record that has the wanted number of cells all the same must show more: two lines within, and a first and a
        last line that are rows as well when their quotes are taken as letters. In a genuine cell of several lines the
        first line lacks the cells that follow.
        """
        if end - start < 3 or cells is None or cells < 2:
            return False
        if len(row) == cells:
            outer = [line.count(self._separator) + 1 for line in (lines[start], lines[end - 1])]
            if end - start < 4 or outer != [cells, cells]:
                return False
        try:
            within = list(csv.reader(lines[start + 1 : end - 1], self._format))
        except csv.Error:
            return False
        return all(len(inner) == cells for inner in within)
