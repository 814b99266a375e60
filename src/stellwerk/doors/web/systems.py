"""The page of an AI system: its signals with all that they rest on, what would mend them, and what people decide about them.

Shows and hands on: decisions and releases are operations, and the page says what they say.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from stellwerk.doors import guard
from stellwerk.doors.login import local_path
from stellwerk.doors.web import overview as seen
from stellwerk.doors.web.language import language_of
from stellwerk.doors.web.now import happening
from stellwerk.doors.web.page import page, text, workspace_of
from stellwerk.errors import UserError
from stellwerk.operation import find
from stellwerk.report import words
from stellwerk.report.words import duration
from stellwerk.runs import execution, queue

if TYPE_CHECKING:
    from stellwerk.release.mending import Mend
    from stellwerk.workspace import Workspace

router = APIRouter()
MONTH = timedelta(days=30)
EMPTY = {"what": "", "reason": "", "until": "", "role": "", "said": "", "valid": ""}


@router.get("/systems/{name}")
def show(request: Request, name: str, gate: str = "", asset: str = "") -> Response:
    """The page; `gate` and `asset` say which signal the form for a waiver begins with."""
    return _page(request, name, {"what": f"{gate} {asset}"})


@router.post("/systems/{name}/mend")
def mend(request: Request, name: str, gate: str = Form(""), back: str = Form("/")) -> Response:
    """Start the runs that would mend one gate, or all of them."""
    from stellwerk.release import mending
    from stellwerk.standing.standing import standing

    guard.require(request, find("mend"))
    workspace = workspace_of(request)
    wanted = [one for one in mending.mends(workspace, standing(workspace, name)) if gate in ("", one.gate)]
    for one in mending.apart(wanted):
        guard.require(request, find(str(one.operation)))
    failed = [started.error for started in mending.start(workspace, wanted) if started.error]
    if failed:
        return _page(request, name, {}, " ".join(failed))
    return RedirectResponse(local_path(back), 303)


@router.post("/systems/{name}/waive")
def waive(request: Request, name: str, what: str = Form(""), reason: str = Form(""), until: str = Form("")) -> Response:
    """Let a caution or a stop pass until a date."""
    gate, _, asset = what.partition(" ")
    values = {"system": name, "gate": gate, "asset": asset, "reason": reason, "until": until}
    return _decide(request, name, "release.waive", values, {"what": what, "reason": reason, "until": until}, "waivers")


@router.post("/systems/{name}/revoke")
def revoke(request: Request, name: str, decision: str = Form(""), reason: str = Form("")) -> Response:
    """Take a waiver or a sign-off back."""
    return _decide(request, name, "release.revoke", {"decision": decision, "reason": reason}, {}, "gates")


@router.post("/systems/{name}/sign")
def sign(request: Request, name: str, role: str = Form(""), reason: str = Form(""), until: str = Form("")) -> Response:
    """Sign the candidate in a role."""
    values = {"system": name, "role": role, "reason": reason, "until": until}
    return _decide(request, name, "release.sign", values, {"role": role, "said": reason, "valid": until}, "sign")


@router.post("/systems/{name}/release")
def release(request: Request, name: str) -> Response:
    """Hand the making of a release to a worker, and show that run."""
    operation = find("release.make")
    guard.require(request, operation)
    run = queue.enqueue(workspace_of(request), operation, {"system": name})
    return RedirectResponse(f"/runs/{quote(run)}", 303)


def _decide(
    request: Request, name: str, path: str, values: Mapping[str, Any], typed: Mapping[str, str], section: str
) -> Response:
    """Note a decision, or show the page again with the reason why not and with what was typed."""
    operation = find(path)
    guard.require(request, operation)
    try:
        execution.call(workspace_of(request), operation, {key: value for key, value in values.items() if value != ""})
    except UserError as error:
        return _page(request, name, typed, str(error))
    return RedirectResponse(f"/systems/{quote(name, safe='')}#{section}", 303)


def _page(request: Request, name: str, typed: Mapping[str, str], fault: str = "") -> Response:
    from stellwerk.release import mending

    workspace = workspace_of(request)
    try:
        file = workspace.spec_path("systems", name)
    except UserError as error:
        raise HTTPException(404, str(error)) from None
    yaml = file.read_text(encoding="utf-8-sig", errors="replace")
    one = seen.overview(request, workspace, name)
    by_job: dict[str, list[seen.Line]] = {}
    for line in one.lines:
        by_job.setdefault(line.signal.gate.job, []).append(line)
    waivers = seen.waivers_of(one.standing) if one.standing else []
    stops = {id(line): number for number, line in enumerate(one.stops, start=1)}
    month = (date.today() + MONTH).isoformat()
    begin = {"until": month, "valid": month}
    return page(
        request,
        "system.html",
        422 if fault else 200,
        one=one,
        yaml=yaml,
        fault=fault,
        by_job=by_job,
        numbers=lambda line: stops.get(id(line)),
        waivable=[line for line in one.stops if line.signal.state in ("stop", "caution") and line.signal.subject],
        waivers=waivers,
        last_day=lambda until: seen.last_day(request, until),
        signs=_signs(request, workspace, one),
        mends=[_planned(request, mend) for mend in mending.apart(one.mends)],
        todo=_todo(one.mends),
        typed={**EMPTY, **begin, **typed},
        **happening(request, workspace),
    )


def _signs(request: Request, workspace: Workspace, one: seen.Overview) -> list[dict[str, Any]]:
    """The sign-offs that were given; one for another candidate does not hold."""
    return [
        {
            "role": sign.role,
            "person": sign.person,
            "authenticated": sign.authenticated,
            "reason": sign.reason,
            "created": seen.moment(request, workspace, sign.created),
            "holds": one.standing is not None and sign.candidate == one.standing.signable,
        }
        for sign in (one.standing.sign_offs if one.standing else [])
    ]


def _planned(request: Request, mend: Mend) -> dict[str, Any]:
    """What a run would do, and how long it is likely to take."""
    said = text(request, "time not yet known")
    if mend.seconds is not None:
        said = text(request, "about %(time)s", time=duration(mend.seconds.median, language_of(request)))
    for one in mend.money:
        said += f", {words.number(one.median, language_of(request), 2)} {one.unit}"
    return {"title": seen.operation_title(request, mend.operation or ""), "values": mend.values, "time": said}


def _todo(mends: list[Mend]) -> list[str]:
    """What only a person can do, each thing once."""
    return list(dict.fromkeys(seen.sentence(mend.person) for mend in mends if mend.person and mend.gate))
