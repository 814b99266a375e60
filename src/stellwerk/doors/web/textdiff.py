"""Two texts side by side, line by line, with what differs between them."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import yaml

AROUND = 2  # equal lines that are shown beside a difference
LINES = 4000


@dataclass(frozen=True)
class Pair:
    """A line of each text; None where one has none, and both are None where equal lines are left out."""

    before: str | None
    after: str | None
    kind: Literal["same", "changed", "gap"]


def as_text(value: Mapping[str, Any]) -> str:
    """Facts as lines."""
    plain = json.loads(json.dumps(dict(value), default=str))
    return yaml.safe_dump(plain, allow_unicode=True, sort_keys=True, width=90) if plain else ""


def compared(before: str, after: str) -> list[Pair]:
    """The lines of two texts beside each other; of long equal parts only the ends."""
    old, new = before.splitlines()[:LINES], after.splitlines()[:LINES]
    found: list[Pair] = []
    for tag, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            found += _shortened(old[i:j], first=i == 0, last=j == len(old))
        else:
            found += [Pair(*pair, "changed") for pair in _beside(old[i:j], new[k:m])]
    return found if any(pair.kind == "changed" for pair in found) else []


def _beside(old: list[str], new: list[str]) -> Iterator[tuple[str | None, str | None]]:
    for place in range(max(len(old), len(new))):
        yield (old[place] if place < len(old) else None), (new[place] if place < len(new) else None)


def _shortened(lines: list[str], *, first: bool, last: bool) -> list[Pair]:
    same = [Pair(line, line, "same") for line in lines]
    head, tail = (0 if first else AROUND), (0 if last else AROUND)
    if len(same) <= head + tail + 1:
        return same
    return [*same[:head], Pair(None, None, "gap"), *same[len(same) - tail :]]
