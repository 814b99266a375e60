"""The shapes of the signal states: each state has one of its own, so that none is told by colour alone."""

from __future__ import annotations

from typing import Final

_PAPER: Final = "var(--card, #ffffff)"
COLOURS: Final = {
    "clear": "var(--clear, #1a7358)",
    "stop": "var(--stop, #ad3148)",
    "caution": "var(--caution, #8a5a00)",
    "dark": "var(--dark, #556170)",
}
_SHAPES: Final = {
    "clear": (
        '<circle cx="8" cy="8" r="7" fill="{colour}"/><path d="M4.6 8.3 7 10.6 11.4 5.6" fill="none" stroke="{paper}" '
        'stroke-width="1.9" stroke-linecap="round" stroke-linejoin="round"/>'
    ),
    "stop": (
        '<path d="M5.1 1H10.9L15 5.1V10.9L10.9 15H5.1L1 10.9V5.1Z" fill="{colour}"/><path d="M4.6 8h6.8" fill="none" '
        'stroke="{paper}" stroke-width="2.2" stroke-linecap="round"/>'
    ),
    "caution": (
        '<path d="M8 1.2 15.4 14.4H.6Z" fill="{colour}" stroke="{colour}" stroke-linejoin="round"/><path d="M8 6v4" '
        'fill="none" stroke="{paper}" stroke-width="1.9" stroke-linecap="round"/>'
        '<circle cx="8" cy="12.2" r="1.05" fill="{paper}"/>'
    ),
    "dark": '<circle cx="8" cy="8" r="6.2" fill="none" stroke="{colour}" stroke-width="1.8" stroke-dasharray="3 2.2"/>',
}


def sign_shape(state: str) -> str:
    """The shape of a state as SVG elements in a square of 16 by 16."""
    return _SHAPES[state].format(colour=COLOURS[state], paper=_PAPER)


def sign_svg(state: str) -> str:
    """The shape of a state as an <svg> element, hidden from screen readers: its word stands beside it."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="sign {state}" viewBox="0 0 16 16" width="16" height="16" '
        f'aria-hidden="true">{sign_shape(state)}</svg>'
    )
