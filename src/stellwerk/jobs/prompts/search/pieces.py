"""Cuts a wording into the pieces that a search may leave out: lines, and sentences within them.

Knows no prompt and no model.
"""

from __future__ import annotations

import itertools
import re

# A point after a number or a short word ("z. B.", "Nr. 5") seldom ends a sentence.
_ENDS = re.compile(r"(?<=[.!?])(?<!\b\w\.)(?<!\b\w\w\.)(?<!\d\.)[ \t]+(?=\S)")


def pieces(text: str) -> list[str]:
    """The pieces of a text, which joined give it again; a line that holds a placeholder or a tag is not cut."""
    found: list[str] = []
    for line in text.splitlines(keepends=True):
        found.extend([line] if "{" in line else _sentences(line))
    return found


def droppable(piece: str) -> bool:
    """Whether a piece may be left out: it says something, and no value is put in there."""
    return bool(piece.strip()) and "{{" not in piece and "{%" not in piece


def without(parts: list[str], left_out: set[int]) -> str:
    """The text of all pieces but some, with no empty lines in place of those."""
    kept: list[str] = []
    for place, piece in enumerate(parts):
        if place not in left_out:
            kept.append(piece)
        elif piece.endswith("\n") and kept and not kept[-1].endswith("\n"):
            kept.append("\n")
    return re.sub(r"\n{3,}", "\n\n", "".join(kept)).strip()


def _sentences(line: str) -> list[str]:
    cuts = [0, *(match.end() for match in _ENDS.finditer(line)), len(line)]
    return [line[start:end] for start, end in itertools.pairwise(cuts) if end > start]
