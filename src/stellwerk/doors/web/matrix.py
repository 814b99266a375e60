"""A suite: its latest tests side by side, case by case, and its cases with what is wrong with them.

A matrix is made of one byte for each case of a test; texts are read for the rows of a page alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from stellwerk.doors import guard
from stellwerk.doors.web import testviews as views
from stellwerk.doors.web.overview import address_of
from stellwerk.doors.web.page import page, workspace_of
from stellwerk.doors.web.testviews import clean
from stellwerk.errors import UserError
from stellwerk.evaluation import listing, paging
from stellwerk.evaluation.listing import Listed
from stellwerk.evaluation.outcomes import STATES, Outcomes, matrix
from stellwerk.operation import find

if TYPE_CHECKING:
    from stellwerk.record.record import Version
    from stellwerk.workspace import Workspace

router = APIRouter()
ON_A_PAGE = 50
COLUMNS = 5  # tests side by side, where nobody chose
MOST = 8
KNOWN = 40  # tests to choose from
SHOWN = ("all", "differ", "failed")


@dataclass(frozen=True)
class Cell:
    """A case in one test.

    Attributes:
        state: see `outcomes.STATES`.
        number: of the call to look at, counted from 1; None where the case was not asked.
        passed: repeats that passed.
        asked: repeats.
    """

    state: str
    number: int | None
    passed: int = 0
    asked: int = 0


@dataclass(frozen=True)
class Row:
    """A case in all tests."""

    case: str
    question: str
    cells: list[Cell]


@router.get("/suites/{name}")
def show(
    request: Request,
    name: str,
    show: str = "all",
    split: str = "",
    case: str = "",
    number: int = 1,
    test: Sequence[str] = Query(default=()),
) -> Response:
    """The tests of a suite side by side."""
    guard.require(request, find("evaluation.samples"))
    workspace = workspace_of(request)
    version = _version(workspace, name)
    known = listing.tests(workspace, name, KNOWN)
    chosen = _chosen(known, test, split)
    show, case = views.given(SHOWN, show, "all"), case.strip()[:200]
    found, seen = matrix([one.evidence for one in chosen])
    cases = found.cases
    wanted = {"all": range(len(cases)), "differ": found.differing, "failed": found.missed}
    places = [place for place in wanted[show] if case.casefold() in cases[place].casefold()] if case else wanted[show]
    last = views.pages(len(places), ON_A_PAGE)
    number = views.within(number, last)
    rows = _rows(chosen, seen, [cases[place] for place in places[(number - 1) * ON_A_PAGE : number * ON_A_PAGE]])
    fields = [("split", split), ("case", case), *(("test", one) for one in test)]
    kept = urlencode([(key, value) for key, value in fields if value])
    return page(
        request,
        "suite_matrix.html",
        name=name,
        version=version,
        description=_description(version),
        tests=[views.test_line(request, workspace, one) for one in chosen],
        known=[views.test_line(request, workspace, one) for one in known],
        picked={one.reference for one in chosen},
        splits=list(dict.fromkeys(one.evidence.about["split"] for one in known)),
        split=split,
        case=case,
        show=show,
        counts={kind: len(these) for kind, these in wanted.items()},
        rows=rows,
        total=len(places),
        number=number,
        last=last,
        views_address=f"/suites/{quote(name, safe='')}?{kept}{'&' if kept else ''}show=",
        pages_address=f"/suites/{quote(name, safe='')}?{kept}{'&' if kept else ''}show={show}&number=",
        most=MOST,
    )


@router.get("/suites/{name}/cases")
def cases(request: Request, name: str, split: str = "", search: str = "", number: int = 1) -> Response:
    """The cases of a suite, and what makes its results weaker than they look."""
    from stellwerk.evaluation.suites import registering

    guard.require(request, find("evaluation.cases"))
    workspace = workspace_of(request)
    version = _version(workspace, name)
    facts = version.facts if version else {}
    splits = [one for one in ("dev", "test", "held-out") if facts.get("splits", {}).get(one)]
    split, search = views.given(splits, split, ""), search.strip()[:200]
    last = views.pages(facts.get("splits", {}).get(split, 0) if split else facts.get("cases", 0), ON_A_PAGE)
    number = views.within(number, last)
    found, wrong, more = _cases(workspace, name, version, split or None, search, (number - 1) * ON_A_PAGE)
    fields = urlencode({key: value for key, value in {"split": split, "search": search}.items() if value})
    return page(
        request,
        "suite_cases.html",
        name=name,
        version=version,
        description=_description(version),
        facts=facts,
        splits=splits,
        notes=list(registering.notes(facts)) if facts else [],
        stale=_stale(workspace, name, version),
        dataset=(facts["dataset"], address_of(facts["dataset"])) if facts.get("dataset") else None,
        families=views.family_titles(request),
        metrics=_metrics(facts),
        cases=[clean(one.model_dump()) for one in found],
        excerpt=views.excerpt,
        wrong=wrong,
        split=split,
        search=search,
        number=number,
        last=1 if search else last,
        more=more and (bool(search) or version is None),
        pages_address=f"/suites/{quote(name, safe='')}/cases?{fields}{'&' if fields else ''}number=",
    )


def _version(workspace: Workspace, name: str) -> Version | None:
    """The latest version of a suite; None for one that is a file alone.

    Raises:
        HTTPException: 404, there is neither.
    """
    version = workspace.record.latest("suite", name)
    if version is None and name not in workspace.specs("suites"):
        raise HTTPException(404, f"there is no suite named {name[:80]!r}; see all at /tests")
    return version


def _description(version: Version | None) -> str:
    return clean(str(version.facts.get("description") or "")) if version else ""


def _stale(workspace: Workspace, name: str, version: Version | None) -> bool:
    """Whether the file of a suite has changed since its latest version."""
    if version is None or name not in workspace.specs("suites"):
        return False
    return workspace.store.get(version.content["text"]) != workspace.spec_path("suites", name).read_bytes()


def _chosen(known: Sequence[Listed], wanted: Sequence[str], split: str) -> list[Listed]:
    """The tests that are shown: those that were named, else the latest of each prompt and model on the same split."""
    if wanted:
        named = {one.reference: one for one in known}
        return [named[one] for one in dict.fromkeys(wanted) if one in named][:MOST]
    split = split or _main_split(known)
    latest: dict[tuple[str, ...], Listed] = {}
    for one in known:
        if one.evidence.about["split"] == split:
            latest.setdefault(one.subjects, one)
    return list(latest.values())[:COLUMNS]


def _main_split(known: Sequence[Listed]) -> str:
    """The split of the latest test that counts, else of the latest one."""
    counted = [one for one in known if one.evidence.about["complete"]] or known
    return str(counted[0].evidence.about["split"]) if counted else ""


def _rows(chosen: Sequence[Listed], seen: Sequence[Outcomes], cases: Sequence[str]) -> list[Row]:
    """Some cases with their cells, and what each asks, as the first test that has it tells."""
    homes: dict[int, list[int]] = {}
    for case in cases:
        column = next(place for place, one in enumerate(seen) if case in one.index)
        homes.setdefault(column, []).append(seen[column].calls[seen[column].index[case]])
    asked = {
        row["case"]: views.question(row)
        for column, numbers in homes.items()
        for row in paging.at(chosen[column].evidence, numbers).values()
    }
    return [Row(clean(case), asked[case], [_cell(one, case) for one in seen]) for case in cases]


def _cell(found: Outcomes, case: str) -> Cell:
    place = found.index.get(case)
    if place is None:
        return Cell("absent", None)
    return Cell(STATES[found.states[place]], found.calls[place] + 1, found.passed[place], found.asked[place])


def _metrics(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """What the suite asks: each check without its values."""
    from stellwerk.evaluation.scorers import registry

    checks = [check for check in facts.get("checks", ()) if check["type"] != registry.CASE]
    return [
        {
            "name": clean(check.get("metric") or ("not-" if check.get("negated") else "") + check["type"]),
            "type": ("not-" if check.get("negated") else "") + check["type"],
            "family": check.get("family"),
            "counts": check.get("weight", 1) > 0,
        }
        for check in checks
    ]


def _cases(
    workspace: Workspace, name: str, version: Version | None, split: str | None, search: str, offset: int
) -> tuple[list[Any], str, bool]:
    """A page of cases, what is wrong with the file where there is no version, and whether more follow."""
    from stellwerk.evaluation.suites import looking, taking

    try:
        if version is None:
            # A file that was never tested says what is wrong with it here; its first cases are enough for that.
            found = taking.of(workspace, name)
            rows = [looking.line(place, case) for place, case in enumerate(islice(found.cases(), ON_A_PAGE), 1)]
            return rows, "", len(rows) == ON_A_PAGE
        page_ = looking.cases(workspace, version.ref, split, search or None, offset, ON_A_PAGE)  # type: ignore[arg-type]
    except UserError as error:
        return [], str(error), False
    return page_.cases, "", page_.more
