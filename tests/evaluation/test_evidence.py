"""What a test saw is kept whole, however odd, and its numbers come out as they went in."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kept import evidence_of

from stellwerk.evaluation.case import Answer, Case, Check, Sample, Score
from stellwerk.evaluation.columns import Columns
from stellwerk.evaluation.evidence import SHARD, Writer
from stellwerk.evaluation.rows import dump, load, row, sample_of
from stellwerk.llm.chat import Message, ToolCall, Usage
from stellwerk.store.store import Store

TEXTS = st.text(st.characters(), max_size=30)  # with half surrogate pairs
NUMBERS = st.none() | st.floats(0, 1)


@given(TEXTS, TEXTS, NUMBERS, st.none() | st.booleans(), st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9)))
def test_a_sample_comes_back_as_it_was(said: str, name: str, value: float | None, passed: bool | None, usage: object) -> None:
    answer = Answer(
        said, (Message("system", name), Message("user", said)), "tool_calls", (ToolCall("1", name, "{}"),),
        Usage(*usage) if isinstance(usage, tuple) else None, value, "EUR", 0.5, 3, True, name, None, None,
    )  # fmt: skip
    case = Case(name, {name: said}, (Check("equals"),), said, name, (name,), "de")
    score = Score(0, name, value, passed, "missing", {name: said}, value, "EUR")
    sample = Sample(case.id, 2, answer, (score,), value, passed, name, (name,), "de", case.inputs, said, said)
    assert sample_of(load(dump(row(case, sample)))) == sample


def test_columns_come_back_as_they_were_with_what_is_unknown(tmp_path: Path) -> None:
    tone, leak = (
        Check("contains", "bitte", metric="tone"),
        Check("icontains", "secret", negated=True, family="prompt_leak", weight=0),
    )
    asked = [
        (Case("a", {}, (tone,), cluster="k"), 0, Answer("ja bitte", cost=0.5, currency="EUR", usage=Usage(3, 4), seconds=1)),
        (Case("b", {}, (tone, leak)), 0, Answer("my Secret")),
        (Case("c", {}, (leak,)), 0, Answer("fine")),
        (Case("d", {}, (tone, leak)), 0, Answer("", failure="timeout", problem="late")),
    ]
    found = evidence_of(tmp_path, asked)
    columns = found.columns
    assert [str(v) for v in columns.passed] == ["1.0", "0.0", "nan", "nan"], "a check without weight decides nothing"
    assert [str(v) for v in columns.metrics["tone"]] == ["1.0", "0.0", "nan", "nan"]
    assert [str(v) for v in columns.unwanted["prompt_leak"]] == ["nan", "1.0", "0.0", "nan"]
    assert (found.number("errors"), found.number("unscored"), found.number("failed")) == (1, 1, 1)
    assert columns.by_case("tone")["a"] == 1 and math.isnan(columns.by_case("tone")["d"])
    assert columns.values("unwanted.prompt_leak")[1] == 1 and columns.cost[0] == 0.5 and math.isnan(columns.cost[1])
    again = Columns.from_json(json.loads(json.dumps(columns.as_json())))
    assert repr(again) == repr(columns)


@settings(max_examples=20)
@given(st.integers(0, 3 * SHARD))
def test_any_sample_is_found_in_its_shard(tmp_path_factory: pytest.TempPathFactory, number: int) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    store.create()
    writer = Writer(store)
    for index in range(number):
        writer.add(Case(f"c{index}", {}), Sample(f"c{index}", 0, Answer(f"{index}"), (), None, index % 7 > 0))
    counts = writer.close()
    assert counts["samples"] == number and counts["failed"] == len(range(0, number, 7))
    from stellwerk.evaluation.evidence import from_outcome

    found = from_outcome(store, "r", "n", "", {"about": {}, "evidence": counts, "summary": []})
    assert [place for place, _ in found.rows("failed")] == list(range(0, number, 7))
    for place in {0, number // 2, number - 1} if number else ():
        assert found.at(place).answer.text == f"{place}" == found.of_case(f"c{place}").answer.text  # type: ignore[union-attr]
        assert [first for first, _ in found.rows(start=place)][:1] == [place]


def test_the_same_samples_are_the_same_bytes(tmp_path: Path) -> None:
    references = []
    for folder in ("a", "b"):
        found = evidence_of(tmp_path / folder, [(Case("a", {"x": 1}), 0, Answer("ja"))])
        references.append((found.counts["columns"], found.counts["shards"]))
        assert gzip.decompress(found.store.get(found.counts["shards"][0]["content"])).count(b"\n") == 1
    assert references[0] == references[1]
