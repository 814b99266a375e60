"""What a call costs: by the day's price, and unknown where anything of it is unknown."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.llm.chat import Usage
from stellwerk.llm.prices import cost, price
from stellwerk.llm.spec import ModelSpec

DAY = dt.date(2026, 6, 1)


def spec(*prices: dict[str, Any]) -> ModelSpec:
    return ModelSpec.model_validate({"endpoint": "https://api.example.eu/v1", "price": list(prices)})


def test_tokens_times_price() -> None:
    model = spec({"input": 2, "output": 8, "cached": 0.5, "currency": "EUR", "since": "2026-01-01"})
    assert cost(model, Usage(1_000_000, 0), DAY) == (2.0, "EUR")
    assert cost(model, Usage(0, 1_000_000, reasoning=900_000), DAY) == (8.0, "EUR"), "reasoning is part of the output"
    assert cost(model, Usage(1000, 500, cached=400), DAY) == pytest.approx((0.0054, "EUR"))
    assert cost(model, Usage(0, 0), DAY) == (0.0, "EUR")


def test_cached_tokens_cost_as_others_where_the_file_says_nothing_else() -> None:
    model = spec({"input": 2, "output": 8, "since": "2026-01-01"})
    assert cost(model, Usage(1000, 0, cached=1000), DAY) == cost(model, Usage(1000, 0), DAY)


def test_unknown_is_not_nothing() -> None:
    model = spec({"input": 0, "output": 0, "since": "2026-01-01"})
    assert cost(model, Usage(5, 5), DAY) == (0.0, "EUR")
    assert cost(model, None, DAY) is None
    assert cost(spec(), Usage(5, 5), DAY) is None
    assert cost(model, Usage(5, 5), dt.date(2025, 12, 31)) is None


def test_the_price_of_the_day_holds() -> None:
    model = spec(
        {"input": 3, "output": 3, "currency": "USD", "since": "2026-05-01"},
        {"input": 1, "output": 1, "currency": "USD", "since": "2026-01-01"},
    )
    used = Usage(1_000_000, 0)
    assert [cost(model, used, day) for day in (dt.date(2026, 4, 30), dt.date(2026, 5, 1))] == [(1.0, "USD"), (3.0, "USD")]
    found = price(model, DAY)
    assert found is not None and found.since == dt.date(2026, 5, 1)


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**7))
def test_a_call_with_cached_tokens_never_costs_more(sent: int, given_back: int, cached: int) -> None:
    model = spec({"input": 2, "output": 8, "cached": 0.5, "since": "2026-01-01"})
    whole, less = cost(model, Usage(sent, given_back), DAY), cost(model, Usage(sent, given_back, cached), DAY)
    assert whole is not None and less is not None and 0 <= less[0] <= whole[0]
