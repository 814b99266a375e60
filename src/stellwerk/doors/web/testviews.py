"""What the pages of tests share: which test an address names, how its numbers are called and drawn, texts made safe to read.

Knows no page in particular. Answers of models are hostile: whatever is shown of them passes `clean` and is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from starlette.exceptions import HTTPException

from stellwerk.doors.web.language import language_of
from stellwerk.doors.web.overview import moment
from stellwerk.doors.web.page import text, workspace_of
from stellwerk.errors import UserError
from stellwerk.evaluation import evidence
from stellwerk.evaluation.evidence import Evidence
from stellwerk.evaluation.listing import Listed, reference
from stellwerk.report import words
from stellwerk.report.spread import spread_svg

if TYPE_CHECKING:
    from starlette.requests import Request

    from stellwerk.workspace import Workspace

LONGEST = 20_000  # characters of a text that a page shows
EXCERPT = 160
SHORT = 40
T = TypeVar("T")
Said = Literal["share", "points", "plain"]


@dataclass(frozen=True)
class Test:
    """A test in one line.

    Attributes:
        reference: in addresses.
        target: what was asked, such as reply@2 × writer@1.
        suite: the version that was used.
        rate: how much passed, in words.
        picture: the same drawn from 0 to 100 %.
        cost: of 1,000 cases, in words; empty where it is unknown.
        at: when.
    """

    reference: str
    target: str
    suite: str
    split: str
    rate: str
    picture: str
    cost: str
    at: str
    cases: int
    errors: int
    simulated: bool
    complete: bool

    __test__ = False


@dataclass(frozen=True)
class Figure:
    """A number that was measured.

    Attributes:
        metric: as it is called in gates.
        title: for people.
        said: value with its interval.
        picture: the interval, where it lies on a scale from 0 to 100 %.
    """

    metric: str
    title: str
    said: str
    picture: str
    n: int


def test_line(request: Request, workspace: Workspace, listed: Listed) -> Test:
    """A test in one line."""
    found, about = listed.evidence, listed.evidence.about
    rate = number_of(found, "pass_rate")
    return Test(
        reference=listed.reference,
        target=target(found),
        suite=about["suite"].removeprefix("suite/"),
        split=about["split"],
        rate=said(request, rate) if rate else "–",
        picture=drawn(rate) if rate else "",
        cost=parted(request, thousand(number_of(found, "cost_per_case")))[0],
        at=moment(request, workspace, found.created),
        cases=int(found.counts["cases"]),
        errors=found.number("errors"),
        simulated=found.simulated,
        complete=bool(about["complete"]),
    )


def tests_of_run(request: Request, name: str) -> tuple[Evidence, str, list[Listed]]:
    """The test that an address names, its name, and all tests of its run.

    Raises:
        HTTPException: 404, there is none.
    """
    head, _, place = name.partition(":")
    try:
        found = evidence.all_of(workspace_of(request), head)
    except UserError as error:
        raise HTTPException(404, str(error)) from None
    all_ = [Listed(one, reference(one.run, number, len(found))) for number, one in enumerate(found)]
    if not place:
        return all_[0].evidence, all_[0].reference, all_
    if not (place.isdecimal() and len(place) < 6 and 0 < int(place) <= len(all_)):
        raise HTTPException(404, f"run {all_[0].evidence.run[:8]} holds {len(all_)} tests; there is no {place[:20]}")
    chosen = all_[int(place) - 1]
    return chosen.evidence, chosen.reference, all_


def target(found: Evidence) -> str:
    """What was asked, with its versions; a baseline that is no version by its name."""
    named = [one.partition("/")[2] for one in found.about["subjects"]]
    told = str(found.about["target"])
    return clean(f"{told} × {' × '.join(named)}" if told.startswith("baseline ") else " × ".join(named) or told)


def number_of(found: Evidence, metric: str) -> Mapping[str, Any] | None:
    """A number of a test; None where it has none of that name or no value."""
    return next((one for one in found.summary if one["metric"] == metric and one["value"] is not None), None)


def said(request: Request, one: Mapping[str, Any]) -> str:
    """A number with its interval, as the reader writes it."""
    low, high = _bounds(one)
    return words.interval(one["value"], low, high, one["unit"], language_of(request))


def parted(request: Request, one: Mapping[str, Any] | None) -> tuple[str, str]:
    """A number, and its interval alone, in words; what is not known is empty."""
    if one is None:
        return "", ""
    value, _, bounds = said(request, one).partition(" (")
    return value, bounds.removesuffix(")")


def drawn(one: Mapping[str, Any]) -> str:
    """A share with its interval, on a scale from 0 to 100 % that all share."""
    low, high = _bounds(one)
    return spread_svg(one["value"], low, high) if one["unit"] == "share" else ""


def thousand(one: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What 1,000 cases cost, from what one costs; None where it is unknown."""
    if one is None:
        return None
    return {**one, **{name: None if one[name] is None else 1000 * one[name] for name in ("value", "low", "high")}}


def figures(request: Request, found: Evidence) -> list[Figure]:
    """What was measured, without unwanted outputs, which are told in words."""
    names = metric_titles(request)
    rows = [one for one in found.summary if not one["metric"].startswith("unwanted") and one["value"] is not None]
    return [
        Figure(one["metric"], names.get(one["metric"], clean(one["metric"])), said(request, one), drawn(one), one["n"])
        for one in rows
    ]


