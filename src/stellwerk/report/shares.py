"""A share with its interval on a line from 0 to 100 %, so that rows of one table can be compared by eye."""

from __future__ import annotations

from typing import Final

WIDTH: Final = 132
HEIGHT: Final = 18
_EDGE: Final = 5
_MIDDLE: Final = HEIGHT / 2


def share_svg(value: float, low: float | None, high: float | None) -> str:
    """Draw a share.

    Args:
        value: from 0 to 1.
        low: lower bound of its interval.
        high: upper bound.

    Returns:
        One <svg> element, hidden from screen readers: the text beside it says the same.
    """

    def at(part: float) -> float:
        return _EDGE + (WIDTH - 2 * _EDGE) * min(max(part, 0.0), 1.0)

    line, ink = "var(--strong, #b9c3cf)", "var(--ink, #16202e)"
    parts = [f'<path d="M{at(0):.1f},{_MIDDLE:g}H{at(1):.1f}" stroke="{line}" stroke-width="2" fill="none"/>']
    parts += [f'<path d="M{at(end):.1f},4V{HEIGHT - 4}" stroke="{line}" fill="none"/>' for end in (0.0, 0.5, 1.0)]
    if low is not None and high is not None:
        parts.append(f'<path d="M{at(low):.1f},{_MIDDLE:g}H{at(high):.1f}" stroke="{ink}" stroke-width="3" fill="none"/>')
        parts += [f'<path d="M{at(end):.1f},5V{HEIGHT - 5}" stroke="{ink}" fill="none"/>' for end in (low, high)]
    parts.append(f'<circle cx="{at(value):.1f}" cy="{_MIDDLE:g}" r="3.6" fill="{ink}"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="effect" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" aria-hidden="true">{"".join(parts)}</svg>'
    )
