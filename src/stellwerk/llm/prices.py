"""What a call costs: tokens times the price that its model's file gives for the day. An unknown price is not nothing."""

from __future__ import annotations

import datetime as dt

from stellwerk.llm.chat import Usage
from stellwerk.llm.spec import ModelSpec, Price

MILLION = 1_000_000


def price(spec: ModelSpec, day: dt.date) -> Price | None:
    """The price that holds on a day: the last that had begun; None where none had, or none is given."""
    begun = [entry for entry in spec.price if entry.since <= day]
    return max(begun, key=lambda entry: entry.since) if begun else None


def cost(spec: ModelSpec, usage: Usage | None, day: dt.date) -> tuple[float, str] | None:
    """What a call costs.

    Args:
        spec: of the model.
        usage: tokens; None where the endpoint did not say. Cached tokens are part of the input, at the price of the input
            where the file gives none of their own.
        day: of the call.

    Returns:
        Amount and currency, such as `(0.0012, "EUR")`; None where price or tokens are unknown.
    """
    holds = price(spec, day)
    if holds is None or usage is None:
        return None
    cached = min(usage.cached, usage.input)
    rate = holds.input if holds.cached is None else holds.cached
    amount = (usage.input - cached) * holds.input + cached * rate + usage.output * holds.output
    return amount / MILLION, holds.currency
