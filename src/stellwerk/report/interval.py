"""A measured value with its interval against its threshold: as text, and as a small bar that fits into a line.

Knows how wide the scale has to be so that value, interval and threshold are all seen. Does not judge: the state comes
from the gate.
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict

from stellwerk.report.words import Language, interval, quantity

WIDTH: Final = 132
HEIGHT: Final = 18
_MOST: Final = 1e100  # beyond it, and for infinity, there is no line to draw
_MIDDLE: Final = HEIGHT / 2


class Reading(BaseModel):
    """A value, the interval around it, and the threshold that it has to keep; bounds are inclusive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float | None = None
    low: float | None = None
    high: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""


def reading_text(reading: Reading, language: Language = "en") -> str:
    """Write the value with its interval, such as `91.2 % (88.4 % to 93.5 %)`; empty where there is none."""
    if reading.value is None:
        return ""
    return interval(reading.value, reading.low, reading.high, reading.unit, language)


def threshold_text(reading: Reading, language: Language = "en") -> str:
    """Write the threshold, such as `≥ 90 %`; empty where there is none."""
    limits = (("≥", reading.minimum), ("≤", reading.maximum))
    return ", ".join(f"{sign} {quantity(bound, reading.unit, language)}" for sign, bound in limits if bound is not None)


def reading_svg(reading: Reading) -> str:
    """Draw the value and its interval on a line; what the threshold forbids is shaded.

    Args:
        reading: with a value; without one the line is empty.

    Returns:
        One <svg> element, hidden from screen readers: the text beside it says the same.
    """
    drawn = {key: v for key, v in reading.model_dump(exclude={"unit"}).items() if v is not None and abs(v) < _MOST}
    reading = Reading(**drawn, unit=reading.unit)
    first, last = _scale(reading)

    def at(value: float) -> float:
        return 4 + (WIDTH - 8) * (value - first) / (last - first)

    parts = [_line(4, WIDTH - 4, "var(--line, #d9dfe7)", 2)]
    for bound, start, stop in ((reading.minimum, first, reading.minimum), (reading.maximum, reading.maximum, last)):
        if bound is not None and start is not None and stop is not None:
            x = at(start)
            parts.append(
                f'<rect x="{x:.1f}" y="2" width="{at(stop) - x:.1f}" height="{HEIGHT - 4}" fill="var(--stop, #ad3148)" '
                f'fill-opacity="0.14"/><path d="M{at(bound):.1f},1V{HEIGHT - 1}" stroke="var(--stop, #ad3148)" '
                'stroke-width="1.6" fill="none"/>'
            )
    if reading.value is not None:
        low, high = (reading.value if bound is None else bound for bound in (reading.low, reading.high))
        if high > low:
            parts.append(_line(at(low), at(high), "var(--ink, #16202e)", 3))
            parts += [
                f'<path d="M{at(end):.1f},5V{HEIGHT - 5}" stroke="var(--ink, #16202e)" fill="none"/>' for end in (low, high)
            ]
        parts.append(f'<circle cx="{at(reading.value):.1f}" cy="{_MIDDLE:.0f}" r="3.6" fill="var(--ink, #16202e)"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="reading" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" aria-hidden="true">{"".join(parts)}</svg>'
    )


def _scale(reading: Reading) -> tuple[float, float]:
    """The ends of the scale: all that is to be seen with a margin, and never below 0 or above 1 where nothing can be."""
    seen = [v for v in (reading.value, reading.low, reading.high, reading.minimum, reading.maximum) if v is not None] or [0.0]
    first, last = min(seen), max(seen)
    margin = (last - first) * 0.4 or abs(last) * 0.4 or 1.0
    start = max(first - margin, 0.0) if first >= 0 else first - margin
    end = min(last + margin, 1.0) if reading.unit == "share" and last <= 1 else last + margin
    return (start, end) if end > start else (start, start + 1)


def _line(x0: float, x1: float, colour: str, width: float) -> str:
    return f'<path d="M{x0:.1f},{_MIDDLE:.1f}H{x1:.1f}" stroke="{colour}" stroke-width="{width:g}" fill="none"/>'
