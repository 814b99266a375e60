"""Lines that are new or gone, with the words in them that differ; in one column, so that they fit on a phone.

Knows lines and words. Which texts are compared is others' affair.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Sign = Literal["", "+", "-", "gap"]
AROUND = 2  # equal lines that are shown beside a difference
ALIKE = 0.4  # of two lines, from which on their words are compared
LONGEST = 2000  # signs of a line whose words are compared
_WORDS = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True)
class Line:
    """A line; `pieces` are its parts, each with whether the other text has it not."""

    sign: Sign
    pieces: tuple[tuple[str, bool], ...]


def between(before: str, after: str) -> list[Line]:
    """What differs between two texts; none where they are the same."""
    return of_unified(list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=AROUND)))


def of_unified(lines: Sequence[str]) -> list[Line]:
    """The lines of a unified diff; the places where equal lines are left out are gaps."""
    found: list[tuple[Sign, str]] = []
    for line in lines[2:]:
        if line.startswith("@@"):
            found += [("gap", "")] if found else []
        else:
            found.append((_sign(line[:1]), line[1:]))
    return marked(found)


def marked(lines: Iterable[tuple[str, str]]) -> list[Line]:
    """Lines with their signs, the words that differ marked in lines that stand for each other."""
    given = [(_sign(sign) if sign != "gap" else "gap", text) for sign, text in lines]
    words: dict[int, tuple[tuple[str, bool], ...]] = {}
    for gone, new in _blocks(given):
        for old, young in zip(gone, new, strict=False):
            pair = _words(given[old][1], given[young][1])
            if pair:
                words[old], words[young] = pair
    return [Line(sign, words.get(place, ((text, False),))) for place, (sign, text) in enumerate(given)]


def _blocks(lines: Sequence[tuple[Sign, str]]) -> Iterator[tuple[list[int], list[int]]]:
    """The places of lines that are gone and new, for each run of changed lines."""
    gone: list[int] = []
    new: list[int] = []
    for place, (sign, _) in enumerate([*lines, ("", "")]):
        if sign in ("+", "-"):
            (new if sign == "+" else gone).append(place)
        elif gone or new:
            yield gone, new
            gone, new = [], []


def _words(before: str, after: str) -> tuple[tuple[tuple[str, bool], ...], tuple[tuple[str, bool], ...]] | None:
    if max(len(before), len(after)) > LONGEST:
        return None
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    if matcher.ratio() < ALIKE:
        return None
    parts = matcher.get_opcodes()
    return (
        tuple(("".join(old[i:j]), kind != "equal") for kind, i, j, _, _ in parts if j > i),
        tuple(("".join(new[k:m]), kind != "equal") for kind, _, _, k, m in parts if m > k),
    )


def _sign(sign: str) -> Sign:
    return "+" if sign == "+" else "-" if sign == "-" else ""
