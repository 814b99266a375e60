"""Looking into a dataset version: pages of rows, and what another bound would keep, against a real build with that bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from stellwerk.errors import UserError
from stellwerk.operation import find
from stellwerk.runs import execution

if TYPE_CHECKING:
    from conftest import Place

WORDS = ("spindle", "pump", "valve", "press", "robot", "cell", "belt", "drive")
FEW = settings(max_examples=20, deadline=None, phases=[Phase.explicit, Phase.generate])


def letter(number: int) -> dict[str, Any]:
    words = [WORDS[(number * 7 + place * 3 + place // 4) % len(WORDS)] for place in range(number % 9)]
    return {"id": f"{number:03}", "hours": number % 50, "text": f"Letter {number}: " + " ".join(words)}


@pytest.fixture(scope="module")
def built(places: Callable[..., Place]) -> Place:
    """Two files, so that there are two shards, with short ones dropped."""
    place = places()
    place.rows("raw/a.jsonl", [letter(n) for n in range(70)])
    place.rows("raw/b.jsonl", [letter(n) for n in range(70, 120)])
    place.spec(
        sources=[{"name": "letters", "files": "raw/*.jsonl", "key": "id"}],
        duplicates={"exact": False, "near": None},
        select={"words": {"min": 5}},
    )
    place.build()
    return place


def call(place: Place, path: str, **values: Any) -> Any:
    return execution.call(place.workspace, find(path), values)


@given(offset=st.integers(0, 130), limit=st.integers(1, 60))
@FEW
def test_pages_together_are_the_table(built: Place, offset: int, limit: int) -> None:
    table = built.table()
    page = call(built, "data.rows", dataset="set", offset=offset, limit=limit)
    assert page.total == table.num_rows
    assert [row[0] for row in page.rows] == table["doc_id"].to_pylist()[offset : offset + limit]
    assert page.more == (offset + limit < table.num_rows)


@pytest.mark.parametrize("search", ["PUMP", "robot cell", "letter 11", "%", "nothing like it"])
def test_a_search_finds_the_rows_that_hold_the_text_in_any_case(built: Place, search: str) -> None:
    texts = dict(zip(*(built.table()[name].to_pylist() for name in ("doc_id", "text")), strict=True))
    wanted = [doc for doc, text in texts.items() if search.lower() in text.lower() or search.lower() in doc.lower()]
    found = call(built, "data.rows", dataset="set", search=search, limit=1000)
    assert [row[0] for row in found.rows] == wanted
    assert found.total is None
    assert not found.more


def test_the_ledger_is_filtered_by_decision_and_rule(built: Place) -> None:
    dropped = [row["doc_id"] for row in built.ledger() if row["decision"] == "dropped"]
    assert dropped
    found = call(built, "data.rows", dataset="set", table="ledger", decision="dropped", rule="words", limit=7, offset=2)
    assert [row[0] for row in found.rows] == dropped[2:9]
    assert found.more
    with pytest.raises(UserError, match="ask with table ledger"):
        call(built, "data.rows", dataset="set", rule="words")


@pytest.mark.parametrize(("low", "high"), [(None, None), (5, None), (3, None), (8, None), (4, 8), (None, 6), (99, None)])
def test_a_preview_tells_what_a_build_with_these_bounds_keeps(
    built: Place, places: Callable[..., Place], low: float | None, high: float | None
) -> None:
    told = call(built, "data.preview", dataset="set", score="words", min=low, max=high)
    bound = {name: value for name, value in (("min", low), ("max", high)) if value is not None}
    other = places()
    for name in ("a", "b"):
        other.write(f"raw/{name}.jsonl", (built.root / f"raw/{name}.jsonl").read_bytes())
    other.spec(
        sources=[{"name": "letters", "files": "raw/*.jsonl", "key": "id"}],
        duplicates={"exact": False, "near": None},
        select={"words": bound} if bound else {},
    )
    try:
        kept = set(other.build().counts and other.table()["doc_id"].to_pylist())
    except UserError:
        kept = set()
    before = set(built.table()["doc_id"].to_pylist())
    assert told.kept_now == len(before)
    assert told.would_drop == len(before - kept)
    assert told.would_pass == len(kept - before)  # words is the only rule here, so nothing drops them later
    assert set(told.examples_dropped) <= before - kept
    assert set(told.examples_passing) <= kept - before
    assert sum(told.bars.inside) + sum(told.bars.outside) == told.documents == 120


def test_a_preview_of_a_column_without_a_bound_and_of_no_column(built: Place) -> None:
    told = call(built, "data.preview", dataset="set", score="hours", min=10)
    assert (told.min_now, told.would_pass) == (None, 0)
    hours = built.table()["hours"].to_pylist()
    assert told.would_drop == sum(value < 10 for value in hours)
    with pytest.raises(UserError, match="has no numbers named 'text'; there are: words, "):
        call(built, "data.preview", dataset="set", score="text")


def test_the_text_of_a_document_comes_in_pieces_with_kinds_in_place_of_personal_data(place: Place) -> None:
    mail = "erika.musterfrau@example.org"
    text = f"Please answer to {mail}, or call +49 30 901820 about the milling centre."
    place.rows("raw/a.jsonl", [{"id": "one", "text": text}])
    place.spec(sources=[{"name": "letters", "files": "raw/a.jsonl", "key": "id"}], personal={"action": "keep"})
    place.build()
    told = call(place, "data.explain", document="letters:one")
    assert [piece.kind for piece in told.text] == [None, "EMAIL", None, "PHONE", None]
    whole = "".join(piece.text for piece in told.text)
    assert whole == "Please answer to [EMAIL], or call [PHONE] about the milling centre."
    assert mail not in told.model_dump_json()
