"""What a test saw, for people: counts, numbers with intervals, which cases did not pass, what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from stellwerk.evaluation.reports import Number, Problem, TestReport

if TYPE_CHECKING:
    from stellwerk.evaluation.evidence import Evidence

SHOWN = 20  # cases that did not pass
FEW = 30  # cases below which an interval says little


def report(found: Evidence) -> TestReport:
    """What a test saw."""
    about, counts = found.about, found.counts
    numbers = [Number(**{name: one[name] for name in Number.model_fields}) for one in found.summary]
    rate = next(number for number in numbers if number.metric == "pass_rate")
    return TestReport(
        run=found.run[:8],
        test=found.name,
        message=_message(about, counts, rate),
        target=about["target"],
        simulated=about["simulated"],
        suite=about["suite"],
        split=about["split"],
        repeats=about["repeats"],
        cases=counts["cases"],
        samples=counts["samples"],
        passed=counts["samples"] - counts["failed"] - counts["errors"] - counts["unscored"],
        failed=counts["failed"],
        errors=counts["errors"],
        unscored=counts["unscored"],
        complete=about["complete"],
        subjects=about["subjects"],
        instruments=about["instruments"],
        numbers=numbers,
        problems=problems(found),
        notes=list(_notes(about, counts)),
        next=_next(found),
    )


def problems(found: Evidence) -> list[Problem]:
    """The first cases that did not pass, with the checks that they failed; no texts of cases or answers."""
    rows = [entry for kind in ("failed", "errors", "unscored") for entry in islice(_of(found, kind), SHOWN)]
    return [_problem(number, row) for number, row in sorted(rows, key=lambda entry: entry[0])[:SHOWN]]


def _of(found: Evidence, kind: Any) -> Any:
    return found.rows(kind) if found.number(kind) else ()


def _problem(number: int, row: Mapping[str, Any]) -> Problem:
    failure = row["answer"]["failure"]
    checks = [f"{s['metric']}: {s['reason']}" if s["reason"] else s["metric"] for s in row["scores"] if s["passed"] is not True]
    state = "error" if not row["scores"] and failure else "unscored" if row["passed"] is None else "failed"
    return Problem(
        number=number + 1, case=row["case"], repeat=row["repeat"], state=state, checks=[failure] if failure else checks
    )


def _message(about: Mapping[str, Any], counts: Mapping[str, Any], rate: Number) -> str:
    said = f"{about['target']} on {about['suite']}, {about['split']}: "
    if rate.value is None:
        return said + "none of the calls could be judged"
    passed = f"{rate.value:.1%} of {rate.n} cases pass"
    return (
        said
        + passed
        + (f" (95 % interval {rate.low:.1%} to {rate.high:.1%})" if rate.low is not None and rate.high is not None else "")
    )


def _notes(about: Mapping[str, Any], counts: Mapping[str, Any]) -> list[str]:
    notes = []
    if about["simulated"]:
        notes.append("These answers are simulated: a plan made them up, so the numbers say nothing about a real model.")
    if about.get("chosen") and about["split"] != "held-out":
        notes.append(
            "A search chose this wording by cases of this suite, so this test flatters it; those held out do not: "
            "--split held-out."
        )
    if counts["errors"]:
        notes.append(
            f"{counts['errors']} of {counts['samples']} calls got no answer; they count neither as right nor as wrong, and the "
            "measurement does not count until the test is run again: only what is missing is asked then."
        )
    if counts.get("unjudged"):
        notes.append(
            f"To {counts['unjudged']} answers a judge, or a model that embeds, said nothing, since its calls failed; the "
            "measurement does not count until the test is run again."
        )
    if counts.get("kept"):
        notes.append(
            f"{counts['kept']} of {counts['samples']} answers were kept from earlier calls; their times are those of those "
            "calls."
        )
    if counts["unscored"]:
        notes.append(f"{counts['unscored']} answers could not be scored; they count neither as right nor as wrong.")
    if about["limit"] is not None:
        notes.append("Only the first cases were asked, so the measurement does not count for a gate.")
    elif about["split"] not in ("test", "all"):
        notes.append(f"Only the split {about['split']} was asked, so the measurement does not count for a gate.")
    if counts["cases"] < FEW:
        notes.append(f"{counts['cases']} cases say little: see how many it needs with stellwerk evaluation power.")
    return notes


def _next(found: Evidence) -> list[str]:
    run = found.run[:8]
    commands = [
        f"stellwerk evaluation samples {run} --only {kind}" for kind in ("failed", "errors", "unscored") if found.number(kind)
    ]
    return commands or [f"stellwerk evaluation samples {run}"]
