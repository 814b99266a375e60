"""The first steps in a workspace: try a file, describe an AI system, register a bought AI tool.

What a person decides is a file in git: the page shows it before it is written, and never replaces one that is there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from anyio.to_thread import run_sync
from fastapi import APIRouter, File, Form, Request, UploadFile
from sqlalchemy import select
from starlette.responses import RedirectResponse, Response

from stellwerk.doors import guard
from stellwerk.doors.web import drafts
from stellwerk.doors.web.forms import answers_of
from stellwerk.doors.web.language import language_of
from stellwerk.doors.web.page import page, text, workspace_of
from stellwerk.errors import StellwerkError, UserError
from stellwerk.operation import find
from stellwerk.record import tables
from stellwerk.runs import exchange, queue

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace

router = APIRouter()
Text = Annotated[str, Form()]
RUNS = ("dataset", "index", "prompt", "model", "adapter", "settings", "tool", "app", "service", "policy")  # kinds to bind
FIELDS = [
    "name",
    "title",
    "purpose",
    "owner",
    "role",
    "provider",
    "product",
    "kind",
    "region",
    "retention",
    "terms",
    "agreement",
]  # of both forms
MOST = 200  # assets to choose from


@router.get("/begin/file")
def choose(request: Request) -> Response:
    """The form that takes a file."""
    return page(request, "begin_file.html", fault="", tried=None)


@router.post("/begin/file")
async def look(request: Request, file: Annotated[UploadFile, File()]) -> Response:
    """Show what is in a file that was sent; a process that can be ended reads it."""
    operation = find("data.try")
    guard.require(request, operation)
    workspace = await run_sync(workspace_of, request)
    try:
        if not file.filename:
            raise UserError(text(request, "Choose a file first."))
        kept = await run_sync(_kept, workspace, file)
        tried = json.loads(await answers_of(request).answer(workspace, operation, {"file": kept.reference}))
    except StellwerkError as error:
        return page(request, "begin_file.html", 422, fault=str(error), tried=None)
    from stellwerk.jobs.data.trying import name_for
    from stellwerk.jobs.data.words import in_german

    said = in_german if language_of(request) == "de" else str
    unsearched = [said(kind) for kind in tried["not_searched"]]
    name = name_for(Path(kept.name))
    return page(
        request,
        "begin_file.html",
        fault="",
        tried=tried,
        unsearched=unsearched,
        reference=kept.reference,
        name=name,
        file=kept.name,
    )


def _kept(workspace: Workspace, file: UploadFile) -> exchange.Upload:
    with workspace.store.partial() as place:
        with place.open("wb") as target:
            shutil.copyfileobj(file.file, target)
        return exchange.keep(workspace, place, file.filename or "file")


@router.post("/begin/file/keep")
async def keep(request: Request, reference: Text = "", name: Text = "") -> Response:
    """Put a file that was sent into the workspace, with a spec to begin with."""
    operation = find("data.try")
    guard.require(request, operation)
    workspace = await run_sync(workspace_of, request)
    await run_sync(drafts.check_name, request, workspace, "datasets", name)
    await answers_of(request).answer(workspace, operation, {"file": reference, "save": True, "name": name})
    return RedirectResponse(f"/operations/data.build?dataset={quote(name)}", 303)


@router.get("/begin/system")
def describe(request: Request) -> Response:
    """The form that describes an AI system."""
    return _form(request, "system", {})


@router.post("/begin/system")
def write_system(
    request: Request, name: Text = "", title: Text = "", purpose: Text = "", owner: Text = "", role: Text = "",
    binds: Annotated[list[str] | None, Form()] = None, do: Text = "show",
) -> Response:  # fmt: skip
    """Show the file of a system, or write it."""
    from stellwerk.standing.spec import System

    fields = {"title": title, "purpose": purpose, "owner": owner, "role": role, "binds": binds or []}
    draft = drafts.Draft("systems", name, System, fields)
    return _drafted(request, "system", {"name": name, **fields}, [draft], do)


@router.get("/begin/service")
def ask(request: Request) -> Response:
    """The form that registers a bought AI tool."""
    return _form(request, "service", {})


@router.post("/begin/service")
def write_service(
    request: Request, name: Text = "", provider: Text = "", product: Text = "", kind: Text = "service", purpose: Text = "",
    owner: Text = "", region: Text = "", retention: Text = "", terms: Text = "", agreement: Text = "", do: Text = "show",
) -> Response:  # fmt: skip
    """Show the files of a bought tool and of the AI system that it makes, or write them and have the tool registered."""
    from stellwerk.release.services import Service
    from stellwerk.standing.spec import System

    known = {"purpose": purpose, "owner": owner}
    bought = {
        "provider": provider, "product": product, "kind": kind, **known, "region": region, "retention": retention,
        "terms": terms, "processor_agreement": agreement,
    }  # fmt: skip
    system = {"title": product, **known, "role": "deployer", "binds": [f"{kind}/{name}"]}
    files = [drafts.Draft("services", name, Service, bought), drafts.Draft("systems", name, System, system)]
    return _drafted(request, "service", {"name": name, **bought, "agreement": agreement}, files, do)


def _drafted(request: Request, form: str, typed: Mapping[str, Any], files: list[drafts.Draft], do: str) -> Response:
    """Show new files, or write them; a mistake stands above the form, with all that was typed."""
    workspace = workspace_of(request)
    register = find("release.register")
    guard.require(request, register)
    name = str(typed["name"])
    try:
        for draft in files:
            draft.check(request, workspace)
        if do != "write":
            return _form(request, form, typed, files=files)
        for draft in files:
            drafts.write_new(workspace.root / draft.place, draft.text.encode())
        if form == "service":
            queue.enqueue(workspace, register, {"service": name})
    except UserError as error:
        return _form(request, form, typed, str(error))
    return RedirectResponse(f"/systems/{quote(name, safe='')}", 303)


def _form(
    request: Request, form: str, typed: Mapping[str, Any], fault: str = "", files: list[drafts.Draft] | None = None
) -> Response:
    return page(
        request,
        f"begin_{form}.html",
        422 if fault else 200,
        typed={**dict.fromkeys(FIELDS, ""), "binds": [], **typed},
        fault=fault,
        files=files or [],
        assets=_assets(workspace_of(request)),
    )


def _assets(workspace: Workspace) -> list[str]:
    """What a system can bind, by kind and name."""
    asset = tables.asset.c
    query = select(asset.kind, asset.name).where(asset.kind.in_(RUNS)).order_by(asset.kind, asset.name).limit(MOST)
    with workspace.record.database.reading() as connection:
        return [f"{kind}/{name}" for kind, name in connection.execute(query)]
