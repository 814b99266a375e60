"""How many cases a test needs to find a difference, said before anything is asked; from a run, or from what is expected.

Assumes the worst where nothing is known: that two systems have nothing in common, so that they differ on most cases.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stellwerk.errors import UserError
from stellwerk.evaluation import evidence
from stellwerk.evaluation.reports import Detectable, Power

if TYPE_CHECKING:
    from stellwerk.evaluation.evidence import Evidence
    from stellwerk.workspace import Workspace

SIZES = (50, 100, 200, 500, 1000, 2000, 5000)


@dataclass(frozen=True)
class _Spread:
    """What is expected of the cases, and in words where it comes from."""

    rate: float
    discordant: float | None
    cluster_size: float
    correlation: float
    cases: int | None
    notes: tuple[str, ...]


def power(
    workspace: Workspace,
    difference: float,
    rate: float,
    of: str | None,
    discordant: float | None,
    power: float,
    cluster_size: float,
    correlation: float,
) -> Power:
    """How many cases find a difference, and which difference a number of cases finds.

    Args:
        workspace: that has the run.
        difference: that should be found.
        rate: of cases that pass, unless a run tells.
        of: a run; with two tests on the same cases it also tells on how many of them systems differ.
        discordant: share of cases on which two systems are expected to differ; goes before that of the run.
        power: chance to find the difference.
        cluster_size: cases in a cluster, unless a run tells.
        correlation: of cases in one cluster, unless a run tells.

    Raises:
        UserError: there is no such run, it says nothing, or the difference cannot be.
    """
    from stellwerk.evaluation.statistics import power as planning

    spread = _Spread(rate, None, cluster_size, correlation, None, ()) if of is None else _seen(evidence.all_of(workspace, of))
    if spread.rate + difference > 1 and spread.rate - difference < 0:
        raise UserError(
            f"no rate differs from {spread.rate:.3g} by {difference:g}, for it would be above 1 or below 0; "
            "give a smaller difference"
        )
    apart, notes = _apart(spread, difference, discordant)
    size, together = spread.cluster_size, spread.correlation
    try:
        cases = planning.cases(difference, apart, power=power, cluster_size=size, correlation=together)
        unpaired = planning.cases_unpaired(spread.rate, difference, power=power)
    except ValueError as error:
        raise UserError(f"{error}; give a larger difference") from None
    sizes = sorted({*SIZES, *([spread.cases] if spread.cases else [])})
    table = [
        Detectable(cases=n, difference=planning.detectable(n, apart, power=power, cluster_size=size, correlation=together))
        for n in sizes
    ]
    unpaired = math.ceil(unpaired * planning.inflation(size, together))
    return Power(
        message=f"{cases} cases find a difference of {difference:g} with a chance of {power:.0%}.",
        cases=cases,
        clusters=math.ceil(cases / size) if size > 1 else None,
        cases_unpaired=unpaired,
        difference=difference,
        power=power,
        rate=spread.rate,
        discordant=apart,
        cluster_size=size,
        correlation=together,
        detectable=table,
        notes=[*spread.notes, *notes],
    )


def _apart(spread: _Spread, difference: float, discordant: float | None) -> tuple[float, tuple[str, ...]]:
    """The share of cases on which two systems differ, and what is assumed for it.

    Raises:
        UserError: it is smaller than the difference.
    """
    from stellwerk.evaluation.statistics.power import independent

    if discordant is not None:
        if discordant < difference:
            raise UserError(f"discordant {discordant:g} is below the difference {difference:g}; at least as many cases differ")
        return discordant, ()
    if spread.discordant is not None and spread.discordant >= difference:
        return spread.discordant, ("On how many cases two systems differ was taken from the two tests of the run.",)
    if spread.discordant is not None:
        return difference, (
            "The tests of the run differ on fewer cases than the difference; they are taken to differ on just these.",
        )
    return independent(spread.rate, difference), (
        "Two systems are taken to have nothing in common, which is the worst to be expected; wordings of one prompt mostly "
        "need fewer cases. Give discordant, or a run that compared two.",
    )


def _seen(tests: list[Evidence]) -> _Spread:
    """The spread of what a run saw.

    Raises:
        UserError: nothing in it was scored.
    """
    from stellwerk.evaluation.statistics.intervals import design_effect

    first = tests[0]
    passed = {case: value for case, value in first.columns.by_case("passed").items() if not math.isnan(value)}
    if not passed:
        raise UserError(f"run {first.run[:8]} has no call that passed or failed; name another run, or give a rate")
    values = list(passed.values())
    rate = sum(values) / len(values)
    known = first.columns.cluster_of()
    clusters = [known[case] for case in passed]
    size, correlation = 1.0, 0.0
    notes = [f"Rate and clusters are those of run {first.run[:8]}, {len(values)} cases."]
    if any(clusters):
        sizes: dict[str | None, int] = {}
        for label in clusters:
            sizes[label] = sizes.get(label, 0) + (label is not None)
        alone = sum(label is None for label in clusters)
        size = (sum(n * n for n in sizes.values()) + alone) / len(values)
        if size > 1:
            correlation = min(1.0, max(0.0, (design_effect(values, clusters) - 1) / (size - 1)))
    if first.simulated:
        notes.append("The answers of the run were simulated, so the numbers say nothing about a real model.")
    return _Spread(rate, _differ(passed, tests), size, correlation, len(values), tuple(notes))


def _differ(passed: dict[str, float], tests: list[Evidence]) -> float | None:
    """Share of cases on which the second test of a run came out otherwise; None without a second one on these cases."""
    for other in tests[1:]:
        theirs = other.columns.by_case("passed")
        shared = [case for case in passed if not math.isnan(theirs.get(case, math.nan))]
        if shared:
            return sum(abs(passed[case] - theirs[case]) for case in shared) / len(shared)
    return None