def unwanted(request: Request, found: Evidence) -> list[Figure]:
    """Unwanted outputs with their upper bounds: that none was found does not say that there are none."""
    titles, language = family_titles(request), language_of(request)
    rows = []
    for one in found.summary:
        if not one["metric"].startswith("unwanted") or one["value"] is None:
            continue
        family = one["metric"].removeprefix("unwanted.")
        high = words.share(_bounds(one)[1] or 0.0, 1, language)
        times = one["value"] * one["n"]
        if one["high"] is None:
            told = words.share(one["value"], 1, language)
        elif abs(times - round(times)) < 1e-6:
            told = text(
                request, "%(times)s of %(n)s: at most %(high)s", times=words.number(round(times), language),
                n=words.number(one["n"], language), high=high,
            )  # fmt: skip
        else:
            told = text(
                request, "%(share)s of %(n)s cases: at most %(high)s", share=words.share(one["value"], 1, language),
                n=words.number(one["n"], language), high=high,
            )  # fmt: skip
        rows.append(
            Figure(one["metric"], titles.get(family, clean(family)), told, drawn({**one, "low": one["low"] or 0}), one["n"])
        )
    return rows


def metric_titles(request: Request) -> dict[str, str]:
    """What the metrics are called that every test has."""
    return {
        "pass_rate": text(request, "Cases that pass"),
        "passed": text(request, "Cases that pass"),
        "score": text(request, "Mean score"),
        "unscored_rate": text(request, "Answers that could not be scored"),
        "error_rate": text(request, "Calls that got no answer"),
        "cost_per_case": text(request, "Cost of a case"),
        "cost_per_solved": text(request, "Cost of a case that passes"),
        "tokens": text(request, "Tokens of a call"),
        "latency_p50": text(request, "Time within which half of all calls end"),
        "latency_p95": text(request, "Time within which 95 of 100 calls end"),
        "input": text(request, "Tokens sent"),
        "output": text(request, "Tokens answered"),
        "cost": text(request, "Cost of a case"),
        "seconds": text(request, "Time of a call"),
    }


def family_titles(request: Request) -> dict[str, str]:
    """What families of unwanted outputs are called."""
    return {
        "unwanted_rate": text(request, "Any of them"),
        "prompt_leak": text(request, "Repeats the system prompt"),
        "personal_data": text(request, "Names personal data that nobody gave"),
        "refusal": text(request, "Answers what should be refused"),
        "over_refusal": text(request, "Refuses what should be answered"),
        "form": text(request, "Is cut off or empty"),
        "language": text(request, "Is in another language"),
        "anrede": text(request, "Uses the wrong form of address"),
        "forbidden": text(request, "Says what is forbidden"),
        "length": text(request, "Is too long or too short"),
        "unsupported_numbers": text(request, "Gives numbers that nobody gave"),
    }


def title_of(request: Request, metric: str) -> str:
    """What a metric is called; one of a suite keeps its name."""
    family = metric.removeprefix("unwanted.")
    if family != metric:
        return family_titles(request).get(family, clean(family))
    return metric_titles(request).get(metric, clean(metric))


def clean(value: T, longest: int = LONGEST) -> T:
    """Texts of models and cases, however nested, as they may stand on a page.

    Signs that cannot be seen or that turn the direction of others are told by their number, and what is endless ends.
    """
    if isinstance(value, str):
        return words.visible(value if len(value) <= longest else f"{value[:longest]}…")  # type: ignore[return-value]
    if isinstance(value, dict):
        return {clean(str(key), 200): clean(part, longest) for key, part in value.items()}  # type: ignore[return-value]
    if isinstance(value, list | tuple):
        return [clean(part, longest) for part in value]  # type: ignore[return-value]
    return value


def excerpt(value: Any, longest: int = EXCERPT) -> str:
    """The beginning of a text in one line."""
    return clean(" ".join(str(value)[: 4 * longest].split()), longest)


def question(row: Mapping[str, Any]) -> str:
    """What a case asks, in one line: its description, its only or first input, or short ones with their names."""
    values = {name: value for name, value in row["inputs"].items() if value not in (None, "")}
    if row["description"] or not values:
        return excerpt(row["description"] or row["case"])
    first = next(iter(values.values()))
    if len(values) == 1 or len(str(first)) > SHORT:
        return excerpt(first)
    return excerpt(", ".join(f"{name}: {value}" for name, value in values.items()))


def within(value: int, most: int) -> int:
    """A number of a page that there is."""
    return min(max(value, 1), max(most, 1))


def pages(total: int, on_a_page: int) -> int:
    """How many pages there are."""
    return max(math.ceil(total / on_a_page), 1)


def given(names: Sequence[str], value: str, default: str) -> Any:
    """A value of an address, or the default where it is none of those that there are."""
    return value if value in names else default


def _bounds(one: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """The ends of an interval; what differs from 0 or 1 by rounding alone is 0 or 1."""
    low, high = one["low"], one["high"]
    if one["unit"] == "share":
        low = 0.0 if low is not None and low < 1e-9 else low
        high = 1.0 if high is not None and high > 1 - 1e-9 else high
    return low, high
