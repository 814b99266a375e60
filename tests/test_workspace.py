"""A workspace is made once, belongs to its owner, and says what is wrong in one sentence."""

from __future__ import annotations

import getpass
import os
import stat
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from databases import ON_POSTGRESQL
from stellwerk.errors import StellwerkError, UserError
from stellwerk.record.record import Record
from stellwerk.workspace import Workspace


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def close(workspace: Workspace) -> None:
    workspace.record.database.close()


def test_init_makes_what_only_the_owner_may_read(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        workspace = Workspace.init(tmp_path / "new" / "workspace")
    finally:
        os.umask(before)
    assert mode(workspace.state) == 0o700
    assert mode(workspace.state / "key") == 0o600
    assert ON_POSTGRESQL or mode(workspace.state / "record.db") == 0o600
    assert mode(workspace.state / "store") == 0o700
    assert (workspace.root / ".gitignore").read_text() == ".stellwerk/\n"
    assert workspace.record.versions() == []
    close(workspace)


def test_init_again_changes_nothing(tmp_path: Path) -> None:
    Workspace.init(tmp_path)
    before = everything(tmp_path)
    assert {".gitignore", "stellwerk.yaml", ".stellwerk/key"} <= before.keys()
    assert (".stellwerk/record.db" in before) is not ON_POSTGRESQL
    Workspace.init(tmp_path)
    assert everything(tmp_path) == before


def test_init_closes_a_folder_that_was_open_to_others(tmp_path: Path) -> None:
    (tmp_path / ".stellwerk").mkdir(mode=0o755)
    Workspace.init(tmp_path)
    assert mode(tmp_path / ".stellwerk") == 0o700


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"*.pyc\n", b"*.pyc\n.stellwerk/\n"),
        (b"*.pyc", b"*.pyc\n.stellwerk/\n"),
        (b"a\r\nb\r\n", b"a\r\nb\r\n.stellwerk/\n"),
        (b"# f\xfcr mich\n", b"# f\xfcr mich\n.stellwerk/\n"),
        (b".stellwerk/\nx\n", b".stellwerk/\nx\n"),
        (b"x\r\n.stellwerk/\r\n", b"x\r\n.stellwerk/\r\n"),
        (b"", b".stellwerk/\n"),
    ],
)
def test_init_keeps_what_gitignore_says(tmp_path: Path, before: bytes, after: bytes) -> None:
    (tmp_path / ".gitignore").write_bytes(before)
    Workspace.init(tmp_path)
    assert (tmp_path / ".gitignore").read_bytes() == after


@pytest.mark.parametrize("name", ["a: b #c", "no", "2026", "[x", "Müller & Söhne", "'", '"', "- x", "über\\alles", "*a"])
def test_a_folder_of_any_name_can_be_a_workspace(tmp_path: Path, name: str) -> None:
    workspace = Workspace.init(tmp_path / name)
    assert workspace.settings.name == name


def test_init_on_a_file_or_a_closed_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match="is a file"):
            Workspace.init(place)
    if os.getuid():
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o500)
        with pytest.raises(UserError, match="cannot be written"):
            Workspace.init(closed)


def test_a_workspace_is_found_from_below_and_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Workspace.init(tmp_path / "one")
    below = tmp_path / "one" / "a" / "b"
    below.mkdir(parents=True)
    assert Workspace.find(below).root == (tmp_path / "one").resolve()
    monkeypatch.chdir(below)
    assert Workspace.find().root == (tmp_path / "one").resolve()
    with pytest.raises(UserError, match="stellwerk init"):
        Workspace.find(tmp_path)
    with pytest.raises(UserError, match="no workspace"):
        Workspace(tmp_path)


def test_a_clone_without_its_state_says_how_to_make_it(tmp_path: Path) -> None:
    (tmp_path / "stellwerk.yaml").write_text("name: clone\n")
    with pytest.raises(UserError, match=r"has no \.stellwerk folder.*stellwerk init"):
        _ = Workspace(tmp_path).record
    Workspace.init(tmp_path)
    assert (tmp_path / "stellwerk.yaml").read_text() == "name: clone\n"


class Thing(BaseModel):
    size: int


