"""What named persons decided about a system: waivers, sign-offs, and that one no longer holds.

A decision is a row of the record that is never changed; another one revokes it. Knows no gate.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from stellwerk.findings import deciding
from stellwerk.findings.status import stamp
from stellwerk.gates import Waiver
from stellwerk.record import tables
from stellwerk.record.record import ERASED, Record

WAIVE, SIGN, REVOKE = "waive", "sign", "revoke"


@dataclass(frozen=True)
class SignOff:
    """A named person signs a candidate in a role, until a date.

    Attributes:
        candidate: digest of just the versions and gates that were signed.
    """

    id: str
    role: str
    person: str
    authenticated: bool
    reason: str
    until: str
    created: str
    candidate: str


@dataclass(frozen=True)
class Decided:
    """The decisions about a system that hold now."""

    waivers: list[Waiver]
    sign_offs: list[SignOff]


def of_system(record: Record, name: str, now: datetime) -> Decided:
    """The decisions about a system that were not revoked and have not run out, oldest first.

    One whose person this record cannot name, since it came from another record or the name was erased, holds no longer:
    somebody has to answer for it.
    """
    rows = holding(record, name, now)
    people = deciding.people(record, [row["person"] for row in rows])
    waivers, sign_offs = [], []
    for row in (row for row in rows if people[row["person"]] != ERASED):
        about = {
            "id": row["id"], "person": people[row["person"]], "authenticated": row["authenticated"] == 1,
            "reason": row["reason"], "until": row["until"],
        }  # fmt: skip
        if row["kind"] == WAIVE:
            waivers.append(Waiver(**about, **row["details"]))
        else:
            sign_offs.append(SignOff(**about, **row["details"], created=row["created"]))
    return Decided(waivers, sign_offs)


def holding(record: Record, name: str | None, now: datetime) -> list[dict[str, Any]]:
    """The rows of the waivers and sign-offs of a system, or of all, that hold now, oldest first."""
    decision = tables.decision.c
    revoked = select(decision.about).where(decision.kind == REVOKE)
    where = [decision.kind.in_([WAIVE, SIGN]), decision.until >= stamp(now), decision.id.not_in(revoked)]
    where += [decision.about == name] if name is not None else []
    return record.rows(tables.decision, *where, order=(decision.created, decision.id))
