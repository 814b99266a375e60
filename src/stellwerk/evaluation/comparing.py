"""Two tests on the same cases: paired differences with intervals, a verdict, and the cases that differ side by side.

Works on what two tests have kept; nothing is asked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stellwerk.errors import UserError
from stellwerk.evaluation import evidence
from stellwerk.evaluation.columns import Columns
from stellwerk.evaluation.evidence import Evidence
from stellwerk.evaluation.reports import Compared, Differing, Number

if TYPE_CHECKING:
    from stellwerk.evaluation.statistics.paired import Difference
    from stellwerk.workspace import Workspace

SHOWN = 20  # cases that differ
LESS = ("cost", "judging", "seconds", "input", "output", "attempts", "error")  # numbers of which fewer are better
BESIDES = {"cost": "", "seconds": "s", "input": "tokens", "output": "tokens"}  # what is compared beside the metric
WORDS = {
    "better": "better",
    "worse": "worse",
    "equivalent": "as good within the margin",
    "not_worse": "not worse by more than the margin",
    "undecided": "undecided",
}


def runs(workspace: Workspace, first: str, second: str, *, margin: float, metric: str) -> Compared:
    """Compare the tests of two runs, see `evidence.of` for how they are named.

    Raises:
        UserError: they have no cases or no such metric in common.
    """
    return compared(evidence.of(workspace, first), evidence.of(workspace, second), margin=margin, metric=metric)


def compared(first: Evidence, second: Evidence, *, margin: float = 0.0, metric: str = "passed") -> Compared:
    """Compare two tests case by case.

    Args:
        first: that is compared with.
        second: that is compared.
        margin: how much worse is still as good.
        metric: passed, score, a metric of the suite, `unwanted.` with a family, or what a call takes, such as cost.

    Raises:
        UserError: they have no cases or no such metric in common.
    """
    from stellwerk.evaluation.statistics import paired

    cases, one, two, clusters = pairs(first, second, metric)
    found = paired.difference(one, two, clusters)
    less = less_is_better(metric)
    verdict = paired.verdict(paired.difference(two, one, clusters) if less else found, margin)
    better, worse = (found.worse, found.better) if less else (found.better, found.worse)
    left_out = len(set(first.columns.case) | set(second.columns.case)) - len(cases)
    return Compared(
        message=_message(first, second, found, verdict.word, margin, metric),
        verdict=verdict.word,
        first=_called(first),
        second=_called(second),
        metric=metric,
        cases=found.n,
        left_out=left_out,
        value_first=found.first,
        value_second=found.second,
        difference=found.value,
        low=_finite(found.low),
        high=_finite(found.high),
        p=found.p,
        method=found.method,
        better=better,
        worse=worse,
        equal=found.same,
        margin=margin,
        needs=verdict.needs,
        simulated=first.simulated or second.simulated,
        numbers=_besides(first, second),
        differing=_differing(first, second, cases, one, two, -1 if less else 1),
        notes=_notes(first, second, left_out),
    )


def less_is_better(metric: str) -> bool:
    """Whether a metric counts what should be little: unwanted outputs, money, time, errors."""
    return metric.startswith("unwanted.") or metric in LESS


def pairs(
    first: Evidence, second: Evidence, metric: str
) -> tuple[list[str], list[float], list[float], list[str | None] | None]:
    """The values of the cases that both tests have, the mean over their repeats, in the order of the first.

    Returns:
        Ids, values of the first, values of the second, and clusters where there are any.

    Raises:
        UserError: they have no cases or no such metric in common.
    """
    if metric == "cost" and not _same_currency(first.columns, second.columns):
        raise UserError(
            f"{_called(first)} and {_called(second)} have no costs in one currency; give both models a price in one"
        )
    one, two = _values(first, metric), _values(second, metric)
    shared = [case for case, value in one.items() if not math.isnan(value) and not math.isnan(two.get(case, math.nan))]
    if not shared:
        raise UserError(
            f"{_called(first)} and {_called(second)} have no cases in common that have a {metric}; compare tests on one suite"
        )
    known = first.columns.cluster_of()
    clusters = [known[case] for case in shared]
    return shared, [one[case] for case in shared], [two[case] for case in shared], clusters if any(clusters) else None


def _values(found: Evidence, metric: str) -> dict[str, float]:
    try:
        return found.columns.by_case("passed" if metric == "pass_rate" else metric)
    except KeyError:
        known = ", ".join(["passed", "score", *sorted(found.columns.metrics)])
        raise UserError(f"{_called(found)} has no metric {metric!r}; there are: {known}") from None


def _besides(first: Evidence, second: Evidence) -> list[Number]:
    """What the second costs and takes more than the first, for each case."""
    from stellwerk.evaluation.statistics import paired

    numbers = []
    for name, unit in BESIDES.items():
        try:
            cases, one, two, clusters = pairs(first, second, name)
        except UserError:
            continue
        found = paired.difference(one, two, clusters)
        shown = first.columns.currencies[0] if name == "cost" else unit
        low, high = _finite(found.low), _finite(found.high)
        numbers.append(Number(metric=name, value=found.value, low=low, high=high, n=len(cases), unit=shown))
    return numbers


def _same_currency(first: Columns, second: Columns) -> bool:
    return len(first.currencies) == 1 and first.currencies == second.currencies


def _differing(
    first: Evidence, second: Evidence, cases: Sequence[str], one: Sequence[float], two: Sequence[float], sign: int
) -> list[Differing]:
    """The cases that differ, those of which the second is worse before the others; `sign` is -1 where less is better."""
    apart = [(sign * (b - a), place) for place, (a, b) in enumerate(zip(one, two, strict=True)) if a != b]
    chosen = [place for _, place in sorted(apart)[:SHOWN]]
    names = {cases[place] for place in chosen}
    before, after = _answers(first, names), _answers(second, names)
    return [
        Differing(
            case=cases[place],
            first=one[place],
            second=two[place],
            answer_first=before.get(cases[place], ""),
            answer_second=after.get(cases[place], ""),
        )
        for place in chosen
    ]


def _answers(found: Evidence, cases: set[str]) -> dict[str, str]:
    """The first answer to each of some cases."""
    return {case: sample.answer.text for case in cases if (sample := found.of_case(case)) is not None}


def _notes(first: Evidence, second: Evidence, left_out: int) -> list[str]:
    notes = []
    if first.simulated or second.simulated:
        notes.append("Answers are simulated: a plan made them up, so the difference says nothing about a real model.")
    if first.about["suite"] != second.about["suite"]:
        notes.append(
            f"The tests used {first.about['suite']} and {second.about['suite']}; only cases that have the same id in both are "
            "compared, and what is asked of their answers may differ."
        )
    elif first.about["instruments"] != second.about["instruments"]:
        notes.append("The tests were judged by different judges, so the difference may be theirs.")
    if left_out:
        notes.append(f"{left_out} cases are left out, since one of the tests has no value for them.")
    return notes


def _message(first: Evidence, second: Evidence, found: Difference, word: str, margin: float, metric: str) -> str:
    low, high = _finite(found.low), _finite(found.high)
    interval = f" (95 % interval {low:+.3f} to {high:+.3f})" if low is not None and high is not None else ""
    asked = f", margin {margin:g}" if margin else ""
    return f"{WORDS[word]}: {metric} of {_called(second)} against {_called(first)} is {found.value:+.3f}{interval}{asked}"


def _called(found: Evidence) -> str:
    return f"run {found.run[:8]} ({found.about['target']})"


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
