"""Several tests on the same cases, ranked: who beats whom case by case, and which ranks are sure.

Works on what tests have kept; nothing is asked.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from stellwerk.errors import UserError
from stellwerk.evaluation import evidence
from stellwerk.evaluation.reports import Ranked, Ranking

if TYPE_CHECKING:
    from stellwerk.evaluation.evidence import Evidence
    from stellwerk.evaluation.statistics.ranking import Place
    from stellwerk.workspace import Workspace


def rank(workspace: Workspace, runs: list[str], metric: str) -> Ranking:
    """Rank the tests of runs; of a run with several tests all are taken.

    Raises:
        UserError: there are less than two tests, they are on different suites, or have no cases or no such metric in common.
    """
    import numpy as np

    from stellwerk.evaluation.comparing import less_is_better
    from stellwerk.evaluation.statistics.ranking import ranked

    tests = _tests(workspace, runs)
    columns = [_values(found, metric) for found in tests]
    cases = [case for case in columns[0] if any(not math.isnan(values.get(case, math.nan)) for values in columns)]
    known = set(cases)
    for values in columns[1:]:
        cases += [case for case, value in values.items() if case not in known and not math.isnan(value)]
        known.update(cases)
    scores = np.array([[values.get(case, math.nan) for values in columns] for case in cases]).reshape(-1, len(tests))
    labels: dict[str, str | None] = {}
    for found in tests:
        labels |= {case: label for case, label in found.columns.cluster_of().items() if label is not None}
    try:
        places = ranked(-scores if less_is_better(metric) else scores, [labels.get(case) for case in cases])
    except ValueError as error:
        raise UserError(f"{error}; name tests that have cases with a {metric} in common") from None
    shared = int((~np.isnan(scores)).all(axis=1).sum())
    return Ranking(
        message=_message(tests, places, metric),
        metric=metric,
        suite=tests[0].about["suite"],
        cases=len(cases),
        places=[_place(place, tests[place.system], scores[:, place.system]) for place in places],
        simulated=any(found.simulated for found in tests),
        notes=_notes(tests, len(cases) - shared),
    )


def _tests(workspace: Workspace, runs: list[str]) -> list[Evidence]:
    """All tests that are named, each once.

    Raises:
        UserError: less than two, or on different suites.
    """
    found: dict[tuple[str, str], Evidence] = {}
    for reference in runs:
        tests = [evidence.of(workspace, reference)] if ":" in reference else evidence.all_of(workspace, reference)
        found |= {(test.run, test.name): test for test in tests}
    tests = list(found.values())
    if len(tests) < 2:
        raise UserError(
            "one test alone has no rank; name at least two tests on one suite, such as --runs 3f2a91c0 --runs 8b41d2aa"
        )
    suites = sorted({_name(test) for test in tests})
    if len(suites) > 1:
        raise UserError(f"the tests are on different suites ({', '.join(suites)}); name tests on one suite")
    return tests


def _name(found: Evidence) -> str:
    """The suite's name, without its version."""
    return str(found.about["suite"]).partition("@")[0]


def _values(found: Evidence, metric: str) -> dict[str, float]:
    try:
        return found.columns.by_case("passed" if metric == "pass_rate" else metric)
    except KeyError:
        known = ", ".join(["passed", "score", *sorted(found.columns.metrics)])
        raise UserError(f"run {found.run[:8]} has no metric {metric!r}; there are: {known}") from None


def _place(place: Place, found: Evidence, scores: object) -> Ranked:
    import numpy as np

    values = np.asarray(scores, dtype=np.float64)
    known = values[~np.isnan(values)]
    return Ranked(
        rank=place.rank,
        best=place.best,
        worst=place.worst,
        target=found.about["target"],
        run=found.run[:8],
        strength=place.strength,
        low=place.low if math.isfinite(place.low) else None,
        high=place.high if math.isfinite(place.high) else None,
        mean=float(known.mean()) if len(known) else None,
        cases=len(known),
        wins=place.wins,
        ties=place.ties,
        losses=place.losses,
    )


def _message(tests: list[Evidence], places: list[Place], metric: str) -> str:
    leader = places[0]
    name = tests[leader.system].about["target"]
    others = sum(place.best == 1 for place in places) - 1
    if leader.worst == 1:
        return f"{name} is surely first of {len(tests)} by {metric}."
    return f"{name} is first of {len(tests)} by {metric}, but {others} more may be first as well."


def _notes(tests: list[Evidence], partly: int) -> list[str]:
    notes = []
    if any(found.simulated for found in tests):
        notes.append("Answers are simulated: a plan made them up, so the ranks say nothing about real models.")
    if len({str(found.about["suite"]) for found in tests}) > 1:
        notes.append("The tests used different versions of the suite; cases are matched by their id.")
    if partly:
        notes.append(f"{partly} cases have no value in some tests; there only those that have one are compared.")
    return notes
