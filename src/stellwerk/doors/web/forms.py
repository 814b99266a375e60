"""The page of an operation: its form, the same as YAML, what it will take, its command and REST call, and the answer.

A query is answered on the page, a run goes to a worker and to its own page. What may name a person is never shown again.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from stellwerk.doors import guard
from stellwerk.doors.web import faults, results, specfiles
from stellwerk.doors.web import fields as form_fields
from stellwerk.doors.web.fields import Field
from stellwerk.doors.web.language import language_of
from stellwerk.doors.web.overview import package_title
from stellwerk.doors.web.page import fragment, page, text, workspace_of
from stellwerk.doors.web.tablefiles import table_file
from stellwerk.errors import StellwerkError, UserError
from stellwerk.operation import LocalPath, Operation, Sensitive, find, packages
from stellwerk.report import words
from stellwerk.report.tables import TableOf
from stellwerk.runs import exchange
from stellwerk.specfile import parse

if TYPE_CHECKING:
    from stellwerk.doors.answering import Answers
    from stellwerk.workspace import Workspace

router = APIRouter()
router.include_router(specfiles.router)
GO = "do"  # in the address of a query that is to be answered
OURS = frozenset({GO, "view", "part", "as", "switch", "yaml", "csrf"})  # beside the parameters in addresses and forms


@dataclass
class Form:
    """A form with what was typed into it.

    Attributes:
        typed: by the names of fields, as text.
        given: the same as values of a call.
        yaml: the values as YAML, where they were typed so.
        as_yaml: whether the form shows YAML.
        wrong: sentences about the whole.
        status: of the answer.
        result: of a query, as JSON.
        answered: whether there is one.
    """

    entry: Operation
    fields: list[Field]
    typed: Mapping[str, str] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)
    yaml: str = ""
    as_yaml: bool = False
    wrong: list[str] = field(default_factory=list)
    status: int = 200
    result: Any = None
    answered: bool = False


async def _sent(request: Request) -> AsyncIterator[FormData]:
    async with request.form(max_files=20, max_fields=200) as form:
        yield form


@router.get("/operations/{path}")
async def show(request: Request, path: str) -> Response:
    """The form; with `do` in the address of a query its answer too, with `part` and `as` one of its tables as a file."""
    entry = _entry(path)
    asked = request.query_params
    typed = {name: asked[name] for name in entry.parameters if name in asked and not _hidden(entry, name)}
    workspace = await run_sync(workspace_of, request)
    form = await run_sync(lambda: _filled(workspace, entry, typed, sent=GO in asked))
    form.as_yaml = asked.get("view") == "yaml"
    if GO in asked and by_link(entry) and not form.as_yaml:
        await _answer(request, workspace, form)
        wanted = asked.get("as")
        if form.answered and wanted:
            return await run_sync(
                lambda: table_part(request, form.result, asked.get("part", ""), wanted, path.replace(".", "-"))
            )
    return await run_sync(_page, request, workspace, form)


@router.post("/operations/{path}")
async def send(request: Request, path: str, sent: Annotated[FormData, Depends(_sent)]) -> Response:
    """Start the run, or answer the query; `switch` only shows the same in the other view."""
    entry = _entry(path)
    workspace = await run_sync(workspace_of, request)
    form = await run_sync(lambda: _read(request, workspace, entry, sent))
    if "switch" in sent:
        form.as_yaml = not form.as_yaml and not form.wrong
        for one in form.fields:
            one.fault = ""
        return await run_sync(_page, request, workspace, form)
    guard.require(request, entry)
    files = {name: file for name, file in sent.items() if isinstance(file, UploadFile) and file.filename}
    for name, file in files.items():
        if name in entry.parameters:
            form.given[name] = await run_sync(_keep, workspace, file)
    if entry.kind == "query":
        await _answer(request, workspace, form)
    elif await run_sync(lambda: _check(request, form)):
        try:
            queued = await run_sync(lambda: answers_of(request).start(workspace, entry, form.given))
            return RedirectResponse(f"/runs/{queued.id}", 303)
        except StellwerkError as error:
            _refused(form, error)
    return await run_sync(_page, request, workspace, form)


@router.get("/operations/{path}/plan")
def plan(request: Request, path: str) -> Response:
    """What a run is likely to take, as a part of its page."""
    from stellwerk.runs import planning

    entry = _entry(path)
    guard.require(request, find("runs.plan"))
    subject = request.query_params.get(entry.subject.name) if entry.subject else None
    found = planning.plan(workspace_of(request), entry, subject or None)
    language = language_of(request)
    shown = []
    for one in found.estimates:
        by, unit = (1000, "MB") if one.unit == "GB" and one.high < 1 else (1, one.unit)
        low, high = one.low * by, one.high * by
        value = words.interval(one.median * by, low, high, unit, language)
        shown.append((text(request, "Time") if one.what == "time" else text(request, "Disk"), value))
    title = f"{results.headline(text(request, entry.title))}: {text(request, 'What it will take')}"
    return fragment(request, "plan.html", title, plan=found, estimates=shown, subject=subject)


@router.get("/operations/{path}/file")
def file(request: Request, path: str) -> Response:
    """The spec file that a field names, as a part of the page."""
    entry = _entry(path)
    named = next((one for one in form_fields.fields(workspace_of(request), entry, request.query_params) if one.spec), None)
    if named is None or named.spec is None:
        raise HTTPException(404, f"{path} names no spec file")
    return specfiles.part(request, named.spec, named.value.partition("@")[0])


def answers_of(request: Request) -> Answers:
    """Who answers for this server: the one of its REST door, else one for the pages alone."""
    from stellwerk.doors.answering import Answers

    state = request.app.state
    if not hasattr(state, "answers"):
        state.answers = Answers(state.workspace)
    found: Answers = state.answers
    return found


def by_link(entry: Operation) -> bool:
    """Whether an address can ask for it: it changes nothing, and takes neither a file nor what may name a person."""
    markers = [parameter.marker for parameter in entry.parameters.values()]
    return not entry.changes and not any(isinstance(marker, Sensitive | LocalPath) for marker in markers)


def _entry(path: str) -> Operation:
    try:
        return find(path)
    except UserError as error:
        raise HTTPException(404, str(error)) from None


def _hidden(entry: Operation, name: str) -> bool:
    """Whether a value is never put into a text: it may name a person, or is a file."""
    return name in entry.parameters and isinstance(entry.parameters[name].marker, Sensitive | LocalPath)


def _filled(workspace: Workspace, entry: Operation, typed: Mapping[str, str], *, sent: bool) -> Form:
    found = form_fields.fields(workspace, entry, typed, sent=sent)
    return Form(entry, found, typed, form_fields.values(found, typed))


def _read(request: Request, workspace: Workspace, entry: Operation, sent: FormData) -> Form:
    """What was sent, as a form or as YAML; with YAML come the fields that it cannot hold."""
    typed = {name: value for name, value in sent.items() if isinstance(value, str) and name in entry.parameters}
    said = sent.get("yaml")
    if not isinstance(said, str):
        return _filled(workspace, entry, typed, sent=True)
    form = _filled(workspace, entry, typed, sent=True)
    form.yaml, form.as_yaml = said.replace("\r\n", "\n"), True
    beside = {name: value for name, value in form.given.items() if _hidden(entry, name)}
    try:
        value = parse(form.yaml, text(request, "the YAML")).value
    except UserError as error:
        form.wrong, form.status = [str(error)], 422
        return form
    if not isinstance(value, dict | None):
        form.wrong, form.status = [text(request, "The YAML holds no names with values, such as dataset: tickets.")], 422
        return form
    given = {str(name): part for name, part in (value or {}).items() if part is not None and not _hidden(entry, name)}
    shown = form_fields.texts({name: part for name, part in given.items() if name in entry.parameters})
    form.fields = form_fields.fields(workspace, entry, {n: t for n, t in shown.items() if t != "false"}, sent=True)
    form.given = {**given, **beside}
    return form


def _check(request: Request, form: Form) -> bool:
    """Whether the values fit their parameters; if not, each fault stands beside its field."""
    if form.wrong:
        return False
    try:
        form_fields.model(form.entry).model_validate(form.given)
    except ValidationError as error:
        by_name = {one.name: one for one in form.fields}
        for fault in error.errors():
            name, sentence = str(fault["loc"][0]) if fault["loc"] else "", faults.sentence(request, fault)
            if name in by_name and not by_name[name].fault:
                by_name[name].fault = sentence
            elif name not in by_name:
                form.wrong.append(f"{name}: {sentence}")
        form.status = 422
        return False
    return True


async def _answer(request: Request, workspace: Workspace, form: Form) -> None:
    """Answer a query, in a process of its own where it reads data."""
    guard.require(request, form.entry)
    if not await run_sync(_check, request, form):
        return
    try:
        raw = await answers_of(request).answer(workspace, form.entry, form.given)
    except StellwerkError as error:
        _refused(form, error)
        return
    form.result, form.answered = json.loads(raw), True


def _refused(form: Form, error: StellwerkError) -> None:
    form.wrong, form.status = str(error).splitlines(), 422


def _keep(workspace: Workspace, file: UploadFile) -> str:
    """Keep a file that came with a form; returns its reference."""
    import shutil

    with workspace.store.partial() as place:
        with place.open("wb") as target:
            shutil.copyfileobj(file.file, target)
        return exchange.keep(workspace, place, file.filename or "file").reference


def table_part(request: Request, result: Any, table: str, wanted: str, name: str) -> Response:
    """A table of a result as a file.

    Raises:
        HTTPException: 404, it has no such table, or no file of the kind is offered.
    """
    found = results.tables(result)
    part = found.get(table)
    if part is None:
        raise HTTPException(404, "there is no such table")
    rows = [tuple(results.cell(value) for value in row) for row in part.rows]
    return table_file(request, [TableOf(part.title or "result", tuple(part.columns), rows)], name, wanted)


def _page(request: Request, workspace: Workspace, form: Form) -> Response:
    entry = form.entry
    if form.as_yaml and not form.yaml:
        form.yaml = form_fields.as_yaml(entry, form.fields, form.given, lambda message: text(request, message))
    job = entry.package if entry.package in packages() else ""
    again = {name: value for name, value in form_fields.texts(form.given).items() if not _hidden(entry, name)}
    link = f"/operations/{entry.path}?{urlencode({GO: 1, **again})}"
    shown = results.for_reader(form.result, language_of(request)) if form.answered else []
    return page(
        request,
        "operation.html",
        form.status,
        form=form,
        entry=entry,
        job=job,
        title=results.headline(text(request, entry.title)),
        more=results.rest(text(request, entry.title)),
        description=[text(request, part) for part in _paragraphs(entry)],
        said=lambda message: text(request, message),
        job_title=package_title(request, job),
        by_link=by_link(entry),
        spec=next((one for one in form.fields if one.spec), None),
        subject=entry.subject.name if entry.subject else None,
        command=command(entry, form.given),
        call=_rest(request, entry, form.given),
        parts=shown,
        downloads=(form.result.get("downloads") or []) if isinstance(form.result, dict) else [],
        link=link,
        empty_result=form.answered and not shown,
        links=results.links,
    )


def _paragraphs(entry: Operation) -> list[str]:
    """What the docstring says after its first line, a line each."""
    return [" ".join(part.split()) for part in entry.description.split("\n\n")[1:]]


def command(entry: Operation, given: Mapping[str, Any]) -> str:
    """The command line that does the same; what is not known yet stands in capitals."""
    parts = ["stellwerk", *([entry.package] if entry.package else []), entry.name]
    for name, parameter in entry.parameters.items():
        option = f"--{name.replace('_', '-')}"
        value = given.get(name)
        if isinstance(parameter.marker, Sensitive | LocalPath):
            value = name.upper() if parameter.required or value is not None else None
        if value is None and parameter.required:
            value = name.upper()
        if value is None or value == parameter.default:
            continue
        if parameter.required:
            parts.append(shlex.quote(str(value)))
        elif value is True:
            parts.append(option)
        elif isinstance(value, list):
            parts += [f"{option} {shlex.quote(str(one))}" for one in value]
        else:
            parts.append(f"{option} {shlex.quote(json.dumps(value) if isinstance(value, dict | bool) else str(value))}")
    return " ".join(parts)


def _rest(request: Request, entry: Operation, given: Mapping[str, Any]) -> str:
    """The REST call that does the same."""
    body = {
        name: f"<{name}>" if _hidden(entry, name) else given[name]
        for name in entry.parameters
        if name in given and given[name] != entry.parameters[name].default
    }
    address = f"{str(request.base_url).rstrip('/')}/api/{entry.path.replace('.', '/')}"
    data = json.dumps(body, ensure_ascii=False)
    return f"curl -X POST {address} -H 'Content-Type: application/json' -d {shlex.quote(data)}"
