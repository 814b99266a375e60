"""Operations on findings: look at them, say who looks after one, accept it until a date, or say that it is mended."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, Field

from stellwerk.errors import UserError
from stellwerk.operation import operation
from stellwerk.record import tables

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace


class FindingLine(BaseModel):
    """A finding in one line."""

    TABLE: ClassVar = ("finding", "severity", "status", "rule", "title", "version", "owner", "created")

    finding: str = Field(description="the first digits of its id")
    id: str
    rule: str
    severity: str = Field(description="critical, high, medium, low or info")
    status: str = Field(description="open, accepted or mitigated")
    title: str
    version: str | None = Field(description="that it is about")
    owner: str | None = Field(description="who looks after it")
    until: str | None = Field(description="until when it is accepted")
    created: str


class FindingList(BaseModel):
    """Findings, the most severe first, of these the newest."""

    message: str
    findings: list[FindingLine]


class FindingStep(BaseModel):
    """What somebody decided about a finding."""

    when: str
    status: str
    owner: str | None
    person: str
    authenticated: bool = Field(description="whether a door had proven that it was this person")
    reason: str
    until: str | None


class FindingReport(BaseModel):
    """A finding with all that was decided about it."""

    finding: FindingLine
    details: dict[str, Any] = Field(description="where and how many; never a personal value")
    run: str
    operation: str
    decisions: list[FindingStep] = Field(description="oldest first")


Id = Annotated[str, Field(min_length=1, max_length=64)]


@operation(example={"status": "open"})
def list_(
    status: Literal["open", "accepted", "mitigated"] | None = None,
    severity: Literal["critical", "high", "medium", "low", "info"] | None = None,
    rule: str | None = None,
    owner: str | None = None,
    asset: str | None = None,
    limit: Annotated[int, Field(ge=1)] = 50,
    *,
    workspace: Workspace,
) -> FindingList:
    """List findings, the most severe first, of these the newest.

    Args:
        status: open, accepted or mitigated; all if not given.
        severity: critical, high, medium, low or info.
        rule: such as unreadable.
        owner: the name of whoever looks after it.
        asset: such as dataset/tickets or dataset/tickets@3.
        limit: how many to show at most.
    """
    from stellwerk.findings import deciding
    from stellwerk.findings.status import find

    where = deciding.conditions(severity, rule, asset)
    person = deciding.person(workspace.record, owner) if owner else None
    if owner and person is None:
        return FindingList(message=f"{owner} looks after no finding", findings=[])
    rows = find(workspace.record, datetime.now(UTC), *where, status=status, owner=person, limit=limit)
    people = deciding.people(workspace.record, [row["owner"] for row in rows])
    n = "no finding" if not rows else "one finding" if len(rows) == 1 else f"{len(rows)} findings"
    asked = any((status, severity, rule, owner, asset))
    return FindingList(message=f"{n}{' of these' if asked else ''}", findings=[_line(row, people) for row in rows])


@operation(example={"finding": "latest"})
def show(finding: Id = "latest", *, workspace: Workspace) -> FindingReport:
    """Show a finding: what was found where, by which run, and what was decided about it.

    Args:
        finding: the first digits of its id, or latest.
    """
    return _report(workspace, finding)


@operation(example={"finding": "latest", "owner": "Anna Berg"}, changes=True, scope="approve")
def assign(
    finding: Id, owner: str | None = None, reason: str = "assigned", person: str | None = None, *, workspace: Workspace
) -> FindingReport:
    """Say who looks after a finding; its status stays as it is.

    Args:
        finding: the first digits of its id, or latest.
        owner: a name; nobody if left out.
        reason: why this person.
        person: who decides; whoever asks, if left out.
    """
    from stellwerk.findings import deciding

    found = deciding.find(workspace.record, finding)
    deciding.decide(workspace, found, None, owner=owner or "", reason=reason, person=person, until=found["until"])
    return _report(workspace, found["id"])


@operation(
    example={"finding": "latest", "reason": "two rows of a test export", "until": "2027-01-31"}, changes=True, scope="approve"
)
def accept(finding: Id, reason: str, until: date, person: str | None = None, *, workspace: Workspace) -> FindingReport:
    """Accept a finding until a date: it is open again after it.

    Args:
        finding: the first digits of its id, or latest.
        reason: why it may stay.
        until: the last day, at most a year ahead.
        person: who takes it on; whoever asks, if left out.
    """
    from stellwerk.findings import deciding

    ends = deciding.end_of(until, datetime.now(UTC))
    return _decide(workspace, finding, "accepted", reason, person, ends)


@operation(example={"finding": "latest", "reason": "the export was mended"}, changes=True, scope="approve")
def mitigate(finding: Id, reason: str, person: str | None = None, *, workspace: Workspace) -> FindingReport:
    """Say that what a finding is about was mended.

    Args:
        finding: the first digits of its id, or latest.
        reason: what was done.
        person: who says so; whoever asks, if left out.
    """
    return _decide(workspace, finding, "mitigated", reason, person, None)


@operation(example={"finding": "latest", "reason": "it came back"}, changes=True, scope="approve")
def reopen(finding: Id, reason: str, person: str | None = None, *, workspace: Workspace) -> FindingReport:
    """Open a finding again that was accepted or mended.

    Args:
        finding: the first digits of its id, or latest.
        reason: why it is open again.
        person: who says so; whoever asks, if left out.
    """
    return _decide(workspace, finding, "open", reason, person, None)


def _decide(
    workspace: Workspace, finding: str, status: str, reason: str, person: str | None, until: str | None
) -> FindingReport:
    from stellwerk.findings import deciding

    found = deciding.find(workspace.record, finding)
    if status == found["status"] == "open":
        raise UserError(f"finding {found['id'][:8]} is open; there is nothing to reopen")
    deciding.decide(workspace, found, status, owner=None, reason=reason, person=person, until=until)
    return _report(workspace, found["id"])


def _report(workspace: Workspace, finding: str) -> FindingReport:
    from stellwerk.findings import deciding

    record = workspace.record
    row = deciding.find(record, finding)
    history = deciding.history(record, row["id"])
    people = deciding.people(record, [row["owner"], *(h["person"] for h in history), *(h["details"]["owner"] for h in history)])
    (run,) = record.rows(tables.run, tables.run.c.id == row["run"])
    return FindingReport(
        finding=_line(row, people),
        details=row["details"],
        run=row["run"][:8],
        operation=run["operation"],
        decisions=[
            FindingStep(
                when=h["created"],
                status=h["details"]["status"],
                owner=people.get(h["details"]["owner"]),
                person=people[h["person"]],
                authenticated=h["authenticated"] == 1,
                reason=h["reason"],
                until=h["until"],
            )
            for h in history
        ],
    )


def _line(row: dict[str, Any], people: dict[str, str]) -> FindingLine:
    return FindingLine(
        finding=row["id"][:8],
        id=row["id"],
        rule=row["rule"],
        severity=row["severity"],
        status=row["status"],
        title=row["title"],
        version=f"{row['kind']}/{row['name']}@{row['number']}" if row["kind"] else None,
        owner=people.get(row["owner"]),
        until=row["until"] if row["status"] == "accepted" else None,
        created=row["created"],
    )
