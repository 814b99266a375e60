"""Findings and what named persons decide about them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from stellwerk.errors import UserError
from stellwerk.findings import deciding, status
from stellwerk.operation import find
from stellwerk.record import tables
from stellwerk.runs import execution
from stellwerk.workspace import Workspace

SOON = (datetime.now(UTC) + timedelta(days=20)).date()


class Found:
    """A workspace with a version, and findings on it or on none."""

    def __init__(self, root: Path) -> None:
        self.workspace = Workspace.init(root)
        self.record = self.workspace.record
        with self.record.writing(self.workspace.person) as transaction:
            row = {"operation": "data.build", "parameters": {}, "snapshots": {}, "code": "c", "state": "done"}
            self.run = str(transaction.insert(tables.run, **row, person=transaction.person, created=transaction.at)["id"])
            self.version = transaction.put_version("dataset", "tickets", identity={}, facts={}, content={}, run=self.run)

    def add(self, severity: str = "low", rule: str = "leak", version: bool = True) -> str:
        with self.record.writing(self.workspace.person) as transaction:
            row = transaction.insert(
                tables.finding, run=self.run, step=None, version=self.version.id if version else None, rule=rule,
                severity=severity, title=f"{severity} {rule}", details={"rows": 2}, status="open", owner=None,
                created=transaction.at,
            )  # fmt: skip
        return str(row["id"])

    def call(self, name: str, workspace: Workspace | None = None, /, **values: Any) -> Any:
        return execution.call(workspace or self.workspace, find(f"findings.{name}"), values)

    def ids(self, **asked: Any) -> list[str]:
        return [line.id for line in self.call("list", **asked).findings]


@pytest.fixture
def found(tmp_path: Path) -> Found:
    return Found(tmp_path / "place")


def test_the_most_severe_come_first_and_of_these_the_newest(found: Found) -> None:
    low, high, other, critical = (found.add(severity) for severity in ("low", "high", "high", "critical"))
    assert found.ids() == [critical, other, high, low]
    assert found.ids(limit=2) == [critical, other]


def test_filters_by_status_severity_rule_owner_and_asset(found: Found) -> None:
    first, second = found.add("high"), found.add("low", "unreadable", version=False)
    found.call("assign", finding=first, owner="Anna Berg")
    found.call("mitigate", finding=second, reason="mended")
    assert found.ids(status="open") == [first]
    assert found.ids(status="mitigated") == [second]
    assert found.ids(severity="low") == found.ids(rule="unreadable") == [second]
    assert found.ids(owner="Anna Berg") == found.ids(asset="dataset/tickets") == found.ids(asset="dataset/tickets@1") == [first]
    assert found.ids(owner="Max Roth") == found.ids(asset="dataset/tickets@2") == found.ids(asset="prompt/tickets") == []
    for wrong in ("tickets", "dataset/tickets@new"):
        with pytest.raises(UserError, match="names no asset"):
            found.ids(asset=wrong)


def test_an_accepted_finding_is_open_again_after_its_day(found: Found) -> None:
    key = found.add()
    shown = found.call("accept", finding=key, reason="two rows of a test", until=SOON, person="Anna Berg")
    assert (shown.finding.status, shown.finding.until[:10]) == ("accepted", str(SOON))
    later = datetime.now(UTC) + timedelta(days=22)
    assert [row["status"] for row in status.find(found.record, later)] == ["open"]
    assert [row["id"] for row in status.find(found.record, later, status="open")] == [key]
    assert [step.person for step in shown.decisions] == ["Anna Berg"]


def test_assigning_keeps_the_status_and_its_day_and_deciding_keeps_the_owner(found: Found) -> None:
    key = found.add()
    found.call("accept", finding=key, reason="known", until=SOON)
    line = found.call("assign", finding=key, owner="Max Roth").finding
    assert (line.status, line.owner, line.until[:10]) == ("accepted", "Max Roth", str(SOON))
    line = found.call("reopen", finding=key[:8], reason="it came back").finding
    assert (line.status, line.owner, line.until) == ("open", "Max Roth", None)
    assert found.call("assign", finding=key).finding.owner is None
    shown = found.call("show", finding="latest")
    assert [step.status for step in shown.decisions] == ["accepted", "accepted", "open", "open"]
    assert (shown.run, shown.operation, shown.details) == (found.run[:8], "data.build", {"rows": 2})


def test_assigning_hides_neither_who_accepted_nor_why(found: Found) -> None:
    key = found.add("high")
    found.call("accept", finding=key, reason="a test export", until=SOON, person="Anna Berg")
    found.call("assign", finding=key, owner="Max Roth", person="Jo Rat")
    (row,) = status.find(found.record, datetime.now(UTC))
    assert (row["status"], row["reason"], found.record.name_of(row["person"])) == ("accepted", "a test export", "Anna Berg")
    assert found.record.name_of(row["owner"]) == "Max Roth"
    assert [step.person for step in found.call("show", finding=key).decisions] == ["Anna Berg", "Jo Rat"]


def test_the_last_day_that_is_named_is_taken(found: Found) -> None:
    now = datetime(2026, 11, 22, 11, tzinfo=UTC)
    with pytest.raises(UserError) as told:
        deciding.end_of(date(2028, 1, 1), now)
    last = date.fromisoformat(re.search(r"at most (\S+),", str(told.value))[1])
    assert deciding.end_of(last, now).startswith(str(last))


def test_the_row_of_a_finding_is_never_changed_and_no_name_stands_in_a_decision(found: Found) -> None:
    key = found.add()
    before = found.record.rows(tables.finding)
    found.call("assign", finding=key, owner="Anna Berg")
    found.call("mitigate", finding=key, reason="mended", person="Max Roth")
    assert found.record.rows(tables.finding) == before
    decided = str(found.record.rows(tables.decision))
    assert "Anna" not in decided and "Max" not in decided


def test_what_cannot_be_is_one_sentence(found: Found) -> None:
    with pytest.raises(UserError, match="nothing was found in this workspace yet"):
        found.call("show")
    key = found.add()
    with pytest.raises(UserError, match="is open; there is nothing to reopen"):
        found.call("reopen", finding=key, reason="r")
    with pytest.raises(UserError, match="no finding begins with 'zz'"):
        found.call("show", finding="zz")
    with pytest.raises(UserError, match="the reason is empty"):
        found.call("mitigate", finding=key, reason=" ")
    with pytest.raises(UserError, match="is past"):
        found.call("accept", finding=key, reason="r", until="2020-01-01")
    with pytest.raises(UserError, match="you are logged in as Anna"):
        asked = found.workspace.acting("Anna", authenticated=True)
        found.call("mitigate", asked, finding=key, reason="r", person="Max")


def test_a_list_is_one_query_whatever_was_decided(found: Found) -> None:
    keys = [found.add() for _ in range(30)]
    for key in keys[:20]:
        found.call("mitigate", finding=key, reason="mended")
    seen: list[str] = []
    event.listen(found.record.database.engine, "before_cursor_execute", lambda *given: seen.append(given[2]))
    assert len(found.ids(status="mitigated", limit=100)) == 20
    assert sum("finding" in statement for statement in seen) == 1
