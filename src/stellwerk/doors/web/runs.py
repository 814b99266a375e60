"""The pages of runs: the list with its filters, and one run as it goes, with what it read, made and found, and what failed.

Starts, stops and resumes through operations and the queue alone.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from stellwerk.doors import guard
from stellwerk.doors.web import forms, results
from stellwerk.doors.web.language import language_of
from stellwerk.doors.web.overview import address_of, moment
from stellwerk.doors.web.page import page, text, workspace_of
from stellwerk.doors.web.tablefiles import table_file
from stellwerk.errors import UserError
from stellwerk.operation import LocalPath, Operation, find
from stellwerk.record import tables
from stellwerk.report import words
from stellwerk.report.tables import tables_of
from stellwerk.runs import execution, queue, reading
from stellwerk.runs.operations import GOING, SILENT
from stellwerk.runs.reading import RunReport, StepLine

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace

router = APIRouter()
ON_A_PAGE = 50
TAKEN = 1000  # rows of a file
_FAULT = re.compile(r"\w+( in [\w.]+, line \d+)?")


@dataclass(frozen=True)
class Bar:
    """A step on the time line of a run; `left` and `width` are in per cent of the whole."""

    step: StepLine
    left: float
    width: float
    time: str

    @property
    def reused(self) -> bool:
        """Whether nothing of it had to be done."""
        return self.step.reused == self.step.shards


@router.get("/runs")
def show_all(
    request: Request, number: int = 1, state: str = "", operation: str = "", person: str = "", format: str = ""
) -> Response:
    """The runs, the newest first; `number` is the page."""
    workspace = workspace_of(request)
    filters = {"state": state, "operation": operation, "person": person}
    given: dict[str, Any] = {name: value for name, value in filters.items() if value}
    if format:
        taken = execution.call(workspace, find("runs.list"), {**given, "limit": TAKEN, "page": max(number, 1)})
        return table_file(request, tables_of(taken.runs, "runs"), "runs", format)
    found = execution.call(workspace, find("runs.list"), {**given, "limit": ON_A_PAGE, "page": max(number, 1)})
    language = language_of(request)
    return page(
        request,
        "runs.html",
        runs=found.runs,
        total=found.total,
        number=number,
        last=ceil(found.total / ON_A_PAGE),
        filters=filters,
        address=f"/runs?{urlencode(given)}{'&' if given else ''}number=",
        files=f"/runs?{urlencode(given)}{'&' if given else ''}format=",
        states=reading.STATES,
        operations=reading.operations_of(workspace.record),
        people=reading.names_of(workspace.record),
        at=lambda when: moment(request, workspace, when),
        took=lambda seconds: "" if seconds is None else words.duration(seconds, language),
    )


@router.get("/runs/{run}")
def show(request: Request, run: str, part: str = "") -> Response:
    """One run; with `part` and `as` a table of its result as a file."""
    workspace = workspace_of(request)
    report = _report(workspace, run)
    if wanted := request.query_params.get("as"):
        return forms.table_part(request, report.result, part, wanted, f"run-{report.run}")
    return _page(request, workspace, report)


@router.post("/runs/{run}/cancel")
def cancel(request: Request, run: str) -> Response:
    """Ask it to stop."""
    return _change(request, run, "runs.cancel")


@router.post("/runs/{run}/resume")
def resume(request: Request, run: str) -> Response:
    """Let a worker go on with it."""
    return _change(request, run, "runs.resume")


@router.post("/runs/{run}/again")
def again(request: Request, run: str) -> Response:
    """Start another one with the same parameters; the form asks for what is not kept."""
    workspace = workspace_of(request)
    report = _report(workspace, run)
    entry = find(report.operation)
    guard.require(request, entry)
    given, whole = _same(entry, report.parameters)
    if not whole:
        known = {name: value for name, value in given.items() if isinstance(value, str | int | float)}
        return RedirectResponse(f"/operations/{entry.path}?{urlencode(known)}", 303)
    return RedirectResponse(f"/runs/{queue.enqueue(workspace, entry, given)}", 303)


def _same(entry: Operation, parameters: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """The parameters of an earlier run that can be given again, and whether these are all."""
    given, whole = {}, True
    for name, value in parameters.items():
        parameter = entry.parameters.get(name)
        if parameter is None or value is None:
            continue
        if isinstance(parameter.marker, LocalPath):
            sent = str(value).startswith("upload:")
            whole &= sent or parameter.marker.writes
            if not sent:
                continue
        if isinstance(value, dict) and "keyed" in value:
            whole = False
            continue
        given[name] = value
    return given, whole


def _change(request: Request, run: str, operation: str) -> Response:
    entry = find(operation)
    guard.require(request, entry)
    workspace = workspace_of(request)
    report = _report(workspace, run)
    try:
        execution.call(workspace, entry, {"run_id": report.id})
    except UserError as error:
        return _page(request, workspace, _report(workspace, run), str(error))
    return RedirectResponse(f"/runs/{quote(report.id)}", 303)


def _report(workspace: Workspace, run: str) -> RunReport:
    try:
        found: RunReport = execution.call(workspace, find("runs.show"), {"run_id": run})
    except UserError as error:
        raise HTTPException(404, str(error)) from None
    return found


def _page(request: Request, workspace: Workspace, report: RunReport, fault: str = "") -> Response:
    going = report.state in GOING
    result = (
        report.result if isinstance(report.result, dict) else {"result": report.result} if report.result is not None else {}
    )
    language = language_of(request)
    progress = workspace.record.rows(tables.progress, tables.progress.c.run == report.id, order=tables.progress.c.updated)
    entry = _known(report.operation)
    decides = entry is not None and entry.scope == "approve"
    return page(
        request,
        "run.html",
        422 if fault else 200,
        fault=fault,
        run=report,
        entry=entry,
        title=results.headline(text(request, entry.title)) if entry else report.operation,
        subject=next((value for value in report.parameters.values() if isinstance(value, str)), ""),
        parameters=[
            (name, _parameter(value)) for name, value in report.parameters.items() if value not in (None, False, [], {})
        ],
        going=going,
        lonely=report.state == "queued" and not _worker_lives(workspace),
        advice="" if decides else advice(request, report),
        own_words=bool(report.error) and not _FAULT.fullmatch(report.error or ""),
        progress=progress,
        bars=bars(report, language),
        measured=[
            (line, words.interval(line.value, line.low, line.high, line.unit, language))
            for line in report.measurements
            if line.value is not None
        ],
        parts=results.for_reader(result, language),
        downloads=result.get("downloads") or [],
        links=results.links,
        address_of=address_of,
        at=lambda when: moment(request, workspace, when),
        took=words.duration(_seconds(report.started, report.finished), language) if report.started and report.finished else "",
        may_resume=report.state in ("interrupted", "cancelled", "failed") and _kept(report.parameters) and not decides,
    )


def _known(operation: str) -> Operation | None:
    """The operation of a run; None where the package that brought it is gone."""
    try:
        return find(operation)
    except UserError:
        return None


def _parameter(value: Any) -> str | None:
    """A parameter as it is shown; None where it is not kept since it may name a person."""
    if isinstance(value, dict) and "keyed" in value:
        return None
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _kept(parameters: Mapping[str, Any]) -> bool:
    return all(_parameter(value) is not None for value in parameters.values())


def _worker_lives(workspace: Workspace) -> bool:
    seen = tables.worker.c.seen
    return bool(workspace.record.rows(tables.worker, seen > time.time() - SILENT, limit=1))


def advice(request: Request, report: RunReport) -> str:
    """What a person can do about a run that ended early."""
    if report.state == "failed" and _FAULT.fullmatch(report.error or ""):
        return text(
            request,
            "This is a fault of Stellwerk, not of your data. Go on with the run once; if it fails at the same place again, "
            "report the place that is named.",
        )
    if report.state == "failed":
        return text(request, "Mend what the sentence names, then go on with the run. What is finished is not done again.")
    if report.state == "interrupted":
        return text(request, "Its process ended before the run did. Go on with it: what is finished is kept.")
    if report.state == "cancelled":
        return text(request, "Somebody stopped it. What is finished is kept, and the run can go on.")
    return ""


def bars(report: RunReport, language: words.Language) -> list[Bar]:
    """The steps of a run along its time."""
    if not report.steps or not report.started:
        return []
    ends = [_seconds(report.started, step.finished) for step in report.steps]
    whole = max([*ends, _seconds(report.started, report.finished) if report.finished else 0.0, 0.001])
    found = []
    for step, end in zip(report.steps, ends, strict=True):
        start = max(end - step.seconds, 0.0)
        width = max(100 * (end - start) / whole, 0.6)
        said = "" if step.reused == step.shards else words.duration(step.seconds, language)
        found.append(Bar(step, min(100 * start / whole, 100 - width), width, said))
    return found


def _seconds(start: str, end: str) -> float:
    return max((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 0.0)
