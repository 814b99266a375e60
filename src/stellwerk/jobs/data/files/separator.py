"""Guessing the separator of a csv file from its first lines.

It knows four candidates and counts cells; it does not read the file.
"""

from __future__ import annotations

import contextlib
import csv
import re
from collections import Counter

from stellwerk.errors import UserError

CANDIDATES = (",", ";", "\t", "|")
NONE = "\x1f"  # the unit separator: a file of one column, whose text may hold any candidate
_NAMES = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
_EXCEL = re.compile('^\ufeff?"?sep=(.)"?[\r\n]*$', re.IGNORECASE)


def separator_of(given: str) -> str:
    """Check the user's separator.

    Raises:
        UserError: it is not one character.
    """
    separator = _NAMES.get(given.lower(), given)
    if len(separator) != 1 or separator in '\r\n"':
        raise UserError(f"The separator '{given}' is not possible; give one character such as ';' or the word tab.")
    return separator


def excel_separator(line: str) -> str | None:
    """Read the line `sep=;` that Excel writes and expects before the header; None where there is none."""
    match = _EXCEL.match(line)
    return match[1] if match else None


def dialect(separator: str, quote: str, *, strict: bool) -> type[csv.Dialect]:
    """Describe a csv format to the csv module; strict ones refuse text between a closing quote and a separator."""

    class Format(csv.excel):
        delimiter = separator
        quotechar = quote or None
        quoting = csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE

    Format.strict = strict
    return Format


def sniff(lines: list[str], quote: str) -> str:
    """Guess the separator.

    Args:
        lines: the first whole lines of the file.
        quote: the character around cells, or an empty string.

    Returns:
        The candidate with which most rows have as many cells as the header, then the one that makes most cells;
        `NONE` when no candidate stands in the header.
    """
    best, best_score = NONE, (0.0, 0)
    for candidate in CANDIDATES:
        counts = _cell_counts(lines, candidate, quote)
        if not counts or counts[0] < 2:
            continue
        rows = counts[1:]
        share = Counter(rows)[counts[0]] / len(rows) if rows else 1.0
        score = (round(share, 2), counts[0])
        if best == NONE or score > best_score:
            best, best_score = candidate, score
    return best


def _cell_counts(lines: list[str], separator: str, quote: str) -> list[int]:
    counts: list[int] = []
    with contextlib.suppress(csv.Error):
        counts.extend(len(row) for row in csv.reader(lines, dialect(separator, quote, strict=False)) if row)
    return counts
