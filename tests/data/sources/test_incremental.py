"""Rows that change at their source: what comes, changes late, goes, or comes twice arrives, and earlier states stay."""

from __future__ import annotations

import csv
import datetime as dt
import lzma
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as db
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

import servers
from stellwerk.errors import StellwerkError
from stellwerk.record import tables

Row = tuple[int, str, int | None]
GRIPPEWEB = ["2024-04-11", "2025-06-19", "2026-08-20"]
KEY = ["Saison", "Erkrankung", "Altersgruppe", "Region", "Kalenderwoche"]

# A change: which row, its new value (None removes it), and how the clock stands against the last change.
CHANGES = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from(["a", "b", "c"]) | st.none(), st.sampled_from([0, 0, 1, 5, -2])), max_size=5
)
PHASES = [Phase.explicit, Phase.generate]  # a build is too slow to be tried hundreds of times for a smaller case
OVERLAP = 3
ROWS = st.tuples(st.sampled_from("ab"), st.integers(0, 2) | st.none())  # of a log: what it says, and seconds after the last


def spec(place: Any, **fields: Any) -> None:
    source = {"name": "s", "database": {"url": "sqlite:///raw/a.db", "table": "items"}, **fields}
    place.spec(sources=[source], duplicates={"near": None})


def table_of(place: Any) -> sqlite3.Connection:
    (place.root / "raw").mkdir(exist_ok=True)
    connection = sqlite3.connect(place.root / "raw" / "a.db", isolation_level=None)
    connection.execute("CREATE TABLE IF NOT EXISTS items (id INTEGER, v TEXT, changed_at INTEGER)")
    return connection


def held(place: Any, reference: str = "source/set.s") -> Counter[Row]:
    rows = place.read(place.version(reference).content["shards"]).to_pylist()
    return Counter((row["id"], row["v"], row["changed_at"]) for row in rows)


@pytest.mark.slow
@given(states=st.lists(CHANGES, min_size=2, max_size=4), missing=st.sampled_from(["keep", "delete"]))
@settings(max_examples=8, deadline=None, phases=PHASES, suppress_health_check=[HealthCheck.too_slow])
@example(states=[[(1, "a", 0)], [(2, "a", 0)], [(3, "b", -2)]], missing="keep")  # a tie, then a late row
@example(states=[[(1, "a", 0), (2, "a", 0)], [(1, None, 0)], [(2, None, 0)]], missing="delete")  # all rows go
def test_a_merged_source_follows_its_table(places: Callable[..., Any], states: list[Any], missing: str) -> None:
    place = places()
    spec(place, load="merge", key="id", missing=missing, cursor={"column": "changed_at", "overlap": OVERLAP})
    clock, expected = 100, dict[int, Row]()
    with table_of(place) as table:
        for changes in states:
            begun = clock
            for key, value, ahead in changes:
                # A late row is stamped before the last one that was read, but within the overlap.
                clock, stamp = max(clock, clock + ahead), max(clock + ahead, begun - OVERLAP)
                table.execute("DELETE FROM items WHERE id = ?", [key])
                if value is not None:
                    table.execute("INSERT INTO items VALUES (?, ?, ?)", [key, value, stamp])
            there = {row[0]: row for row in table.execute("SELECT id, v, changed_at FROM items").fetchall()}
            expected = {**(expected if missing == "keep" else {}), **there}
            place.adds_up(place.build())
            assert held(place) == Counter(expected.values())
    table.close()


@pytest.mark.slow
@given(
    states=st.lists(
        st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2) | st.none()), max_size=4), min_size=2, max_size=4
    )
)
@settings(max_examples=8, deadline=None, phases=PHASES, suppress_health_check=[HealthCheck.too_slow])
@example(states=[[("a", 0)], [("a", 0)], [("a", 0), ("a", 0)]])  # equal rows that come one after the other
def test_an_appended_source_holds_each_row_as_often_as_it_is_there(places: Callable[..., Any], states: list[Any]) -> None:
    place = places()
    spec(place, load="append", cursor="changed_at")
    clock, there = 100, Counter[Row]()
    with table_of(place) as table:
        for rows in states:
            for value, ahead in rows:
                clock += ahead or 0
                row = (1, value, None if ahead is None else clock)
                table.execute("INSERT INTO items VALUES (?, ?, ?)", row)
                there[row] += 1
            place.build()
            assert held(place) == there
    table.close()


