"""Two tests side by side: the difference with its interval, what may be said of it, and the cases that differ.

Shows what a run has compared, or compares as the operation does. Reads answers of the cases of a page alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from stellwerk.doors import guard
from stellwerk.doors.web import testviews as views
from stellwerk.doors.web.language import language_of
from stellwerk.doors.web.overview import moment
from stellwerk.doors.web.page import page, text, workspace_of
from stellwerk.doors.web.pairing import Pair, cases, compared, differing
from stellwerk.errors import UserError
from stellwerk.evaluation import comparing, listing
from stellwerk.evaluation.evidence import Evidence
from stellwerk.operation import find
from stellwerk.report import words
from stellwerk.report.spread import around, difference_svg, spread_svg
from stellwerk.runs import execution

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace

router = APIRouter()
ON_A_PAGE = 20
KNOWN = 60  # tests to choose from
OPERATION = "prompts.compare"
UNITS = {"input": "tokens", "output": "tokens", "seconds": "s"}
SIGNS = {"better": "clear", "equivalent": "clear", "not_worse": "clear", "worse": "stop", "undecided": "dark"}


@dataclass(frozen=True)
class Gain:
    """A metric of both tests.

    Attributes:
        title: for people.
        first: its value, in words; empty where it is not known.
        second: likewise.
        said: the difference with its interval.
        picture: the same, drawn against zero.
        verdict: a word; None for what is no quality.
    """

    title: str
    first: str
    second: str
    said: str
    picture: str
    p: float | None
    n: int
    verdict: str | None


@dataclass(frozen=True)
class Found:
    """A comparison, from a run or from the operation.

    Attributes:
        result: as JSON, with the fields that both have.
        others: the other metrics, as JSON.
        smallest: difference that so many cases can show; None where nobody asked before.
    """

    result: Mapping[str, Any]
    others: Sequence[Mapping[str, Any]]
    smallest: float | None = None
    adjusted: bool = False
    about: Mapping[str, Any] = field(default_factory=dict)


@router.get("/compare")
def compare(
    request: Request, first: str = "", second: str = "", margin: str = "", metric: str = "passed", number: int = 1
) -> Response:
    """Two tests; with less than two a form to choose them."""
    guard.require(request, find("evaluation.compare"))
    workspace = workspace_of(request)
    if not (first and second):
        return _choice(request, workspace, first, second)
    one, two = (views.tests_of_run(request, name)[:2] for name in (first, second))
    width, fault = _margin(request, margin)
    metric = metric if metric in _metrics(one[0], two[0]) else "passed"
    try:
        result = compared(Pair(one[0], two[0], metric), width)
    except UserError as error:
        return _choice(request, workspace, one[1], two[1], str(error))
    found = Found({**result, "n": result["cases"]}, result["numbers"])
    address = f"/compare?{urlencode({'first': one[1], 'second': two[1], 'margin': f'{width:g}', 'metric': metric})}"
    return _page(request, workspace, found, (one[0], two[0]), (one[1], two[1]), number, f"{address}&number=", fault=fault)


@router.get("/compare/{run}")
def of_run(request: Request, run: str, number: int = 1) -> Response:
    """What a run has compared; of another run with two tests these."""
    guard.require(request, find("evaluation.compare"))
    workspace = workspace_of(request)
    try:
        report = execution.call(workspace, find("runs.show"), {"run_id": run})
    except UserError as error:
        raise HTTPException(404, str(error)) from None
    _, _, tests = views.tests_of_run(request, report.id)
    if len(tests) < 2:
        raise HTTPException(404, f"run {report.run} has one test; compare it with another at /compare?second={report.run}")
    result = report.result
    if report.operation != OPERATION or not isinstance(result, dict) or "gain" not in result:
        fields = {"first": tests[0].reference, "second": tests[1].reference}
        return RedirectResponse(f"/compare?{urlencode(fields)}", 303)
    gain = result["gain"]
    plain = {**result, **gain, "value_first": gain["first"], "value_second": gain["second"], "verdict": result["verdict"]}
    found = Found(plain, result["others"], result.get("smallest"), True, {"run": report.id, "at": report.finished})
    names = tuple(tests[place].reference for place in (0, 1))
    sides = tuple(tests[place].evidence for place in (0, 1))
    return _page(request, workspace, found, sides, names, number, f"/compare/{quote(report.run)}?number=")  # type: ignore[arg-type]


def _choice(request: Request, workspace: Workspace, first: str, second: str, fault: str = "") -> Response:
    known = listing.tests(workspace, None, KNOWN)
    return page(
        request,
        "compare_choice.html",
        422 if fault else 200,
        tests=[views.test_line(request, workspace, one) for one in known],
        first=first,
        second=second or (known[0].reference if known else ""),
        fault=fault,
    )


def _page(
    request: Request,
    workspace: Workspace,
    found: Found,
    sides: tuple[Evidence, Evidence],
    names: tuple[str, str],
    number: int,
    address: str,
    *,
    fault: str = "",
) -> Response:
    result, language = found.result, language_of(request)
    metric = result["metric"]
    apart = differing(*sides, metric)
    last = views.pages(len(apart), ON_A_PAGE)
    number = views.within(number, last)
    shown = apart[(number - 1) * ON_A_PAGE : number * ON_A_PAGE]
    unit = _unit(metric, sides)
    return page(
        request,
        "compare.html",
        422 if fault else 200,
        fault=fault,
        tests=[
            views.test_line(request, workspace, listing.Listed(side, name)) for side, name in zip(sides, names, strict=True)
        ],
        found=found,
        result=result,
        sign=SIGNS[result["verdict"]],
        sentence=_sentence(request, result),
        title=views.title_of(request, metric),
        picture=_picture(request, result, unit),
        said=_said(request, result["difference"], result["low"], result["high"], unit),
        values=[words.quantity(result[name], unit, language) for name in ("value_first", "value_second")],
        points=unit == "share",
        margin=_difference(request, result["margin"], "share").lstrip("+"),
        smallest=None if found.smallest is None else _difference(request, found.smallest, "share").lstrip("+"),
        others=[_gain(request, one, sides) for one in found.others],
        notes=_notes(request, found, sides),
        metrics=[(name, views.title_of(request, name)) for name in _metrics(*sides)],
        cases=cases(request, sides, names, shown, metric, unit),
        total=len(apart),
        number=number,
        last=last,
        address=address,
        at=moment(request, workspace, found.about["at"]) if found.about.get("at") else "",
    )


def _metrics(first: Evidence, second: Evidence) -> list[str]:
    """What both tests measured of the quality of answers; of unwanted outputs more would be taken for better."""
    from stellwerk.evaluation.measuring import RESERVED

    mine, theirs = ([one["metric"] for one in side.summary] for side in (first, second))
    own = [name for name in mine if name in theirs and name not in RESERVED and not name.startswith(("unwanted.", "metric."))]
    return ["passed", "score", *own]


def _margin(request: Request, typed: str) -> tuple[float, str]:
    """The margin that was typed, in points or as a share, and a sentence where it is none."""
    plain = typed.strip().replace(",", ".").removesuffix("%").strip()
    try:
        value = float(plain or 0)
    except ValueError:
        value = -1.0
    value = value / 100 if value >= 1 or "%" in typed else value
    if not 0 <= value < 1:
        return 0.0, text(request, "A margin is a number from 0 to below 1, such as 0.05.")
    return value, ""


def _unit(metric: str, sides: tuple[Evidence, Evidence]) -> str:
    if metric == "cost":
        price = views.number_of(sides[0], "cost_per_case")
        return str(price["unit"]) if price else ""
    return UNITS.get(metric, "share")


def _difference(request: Request, value: float, unit: str) -> str:
    """A difference with its sign; of shares in percentage points."""
    language = language_of(request)
    sign = "+" if value > 0 else "−" if value < 0 else "±"
    if unit == "share":
        return text(request, "%(number)s points", number=f"{sign}{words.number(round(abs(value) * 100, 1), language)}")
    return sign + words.quantity(abs(value), unit, language)


def _said(request: Request, value: float, low: float | None, high: float | None, unit: str) -> str:
    shown = _difference(request, value, unit)
    if low is None or high is None:
        return shown
    to = words.word("to", language_of(request))
    return f"{shown} ({_difference(request, low, unit)} {to} {_difference(request, high, unit)})"


def _sentence(request: Request, result: Mapping[str, Any]) -> str:
    """The verdict, of the second against the first."""
    return {
        "better": text(request, "The second is better"),
        "worse": text(request, "The second is worse"),
        "equivalent": text(request, "Both are equally good within the margin"),
        "not_worse": text(request, "The second is not worse by more than the margin"),
        "undecided": text(request, "It cannot be told which is better"),
    }[result["verdict"]]


def _picture(request: Request, result: Mapping[str, Any], unit: str) -> str:
    margin = result["margin"]
    first, last = around([result["difference"], result["low"], result["high"], margin or None, -margin if margin else None])
    language = language_of(request)
    by, places = (100.0, 1) if unit == "share" else (1.0, 4)
    shown = {place: words.number(round(by * place, places), language).replace("-", "−") for place in (first, last)}
    ticks = sorted({**shown, 0.0: "0"}.items())
    label = f"{_sentence(request, result)}: {_said(request, result['difference'], result['low'], result['high'], unit)}"
    sides = (text(request, "first better"), text(request, "second better"))
    sides = sides[::-1] if comparing.less_is_better(result["metric"]) else sides
    return difference_svg(result["difference"], result["low"], result["high"], margin, ticks, sides, label, language)


def _gain(request: Request, one: Mapping[str, Any], sides: tuple[Evidence, Evidence]) -> Gain:
    metric, language = one["metric"], language_of(request)
    unit = one.get("unit") or _unit(metric, sides)
    difference = one.get("difference", one.get("value"))
    values = [words.quantity(one[name], unit, language) if one.get(name) is not None else "" for name in ("first", "second")]
    scale = around([difference, one["low"], one["high"]])
    reach = max(abs(scale[0]), abs(scale[1]))
    return Gain(
        title=views.title_of(request, metric),
        first=values[0],
        second=values[1],
        said=_said(request, difference, one["low"], one["high"], unit),
        picture=spread_svg(difference, one["low"], one["high"], (-reach, reach), zero=0.0),
        p=one.get("p"),
        n=one["n"],
        verdict=one.get("verdict"),
    )


def _notes(request: Request, found: Found, sides: tuple[Evidence, Evidence]) -> list[str]:
    notes, language = [], language_of(request)
    if any(side.simulated for side in sides):
        notes.append(
            text(request, "Answers are simulated: a plan made them up, so the difference says nothing about a real model.")
        )
    if sides[0].about["suite"] != sides[1].about["suite"]:
        notes.append(
            text(
                request,
                "The tests used %(first)s and %(second)s: only cases that have the same name in both are compared.",
                first=sides[0].about["suite"].removeprefix("suite/"),
                second=sides[1].about["suite"].removeprefix("suite/"),
            )
        )
    if left := found.result["left_out"]:
        notes.append(
            text(
                request,
                "%(count)s cases are left out: one of the tests has no value for them.",
                count=words.number(left, language),
            )
        )
    return notes
