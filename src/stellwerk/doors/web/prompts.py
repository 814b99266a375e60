"""The library of prompts, one version of a prompt, and what differs between two; the editor is in `prompt_editor.py`.

Asks operations and the record. Nothing here changes anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from stellwerk.doors.web import linediff, prompt_editor, prompt_preview, prompt_standing, prompt_tests, trends
from stellwerk.doors.web.language import language_of
from stellwerk.doors.web.page import fragment, page, text, workspace_of
from stellwerk.doors.web.prompt_known import KIND, Known, known
from stellwerk.doors.web.tablefiles import table_file
from stellwerk.errors import UserError
from stellwerk.jobs.prompts.rendering import parameters
from stellwerk.llm.prompts import FOLDER, SUFFIX, versions
from stellwerk.llm.prompts.tokens import estimate
from stellwerk.operation import find
from stellwerk.report import words
from stellwerk.report.tables import tables_of
from stellwerk.runs import execution
from stellwerk.workspace import NAME

if TYPE_CHECKING:
    from stellwerk.record.describing import VersionReport

router = APIRouter()
PICTURES = 6
NOW = "now"  # in an address: the file as it is now


@router.get("/prompts")
def library(request: Request, search: str = "", stale: str = "", new: str = "", format: str = "") -> Response:
    """The prompts, those that hold a text, or those of which no test holds; `new` begins one of this name."""
    fault = ""
    if name := new.strip():
        if NAME.fullmatch(name):
            return RedirectResponse(f"/prompts/{quote(name)}", 303)
        fault = text(request, "A name has letters, digits, - and _ alone, such as reply or reply-short.")
    workspace = workspace_of(request)
    given: dict[str, Any] = {"search": search.strip() or None, "stale": bool(stale)}
    found = execution.call(workspace, find("prompts.library"), given)
    if format:
        return table_file(request, tables_of(found.prompts, "prompts"), "prompts", format)
    return page(
        request, "prompts.html", 422 if fault else 200, prompts=found.prompts, search=search, stale=bool(stale), fault=fault,
        new=new, files=set(workspace.specs(FOLDER, SUFFIX)), **prompt_standing.common(request, workspace),
    )  # fmt: skip


@router.get("/prompts/{name}/tests")
def pictures(request: Request, name: str) -> Response:
    """The pictures of a prompt's tests, one for each suite and model, as a part of its page."""
    workspace = workspace_of(request)
    found = _there(request, name)
    bounds = trends.thresholds(workspace, KIND, name).get(prompt_tests.PASSED, (None, None))
    drawn = []
    for suite, model, points in prompt_tests.series(prompt_tests.tests_of(workspace.record, list(found.versions)))[:PICTURES]:
        title = text(request, "Share that passed, %(suite)s with %(model)s", suite=suite, model=model)
        picture = prompt_tests.chart(points, title, bounds[0], bounds[1], language_of(request)).svg()
        drawn.append((title, any(one.simulated for one in points), picture))
    title = f"{name}: {text(request, 'Tests over versions')}"
    return fragment(request, "prompt_pictures.html", title, drawn=drawn)


@router.get("/prompts/{name}/diff")
def diff(request: Request, name: str, first: str = "", second: str = "") -> Response:
    """What differs between two versions, or between one and the file: such as `2`, `now` or `other@1`."""
    workspace = workspace_of(request)
    found = _there(request, name)
    choices = [(NOW, text(request, "the file now"))] if found.text is not None else []
    choices += [(str(one.number), f"@{one.number}") for one in reversed(found.versions)]
    second = second or choices[0][0]
    numbers = [choice for choice, _ in choices if choice != second]
    first = first or (numbers[0] if numbers else second)
    for given in (first, second):
        if given not in dict(choices):
            choices.append((given, given))
    compared, fault = None, ""
    try:
        asked = {"first": _reference(found, first), "second": _reference(found, second)}
        compared = execution.call(workspace, find("prompts.diff"), asked)
    except UserError as error:
        fault = str(error)
    return page(
        request, "prompt_diff.html", 422 if fault else 200, name=name, known=found, first=first, second=second, choices=choices,
        compared=compared, fault=fault, asked=asked,
        messages=[(one, linediff.marked([(line.sign, line.text) for line in one.lines])) for one in compared.messages]
        if compared else [],
        whole=linediff.of_unified(compared.text.split("\n")) if compared else [],
        **prompt_standing.common(request, workspace),
    )  # fmt: skip


@router.get("/prompts/{name}/{number:int}")
def version(request: Request, name: str, number: int) -> Response:
    """One version: its messages, what describes it, what was measured."""
    workspace = workspace_of(request)
    found = _there(request, name)
    place = next((i for i, one in enumerate(found.versions) if one.number == number), None)
    if place is None:
        raise HTTPException(404, f"there is no prompt/{name}@{number}; see them at /prompts/{name}")
    one = found.versions[place]
    report: VersionReport = execution.call(workspace, find("show"), {"reference": one.ref})
    prompt = versions.prompt_of(workspace, one) if not report.removed else None
    language = language_of(request)
    return page(
        request,
        "prompt_version.html",
        name=name,
        known=found,
        version=one,
        report=report,
        before=found.versions[place - 1] if place else None,
        after=found.versions[place + 1] if place + 1 < len(found.versions) else None,
        prompt=prompt,
        messages=prompt_preview.templates(prompt) if prompt else [],
        tokens=estimate(prompt.text) if prompt else None,
        parameters=parameters(prompt.params) if prompt else {},
        facts={key: value for key, value in one.facts.items() if key not in ("inputs", "file", "description")},
        content=versions.text_of(workspace, one) if prompt else "",
        tests=prompt_tests.tests_of(workspace.record, [one]),
        measured=[
            (line, words.interval(line.value, line.low, line.high, line.unit, language))
            for line in report.measurements
            if line.value is not None
        ],
        forms=found.forms(request.state.caller.scopes, f"{name}@{number}"),
        **prompt_standing.common(request, workspace),
    )


router.include_router(prompt_editor.router)


def _there(request: Request, name: str) -> Known:
    """A prompt that has a file or a version."""
    found = known(workspace_of(request), name)
    if found.text is None and not found.versions:
        raise HTTPException(404, f"there is no prompt {name}; see them at /prompts")
    return found


def _reference(found: Known, given: str) -> str:
    return found.name if given == NOW else f"{found.name}@{given}" if given.isdecimal() else given
