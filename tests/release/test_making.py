"""A release is granted or refused with all reasons, frozen whole or not at all, and stays what it is whatever comes after."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from desk import Desk

from databases import record_bytes
from stellwerk.doors.cli import run as command
from stellwerk.errors import StellwerkError, UserError
from stellwerk.operation import find
from stellwerk.record import tables
from stellwerk.release import making
from stellwerk.release.making import NotReleasable
from stellwerk.runs import execution, queue
from stellwerk.workspace import Workspace

SOON = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A desk whose gates are all clear."""
    made = Desk(tmp_path / "desk")
    made.measure()
    return made


@pytest.fixture(params=["sqlite", "postgresql"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    """A desk with its record on each kind of database in turn."""
    address = None
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql")
        address = url if isinstance(url, str) else url.url()
    yield Desk(tmp_path / "desk", address, f"release_{uuid.uuid4().hex[:8]}" if address else None)


def releases(desk: Desk) -> list[dict[str, Any]]:
    return desk.workspace.record.rows(tables.release, order=tables.release.c.number)


def test_from_refusal_to_the_second_release(anywhere: Desk, tmp_path: Path) -> None:
    desk = anywhere
    with pytest.raises(NotReleasable, match="nothing was made yet") as refused:
        desk.make()
    assert refused.value.exit_code == 1
    desk.call("data.build", dataset="letters")
    with pytest.raises(NotReleasable, match=r"data\.tests on dataset/letters@1 is without evidence"):
        desk.make()
    desk.measure()
    first = desk.make(note="for the pilot")
    assert (first.release, first.unchanged) == ("desk@1", False)
    again = desk.make()
    assert (again.release, again.unchanged, again.digest) == ("desk@1", True, first.digest)
    frozen = desk.export(tmp_path / "1.zip")
    desk.letters("Eine neue Zeile.")
    desk.call("data.build", dataset="letters")
    with pytest.raises(NotReleasable, match="measured on dataset/letters@1, now dataset/letters@2"):
        desk.make()
    assert desk.export(tmp_path / "1again.zip", "desk@1") == frozen, "what was released does not change"
    assert desk.call("release.verify", file=str(tmp_path / "1.zip")).genuine
    since = desk.call("release.compare", system="desk")
    assert [(c.what, c.before[:2], c.after[:2]) for c in since.versions] == [("dataset/letters", "@1", "@2")]
    assert ("data.tests dataset/letters", "dark") in [(change.what, change.after) for change in since.signals]
    desk.call("data.test", dataset="letters")
    second = desk.make()
    assert second.release == "desk@2"
    shown = desk.call("release.show")
    assert (shown.release, shown.previous, shown.genuine, shown.problems) == ("desk@2", first.digest, True, [])
    assert [line.release for line in desk.call("release.list").releases] == ["desk@2", "desk@1"]
    between = desk.call("release.compare", system="desk", first=1, second="2")
    assert not between.same
    assert desk.call("release.compare", system="desk").same
    assert desk.call("record.verify").intact


def test_what_is_signed_says_all_that_was_judged(desk: Desk) -> None:
    made = desk.make(note="for the pilot")
    (row,) = releases(desk)
    said = json.loads(desk.workspace.store.get(row["content"]["manifest"]))
    assert (said["format"], said["system"], said["number"], said["note"]) == ("stellwerk-release/1", "desk", 1, "for the pilot")
    assert said["anchor"]["record"] == desk.workspace.record.id
    assert said["authenticated"] is False
    assert row["digest"] == made.digest
    evidence = said["evidence"]
    assert {part["ref"]: part["bound"] for part in evidence["versions"]} == {
        "dataset/letters@1": True, "source/letters.letters@1": False,
    }  # fmt: skip
    (tests,) = (signal for signal in evidence["signals"] if signal["gate"] == "data.tests")
    assert (tests["state"], tests["value"], tests["max"], tests["attempts"]) == ("clear", 0.0, 0.0, 1)
    assert tests["subjects"] == ["dataset/letters@1"]
    (run,) = desk.workspace.record.rows(tables.run, tables.run.c.id == tests["run"])
    assert run["operation"] == "data.test"
    assert evidence["overrides"] == [
        {"gate": "data.personal", "required": False, "changes": {}, "reason": "not measured in this test"}
    ]
    released = {row["version"] for row in desk.workspace.record.rows(tables.released)}
    system = desk.workspace.record.resolve("system/desk")
    assert released == {desk.workspace.record.resolve("dataset/letters").id, system.id}
    assert system.identity == {"purpose": "Answers customers' letters", "owner": "Erika Beispiel", "role": "deployer"}


def test_a_new_attempt_is_new_evidence_though_nothing_else_changed(desk: Desk) -> None:
    desk.make()
    for _ in range(2):
        desk.dataset(tests=[{"rows": {"min": 1}}, {"rows": {"max": 99}}])
        desk.call("data.test", dataset="letters")
    made = desk.make()
    assert (made.release, made.unchanged) == ("desk@2", False)


def test_what_is_known_of_a_bought_service_is_in_the_release_and_a_change_of_it_makes_another(desk: Desk) -> None:
    def register(region: str) -> None:
        service = {"provider": "Contoso", "product": "Copilot", "kind": "service", "region": region, "retention": "30 days"}
        (desk.root / "services").mkdir(exist_ok=True)
        (desk.root / "services" / "copilot.yaml").write_text(
            yaml.safe_dump({**service, "terms": "T", "processor_agreement": "A"})
        )
        desk.call("release.register", service="copilot")

    register("EU")
    desk.system(binds=["dataset/letters", "service/copilot"])
    before = desk.make()
    (known,) = desk.call("release.show", release="desk").evidence.services
    assert (known.ref, known.provider, known.region, known.retention) == ("service/copilot@1", "Contoso", "EU", "30 days")
    register("US")
    changed = desk.call("release.compare", system="desk").versions
    assert [(c.what, c.before, c.after) for c in changed] == [("service/copilot@1, region", "EU", "US")]
    after = desk.make()
    assert (after.unchanged, after.release != before.release) == (False, True)
    page = next(f for f in desk.call("release.show", release="desk").files if f.name == "dossier.de.html")
    html = desk.workspace.store.get(page.artifact).decode()
    assert "Zugekauft: service/copilot@1" in html and "Contoso" in html and "US" in html


def test_waivers_and_sign_offs_are_in_the_release_with_who_took_them_on(desk: Desk) -> None:
    desk.system(sign_offs=["data protection"], gates=[
        {"name": "desk.size", "job": "data", "concerns": "dataset", "metric": "documents_read", "min": 1000},
    ])  # fmt: skip
    with pytest.raises(NotReleasable) as refused:
        desk.make()
    assert "desk.size on dataset/letters@1 is stopped" in str(refused.value)
    assert "data protection has not signed" in str(refused.value)
    desk.call("release.waive", system="desk", gate="desk.size", reason="a pilot", until=SOON, person="Ute Amt")
    desk.call("release.sign", system="desk", role="data protection", reason="screened", until=SOON, person="Max Amt")
    assert desk.make().waived == 1
    shown = desk.call("release.show").evidence
    (waiver,), (sign,) = shown.waivers, shown.sign_offs
    assert (waiver.person, waiver.authenticated, waiver.reason, waiver.value) == ("Ute Amt", False, "a pilot", 3.0)
    assert (sign.role, sign.person) == ("data protection", "Max Amt")
    assert b"Ute Amt" not in b"".join(json.dumps(row["content"]).encode() for row in releases(desk)), (
        "names stand in the documents, not in the row"
    )


def test_who_came_through_a_door_that_proved_it_stands_there_as_authenticated(desk: Desk) -> None:
    theirs = desk.workspace.acting("erika", authenticated=True)
    run = queue.enqueue(theirs, find("release.make"), {"system": "desk"})
    execution.execute(desk.workspace, run)
    shown = desk.call("release.show")
    assert (shown.made_by, shown.authenticated) == ("erika", True)


def test_evidence_that_changes_while_the_documents_are_written_refuses_the_release(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = making.documents

    def meanwhile(*given: Any) -> dict[str, bytes]:
        desk.dataset(tests=[{"rows": {"min": 1000}}])
        desk.call("data.test", dataset="letters")
        return write(*given)

    monkeypatch.setattr(making, "documents", meanwhile)
    with pytest.raises(NotReleasable, match=r"data\.tests on dataset/letters@1 is stopped"):
        desk.make()
    assert releases(desk) == []
    assert desk.workspace.record.rows(tables.released) == []
    assert not desk.workspace.record.versions(tables.asset.c.kind == "system")


@pytest.mark.parametrize("place", ["_head", "_check_number"])
def test_a_killed_run_leaves_no_half_release_and_goes_on(desk: Desk, place: str) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from stellwerk.operation import find; from stellwerk.release import making; from stellwerk.runs import execution\n"
        "from stellwerk.workspace import Workspace\n"
        f"making.{place} = lambda *given: os.kill(os.getpid(), signal.SIGKILL)\n"
        "execution.call(Workspace(Path(sys.argv[1])), find('release.make'), {'system': 'desk'})"
    )
    done = subprocess.run([sys.executable, "-c", code, str(desk.root)], check=False, timeout=120)
    assert done.returncode == -9
    assert releases(desk) == []
    assert not desk.workspace.record.versions(tables.asset.c.kind == "system")
    (run,) = desk.workspace.record.rows(tables.run, tables.run.c.operation == "release.make")
    assert execution.resume(desk.workspace, run["id"]).release == "desk@1"
    assert len(releases(desk)) == 1
    assert desk.call("record.verify").intact


def test_cleaning_up_keeps_what_was_released(desk: Desk, tmp_path: Path) -> None:
    desk.make()
    frozen = desk.export(tmp_path / "1.zip")
    for number in range(3):
        desk.letters(f"Zeile {number}")
        desk.call("data.build", dataset="letters")
    done = desk.call("gc", keep=1, days=0, apply=True)
    assert "dataset/letters@2" in done.versions
    assert "dataset/letters@1" not in done.versions
    rows = desk.call("data.query", dataset="letters@1", sql="SELECT count(*) FROM documents").rows
    assert rows == [[3]]
    assert desk.export(tmp_path / "again.zip", "desk@1") == frozen
    assert desk.call("release.show", release="desk@1").genuine


def test_rows_that_were_erased_go_once_a_later_release_took_their_place(desk: Desk) -> None:
    desk.make()
    desk.call("data.erase", dataset="letters", where="doc_id = 'letters:k1'", reason="asked for")
    held = desk.call("gc", keep=1, days=0, apply=True).still_held
    assert [line for line in held if line.startswith("dataset/letters@1")] == ["dataset/letters@1: release desk@1 points to it"]
    desk.measure()
    assert desk.make().release == "desk@2"
    done = desk.call("gc", keep=1, days=0, apply=True)
    assert "dataset/letters@1" in done.tainted
    assert desk.call("release.show", release="desk@1").genuine, "its documents hold no rows"


def test_releases_travel_with_the_record_and_say_that_their_documents_do_not(desk: Desk, tmp_path: Path) -> None:
    made = desk.make()
    file = tmp_path / "record.jsonl.gz"
    desk.call("record.export", file=str(file))
    there = Workspace.init(tmp_path / "there")
    execution.call(there, find("record.import"), {"file": str(file)})
    shown = execution.call(there, find("release.show"), {"release": "desk"})
    assert (shown.release, shown.digest, shown.here, shown.genuine) == ("desk@1", made.digest, False, None)
    assert execution.call(there, find("record.verify"), {}).intact
    with pytest.raises(StellwerkError, match="export it where it was made"):
        execution.call(there, find("release.export"), {"release": "desk", "file": str(tmp_path / "x.zip")})
    assert not (tmp_path / "x.zip").exists()


def test_a_document_that_was_changed_in_the_store_is_told(desk: Desk, tmp_path: Path) -> None:
    desk.make()
    (row,) = releases(desk)
    path = desk.workspace.store.path(row["content"]["files"]["dossier.en.html"])
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"Yes", b"Nay"))
    assert desk.call("release.show").problems == ["dossier.en.html was changed: its digest is not the one that was signed"]
    with pytest.raises(StellwerkError, match="not exported"):
        desk.export(tmp_path / "1.zip")


