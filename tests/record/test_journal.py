"""Whatever is changed, added, moved or removed behind the record's back is found and named."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from records import PERSON, add_run, add_step, link, open_record, problems
from sqlalchemy import JSON, Float
from sqlalchemy.exc import DBAPIError

from databases import ON_POSTGRESQL, Statement, behind_its_back
from stellwerk.record import journal, tables
from stellwerk.record.operations import verify
from stellwerk.record.record import Record
from stellwerk.workspace import Workspace

REFUSED = "refused by the database"
NAMES = [table.name for table in tables.JOURNALED]

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
)  # fmt: skip


def fill(record: Record, seed: int = 0, details: Any = None, number: float = 0.25, text: str = "title") -> None:
    """At least two rows in every journaled table, and rows that were changed after they were written."""
    for turn in range(2):
        with record.writing(PERSON) as transaction:
            run = add_run(transaction, state="running")
            step = add_step(transaction, run)
            version = transaction.put_version(
                "dataset", f"tickets{turn}", identity={"n": seed}, facts={"given": details}, content={}, run=run
            )
            link(transaction, run, step, reads=(version.id,), makes=(version.id,))
            row = transaction.insert(
                tables.measurement, run=run, step=step, metric="share", metric_version=1, value=number, low=None, high=number,
                n=turn, unit="share", complete=turn == 1, details={"given": details}, created=transaction.at,
            )  # fmt: skip
            transaction.insert(tables.measured, measurement=row["id"], version=version.id, role="subject")
            transaction.insert(
                tables.finding, run=run, step=None, version=version.id, rule="rule", severity="low", title=text,
                details={}, status="open", owner=None, created=transaction.at,
            )  # fmt: skip
            erased = transaction.insert(
                tables.erasure, run=run, version=version.id, rows=turn, reason=text, created=transaction.at
            )
            transaction.insert(tables.tombstone, erasure=erased["id"], token="f" * 64)
            transaction.insert(tables.usage, run=run, seconds=1.5, stored=2.0, extent=None, created=transaction.at)
            transaction.insert(tables.spent, run=run, amount=0.25, currency="EUR", created=transaction.at)
            transaction.insert(
                tables.decision, kind="waive", about="desk", details={"given": details}, person=PERSON, authenticated=turn == 1,
                reason=text, until=None, created=transaction.at,
            )  # fmt: skip
            released = transaction.insert(
                tables.release, run=run, version=version.id, number=turn + 1, digest="d" * 64, content={"given": details},
                key="k" * 64, person=PERSON, authenticated=0, created=transaction.at,
            )  # fmt: skip
            transaction.insert(tables.released, release=released["id"], version=version.id)
            transaction.insert(
                tables.rating,
                version=version.id,
                item="1",
                person=PERSON,
                authenticated=turn,
                value=text,
                created=transaction.at,
            )
        with record.writing(PERSON) as transaction:
            transaction.update(tables.run, run, state="done", result={"given": details})
            transaction.update(tables.version, version.id, tainted=erased["id"])


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Record]:
    record = open_record(tmp_path_factory.mktemp("filled") / "record.db")
    fill(record)
    assert problems(record) == []
    yield record
    record.database.close()


@pytest.fixture
def tamper(filled: Record) -> Callable[..., list[str]]:
    """Runs SQL on a filled record, behind its back, says what verify finds, and takes it back."""

    def work(*statements: Statement, anchors: tuple[journal.Anchor, ...] = ()) -> list[str]:
        try:
            with behind_its_back(filled.database, statements, keep=False) as connection:
                return list(journal.verify(connection, anchors))
        except DBAPIError:
            # PostgreSQL takes no text for a number, and no broken JSON.
            assert ON_POSTGRESQL
            return [REFUSED]

    return work


def rows_of(record: Record, table: str) -> list[dict[str, Any]]:
    """The rows of a table in the order of their writing, as they stand in the database."""
    with record.database.reading() as connection:
        order = "seq" if table == "journal" else f"(SELECT min(seq) FROM journal WHERE subject = '{table}' AND key = id)"
        plain = connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY {order}").mappings()
        # PostgreSQL's driver gives JSON as values.
        return [{k: json.dumps(v) if isinstance(v, dict | list) else v for k, v in row.items()} for row in plain]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(details=values, number=numbers, text=texts)
def test_what_was_written_is_intact_whatever_it_was(record: Record, details: Any, number: float, text: str) -> None:
    fill(record, len(record.rows(tables.version)), details, number, text)
    assert problems(record) == []
    measured = record.rows(tables.measurement)[-1]
    assert isinstance(measured["value"], float)
    assert journal.canonical(measured["details"]) == journal.canonical({"given": details})


@pytest.mark.parametrize(
    "number",
    [-0.0, 0.1 + 0.2, 1e308, 5e-324, 2.0**53, 1e22, 123456789.123456789, math.pi, -1.0, float(2**63), float(-(2**63))],
)
def test_floats_have_the_same_digest_before_and_after_the_database(record: Record, number: float) -> None:
    fill(record, details={"number": number}, number=number)
    assert problems(record) == []


def test_lone_surrogates_of_broken_file_names_can_be_recorded(record: Record) -> None:
    fill(record, details={"file": "b\udcffroken.csv"})
    assert problems(record) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_removed_row_is_named(filled: Record, tamper: Callable[..., list[str]], name: str) -> None:
    for row in rows_of(filled, name):
        assert tamper((f"DELETE FROM {name} WHERE id = ?", (row["id"],))) == [f"{name} {row['id']}: the row was removed"]


@pytest.mark.parametrize("name", NAMES)
def test_an_added_row_is_named(filled: Record, tamper: Callable[..., list[str]], name: str) -> None:
    row = {**rows_of(filled, name)[0], "id": "f" * 32}
    for column, value in {"number": 77, "digest": "d" * 64, "name": "another"}.items():
        if column in row:
            row[column] = value
    marks = ", ".join("?" * len(row))
    statement = f"INSERT INTO {name} ({', '.join(row)}) VALUES ({marks})"
    assert tamper((statement, tuple(row.values()))) == [f"{name} {'f' * 32}: the row was added without the journal"]


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_column_is_named(filled: Record, tamper: Callable[..., list[str]], name: str) -> None:
    row, table = rows_of(filled, name)[1], tables.metadata.tables[name]
    for column, value in row.items():
        if column == "id":
            continue
        changed: Any = f"{value}x"
        if isinstance(table.c[column].type, JSON):
            changed = '{"other": 1}'
        elif isinstance(value, int | float):
            changed = 1 - value if value in (0, 1) else value + 1
        elif isinstance(table.c[column].type, Float):
            changed = 1.5
        found = tamper((f"UPDATE {name} SET {column} = ? WHERE id = ?", (changed, row["id"])))
        assert found == [f"{name} {row['id']}: the row was changed"], column


@pytest.mark.parametrize("name", NAMES)
def test_rows_that_changed_places_are_named(filled: Record, tamper: Callable[..., list[str]], name: str) -> None:
    one, two = (row["id"] for row in rows_of(filled, name)[:2])
    ids = [("f" * 32, one), (one, two), (two, "f" * 32)]
    found = tamper(*((f"UPDATE {name} SET id = ? WHERE id = ?", pair) for pair in ids))
    assert sorted(found) == sorted(f"{name} {key}: the row was changed" for key in (one, two))


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("run", "parameters", "{broken"),
        ("version", "facts", '{"a": NaN}'),
        ("measurement", "value", math.inf),
        ("measurement", "value", "many"),
        ("finding", "title", b"\xff\xfe"),
        ("asset", "name", b"\xff\xfe"),
        ("version", "number", "3rd"),
        ("step", "outcome", b"\x00"),
    ],
)
def test_a_value_that_cannot_even_be_read_is_named(
    filled: Record, tamper: Callable[..., list[str]], table: str, column: str, value: Any
) -> None:
    one, two = (row["id"] for row in rows_of(filled, table)[:2])
    found = tamper((f"UPDATE {table} SET {column} = ? WHERE id = ?", (value, one)))
    assert found in ([f"{table} {one}: the row was changed"], [REFUSED])
    cast = f"UPDATE {table} SET {column} = CAST(? AS TEXT) WHERE id = ?"
    assert tamper((cast, (b"\xff\xfe", two))) in ([f"{table} {two}: the row was changed"], [REFUSED])


def test_every_changed_field_of_every_entry_is_named(filled: Record, tamper: Callable[..., list[str]]) -> None:
    entries = rows_of(filled, "journal")
    for entry in (entries[0], entries[len(entries) // 2], entries[-1]):
        for column in set(entry) - {"seq"}:
            found = tamper((f"UPDATE journal SET {column} = ? WHERE seq = ?", (f"{entry[column]}0", entry["seq"])))
            assert any(f"entry {entry['seq']} " in sentence for sentence in found), (column, found)


def test_every_removed_entry_is_named(filled: Record, tamper: Callable[..., list[str]]) -> None:
    entries = rows_of(filled, "journal")
    for entry in entries[:-1]:
        found = tamper((f"DELETE FROM journal WHERE seq = ?", (entry["seq"],)))  # noqa: F541
        assert f"journal: entry {entry['seq']} was removed" in found
    found = tamper("DELETE FROM journal WHERE seq > 5 AND seq < 9")
    assert "journal: entries 6 to 8 were removed" in found
    found = tamper((f"DELETE FROM journal WHERE seq = {len(entries)}", ()))
    assert any("its tail was cut" in sentence for sentence in found)


def test_entries_that_changed_places_are_named(filled: Record, tamper: Callable[..., list[str]]) -> None:
    entries = rows_of(filled, "journal")
    for one, two in ((1, 2), (4, 9), (len(entries) - 1, len(entries))):
        moves = [(-1, one), (one, two), (two, -1)]
        found = tamper(*(("UPDATE journal SET seq = ? WHERE seq = ?", move) for move in moves))
        assert any(f"entry {one} " in sentence for sentence in found)
        assert any(f"entry {two} " in sentence for sentence in found)


@pytest.mark.parametrize("seq", [-3, 0])
def test_an_entry_before_the_first_is_named(filled: Record, tamper: Callable[..., list[str]], seq: int) -> None:
    entry = {**rows_of(filled, "journal")[0], "seq": seq}
    found = tamper((f"INSERT INTO journal ({', '.join(entry)}) VALUES ({', '.join('?' * len(entry))})", tuple(entry.values())))
    assert any(f"entry {seq} " in sentence for sentence in found)
    assert not any("removed" in sentence for sentence in found)


def forged(seq: int, previous: str, subject: str = "asset", key: str = "f" * 32, digest: str = "d" * 64) -> dict[str, Any]:
    entry = {
        "seq": seq,
        "at": "2026-01-01",
        "subject": subject,
        "key": key,
        "digest": digest,
        "person": PERSON,
        "previous": previous,
    }
    return {**entry, "hash": journal._hash(entry)}


def test_an_entry_after_the_last_is_named_even_with_a_true_hash(filled: Record, tamper: Callable[..., list[str]]) -> None:
    last = rows_of(filled, "journal")[-1]
    entry = forged(last["seq"] + 1, last["hash"])
    found = tamper((f"INSERT INTO journal ({', '.join(entry)}) VALUES ({', '.join('?' * len(entry))})", tuple(entry.values())))
    assert any(f"after entry {last['seq']}" in sentence for sentence in found)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal_head SET seq = seq - 1",
        "UPDATE journal_head SET seq = seq + 1",
        "UPDATE journal_head SET seq = 0",
        "UPDATE journal_head SET hash = 'other'",
        "DELETE FROM journal_head",
        "INSERT INTO journal_head (id, record, seq, hash) VALUES (2, 'r', 1, 'other')",
        "DELETE FROM journal",
    ],
)
def test_a_changed_head_is_found(tamper: Callable[..., list[str]], statement: str) -> None:
    assert any(sentence.startswith("journal: ") for sentence in tamper(statement))


def test_the_head_of_an_empty_record_is_checked_too(record: Record) -> None:
    assert problems(record) == []
    with record.database.writing() as connection:
        connection.execute(tables.journal_head.update().values(hash="f" * 64))
    assert problems(record)


def rewrite(record: Record, upto: int) -> list[tuple[str, tuple[Any, ...]]]:
    """The statements that cut the journal and its head after an entry, and the rows that it knew."""
    entries = rows_of(record, "journal")
    kept, cut = entries[:upto], entries[upto:]
    alive = {(entry["subject"], entry["key"]) for entry in kept}
    statements = [
        (f"DELETE FROM {e['subject']} WHERE id = ?", (e["key"],)) for e in cut if (e["subject"], e["key"]) not in alive
    ]
    statements.append(("DELETE FROM journal WHERE seq > ?", (upto,)))
    head = (upto, kept[-1]["hash"] if kept else journal.START)
    return [*statements, ("UPDATE journal_head SET seq = ?, hash = ?", head)]


def transactions(record: Record) -> list[int]:
    """The numbers of the entries that end a transaction, so that a cut there leaves a whole record."""
    entries = rows_of(record, "journal")
    return [entry["seq"] for entry, after in pairwise(entries) if entry["at"] != after["at"]]


def test_a_cut_tail_shows_against_an_anchor_only(filled: Record, tamper: Callable[..., list[str]]) -> None:
    entries = rows_of(filled, "journal")
    first, *_ = transactions(filled)
    anchor = journal.Anchor(entries[-1]["seq"], entries[-1]["hash"], "stellwerk.lock")
    assert tamper(anchors=(anchor,)) == []
    for upto in (0, first):
        statements = rewrite(filled, upto)
        unanchored = tamper(*statements)
        # What was updated after the cut has another digest than the entry that is left; what was only added goes unseen.
        assert not any(sentence.startswith("journal") for sentence in unanchored)
        found = tamper(*statements, anchors=(anchor,))
        assert f"journal: it ends at entry {upto}, but stellwerk.lock knows entry {anchor.seq}: its tail was cut" in found


def test_a_journal_written_anew_shows_against_an_anchor(filled: Record, tamper: Callable[..., list[str]]) -> None:
    """An attacker who changes a row and computes the whole chain again is only found by an anchor."""
    entries = rows_of(filled, "journal")
    anchor = journal.Anchor(entries[-1]["seq"], entries[-1]["hash"], "stellwerk.lock")
    previous, statements = journal.START, []
    for entry in entries:
        new = forged(entry["seq"], previous, entry["subject"], entry["key"], entry["digest"])
        previous = new["hash"]
        fields = ", ".join(f"{name} = ?" for name in new)
        statements.append((f"UPDATE journal SET {fields} WHERE seq = ?", (*new.values(), entry["seq"])))
    statements.append(("UPDATE journal_head SET hash = ?", (previous,)))
    assert tamper(*statements) == []
    (found,) = tamper(*statements, anchors=(anchor,))
    assert "written anew" in found


change = st.fixed_dictionaries({"how": st.sampled_from(["remove", "swap", "copy", "set"]), "where": st.integers(0, 10**6)})


@settings(
    max_examples=60, deadline=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(table=st.sampled_from([*NAMES, "journal"]), change=change, column=st.integers(0, 20), text=texts)
def test_any_single_change_is_found_and_named(
    filled: Record, tamper: Callable[..., list[str]], table: str, change: dict[str, Any], column: int, text: str
) -> None:
    rows, key = rows_of(filled, table), "seq" if table == "journal" else "id"
    row = rows[change["where"] % len(rows)]
    other = rows[(change["where"] + 1) % len(rows)]
    names = [name for name in row if name != key]
    name = names[column % len(names)]
    match change["how"]:
        case "remove":
            statements = [(f"DELETE FROM {table} WHERE {key} = ?", (row[key],))]
        case "swap":
            spare = -1 if key == "seq" else "spare"
            moves = [(spare, row[key]), (row[key], other[key]), (other[key], spare)]
            statements = [(f"UPDATE {table} SET {key} = ? WHERE {key} = ?", move) for move in moves]
        case "copy":
            if rows == [row] or row[name] == other[name] or name in ("number", "digest", "name", "asset"):
                return
            statements = [(f"UPDATE {table} SET {name} = ? WHERE {key} = ?", (other[name], row[key]))]
        case _:
            if str(row[name]) == text:
                return
            statements = [(f"UPDATE {table} SET {name} = ? WHERE {key} = ?", (text, row[key]))]
    found = " ".join(tamper(*statements))
    named = f"entry {row['seq']}" in found if table == "journal" else f"{table} {row['id']}" in found
    cut = table == "journal" and change["how"] == "remove" and "its tail was cut" in found
    assert named or cut or found == REFUSED or f"entries {row.get('seq')} " in found, found


def test_the_journal_holds_no_names_texts_or_values(record: Record, tmp_path: Path) -> None:
    planted = "Erika Mustermann <erika@example.org>"
    person = record.person(planted)
    with record.writing(person) as transaction:
        run = add_run(transaction, parameters={"who": planted}, error=planted)
        transaction.put_version("dataset", planted, identity={"n": planted}, facts={"v": 4711.25}, content={}, run=run)
        transaction.insert(
            tables.measurement, run=run, step=None, metric="share", metric_version=1, value=4711.25, low=None, high=None, n=1,
            unit="", complete=True, details={"text": planted}, created=transaction.at,
        )  # fmt: skip
    entries = record.rows(tables.journal)
    assert {entry["subject"] for entry in entries} >= {"asset", "run", "version", "measurement"}
    text = json.dumps(entries)
    assert "Mustermann" not in text
    assert "erika" not in text
    assert "4711.25" not in text
    assert {entry["person"] for entry in entries} == {person}


def test_verify_reads_the_anchor_of_the_lock_file(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path)
    fill(workspace.record)
    workspace.write_lock()
    good = verify(workspace=workspace)
    assert (good.intact, good.problems) == (True, [])
    assert good.anchors == [f"stellwerk.lock: entry {good.entries}"]
    fill(workspace.record, 1)
    later = verify(workspace=workspace)
    assert later.intact
    assert later.entries > good.entries
    with behind_its_back(workspace.record.database, rewrite(workspace.record, good.entries - 6), keep=True):
        pass
    cut = verify(workspace=workspace)
    assert not cut.intact
    assert any("its tail was cut" in problem for problem in cut.problems)
    workspace.record.database.close()


@pytest.mark.parametrize("anchor", ["many", [1, 2], {"seq": 3}, {"record": "r", "seq": "x", "hash": 5}])
def test_a_lock_file_that_was_edited_by_hand_is_one_sentence(tmp_path: Path, anchor: Any) -> None:
    workspace = Workspace.init(tmp_path)
    (tmp_path / "stellwerk.lock").write_text(yaml.safe_dump({"anchor": anchor}))
    with pytest.raises(Exception, match=r"stellwerk\.lock") as error:
        verify(workspace=workspace)
    assert type(error.value).__name__ == "UserError"
    workspace.record.database.close()
