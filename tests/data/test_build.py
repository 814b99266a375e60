"""A whole build against a model in plain Python: what is dropped and why, what is redone, and the same from the same."""

from __future__ import annotations

import datetime as dt
import json
import random
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stellwerk.errors import UserError
from stellwerk.jobs.data.sources import local, part
from stellwerk.operation import find
from stellwerk.record import tables

WORDS = ["pump", "valve", "seal", "motor", "belt", "noise", "oil", "leak", "error", "code", "press", "heat", "spindle", "gear",
         "plate", "shaft", "bolt", "nut", "rail", "drive"]  # fmt: skip
TEXTS = ["The pump leaks oil", "the  PUMP leaks\noil", "A noisy belt", "a noisy belt!", "Error code 17", "x", ""]
Row = dict[str, Any]
Spec = dict[str, Any]

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "v": st.none() | st.integers(-3, 9),
            "c": st.none() | st.sampled_from(["red", "green", "blue"]),
            "text": st.sampled_from(TEXTS),
        }
    ),
    min_size=1,
    max_size=25,
)
COLOURS = st.lists(st.sampled_from(["red", "green", "blue", "no such"]), min_size=1, max_size=3, unique=True)
BOUNDS = st.permutations(["v", "c"]).flatmap(
    lambda names: st.fixed_dictionaries(
        {},
        optional={
            name: {
                "v": st.fixed_dictionaries(
                    {"min": st.integers(-3, 3)}, optional={"max": st.integers(4, 9), "required": st.booleans()}
                ),
                "c": st.fixed_dictionaries({"in": COLOURS}, optional={"not_in": COLOURS, "required": st.booleans()}),
            }[name]
            for name in names
        },
    )
)


def reason(row: Row, select: Spec) -> str | None:
    """The model: the first bound that a row fails; a missing value fails `required` only."""
    for name, bound in select.items():
        value = row[name]
        if value is None:
            fails = bound.get("required", False)
        else:
            fails = (
                ("min" in bound and value < bound["min"])
                or ("max" in bound and value > bound["max"])
                or ("in" in bound and value not in bound["in"])
                or value in bound.get("not_in", [])
            )
        if fails:
            return name
    return None


def expected(rows: list[Row], select: Spec, exact: bool, keep: str) -> dict[str, str | None]:
    """The model: by id the rule that drops a row, None for one that stays."""
    found = {f"s:{n}": reason(row, select) for n, row in enumerate(rows)}
    groups: dict[str, list[int]] = defaultdict(list)
    for n, row in enumerate(rows):
        plain = " ".join(row["text"].lower().split())
        if exact and plain and found[f"s:{n}"] is None:
            groups[plain].append(n)
    for members in groups.values():
        length = {n: len(rows[n]["text"]) if keep == "longest" else 0 for n in members}
        best = max(members, key=lambda n: (length[n], -n))
        found.update({f"s:{n}": "exact_duplicate" for n in members if n != best})
    return found


@pytest.mark.slow
@given(rows=ROWS, select=BOUNDS, exact=st.booleans(), keep=st.sampled_from(["longest", "first"]), seed=st.integers(0, 9))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_ledger_follows_the_model(
    places: Callable[..., Any], rows: list[Row], select: Spec, exact: bool, keep: str, seed: int
) -> None:
    place = places()
    place.rows("raw/s.jsonl", [{"id": n, **row} for n, row in enumerate(rows)])
    if not any(row["v"] is not None for row in rows):
        select = {name: bound for name, bound in select.items() if name != "v"}  # a column without values has no numbers
    place.spec(
        sources=[{"name": "s", "files": "raw/*", "key": "id"}],
        select=select,
        duplicates={"exact": exact, "near": None, "keep": keep},
        split={"seed": seed},
    )
    ledger = place.adds_up(place.build())
    wanted = expected(rows, select, exact, keep)
    assert {row["doc_id"]: row["rule"] for row in ledger if row["decision"] == "dropped"} == {
        name: rule for name, rule in wanted.items() if rule
    }
    assert [row["doc_id"] for row in ledger] == list(wanted)
    assert place.table()["doc_id"].to_pylist() == [name for name, rule in wanted.items() if not rule]
    place.workspace.record.database.close()


def letters(count: int, seed: int = 1) -> list[Row]:
    chance = random.Random(seed)
    return [{"id": n, "v": n % 7, "text": " ".join(chance.choices(WORDS, k=30))} for n in range(count)]


