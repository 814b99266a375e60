"""Numbers as people write them, in German (1.234,5) and English (1,234.5) notation; and two scorers on them.

A number that both notations read, such as 1.234, is taken as either: the check passes if one reading is right.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from stellwerk.evaluation.case import Check
from stellwerk.evaluation.scorers.outcome import Asked, Outcome, inputs_text, nfc, yes_no

_NUMBER = re.compile(
    r"(?<![\w.,])(?P<sign>[-−+]?)(?P<body>\d{1,3}(?:[.,' \u00a0\u202f’]\d{3})+(?:[.,]\d+)?|\d+(?:[.,]\d+)?)"
    r"(?P<percent>\s?%)?(?!\w|[.,]\d)"
)
_LISTED = re.compile(r"^[ \t]*\d{1,3}[.)](?=[ \t])", re.M)  # the numbers of a list are its own
SMALL = 10  # numbers of counting, which need no support


def number(check: Check, asked: Asked) -> Outcome:
    """The answer's last number, or with `config.where: any` one of its numbers, is the value within `threshold`."""
    wanted = _wanted(check)
    assert wanted is not None
    found = [readings for _, readings in numbers(asked.text)]
    if not found:
        return yes_no(False, "no_number", expected=wanted)
    margin = check.threshold or 0.0
    where = check.config.get("where", "last")
    looked_at = found if where == "any" else found[:1] if where == "first" else found[-1:]
    passed = any(abs(value - wanted) <= margin + 1e-9 * max(1.0, abs(wanted)) for readings in looked_at for value in readings)
    return yes_no(passed, "right_value" if passed else "other_value", expected=wanted, found=looked_at[-1][0])


def unsupported(check: Check, asked: Asked) -> Outcome:
    """The answer has a number that neither the inputs nor the messages have; small ones and those of lists are left out."""
    given = "\n".join([inputs_text(asked.case), *(nfc(message.content) for message in asked.answer.messages)])
    if check.value is not None:
        given += f"\n{check.value}"
    known = {round(value, 6) for _, readings in numbers(given) for value in readings}
    text = _LISTED.sub("", asked.text)
    missing = [
        shown for shown, readings in numbers(text)
        if not any(round(value, 6) in known or (value == int(value) and 0 <= value <= SMALL) for value in readings)
    ]  # fmt: skip
    return yes_no(bool(missing), "unsupported" if missing else "supported", numbers=len(missing), found=missing[:5])


def numbers(text: str) -> Iterator[tuple[str, tuple[float, ...]]]:
    """The numbers of a text: as written, and each value that it may mean."""
    for found in _NUMBER.finditer(text):
        sign = -1.0 if found["sign"] in ("-", "−") else 1.0
        values = tuple(sign * value for value in _readings(found["body"]))
        if values:
            yield found[0].strip(), values


def _readings(body: str) -> list[float]:
    """The values of a number's digits and separators, German first."""
    plain = re.sub(r"[' \u00a0\u202f’]", "", body)
    found = []
    for group, point in ((".", ","), (",", ".")):
        whole, _, rest = plain.partition(point)
        if point in rest or group in rest:
            continue
        parts = whole.split(group)
        if len(parts) > 1 and (not 1 <= len(parts[0]) <= 3 or any(len(part) != 3 for part in parts[1:])):
            continue
        found.append(float(f"{''.join(parts)}.{rest or 0}"))
    return [value for value in dict.fromkeys(found) if math.isfinite(value)]


def _wanted(check: Check) -> float | None:
    if isinstance(check.value, bool) or check.value is None:
        return None
    if isinstance(check.value, int | float):
        return float(check.value)
    readings = next((readings for _, readings in numbers(str(check.value))), None)
    notation: Mapping[str, int] = {"de": 0, "en": -1}
    return readings[notation.get(str(check.config.get("notation", "en")), -1)] if readings else None


def problem(check: Check) -> str | None:
    """A number must be given; in a text it is read as English unless config says notation: de."""
    if check.config.get("where", "last") not in ("last", "first", "any"):
        return "has config.where, expected last, first or any"
    if check.config.get("notation", "en") not in ("de", "en"):
        return "has config.notation, expected de or en"
    if isinstance(check.value, str) and "{{" in check.value:
        return None
    return None if _wanted(check) is not None else "needs a value: a number"
