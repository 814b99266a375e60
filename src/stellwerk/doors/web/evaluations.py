"""The pages of tests: which there are on each suite, one test with its numbers and calls, and a single call.

Reads what tests have kept, of large ones only the parts that a page shows. A file is made by the operation that exports.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Form, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from stellwerk.doors import guard
from stellwerk.doors.web import testviews as views
from stellwerk.doors.web.language import language_of
from stellwerk.doors.web.overview import address_of, moment
from stellwerk.doors.web.page import page, text, workspace_of
from stellwerk.doors.web.testviews import clean
from stellwerk.evaluation import listing, looking, paging
from stellwerk.operation import find
from stellwerk.report import words
from stellwerk.runs import exchange

if TYPE_CHECKING:
    from stellwerk.evaluation.evidence import Evidence
    from stellwerk.evaluation.listing import Listed
    from stellwerk.evaluation.reports import SampleView
    from stellwerk.workspace import Workspace

router = APIRouter()
KINDS = ("all", "failed", "errors", "unscored")
ON_A_PAGE = 50
ON_A_SUITE = 4  # tests that the overview shows of each suite
SUITES = 20  # of a page
OTHERS = 8  # tests that are looked at for the same case
FORMATS = {"junit": "xml", "inspect": "eval", "csv": "csv", "jsonl": "jsonl"}


@dataclass(frozen=True)
class Suite:
    """A suite with its latest tests."""

    name: str
    description: str
    cases: int | None
    version: int | None
    tests: list[views.Test]


@dataclass(frozen=True)
class Other:
    """How another test did on the same case."""

    test: views.Test
    number: int
    state: str


@router.get("/tests")
def overview(request: Request, number: int = 1) -> Response:
    """The suites, with the latest tests on each."""
    guard.require(request, find("evaluation.samples"))
    workspace = workspace_of(request)
    known = {version.name: version for version in workspace.record.versions(_kind("suite"))}
    names = sorted({*known, *workspace.specs("suites")})
    last = views.pages(len(names), SUITES)
    number = views.within(number, last)
    shown = names[(number - 1) * SUITES : number * SUITES]
    return page(
        request,
        "tests.html",
        suites=[_suite(request, workspace, name, known.get(name)) for name in shown],
        number=number,
        last=last,
        judges=_judges(request, workspace),
        studies=len({version.name for version in workspace.record.versions(_kind("study"))}),
        can={name: _offers(name) for name in ("prompts.test", "evaluation.test", "evaluation.import")},
    )


@router.get("/tests/{test}")
def show(
    request: Request, test: str, only: str = "all", search: str = "", number: int = 1, start: Annotated[int, Query(ge=0)] = 0
) -> Response:
    """One test: its numbers, and a page of its calls."""
    guard.require(request, find("evaluation.samples"))
    workspace = workspace_of(request)
    found, name, all_ = views.tests_of_run(request, test)
    only = views.given(KINDS, only, "all")
    search = search.strip()[:200]
    last = views.pages(found.number(only), ON_A_PAGE)  # type: ignore[arg-type]
    number = views.within(number, last)
    hits = None
    if search:
        hits = paging.search(found, only, search, start, ON_A_PAGE)  # type: ignore[arg-type]
        rows = hits.rows
    else:
        rows = paging.page(found, only, (number - 1) * ON_A_PAGE, ON_A_PAGE)  # type: ignore[arg-type]
    return page(
        request,
        "test.html",
        test=_line(request, workspace, found, name),
        others=[(one.reference, views.target(one.evidence)) for one in all_] if len(all_) > 1 else [],
        found=found,
        suite=found.about["suite"].removeprefix("suite/").partition("@")[0],
        references=[(one, address_of(one)) for one in (*found.about["subjects"], *found.about["instruments"])],
        counts={kind: found.number(kind) for kind in KINDS},  # type: ignore[arg-type]
        passed=len(found) - sum(found.number(kind) for kind in ("failed", "errors", "unscored")),
        rate=views.parted(request, views.number_of(found, "pass_rate")),
        cost=views.parted(request, views.thousand(views.number_of(found, "cost_per_case"))),
        slow=views.parted(request, views.number_of(found, "latency_p95")),
        figures=views.figures(request, found),
        unwanted=views.unwanted(request, found),
        notes=_notes(request, found),
        calls=[_call(request, at, row) for at, row in rows],
        only=only,
        search=search,
        hits=hits,
        number=number,
        last=last,
        address=f"/tests/{quote(name)}",
        pages_address=f"/tests/{quote(name)}?{urlencode({'only': only})}&number=",
        onward=f"/tests/{quote(name)}?{urlencode({'only': only, 'search': search, 'start': hits.end if hits else 0})}#calls",
        again=_again(found),
        formats=list(FORMATS),
    )


@router.post("/tests/{test}/export")
def export(request: Request, test: str, format: str = Form("")) -> Response:
    """Make a file of a test for another tool, and lead to it."""
    operation = find("evaluation.export")
    guard.require(request, operation)
    found, name, _ = views.tests_of_run(request, test)
    if format not in FORMATS:
        raise HTTPException(404, f"tests are to be had as {', '.join(FORMATS)}")
    file = f"download:test-{name.replace(':', '-')}.{FORMATS[format]}"
    workspace = workspace_of(request)
    values = operation.validate({"of": _whole(found, name), "file": file, "format": format})
    with exchange.at_hand(workspace, operation, values) as (given, give):
        made = give(operation.function(**given, workspace=workspace))
    return RedirectResponse(made["downloads"][0]["url"], 303)


@router.get("/tests/{test}/{number}")
def call(request: Request, test: str, number: int, only: str = "all") -> Response:
    """One call: what was sent, what came back, how each check did."""
    guard.require(request, find("evaluation.samples"))
    workspace = workspace_of(request)
    found, name, _ = views.tests_of_run(request, test)
    if not 0 < number <= len(found):
        raise HTTPException(404, f"test {name} has {len(found)} calls; there is no {number}")
    only = views.given(KINDS, only, "all")
    row = paging.at(found, [number - 1])[number - 1]
    before, after = paging.beside(found, number - 1, only)  # type: ignore[arg-type]
    language = language_of(request)
    return page(
        request,
        "test_call.html",
        test=_line(request, workspace, found, name),
        found=found,
        suite=found.about["suite"].removeprefix("suite/").partition("@")[0],
        call=_call(request, number - 1, row),
        tools=clean(row["answer"].get("tool_calls", [])),
        usage=row["answer"].get("usage"),
        families=views.family_titles(request),
        finishes=_finishes(request),
        only=only,
        before=None if before is None else before + 1,
        after=None if after is None else after + 1,
        address=f"/tests/{quote(name)}",
        others=_others(request, workspace, found, name, number - 1, row),
        took=words.duration(row["answer"]["seconds"], language),
        cost=_cost(row["answer"], language),
    )


def _kind(kind: str) -> Any:
    from stellwerk.record import tables

    return tables.asset.c.kind == kind


def _suite(request: Request, workspace: Workspace, name: str, version: Any) -> Suite:
    tests = [views.test_line(request, workspace, one) for one in listing.tests(workspace, name, ON_A_SUITE)]
    facts = version.facts if version else {}
    return Suite(name, clean(facts.get("description") or ""), facts.get("cases"), version.number if version else None, tests)


def _judges(request: Request, workspace: Workspace) -> list[dict[str, Any]]:
    """The latest version of each judge, with its last audit."""
    from stellwerk.evaluation.judges import standing

    latest = {version.name: version for version in workspace.record.versions(_kind(standing.KIND))}
    rows = []
    for name in sorted({*latest, *workspace.specs("judges")}):
        version = latest.get(name)
        audit = standing.last_audit(workspace.record, version) if version else None
        state = "none" if audit is None else "passed" if audit["value"] == 1 else "failed"
        rows.append(
            {
                "name": name,
                "address": address_of(version.ref) if version else f"/operations/evaluation.audit?judge={quote(name)}",
                "state": state,
                "at": moment(request, workspace, audit["created"]) if audit else "",
            }
        )
    return rows


def _offers(path: str) -> bool:
    from stellwerk.errors import UserError

    try:
        return bool(find(path))
    except UserError:
        return False


def _line(request: Request, workspace: Workspace, found: Evidence, name: str) -> views.Test:
    return views.test_line(request, workspace, listing.Listed(found, name))


def _call(request: Request, number: int, row: dict[str, Any]) -> dict[str, Any]:
    """A call as pages show it; every text of it may be read."""
    seen: SampleView = looking.view(number, row)
    german = language_of(request) == "de"
    shown = clean(seen.model_dump())
    shown["question"] = views.question(row)
    shown["excerpt"] = views.excerpt(seen.answer)
    shown["cut"] = max(len(seen.answer) - views.LONGEST, 0)
    for score in shown["scores"]:
        score["said"] = score["said_de"] if german else score["said"]
    missed = [score for score in shown["scores"] if score["passed"] is False]
    missed = missed or [score for score in shown["scores"] if score["passed"] is None]
    shown["why"] = shown["problem"] or "; ".join(f"{score['metric']}: {score['said']}" for score in missed)
    return shown


def _cost(answer: dict[str, Any], language: words.Language) -> str:
    return "" if answer["cost"] is None else words.quantity(answer["cost"], answer["currency"] or "", language)


def _whole(found: Evidence, name: str) -> str:
    """The name of a test with the whole id of its run, which is never that of another."""
    return found.run + (name[name.index(":") :] if ":" in name else "")


def _again(found: Evidence) -> str:
    """Where the same is tested again, with what is filled in; empty where it was no prompt and no application."""
    names = dict(reference.split("/", 1) for reference in found.about["subjects"])
    fields = {kind: name.partition("@")[0] for kind, name in names.items()}
    fields["suite"] = found.about["suite"].removeprefix("suite/").partition("@")[0]
    fields["split"] = found.about["split"]
    if {"prompt", "model"} <= set(names) and _offers("prompts.test"):
        return f"/operations/prompts.test?{urlencode(fields)}"
    return f"/operations/evaluation.test?{urlencode(fields)}" if "app" in names else ""


def _notes(request: Request, found: Evidence) -> list[str]:
    """What makes the numbers weaker than they look."""
    about, notes = found.about, []
    language = language_of(request)
    if about["simulated"]:
        notes.append(
            text(request, "These answers are simulated: a plan made them up, so the numbers say nothing about a real model.")
        )
    if found.number("errors"):
        notes.append(
            text(
                request,
                "%(errors)s of %(samples)s calls got no answer. They count neither as right nor as wrong; test again, and only "
                "what is missing is asked.",
                errors=words.number(found.number("errors"), language),
                samples=words.number(len(found), language),
            )
        )
    if about["limit"] is not None:
        notes.append(text(request, "Only the first cases were asked, so that this counts for no gate."))
    elif about["split"] not in ("test", "all"):
        notes.append(text(request, "Only cases that are not for testing were asked, so that this counts for no gate."))
    if found.counts["cases"] < 30:
        notes.append(text(request, "So few cases say little."))
    return notes


def _finishes(request: Request) -> dict[str, str]:
    return {
        "stop": text(request, "ended by itself"),
        "length": text(request, "cut off at its greatest length"),
        "content_filter": text(request, "held back by the provider"),
        "tool_calls": text(request, "calls a tool"),
        "other": text(request, "ended otherwise"),
    }


def _others(
    request: Request, workspace: Workspace, found: Evidence, name: str, number: int, row: dict[str, Any]
) -> list[Other]:
    """Other tests on the same suite that asked the same case."""
    suite = found.about["suite"].removeprefix("suite/").partition("@")[0]
    others = []
    for one in listing.tests(workspace, suite, OTHERS + 1):
        if (one.evidence.run, one.evidence.name) == (found.run, found.name) or one.reference == name:
            continue
        at = _same_case(one, number, row)
        if at is not None:
            others.append(Other(views.test_line(request, workspace, one), at[0] + 1, at[1]))
    return others[:OTHERS]


def _same_case(listed: Listed, number: int, row: dict[str, Any]) -> tuple[int, str] | None:
    """The call of another test that asked the same case: mostly it has the same number, else its columns tell."""
    from stellwerk.evaluation.evidence import state_of
    from stellwerk.evaluation.outcomes import outcomes

    other = listed.evidence
    if number < len(other):
        guess = paging.at(other, [number])[number]
        if (guess["case"], guess["repeat"]) == (row["case"], row["repeat"]):
            return number, state_of(guess)
    known = outcomes(other)
    place = known.index.get(row["case"])
    return None if place is None else (known.calls[place], known.state(row["case"]))
