"""Pages of large tests: they read few shards, and say the same as reading all of them does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stellwerk.evaluation import evidence, outcomes, paging
from stellwerk.evaluation.case import Answer, Case, Sample
from stellwerk.evaluation.evidence import Evidence, state_of
from stellwerk.store.store import Store
from stellwerk.workspace import Workspace

KINDS = ("all", "failed", "errors", "unscored")


class Counting:
    """A store that counts what is read of it."""

    def __init__(self, store: Store) -> None:
        self.store, self.read = store, 0

    def get(self, reference: str) -> bytes:
        self.read += 1
        return self.store.get(reference)


def sample(number: int, state: str, repeat: int = 0) -> tuple[Case, Sample]:
    case = Case(f"case-{number}", {"text": f"question {number}."})
    failure: Any = "timeout" if state == "errors" else None
    passed = {"passed": True, "failed": False}.get(state)
    return case, Sample(
        case.id, repeat, Answer(f"answer {number}.", failure=failure), (), None, passed, inputs=case.inputs, expected=None
    )


def made(store: Store, rows: list[tuple[Case, Sample]], shard: int) -> Evidence:
    writer = evidence.Writer(store)
    old, evidence.SHARD = evidence.SHARD, shard
    try:
        for case, one in rows:
            writer.add(case, one)
        counts = writer.close()
    finally:
        evidence.SHARD = old
    about = {"simulated": True, "suite": "suite/x@1"}
    return Evidence(store, "run", "x", "2026-01-01T00:00:00+00:00", about, counts, ())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Workspace.init(tmp_path_factory.mktemp("paging") / "x").store


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    states=st.lists(st.sampled_from(["passed", "failed", "errors", "unscored"]), min_size=1, max_size=40),
    shard=st.integers(1, 9),
    kind=st.sampled_from(KINDS),
    offset=st.integers(0, 45),
    limit=st.integers(1, 12),
    at=st.integers(0, 39),
)
def test_pages_are_slices_of_all_calls(
    store: Store, states: list[str], shard: int, kind: Any, offset: int, limit: int, at: int
) -> None:
    found = made(store, [sample(number, state) for number, state in enumerate(states)], shard)
    every = list(found.rows(kind))
    assert paging.page(found, kind, offset, limit) == every[offset : offset + limit]
    place = at % len(states)
    numbers = [number for number, _ in every]
    before, after = paging.beside(found, place, kind)
    assert before == max((n for n in numbers if n < place), default=None)
    assert after == min((n for n in numbers if n > place), default=None)
    assert paging.at(found, [place, 0])[place] == dict(found.rows())[place]


def test_a_page_of_a_large_test_reads_few_shards(store: Store) -> None:
    states = ["failed" if number % 400 == 399 else "passed" for number in range(4000)]
    found = made(store, [sample(number, state) for number, state in enumerate(states)], 20)
    counted = Counting(store)
    found = replace(found, store=counted)  # type: ignore[arg-type]
    assert [n for n, _ in paging.page(found, "all", 3990, 20)] == list(range(3990, 4000))
    assert counted.read == 1
    assert [n for n, _ in paging.page(found, "failed", 8, 50)] == [3599, 3999]
    assert counted.read == 3
    counted.read = 0
    assert paging.beside(found, 2000, "failed") == (1999, 2399)
    assert counted.read <= 3
    counted.read = 0
    hits = paging.search(found, "all", "question 3999.", 0, 50)
    assert (hits.rows, hits.more, counted.read) == ([], True, paging.LOOKED_THROUGH)
    while hits.more:
        hits = paging.search(found, "all", "question 3999.", hits.end, 50)
    assert [n for n, _ in hits.rows] == [3999]


def test_a_search_goes_on_where_a_page_was_full(store: Store) -> None:
    found = made(store, [sample(number, "passed") for number in range(30)], 4)
    seen, start, more = [], 0, True
    while more:
        hits = paging.search(found, "all", "QUESTION", start, 7)
        seen += [number for number, _ in hits.rows]
        start, more = hits.end, hits.more
    assert seen == list(range(30))


def test_a_case_that_failed_once_has_failed(store: Store) -> None:
    rows = [sample(0, "passed"), sample(0, "failed", 1), sample(1, "passed"), sample(1, "errors", 1), sample(2, "unscored")]
    found = outcomes.outcomes(made(store, rows, 2))
    assert [found.state(f"case-{n}") for n in range(4)] == ["failed", "errors", "unscored", "absent"]
    assert list(found.calls) == [1, 3, 4]
    assert list(found.asked) == [2, 2, 1]
    assert list(found.passed) == [1, 1, 0]


@settings(max_examples=40, deadline=None)
@given(
    tests=st.lists(
        st.dictionaries(st.integers(0, 12), st.sampled_from(["passed", "failed", "errors", "unscored"]), min_size=1),
        min_size=1,
        max_size=4,
    )
)
def test_a_matrix_knows_which_cases_differ(store: Store, tests: list[dict[int, str]]) -> None:
    found = [made(store, [sample(number, state) for number, state in one.items()], 5) for one in tests]
    matrix, seen = outcomes.matrix(found)
    cases = list(dict.fromkeys(f"case-{number}" for one in tests for number in one))
    assert list(matrix.cases) == cases
    states = {case: {one.state(case) for one in seen} - {"absent"} for case in cases}
    assert [cases[place] for place in matrix.differing] == [case for case in cases if len(states[case]) > 1]
    assert [cases[place] for place in matrix.missed] == [case for case in cases if states[case] - {"passed"}]
    for one, given_ in zip(found, tests, strict=True):
        assert [state_of(row) for _, row in one.rows()] == list(given_.values())