def test_spec_files_are_found_by_name_and_checked(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path)
    (tmp_path / "things").mkdir()
    with pytest.raises(UserError, match="the folder is empty"):
        workspace.spec("things", "a", Thing)
    (tmp_path / "things" / "b.yaml").write_text("size: 3\n")
    (tmp_path / "things" / "a.yaml").write_text("size: large\n")
    assert workspace.specs("things") == ["a", "b"]
    assert workspace.specs("none") == []
    assert workspace.spec("things", "b", Thing).size == 3
    with pytest.raises(UserError, match=r"things/a\.yaml, line 1: 'size' is 'large', expected a number"):
        workspace.spec("things", "a", Thing)
    with pytest.raises(UserError, match=r"no things/c\.yaml; there are: a, b"):
        workspace.spec("things", "c", Thing)


@pytest.mark.parametrize("name", ["", "../stellwerk", "/etc/passwd", "a/b", ".hidden", "..", "a\0b", "x" * 5000])
def test_a_spec_name_is_never_a_path(tmp_path: Path, name: str) -> None:
    workspace = Workspace.init(tmp_path)
    with pytest.raises(UserError) as error:
        workspace.spec_path("datasets", name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a\n", "expected names and values"),
        ("workers: many\n", "'workers' is 'many'"),
        ("workers: 0\n", "'workers' is 0"),
        ("workers: true\n", "'workers' is True"),
        ("record: nonsense\n", "record"),
        ("record: nodb://x/y\n", "record"),
        ("record: 5\n", "record"),
        ("name: [\n", "stellwerk.yaml, line 2"),
    ],
)
def test_a_mistake_in_the_workspace_file_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    Workspace.init(tmp_path)
    (tmp_path / "stellwerk.yaml").write_text(text)
    workspace = Workspace(tmp_path)
    with pytest.raises(StellwerkError) as error:
        _ = (workspace.record, workspace.engine)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_the_workspace_file_sets_the_number_of_processes(tmp_path: Path) -> None:
    Workspace.init(tmp_path)
    (tmp_path / "stellwerk.yaml").write_text("workers: 3\n")
    assert Workspace(tmp_path).engine.workers == 3


def test_keyed_values_are_the_same_here_and_others_elsewhere(tmp_path: Path) -> None:
    one, two = Workspace.init(tmp_path / "one"), Workspace.init(tmp_path / "two")
    assert one.keyed("Erika") == one.keyed("Erika")
    assert len({one.keyed("Erika"), one.keyed("Max"), two.keyed("Erika")}) == 3


def test_a_person_is_asked_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace.init(tmp_path)
    monkeypatch.setenv("STELLWERK_PERSON", "Erika")
    assert workspace.record.name_of(workspace.person) == "Erika"
    monkeypatch.delenv("STELLWERK_PERSON")

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert str(os.getuid()) in workspace.record.name_of(workspace.person)
    close(workspace)


def put(record: Record, rows: int) -> None:
    from stellwerk.record import tables

    with record.writing("0" * 32) as transaction:
        run = transaction.insert(
            tables.run, operation="x", parameters={}, snapshots={}, code="", state="done", person="0" * 32,
            created=transaction.at,
        )  # fmt: skip
        transaction.put_version("dataset", "tickets", identity={"n": rows}, facts={}, content={}, run=run["id"])


def test_the_lock_file_pins_what_is_the_latest(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path)
    assert workspace.lock() == {}
    assert workspace.anchor() is None
    workspace.update_lock(changed=False)
    put(workspace.record, 1)
    put(workspace.record, 2)
    workspace.update_lock(changed=False)
    second = workspace.record.resolve("tickets@2")
    assert workspace.lock()["versions"] == {"dataset/tickets": {"number": 2, "digest": second.digest}}
    text = (tmp_path / "stellwerk.lock").read_text()
    workspace.update_lock(changed=False)
    assert (tmp_path / "stellwerk.lock").read_text() == text
    put(workspace.record, 1)
    workspace.update_lock(changed=False)
    assert workspace.lock()["versions"]["dataset/tickets"]["number"] == 1, "latest moved back, so the lock does"
    anchor = workspace.anchor()
    assert anchor is not None
    assert anchor[0] == yaml.safe_load((tmp_path / "stellwerk.lock").read_text())["anchor"]["seq"]
    assert [path.name for path in tmp_path.iterdir() if "lock" in path.name] == ["stellwerk.lock"]
    close(workspace)


def test_a_lock_file_with_conflict_marks_is_one_sentence(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path)
    (tmp_path / "stellwerk.lock").write_text("<<<<<<< ours\nanchor: {seq: 1}\n=======\nanchor: {seq: 2}\n>>>>>>> theirs\n")
    with pytest.raises(UserError, match=r"stellwerk\.lock, line"):
        workspace.lock()
