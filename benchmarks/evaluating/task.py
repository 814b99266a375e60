"""The task that every contender gets: additions, of which the model that is asked has a known share right."""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path

TEMPLATE = "Add: {{a}} + {{b}}"
RIGHT_OF_TEN = 8
_QUESTION = re.compile(r"Add: (\d+) \+ (\d+)")


def cases(count: int) -> list[tuple[int, int]]:
    """Pairs to be added; no two are alike, so that nothing can be answered from a cache."""
    return [(number, 7 * number % 83) for number in range(count)]


def question(a: int, b: int) -> str:
    """What the model is asked."""
    return TEMPLATE.replace("{{a}}", str(a)).replace("{{b}}", str(b))


def answered(asked: str) -> tuple[str, bool]:
    """The model's answer to a question, and whether it is right; always the same for the same question.

    Raises:
        ValueError: it is not asked to add.
    """
    found = _QUESTION.fullmatch(asked.strip())
    if found is None:
        raise ValueError(f"no addition: {asked[:80]!r}")
    right = zlib.crc32(asked.strip().encode()) % 10 < RIGHT_OF_TEN
    return str(int(found[1]) + int(found[2]) + (not right)), right


def lines(count: int, path: Path) -> Path:
    """Write the cases as lines of JSON: a, b, answer."""
    path.write_text("".join(json.dumps({"a": a, "b": b, "answer": str(a + b)}) + "\n" for a, b in cases(count)))
    return path
