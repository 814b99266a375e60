"""The pages of findings: filters, tables to take along, decisions with their reasons, and nothing of a text that runs."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from sites import Visitor, visible

from stellwerk.record import tables
from stellwerk.workspace import Workspace

PLANTED = "<script>alert(1)</script>"
SOON = (date.today() + timedelta(days=9)).isoformat()


def note(workspace: Workspace, **fields: Any) -> None:
    """Note a finding as a run does."""
    with workspace.record.writing(workspace.person) as transaction:
        run = transaction.insert(
            tables.run, operation="data.build", parameters={}, snapshots={}, code="", state="done", person=workspace.person,
            created=transaction.at,
        )  # fmt: skip
        row = {"rule": "unreadable", "severity": "medium", "title": "rows", "details": {"rows": 3}, "status": "open", **fields}
        transaction.insert(tables.finding, run=run["id"], step=None, version=None, owner=None, created=transaction.at, **row)


@pytest.fixture
def visitor(new: Callable[..., Visitor]) -> Visitor:
    """Somebody who reads a workspace with two findings."""

    def prepare(workspace: Workspace) -> None:
        note(workspace, title=f"three rows {PLANTED}", details={"where": PLANTED})
        note(workspace, rule="schema_change", severity="high", title="=1+1")

    return new(prepare)


def address(visitor: Visitor, title: str) -> str:
    (row,) = visitor.workspace.record.rows(tables.finding, tables.finding.c.title.startswith(title))
    return f"/findings/{row['id']}"


def test_filters_choose_and_texts_stay_texts(visitor: Visitor) -> None:
    every = visitor.read("/findings")
    assert PLANTED not in every
    assert "2 findings" in visible(every)
    assert visible(every).index("=1+1") < visible(every).index("three rows")  # the more severe first
    assert "three rows" not in visible(visitor.read("/findings?severity=high"))
    assert "three rows" in visible(visitor.read("/findings?rule=unreadable"))
    assert "Kein solcher Befund." in visible(visitor.read("/findings?owner=nobody", "de"))
    assert visitor.get("/findings?asset=tickets").status_code == 422


def test_tables_to_take_along_hold_no_formula(visitor: Visitor) -> None:
    text = visitor.get("/findings?format=csv").content.decode("utf-8-sig")
    assert "'=1+1" in text
    book = visitor.get("/findings?format=xlsx")
    assert book.content.startswith(b"PK")
    with zipfile.ZipFile(io.BytesIO(book.content)) as parts:
        assert b"<f>" not in parts.read("xl/worksheets/sheet1.xml")


def test_a_finding_is_assigned_accepted_opened_again_and_mended(visitor: Visitor) -> None:
    place = address(visitor, "three")
    assert PLANTED not in visitor.read(place)
    assert "Anna Berg" in visible(visitor.submit(f"{place}/assign", on=place, owner="Anna Berg").text)
    late = visitor.submit(f"{place}/accept", on=place, reason="it <may> stay", until="2020-01-01")
    assert late.status_code == 422
    assert "until 2020-01-01 is past" in visible(late.text)
    assert "it &lt;may&gt; stay</textarea>" in late.text
    accepted = visitor.submit(f"{place}/accept", on=place, reason=f"test rows {PLANTED}", until=SOON)
    assert PLANTED not in accepted.text
    assert "1 finding ·" in visible(visitor.read("/findings"))
    assert "three rows" in visible(visitor.read("/findings?status=accepted&owner=Anna+Berg"))
    visitor.submit(f"{place}/reopen", on=place, reason="it came back")
    assert "2 findings ·" in visible(visitor.read("/findings"))
    mended = visible(visitor.submit(f"{place}/mitigate", on=place, reason="the export was mended").text)
    assert mended.index("it came back") < mended.index("the export was mended")
    assert "mended" in mended


def test_a_decision_without_a_reason_is_refused(visitor: Visitor) -> None:
    place = address(visitor, "three")
    assert visitor.submit(f"{place}/mitigate", on=place, reason="  ").status_code == 422
    assert visitor.submit(f"{place}/explode", on=place, reason="x").status_code == 404
    assert not visitor.workspace.record.rows(tables.decision)


def test_the_start_page_says_which_findings_wait(visitor: Visitor) -> None:
    page = visitor.read("/")
    assert "three rows" in visible(page)
    assert PLANTED not in page


def test_a_finding_that_is_not_there_is_not_found(visitor: Visitor) -> None:
    assert visitor.get("/findings/ffffffff").status_code == 404
