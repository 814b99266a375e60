"""How new rows meet the earlier state: against a model in plain Python, and what a small change leaves as it was."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stellwerk.errors import StellwerkError
from stellwerk.jobs.data import merge
from stellwerk.jobs.data.sources import local
from stellwerk.record import tables

Row = dict[str, Any]
Files = dict[str, list[Row]]
Stored = tuple[str, str | None, str | None, str | None]  # file, key, part, value

# Files whose names hold the sign that parts a file from a line; values as texts, so that a model needs no types.
FILES = ["a.jsonl", "a#1.jsonl", "a#line 2.jsonl"]
KEYS = st.sampled_from(["k1", "k2", "k3", "k|4", "k~2"]) | st.none()
ROWS = st.fixed_dictionaries({"k": KEYS, "p": st.sampled_from(["x", "y"]) | st.none(), "v": st.sampled_from("abc")})
STATES = st.lists(st.dictionaries(st.sampled_from(FILES), st.lists(ROWS, max_size=4), min_size=1), min_size=1, max_size=3)


def applied(state: list[Stored], files: Files, load: str, missing: str, key: list[str]) -> list[Stored]:
    """The model: what a source holds after these files, one at a time and in their order."""
    new: list[Stored] = [(name, row["k"], row["p"], row["v"]) for name in sorted(files) for row in files[name]]
    if load == "replace":
        return new
    if load == "append":
        gone = [row for row in state if row[0] not in {name for name, *_ in new}]
        return gone + new
    parts = [("k", "p").index(part) + 1 for part in key]

    def keyed(rows: list[Stored]) -> dict[tuple[str | None, ...], Stored]:
        return {name: row for row in rows if any(name := tuple(row[part] for part in parts))}

    old, fresh = keyed(state), keyed(new)
    # A row that says what it said keeps the file in which it stood first.
    fresh = {name: old[name] if name in old and old[name][1:] == row[1:] else row for name, row in fresh.items()}
    return list({**(old if missing == "keep" else {}), **fresh}.values())


def stored(place: Any) -> list[Stored]:
    table = place.read(place.version("source/set.s").content["shards"])
    found = []
    for row in table.to_pylist():
        name = next(name for name in FILES if row["origin"].startswith(f"raw/{name}#line "))
        found.append((name, row.get("k"), row.get("p"), row.get("v")))
    return found


@pytest.mark.slow
@given(
    states=STATES,
    load=st.sampled_from(["replace", "append", "merge"]),
    missing=st.sampled_from(["keep", "delete"]),
    key=st.sampled_from([["k"], ["k", "p"]]),
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(  # the name of one file is another one's up to the sign
    states=[
        {"a#1.jsonl": [{"k": "k1", "p": None, "v": "a"}], "a.jsonl": []},
        {"a#line 2.jsonl": [{"k": "k2", "p": "x", "v": "b"}]},
    ],
    load="append",
    missing="keep",
    key=["k"],
)
@example(  # the later state has no rows
    states=[{"a.jsonl": [{"k": "k1", "p": None, "v": "a"}]}, {"a.jsonl": []}], load="merge", missing="keep", key=["k"]
)
@example(  # a row comes again in another file
    states=[{"a#line 2.jsonl": [{"k": "k1", "p": "x", "v": "a"}]}, {"a.jsonl": [{"k": "k1", "p": "x", "v": "a"}]}],
    load="merge",
    missing="delete",
    key=["k"],
)
@example(  # rows at the same place of a file, whose keys are missing in part
    states=[{"a.jsonl": [{"k": None, "p": "x", "v": "a"}]}, {"a.jsonl": [{"k": None, "p": "y", "v": "a"}]}],
    load="merge",
    missing="keep",
    key=["k", "p"],
)
def test_load_follows_the_model(
    places: Callable[..., Any], states: list[Files], load: str, missing: str, key: list[str]
) -> None:
    place = places()
    missing = missing if load == "merge" else "keep"
    place.spec(sources=[{"name": "s", "files": "raw/*", "load": load, "missing": missing, "key": key, "text": []}])
    state: list[Stored] = []
    for files in states:
        for name in FILES:
            (place.root / "raw" / name).unlink(missing_ok=True)
        for name, rows in files.items():
            place.rows(f"raw/{name}", rows)
        state = applied(state, files, load, missing, key)
        ledger = place.adds_up(place.build())
        assert Counter(stored(place)) == Counter(state)
        read = sum(len(rows) for rows in files.values())
        lost = sum(row["step"] == "load" for row in ledger)
        assert lost == (read - len(applied([], files, "merge", "delete", key)) if load == "merge" else 0)
        assert sum(row["step"] != "read" for row in ledger) == len(state) + lost
    place.workspace.record.database.close()


def test_types_of_two_states_are_brought_together(place: Any) -> None:
    """Numbers, then texts, then dates: nothing is lost, and a whole number beyond 2^53 stays exact."""
    place.spec(sources=[{"name": "s", "files": "raw/*", "load": "merge", "key": "k"}])
    rows = [{"k": 1, "v": 9007199254740993}, {"k": 2, "v": 1.5}, {"k": "x3", "v": "2024-01-01"}, {"k": "x4", "w": True}]
    for row in rows:
        place.rows("raw/a.jsonl", [row])
        place.adds_up(place.build())
    found = {row["k"]: row for row in place.table().to_pylist()}
    assert {key: row["v"] for key, row in found.items()} == {
        "1": "9007199254740993",
        "2": "1.5",
        "x3": "2024-01-01",
        "x4": None,
    }
    assert found["x4"]["w"] is True
    assert place.version("source/set.s").facts["schema_changes"] == ["column 'v' is gone", "column 'w' is new (bool)"]


def test_moments_are_those_of_the_file_in_any_time_zone(places: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    digests = set()
    for zone in ("UTC", "Europe/Berlin", "America/New_York"):
        monkeypatch.setenv("TZ", zone)
        place = places()
        place.write("raw/a.csv", "k,t\n1,2024-06-01T12:00:00+02:00\n")
        place.spec(sources=[{"name": "s", "files": "raw/*", "load": "merge", "key": "k"}])
        place.build()
        digests.add(place.version("dataset/set").digest)
        assert place.table()["t"].type == pa.timestamp("us", tz="UTC")
    assert len(digests) == 1


def test_keeping_what_unreadable_files_held(place: Any) -> None:
    """With missing: keep, a file that breaks loses nothing of what it said before."""
    place.spec(sources=[{"name": "s", "files": "raw/*", "load": "merge", "key": "k"}])
    place.rows("raw/a.jsonl", [{"k": 1, "text": "one"}])
    place.build()
    place.write("raw/a.jsonl", b"")
    ledger = place.adds_up(place.build())
    assert place.table()["doc_id"].to_pylist() == ["s:1"]
    assert [row["rule"] for row in ledger if row["decision"] == "dropped"] == ["empty_file"]


def test_a_changed_row_leaves_the_other_shards_as_they_were(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "SHARD_BYTES", 256 * 2**10)
    chance = random.Random(5)
    words = ["pump", "valve", "seal", "motor", "belt", "noise", "oil", "leak", "error", "code", "press", "heat"]
    rows = [{"k": f"T-{n:06d}", "text": f"{n} {' '.join(chance.choices(words, k=8))}"} for n in range(60_000)]
    place.spec(sources=[{"name": "s", "files": "raw/*", "load": "merge", "key": "k"}], duplicates={"near": None})
    place.rows("raw/a.jsonl", rows)
    place.build()
    before = place.version("source/set.s").content["shards"]
    assert len(before) > 8
    rows[31_234]["text"] += " and now it smokes"
    rows.insert(45_000, {"k": "T-044999-b", "text": "a letter that came late"})
    chance.shuffle(rows)
    place.rows("raw/a.jsonl", rows)
    report = place.build()
    after = place.version("source/set.s").content["shards"]
    assert len(set(after) - set(before)) <= 4
    steps = place.steps()
    for step in ("shape s", "normalise", "score", "personal data"):
        total, reused = steps[step]
        assert total == len(after)
        assert total - reused == len(set(after) - set(before))
    assert report.counts.read == 60_001


def test_a_state_without_change_is_not_merged_again(place: Any) -> None:
    place.spec(sources=[{"name": "s", "files": "raw/*", "load": "merge", "key": "k"}])
    place.rows("raw/a.jsonl", [{"k": 1, "text": "one"}, {"k": 2, "text": "two"}])
    place.build()
    place.rows("raw/a.jsonl", [{"k": 2, "text": "two, changed"}, {"k": 3, "text": "three"}])
    place.build()
    assert "nothing changed" in place.build().message
    assert sorted(place.table()["text"].to_pylist()) == ["one", "three", "two, changed"]


def test_join_keeps_every_row_once_and_in_order(place: Any) -> None:
    chance = random.Random(3)
    keys = chance.choices(range(300), k=500)
    others = [{"k": str(key), "extra": f"e{n}"} for n, key in enumerate(chance.choices(range(400), k=300))]
    place.rows("raw/main.jsonl", [{"k": key, "text": f"text {n}"} for n, key in enumerate(keys)])
    place.rows("raw/other.jsonl", others)
    main = {"name": "s", "files": "raw/main.jsonl", "key": "k"}
    place.spec(sources=[main, {"name": "o", "files": "raw/other.jsonl", "key": "k", "joins": "s"}], duplicates={"near": None})
    place.adds_up(place.build())
    last = {row["k"]: row["extra"] for row in others}
    table = place.table()
    assert table["text"].to_pylist() == [f"text {n}" for n in range(500)]
    assert table["extra"].to_pylist() == [last.get(str(key)) for key in keys]
    lonely = len([row for row in others if int(row["k"]) not in set(keys)])
    (finding,) = place.workspace.record.rows(tables.finding, tables.finding.c.rule == "unmatched_rows")
    assert finding["details"] == {"rows": lonely}


PRICED = "id,price,text\n1,10,hello world this is one\n2,20,another quite different text\n"


@pytest.mark.parametrize("load", ["replace", "append", "merge"])
def test_a_frozen_schema_is_that_of_the_files(place: Any, load: str) -> None:
    """A state of joined rows keeps a column that its files lost, and would hide that it is gone."""
    source = {"name": "s", "files": "raw/*", "key": "id", "load": load, "contract": "freeze"}
    place.spec(sources=[source])
    place.write("raw/a.csv", PRICED)
    place.build()
    (place.root / "raw/a.csv").unlink()
    place.write("raw/b.csv", "id,text\n1,hello world this is one\n")
    with pytest.raises(StellwerkError, match=r"contract is freeze: column 'price' is gone\. Nothing was loaded"):
        place.build()
    assert place.version("source/set.s").number == 1
    place.spec(sources=[{**source, "contract": "evolve"}])
    report = place.build()
    assert report.warnings == ["source s: column 'price' is gone"]
    assert place.build().message.startswith("nothing changed")
    assert place.version("source/set.s").facts["file_schema"] == {"id": "int64", "text": "string"}


def test_a_file_that_breaks_is_no_change_of_a_frozen_schema(place: Any) -> None:
    place.spec(sources=[{"name": "s", "files": "raw/*", "key": "id", "load": "merge", "contract": "freeze"}])
    place.write("raw/a.csv", PRICED)
    place.build()
    place.write("raw/a.csv", "")
    place.build()
    assert place.build().message.startswith("nothing changed")
    place.write("raw/a.csv", "id,text\n1,hello\n")
    with pytest.raises(StellwerkError, match="column 'price' is gone"):
        place.build()


@pytest.mark.parametrize("load", ["replace", "append", "merge"])
def test_another_way_to_read_equal_files_may_change_a_frozen_schema(place: Any, load: str) -> None:
    place.write("raw/a.csv", "id;price;text\n1;1,5;hello world this is one\n")
    source = {"name": "s", "files": "raw/*", "key": "id", "load": load, "contract": "freeze", "csv": {"decimal": "."}}
    place.spec(sources=[source])
    place.build()
    place.spec(sources=[{**source, "csv": {"decimal": ","}}])
    with pytest.raises(StellwerkError, match="column 'price' was string, now double"):
        place.build()
    place.spec(sources=[{**source, "csv": {"decimal": ","}, "contract": "evolve"}])
    assert place.build().warnings == ["source s: column 'price' was string, now double"]
    again = place.build()
    assert again.message.startswith("nothing changed")
    assert again.warnings == ["source s: column 'price' was string, now double"]


@pytest.mark.parametrize("load", ["append", "merge"])
def test_a_run_that_was_overtaken_loses_no_rows(place: Any, monkeypatch: pytest.MonkeyPatch, load: str) -> None:
    """Another run loads the source between the look at its state and the commit of the new one."""
    place.spec(sources=[{"name": "s", "files": "raw/*", "key": "id", "load": load}])
    place.write("raw/a.csv", "id,text\n1,hello world this is one\n")
    place.build()
    (place.root / "raw/a.csv").rename(place.root / "raw/b.csv").write_text("id,text\n2,another quite different text\n")
    load_rows, other = merge.load, []

    def overtaken(*arguments: Any) -> Any:
        monkeypatch.setattr(merge, "load", load_rows)
        (place.root / "raw/b.csv").rename(place.root / "raw/c.csv").write_text("id,text\n3,the third one about pumps\n")
        other.append(place.build())
        return load_rows(*arguments)

    monkeypatch.setattr(merge, "load", overtaken)
    with pytest.raises(StellwerkError, match="another run has loaded this source in between; start the command again"):
        place.build()
    assert other[0].counts.read == 2
    assert sorted(place.table()["doc_id"].to_pylist()) == ["s:1", "s:3"]
    assert place.build().message.startswith("nothing changed")


def test_two_runs_that_load_the_same_files_agree(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    place.spec(sources=[{"name": "s", "files": "raw/*", "key": "id", "load": "merge"}])
    place.write("raw/a.csv", "id,text\n1,hello world this is one\n")
    load_rows = merge.load

    def overtaken(*arguments: Any) -> Any:
        monkeypatch.setattr(merge, "load", load_rows)
        place.build()
        return load_rows(*arguments)

    monkeypatch.setattr(merge, "load", overtaken)
    assert place.build().dataset == "dataset/set@1"


@pytest.mark.parametrize("keeps_time", [True, False])
def test_a_file_that_changes_while_it_is_read_stops_the_run(
    place: Any, monkeypatch: pytest.MonkeyPatch, keeps_time: bool
) -> None:
    """Its size stays what it was."""
    path = place.write("raw/a.csv", "id,text\n1,hello world this is AAA\n")
    place.spec(sources=[{"name": "s", "files": "raw/*", "key": "id"}])
    fingerprint = local.fingerprint

    def then_changed(*arguments: Any) -> Any:
        found, time = fingerprint(*arguments), path.stat().st_mtime_ns
        path.write_text("id,text\n1,hello world this is BBB\n")
        if keeps_time:
            os.utime(path, ns=(time, time))
        return found

    monkeypatch.setattr(local, "fingerprint", then_changed)
    with pytest.raises(StellwerkError, match=r"raw/a.csv was changed while it was read; start the command again"):
        place.build()
    assert not place.workspace.record.versions()
    monkeypatch.setattr(local, "fingerprint", fingerprint)
    place.build()
    assert place.table()["text"].to_pylist() == ["hello world this is BBB"]
