"""Evidence that is carried to another record is the same there, or is not taken in at all."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from records import PERSON, add_run, add_step, link, problems

from stellwerk.errors import UserError
from stellwerk.record import journal, tables
from stellwerk.record.lineage import walk
from stellwerk.record.record import Record, Version
from stellwerk.record.transfer import export, import_

OTHER = "1" * 32


def put(record: Record, name: str, rows: Any, reads: tuple[Version, ...] = ()) -> Version:
    with record.writing(PERSON) as transaction:
        run = add_run(transaction)
        version = transaction.put_version(
            "dataset", name, identity={"rows": rows}, facts={"größe": 1.5}, content={"table": "table:x"}, run=run
        )
        step = add_step(transaction, run, f"{name} {rows}")
        link(transaction, run, step, reads=tuple(v.id for v in reads), makes=(version.id,))
        row = transaction.insert(
            tables.measurement, run=run, step=step, metric="share", metric_version=1, value=1 / 3, low=None, high=None, n=3,
            unit="share", complete=True, details={"of": "Müller"}, created=transaction.at,
        )  # fmt: skip
        transaction.insert(tables.measured, measurement=row["id"], version=version.id, role="subject")
    return version


def seen(record: Record) -> dict[str, Any]:
    """What the record holds of evidence, without its own times and numbers."""
    found: dict[str, Any] = {t.name: {r["id"]: r for r in record.rows(t)} for t in tables.JOURNALED if t.name != "alias"}
    for row in found["version"].values():
        del row["number"]
    return found


def test_a_record_that_was_carried_over_is_the_same(new_record: Callable[..., Record], tmp_path: Path) -> None:
    here, there = new_record("here.db"), new_record("there.db")
    raw = put(here, "raw", 1)
    put(here, "tickets", 1, (raw,))
    put(here, "tickets", 2, (raw,))
    done = export(here, tmp_path / "record.jsonl.gz")
    assert done.anchor.seq == len(here.rows(tables.journal))
    taken = import_(there, tmp_path / "record.jsonl.gz", OTHER)
    assert taken.rows == taken.new == done.rows
    assert (taken.anchor.seq, taken.anchor.hash) == (done.anchor.seq, done.anchor.hash)
    assert seen(there) == seen(here)
    assert there.versions() == here.versions()
    assert there.resolve("tickets").ref == "dataset/tickets@2"
    assert [(distance, version.ref) for distance, version in walk(there, there.resolve("raw"), "down")] == [
        (1, "dataset/tickets@1"), (1, "dataset/tickets@2"),
    ]  # fmt: skip
    assert problems(there) == problems(here) == []
    assert {row["person"] for row in there.rows(tables.journal)} == {OTHER}


def test_importing_twice_adds_nothing(new_record: Callable[..., Record], tmp_path: Path) -> None:
    here, there = new_record("here.db"), new_record("there.db")
    put(here, "tickets", 1)
    export(here, tmp_path / "file.gz")
    import_(there, tmp_path / "file.gz", OTHER)
    entries = len(there.rows(tables.journal))
    assert import_(there, tmp_path / "file.gz", OTHER).new == 0
    assert import_(here, tmp_path / "file.gz", OTHER).new == 0
    assert len(there.rows(tables.journal)) == entries
    put(here, "tickets", 2)
    export(here, tmp_path / "file.gz")
    assert 0 < import_(there, tmp_path / "file.gz", OTHER).new < 10
    assert [version.number for version in there.versions()] == [1, 2]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(here=st.lists(st.integers(0, 9), max_size=5), there=st.lists(st.integers(0, 9), max_size=5))
def test_taken_numbers_are_given_anew_without_gaps(
    new_record: Callable[..., Record], tmp_path: Path, here: list[int], there: list[int]
) -> None:
    one, two = new_record("one.db"), new_record("two.db")
    for record, contents in ((one, here), (two, there)):
        for content in contents:
            put(record, "tickets", content)
    before = {version.id: version.number for version in two.versions()}
    export(one, tmp_path / "file.gz")
    import_(two, tmp_path / "file.gz", OTHER)
    after = {version.id: version.number for version in two.versions()}
    assert sorted(after.values()) == list(range(1, len(set(here) | set(there)) + 1))
    assert before.items() <= after.items()
    assert after.keys() == before.keys() | {version.id for version in one.versions()}
    new = [version for version in one.versions() if version.id not in before]
    kept = [after[version.id] for version in new if after[version.id] == version.number]
    moved = [after[version.id] for version in new if after[version.id] != version.number]
    assert kept == sorted(kept)
    assert moved == sorted(moved)
    assert problems(two) == []
    for record in (one, two):
        record.database.close()


def test_an_alias_that_is_there_stays(new_record: Callable[..., Record], tmp_path: Path) -> None:
    here, there = new_record("here.db"), new_record("there.db")
    put(here, "tickets", 1)
    mine = put(there, "tickets", 2)
    export(here, tmp_path / "file.gz")
    import_(there, tmp_path / "file.gz", OTHER)
    assert there.resolve("tickets").id == mine.id
    assert {version.number for version in there.versions()} == {1, 2}


def taint(record: Record, version: Version) -> str:
    with record.writing(PERSON) as transaction:
        row = transaction.insert(
            tables.erasure, run=version.run, version=version.id, rows=1, reason="request", created=transaction.at
        )
        transaction.insert(tables.tombstone, erasure=row["id"], token="f" * 64)
        transaction.update(tables.version, version.id, tainted=row["id"])
    return str(row["id"])


def test_an_erasure_taints_the_versions_that_were_here_before(new_record: Callable[..., Record], tmp_path: Path) -> None:
    here, there = new_record("here.db"), new_record("there.db")
    first, second = put(here, "tickets", 1), put(here, "tickets", 2)
    export(here, tmp_path / "file.gz")
    assert import_(there, tmp_path / "file.gz", OTHER).erasures == 0
    mine = taint(there, second)
    theirs = taint(here, first)
    taint(here, second)
    export(here, tmp_path / "file.gz")
    done = import_(there, tmp_path / "file.gz", OTHER)
    assert (done.new, done.erasures, done.tainted) == (4, 2, 1)
    assert [version.tainted for version in there.versions()] == [theirs, mine], "a mark that is there stays"
    assert problems(there) == []
    again = import_(there, tmp_path / "file.gz", OTHER)
    assert (again.new, again.erasures, again.tainted) == (0, 0, 0)


def test_names_of_persons_stay_behind(record: Record, tmp_path: Path) -> None:
    key = record.person("Erika Mustermann")
    with record.writing(key) as transaction:
        add_run(transaction, person=key)
    export(record, tmp_path / "file.gz")
    content = gzip.decompress((tmp_path / "file.gz").read_bytes())
    assert key.encode() in content
    assert b"Mustermann" not in content


def test_an_export_that_cannot_be_written_leaves_what_was_there(record: Record, tmp_path: Path) -> None:
    put(record, "tickets", 1)
    with pytest.raises(UserError, match="cannot be written"):
        export(record, tmp_path / "none" / "file.gz")
    (tmp_path / "file.gz").mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        export(record, tmp_path / "file.gz")
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]


def repacked(lines: list[bytes]) -> bytes:
    """An export with other lines and a digest that fits them, as somebody who knows the format could write it."""
    body = b"".join(lines)
    return gzip.compress(body + json.dumps({"sha256": hashlib.sha256(body).hexdigest()}).encode() + b"\n")


@pytest.fixture
def exported(record: Record, tmp_path: Path) -> Path:
    put(record, "raw", 1)
    put(record, "tickets", 1)
    export(record, tmp_path / "good.gz")
    return tmp_path / "good.gz"


def refused(record: Record, path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        import_(record, path, OTHER)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    assert record.rows(tables.journal) == []
    assert record.rows(tables.asset) == []
    return str(error.value)


def test_a_damaged_file_is_refused_with_one_sentence(new_record: Callable[..., Record], exported: Path, tmp_path: Path) -> None:
    there, good = new_record("there.db"), exported.read_bytes()
    lines = gzip.decompress(good).splitlines(keepends=True)
    bad = tmp_path / "bad.gz"
    for content in (b"", b"hello", good[:-1], good[: len(good) // 2], good[:40] + b"\0\0\0" + good[43:], gzip.compress(b"")):
        assert "not a whole export" in refused(there, bad, content)
    for content in (b"[]\n", b"1\n2\n", b'{"format": "other/1"}\n{}\n', b"[" * 100_000, b'{"a": 1}\n\xff\xfe\n'):
        assert "not a whole export" in refused(there, bad, gzip.compress(content))
    for changed in (
        lines[:-1],
        lines[:2] + lines[3:],
        [*lines[:2], lines[2].replace(b"1", b"2", 1), *lines[3:]],
        lines[:1] + lines[-1:],
    ):
        assert "changed after the export" in refused(there, bad, gzip.compress(b"".join(changed)))
    with pytest.raises(UserError, match="no such file"):
        import_(there, tmp_path / "none.gz", OTHER)
    assert import_(there, exported, OTHER).new > 0


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_any_flipped_bit_changes_nothing_or_is_refused(
    new_record: Callable[..., Record], exported: Path, tmp_path: Path, place: int, bit: int
) -> None:
    content = bytearray(exported.read_bytes())
    content[place % len(content)] ^= 1 << bit
    path = tmp_path / "flipped.gz"
    path.write_bytes(bytes(content))
    there = new_record("there.db")
    try:
        import_(there, path, OTHER)
    except UserError:
        assert there.rows(tables.journal) == []
    else:
        # A few bits of gzip's header mean nothing.
        assert gzip.decompress(bytes(content)) == gzip.decompress(exported.read_bytes())
    there.database.close()


@pytest.mark.parametrize(
    "table", ["person", "lease", "journal", "journal_head", "progress", "alembic_version", "nonsense", None, 5]
)
def test_rows_of_other_tables_are_refused(
    new_record: Callable[..., Record], exported: Path, tmp_path: Path, table: Any
) -> None:
    lines = gzip.decompress(exported.read_bytes()).splitlines(keepends=True)[:-1]
    row = {"id": "x" * 32, "seq": 1, "hash": "y", "name": "Mallory", "created": "2026", "token": 1, "holder": "", "expires": 0}
    lines.append(json.dumps({"table": table, "row": row}).encode() + b"\n")
    there = new_record("there.db")
    refused(there, tmp_path / "bad.gz", repacked(lines))
    assert there.rows(tables.person) == there.rows(tables.lease) == []


def edited(path: Path, table: str, edit: Callable[[dict[str, Any]], Any]) -> bytes:
    lines = []
    for line in gzip.decompress(path.read_bytes()).splitlines()[:-1]:
        entry = json.loads(line)
        if entry.get("table") == table:
            edit(entry["row"])
        lines.append(journal.canonical(entry) + b"\n")
    return repacked(lines)


@pytest.mark.parametrize(
    ("table", "edit"),
    [
        ("version", lambda row: row.update(identity={"rows": "forged"})),
        ("version", lambda row: row.update(digest="0" * 64)),
        ("version", lambda row: row.update(id="0" * 64)),
        ("version", lambda row: row.update(number="first")),
        ("version", lambda row: row.update(run="0" * 32)),
        ("version", lambda row: row.pop("facts")),
        ("version", lambda row: row.update(tainted="0" * 32)),
        ("run", lambda row: row.pop("id")),
        ("run", lambda row: row.update(extra=1)),
        ("run", lambda row: row.update(state=None)),
        ("edge", lambda row: row.update(version="0" * 64)),
        ("asset", lambda row: row.update(kind="prompt")),
        ("measurement", lambda row: row.update(value=[1])),
    ],
)
def test_rows_that_do_not_fit_together_are_refused(
    new_record: Callable[..., Record], exported: Path, tmp_path: Path, table: str, edit: Callable[[dict[str, Any]], Any]
) -> None:
    assert "do not fit together" in refused(new_record("there.db"), tmp_path / "bad.gz", edited(exported, table, edit))


def test_an_unchanged_export_that_was_packed_again_is_taken(
    new_record: Callable[..., Record], exported: Path, tmp_path: Path
) -> None:
    (tmp_path / "same.gz").write_bytes(edited(exported, "none", lambda row: None))
    there = new_record("there.db")
    assert import_(there, tmp_path / "same.gz", OTHER).new > 0
    assert problems(there) == []