SOURCE = {"name": "s", "files": "raw/*", "key": "id"}
BEFORE = ["read s", "type s", "load s", "join s", "shape s", "normalise", "score", "personal data"]
COMPARED = ["spread bands", "find candidates", "shingle candidates", "verify candidates"]
LATER = ["duplicates", "ledger", "write", "publish"]


@pytest.mark.parametrize(
    ("change", "redone"),
    [
        ({"select": {"words": {"min": 12}}}, ["select", "publish"]),  # drops nothing, so nothing after it changes
        ({"select": {"v": {"max": 3}}}, ["select", *LATER]),
        ({"duplicates": {"near": 0.5}}, LATER),
        ({"duplicates": {"keep": "first"}}, LATER),
        ({"split": {"train": 0.5, "validation": 0.25, "test": 0.25}}, ["ledger", "write", "publish"]),
        ({"outliers": {"columns": ["v"], "bound": 3}}, ["outliers", "select", "publish"]),
        ({"personal": {"action": "drop"}}, ["select", *LATER]),
        ({"purpose": "another one"}, ["publish"]),
        ({"tests": [{"rows": {"min": 1}}]}, ["publish"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_change_redoes_only_what_depends_on_it(place: Any, change: Spec, redone: list[str]) -> None:
    rows = letters(60)
    rows[7]["text"] += " write to anna.kowalski@firma-nord.de or call"
    rows[9]["text"] = rows[8]["text"] + " again"
    place.rows("raw/s.jsonl", rows)
    place.spec(sources=[SOURCE])
    place.build()
    place.spec(sources=[SOURCE], **change)
    place.adds_up(place.build())
    steps = place.steps()
    assert set(steps) == {*BEFORE, *COMPARED, "outliers", "select", *LATER}
    assert {name for name, (parts, reused) in steps.items() if reused < parts} == set(redone)


def test_more_rows_redo_only_their_own_group(place: Any) -> None:
    place.rows("raw/a.jsonl", letters(200))
    place.spec(sources=[{"name": "a", "files": "raw/a.jsonl", "key": "id"}, {"name": "b", "files": "raw/b.jsonl", "key": "id"}])
    place.rows("raw/b.jsonl", letters(50, seed=2))
    place.build()
    place.rows("raw/b.jsonl", letters(60, seed=2))
    place.adds_up(place.build())
    steps = place.steps()
    assert steps["normalise"] == steps["score"] == steps["personal data"] == (2, 1)
    assert steps["read a"] == steps["type a"] == (1, 1)


def test_the_same_input_gives_the_same_dataset(places: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """In another folder, and in another order of work."""
    monkeypatch.setattr(part, "SHARD_BYTES", 20_000)
    monkeypatch.setattr(local, "SHARD_BYTES", 20_000)
    found = []
    for workers in (1, 1, 2):
        place = places(workers)
        for name in ("b", "a"):
            place.rows(f"raw/{name}.jsonl", [{**row, "id": f"{name}{row['id']}"} for row in letters(300, seed=ord(name))])
        place.spec(sources=[SOURCE], duplicates={"near": 0.7}, select={"v": {"max": 5}})
        report = place.build()
        place.adds_up(report)
        again = place.build()
        assert again.message.startswith("nothing changed: all ")
        assert again.counts == report.counts
        shown = place.steps()
        assert all(parts == reused for parts, reused in shown.values())
        version = place.version("dataset/set")
        found.append((version.digest, version.number, place.table(), place.ledger()))
    assert found[0] == found[1] == found[2]


def test_rows_keep_the_order_of_the_files(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part, "SHARD_BYTES", 20_000)
    monkeypatch.setattr(local, "SHARD_BYTES", 20_000)
    for name in "cab":
        place.rows(f"raw/{name}.jsonl", [{**row, "id": f"{name}{row['id']:03}"} for row in letters(250, seed=ord(name))])
    place.spec(sources=[SOURCE], duplicates={"near": None})
    place.adds_up(place.build())
    assert place.steps()["normalise"][0] == 3
    assert place.table()["doc_id"].to_pylist() == [f"s:{name}{n:03}" for name in "abc" for n in range(250)]


@pytest.mark.parametrize("duplicates", [{"near": None}, {"exact": False, "near": None}, {"near": 0.99}, {"near": 0.8}], ids=str)
def test_copies_land_in_the_same_part(place: Any, duplicates: Spec) -> None:
    """Whether they go or stay: no text is both learnt and tested."""
    rows = []
    for row in letters(300):
        words = row["text"].split()
        near = " ".join([*words[:-1], "changed"])  # 25 of 27 word 5-grams are in both
        rows += [
            row,
            {**row, "id": 1000 + row["id"], "text": near},
            {**row, "id": 2000 + row["id"], "text": row["text"].upper()},
        ]
    place.rows("raw/s.jsonl", rows)
    place.spec(sources=[SOURCE], duplicates=duplicates, split={"train": 0.6, "validation": 0.2, "test": 0.2})
    report = place.build()
    kept = report.counts.read - report.counts.dropped
    shares = {part: n / kept for part, n in report.counts.splits.items()}
    assert shares == pytest.approx({"train": 0.6, "validation": 0.2, "test": 0.2}, abs=0.08)
    parts: dict[int, set[str]] = defaultdict(set)
    for row in place.adds_up(report):
        if row["split"]:
            parts[int(row["doc_id"].removeprefix("s:")) % 1000].add(row["split"])
    assert {len(found) for found in parts.values()} == {1}
    assert kept == {0.8: 300, 0.99: 600, None: 600 if duplicates.get("exact", True) else 900}[duplicates["near"]]


def test_a_copy_never_goes_for_one_that_is_dropped(place: Any) -> None:
    place.rows("raw/s.jsonl", [{"id": 1, "v": 9, "text": "One  letter "}, {"id": 2, "v": 1, "text": "one letter"}])
    place.spec(sources=[SOURCE], select={"v": {"max": 5}})
    ledger = {row["doc_id"]: row["rule"] for row in place.adds_up(place.build())}
    assert (ledger["s:1"], ledger["s:2"]) == ("v", None)


def test_outliers_are_those_of_the_formula(place: Any) -> None:
    chance = random.Random(4)
    values = [round(chance.gauss(50, 5), 3) for _ in range(300)] + [500.0, -400.0, 71.0, 74.0]
    place.rows("raw/s.jsonl", [{"id": n, "hours": value, "text": f"letter {n}"} for n, value in enumerate(values)])
    place.spec(sources=[SOURCE], outliers={"columns": "hours", "bound": 3.5})
    ledger = place.adds_up(place.build())
    median = statistics.median(values)
    spread = statistics.median(abs(value - median) for value in values)
    wanted = {f"s:{n}" for n, value in enumerate(values) if abs(0.6745 * (value - median) / spread) > 3.5}
    assert len(wanted) > 2
    assert {row["doc_id"] for row in ledger if row["rule"] == "outlier:hours"} == wanted


@pytest.mark.parametrize("action", ["mask", "keep", "drop"])
def test_personal_data(place: Any, action: str) -> None:
    """Invented; in the text and in a column beside it."""
    address, other = "anna.kowalski@firma-nord.de", "b.yilmaz@werk-sued.de"
    place.rows("raw/s.jsonl", [{"id": 1, "text": f"Please write to {address} soon", "note": "none"},
                               {"id": 2, "text": "no address here", "note": f"from {other}"},
                               {"id": 3, "text": "nothing at all", "note": None}])  # fmt: skip
    place.spec(sources=[SOURCE], personal={"action": action})
    report = place.build()
    ledger = place.adds_up(report)
    written = json.dumps(place.table().to_pylist(), default=str)
    assert (address in written, other in written) == ((action == "keep"),) * 2
    assert report.personal_data == {"EMAIL": 2}
    decisions = Counter((row["decision"], row["rule"]) for row in ledger)
    assert (
        decisions
        == {
            "mask": {("changed", "mask:EMAIL"): 2, ("kept", None): 1},
            "keep": {("kept", None): 3},
            "drop": {("dropped", "personal_data"): 2, ("kept", None): 1},
        }[action]
    )
    told = json.dumps([report.model_dump(), ledger], default=str)
    assert address not in told
    assert other not in told


def test_texts_of_several_columns_are_joined_by_a_blank_line(place: Any) -> None:
    parts = [["a", None, "b"], [None, " ", "c"], ["d", "e", "f"], [None, None, None], ["\u2003", "g", ""]]
    place.rows("raw/s.jsonl", [{"id": n, **dict(zip("xyz", row, strict=True))} for n, row in enumerate(parts)])
    place.spec(sources=[{**SOURCE, "text": ["x", "y", "z"]}], duplicates={"exact": False, "near": None})
    place.adds_up(place.build())
    assert place.table()["text"].to_pylist() == ["a\n\nb", "c", "d\n\ne\n\nf", "", "g"]


def test_an_equal_result_is_the_same_version(place: Any) -> None:
    place.rows("raw/s.jsonl", letters(20))
    place.spec(sources=[SOURCE])
    assert place.build().dataset == "dataset/set@1"
    place.rows("raw/s.jsonl", letters(21))
    assert place.build().dataset == "dataset/set@2"
    place.rows("raw/s.jsonl", letters(20))
    assert place.build().dataset == "dataset/set@1"
    place.write("raw/t.jsonl", b"")
    report = place.build()
    assert (report.dataset, report.counts.dropped) == ("dataset/set@1", 1)
    place.adds_up(report)


def test_the_command_prints_json(place: Any, capsys: pytest.CaptureFixture[str]) -> None:
    place.rows("raw/s.jsonl", letters(20))
    place.spec(sources=[SOURCE])
    assert place.cli("data", "build", "set", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["dataset"] == "dataset/set@1"
    assert printed["counts"]["read"] == 20


@pytest.mark.parametrize(
    ("column", "values", "kept"),
    [
        ("whole", [1234567], ["a"]),
        ("whole", ["7654321", 0.5], ["b"]),
        ("whole", [9007199254740993], ["c"]),
        ("part", [0.1234567891], ["a"]),
        ("part", [3], ["b"]),
        ("sure", [True], ["a"]),
        ("sure", ["false"], ["b"]),
        ("day", ["2024-02-29"], ["a"]),
        ("moment", ["2024-02-29T10:00:00+01:00"], ["a"]),
        ("code", [7, "0042"], ["a", "b"]),
    ],
)
def test_listed_values_are_compared_in_the_type_of_their_column(
    place: Any, column: str, values: list[Any], kept: list[str]
) -> None:
    place.write(
        "raw/s.csv",
        "id,part,sure,day,moment,code,text\n"
        "a,0.1234567891,true,2024-02-29,2024-02-29T09:00:00Z,0042,first\n"
        "b,3.0,false,2024-03-01,2024-03-01T09:00:00Z,7,second\n"
        "c,,,,,x,third\n",
    )
    wholes = {"a": 1234567, "b": 7654321, "c": 9007199254740993}
    place.rows("labels/l.jsonl", [{"id": name, "whole": whole} for name, whole in wholes.items()])
    labels = {"name": "l", "files": "labels/*", "key": "id", "joins": "s"}
    for field, wanted in (("in", kept), ("not_in", sorted({"a", "b", "c"} - set(kept)))):
        place.spec(sources=[SOURCE, labels], select={column: {field: values, "required": True}})
        place.adds_up(place.build())
        found = [name.removeprefix("s:") for name in place.table()["doc_id"].to_pylist()]
        missing = {"c"} if column not in ("whole", "code") else set()
        assert found == [name for name in wanted if name not in missing]


@pytest.mark.parametrize(
    ("column", "value", "sentence"),
    [
        ("v", "abc", "select: v holds int64, and 'abc' in its 'in' is no such value"),
        ("v", True, "select: v holds int64, and 'true' in its 'in' is no such value"),
        ("v", "anna.kowalski@firma-nord.de", "select: v holds int64, and '[EMAIL]' in its 'in' is no such value"),
        ("words", "many", "select: words holds int32, and 'many' in its 'in' is no such value"),
    ],
)
def test_a_value_that_no_row_can_have_is_a_mistake(place: Any, column: str, value: Any, sentence: str) -> None:
    place.rows("raw/s.jsonl", letters(3))
    place.spec(sources=[SOURCE], select={column: {"in": [value]}})
    with pytest.raises(UserError, match=re.escape(sentence)):
        place.build()


def test_a_value_may_fit_the_type_of_another_source(place: Any) -> None:
    place.rows("raw/a.jsonl", [{"id": 1, "code": 5, "text": "one"}, {"id": 2, "code": 6, "text": "two"}])
    place.rows("raw/b.jsonl", [{"id": 3, "code": "x", "text": "three"}, {"id": 4, "text": "four"}])
    place.spec(
        sources=[{"name": name, "files": f"raw/{name}.jsonl", "key": "id"} for name in "ab"], select={"code": {"in": [5, "x"]}}
    )
    place.adds_up(place.build())
    assert place.table()["doc_id"].to_pylist() == ["a:1", "b:3", "b:4"]


def test_the_ledger_holds_numbers_exactly(place: Any) -> None:
    place.rows("raw/s.jsonl", [{"id": 1, "v": 1234567.25, "text": "one"}, {"id": 2, "v": 0.5, "text": "two"}])
    place.spec(sources=[SOURCE], select={"v": {"max": 1234567.125}})
    (row,) = [row for row in place.adds_up(place.build()) if row["decision"] == "dropped"]
    assert (row["value"], row["bound"]) == ("1234567.25", "v <= 1234567.125")


def test_the_ledger_holds_no_personal_data_of_bounded_columns(place: Any) -> None:
    address, card = "anna.kowalski@firma-nord.de", "4111111111111111"
    rows = [
        {"id": 1, "mail": address, "card": 1, "text": "one letter"},
        {"id": 2, "mail": "none", "card": int(card), "text": "two"},
    ]
    place.rows("raw/s.jsonl", rows)
    place.spec(sources=[SOURCE], select={"mail": {"not_in": [address]}, "card": {"max": 5}}, personal={"kinds": ["IBAN"]})
    ledger = place.adds_up(place.build())
    found = {row["doc_id"]: (row["value"], row["bound"]) for row in ledger}
    assert found == {"s:1": ("[EMAIL]", "mail not in [EMAIL]"), "s:2": ("[CREDIT_CARD]", "card <= 5")}
    for document in ("s:1", "s:2"):
        told = find("data.explain").function(document, workspace=place.workspace).model_dump_json()
        assert address not in told
        assert card not in told


def test_warnings_are_those_of_this_input(place: Any) -> None:
    place.rows("raw/a.jsonl", letters(3))
    place.write("raw/b.jsonl", b"")
    place.spec(sources=[SOURCE])
    sentence = "source s: 1 rows or files could not be read"
    assert place.build().warnings == [sentence]
    assert place.build().warnings == [sentence]
    (place.root / "raw/b.jsonl").unlink()
    report = place.build()
    assert (report.dataset, report.warnings) == ("dataset/set@1", [])


def test_a_rebuild_repeats_what_joins_found(place: Any) -> None:
    place.rows("raw/s.jsonl", letters(3))
    place.rows("labels/l.jsonl", [{"id": 1, "label": "a"}, {"id": 17, "label": "b"}])
    place.spec(sources=[SOURCE, {"name": "l", "files": "labels/*", "key": "id", "joins": "s"}])
    for _ in range(2):
        assert place.build().warnings == ["source l: 1 rows belong to no document"]


@pytest.mark.parametrize("name", ["raw/h.csv", "raw/h.xlsx", "raw/h.jsonl"])
def test_personal_data_never_become_names_of_columns(place: Any, capsys: pytest.CaptureFixture[str], name: str) -> None:
    address = "anna.kowalski@firma-nord.de"
    if name.endswith(".xlsx"):
        workbook = openpyxl.Workbook()
        workbook.active.append([address, "comes today"])
        workbook.active.append(["b.yilmaz@werk-sued.de", "comes tomorrow"])
        (place.root / "raw").mkdir()
        workbook.save(place.root / name)
    else:
        row = json.dumps({address: "comes today"}) if name.endswith(".jsonl") else f"{address},comes today\nb,comes tomorrow"
        place.write(name, f"{row}\n")
    place.spec(sources=[{"name": "s", "files": "raw/*"}])
    for command in (["build", "set"], ["try", str(place.root / name)]):
        assert place.cli("data", *command) == 2
        said = capsys.readouterr()
        told = "has a column whose name holds" if name.endswith(".jsonl") else "looks like data, not like names of columns"
        assert told in said.err
        assert "(EMAIL)" in said.err
        assert address not in said.out + said.err
    kept = [path for path in (place.root / ".stellwerk").rglob("*") if path.is_file()]
    assert not [path for path in kept if address.encode() in path.read_bytes()]


def test_moments_of_any_zone_are_written(place: Any) -> None:
    moment = dt.datetime(2024, 6, 1, 12, 0, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    (place.root / "raw").mkdir()
    for unit in ("s", "ns"):
        table = pa.table({"id": [1], "text": ["a letter"], "at": pa.array([moment], pa.timestamp(unit, "Europe/Berlin"))})
        pq.write_table(table, place.root / "raw/s.parquet")
        place.spec(sources=[SOURCE])
        place.build()
        assert place.table()["at"].to_pylist() == [moment]
        assert place.table()["at"].type == pa.timestamp("us", tz="UTC")


def test_the_candidates_of_copies_stand_in_shards_not_in_the_record(place: Any) -> None:
    place.rows("raw/s.jsonl", [{**row, "id": 10 * n + row["id"]} for n in range(2) for row in letters(5)])
    place.spec(sources=[SOURCE])
    place.build()
    (step,) = place.workspace.record.rows(tables.step, tables.step.c.name == "find candidates")
    assert {name: value.startswith("sha256:") for name, value in step["outcome"].items()} == {"pairs": True, "concerned": True}
