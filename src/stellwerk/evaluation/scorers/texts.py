"""Scorers that compare texts letter by letter: equals, contains and their kin, starts-with."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from typing import Any

from stellwerk.evaluation.case import Check
from stellwerk.evaluation.scorers.outcome import Asked, Outcome, nfc, yes_no

SHOWN = 5  # of the texts that are missing or found, a sentence names so many


def equals(check: Check, asked: Asked) -> Outcome:
    """The answer is the value; a value with fields or a list is compared with the answer read as JSON."""
    value = check.value
    if isinstance(value, dict | list):
        try:
            found = json.loads(asked.text)
        except (ValueError, RecursionError):
            return yes_no(False, "no_json")
        facts = {} if found == value else {"expected": shortened(as_text(value))}
        return yes_no(found == value, "differs" if facts else "equal", **facts)
    wanted = nfc(as_text(value))
    if asked.text == wanted:
        return yes_no(True, "equal")
    near = asked.text.strip().casefold() == wanted.strip().casefold()
    return yes_no(False, "differs_in_case_or_blanks" if near else "differs", expected=shortened(wanted))


def contains(check: Check, asked: Asked) -> Outcome:
    """The value stands somewhere in the answer."""
    return _contains_all(check, asked, [check.value])


def contains_all(check: Check, asked: Asked) -> Outcome:
    """Each of the values stands somewhere in the answer."""
    return _contains_all(check, asked, listed(check.value))


def contains_any(check: Check, asked: Asked) -> Outcome:
    """One of the values at least stands somewhere in the answer."""
    text = _folded(check, asked.text)
    found = [value for value in map(as_text, listed(check.value)) if _folded(check, nfc(value)) in text]
    if found:
        return yes_no(True, "contained", found=[shortened(value) for value in found[:SHOWN]])
    return yes_no(False, "none_contained", expected=[shortened(as_text(v)) for v in listed(check.value)[:SHOWN]])


def starts_with(check: Check, asked: Asked) -> Outcome:
    """The answer begins with the value."""
    wanted = nfc(as_text(check.value))
    passed = asked.text.startswith(wanted)
    return yes_no(passed, "begins" if passed else "begins_otherwise", expected=shortened(wanted))


def needs_text(check: Check) -> str | None:
    """A text or number must be given."""
    if isinstance(check.value, str | int | float) and not isinstance(check.value, bool) and check.value != "":
        return None
    return "needs a value: a text or a number"


def needs_texts(check: Check) -> str | None:
    """A list of texts, or one text with commas, must be given."""
    if isinstance(check.value, list):
        wrong = not check.value or not all(isinstance(v, str | int | float) and v != "" for v in check.value)
    else:
        wrong = not isinstance(check.value, str) or not listed(check.value)
    return "needs a value: a list of texts" if wrong else None


def needs_anything(check: Check) -> str | None:
    """Some value must be given; an empty text is one."""
    return "needs a value to compare with" if check.value is None else None


def listed(value: Any) -> list[Any]:
    """A list as it is; a text as what stands between its commas, with quotes around what holds a comma."""
    if isinstance(value, list | tuple):
        return list(value)
    rows = list(csv.reader([str(value)], skipinitialspace=True))
    return [part.strip() for part in (rows[0] if rows else []) if part.strip()]


def as_text(value: Any) -> str:
    """A value of YAML as a text: 3.0 is 3, true is true, structures are JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False) if value is None or isinstance(value, bool | dict | list) else str(value)


def shortened(text: str, most: int = 80) -> str:
    """A text as sentences name it."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _contains_all(check: Check, asked: Asked, values: Sequence[Any]) -> Outcome:
    text = _folded(check, asked.text)
    missing = [value for value in map(as_text, values) if _folded(check, nfc(value)) not in text]
    if missing:
        return yes_no(False, "missing", missing=[shortened(value) for value in missing[:SHOWN]])
    return yes_no(True, "contained", found=[shortened(as_text(value)) for value in values[:SHOWN]])


def _folded(check: Check, text: str) -> str:
    return text.lower() if check.type.startswith("i") else text
