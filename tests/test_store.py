"""The store keeps bytes by their content, whole or not at all: in a folder, and in a bucket."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3server import KEY, SECRET, S3Server
from stellwerk.errors import StellwerkError
from stellwerk.store.store import PREFIX, Store, copy, open_store


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with S3Server() as made:
        yield made


@pytest.fixture(params=["folder", "bucket"])
def store(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Store:
    address: dict[str, object] = {"root": str(tmp_path / "store")}
    if request.param == "bucket":
        server: S3Server = request.getfixturevalue("server")
        monkeypatch.setenv("TEST_S3_KEY", KEY)
        monkeypatch.setenv("TEST_S3_SECRET", SECRET)
        address |= {"place": server.place(server.bucket()), "base": str(tmp_path), "allow": []}
    made = open_store(address)
    made.create()
    return made


def files(store: Store) -> list[Path]:
    """The files that hold content; on a bucket those of its cache."""
    return sorted(path for path in store.root.rglob("*") if path.is_file() and path.name != "compared")


def put_table(store: Store, name: str, content: str = "rows") -> str:
    with store.partial() as folder:
        (folder / "log").mkdir(parents=True)
        (folder / "part.parquet").write_text(content)
        (folder / "log" / "0.json").write_text("{}")
        return store.put_table(folder, name)


def partials(store: Store) -> list[Path]:
    return list((store.root / "partial").iterdir())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300))
def test_content_is_named_by_its_digest(store: Store, content: bytes) -> None:
    reference = store.put(content)
    assert reference == PREFIX + hashlib.sha256(content).hexdigest()
    assert store.get(reference) == content
    assert store.put(content) == reference
    assert partials(store) == []


def test_equal_content_lies_there_once(store: Store) -> None:
    before = store.size()
    store.put(b"12345")
    with store.partial() as path:
        path.write_bytes(b"12345")
        store.put_file(path)
        assert not path.exists()
    assert len(files(store)) == 1
    assert store.size() - before == 5


def test_a_file_is_moved_into_the_store(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc" * 10_000)
    reference = store.put_file(path)
    assert not path.exists()
    assert store.path(reference).read_bytes() == b"abc" * 10_000


def test_what_is_not_there_is_said(store: Store) -> None:
    with pytest.raises(StellwerkError, match="no longer in the store"):
        store.get(PREFIX + "0" * 64)
    with pytest.raises(StellwerkError, match="no longer in the store"):
        store.table("table:dataset/tickets/0")
    assert not store.has(PREFIX + "0" * 64)


def test_missing_artifacts_and_tables_are_found_anywhere_in_json(store: Store, tmp_path: Path) -> None:
    here = store.put(b"here")
    folder = tmp_path / "table"
    folder.mkdir()
    table = store.put_table(folder, "dataset/tickets/1")
    gone = [PREFIX + digit * 64 for digit in "01"]
    value = {"a": [here, {"b": gone[0]}, 1, None, True], "c": {"d": [[gone[1]], table]}, "e": "text", "f": "table:none/1"}
    assert sorted(store.missing(value)) == sorted([*gone, "table:none/1"])
    assert list(store.missing([here, table, "sha", "tables"])) == []
    assert list(store.missing(gone[0])) == [gone[0]]
    assert list(store.missing(None)) == []


def test_a_table_is_moved_whole_and_the_first_one_stays(store: Store, tmp_path: Path) -> None:
    for content in ("first", "second"):
        with store.partial() as folder:
            (folder / "log").mkdir(parents=True)
            (folder / "log" / "0.json").write_text(content)
            reference = store.put_table(folder, "dataset/tickets/abc")
        assert reference == "table:dataset/tickets/abc"
        assert (store.table(reference) / "log" / "0.json").read_text() == "first"
    assert partials(store) == []


def test_only_the_owner_may_look(store: Store) -> None:
    store.put(b"secret")
    (store.root / "new").mkdir()
    for name in ("", "artifacts", "tables", "partial"):
        assert stat.S_IMODE((store.root / name).stat().st_mode) == 0o700
    with store.partial() as path:
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    store.create()


def test_an_error_while_writing_leaves_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.partial() as path:
        path.write_bytes(b"half")
        raise ZeroDivisionError
    assert files(store) == []
    assert partials(store) == []


WRITER = """
import json, sys, time
from stellwerk.store.store import open_store
store = open_store(json.loads(sys.argv[1]))
with store.partial() as path:
    path.write_bytes(b"half")
    print("inside", flush=True)
    time.sleep(60)