def test_only_new_rows_are_read_and_an_unchanged_table_makes_nothing_new(place: Any) -> None:
    spec(place, load="merge", key="id", cursor="changed_at")
    with table_of(place) as table:
        table.executemany("INSERT INTO items VALUES (?, 'a', ?)", [(n, n) for n in range(50)])
        place.build()
        table.executemany("INSERT INTO items VALUES (?, 'b', ?)", [(n, n) for n in range(49, 53)])
        place.build()
    version = place.version("source/set.s")
    assert (version.number, version.facts["made_from"]["since"], version.facts["made_from"]["to"]) == (2, "49", "52")
    read = place.read(version.facts["made_from"]["read"])
    assert sorted(read["changed_at"].to_pylist()) == [49, 49, 50, 51, 52]
    assert version.facts["rows"] == 53
    again = place.build()
    assert again.message.startswith("nothing changed in the result: it is still dataset/set@2")
    assert place.version("source/set.s").number == 2
    steps = place.steps()
    assert steps["load s"] == (1, 0)  # the last value is read again, and is what it was
    place.build()
    assert place.steps()["load s"] == (1, 1)
    table.close()


def test_few_new_rows_are_no_change_of_the_schema(place: Any) -> None:
    spec(place, load="merge", key="id", cursor="changed_at", contract="freeze")
    with table_of(place) as table:
        table.executemany("INSERT INTO items VALUES (?, ?, ?)", [(1, "a", 1), (2, "7", 2)])
        place.build()
        table.execute("INSERT INTO items VALUES (3, NULL, 3)")
        place.build()
        assert held(place) == Counter([(1, "a", 1), (2, "7", 2), (3, None, 3)])
        table.execute("ALTER TABLE items ADD COLUMN more TEXT")
        table.execute("INSERT INTO items VALUES (4, 'd', 4, 'x')")
        with pytest.raises(StellwerkError, match="column 'more' is new"):
            place.build()
    assert place.version("source/set.s").number == 2
    spec(place, load="merge", key="id", cursor="changed_at")
    place.build()
    assert place.version("source/set.s").facts["schema_changes"] == ["column 'more' is new (string)"]
    table.close()


@pytest.mark.parametrize("cursor", [{}, {"cursor": "changed_at"}])
def test_a_new_column_doubles_no_appended_row(place: Any, cursor: dict[str, str]) -> None:
    spec(place, load="append", **cursor)
    with table_of(place) as table:
        table.executemany("INSERT INTO items VALUES (?, 'a', ?)", [(n, n) for n in range(3)])
        place.build()
        table.execute("ALTER TABLE items ADD COLUMN status TEXT DEFAULT 'new'")
        table.execute("INSERT INTO items VALUES (3, 'b', 3, 'old')")
        place.build()
    assert held(place) == Counter([(0, "a", 0), (1, "a", 1), (2, "a", 2), (3, "b", 3)])
    table.close()


def test_a_start_is_met_by_texts_of_either_form(place: Any) -> None:
    with table_of(place) as table:
        table.execute("CREATE TABLE said (id INTEGER, at TEXT)")
        table.executemany("INSERT INTO said VALUES (?, ?)", [(n, f"2026-01-01 {n:02}:00:00") for n in range(6, 12)])
    table.close()
    cursor = {"column": "at", "start": dt.datetime(2026, 1, 1, 8)}
    source = {"name": "s", "database": {"url": "sqlite:///raw/a.db", "table": "said"}, "load": "merge", "key": "id"}
    place.spec(sources=[{**source, "cursor": cursor}], duplicates={"near": None})
    place.build()
    rows = place.read(place.version("source/set.s").content["shards"])
    assert sorted(rows["id"].to_pylist()) == [8, 9, 10, 11]


