"""The pages of assets: the list, an asset with its versions, a version with its lineage, measurements, findings and signals.

Everything is read from the record; nothing here changes anything.
"""

from __future__ import annotations

import json
from math import ceil
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from sqlalchemy import select
from starlette.exceptions import HTTPException
from starlette.responses import Response

from stellwerk.doors.web import results, textdiff, trends
from stellwerk.doors.web.forms import answers_of
from stellwerk.doors.web.language import language_of
from stellwerk.doors.web.lineages import lit_by, picture_of
from stellwerk.doors.web.overview import address_of, moment
from stellwerk.doors.web.page import fragment, page, text, workspace_of
from stellwerk.doors.web.tablefiles import table_file
from stellwerk.errors import StellwerkError, UserError
from stellwerk.operation import Operation, Ref, find, load_all
from stellwerk.record import lineage, tables
from stellwerk.record.describing import VersionReport
from stellwerk.report import words
from stellwerk.report.tables import tables_of
from stellwerk.runs import execution
from stellwerk.standing.words import kind_word

if TYPE_CHECKING:
    from stellwerk.record.record import Version
    from stellwerk.workspace import Workspace

router = APIRouter()
ON_A_PAGE = 50
TAKEN = 1000
PICTURES = 8


@router.get("/assets")
def show_all(request: Request, kind: str = "", search: str = "", number: int = 1, format: str = "") -> Response:
    """The assets by kind and name; `number` is the page."""
    workspace = workspace_of(request)
    given: dict[str, Any] = {name: value for name, value in {"kind": kind, "search": search}.items() if value}
    if format:
        taken = execution.call(workspace, find("assets"), {**given, "page": max(number, 1), "limit": TAKEN})
        return table_file(request, tables_of(taken.assets, "assets"), "assets", format)
    found = execution.call(workspace, find("assets"), {**given, "page": max(number, 1), "limit": ON_A_PAGE})
    start = f"/assets?{urlencode(given)}{'&' if given else ''}"
    return page(
        request, "assets.html", found=found, kind=kind, search=search, number=number, last=ceil(found.total / ON_A_PAGE),
        address=f"{start}number=", files=f"{start}format=", **_shared(request, workspace),
    )  # fmt: skip


@router.get("/assets/{kind}/{name}")
def show(request: Request, kind: str, name: str, number: int = 1, format: str = "") -> Response:
    """An asset with its versions; `number` is the page."""
    workspace = workspace_of(request)
    found = _versions(workspace, kind, name, number)
    if format:
        return table_file(request, tables_of(found.versions, "versions"), name, format)
    head = next((line for line in found.versions if "latest" in line.aliases), found.versions[0] if found.versions else None)
    latest = workspace.record.resolve(f"{kind}/{name}") if head else None
    spec = _spec(workspace, kind, name)
    return page(
        request, "asset.html", kind=kind, name=name, found=found, number=number, last=ceil(found.total / ON_A_PAGE),
        latest=latest, spec=spec, facts=results.parts(_plain(latest.facts)) if latest else [],
        series=trends.series(found), operations=_operations(kind),
        address=f"/assets/{quote(kind)}/{quote(name)}?number=", **_shared(request, workspace),
    )  # fmt: skip


@router.get("/assets/{kind}/{name}/trends")
def pictures(request: Request, kind: str, name: str) -> Response:
    """The pictures of an asset's measurements, as a part of its page."""
    workspace = workspace_of(request)
    found = trends.measured(workspace.record, f"{kind}/{name}")[:PICTURES]
    bounds = trends.thresholds(workspace, kind, name)
    drawn = [(one, trends.chart(request, one, bounds.get(one.metric, (None, None))).svg()) for one in found]
    title = f"{name}: {text(request, 'Measurements over versions')}"
    return fragment(request, "trends.html", title, drawn=drawn, address=f"/assets/{quote(kind)}/{quote(name)}/trend")


@router.get("/assets/{kind}/{name}/trend")
def picture(request: Request, kind: str, name: str, metric: str, format: str = "svg") -> Response:
    """The picture of one measurement, as a file."""
    workspace = workspace_of(request)
    one = trends.wanted_of(trends.measured(workspace.record, f"{kind}/{name}"), metric)
    bounds = trends.thresholds(workspace, kind, name).get(metric, (None, None))
    return trends.picture(trends.chart(request, one, bounds), format, f"{name}-{metric}")


@router.get("/assets/{kind}/{name}/{number:int}")
def show_version(request: Request, kind: str, name: str, number: int, changed: str = "") -> Response:
    """A version; `changed` says against what the changed versions are lit: `released`, or a version's reference."""
    workspace = workspace_of(request)
    version = _version(workspace, kind, name, number)
    report: VersionReport = execution.call(workspace, find("show"), {"reference": version.ref})
    family = lineage.family(workspace.record, version)
    lit, against = lit_by(workspace.record, version, family, changed)
    language = language_of(request)
    return page(
        request,
        "version.html",
        version=version,
        report=report,
        picture=picture_of(version, family, lit, language),
        whole=family.whole,
        lit=[other for other in family.versions if other.id in lit],
        against=against,
        changed=changed,
        before=_numbers(workspace, version),
        identity=results.parts(_plain(report.identity)),
        facts=results.parts(_plain(report.facts)),
        measured=[
            (line, words.interval(line.value, line.low, line.high, line.unit, language))
            for line in report.measurements
            if line.value is not None
        ],
        operations=_operations(kind),
        systems=bool(workspace.specs("systems")),
        **_shared(request, workspace),
    )


