"""How a prompt stands, for its page: its line in the library, versions, tests, searches, and what can be done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stellwerk.doors.web import prompt_tests
from stellwerk.doors.web.language import language_of
from stellwerk.doors.web.overview import address_of, moment
from stellwerk.jobs.prompts.library import line_of
from stellwerk.record import tables
from stellwerk.report import words
from stellwerk.report.shares import share_svg
from stellwerk.runs import reading

if TYPE_CHECKING:
    from starlette.requests import Request

    from stellwerk.doors.web.prompt_known import Known
    from stellwerk.workspace import Workspace

SEARCHES = ("prompts.optimise", "prompts.trim", "prompts.compare", "prompts.promote")
ABOUT = ("prompt", "first", "second")  # parameters that name a prompt
LOOKED = 400  # runs that are looked through
TESTS = 20


def shown(request: Request, workspace: Workspace, found: Known) -> dict[str, Any]:
    """What the page of a prompt shows beside its text."""
    tests = prompt_tests.tests_of(workspace.record, list(found.versions))
    newest: dict[int, prompt_tests.Tested] = {}
    for one in tests:
        if one.complete:
            newest.setdefault(one.version.number, one)
    return {
        **common(request, workspace),
        "line": line_of(workspace, found.name),
        "tests": tests[:TESTS],
        "more_tests": max(len(tests) - TESTS, 0),
        "newest": newest,
        "pictures": bool(prompt_tests.series(tests)),
        "forms": found.forms(request.state.caller.scopes),
        "runs": runs_of(workspace, found.name),
    }


def common(request: Request, workspace: Workspace) -> dict[str, Any]:
    """What all pages of prompts need in their templates."""
    language = language_of(request)
    return {
        "at": lambda when: moment(request, workspace, when),
        "address_of": address_of,
        "interval": lambda row: words.interval(row["value"], row["low"], row["high"], row["unit"], language),
        "quantity": lambda value, unit: words.quantity(value, unit, language),
        "bar": share_svg,
        "range_of": lambda value, low, high: words.interval(value, low, high, "share", language),
    }


def runs_of(workspace: Workspace, name: str) -> list[dict[str, Any]]:
    """The newest searches, comparisons and promotions that were about a prompt."""
    run, now = tables.run.c, reading.now(workspace.record)
    rows = workspace.record.rows(tables.run, run.operation.in_(SEARCHES), order=(run.created.desc(), run.id), limit=LOOKED)
    found = []
    for row in rows:
        about = [str(row["parameters"][key]) for key in ABOUT if row["parameters"].get(key)]
        if name in (one.removeprefix("prompt/").partition("@")[0] for one in about):
            found.append({**row, "state": now.state(row), "about": about})
    return found[:TESTS]
