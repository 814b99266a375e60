"""Findings: the list with its filters, and each one with what was found where and what people decided about it.

Decisions are operations; a reason that will not do stands at the form, with what was typed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Form, Request
from sqlalchemy import select
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from stellwerk.doors import guard
from stellwerk.doors.web import overview as seen
from stellwerk.doors.web.page import page, text, workspace_of
from stellwerk.doors.web.tablefiles import table_file
from stellwerk.errors import UserError
from stellwerk.findings import deciding, status
from stellwerk.operation import find
from stellwerk.record import tables
from stellwerk.report.tables import tables_of
from stellwerk.runs import execution

if TYPE_CHECKING:
    from stellwerk.findings.operations import FindingReport
    from stellwerk.workspace import Workspace

router = APIRouter()
PAGE = 50
MOST = 10_000  # rows of a table to take along
MONTH = timedelta(days=30)
STATUSES = ("open", "accepted", "mitigated")
DECISIONS = {"assign": ("owner",), "accept": ("reason", "until"), "mitigate": ("reason",), "reopen": ("reason",)}


@router.get("/findings")
def list_(
    request: Request, status: str = "open", severity: str = "", rule: str = "", owner: str = "", asset: str = "",
    number: int = 1, format: str = "",
) -> Response:  # fmt: skip
    """The list; open findings unless another status, or all, is asked for."""
    operation = find("findings.list")
    guard.require(request, operation)
    workspace = workspace_of(request)
    asked = {
        "status": status or "open",
        "severity": severity,
        "rule": rule.strip(),
        "owner": owner.strip(),
        "asset": asset.strip(),
    }
    if format:
        given = {name: value for name, value in asked.items() if value and value != "all"}
        result = execution.call(workspace, operation, {**given, "limit": MOST})
        return table_file(request, tables_of(result.findings, "findings"), "findings", format)
    fault, total = "", 0
    found: list[dict[str, Any]] = []
    number = max(number, 1)
    try:
        found, total = _found(workspace, asked, number)
    except UserError as error:
        fault = str(error)
    kept = {name: value for name, value in asked.items() if value}
    return page(
        request,
        "findings.html",
        422 if fault else 200,
        fault=fault,
        findings=found,
        total=total,
        asked=asked,
        rules=_rules(workspace),
        number=number,
        last=max(1, -(-total // PAGE)),
        address="?" + urlencode({**kept, "number": ""}),
        download="?" + urlencode({**kept, "format": ""}),
        day=lambda at: seen.day(request, workspace, at),
        last_day=lambda until: seen.last_day(request, until),
    )


@router.get("/findings/{key}")
def show(request: Request, key: str) -> Response:
    """One finding."""
    return _page(request, key, "", {})


@router.post("/findings/{key}/{decision}")
def decide(
    request: Request, key: str, decision: str, owner: str = Form(""), reason: str = Form(""), until: str = Form("")
) -> Response:
    """Note a decision: assign, accept, mitigate or reopen."""
    if decision not in DECISIONS:
        raise HTTPException(404, text(request, "There is no such decision."))
    operation = find(f"findings.{decision}")
    guard.require(request, operation)
    typed = {"owner": owner.strip(), "reason": reason, "until": until}
    values = {name: typed[name] for name in DECISIONS[decision] if typed[name] or name != "owner"}
    try:
        execution.call(workspace_of(request), operation, {"finding": key, **values})
    except UserError as error:
        return _page(request, key, str(error), {**typed, "decision": decision})
    return RedirectResponse(f"/findings/{quote(key, safe='')}", 303)


def _page(request: Request, key: str, fault: str, typed: Mapping[str, str]) -> Response:
    operation = find("findings.show")
    guard.require(request, operation)
    workspace = workspace_of(request)
    try:
        found: FindingReport = execution.call(workspace, operation, {"finding": key})
    except UserError as error:
        raise HTTPException(404, str(error)) from None
    begin = {"decision": "", "owner": found.finding.owner or "", "reason": "", "until": (date.today() + MONTH).isoformat()}
    return page(
        request,
        "finding.html",
        422 if fault else 200,
        found=found,
        finding=found.finding,
        asset=seen.address_of(found.finding.version) if found.finding.version else "",
        fault=fault,
        typed={**begin, **typed},
        moment=lambda at: seen.moment(request, workspace, at),
        day=lambda at: seen.day(request, workspace, at),
        last_day=lambda until: seen.last_day(request, until),
    )


def _found(workspace: Workspace, asked: Mapping[str, str], number: int) -> tuple[list[dict[str, Any]], int]:
    """A page of the findings that are asked for, and how many there are."""
    where = deciding.conditions(asked["severity"] or None, asked["rule"] or None, asked["asset"] or None)
    person = deciding.person(workspace.record, asked["owner"]) if asked["owner"] else None
    if asked["owner"] and person is None:
        return [], 0
    chosen: dict[str, Any] = {"status": asked["status"] if asked["status"] in STATUSES else None, "owner": person}
    now = datetime.now(UTC)
    rows = status.find(workspace.record, now, *where, **chosen, limit=PAGE, offset=(number - 1) * PAGE)
    people = deciding.people(workspace.record, [row["owner"] for row in rows])
    for row in rows:
        row["owner"] = people.get(row["owner"])
        row["version"] = f"{row['kind']}/{row['name']}@{row['number']}" if row["kind"] else None
        row["address"] = seen.address_of(row["version"]) if row["version"] else None
    return rows, status.count(workspace.record, now, *where, **chosen)


def _rules(workspace: Workspace) -> list[str]:
    """The rules that found something."""
    rule = tables.finding.c.rule
    with workspace.record.database.reading() as connection:
        return list(connection.execute(select(rule).distinct().order_by(rule)).scalars())