@router.get("/assets/{kind}/{name}/{number:int}/signals")
def signals(request: Request, kind: str, name: str, number: int) -> Response:
    """The systems that rest on a version with the signals that concern it, as a part of its page."""
    from stellwerk.doors.web.overview import line
    from stellwerk.standing.standing import names, standing

    workspace = workspace_of(request)
    version = _version(workspace, kind, name, number)
    found = []
    for system in names(workspace):
        try:
            stands = standing(workspace, system)
        except UserError:
            continue
        if any(other.id == version.id for other in stands.closure):
            own = [signal for signal in stands.signals if signal.subject and signal.subject.id == version.id]
            binds = any(bound.version and bound.version.id == version.id for bound in stands.bound)
            found.append(
                (system, stands.spec.title or system, binds, [line(request, workspace, stands, one, ()) for one in own])
            )
    title = f"{name}@{number}: {text(request, 'AI systems that rest on it')}"
    return fragment(request, "versionsignals.html", title, found=found, reference=version.ref)


@router.get("/assets/{kind}/{name}/{number:int}/diff")
async def diff(request: Request, kind: str, name: str, number: int, against: int) -> Response:
    """Two versions beside each other: what data.diff says of datasets, and what is known of both."""
    workspace = await run_sync(workspace_of, request)
    after = await run_sync(_version, workspace, kind, name, number)
    before = await run_sync(_version, workspace, kind, name, against)
    parts, fault = [], ""
    if kind == "dataset" and "data.diff" in {entry.path for entry in load_all()}:
        try:
            raw = await answers_of(request).answer(workspace, find("data.diff"), {"first": before.ref, "second": after.ref})
            parts = results.parts(json.loads(raw))
        except StellwerkError as error:
            fault = str(error)
    return await run_sync(lambda: _diff_page(request, workspace, before, after, parts, fault))


def _diff_page(
    request: Request, workspace: Workspace, before: Version, after: Version, parts: list[results.Part], fault: str
) -> Response:
    texts = [
        (title, textdiff.compared(textdiff.as_text(old), textdiff.as_text(new)))
        for title, old, new in (
            (text(request, "What makes it what it is"), before.identity, after.identity),
            (text(request, "What is known of it"), before.facts, after.facts),
        )
    ]
    return page(
        request,
        "versiondiff.html",
        before=before,
        after=after,
        parts=parts,
        fault=fault,
        texts=texts,
        **_shared(request, workspace),
    )


def _shared(request: Request, workspace: Workspace) -> dict[str, Any]:
    language = language_of(request)
    return {
        "kind_of": lambda kind: kind_word(kind, language),
        "at": lambda when: moment(request, workspace, when),
        "address_of": address_of,
        "said": lambda message: text(request, message),
        "headline": results.headline,
        "links": results.links,
        "quantity": lambda value, unit: words.quantity(value, unit, language),
    }


def _versions(workspace: Workspace, kind: str, name: str, number: int) -> Any:
    try:
        return execution.call(
            workspace, find("versions"), {"asset": f"{kind}/{name}", "page": max(number, 1), "limit": ON_A_PAGE}
        )
    except UserError as error:
        raise HTTPException(404, str(error)) from None


def _version(workspace: Workspace, kind: str, name: str, number: int) -> Version:
    asset, version = tables.asset.c, tables.version.c
    found = workspace.record.versions(asset.kind == kind, asset.name == name, version.number == number)
    if not found:
        raise HTTPException(404, f"there is no {kind[:40]}/{name[:100]}@{number}; see them at /assets")
    return found[0]


def _numbers(workspace: Workspace, version: Version) -> list[int]:
    """The numbers of the asset's other versions, the newest first."""
    number = tables.version.c.number
    mine = select(tables.version.c.asset).where(tables.version.c.id == version.id).scalar_subquery()
    query = select(number).where(tables.version.c.asset == mine, number != version.number).order_by(number.desc()).limit(100)
    with workspace.record.database.reading() as connection:
        return list(connection.execute(query).scalars())


def _spec(workspace: Workspace, kind: str, name: str) -> str | None:
    """The folder of an asset's spec file, where there is one."""
    found = [p.marker for e in load_all() for p in e.parameters.values()]
    folders = {(m.specs, getattr(m, "suffix", ".yaml")) for m in found if isinstance(m, Ref) and m.kind == kind and m.specs}
    if kind == "system":
        folders.add(("systems", ".yaml"))
    return next((folder for folder, suffix in sorted(folders) if name in workspace.specs(folder, suffix)), None)


def _operations(kind: str) -> list[tuple[Operation, str]]:
    """What can be done with a version of a kind: operations with the parameter that takes it."""
    found = []
    for entry in load_all():
        names = [p.name for p in entry.parameters.values() if isinstance(p.marker, Ref) and p.marker.kind == kind]
        if names and not entry.local:
            found.append((entry, names[0]))
    return found


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts without the spec, which has a page of its own, the short ones first."""
    shown = {name: value for name, value in facts.items() if name != "spec"}
    return dict(sorted(shown.items(), key=lambda pair: isinstance(pair[1], dict | list)))
