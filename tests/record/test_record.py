"""Versions, aliases, references, lineage, measurements, findings and persons in the record."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from records import PERSON, add_run, add_step, link, open_record, problems

from databases import behind_its_back, sqlite_only
from stellwerk.errors import StellwerkError, UserError
from stellwerk.record import tables
from stellwerk.record.lineage import neighbours, walk
from stellwerk.record.record import ERASED, Record, Version, version_id


def put(record: Record, name: str, rows: Any, *, kind: str = "dataset", facts: dict[str, Any] | None = None) -> Version:
    with record.writing(PERSON) as transaction:
        return transaction.put_version(
            kind, name, identity={"rows": rows}, facts=facts or {}, content={}, run=add_run(transaction)
        )


def test_versions_are_numbered_without_gaps_for_each_asset(record: Record) -> None:
    made = [put(record, name, rows) for rows in range(3) for name in ("tickets", "replies")]
    assert [version.ref for version in made] == [
        "dataset/tickets@1", "dataset/replies@1", "dataset/tickets@2", "dataset/replies@2", "dataset/tickets@3",
        "dataset/replies@3",
    ]  # fmt: skip


def test_equal_identity_is_the_same_version_whatever_its_facts(record: Record) -> None:
    first = put(record, "tickets", "abc", facts={"price": 1})
    again = put(record, "tickets", "abc", facts={"price": 2})
    assert (again.id, again.number, again.facts) == (first.id, 1, {"price": 2}), "what is known is what was said last"
    assert record.resolve("tickets").facts == {"price": 2}
    assert first.id == version_id("dataset", "tickets", {"rows": "abc"})
    assert put(record, "replies", "abc").id != first.id
    assert put(record, "tickets", "abc", kind="suite").id != first.id


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=st.lists(st.integers(0, 4), min_size=1, max_size=12))
def test_any_sequence_of_contents_is_numbered_by_first_appearance_and_latest_is_the_last(
    record: Record, contents: list[int]
) -> None:
    name = f"asset{len(record.rows(tables.asset))}"
    for content in contents:
        put(record, name, content)
    order = list(dict.fromkeys(contents))
    assert [version.identity["rows"] for version in record.versions(tables.asset.c.name == name)] == order
    assert [version.number for version in record.versions(tables.asset.c.name == name)] == list(range(1, len(order) + 1))
    assert record.resolve(name).identity["rows"] == contents[-1]


def test_a_write_that_fails_leaves_no_gap_and_no_row(record: Record) -> None:
    put(record, "tickets", 1)
    with pytest.raises(ZeroDivisionError), record.writing(PERSON) as transaction:
        transaction.put_version("dataset", "tickets", identity={"rows": 2}, facts={}, content={}, run=add_run(transaction))
        raise ZeroDivisionError
    assert len(record.rows(tables.run)) == 1
    assert put(record, "tickets", 3).number == 2
    assert problems(record) == []


def test_latest_moves_back_when_old_content_returns(record: Record) -> None:
    first, second = put(record, "tickets", 1), put(record, "tickets", 2)
    assert record.resolve("tickets").id == second.id
    put(record, "tickets", 1)
    assert record.resolve("tickets").id == first.id
    assert record.resolve("tickets@latest").ref == "dataset/tickets@1"


def test_an_alias_points_to_one_version_until_it_is_moved(record: Record) -> None:
    first, second = put(record, "tickets", 1), put(record, "tickets", 2)
    asset = record.rows(tables.asset)[0]["id"]
    for version in (first, second, first):
        with record.writing(PERSON) as transaction:
            transaction.move_alias(asset, "production", version.id, version.run)
        assert record.resolve("tickets@production").id == version.id
    assert record.aliases(first) == {"latest": second.id, "production": first.id}
    assert problems(record) == []


@pytest.mark.parametrize(
    "reference",
    ["dataset/tickets@2", "dataset/tickets", "tickets@2", "tickets", "tickets@latest"],
)
def test_references_name_a_version(record: Record, reference: str) -> None:
    put(record, "tickets", 1)
    wanted = put(record, "tickets", 2)
    assert record.resolve(reference) == wanted
    assert record.resolve(reference, "dataset") == wanted


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("tickest", ["tickest", "did you mean 'tickets'?"]),
        ("zzz", ["no asset named 'zzz'", "tickets"]),
        ("prompt/tickets", ["no prompt named 'tickets'"]),
        ("tickets@7", ["dataset/tickets has no version '7'", "@1, @2"]),
        ("tickets@0", ["has no version '0'"]),
        ("tickets@²", ["has no version '²'"]),
        ("tickets@" + "9" * 5000, ["has no version"]),
        ("tickets@production", ["has no version 'production'", "@1, @2"]),
        ("tickets@-1", ["has no version '-1'"]),
        ("", ["no asset named ''"]),
        ("@", ["no asset named ''"]),
        ("/", ["no"]),
        ("%", ["no asset named '%'"]),
    ],
)
def test_a_wrong_reference_is_one_sentence_that_says_what_there_is(record: Record, reference: str, words: list[str]) -> None:
    put(record, "tickets", 1)
    put(record, "tickets", 2)
    with pytest.raises(UserError) as error:
        record.resolve(reference)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "\n" not in str(error.value)


def test_a_name_of_two_kinds_asks_which(record: Record) -> None:
    put(record, "reply", 1, kind="prompt")
    put(record, "reply", 1, kind="suite")
    with pytest.raises(UserError, match="prompt/reply or suite/reply"):
        record.resolve("reply")
    assert record.resolve("reply", "suite").kind == "suite"
    assert record.resolve("prompt/reply", "suite").kind == "prompt"


def test_an_empty_record_says_that_nothing_was_made(record: Record) -> None:
    with pytest.raises(UserError, match="nothing was made yet"):
        record.resolve("tickets")


def chain(record: Record) -> dict[str, Version]:
    """raw -> tickets -> model, labels -> tickets; a step of the same run that reads tickets and makes nothing."""
    found: dict[str, Version] = {}
    with record.writing(PERSON) as transaction:
        run = add_run(transaction)
        for name in ("raw", "labels", "tickets", "model", "other"):
            found[name] = transaction.put_version("dataset", name, identity={"n": name}, facts={}, content={}, run=run)
        key = {name: version.id for name, version in found.items()}
        link(transaction, run, add_step(transaction, run, "load"), makes=(key["raw"], key["labels"]))
        link(transaction, run, add_step(transaction, run, "build"), reads=(key["raw"], key["labels"]), makes=(key["tickets"],))
        link(transaction, run, add_step(transaction, run, "train"), reads=(key["tickets"],), makes=(key["model"],))
        link(transaction, run, add_step(transaction, run, "look"), reads=(key["tickets"],))
        link(transaction, run, add_step(transaction, run, "apart"), makes=(key["other"],))
    return found


def test_lineage_goes_both_ways_step_by_step(record: Record) -> None:
    of = chain(record)
    assert neighbours(record, [of["tickets"].id], "up") == {of["tickets"].id: {of["raw"].id, of["labels"].id}}
    assert neighbours(record, [of["tickets"].id], "down") == {of["tickets"].id: {of["model"].id}}
    assert neighbours(record, [of["other"].id], "up") == {}

    def walked(name: str, direction: Any) -> list[tuple[int, str]]:
        return [(distance, version.name) for distance, version in walk(record, of[name], direction)]

    assert walked("model", "up") == [(1, "tickets"), (2, "labels"), (2, "raw")]
    assert walked("raw", "down") == [(1, "tickets"), (2, "model")]
    assert walked("raw", "up") == []
    assert walked("other", "down") == []


def test_lineage_in_a_circle_ends(record: Record) -> None:
    of = chain(record)
    with record.writing(PERSON) as transaction:
        run = of["raw"].run
        link(transaction, run, add_step(transaction, run, "back"), reads=(of["model"].id,), makes=(of["raw"].id,))
    assert {version.name for _, version in walk(record, of["raw"], "down")} == {"tickets", "model"}


def test_measurements_name_their_subjects_and_instruments(record: Record) -> None:
    subject, suite = put(record, "model", 1), put(record, "support", 1, kind="suite")
    with record.writing(PERSON) as transaction:
        row = transaction.insert(
            tables.measurement, run=subject.run, step=None, metric="accuracy", metric_version=1, value=1, low=0.5, high=None,
            n=10, unit="share", complete=True, details={"why": ("a", 1)}, created=transaction.at,
        )  # fmt: skip
        for role, version in (("subject", subject), ("instrument", suite)):
            transaction.insert(tables.measured, measurement=row["id"], version=version.id, role=role)
        transaction.insert(
            tables.finding, run=subject.run, step=None, version=subject.id, rule="schema_change", severity="medium",
            title="column 'Straße' is new", details={}, status="open", owner=None, created=transaction.at,
        )  # fmt: skip
    (kept,) = record.rows(tables.measurement)
    assert (kept["value"], kept["low"], kept["high"], kept["n"], kept["details"]) == (1.0, 0.5, None, 10, {"why": ["a", 1]})
    links = {row["role"]: row["version"] for row in record.rows(tables.measured)}
    assert links == {"subject": subject.id, "instrument": suite.id}
    assert record.rows(tables.finding)[0]["title"] == "column 'Straße' is new"
    assert problems(record) == []


def test_a_measurement_of_nothing_is_refused(record: Record) -> None:
    run = put(record, "model", 1).run
    with pytest.raises(Exception, match=r"(?i)foreign key"), record.writing(PERSON) as transaction:
        transaction.insert(tables.measured, measurement="none", version="none", role="subject")
    assert put(record, "model", 1).run == run


def test_a_person_can_be_erased_and_the_record_stays_intact(record: Record) -> None:
    key = record.person("Erika Mustermann")
    assert record.person("Erika Mustermann") == key
    assert record.person("Max Mustermann") != key
    with record.writing(key) as transaction:
        add_run(transaction, person=key)
    assert record.name_of(key) == "Erika Mustermann"
    with record.database.writing() as connection:
        connection.execute(tables.person.delete().where(tables.person.c.id == key))
    assert record.name_of(key) == ERASED
    assert record.rows(tables.run)[0]["person"] == key
    assert problems(record) == []


@sqlite_only
def test_an_erased_person_is_nowhere_in_the_files(record: Record, tmp_path: Path) -> None:
    key = record.person("Erika Mustermann")
    with record.database.writing() as connection:
        connection.execute(tables.person.delete().where(tables.person.c.id == key))
    record.database.close()
    files = list(tmp_path.iterdir())
    assert files
    assert not [file.name for file in files if b"Mustermann" in file.read_bytes()]


WRITER = """
import sys
from pathlib import Path
from records import PERSON, add_run, open_record
from stellwerk.record import tables
record = open_record(Path(sys.argv[1]))
record.person("the same name")
for number in range(20):
    with record.writing(PERSON) as transaction:
        run = add_run(transaction)
        transaction.put_version("dataset", "tickets", identity={"by": sys.argv[2], "n": number}, facts={}, content={}, run=run)
