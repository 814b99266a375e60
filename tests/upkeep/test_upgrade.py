"""A workspace that the released 0.1.0 made is brought up to date once, with a backup, and goes on as if nothing was."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest
from places import call

from databases import behind_its_back
from stellwerk.errors import StellwerkError, UserError
from stellwerk.record import leases, schema, tables
from stellwerk.workspace import Workspace

OLD = Path(__file__).parents[1] / "older" / "workspace-0.1.0.tar.gz"


@pytest.fixture
def old(tmp_path: Path) -> Workspace:
    """The workspace of 0.1.0; its record is a SQLite file, whatever the tests use."""
    with tarfile.open(OLD) as file:
        file.extractall(tmp_path / "old", filter="data")
    return Workspace(tmp_path / "old")


def test_an_old_workspace_is_upgraded_and_goes_on(old: Workspace, tmp_path: Path) -> None:
    for path, values in (
        ("show", {"reference": "dataset/letters"}),
        ("record.verify", {}),
        ("data.build", {"dataset": "letters"}),
    ):
        with pytest.raises(UserError, match=r"older Stellwerk; bring it up to date with: stellwerk upgrade"):
            call(old, path, **values)
    done = call(old, "upgrade")
    assert (done.before, done.after, done.problems) == ("0001", schema.HEAD, [])
    assert Path(done.backup).parent == old.root.parent
    assert done.backup in done.message
    checked = call(old, "record.verify")
    assert (checked.intact, checked.problems) == (True, [])
    assert checked.anchors
    shown = call(old, "show", reference="dataset/letters")
    assert shown.removed is None
    # The copy of the letter that was erased takes its place, as it did in 0.1.0.
    assert call(old, "data.build", dataset="letters").dataset == "dataset/letters@3"
    assert call(old, "data.build", dataset="letters").message.startswith("nothing changed")
    versions = [version.ref for version in old.record.versions()]
    assert versions == [*(f"dataset/letters@{number}" for number in (1, 2, 3)), "source/letters.letters@1"]
    assert call(old, "show", reference="dataset/letters@2").digest == shown.digest
    assert call(old, "data.query", dataset="letters", sql="SELECT count(*) AS n FROM documents").rows == [[3]]
    assert call(old, "record.verify").intact
    assert call(old, "upgrade").message.startswith("the record is up to date")


def test_the_backup_of_an_old_record_can_be_restored(old: Workspace, tmp_path: Path) -> None:
    done = call(old, "upgrade")
    call(None, "restore", file=done.backup, folder=str(tmp_path / "back"))
    back = Workspace(tmp_path / "back")
    assert call(back, "record.verify").intact
    assert back.record.id == old.record.id
    assert [version.ref for version in back.record.versions()] == [version.ref for version in old.record.versions()]


def test_an_upgrade_waits_for_runs_to_end(old: Workspace) -> None:
    database = old.database("upgrade")
    assert leases.claim(database, "f" * 32, 3600) == 1
    with pytest.raises(UserError, match="is being worked on; upgrade when it has ended"):
        call(old, "upgrade")
    assert database.revision == "0001"
    assert [path.name for path in old.root.parent.iterdir()] == [old.root.name]
    leases.release(database, "f" * 32, 1)
    database.close()
    assert call(old, "upgrade").after == schema.HEAD


def test_an_upgrade_that_breaks_off_changes_nothing(old: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = schema.migrate

    def half(connection: object) -> None:
        whole(connection)  # type: ignore[arg-type]
        raise StellwerkError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(schema, "migrate", half)
        with pytest.raises(StellwerkError, match="the power went"):
            call(old, "upgrade")
    database = old.database("upgrade")
    assert database.revision == "0001"
    with database.reading() as connection:
        assert not connection.dialect.has_table(connection, "usage")
    database.close()
    assert call(old, "upgrade").after == schema.HEAD
    assert call(old, "record.verify").intact


def test_a_record_that_was_tampered_with_is_upgraded_and_says_so(old: Workspace) -> None:
    database = old.database("upgrade")
    with behind_its_back(database, ["UPDATE asset SET created = '2020'"], keep=True):
        pass
    database.close()
    done = call(old, "upgrade")
    assert done.problems
    assert all("asset" in problem for problem in done.problems)
    assert call(old, "record.verify").problems == done.problems


def test_a_backup_that_cannot_be_written_stops_the_upgrade(old: Workspace, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        call(old, "upgrade", file=str(tmp_path / "none" / "file"))
    database = old.database("upgrade")
    assert database.revision == "0001"
    database.close()


def test_an_old_record_on_postgresql_is_upgraded_too(old: Workspace, postgresql: str) -> None:
    """Version 0.1.0 made the same tables there, by its migration."""
    from alembic import command
    from alembic.config import Config

    from stellwerk.record import connecting

    name = "old_" + old.root.parent.name[-20:].lower().replace("-", "_")
    engine = connecting.engine_of(postgresql, name)
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    with engine.begin() as connection:
        connection.exec_driver_sql(f'CREATE SCHEMA "{name}"')
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()
    (old.root / "stellwerk.yaml").write_text(f"record: {{url: '{postgresql}', schema: {name}}}\n")
    (old.root / "stellwerk.lock").unlink()
    done = call(old, "upgrade")
    assert (done.before, done.after, done.problems) == ("0001", schema.HEAD, [])
    with old.record.writing("0" * 32) as transaction:
        long = transaction.insert(tables.asset, id="a", kind="x", name="n" * 500, created=transaction.at)
    assert old.record.rows(tables.asset) == [long], "lengths are bounded no more than in SQLite"
    assert call(old, "record.verify").intact
    shutil.rmtree(old.root)
