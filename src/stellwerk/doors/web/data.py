"""The data explorer: a dataset version's flow, rows, scores, SQL, and the way of one document through the steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from stellwerk.doors.web.forms import answers_of
from stellwerk.doors.web.language import language_of
from stellwerk.doors.web.page import page, workspace_of
from stellwerk.doors.web.tablefiles import table_file
from stellwerk.errors import StellwerkError, UserError
from stellwerk.operation import find
from stellwerk.record.record import Version
from stellwerk.report import words
from stellwerk.report.tables import TableOf
from stellwerk.report.words import Language
from stellwerk.runs import execution

if TYPE_CHECKING:
    from stellwerk.jobs.data.reports import QueryResult

router = APIRouter()

ROWS = 50


@router.get("/data/{name}/{number}")
def overview(request: Request, name: str, number: int) -> HTMLResponse:
    """The flow of documents and what each rule did."""
    from stellwerk.jobs.data import measured, pictures
    from stellwerk.report.flow import flow_rows, flow_svg

    version, language = _version(request, name, number), language_of(request)
    did = measured.told(version)
    flow = pictures.flow(version, did, language)
    return _page(
        request,
        "data_overview.html",
        version,
        "overview",
        counts=version.facts["counts"],
        personal=version.facts["personal"],
        action=version.facts["spec"]["personal"]["action"],
        wide=flow_svg(flow, language),
        narrow=flow_svg(flow, language, vertical=True),
        flow_rows=flow_rows(flow),
        rules=did,
        named=lambda text: _named(text, language),
    )


@router.get("/data/{name}/{number}/rows")
def rows(
    request: Request,
    name: str,
    number: int,
    table: str = "documents",
    search: str = "",
    decision: str = "",
    rule: str = "",
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """Rows of what was kept, or of the ledger, page by page."""
    version = _version(request, name, number)
    values: dict[str, Any] = {
        "dataset": version.ref, "table": table, "search": search or None, "decision": decision or None,
        "rule": rule or None, "offset": offset, "limit": ROWS,
    }  # fmt: skip
    found = _asked(request, "data.rows", values)
    if wanted := request.query_params.get("format"):
        return _file(request, found, f"{name}-{number}-{table}", wanted)
    return _page(
        request, "data_rows.html", version, "rows", found=found, table=table, search=search, decision=decision, rule=rule,
        step=ROWS,
    )  # fmt: skip


@router.get("/data/{name}/{number}/scores")
def scores(request: Request, name: str, number: int, score: str = "", min: str = "", max: str = "") -> HTMLResponse:
    """How the values of a score lie to its bounds, and what other bounds would keep."""
    from stellwerk.jobs.data import explore, pictures

    version, language = _version(request, name, number), language_of(request)
    known = explore.scores_of(workspace_of(request).store, version)
    score = score or (known[0] if known else "")
    bound = version.facts["spec"]["select"].get(score) or {}
    given = {"min": min, "max": max} if "min" in request.query_params or "max" in request.query_params else bound
    limits = {side: _number(given.get(side), side) for side in ("min", "max")}
    found = _asked(request, "data.preview", {"dataset": version.ref, "score": score, **limits}) if known else None
    svg = _bars(found, pictures.title(score, language), language) if found else ""
    return _page(
        request,
        "data_scores.html",
        version,
        "scores",
        known=[(one, pictures.title(one, language)) for one in known],
        score=score,
        found=found,
        svg=svg,
        changed=limits != {side: bound.get(side) for side in ("min", "max")},
    )


@router.get("/data/{name}/{number}/sql")
async def sql(request: Request, name: str, number: int, sql: str = "") -> Response:
    """A question in SQL, answered by a process that is ended where it takes too much."""
    version = await run_sync(_version, request, name, number)
    found, fault = None, None
    if sql.strip():
        try:
            found = await _queried(request, version, sql)
        except StellwerkError as error:
            fault = str(error)
    if found and (wanted := request.query_params.get("format")):
        return await run_sync(_file, request, found, f"{name}-{number}-sql", wanted)
    asked = sql or "SELECT decision, rule, count(*) AS n\nFROM ledger\nGROUP BY decision, rule\nORDER BY n DESC"
    return await run_sync(lambda: _page(request, "data_sql.html", version, "sql", sql=asked, found=found, fault=fault))


@router.get("/data/{name}/{number}/document")
def document(request: Request, name: str, number: int, id: str = "") -> HTMLResponse:
    """The way of one document through the steps."""
    version, language = _version(request, name, number), language_of(request)
    found, fault = None, None
    if id.strip():
        try:
            found = _asked(request, "data.explain", {"document": id.strip(), "dataset": version.ref})
        except UserError as error:
            fault = str(error)
    return _page(
        request, "data_document.html", version, "document", id=id, found=found, fault=fault,
        named=lambda text: _named(text, language), quantity=lambda value: _quantity(value, language),
    )  # fmt: skip


@router.get("/data/{name}")
def latest(request: Request, name: str) -> RedirectResponse:
    """The latest version of a dataset."""
    version = workspace_of(request).record.resolve(name, "dataset")
    return RedirectResponse(f"/data/{version.name}/{version.number}", 303)


def _version(request: Request, name: str, number: int) -> Version:
    return workspace_of(request).record.resolve(f"dataset/{name}@{number}")


def _asked(request: Request, operation: str, values: dict[str, Any]) -> Any:
    return execution.call(workspace_of(request), find(operation), values)


async def _queried(request: Request, version: Version, sql: str) -> QueryResult:
    from stellwerk.jobs.data.reports import QueryResult

    workspace, values = await run_sync(workspace_of, request), {"dataset": version.ref, "sql": sql, "limit": 200}
    return QueryResult.model_validate_json(await answers_of(request).answer(workspace, find("data.query"), values))


def _page(request: Request, template: str, version: Version, tab: str, **values: Any) -> HTMLResponse:
    return page(request, template, version=version, tab=tab, address=f"/data/{version.name}/{version.number}", **values)


def _bars(found: Any, title: str, language: Any) -> str:
    from stellwerk.report.charts import Histogram, distribution_svg

    bars = Histogram.model_validate(found.bars.model_dump())
    return distribution_svg(bars, (found.min, found.max), title=title, language=language)


def _file(request: Request, found: Any, name: str, wanted: str) -> Response:
    table = TableOf(name, tuple(found.columns), [tuple(_plain(value) for value in row) for row in found.rows])
    return table_file(request, [table], name, wanted)


def _named(name: str, language: Language) -> str:
    """A step or a rule in words; some rules say after a colon what they concern."""
    from stellwerk.jobs.data.words import named

    head, colon, concerns = name.partition(":")
    known = {"outlier": "Ausreißer", "mask": "ersetzt"}
    return f"{known.get(head, head)}: {concerns}" if colon and language == "de" else named(name, language)


def _quantity(value: Any, language: Language) -> str:
    """A value of a score as the reader writes numbers; a text, such as a language, as it is."""
    if value in (None, "None"):
        return "–"
    try:
        return words.number(float(value), language, 6)
    except (TypeError, ValueError):
        return str(value)


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _number(value: Any, side: str) -> float | None:
    """A bound as people write it, with a comma or a point."""
    if value is None or str(value).strip() == "":
        return None
    try:
        return float(str(value).strip().replace(",", "."))
    except ValueError:
        raise UserError(f"{side} is {str(value)[:40]!r}, expected a number such as 4 or 0.5") from None