"""


def test_four_processes_write_at_once_and_nothing_is_lost(record: Record, tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, tmp_path / "record.db", str(number)],
            cwd=Path(__file__).parent, stderr=subprocess.PIPE, text=True,
        )
        for number in range(4)
    ]  # fmt: skip
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    versions = record.versions()
    assert [version.number for version in versions] == list(range(1, 81))
    assert {(version.identity["by"], version.identity["n"]) for version in versions} == {
        (str(by), n) for by in range(4) for n in range(20)
    }
    assert problems(record) == []
    assert len(record.rows(tables.person)) == 1


OPENER = """
import sys
from pathlib import Path
from records import open_record
print(len(open_record(Path(sys.argv[1])).versions()))
"""


def test_several_processes_may_open_a_new_record_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPENER, tmp_path / "new.db"]
    processes = [
        subprocess.Popen(
            command, cwd=Path(__file__).parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]  # fmt: skip
    results = [(*process.communicate(timeout=60), process.returncode) for process in processes]
    assert [(out.strip(), code) for out, _, code in results] == [("0", 0)] * 4, [error[-800:] for _, error, _ in results]


@sqlite_only
def test_a_file_that_is_no_record_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "record.db").write_bytes(b"this is no database at all " * 100)
    with pytest.raises(StellwerkError, match=r"record\.db.*cannot be opened"):
        open_record(tmp_path / "record.db")


def test_a_record_of_a_newer_stellwerk_is_one_sentence(record: Record, tmp_path: Path) -> None:
    with behind_its_back(record.database, ["UPDATE alembic_version SET version_num = '9999'"], keep=True):
        pass
    with pytest.raises(StellwerkError, match="newer"):
        open_record(tmp_path / "record.db")
