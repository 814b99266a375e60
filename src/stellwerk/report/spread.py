"""An interval on a scale that several share, so that the eye can compare them; and a difference with its margin.

Colours are variables of the theme. Does not judge: what is better was decided elsewhere.
"""

from __future__ import annotations

import math
from html import escape
from typing import Final

from stellwerk.report.words import Language, visible

WIDTH: Final = 140
HEIGHT: Final = 18
WIDE: Final = 340
TALL: Final = 92
_EDGE: Final = 5
_INK: Final = "var(--ink, #16202e)"
_MUTED: Final = "var(--muted, #556170)"
_LINE: Final = "var(--line, #d9dfe7)"
_BAND: Final = "var(--source, #3d5a98)"


def spread_svg(
    value: float | None,
    low: float | None,
    high: float | None,
    scale: tuple[float, float] = (0.0, 1.0),
    zero: float | None = None,
) -> str:
    """Draw a value with its interval on a given scale, small enough for a line of a table.

    Args:
        value: none draws the scale alone.
        low: end of the interval; none where there is none on this side.
        high: the other end.
        scale: what the ends of the picture stand for; what lies beyond is cut there.
        zero: a value that is marked on the scale, such as no difference.

    Returns:
        One <svg> element, hidden from screen readers: the text beside it says the same.
    """
    parts = [_flat(_EDGE, WIDTH - _EDGE, HEIGHT / 2, _LINE, 2)]
    if zero is not None and scale[0] <= zero <= scale[1]:
        parts.append(_upright(_at(zero, scale, WIDTH), 1, HEIGHT - 1, _MUTED, 1.2))
    parts += _whisker(value, low, high, scale, WIDTH, HEIGHT / 2, 4)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="spread" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" aria-hidden="true">{"".join(parts)}</svg>'
    )


def around(values: list[float | None], zero: bool = True) -> tuple[float, float]:
    """A scale that shows all of some values with room beside them, and zero where asked."""
    seen = [value for value in values if value is not None and math.isfinite(value)] + ([0.0] if zero else [])
    first, last = (min(seen), max(seen)) if seen else (0.0, 1.0)
    room = (last - first) * 0.12 or abs(last) * 0.5 or 1.0
    return first - room, last + room


def difference_svg(
    value: float,
    low: float | None,
    high: float | None,
    margin: float,
    ticks: list[tuple[float, str]],
    sides: tuple[str, str],
    label: str,
    language: Language = "en",
) -> str:
    """Draw a difference with its interval against zero, and the margin within which two count as equally good.

    Args:
        value: the difference.
        low: end of its interval.
        high: the other end.
        margin: half the width of the band around zero; 0 for none.
        ticks: places on the scale, with what is written there; the first and the last are its ends.
        sides: what lies left of zero, and right of it.
        label: what a screen reader says in its place.
        language: of the texts.
    """
    scale = (ticks[0][0], ticks[-1][0])
    zero, base = _at(0.0, scale, WIDE), TALL - 26
    parts = []
    if margin:
        left, right = _at(-margin, scale, WIDE), _at(margin, scale, WIDE)
        box = f'x="{left:.1f}" y="20" width="{right - left:.1f}" height="{base - 20}"'
        parts.append(f'<rect {box} fill="{_BAND}" fill-opacity="0.16"/>')
        for x in (left, right):
            parts.append(f'<path d="M{x:.1f},20V{base}" stroke="{_BAND}" stroke-dasharray="3 3" fill="none"/>')
    parts.append(_flat(_EDGE, WIDE - _EDGE, base, _LINE, 1.4))
    parts.append(_upright(zero, 16, base, _MUTED, 1.4))
    parts += _whisker(value, low, high, scale, WIDE, (base + 20) / 2, 6)
    for place, text in ticks:
        x = _at(place, scale, WIDE)
        anchor = "start" if x < WIDE * 0.1 else "end" if x > WIDE * 0.9 else "middle"
        parts.append(_upright(x, base, base + 4, _MUTED, 1))
        parts.append(_text(x if anchor == "middle" else (1 if anchor == "start" else WIDE - 1), base + 17, text, anchor))
    if zero > 90:
        parts.append(_text(zero - 8, 11, f"← {sides[0]}", "end"))
    if zero < WIDE - 90:
        parts.append(_text(zero + 8, 11, f"{sides[1]} →", "start"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="difference" lang="{language}" viewBox="0 0 {WIDE} {TALL}" role="img" '
        f'aria-label="{escape(visible(label))}">{"".join(parts)}</svg>'
    )


def _whisker(
    value: float | None,
    low: float | None,
    high: float | None,
    scale: tuple[float, float],
    width: float,
    y: float,
    radius: float,
) -> list[str]:
    if value is None or not math.isfinite(value):
        return []
    start, end = (value if bound is None or not math.isfinite(bound) else bound for bound in (low, high))
    parts = []
    if end > start:
        x0, x1 = _at(start, scale, width), _at(end, scale, width)
        parts.append(_flat(x0, x1, y, _INK, 2.6))
        parts += [
            _upright(x, y - radius, y + radius, _INK, 1.2)
            for x, bound in ((x0, start), (x1, end))
            if bound != value and scale[0] <= bound <= scale[1]
        ]
    parts.append(f'<circle cx="{_at(value, scale, width):.1f}" cy="{y:g}" r="{radius}" fill="{_INK}"/>')
    return parts


def _at(value: float, scale: tuple[float, float], width: float) -> float:
    first, last = scale
    share = (value - first) / (last - first) if last > first else 0.5
    return _EDGE + (width - 2 * _EDGE) * min(max(share, 0.0), 1.0)


def _flat(x0: float, x1: float, y: float, colour: str, width: float) -> str:
    return f'<path d="M{x0:.1f},{y:g}H{x1:.1f}" stroke="{colour}" stroke-width="{width:g}" fill="none"/>'


def _upright(x: float, y0: float, y1: float, colour: str, width: float) -> str:
    return f'<path d="M{x:.1f},{y0:g}V{y1:g}" stroke="{colour}" stroke-width="{width:g}" fill="none"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:g}" text-anchor="{anchor}" font-size="12" fill="{_MUTED}" '
        f'font-family="system-ui, sans-serif">{escape(visible(text))}</text>'
    )
