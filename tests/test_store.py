"""The store keeps bytes by their content, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stellwerk.errors import StellwerkError
from stellwerk.store.store import PREFIX, Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    made.create()
    return made


def files(store: Store) -> list[Path]:
    return sorted(path for path in store.root.rglob("*") if path.is_file())


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
import sys, time
from pathlib import Path
from stellwerk.store.store import Store
store = Store(Path(sys.argv[1]))
with store.partial() as path:
    path.write_bytes(b"half")
    print("inside", flush=True)
    time.sleep(60)
"""


def test_a_killed_writer_leaves_only_what_sweep_removes(store: Store) -> None:
    process = subprocess.Popen([sys.executable, "-c", WRITER, store.root], stdout=subprocess.PIPE, text=True)
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
