"""Scorers that measure how far an answer is from a text: edits, and shared runs of words."""

from __future__ import annotations

import re
from collections import Counter

from stellwerk.evaluation.case import Check
from stellwerk.evaluation.scorers.outcome import Asked, Outcome, nfc
from stellwerk.evaluation.scorers.texts import as_text, needs_text

MAXIMUM = 50_000  # characters that are compared
_WORD = re.compile(r"\w+")


def levenshtein(check: Check, asked: Asked) -> Outcome:
    """At most `threshold` characters are inserted, left out or replaced (Levenshtein 1966)."""
    from rapidfuzz.distance import Levenshtein

    most = 5 if check.threshold is None else check.threshold
    wanted = nfc(as_text(check.value))
    edits = Levenshtein.distance(asked.text[:MAXIMUM], wanted[:MAXIMUM])
    passed = edits <= most
    return Outcome(float(passed), passed, "close" if passed else "far", {"edits": edits, "most": most})


def rouge(check: Check, asked: Asked) -> Outcome:
    """The share of the value's word n-grams that the answer has too (ROUGE-N recall, Lin 2004); case is ignored.

    `config.n` is the length of an n-gram, 1 if left out.
    """
    size = int(check.config.get("n", 1))
    wanted, found = _grams(nfc(as_text(check.value)), size), _grams(asked.text, size)
    total = sum(wanted.values())
    value = sum((wanted & found).values()) / total if total else 0.0
    least = 0.75 if check.threshold is None else check.threshold
    return Outcome(value, value >= least, "overlap", {"share": round(value, 4), "least": least})


def rouge_problem(check: Check) -> str | None:
    """A text must be given, and n be a small number."""
    size = check.config.get("n", 1)
    if not isinstance(size, int) or not 1 <= size <= 10:
        return "has config.n, expected a number from 1 to 10"
    return needs_text(check)


def _grams(text: str, size: int) -> Counter[tuple[str, ...]]:
    words = _WORD.findall(text.lower())
    return Counter(zip(*(words[start:] for start in range(size)), strict=False))
