"""The page of a system: all that its signals rest on, decisions with their reasons, and who may decide."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta

from sites import ARTICLES, SYSTEM, TICKETS, Visitor, call, visible, write_dataset, write_system

from stellwerk.access import accounts
from stellwerk.record import tables
from stellwerk.workspace import Workspace

PLANTED = "<script>alert(1)</script>"
SOON = (date.today() + timedelta(days=9)).isoformat()


def stopped(workspace: Workspace) -> None:
    """A system that a failed data test stops, and that a role has to sign."""
    write_dataset(workspace, "tickets", TICKETS[:5], tests=[{"rows": {"min": 50}}])
    for name in ("build", "test"):
        call(workspace, f"data.{name}", dataset="tickets")
    own = {"binds": ["dataset/tickets"], "sign_offs": [f"privacy {PLANTED}"], "purpose": f"Sort {PLANTED}"}
    overrides = {"data.kept": {"required": False, "reason": f"few rows {PLANTED}"}}
    write_system(workspace, "classifier", **{**SYSTEM, **own, "overrides": overrides})


def test_the_table_shows_value_n_threshold_attempts_and_when(visitor: Visitor) -> None:
    page = visitor.read("/systems/classifier")
    row = next(part for part in page.split("<tr") if "own tests pass" in part and "≤ 0 tests" in part)
    assert re.search(
        r"Stop The dataset's own tests pass .*dataset/tickets@1 1 tests ≤ 0 tests 2 1 \d+ \w+ \d{4}", visible("<tr" + row)
    )
    assert "<svg" in row
    assert "disabled" in page
    assert "disabled" not in visitor.read("/systems/support-desk")


def test_decisions_are_noted_and_let_the_system_be_released(new: Callable[..., Visitor]) -> None:
    visitor = new(stopped)
    place = "/systems/classifier"
    assert PLANTED not in visitor.read(place)
    what = "data.tests dataset/tickets"
    wrong = visitor.submit(f"{place}/waive", on=place, what=what, reason="Pilot & more", until="2020-01-01")
    assert wrong.status_code == 422
    assert "until 2020-01-01 is past" in visible(wrong.text)
    assert ">Pilot &amp; more</textarea>" in wrong.text
    given = visitor.submit(f"{place}/waive", on=place, what=what, reason=f"Pilot {PLANTED}", until=SOON)
    assert given.status_code == 200
    assert "Caution" in visible(given.text)
    assert "classifier: the waiver for data.tests ends on" in visible(visitor.read("/"))
    signed = visitor.submit(f"{place}/sign", on=place, role=f"privacy {PLANTED}", reason=f"Seen {PLANTED}", until=SOON)
    assert "Can be released." in visible(signed.text)
    assert PLANTED not in signed.text + visitor.read("/") + visitor.read("/", "de")
    released = visitor.submit(f"{place}/release", on=place)
    assert released.url.path.startswith("/runs/")
    (run,) = visitor.workspace.record.rows(tables.run, tables.run.c.operation == "release.make")
    assert (run["state"], run["parameters"]["system"]) == ("queued", "classifier")
    waiver = next(row["id"] for row in visitor.workspace.record.rows(tables.decision) if row["kind"] == "waive")
    back = visitor.submit(f"{place}/revoke", on=place, decision=waiver, reason="the rows came")
    assert "1 gate stops it" in visible(back.text)


def test_whoever_may_only_read_sees_no_button_and_is_refused(new: Callable[..., Visitor]) -> None:
    def prepare(workspace: Workspace) -> None:
        stopped(workspace)
        accounts.save(workspace, "reader", ["read"], "four words for reading")

    visitor = new(prepare, login=True)
    visitor.submit("/login", on="/login", name="reader", password="four words for reading", next="/systems/classifier")
    page = visitor.read("/systems/classifier")
    assert "<form" in page.split("</header>")[0]  # to log out
    assert "<form" not in page.split("</header>")[1]
    for path in ("mend", "waive", "sign", "revoke", "release"):
        answer = visitor.submit(f"/systems/classifier/{path}", on="/systems/classifier", reason="x", until=SOON)
        assert answer.status_code == 403, path
    for path in ("/begin/system", "/begin/service"):
        assert visitor.submit(path, name="x", do="write").status_code == 403
    assert not visitor.workspace.record.rows(tables.decision)


def test_a_form_without_its_token_changes_nothing(site: str, visitor: Visitor, company: Workspace) -> None:
    values = {"what": "data.tests dataset/tickets", "reason": "x", "until": SOON}
    for data in (values, {**values, "csrf": "wrong"}):
        assert visitor.post("/systems/classifier/waive", data=data, headers={"origin": site}).status_code == 403
    assert not company.record.rows(tables.decision)


def test_a_system_that_is_not_there_is_told(visitor: Visitor) -> None:
    answer = visitor.get("/systems/nothing")
    assert answer.status_code in (404, 422)
    assert "there is no systems/nothing.yaml" in visible(answer.text)


def test_the_german_page_says_why_in_german(visitor: Visitor) -> None:
    said = visible(visitor.read("/systems/classifier", "de"))
    assert "Kann nicht freigegeben werden: 1 Prüfpunkt hält es auf." in said
    assert "Halt Die Tests des Datensatzes sind bestanden" in said


def test_what_changed_since_the_release_stands_on_the_start_page(new: Callable[..., Visitor]) -> None:
    def prepare(workspace: Workspace) -> None:
        write_dataset(workspace, "knowledge", ARTICLES[:5])
        call(workspace, "data.build", dataset="knowledge")
        tests = {"data.tests": {"required": False, "reason": "it has none"}}
        write_system(workspace, "support-desk", **SYSTEM, overrides=tests)
        call(workspace, "release.make", system="support-desk")
        write_dataset(workspace, "knowledge", ARTICLES[:6])
        call(workspace, "data.build", dataset="knowledge")

    visitor = new(prepare)
    assert "Since release 1 dataset/knowledge: version 2 instead of 1." in visible(visitor.read("/"))
    assert "Seit Freigabe 1 dataset/knowledge: Version 2 statt 1." in visible(visitor.read("/", "de"))


def test_a_refused_form_is_told_on_a_page_and_by_the_api_as_json(visitor: Visitor, site: str) -> None:
    answer = visitor.post("/systems/classifier/mend", data={"csrf": "guessed"}, headers={"origin": site})
    assert (answer.status_code, answer.headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert "<h1>" in answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    api = visitor.post("/api/runs/cancel", json={"run_id": "latest"}, headers={"origin": "http://elsewhere.example"})
    assert (api.status_code, set(api.json())) == (403, {"error"})
