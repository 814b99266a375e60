"""Deciding about findings, and about anything else that a named person answers for: one row of the record, never changed.

Knows who may decide and how long a decision may hold. What a decision means is told elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement

from stellwerk.errors import UserError
from stellwerk.findings import status as finding_status
from stellwerk.record import tables
from stellwerk.record.record import ERASED, Record
from stellwerk.workspace import Workspace

LONGEST = timedelta(days=366)


def note(
    workspace: Workspace,
    kind: str,
    about: str,
    details: Mapping[str, Any],
    *,
    person: str | None,
    reason: str,
    until: str | None = None,
) -> dict[str, Any]:
    """Note what a person decided.

    Args:
        workspace: of the record.
        kind: of the decision.
        about: a system, a finding or another decision.
        details: without names of persons.
        person: the name of whoever decided; whoever asks, if left out.
        reason: why.
        until: until when it holds, as the record writes times.

    Raises:
        UserError: there is no reason, or a door knows who asks and it is somebody else.
    """
    if not reason.strip():
        raise UserError("the reason is empty; say in a sentence why")
    named = responsible(workspace, person)
    with workspace.record.writing(workspace.person) as transaction:
        return transaction.insert(
            tables.decision, kind=kind, about=about, details=dict(details), person=named, reason=reason.strip(), until=until,
            authenticated=workspace.authenticated, created=transaction.at,
        )  # fmt: skip


def responsible(workspace: Workspace, person: str | None) -> str:
    """The id of the person that a decision is of.

    Raises:
        UserError: whoever asks has proven to be somebody else.
    """
    if person is None or person == workspace.actor:
        return workspace.person
    if workspace.authenticated:
        raise UserError(f"you are logged in as {workspace.actor}, so the decision can only be yours; leave person out")
    if not person.strip():
        raise UserError("the name of the person is empty; give one, or leave person out")
    return workspace.record.person(person.strip())


def end_of(day: date, now: datetime) -> str:
    """The last moment of a day in UTC, until which a decision holds.

    Raises:
        UserError: it is past, or more than a year ahead.
    """
    moment = datetime.combine(day, time(23, 59, 59), UTC)
    if moment <= now:
        raise UserError(f"until {day} is past; give a day to come, such as {(now + timedelta(days=30)).date()}")
    if day > (now + LONGEST).date():
        raise UserError(f"until {day} is more than a year ahead; give at most {(now + LONGEST).date()}, and decide anew then")
    return finding_status.stamp(moment)


def people(record: Record, persons: Sequence[str | None]) -> dict[str, str]:
    """The names behind ids of persons, in one query."""
    wanted = {person for person in persons if person}
    known = {row["id"]: row["name"] for row in record.rows(tables.person, tables.person.c.id.in_(sorted(wanted)))}
    return {person: known.get(person, ERASED) for person in wanted}


def person(record: Record, name: str) -> str | None:
    """The id of a person of this name; None where the record knows none."""
    found = record.rows(tables.person, tables.person.c.name == name)
    return found[0]["id"] if found else None


def conditions(severity: str | None, rule: str | None, asset: str | None) -> list[ColumnElement[bool]]:
    """What findings are to meet.

    Raises:
        UserError: the asset does not say its kind.
    """
    where: list[ColumnElement[bool]] = []
    if severity:
        where.append(tables.finding.c.severity == severity)
    if rule:
        where.append(tables.finding.c.rule == rule)
    if asset:
        name, _, number = asset.partition("@")
        kind, slash, name = name.partition("/")
        if not slash or (number and not (number.isdecimal() and len(number) < 10)):
            raise UserError(f"{asset!r} names no asset; give one such as dataset/tickets or dataset/tickets@3")
        where += [tables.asset.c.kind == kind, tables.asset.c.name == name]
        where += [tables.version.c.number == int(number)] if number else []
    return where


def find(record: Record, finding: str) -> dict[str, Any]:
    """A finding with its status now, by the first digits of its id, or the latest.

    Raises:
        UserError: there is none, or several begin so.
    """
    now, column = datetime.now(UTC), tables.finding.c
    if finding == "latest":
        newest = record.rows(tables.finding, order=(column.created.desc(), column.id), limit=1)
        if not newest:
            raise UserError("nothing was found in this workspace yet")
        finding = newest[0]["id"]
    rows = finding_status.find(record, now, column.id.startswith(finding, autoescape=True), limit=2)
    if len(rows) != 1:
        several = "more than one finding begins" if rows else "no finding begins"
        raise UserError(f"{several} with {finding!r}; see them with: stellwerk findings list")
    return rows[0]


def history(record: Record, finding: str) -> list[dict[str, Any]]:
    """All decisions about a finding, oldest first."""
    decision = tables.decision.c
    where = (decision.kind.in_((finding_status.JUDGED, finding_status.ASSIGNED)), decision.about == finding)
    return record.rows(tables.decision, *where, order=(decision.created, decision.id))


def decide(
    workspace: Workspace,
    found: Mapping[str, Any],
    status: str | None,
    *,
    owner: str | None,
    reason: str,
    person: str | None,
    until: str | None,
) -> None:
    """Note another status or owner of a finding; what is None stays as it is, and an empty owner is nobody."""
    named = found["owner"] if owner is None else workspace.record.person(owner.strip()) if owner.strip() else None
    details = {"status": status or found["status"], "owner": named}
    kind = finding_status.JUDGED if status else finding_status.ASSIGNED
    note(workspace, kind, found["id"], details, person=person, reason=reason, until=until)