def test_another_question_is_asked_from_the_beginning(place: Any) -> None:
    spec(place, load="merge", key="id", cursor="changed_at")
    with table_of(place) as table:
        table.executemany("INSERT INTO items VALUES (?, 'a', ?)", [(n, n) for n in range(5)])
        place.build()
    table.close()
    query = {"url": "sqlite:///raw/a.db", "query": "SELECT id, upper(v) AS v, changed_at FROM items"}
    place.spec(sources=[{"name": "s", "database": query, "load": "merge", "key": "id", "cursor": "changed_at"}])
    place.build()
    assert place.version("source/set.s").facts["made_from"]["since"] is None
    assert held(place) == Counter((n, "A", n) for n in range(5))


def test_a_source_that_fails_half_way_leaves_the_last_good_version(place: Any) -> None:
    spec(place)
    with table_of(place) as table:
        table.execute("INSERT INTO items VALUES (1, 'a', 1)")
        place.build()
        good = {name: place.version(name).digest for name in ("source/set.s", "dataset/set")}
        table.execute("INSERT INTO items VALUES (2, 'b', 2)")
        table.execute("ALTER TABLE items RENAME TO gone")
        with pytest.raises(StellwerkError, match="items"):
            place.build()
        assert {name: place.version(name).digest for name in good} == good
        assert place.workspace.record.rows(tables.run, order=tables.run.c.created.desc())[0]["state"] == "failed"
        table.execute("ALTER TABLE gone RENAME TO items")
        place.build()
    assert held(place) == Counter([(1, "a", 1), (2, "b", 2)])
    table.close()


def test_what_was_read_is_told_without_a_secret(place: Any, capsys: Any) -> None:
    spec(place, load="merge", key="id", cursor="changed_at")
    with table_of(place) as table:
        table.execute("INSERT INTO items VALUES (1, 'a', 7)")
        place.build()
    table.close()
    capsys.readouterr()
    assert place.cli("data", "sources", "set", "--json") == 0
    told = capsys.readouterr().out
    assert '"cursor": "changed_at up to 7"' in told
    assert "items" in told


def published(path: Path) -> list[dict[str, str | None]]:
    with lzma.open(path, "rt", encoding="utf-8", newline="") as file:
        return [{n: None if v == "NA" else v for n, v in row.items()} for row in csv.DictReader(file, delimiter="\t")]


@pytest.mark.shared
@pytest.mark.slow
def test_late_corrections_and_deletions_of_a_database_arrive(
    place: Any, shared_data: Path, postgres: servers.PostgreSQL
) -> None:
    """GrippeWeb's three published states in a PostgreSQL table, one after the other, as a registry would hold them."""
    engine = db.create_engine(postgres.create_database(f"rki_{place.root.name}"))
    place.spec(
        sources=[{
            "name": "grippeweb", "database": {"url": engine.url.render_as_string(), "table": "grippeweb"},
            "load": "merge", "key": KEY, "missing": "delete",
        }],
        duplicates={"near": None},
    )  # fmt: skip
    states = [published(shared_data / f"text/rki_grippeweb_{day}.tsv.xz") for day in GRIPPEWEB]
    for number, state in enumerate(states, start=1):
        names = list(state[0])
        table = db.Table("grippeweb", db.MetaData(), *(db.Column(name, db.Text) for name in names))
        with engine.begin() as connection:
            table.drop(connection, checkfirst=True)
            table.create(connection)
            connection.execute(table.insert(), state)
        place.adds_up(place.build())
        assert place.version("source/set.grippeweb").number == number
    for number, state in enumerate(states, start=1):
        rows = (
            place.read(place.version(f"source/set.grippeweb@{number}").content["shards"]).drop_columns(["origin"]).to_pylist()
        )
        key = {tuple(row[part] for part in KEY): {n: v for n, v in row.items() if n in state[0]} for row in rows}
        assert key == {tuple(row[part] for part in KEY): row for row in state}
        assert len(rows) == len(state)
    engine.dispose()
