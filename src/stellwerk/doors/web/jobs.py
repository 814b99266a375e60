"""The pages of the eight jobs: what each is there for, what it can do, how its signals stand, what it made and what ran.

A job without operations yet is shown with its tasks, so that nobody looks for what is not there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from stellwerk.doors.web import results, trends
from stellwerk.doors.web.language import language_of
from stellwerk.doors.web.overview import Line, address_of, job_titles, line, moment, package_title
from stellwerk.doors.web.page import fragment, page, text, workspace_of
from stellwerk.errors import UserError
from stellwerk.operation import find, load, packages
from stellwerk.operations import JobLine
from stellwerk.record import assets
from stellwerk.report import words
from stellwerk.runs import execution
from stellwerk.standing.words import kind_word

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace

router = APIRouter()
LATEST = 8
PICTURES = 4


@router.get("/jobs")
def show_all(request: Request) -> Response:
    """The jobs with their tasks."""
    workspace = workspace_of(request)
    known = {one.job for one in _jobs(workspace)}
    others = [(name, package_title(request, name), load(name).values()) for name in sorted(packages()) if name not in known]
    top = [entry for entry in load("").values() if not entry.local]
    local = [entry for entry in load("").values() if entry.local]
    return page(
        request, "jobs.html", jobs=_jobs(workspace), titles=job_titles(request), others=others, top=top, local=local,
        said=lambda message: text(request, message), headline=results.headline, rest=results.rest,
    )  # fmt: skip


@router.get("/jobs/{job}")
def show(request: Request, job: str) -> Response:
    """One job."""
    workspace = workspace_of(request)
    found = _job(workspace, job)
    kinds = assets.made_by(workspace.record, job)
    runs = execution.call(workspace, find("runs.list"), {"operation": job, "limit": LATEST})
    language = language_of(request)
    return page(
        request,
        "job.html",
        job=found,
        title=package_title(request, job),
        operations=[entry for entry in (load(job).values() if found.operations else ()) if not entry.local],
        kinds=kinds,
        newest={kind: assets.find(workspace.record, kind=kind, limit=LATEST).assets for kind in kinds},
        runs=runs,
        systems=bool(found.tasks and workspace.specs("systems")),
        said=lambda message: text(request, message),
        headline=results.headline,
        rest=results.rest,
        kind_of=lambda kind: kind_word(kind, language),
        at=lambda when: moment(request, workspace, when),
        took=lambda seconds: "" if seconds is None else words.duration(seconds, language),
        address_of=address_of,
    )


@router.get("/jobs/{job}/signals")
def signals(request: Request, job: str) -> Response:
    """The job's signals over all systems, as a part of its page."""
    from stellwerk.standing.standing import names, standing

    workspace = workspace_of(request)
    _job(workspace, job)
    found: list[tuple[str, str, list[Line] | None]] = []
    for name in names(workspace):
        try:
            stands = standing(workspace, name)
        except UserError:
            found.append((name, name, None))
            continue
        mine = [line(request, workspace, stands, one, ()) for one in stands.signals if one.gate.job == job]
        found.append((name, stands.spec.title or name, mine))
    title = f"{package_title(request, job)}: {text(request, 'Signals')}"
    return fragment(request, "jobsignals.html", title, found=found)


@router.get("/jobs/{job}/pictures")
def pictures(request: Request, job: str) -> Response:
    """What the job made, over versions, as a part of its page."""
    workspace = workspace_of(request)
    _job(workspace, job)
    drawn: list[tuple[Any, str]] = []
    for kind in assets.made_by(workspace.record, job):
        for asset in assets.find(workspace.record, kind=kind, limit=20).assets:
            if len(drawn) == PICTURES:
                break
            one = _main(workspace, asset)
            if one is not None:
                drawn.append(
                    (
                        trends.Series(f"{asset.name}: {text(request, one.metric)}", one.unit, one.values),
                        trends.chart(request, one).svg(),
                    )
                )
    title = f"{package_title(request, job)}: {text(request, 'Over versions')}"
    return fragment(request, "trends.html", title, drawn=drawn, address="")


def _main(workspace: Workspace, asset: assets.AssetLine) -> trends.Series | None:
    """What says most of an asset in one picture: its rows, else what was measured and has changed."""
    if asset.kind == "source":
        return None
    rows = trends.rows_of(workspace.record, asset.kind, asset.name)
    if rows is not None:
        return rows
    return next(iter(trends.measured(workspace.record, asset.asset)), None)


def _jobs(workspace: Workspace) -> list[JobLine]:
    found: list[JobLine] = execution.call(workspace, find("jobs"), {}).jobs
    return found


def _job(workspace: Workspace, name: str) -> JobLine:
    """A job, or a package of operations that all jobs share, which has no tasks."""
    found = next((one for one in _jobs(workspace) if one.job == name), None)
    if found is None and name in packages():
        return JobLine(job=name, title="", tasks=[], operations=list(load(name)))
    if found is None:
        raise HTTPException(404, f"there is no job {name[:40]!r}; see them at /jobs")
    return found
