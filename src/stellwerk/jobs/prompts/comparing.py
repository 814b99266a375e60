"""Compares two wordings or two models on the same cases: each is tested, and the two tests are paired case by case.

Knows the tests and the pairing. The metric that was named before decides; all others are adjusted together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stellwerk.errors import UserError
from stellwerk.jobs.prompts.search import pairs, reporting
from stellwerk.jobs.prompts.searching import DifferentCase, Gain, PromptComparison

if TYPE_CHECKING:
    from stellwerk.evaluation.evidence import Evidence
    from stellwerk.evaluation.suites.suite import Suite
    from stellwerk.record.record import Version
    from stellwerk.run import Run

SHOWN = 20  # cases that differ


def compare(run: Run, *, split: str, repeats: int, margin: float, metric: str, two_models: bool) -> PromptComparison:
    """Compare the parameter `second` with `first` on `suite`, asked with `model` and, where given, `second_model`."""
    from stellwerk.evaluation import suites, testing
    from stellwerk.llm import models, prompts

    sides_taken = [prompts.take(run, name) for name in ("first", "second")]
    prompts_taken = [version for version, _ in sides_taken]
    suite, cases = suites.take(run, "suite")
    for _, text in sides_taken:
        testing.refuse_unfit(cases, text)
    model = models.take(run, "model")[0]
    other = models.take(run, "second_model")[0] if two_models else model
    if prompts_taken[0].id == prompts_taken[1].id and model.id == other.id:
        raise UserError(f"{prompts_taken[0].ref} with {model.ref} would be compared with itself; name another prompt or model")
    _check_metric(cases, metric)
    number = cases.count(None if split == "all" else split)
    planned = run.step(f"plan: what {number} cases can show", plan, cases=max(number, 1))["smallest"]
    sides = [
        testing.judged(run, {"prompt": p.ref, "model": m.ref}, (p, m), suite, split=split, repeats=repeats)
        for p, m in zip(prompts_taken, (model, other), strict=True)
    ]
    first, second = (side.evidence for side in sides)
    outcome = run.step(
        "compare",
        note,
        inputs=[*prompts_taken, model, *([other] if other.id != model.id else []), suite],
        evidence=[reporting.plain(side) for side in (first, second)],
        about={"metric": metric, "margin": margin},
    )
    named = {"first": prompts_taken[0].ref, "second": prompts_taken[1].ref, "model": model.ref, "second_model": other.ref}
    return _report(run, named, suite, split, planned, margin, metric, (first, second), outcome)


def _check_metric(suite: Suite, metric: str) -> None:
    """See before anything is asked that there will be such a metric.

    Raises:
        UserError: there is none.
    """
    known = ["passed", "score", *pairs.SPENT]
    # A check of a family that is called like it is counted among the unwanted outputs alone.
    known += [check.named for check in suite.checks if check.named != check.family]
    known += [f"{pairs.UNWANTED}{check.family}" for check in suite.checks if check.family]
    if metric not in known:
        there = ", ".join(dict.fromkeys(known))
        raise UserError(f"{suite.ref} has no metric {metric!r}; there are: {there}")


def plan(run: Run, *, cases: int) -> dict[str, Any]:
    """Step: what can be shown at all, said before anything is asked."""
    return {"smallest": pairs.smallest(cases)}


def note(run: Run, *, evidence: Sequence[dict[str, Any]], about: dict[str, Any]) -> dict[str, Any]:
    """Step: pair the tests and measure the difference of the metric that decides, and of all others."""
    first, second = (reporting.evidence_of(run, one) for one in evidence)
    decides = pairs.paired(first, second, about["metric"])
    main = pairs.gain(decides, about["margin"], decides=True)
    names = [name for name in pairs.qualities(first, second) if name != about["metric"]]
    others = pairs.family([p for name in names if (p := pairs.tried(first, second, name))])
    spent = [name for name in pairs.SPENT if name != about["metric"]]
    others += [pairs.gain(p) for name in spent if (p := pairs.tried(first, second, name))]
    # Without an interval, as of a single cluster, a gate would take it for a count of all there is.
    whole = bool(first.about["complete"] and second.about["complete"]) and main.low is not None
    metric = about["metric"]
    run.measure(
        # Of another metric it is another measurement: a gate on one must not be passed by the other.
        "difference" if metric == "passed" else f"difference.{metric}",
        main.difference,
        n=main.n,
        low=main.low,
        high=main.high,
        unit="" if metric in pairs.SPENT else "share",
        subjects=[run.record.resolve(reference) for reference in second.about["subjects"]],
        # What it was compared with is an instrument, so that a gate can say against what.
        instruments=reporting.instruments(run, first, second),
        complete=whole,
        details={"metric": metric, "against": first.about["subjects"], "verdict": main.verdict, "p": main.p},
    )
    verdict = pairs.verdict(decides, about["margin"])
    return {
        "gain": main.model_dump(),
        "others": [other.model_dump() for other in others],
        "needs": verdict.needs,
        "left_out": decides.left_out,
        **_counts(decides),
        "differing": [case.model_dump() for case in _differing(decides)],
    }


def _report(
    run: Run,
    named: dict[str, str],
    suite: Version,
    split: str,
    planned: float | None,
    margin: float,
    metric: str,
    sides: tuple[Evidence, Evidence],
    outcome: dict[str, Any],
) -> PromptComparison:
    found = Gain(**outcome["gain"])
    simulated = any(side.simulated for side in sides)
    runs = [f"{run.id[:8]}:{place}" for place in (1, 2)]
    return PromptComparison(
        **named,
        message=reporting.said(_label(named, "second"), _label(named, "first"), found),
        verdict=found.verdict or "undecided",
        suite=suite.ref,
        split=split,
        metric=metric,
        margin=margin,
        smallest=planned,
        needs=outcome["needs"],
        gain=found,
        better=outcome["better"],
        worse=outcome["worse"],
        equal=outcome["equal"],
        left_out=outcome["left_out"],
        simulated=simulated,
        others=[Gain(**other) for other in outcome["others"]],
        differing=[DifferentCase(**case) for case in outcome["differing"]],
        runs=runs,
        notes=list(_notes(sides, planned, found, outcome, simulated)),
        next=[f"stellwerk evaluation compare {runs[0]} {runs[1]} --metric {metric}"],
    )


def _label(named: dict[str, str], side: str) -> str:
    model = named["model" if side == "first" else "second_model"]
    same = named["model"] == named["second_model"]
    return named[side] if same else f"{named[side]} with {model}"


def _notes(
    sides: tuple[Evidence, Evidence], planned: float | None, found: Gain, outcome: dict[str, Any], simulated: bool
) -> Any:
    if simulated:
        yield reporting.SIMULATED
    if planned is None:
        yield "So few cases show no difference reliably, were it ever so great."
    else:
        yield (
            f"So many cases show a difference of {planned:.1%} or more in 80 % of all tests, if the two differ on "
            f"{pairs.DIFFERING:.0%} of the cases; a smaller one may well go unseen."
        )
    if found.verdict == "undecided":
        needs = outcome["needs"]
        yield (
            f"That it cannot be told does not mean that they are equal; about {needs} cases would tell."
            if needs
            else "That it cannot be told does not mean that they are equal."
        )
    errors = sum(side.number("errors") for side in sides)
    if errors:
        yield f"{errors} calls got no answer; their cases are left out. Run it again: only what is missing is asked then."
    if outcome["others"]:
        yield "The metric that was named decides; the p values of all others are adjusted together by Holm."


def _counts(found: pairs.Pairs) -> dict[str, int]:
    up = sum(b > a for a, b in zip(found.first, found.second, strict=True))
    down = sum(b < a for a, b in zip(found.first, found.second, strict=True))
    better, worse = (down, up) if found.less_is_better else (up, down)
    return {"better": better, "worse": worse, "equal": len(found.cases) - up - down}


def _differing(found: pairs.Pairs) -> list[DifferentCase]:
    """The cases that differ, those on which the second is worse before the others, the widest apart first."""
    sign = -1 if found.less_is_better else 1
    lines = [
        DifferentCase(case=case, first=a, second=b)
        for case, a, b in zip(found.cases, found.first, found.second, strict=True)
        if a != b
    ]
    return sorted(lines, key=lambda line: sign * (line.second - line.first))[:SHOWN]
