"""Scorers that a judge decides; what a judge is and whether it may judge is known in `judges/`."""

from __future__ import annotations

from collections.abc import Awaitable

from stellwerk.evaluation.case import Check
from stellwerk.evaluation.scorers.outcome import Asked, Outcome


def judged(check: Check, asked: Asked) -> Awaitable[Outcome]:
    """Ask the judge that the check names."""
    from stellwerk.evaluation.scorers.registry import prepared

    found: Awaitable[Outcome] = prepared(check, asked.tools)(asked)
    return found


def problem(check: Check) -> str | None:
    """A rubric must be given, as a text."""
    if not isinstance(check.value, str) or not check.value.strip():
        return "needs a value: a text that says what a good answer is"
    return None
