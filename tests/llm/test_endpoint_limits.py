"""How fast an endpoint is asked: never faster than its file says, by all clients of it together."""

from __future__ import annotations

import asyncio
import time

import pytest
from hostile import Hostile
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.llm import limits
from stellwerk.llm.chat import Message, Params
from stellwerk.llm.endpoint import EndpointClient
from stellwerk.llm.limits import Bucket, Rates
from stellwerk.llm.spec import Limits, ModelSpec

ASKED = [Message("user", "Hello")]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@given(
    st.floats(1, 100_000),
    st.lists(st.tuples(st.floats(0, 30), st.floats(0.01, 5000)), min_size=1, max_size=60),
)
def test_in_no_time_more_flows_than_the_rate_and_one_burst(per_minute: float, calls: list[tuple[float, float]]) -> None:
    clock = Clock()
    bucket = Bucket(per_minute, clock)
    went: list[tuple[float, float]] = []
    for pause, amount in calls:
        clock.now += pause
        went.append((clock.now + bucket.take(amount), amount))
    went.sort()
    burst = max(1.0, per_minute / 60)
    for i, (start, _) in enumerate(went):
        for end, last in went[i:]:
            # The last one may be larger than the bucket: it goes when the bucket is full, and the next one pays.
            amount = sum(a for at, a in went if start <= at <= end) - last
            assert amount <= burst + (end - start) * per_minute / 60 + max(a for _, a in went) + 1e-6


@given(st.floats(1, 6000), st.integers(1, 200))
def test_equal_calls_keep_the_rate_exactly(per_minute: float, count: int) -> None:
    clock = Clock()
    bucket = Bucket(per_minute, clock)
    waits = [bucket.take(1) for _ in range(count)]
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(max(0.0, (count - max(1.0, per_minute / 60)) * 60 / per_minute), abs=1e-6)


def test_what_was_not_used_is_given_back() -> None:
    clock = Clock()
    bucket = Bucket(600, clock)  # ten a second
    bucket.take(10)
    assert bucket.take(10) == pytest.approx(1.0)
    bucket.give(10)
    assert bucket.take(5) == pytest.approx(0.5)
    bucket.give(-20)
    assert bucket.take(1) == pytest.approx(2.6)


def test_clients_of_one_endpoint_share_its_rates() -> None:
    bounded = Limits(requests_per_minute=60)
    assert limits.rates("http://a", "m", bounded) is limits.rates("http://a", "m", bounded)
    assert limits.rates("http://a", "m", bounded) is not limits.rates("http://a", "n", bounded)
    assert limits.rates("http://a", "m", bounded) is not limits.rates("http://a", "m", Limits(requests_per_minute=61))


def test_a_cancelled_call_gives_its_turn_back() -> None:
    async def main() -> float:
        rates = Rates(60, 6000)
        await rates.admit(10)
        waiting = asyncio.create_task(rates.admit(10))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert rates._requests is not None
        return rates._requests.take(1)

    assert 0.8 < asyncio.run(main()) <= 1.0


def test_requests_a_minute_are_kept() -> None:
    async def main(url: str) -> float:
        spec = ModelSpec(
            endpoint=url, model="m", limits=Limits(requests_per_minute=1200)
        )  # twenty a second, and as many at once
        async with EndpointClient("a", spec, None) as one, EndpointClient("b", spec, None) as other:
            started = time.monotonic()
            await asyncio.gather(*(client.complete(ASKED) for client in (one, other) for _ in range(15)))
            return time.monotonic() - started

    with Hostile() as server:
        assert 0.45 < asyncio.run(main(server.url)) < 1.5


def test_tokens_a_minute_are_kept_by_what_was_used() -> None:
    """A call says 1000 at most and uses 15: the difference is given back, so the next need not wait for a minute."""

    async def main(url: str) -> float:
        spec = ModelSpec(endpoint=url, model="m", limits=Limits(tokens_per_minute=6000, at_once=1))
        async with EndpointClient("a", spec, None) as client:
            started = time.monotonic()
            for _ in range(8):
                await client.complete(ASKED, Params(max_tokens=1000))
            return time.monotonic() - started

    with Hostile() as server:
        assert 0.7 < asyncio.run(main(server.url)) < 2.5