"""


def test_a_killed_writer_leaves_only_what_sweep_removes(store: Store) -> None:
    process = subprocess.Popen([sys.executable, "-c", WRITER, json.dumps(store.address)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "inside\n"
    store.sweep()
    assert len(partials(store)) == 1, "a living process keeps what it is writing"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert [path.parent.parent.name for path in files(store)] == ["partial"]
    (store.root / "partial" / "no number").mkdir()
    store.sweep()
    assert [path.name for path in partials(store)] == ["no number"]
    assert files(store) == []


def test_many_threads_may_keep_the_same_content(store: Store) -> None:
    errors: list[Exception] = []

    def work() -> None:
        try:
            for number in range(30):
                store.put(str(number).encode())
                with store.partial() as folder:
                    folder.mkdir()
                    (folder / "part").write_text(str(number))
                    store.put_table(folder, f"dataset/{number}")
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(files(store)) == 60
    for number in range(30):
        assert (store.table(f"table:dataset/{number}") / "part").read_text() == str(number)
    assert partials(store) == []


def test_what_is_new_is_counted(store: Store) -> None:
    store.put(b"12345")
    store.put(b"12345")
    with store.partial() as path:
        path.write_bytes(b"12345")
        store.put_file(path)
    assert store.written == 5
    with store.partial() as path:
        path.write_bytes(b"1234567")
        store.put_file(path)
    assert store.written == 12
    for _ in range(2):
        put_table(store, "dataset/set/1", "rows")
    assert store.written == 12 + len("rows{}")
    other = open_store(store.address)
    other.put(b"12345")
    assert other.written == 0, "it was there before"


def test_all_that_is_kept_is_listed_and_can_be_removed(store: Store) -> None:
    begun = time.time() - 5
    first, second, table = store.put(b"first"), store.put(b"second!"), put_table(store, "dataset/set/1")
    put_table(store, "dataset/other/2", "more rows")
    assert {(reference, size) for reference, size, _ in store.artifacts()} == {(first, 5), (second, 7)}
    listed = {reference: size for reference, size, _ in store.tables()}
    assert set(listed) == {table, "table:dataset/other/2"}
    assert listed["table:dataset/other/2"] - listed[table] == len("more rows") - len("rows")
    assert all(begun < used < time.time() + 5 for _, _, used in [*store.artifacts(), *store.tables()])
    before = store.size()
    assert store.remove(first) == 5
    assert store.remove(table) == listed[table]
    assert before - store.size() == 5 + listed[table]
    assert not store.has(first)
    assert list(store.missing([first, second, table])) == [first, table]
    assert store.remove(first) == store.remove(table) == 0
    for reading in (lambda: store.get(first), lambda: store.table(table)):
        with pytest.raises(StellwerkError, match="no longer in the store"):
            reading()
    assert partials(store) == []
    assert store.put(b"first") == first
    assert put_table(store, "dataset/set/1", "new rows") == table
    assert (store.table(table) / "part.parquet").read_text() == "new rows"


def test_what_is_met_again_is_as_good_as_new(store: Store) -> None:
    if type(store) is not Store:
        pytest.skip("a bucket tells the time itself")
    old, (reference, table) = time.time() - 10 * 24 * 3600, (store.put(b"x"), put_table(store, "dataset/set/1"))
    for place in (store.path(reference), store.table(table)):
        os.utime(place, (old, old))
    assert {int(used) for _, _, used in [*store.artifacts(), *store.tables()]} == {int(old)}
    store.put(b"x")
    put_table(store, "dataset/set/1")
    assert all(used > old + 3600 for _, _, used in [*store.artifacts(), *store.tables()])


def test_several_paths_in_the_order_asked(store: Store) -> None:
    made = [store.put(str(number).encode()) for number in range(20)]
    wanted = [*made, made[3], made[0]]
    assert [path.read_text() for path in store.paths(wanted)] == [*map(str, range(20)), "3", "0"]
    assert store.paths([]) == []


def test_an_address_is_json_and_opens_the_same_store(store: Store) -> None:
    reference, table = store.put(b"content"), put_table(store, "dataset/set/1")
    text = json.dumps(store.address)
    assert SECRET not in text
    assert KEY not in text
    other = open_store(json.loads(text))
    assert type(other) is type(store)
    assert other.get(reference) == b"content"
    assert (other.table(table) / "part.parquet").read_text() == "rows"


def test_a_store_is_copied_into_another(store: Store, tmp_path: Path) -> None:
    artifacts = [store.put(str(number).encode()) for number in range(5)]
    table = put_table(store, "dataset/set/1")
    for target in (Store(tmp_path / "target"), open_store({**store.address, "root": str(tmp_path / "again")})):
        target.create()
        new = copy(store, target)
        assert new == (0 if target.size() == store.size() and type(target) is not Store else 5 + len("rows{}"))
        assert [target.get(reference) for reference in artifacts] == [b"0", b"1", b"2", b"3", b"4"]
        assert (target.table(table) / "log" / "0.json").read_text() == "{}"
        assert copy(store, target) == 0
