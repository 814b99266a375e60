"""Where a prompt is written: its text beside what it becomes, with values typed or of a case, asked once, and saved.

Saving is the operation `prompts.save`, which overwrites nobody's change; everything else here keeps nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Request
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from stellwerk.doors import guard
from stellwerk.doors.web import linediff, prompt_standing, results
from stellwerk.doors.web.forms import answers_of
from stellwerk.doors.web.language import language_of
from stellwerk.doors.web.page import page, text, workspace_of
from stellwerk.doors.web.prompt_known import Known, known
from stellwerk.doors.web.prompt_preview import Preview, preview, values
from stellwerk.doors.web.specfiles import Mistake
from stellwerk.errors import StellwerkError, UserError
from stellwerk.llm.prompts import versions
from stellwerk.operation import find
from stellwerk.runs import execution

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stellwerk.workspace import Workspace

router = APIRouter()
VALUE = "value."  # begins the names of fields that hold values


@dataclass
class Desk:
    """What lies in the editor.

    Attributes:
        text: of the prompt.
        digest: of the file's text that it was made from; empty where there was none.
        typed: values, by the names of inputs.
        suite: whose cases give values.
        case: which one, counted from 1.
        names: of the inputs that have a field on the page.
        mistakes: of saving.
        theirs: what differs between the file as somebody else left it and what was typed.
        now: digest of that file.
        fault: of a case or a model.
        tried: what a model answered.
    """

    text: str
    digest: str = ""
    typed: dict[str, str] = field(default_factory=dict)
    suite: str = ""
    case: int = 1
    model: str = ""
    names: str = ""
    mistakes: list[Mistake] = field(default_factory=list)
    theirs: list[linediff.Line] = field(default_factory=list)
    now: str = ""
    fault: str = ""
    tried: Any = None
    taken: str = ""


async def _sent(request: Request) -> AsyncIterator[FormData]:
    async with request.form(max_files=0, max_fields=300) as form:
        yield form


@router.get("/prompts/{name}")
def show(request: Request, name: str, origin: int | None = None, saved: str = "") -> Response:
    """The prompt; with `origin` the text of a version lies in the editor."""
    workspace = workspace_of(request)
    found = known(workspace, name)
    if found.text is None and not found.versions and "admin" not in request.state.caller.scopes:
        raise HTTPException(404, f"there is no prompt {name}; see them at /prompts")
    desk = Desk(_begun(request, workspace, found, origin), found.digest)
    desk.suite, desk.model = (next(iter(names), "") for names in (found.suites, found.models))
    if desk.suite and found.prompt is not None and found.prompt.inputs:
        _take(workspace, desk)
        desk.fault = ""  # a suite that does not fit is told of where it is asked for
    return _page(request, workspace, found, desk, saved=saved, origin=origin)


@router.post("/prompts/{name}")
async def send(request: Request, name: str, sent: Annotated[FormData, Depends(_sent)]) -> Response:
    """Save; or, for browsers without scripts, show what the parts of this page show."""
    workspace = await run_sync(workspace_of, request)
    desk = _desk(sent)
    if sent.get("do") in ("save", "replace"):
        return await run_sync(lambda: _save(request, workspace, name, desk, replacing=sent.get("do") == "replace"))
    guard.require(request, find("prompts.render"))
    if sent.get("do") == "values":
        await run_sync(_take, workspace, desk)
    if sent.get("do") == "try":
        await _try(request, workspace, name, desk)
    found = await run_sync(known, workspace, name)
    return await run_sync(lambda: _page(request, workspace, found, desk))


@router.post("/prompts/{name}/render")
async def render(request: Request, name: str, sent: Annotated[FormData, Depends(_sent)]) -> Response:
    """What the text becomes, as a part of the page."""
    guard.require(request, find("prompts.render"))
    desk = _desk(sent)
    return await run_sync(lambda: _live(request, name, desk))


@router.post("/prompts/{name}/values")
async def take(request: Request, name: str, sent: Annotated[FormData, Depends(_sent)]) -> Response:
    """The same with the values of a case."""
    guard.require(request, find("evaluation.cases"))
    desk = _desk(sent)
    workspace = await run_sync(workspace_of, request)
    await run_sync(_take, workspace, desk)
    return await run_sync(lambda: _live(request, name, desk, fields=True))


@router.post("/prompts/{name}/try")
async def ask(request: Request, name: str, sent: Annotated[FormData, Depends(_sent)]) -> Response:
    """What a model answers once, as a part of the page."""
    desk = _desk(sent)
    workspace = await run_sync(workspace_of, request)
    await _try(request, workspace, name, desk)
    return await run_sync(lambda: page(request, "prompt_tried.html", desk=desk, results=results))


def _desk(sent: FormData) -> Desk:
    given = {name: value.replace("\r\n", "\n") for name, value in sent.items() if isinstance(value, str)}
    number = given.get("case", "")
    return Desk(
        text=given.get("text", ""),
        digest=given.get("digest", ""),
        typed={name.removeprefix(VALUE): value for name, value in given.items() if name.startswith(VALUE)},
        suite=given.get("suite", ""),
        case=max(int(number), 1) if number.isdecimal() and len(number) < 10 else 1,
        model=given.get("model", ""),
        names=given.get("names", ""),
        now=given.get("now", ""),
    )


def _begun(request: Request, workspace: Workspace, found: Known, origin: int | None) -> str:
    """The text to begin with: of a version, of the file, of the newest version, or one that shows how it is done."""
    version = next((one for one in found.versions if one.number == origin), None)
    if origin is not None and version is None:
        raise HTTPException(404, f"there is no prompt/{found.name}@{origin}")
    if version is None and found.text is None:
        version = found.latest
    if version is not None:
        return versions.text_of(workspace, version)
    if found.text is not None:
        return found.text
    about = json.dumps(text(request, "What it is for, in one line"), ensure_ascii=False)
    owner = text(request, "owner: who answers for it")
    language = language_of(request)
    task = text(request, "Say here what is to be done, and how the answer has to look.")
    header = f"---\ndescription: {about}\nmetadata:\n  stellwerk:\n    # {owner}\n    language: {language}\n---\n"
    return f"{header}system:\n{task}\n\nuser:\n{{{{{'frage' if language == 'de' else 'question'}}}}}\n"


def _take(workspace: Workspace, desk: Desk) -> None:
    """Put the values of a case on the desk."""
    try:
        asked = {"suite": desk.suite, "offset": desk.case - 1, "limit": 1}
        found = execution.call(workspace, find("evaluation.cases"), asked)
        if not found.cases:
            raise UserError(f"suite {desk.suite} has {found.total} cases; give a number up to that")
    except UserError as error:
        desk.fault = str(error)
        return
    desk.typed |= found.cases[0].inputs
    desk.taken = found.cases[0].id


async def _try(request: Request, workspace: Workspace, name: str, desk: Desk) -> None:
    """Ask a model once."""
    entry = find("prompts.try")
    guard.require(request, entry)
    looked = await run_sync(preview, name, desk.text, desk.typed)
    if looked.mistakes or looked.fault or looked.missing:
        desk.fault = looked.fault or text(request, "Mend the text and give every value before a model is asked.")
        return
    try:
        asked = {"text": desk.text, "model": desk.model, "values": values(looked.inputs, desk.typed)}
        desk.tried = json.loads(await answers_of(request).answer(workspace, entry, asked))
    except StellwerkError as error:
        desk.fault = str(error)


def _save(request: Request, workspace: Workspace, name: str, desk: Desk, *, replacing: bool) -> Response:
    """Save the text, or show what is wrong or what somebody else has written meanwhile."""
    entry = find("prompts.save")
    guard.require(request, entry)
    found = known(workspace, name)
    wrong = list(preview(name, desk.text, {}).mistakes)
    if wrong:
        desk.mistakes = wrong
        return _page(request, workspace, found, desk, 422)
    try:
        replaces = (desk.now if replacing else desk.digest) or None
        execution.call(workspace, entry, {"name": name, "text": desk.text, "replaces": replaces})
    except UserError as error:
        found = known(workspace, name)
        if found.digest == (replaces or ""):
            desk.mistakes = [Mistake(None, str(error))]
            return _page(request, workspace, found, desk, 422)
        desk.theirs = linediff.between(found.text or "", desk.text)
        desk.now = found.digest
        return _page(request, workspace, found, desk, 409)
    return RedirectResponse(f"/prompts/{quote(name)}?saved=1", 303)


def _live(request: Request, name: str, desk: Desk, *, fields: bool = False) -> Response:
    """The part that is rendered as one writes; the fields for values too where there are others now."""
    looked = preview(name, desk.text, desk.typed)
    fields = fields or (looked.prompt is not None and desk.names != _names(looked))
    return page(request, "prompt_live.html", name=name, desk=desk, looked=looked, fields=fields, names=_names(looked))


def _names(looked: Preview) -> str:
    return " ".join(f"{one.name}:{one.kind}" for one in looked.inputs)


def _page(
    request: Request,
    workspace: Workspace,
    found: Known,
    desk: Desk,
    status: int = 200,
    *,
    saved: str = "",
    origin: int | None = None,
) -> Response:
    looked = preview(found.name, desk.text, desk.typed)
    if desk.mistakes:
        looked = replace(looked, mistakes=desk.mistakes)
    return page(
        request,
        "prompt.html",
        status,
        name=found.name,
        known=found,
        desk=desk,
        looked=looked,
        names=_names(looked),
        results=results,
        saved=bool(saved),
        origin=origin,
        conflict=status == 409,
        **prompt_standing.shown(request, workspace, found),
    )
