"""A backup is one file that another workspace can be made of, on either database, or that is refused in one sentence."""

from __future__ import annotations

import io
import json
import re
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from places import call, everything, make, texts, write

from databases import set_settings
from stellwerk.errors import StellwerkError, UserError
from stellwerk.record import journal, tables
from stellwerk.upkeep import archive
from stellwerk.workspace import Workspace

ONE, TWO = ("erster Brief", "zweiter Brief"), ("erster Brief", "dritter Brief", "vierter Brief")


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with two versions, an erasure, odd names and values."""
    workspace = make(tmp_path_factory.mktemp("origin") / "wörk", ONE, TWO)
    call(workspace, "data.erase", dataset="letters", where="id = 'k1'", reason="on request")
    with workspace.record.writing(workspace.person) as transaction:
        run = transaction.insert(
            tables.run, operation="x", parameters={"file": "b\udcff\0.csv"}, snapshots={}, code="", state="failed",
            person=transaction.person, created=transaction.at, error="a\0b\udcffc",
        )  # fmt: skip
        transaction.insert(
            tables.usage, run=run["id"], seconds=0.1 + 0.2, stored=2.0**53, extent=5e-324, created=transaction.at
        )
    workspace.update_lock(changed=True)
    return workspace


@pytest.fixture(scope="module")
def file(origin: Workspace) -> Path:
    """A backup of it."""
    path = origin.root.parent / "whole.backup"
    call(origin, "backup", file=str(path))
    return path


def rows(workspace: Workspace) -> dict[str, list[str]]:
    """The digests of all rows that a backup carries, and the journal itself."""
    names = (*tables.JOURNALED, tables.journal, tables.journal_head, tables.person)
    return {table.name: sorted(journal.row_digest(table, row) for row in workspace.record.rows(table)) for table in names}


def contents(workspace: Workspace) -> set[str]:
    return {reference for reference, _, _ in (*workspace.store.artifacts(), *workspace.store.tables())}


def restored(file: Path, folder: Path, **where: Any) -> Workspace:
    call(None, "restore", file=str(file), folder=str(folder), **where)
    return Workspace(folder)


def is_same(one: Workspace, two: Workspace) -> None:
    assert rows(one) == rows(two)
    named = set(re.findall(r"sha256:[0-9a-f]{64}|table:[\w/-]+", str([one.record.rows(table) for table in tables.JOURNALED])))
    assert contents(two) == contents(one) & named
    assert texts(two) == texts(one)
    found = call(two, "record.verify")
    assert (found.intact, found.problems) == (True, [])
    assert found.anchors[0].startswith("stellwerk.lock: entry")
    assert one.keyed("Erika") == two.keyed("Erika")
    assert (two.root / "datasets/letters.yaml").read_bytes() == (one.root / "datasets/letters.yaml").read_bytes()


def test_a_restored_workspace_is_the_same_and_goes_on(origin: Workspace, file: Path, tmp_path: Path) -> None:
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (tmp_path / "back").mkdir()
    back = restored(file, tmp_path / "back")
    is_same(origin, back)
    assert stat.S_IMODE((back.state / "key").stat().st_mode) == 0o600
    assert stat.S_IMODE(back.state.stat().st_mode) == 0o700
    (back.root / "raw").mkdir()
    write(back, *TWO)
    assert call(back, "data.build", dataset="letters").message.startswith(("nothing changed", "the result is equal"))
    write(back, *TWO, "noch einer")
    call(back, "data.build", dataset="letters")
    assert "noch einer" in texts(back)
    assert call(back, "record.verify").intact
    assert [path.name for path in tmp_path.iterdir()] == ["back"]


def test_a_record_goes_to_the_other_database_and_back(
    origin: Workspace, file: Path, tmp_path: Path, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = restored(file, tmp_path / "there", record=postgresql, schema_name=f"r_{tmp_path.name[-12:].lower()}")
    assert there.record.database.engine.dialect.name == "postgresql"
    is_same(origin, there)
    with pytest.raises(UserError, match=r"there is a record at .* already"):
        restored(file, tmp_path / "again", record=postgresql, schema_name=f"r_{tmp_path.name[-12:].lower()}")
    assert not (tmp_path / "again").exists()
    call(there, "backup", file=str(tmp_path / "there.backup"))
    monkeypatch.delenv("STELLWERK_INIT_RECORD", raising=False)
    here = restored(tmp_path / "there.backup", tmp_path / "here")
    assert here.record.database.engine.dialect.name == "sqlite"
    is_same(origin, here)
    assert here.settings.record is None


def test_settings_and_comments_stay_when_the_record_moves(tmp_path: Path, postgresql: str) -> None:
    for number, text in enumerate(("# why\nname: a # so\nworkers: 1\n", "{name: a, workers: 1}\n")):
        workspace = make(tmp_path / f"from{number}", ONE)
        flow, found = text.startswith("{"), workspace.settings.record
        place = {"record": found.model_dump(by_alias=True)} if found else {}
        if flow:
            (workspace.root / "stellwerk.yaml").write_text(json.dumps({"name": "a", "workers": 1, **place}))
        else:
            set_settings(workspace.root, text)
        call(Workspace(workspace.root), "backup", file=str(tmp_path / f"{number}.backup"))
        name = f"c{number}_{tmp_path.name[-12:].lower()}"
        back = restored(tmp_path / f"{number}.backup", tmp_path / f"to{number}", record=postgresql, schema_name=name)
        assert (back.settings.name, back.settings.workers) == ("a", 1)
        assert back.settings.record is not None
        assert back.settings.record.schema_ == name
        assert ("# why" in (back.root / "stellwerk.yaml").read_text()) is not flow


def test_the_key_that_signs_releases_goes_along(tmp_path: Path) -> None:
    from stellwerk.release import signing

    workspace = Workspace.init(tmp_path / "signs")
    signing.private_key(workspace)
    call(workspace, "backup", file=str(tmp_path / "backup"))
    there = restored(tmp_path / "backup", tmp_path / "restored")
    assert signing.public_key(workspace) is not None
    assert signing.public_key(there) == signing.public_key(workspace)
    assert stat.S_IMODE((there.state / "signing-key").stat().st_mode) == 0o600


def test_the_record_alone_can_be_backed_up(origin: Workspace, tmp_path: Path) -> None:
    done = call(origin, "backup", file=str(tmp_path / "small.backup"), record_only=True)
    assert done.contents == 0
    assert "in clear, and its key" in done.message
    back = restored(tmp_path / "small.backup", tmp_path / "back")
    assert call(back, "record.verify").intact
    assert "no longer in the store" in call(back, "show", reference="dataset/letters").removed
    assert contents(back) == set()


def test_a_backup_leaves_what_was_there(origin: Workspace, file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="already there"):
        call(origin, "backup", file=str(file))
    with pytest.raises(UserError, match="no folder"):
        call(origin, "backup", file=str(tmp_path / "none" / "file"))
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        call(origin, "backup", file=str(tmp_path / "folder"), overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_target_that_is_not_empty_is_left_alone(file: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("stays")
    (tmp_path / "file").write_text("stays")
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    for name in ("full", "file", "link"):
        with pytest.raises(UserError, match="absent or empty"):
            restored(file, tmp_path / name)
    assert (tmp_path / "full" / "mine").read_text() == (tmp_path / "file").read_text() == "stays"


def refused(content: bytes, folder: Path) -> str:
    """The sentence with which a file is refused, and that nothing is left of the attempt."""
    bad = folder / "bad.backup"
    bad.write_bytes(content)
    with pytest.raises(StellwerkError) as error:
        restored(bad, folder / "back")
    assert "\n" not in str(error.value)
    assert str(bad) in str(error.value)
    assert [path.name for path in folder.iterdir()] == ["bad.backup"]
    return str(error.value)


def test_a_damaged_cut_or_foreign_file_is_one_sentence_and_leaves_nothing(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    for content in (b"", b"hello", b"\x1f\x8bhello", whole[:10], whole[: len(whole) // 2], whole[:-20]):
        assert "backup" in refused(content, tmp_path)
    for place in range(20, len(whole), len(whole) // 12):
        refused(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :], tmp_path)
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        tar.add(__file__, "manifest.json")
    assert "no backup of this Stellwerk" in refused(zstandard.compress(plain.getvalue()), tmp_path)


Members = list[tuple[str, bytes]]


def rewritten(file: Path, folder: Path, change: Callable[[Members], Members]) -> bytes:
    """A backup with other members and a digest that fits them, as somebody who knows the format could write it."""
    members = change([(name, content.read()) for name, content in archive.reading(file)])
    with archive.writing(folder / "changed") as writer:
        for name, content in members:
            writer.add(name, content)
    content = (folder / "changed").read_bytes()
    (folder / "changed").unlink()
    return content


def replaced(part: str, old: bytes, new: bytes) -> Callable[[Members], Members]:
    return lambda members: [(name, content.replace(old, new, 1) if part in name else content) for name, content in members]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda members: members[1:], "no backup of this Stellwerk"),
        (lambda members: [m for m in members if m[0] != "key"], "do not fit together"),
        (lambda members: [m for m in members if "journal_head" not in m[0]], "do not fit together"),
        (lambda members: [m for m in members if "record/step/" not in m[0]], "."),
        (lambda members: [*members, ("../evil", b"x")], "do not fit together"),
        (lambda members: [*members, ("workspace/../../evil", b"x")], "do not fit together"),
        (lambda members: [*members, ("tables/../../evil//x", b"x")], "do not fit together"),
        (lambda members: [*members, ("record/lease/0.jsonl", b"{}")], "do not fit together"),
        (lambda members: [*members, ("artifacts/sha256:" + "0" * 64, b"x")], "not what was written there"),
        (replaced("record/run/", b'"done"', b'"gone"'), "does not verify"),
        (replaced("record/asset/", b'"created"', b'"extra"'), "do not fit together"),
        (replaced("manifest", b'"seq":', b'"seq":1'), "do not fit together"),
        (replaced("manifest", b'"revision":"0', b'"revision":"9'), "newer Stellwerk"),
    ],
)  # fmt: skip
def test_a_backup_that_was_changed_is_refused_though_its_digest_fits(
    file: Path, tmp_path: Path, change: Callable[[Members], Members], words: str
) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    assert words in refused(rewritten(file, folder, change), folder)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_without_zstandard_a_backup_is_gzipped(origin: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "zstandard", None)
    call(origin, "backup", file=str(tmp_path / "gz.backup"))
    assert (tmp_path / "gz.backup").read_bytes()[:2] == b"\x1f\x8b"
    monkeypatch.undo()
    is_same(origin, restored(tmp_path / "gz.backup", tmp_path / "back"))


def test_a_backup_during_writes_is_one_state(tmp_path: Path) -> None:
    """Rows that come while the backup reads are in it whole or not at all, and it verifies."""
    import threading

    workspace = make(tmp_path / "busy", ONE)
    over = threading.Event()

    def add() -> None:
        number = 0
        while not over.is_set():
            number += 1
            with workspace.record.writing("0" * 32) as transaction:
                run = transaction.insert(
                    tables.run, operation="x", parameters={}, snapshots={}, code="", state="done", person="0" * 32,
                    created=transaction.at,
                )  # fmt: skip
                content = {"file": workspace.store.put(f"content {number}".encode())}
                transaction.put_version("x", "busy", identity={"n": number}, facts={}, content=content, run=run["id"])

    thread = threading.Thread(target=add)
    thread.start()
    try:
        for number in range(3):
            call(workspace, "backup", file=str(tmp_path / f"{number}.backup"))
    finally:
        over.set()
        thread.join()
    for number in range(3):
        back = restored(tmp_path / f"{number}.backup", tmp_path / f"back{number}")
        assert call(back, "record.verify").problems == []
        made = back.record.versions(tables.asset.c.name == "busy")
        assert not [version.ref for version in made if any(back.store.missing(version.content))]
    before = everything(workspace.root)
    assert before
