"""What runs now, as a part of pages that asks again by itself while something runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from stellwerk.doors.web.overview import operation_title
from stellwerk.doors.web.page import fragment, text, workspace_of
from stellwerk.record import tables
from stellwerk.runs import reading

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace

router = APIRouter()
MOST = 8


@router.get("/now")
def now(request: Request, busy: bool = False) -> Response:
    """The part alone.

    Args:
        request: of the page that holds it.
        busy: whether something ran when it was asked last; if not now, the signals have to be renewed.
    """
    found = happening(request, workspace_of(request))
    found["ended"] = busy and not found["running"]
    return fragment(request, "now.html", text(request, "What runs now"), **found)


def happening(request: Request, workspace: Workspace) -> dict[str, Any]:
    """What the template `now.html` shows: the runs that wait or work, each with how far it is."""
    lines = [
        line
        for state in ("running", "cancelling", "queued")
        for line in reading.lines(workspace.record, limit=MOST, state=state).runs
    ]
    lines = lines[:MOST]
    progress = tables.progress.c
    rows = workspace.record.rows(tables.progress, progress.run.in_([line.id for line in lines]), order=progress.updated)
    latest = {row["run"]: row for row in rows}
    running = []
    for line in lines:
        step = latest.get(line.id, {"step": "", "done": 0, "total": None, "unit": ""})
        title = ": ".join(part for part in (operation_title(request, line.operation), line.subject) if part)
        running.append(
            {
                "id": line.id,
                "title": title,
                "state": line.state,
                **{name: step[name] for name in ("step", "done", "total", "unit")},
            }
        )
    return {"running": running, "ended": False}
