"""The history of a search for a better or cheaper wording, drawn: what was tried, what it took and gained, what was refused.

Works on the result that the record keeps of the run. Asks no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from stellwerk.doors.web import linediff, prompt_standing, trends
from stellwerk.doors.web.language import language_of
from stellwerk.doors.web.page import fragment, page, text, workspace_of
from stellwerk.errors import UserError
from stellwerk.operation import find
from stellwerk.report import words
from stellwerk.report.chart import Chart
from stellwerk.report.difference import difference_svg, span_of
from stellwerk.report.searched import Mark, Role, searched
from stellwerk.runs import execution
from stellwerk.runs.operations import GOING
from stellwerk.runs.reading import RunReport

router = APIRouter()
OPERATIONS = ("prompts.optimise", "prompts.trim")
SHARES = ("score", "passed")  # metrics whose differences are percentage points


@router.get("/optimisations/{run}")
def show(request: Request, run: str) -> Response:
    """One search."""
    workspace = workspace_of(request)
    report, found = _found(request, run)
    gains = [one for one in (found.get("gains") or [found.get("gain")]) if one]
    shares = [one for one in gains if one["metric"] in SHARES]
    margin = float(found.get("margin") or 0.0)
    span = span_of([bound for one in shares for bound in (one["difference"], one["low"], one["high"], margin)])
    rows = list(found.get("candidates") or ())
    chosen = _chosen(found)
    return page(
        request,
        "optimisation.html",
        run=report,
        found=found,
        going=report.state in GOING,
        trimmed=report.operation == "prompts.trim",
        prompt=_name(str(report.parameters.get("prompt", ""))),
        result=_reference(found.get("result")),
        began=_reference(found.get("prompt")),
        gains=[
            (one, difference_svg(one["difference"], one["low"], one["high"], span, margin), _difference(request, one))
            for one in shares
        ],
        others=[(one, 1000 if one["metric"] == "cost" else 1, _difference(request, one)) for one in gains if one not in shares],
        margin=margin,
        candidates=rows,
        chosen=chosen,
        roles=[_role(one, chosen) for one in rows],
        baselines=list(found.get("baselines") or ()),
        refused=sorted((found.get("refused") or {}).items(), key=lambda pair: -pair[1]),
        most=max([*(found.get("refused") or {}).values(), 1]),
        diff=linediff.of_unified(found.get("diff") or []),
        percent=lambda value: words.share(value, 1, language_of(request)),
        **prompt_standing.common(request, workspace),
    )


@router.get("/optimisations/{run}/pictures")
def pictures(request: Request, run: str) -> Response:
    """The pictures of a search, as a part of its page."""
    report, found = _found(request, run)
    drawn = [(of, title, _drawn(request, report, found, of).svg()) for of, title in _titles(request)]
    title = text(request, "What was tried")
    address = f"/optimisations/{report.id}/picture"
    return fragment(
        request, "optimisation_pictures.html", title, drawn=drawn, address=address, cheap=bool(found.get("baselines"))
    )


@router.get("/optimisations/{run}/picture")
def picture(request: Request, run: str, of: str = "calls", format: str = "svg") -> Response:
    """One of the pictures, as a file."""
    report, found = _found(request, run)
    if of not in ("calls", "tokens"):
        raise HTTPException(404, "pictures are drawn of calls or tokens")
    return trends.picture(_drawn(request, report, found, of), format, f"search-{report.run}-{of}")


def _found(request: Request, run: str) -> tuple[RunReport, dict[str, Any]]:
    """The run, and what came out; nothing while it has not ended.

    Raises:
        HTTPException: 404, there is no such run, or it is another operation's.
    """
    try:
        report: RunReport = execution.call(workspace_of(request), find("runs.show"), {"run_id": run})
    except UserError as error:
        raise HTTPException(404, str(error)) from None
    if report.operation not in OPERATIONS:
        raise HTTPException(404, f"run {report.run} is no search for a wording; see it at /runs/{report.run}")
    return report, report.result if isinstance(report.result, dict) else {}


def _titles(request: Request) -> list[tuple[str, str]]:
    return [
        ("calls", text(request, "Score over calls of the model")),
        ("tokens", text(request, "Score over length of the prompt")),
    ]


def _drawn(request: Request, report: RunReport, found: dict[str, Any], of: str) -> Chart:
    rows, cheap = list(found.get("candidates") or ()), list(found.get("baselines") or ())
    chosen = _chosen(found)
    at = {one["number"]: (float(one[of]), float(one["score"])) for one in rows}
    marks = [
        Mark(x=one[of], y=one["score"], label=str(one["number"]), role=_role(one, chosen), start=at.get(one["parent"]))
        for one in rows
    ]
    names, best = _origins(request), _rival(found)
    for one in cheap:
        called = names.get(one["origin"], one["origin"]) if one["number"] == best else ""
        marks.append(Mark(x=one[of], y=one["score"], label=called, role="baseline"))
    across = text(request, "calls made") if of == "calls" else text(request, "tokens of the prompt")
    allowed = report.parameters.get("calls") if of == "calls" else found.get("tokens_limit")
    title = dict(_titles(request))[of]
    language = language_of(request)
    told = [(str(one["number"]), one) for one in rows] + [(names.get(one["origin"], ""), one) for one in cheap]
    said = [
        f"{name}: {words.share(one['score'], 1, language)}, {words.number(one[of], language)} {across}" for name, one in told
    ]
    return searched(
        marks,
        across,
        text(request, "score on the cases that choose"),
        line=_best_so_far(rows) if of == "calls" else _frontier(rows),
        limit=float(allowed) if isinstance(allowed, int | float) else None,
        limit_text=text(request, "allowed"),
        label="; ".join([title, *said]),
        language=language,
    )


def _best_so_far(rows: Sequence[dict[str, Any]]) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for one in sorted(rows, key=lambda one: (one["calls"], one["number"])):
        best = max(float(one["score"]), found[-1][1] if found else 0.0)
        found.append((float(one["calls"]), best))
    return found


def _frontier(rows: Sequence[dict[str, Any]]) -> list[tuple[float, float]]:
    """Those that no other one beats, the shortest first."""
    return sorted((float(one["tokens"]), float(one["score"])) for one in rows if one["frontier"])


def _role(one: dict[str, Any], chosen: int | None) -> Role:
    if one["number"] == chosen:
        return "chosen"
    return "seed" if one["origin"] == "seed" else "frontier" if one["frontier"] else "other"


def _chosen(found: dict[str, Any]) -> int | None:
    """The number of the wording that was taken: of those as long as the result the best one; None where none was."""
    rows = list(found.get("candidates") or ())
    if not found.get("result") or not rows:
        return None
    fits = [one for one in rows if one["tokens"] == found.get("tokens_after") and one["unwanted"] <= rows[0]["unwanted"]]
    best = max(fits, key=lambda one: (one["score"], -one["number"]), default=None)
    return None if best is None else int(best["number"])


def _rival(found: dict[str, Any]) -> int | None:
    """The number of the best of the cheap ways."""
    rows = [one for one in found.get("baselines") or () if one["origin"] == found.get("baseline")]
    best = max(rows, key=lambda one: (one["score"], -one["tokens"], -one["number"]), default=None)
    return None if best is None else int(best["number"])


def _origins(request: Request) -> dict[str, str]:
    return {
        "seed": text(request, "the beginning"),
        "gepa": text(request, "gepa"),
        "paraphrase": text(request, "other words"),
        "trim": text(request, "left out"),
        "few_shot": text(request, "examples"),
        "shorter": text(request, "shorter words"),
    }


def _difference(request: Request, one: dict[str, Any]) -> str:
    """A difference with its interval, as people write it."""
    language = language_of(request)
    times = 100 if one["metric"] in SHARES else 1000 if one["metric"] == "cost" else 1
    unit = text(request, "percentage points") if one["metric"] in SHARES else ""
    bounds = (one["difference"], one["low"], one["high"])
    point, low, high = (None if value is None else _signed(times * value, language) for value in bounds)
    said = f"{point} {unit}".strip()
    return said if low is None or high is None else f"{said} ({low} {words.word('to', language)} {high})"


def _signed(value: float, language: words.Language) -> str:
    said = words.number(abs(value), language)
    return f"{'+' if value > 0 else '−' if value < 0 else '±'}{said}"


def _reference(given: Any) -> tuple[str, str, str] | None:
    """A prompt version as its name, number and what it is called."""
    if not isinstance(given, str):
        return None
    name, _, number = given.removeprefix("prompt/").partition("@")
    return name, number, f"{name}@{number}" if number else name


def _name(given: str) -> str:
    return given.partition("@")[0].removeprefix("prompt/")
