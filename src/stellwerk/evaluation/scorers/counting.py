"""Scorers that count words, sentences and the like, and see in which case letters are written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from stellwerk.evaluation.case import Check
from stellwerk.evaluation.scorers.outcome import Asked, Outcome, nfc, yes_no

_ABBREVIATION = (
    r"(?<!\bz\.B)(?<!\bd\.h)(?<!\bu\.a)(?<!\bbzw)(?<!\bca)(?<!\bNr)(?<!\bDr)(?<!\bMr)(?<!\bMrs)(?<!\be\.g)(?<!\bi\.e)"
)
_END = re.compile(rf"(?<![.!?…]){_ABBREVIATION}(?<!\b\d)[.!?…]++(?=[\s\"'»“”)\]]|\Z)")  # linear, whatever an answer holds
_BULLET = re.compile(r"^[ \t]*(?:[*+•–-]|\d{1,3}[.)])[ \t]+\S", re.M)
_PARAGRAPH = re.compile(r"\n[ \t]*\n")
UNITS: Mapping[str, Callable[[str], int]] = {
    "words": lambda text: len(text.split()),
    "characters": len,
    "sentences": lambda text: sum(1 for part in _END.split(text) if re.search(r"\w", part)),
    "paragraphs": lambda text: sum(1 for part in _PARAGRAPH.split(text) if part.strip()),
    "lines": lambda text: sum(1 for line in text.splitlines() if line.strip()),
    "bullets": lambda text: len(_BULLET.findall(text)),
}
CASES: Mapping[str, Callable[[str], bool]] = {
    "upper": lambda text: not any(letter.islower() for letter in text if letter != "ß"),
    "lower": lambda text: not any(letter.isupper() for letter in text),
}


def word_count(check: Check, asked: Asked) -> Outcome:
    """The answer has so many words, told apart by blanks: a number, or min and max."""
    return _within(check.value, UNITS["words"](asked.text), "words")


def count(check: Check, asked: Asked) -> Outcome:
    """The answer has so many of `config.of`: a unit such as sentences, or a text, case ignored."""
    unit = str(check.config["of"])
    counted = UNITS[unit](asked.text) if unit in UNITS else asked.text.lower().count(nfc(unit).lower())
    return _within(check.value, counted, unit)


def letter_case(check: Check, asked: Asked) -> Outcome:
    """All letters of the answer are `upper` or `lower`."""
    passed = CASES[check.value](asked.text)
    return yes_no(passed, "all_in_case" if passed else "other_case", case=check.value)


def problem(check: Check) -> str | None:
    """A number must be given, or min and max."""
    value = check.value
    if isinstance(value, Mapping):
        given = {name: value[name] for name in ("min", "max") if value.get(name) is not None}
        if not given or set(value) - {"min", "max"} or not all(map(_is_number, given.values())):
            return "needs a value with min, max or both, each a number"
        low, high = _bounds(value)
        return f"has min {low:g} above max {high:g}" if low > high else None
    if isinstance(value, str) and "{{" in value:
        return None
    return None if _is_number(value) else "needs a value: a number, or min and max"


def count_problem(check: Check) -> str | None:
    """What is counted must be said as well."""
    unit = check.config.get("of")
    if not isinstance(unit, str) or not unit:
        return f"needs config: {{of: ...}} with a text or one of {', '.join(UNITS)}"
    return problem(check)


def case_problem(check: Check) -> str | None:
    """The value is upper or lower."""
    return None if check.value in CASES else "needs a value: upper or lower"


def _within(value: Any, counted: int, unit: str) -> Outcome:
    low, high = _bounds(value)
    reason = "too_few" if counted < low else "too_many" if counted > high else "right_number"
    facts = {"counted": counted, "of": unit, "least": low, "most": None if high == float("inf") else high}
    return Outcome(float(reason == "right_number"), reason == "right_number", reason, facts)


def _bounds(value: Any) -> tuple[float, float]:
    if not isinstance(value, Mapping):
        return float(value), float(value)
    low, high = value.get("min"), value.get("max")
    return float(low) if low is not None else 0.0, float(high) if high is not None else float("inf")


def _is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    try:
        return 0 <= float(value) < float("inf")
    except (TypeError, ValueError):
        return False
