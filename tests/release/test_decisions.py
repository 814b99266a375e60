"""Waivers and sign-offs: by a named person, with a reason, until a date, and for nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from office import Office

from stellwerk.errors import UserError
from stellwerk.record import tables
from stellwerk.record.operations import verify
from stellwerk.standing.standing import standing

SOON = (datetime.now(UTC) + timedelta(days=20)).date()


@pytest.fixture
def stopped(office: Office) -> Office:
    """A system with two gates that are stopped on one dataset, and one on the other."""
    office.made("dataset", "tickets", n=1, facts={"spec": {"licence": "x"}})
    office.made("dataset", "mails", n=1, facts={"spec": {"licence": "x", "purpose": "x", "legal_basis": "x"}})
    for name in ("tickets", "mails"):
        office.measured("data_tests_failed", 3 if name == "tickets" else 0, office.version(f"dataset/{name}"))
        office.measured("kept_share", 1, office.version(f"dataset/{name}"))
        office.measured("personal_data_in_clear", 0, office.version(f"dataset/{name}"))
    return office


def test_a_waiver_lets_one_gate_on_one_asset_pass_until_its_day_is_over(stopped: Office) -> None:
    assert len(stopped.now().reasons) == 2
    done = stopped.call("release.waive", system="desk", gate="data.tests", reason="late", until=SOON, person="Anna Berg")
    assert (done.releasable, done.sentence) == (False, "desk is stopped by 1 gate")
    stopped.call("release.waive", system="desk", gate="data.facts", asset="dataset/tickets", reason="asked for", until=SOON)
    stands = stopped.now()
    assert stands.releasable
    waived = {s.gate.name: s for s in stands.signals if s.waiver}
    assert {(name, s.state, s.why) for name, s in waived.items()} == {
        ("data.tests", "caution", "waived"), ("data.facts", "caution", "waived"),
    }  # fmt: skip
    assert waived["data.tests"].waiver is not None
    assert (waived["data.tests"].waiver.person, waived["data.tests"].waiver.authenticated) == ("Anna Berg", False)
    assert not stopped.call("mend", system="desk").tasks
    assert stopped.cli("signals", "desk") == 0
    over = datetime.combine(SOON, datetime.min.time(), UTC) + timedelta(days=1)
    assert standing(stopped.workspace, "desk", now=over - timedelta(seconds=2)).releasable
    assert not standing(stopped.workspace, "desk", now=over).releasable


def test_a_worse_value_is_no_longer_covered_and_a_better_one_is(stopped: Office) -> None:
    stopped.call("release.waive", system="desk", gate="data.tests", reason="late", until=SOON)
    tickets = stopped.version("dataset/tickets")
    for value, state in ((4, "stop"), (2, "caution"), (0, "clear")):
        stopped.measured("data_tests_failed", value, tickets)
        assert stopped.states()["data.tests", "dataset/tickets@1"] == state


@pytest.mark.parametrize("change", [{"metric": "toxic", "min": None, "max": 0.9}, {"min": 0.9}, {"min_n": 5}])
def test_a_waiver_holds_for_what_the_gate_asked_and_nothing_else(office: Office, change: dict[str, Any]) -> None:
    office.built()
    for metric in ("accuracy", "toxic"):
        office.measured(metric, 0.95 if metric == "toxic" else 0.3, office.version("dataset/tickets"))
    gate = {"name": "own", "job": "data", "concerns": "dataset", "asset": "tickets", "metric": "accuracy", "min": 0.8}
    office.system(gates=[gate])
    office.call("release.waive", system="desk", gate="own", reason="a pilot", until=SOON)
    assert office.now().releasable
    office.system(gates=[{**gate, **change}])
    assert office.states()["own", "dataset/tickets@1"] == "stop"
    office.system(gates=[{**gate, "severity": "error", "title": {"en": "Good answers"}}])
    assert office.now().releasable


def test_what_is_clear_or_dark_or_not_there_cannot_be_waived(stopped: Office) -> None:
    def refused(said: str, **values: str) -> None:
        with pytest.raises(UserError, match=said):
            stopped.call("release.waive", **{"system": "desk", "reason": "r", "until": SOON, **values})

    refused("is clear .*there is nothing to waive", gate="data.erased", asset="dataset/mails")
    refused("is clear .*there is nothing to waive", gate="data.tests", asset="dataset/mails")
    refused("did you mean 'data.tests'", gate="data.test")
    refused("does not concern 'dataset/x'; it concerns: dataset/mails, dataset/tickets", gate="data.tests", asset="dataset/x")
    refused("the reason is empty", gate="data.tests", reason="  ")
    refused("is past; give a day to come", gate="data.tests", until="2020-01-01")
    refused("more than a year ahead", gate="data.tests", until=str(SOON + timedelta(days=400)))
    stopped.made("dataset", "tickets", n=2)
    refused("no evidence cannot be waived; have it measured first", gate="data.tests", asset="dataset/tickets")
    stopped.measured("data_tests_failed", 1, stopped.version("dataset/tickets"))
    stopped.measured("data_tests_failed", 1, stopped.version("dataset/mails"))
    refused("concerns dataset/mails and dataset/tickets; say which with --asset", gate="data.tests")
    assert not stopped.workspace.record.rows(tables.decision)


def test_a_sign_off_holds_for_just_the_versions_that_were_signed(stopped: Office) -> None:
    stopped.system(binds=["dataset/mails"], sign_offs=["data protection", "security"])
    with pytest.raises(UserError, match=r"no signature of 'board'; there are: data protection, security"):
        stopped.call("release.sign", system="desk", role="board", reason="r", until=SOON)
    for role in ("data protection", "security"):
        assert not stopped.now().releasable
        done = stopped.call("release.sign", system="desk", role=role, reason="looked at", until=SOON)
    assert done.releasable
    assert not stopped.now(days=22).releasable
    mails = stopped.version("dataset/mails")
    new = stopped.made("dataset", "mails", mails, facts=mails.facts, n=2)
    for metric in ("data_tests_failed", "personal_data_in_clear"):
        stopped.measured(metric, 0, new)
    assert stopped.now().reasons == ["data protection has not signed these versions", "security has not signed these versions"]
    listed = stopped.call("release.decisions", system="desk").decisions
    assert [(line.kind, line.what, line.current) for line in listed] == [
        ("sign", "data protection", False), ("sign", "security", False),
    ]  # fmt: skip
    stopped.system(binds=["dataset/nothing"], sign_offs=["security"])
    with pytest.raises(UserError, match="cannot be signed: dataset/nothing"):
        stopped.call("release.sign", system="desk", role="security", reason="r", until=SOON)


def test_a_sign_off_is_of_the_gates_that_were_asked_then(stopped: Office) -> None:
    stopped.system(binds=["dataset/mails"], sign_offs=["security"])
    stopped.call("release.sign", system="desk", role="security", reason="looked at", until=SOON)
    assert stopped.now().releasable
    left_out = {"data.tests": {"required": False, "reason": "no time"}}
    stopped.system(binds=["dataset/mails"], sign_offs=["security"], overrides=left_out)
    assert stopped.now().reasons == ["security has not signed these versions"]


def test_a_revoked_decision_holds_no_longer_and_cannot_be_revoked_twice(stopped: Office) -> None:
    stopped.system(binds=["dataset/tickets"])
    done = stopped.call("release.waive", system="desk", gate="data.tests", reason="late", until=SOON)
    assert stopped.states()["data.tests", "dataset/tickets@1"] == "caution"
    stopped.call("release.revoke", decision=done.id, reason="they came")
    assert stopped.states()["data.tests", "dataset/tickets@1"] == "stop"
    for name in (done.id, "latest", ""):
        with pytest.raises(UserError, match="no decision that holds begins"):
            stopped.call("release.revoke", decision=name, reason="again")
    assert verify(workspace=stopped.workspace).intact
    assert [row["kind"] for row in stopped.workspace.record.rows(tables.decision, order=tables.decision.c.created)] == [
        "waive", "revoke",
    ]  # fmt: skip


def test_who_is_logged_in_decides_in_their_own_name_only(stopped: Office) -> None:
    anna = stopped.workspace.acting("Anna Berg", authenticated=True)
    values = {"system": "desk", "gate": "data.tests", "reason": "late", "until": SOON}
    with pytest.raises(UserError, match="you are logged in as Anna Berg, so the decision can only be yours"):
        stopped.call("release.waive", anna, **values, person="Max Roth")
    stopped.call("release.waive", anna, **values, person="Anna Berg")
    (waiver,) = stopped.now().waivers
    assert (waiver.person, waiver.authenticated) == ("Anna Berg", True)


def test_a_decision_holds_no_name_and_no_longer_holds_when_the_name_is_erased(stopped: Office) -> None:
    stopped.call("release.waive", system="desk", gate="data.tests", reason="late", until=SOON, person="Anna Berg")
    (row,) = stopped.workspace.record.rows(tables.decision)
    assert "Anna" not in str(row)
    with stopped.workspace.record.database.writing() as connection:
        connection.execute(tables.person.delete().where(tables.person.c.id == row["person"]))
    assert stopped.now().waivers == []
    assert stopped.states()["data.tests", "dataset/tickets@1"] == "stop"
    assert verify(workspace=stopped.workspace).intact


def test_the_command_line_takes_a_day_and_says_what_is_wrong_with_it(
    stopped: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("release", "waive", "desk", "data.tests", "--reason", "late")
    assert stopped.cli(*words, "--until", "soon") == 2
    assert stopped.cli(*words, "--until", str(SOON)) == 0
    assert "passes until" in capsys.readouterr().out