def test_the_command_line_refuses_with_exit_code_1(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.letters("anders")
    desk.call("data.build", dataset="letters")
    assert command(["release", "make", "desk", "-w", str(desk.root)]) == 1
    assert "data.tests on dataset/letters@2 is without evidence" in capsys.readouterr().err
    assert command(["release", "show", "desk", "-w", str(desk.root)]) == 2
    assert "make one with: stellwerk release make desk" in capsys.readouterr().err


def test_the_private_key_is_neither_in_the_record_nor_in_the_store(desk: Desk, tmp_path: Path) -> None:
    desk.make()
    text = (desk.workspace.state / "signing-key").read_text().splitlines()[1].encode()
    assert not any(text in content for content in record_bytes(desk.workspace).values())
    stored = [path.read_bytes() for path in (desk.workspace.state / "store").rglob("*") if path.is_file()]
    assert not any(text in content for content in stored)
    assert text not in desk.export(tmp_path / "1.zip")


def test_a_release_that_there_is_not_is_told_with_those_that_there_are(desk: Desk) -> None:
    desk.make()
    for reference, said in (
        ("desk@7", "it has: @1"),
        ("dsk", "there are releases of: desk"),
        ("desk@0123456789", "no release"),
    ):
        with pytest.raises(UserError, match=said):
            desk.call("release.show", release=reference)


def test_nobody_goes_on_with_a_release_in_the_name_of_who_began_it(desk: Desk) -> None:
    erika, ben = desk.workspace.acting("erika", True), desk.workspace.acting("ben", True)
    run = queue.enqueue(erika, find("release.make"), {"system": "desk"})
    execution.cancel(ben, run)
    for caller in (ben, erika, desk.workspace.acting(None, False), desk.workspace):
        with pytest.raises(UserError, match=r"in the name of who started it.*stellwerk release make"):
            execution.call(caller, find("runs.resume"), {"run_id": run})
    assert desk.workspace.record.rows(tables.run, tables.run.c.id == run)[0]["state"] == "cancelled"
    own = execution.submit(desk.workspace, find("release.make"), {"system": "desk"})
    execution.cancel(desk.workspace, own)
    assert execution.call(desk.workspace, find("runs.resume"), {"run_id": own}).state == "done"
