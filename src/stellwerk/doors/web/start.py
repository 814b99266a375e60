"""The start page: one sentence, each system with its signals and what stops it, what waits for the reader, and what runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response

from stellwerk.doors import guard
from stellwerk.doors.web import beginning, now
from stellwerk.doors.web import overview as seen
from stellwerk.doors.web.comparing import changes
from stellwerk.doors.web.language import language_of, words
from stellwerk.doors.web.page import page, text, workspace_of
from stellwerk.doors.web.told import told
from stellwerk.errors import UserError
from stellwerk.findings import deciding, status
from stellwerk.operation import find

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace

router = APIRouter()
router.include_router(now.router)
router.include_router(beginning.router)
SOON = timedelta(days=14)
SHOWN = 6  # findings, and sentences of a change
LOOKED_AT = 200  # findings


@dataclass(frozen=True)
class Waiting:
    """Something that a person has to look at, and where."""

    sentence: str
    address: str


@router.get("/")
def start(request: Request) -> Response:
    """The page."""
    guard.require(request, find("signals"))
    workspace = workspace_of(request)
    systems = [seen.overview(request, workspace, name, timed=False) for name in workspace.specs("systems")]
    datasets = bool(workspace.specs("datasets"))
    return page(
        request,
        "start.html",
        systems=systems,
        headline=_headline(request, systems, datasets),
        changed={one.name: _changed(request, workspace, one) for one in systems},
        waits=_waits(request, workspace, systems),
        datasets=datasets,
        **now.happening(request, workspace),
    )


def _headline(request: Request, systems: list[seen.Overview], datasets: bool) -> str:
    if systems:
        return seen.headline(request, systems)
    return text(request, "There is no AI system yet.") if datasets else text(request, "Begin with one of these.")


def _changed(request: Request, workspace: Workspace, one: seen.Overview) -> dict[str, Any] | None:
    """What is not as it was when the system was released last; None while it was not, or that is not known here."""
    from stellwerk.release import frozen, gathering

    last = frozen.latest(workspace.record, one.name)
    if last is None or one.standing is None:
        return None
    try:
        manifest = frozen.manifest(workspace, last)
    except UserError:
        manifest = None
    found = changes(request, manifest.evidence, gathering.gather(workspace, one.standing)) if manifest else []
    return {
        "number": last.number,
        "address": seen.release_address(one.name, last.number),
        "sentences": found[:SHOWN],
        "more": len(found[SHOWN:]),
        "known": manifest is not None,
    }


def _waits(request: Request, workspace: Workspace, systems: list[seen.Overview]) -> list[Waiting]:
    """What waits for whoever reads: roles that must sign, waivers that are about to end, findings that nobody looks after."""
    soon = (datetime.now(UTC) + SOON).isoformat(timespec="microseconds")
    found = []
    for one in systems:
        if one.standing is None:
            continue
        address = f"/systems/{quote(one.name, safe='')}"
        for role in one.standing.unsigned:
            said = text(request, "%(system)s: the sign-off of %(role)s is missing.", system=one.name, role=role)
            found.append(Waiting(said, f"{address}#sign"))
        for waiver in one.standing.waivers:
            if waiver.until < soon:
                day = seen.last_day(request, waiver.until)
                said = text(
                    request, "%(system)s: the waiver for %(gate)s ends on %(day)s.", system=one.name, gate=waiver.gate, day=day
                )
                found.append(Waiting(said, f"{address}#waivers"))
    return found + _findings(request, workspace)


def _findings(request: Request, workspace: Workspace) -> list[Waiting]:
    """Open findings of the reader or of nobody, the most severe first; a sentence for those that have no place here."""
    at = datetime.now(UTC)
    me = deciding.person(workspace.record, workspace.actor) if workspace.actor else workspace.person
    rows = status.find(workspace.record, at, status="open", limit=LOOKED_AT)
    shown = [
        Waiting(told(words(language_of(request)), row["title"]), f"/findings/{row['id'][:12]}")
        for row in rows
        if row["owner"] in (None, me)
    ][:SHOWN]
    total = status.count(workspace.record, at, status="open")
    if total > len(shown):
        said = seen.plural(request, "%(num)s open finding in all", "%(num)s open findings in all", total)
        shown.append(Waiting(said, "/findings"))
    return shown
