"""A difference with its interval, drawn on a line around zero, so that rows of one table can be compared.

What lies on the side of zero, or of the margin, on which the second is worse is shaded. Does not judge.
"""

from __future__ import annotations

from typing import Final

WIDTH: Final = 180
HEIGHT: Final = 20
_EDGE: Final = 6
_MIDDLE: Final = HEIGHT / 2


def span_of(bounds: list[float | None]) -> float:
    """How far a common scale reaches to both sides for values and bounds."""
    return 1.15 * max([abs(value) for value in bounds if value is not None] or [0.0]) or 1.0


def difference_svg(value: float, low: float | None, high: float | None, span: float, margin: float = 0.0) -> str:
    """Draw a difference.

    Args:
        value: above 0 the second has more.
        low: lower bound of its interval.
        high: upper bound.
        span: the scale reaches from -span to span.
        margin: how much worse is still as good.

    Returns:
        One <svg> element, hidden from screen readers: the text beside it says the same.
    """

    def at(amount: float) -> float:
        return _EDGE + (WIDTH - 2 * _EDGE) * (min(max(amount, -span), span) + span) / (2 * span)

    worse = at(-margin)
    parts = [
        f'<rect x="{_EDGE}" y="2" width="{worse - _EDGE:.1f}" height="{HEIGHT - 4}" fill="var(--stop, #ad3148)" '
        'fill-opacity="0.1"/>',
        f'<path d="M{_EDGE},{_MIDDLE}H{WIDTH - _EDGE}" stroke="var(--line, #d9dfe7)" stroke-width="2" fill="none"/>',
        f'<path d="M{at(0):.1f},1V{HEIGHT - 1}" stroke="var(--muted, #556170)" stroke-width="1.4" fill="none"/>',
    ]
    if margin:
        parts.append(
            f'<path d="M{worse:.1f},1V{HEIGHT - 1}" stroke="var(--stop, #ad3148)" stroke-width="1.6" stroke-dasharray="3 2" '
            'fill="none"/>'
        )
    if low is not None and high is not None:
        ends = at(low), at(high)
        parts.append(f'<path d="M{ends[0]:.1f},{_MIDDLE}H{ends[1]:.1f}" stroke="var(--ink, #16202e)" stroke-width="3"/>')
        parts += [f'<path d="M{end:.1f},5V{HEIGHT - 5}" stroke="var(--ink, #16202e)" fill="none"/>' for end in ends]
    parts.append(f'<circle cx="{at(value):.1f}" cy="{_MIDDLE}" r="3.8" fill="var(--ink, #16202e)"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="effect" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" aria-hidden="true">{"".join(parts)}</svg>'
    )
