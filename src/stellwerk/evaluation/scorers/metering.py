"""Scorers of what a call took and how it ended: latency, cost, finish reason, whether the answer is whole."""

from __future__ import annotations

from stellwerk.evaluation.case import Check
from stellwerk.evaluation.scorers.outcome import Asked, Outcome, unscored, yes_no
from stellwerk.evaluation.scorers.texts import as_text

FINISHES = ("stop", "length", "content_filter", "tool_calls", "other")


def latency(check: Check, asked: Asked) -> Outcome:
    """The answer took at most `threshold` milliseconds; an answer out of the cache says nothing about that."""
    assert check.threshold is not None
    if asked.answer.kept:
        return unscored("kept")
    taken = asked.answer.seconds * 1000
    passed = taken <= check.threshold
    return yes_no(passed, "fast" if passed else "slow", milliseconds=round(taken), most=check.threshold)


def cost(check: Check, asked: Asked) -> Outcome:
    """The call cost at most `threshold`; without one it is only shown."""
    amount = asked.answer.cost
    if amount is None:
        return unscored("price_unknown")
    facts = {"amount": round(amount, 8), "currency": asked.answer.currency}
    if check.threshold is None:
        return Outcome(1.0, True, "cost", facts)
    passed = amount <= check.threshold
    return Outcome(float(passed), passed, "cheap" if passed else "expensive", {**facts, "most": check.threshold})


def finish_reason(check: Check, asked: Asked) -> Outcome:
    """The model ended for this reason."""
    wanted = as_text(check.value).strip().lower()
    passed = asked.answer.finish == wanted
    return yes_no(passed, "ended_so" if passed else "ended_otherwise", finish=asked.answer.finish, expected=wanted)


def complete(check: Check, asked: Asked) -> Outcome:
    """There is an answer, and it was not cut off."""
    if asked.answer.finish == "length":
        return yes_no(False, "cut_off")
    empty = not asked.text.strip() and not asked.answer.tool_calls
    return yes_no(not empty, "empty" if empty else "whole")


def needs_threshold(check: Check) -> str | None:
    """How long a call may take must be said."""
    return None if check.threshold is not None and check.threshold >= 0 else "needs a threshold: milliseconds"


def cost_problem(check: Check) -> str | None:
    """How much a call may cost must be said, unless it is only shown."""
    if check.threshold is None and check.weight > 0:
        return "needs a threshold: an amount of money; or weight: 0, so that it is only shown"
    return None


def finish_problem(check: Check) -> str | None:
    """The value is a reason that there is."""
    value = check.value
    if isinstance(value, str) and ("{{" in value or value.strip().lower() in FINISHES):
        return None
    return f"needs a value: one of {', '.join(FINISHES)}"
