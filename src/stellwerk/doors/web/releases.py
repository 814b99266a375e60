"""Releases: the list, and each with what it froze, who signed it, its documents, and how anybody can check it.

Documents go out as they were frozen: nothing of them is written anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from stellwerk.doors import guard
from stellwerk.doors.headers import SANDBOX
from stellwerk.doors.web import overview as seen
from stellwerk.doors.web.comparing import changes
from stellwerk.doors.web.language import LANGUAGES, language_of
from stellwerk.doors.web.page import page, workspace_of
from stellwerk.errors import UserError
from stellwerk.operation import find
from stellwerk.report.interval import Reading, reading_svg, reading_text, threshold_text

if TYPE_CHECKING:
    from stellwerk.release.frozen import Release
    from stellwerk.release.manifest import SignalPart
    from stellwerk.workspace import Workspace

router = APIRouter()
PAGE = 50


@router.get("/releases")
def list_(request: Request, system: str = "", number: int = 1) -> Response:
    """All releases, the newest first; `number` is the page."""
    from stellwerk.release import frozen

    guard.require(request, find("release.list"))
    workspace = workspace_of(request)
    found = frozen.releases(workspace.record, system or None)
    found.sort(key=lambda release: (release.created, release.id), reverse=True)
    last = max(1, -(-len(found) // PAGE))
    number = min(max(number, 1), last)
    shown = found[(number - 1) * PAGE : number * PAGE]
    return page(
        request,
        "releases.html",
        releases=[_line(request, workspace, release) for release in shown],
        system=system,
        systems=sorted({release.system for release in found} | set(workspace.specs("systems"))),
        number=number,
        last=last,
    )


@router.get("/releases/{system}/{number}")
def show(request: Request, system: str, number: str) -> Response:
    """One release."""
    from stellwerk.release import frozen

    workspace, release = _find(request, system, number)
    manifest = frozen.manifest(workspace, release)
    before = [other for other in frozen.releases(workspace.record, system) if other.number < release.number]
    earlier = frozen.manifest(workspace, before[-1]) if before else None
    return page(
        request,
        "release.html",
        release=_line(request, workspace, release),
        manifest=manifest,
        before=before[-1] if before else None,
        changes=changes(request, earlier.evidence, manifest.evidence) if earlier and manifest else [],
        known=earlier is not None,
        gates=[_gate(request, workspace, part) for part in manifest.evidence.signals] if manifest else [],
        day=lambda at: seen.day(request, workspace, at),
        last_day=lambda until: seen.last_day(request, until),
    )


@router.get("/releases/{system}/{number}/{document}")
def document(request: Request, system: str, number: str, document: str, lang: str = "") -> Response:
    """A document as it was frozen: dossier.html, dossier.pdf, bom.json, manifest.json or bundle.zip."""
    from stellwerk.release import making

    workspace, release = _find(request, system, number)
    language = lang if lang in LANGUAGES else language_of(request)
    files = release.content["files"]
    named = {
        "dossier.html": (files.get(f"dossier.{language}.html"), "text/html; charset=utf-8"),
        "dossier.pdf": (files.get(f"dossier.{language}.pdf"), "application/pdf"),
        "bom.json": (files.get(making.BOM), "application/vnd.cyclonedx+json"),
        "manifest.json": (release.content["manifest"], "application/json"),
    }
    label = f"{release.system}-{release.number}"
    if document == "bundle.zip":
        return _download(_bundle(workspace, release), "application/zip", f"{label}.zip")
    reference, kind = named.get(document, (None, ""))
    if reference is None or not workspace.store.has(reference):
        raise HTTPException(404, f"release {release.ref} has no {document[:60]} here; its documents are where it was made")
    content = workspace.store.get(reference)
    if document == "dossier.html":
        # It brings its own styles, so it stands in a sandbox of its own where nothing of ours can be reached.
        return Response(content, media_type=kind, headers={"Content-Security-Policy": SANDBOX})
    return _download(content, kind, f"{label}-{document}" if document != "dossier.pdf" else f"{label}-{language}.pdf")


def _find(request: Request, system: str, number: str) -> tuple[Workspace, Release]:
    from stellwerk.release import frozen

    guard.require(request, find("release.show"))
    workspace = workspace_of(request)
    try:
        return workspace, frozen.find(workspace.record, f"{system}@{number}")
    except UserError as error:
        raise HTTPException(404, str(error)) from None


def _line(request: Request, workspace: Workspace, release: Release) -> dict[str, Any]:
    """A release in one line."""
    return {
        "system": release.system,
        "number": release.number,
        "created": seen.moment(request, workspace, release.created),
        "person": workspace.record.name_of(release.person),
        "authenticated": release.authenticated,
        "digest": release.id,
        "key": release.key,
        "version": release.version,
        "run": release.run,
        "candidate": release.content.get("candidate", ""),
        "address": seen.release_address(release.system, release.number),
    }


def _gate(request: Request, workspace: Workspace, part: SignalPart) -> dict[str, Any]:
    language = language_of(request)
    reading = Reading(value=part.value, low=part.low, high=part.high, minimum=part.min, maximum=part.max, unit=part.unit)
    return {
        "job": seen.job_titles(request).get(part.job, part.job),
        "state": part.state,
        "title": part.title.get(language) or part.title.get("en") or part.gate,
        "subject": part.subject,
        "address": seen.address_of(part.subject) if part.subject else None,
        "value": reading_text(reading, language),
        "picture": reading_svg(reading) if part.value is not None else "",
        "threshold": threshold_text(reading, language),
        "n": part.n,
        "attempts": part.attempts,
        "measured": seen.day(request, workspace, part.measured) if part.measured else "",
        "reason": seen.sentence(part.reason.get(language, "")),
    }


def _bundle(workspace: Workspace, release: Release) -> bytes:
    """The exported release, checked as every export is."""
    with workspace.store.partial() as place:
        find("release.export").function(f"{release.system}@{release.id}", place, overwrite=True, workspace=workspace)
        return place.read_bytes()


def _download(content: bytes, kind: str, name: str) -> Response:
    safe = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-_.") else "_" for sign in name)
    return Response(content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{safe}"'})
