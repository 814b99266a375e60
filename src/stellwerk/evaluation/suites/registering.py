"""Tells what a suite version holds, and what about it makes its results weaker than they look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stellwerk.evaluation.case import Check
from stellwerk.evaluation.reports import MetricLine, PartLine, SuiteReport
from stellwerk.evaluation.scorers import registry
from stellwerk.evaluation.suites import taking
from stellwerk.evaluation.suites.spec import SPLITS

if TYPE_CHECKING:
    from stellwerk.run import Run

FEW = 100  # cases for testing, below which only large differences can be found
FEW_CLUSTERS = 20  # below which an interval over clusters is a guess


def report(run: Run, parameter: str) -> SuiteReport:
    """Make a version of the suite that a parameter names, and tell what it holds."""
    version, suite = taking.take(run, parameter)
    facts = suite.facts
    return SuiteReport(
        suite=version.ref,
        message=f"{version.ref} has {facts['cases']} cases.",
        cases=facts["cases"],
        splits=[
            PartLine(split=name, cases=facts["splits"][name], share=round(facts["splits"][name] / facts["cases"], 4))
            for name in SPLITS
            if facts["splits"].get(name)
        ],
        clusters=facts["clusters"],
        languages=facts["languages"],
        inputs=sorted(suite.inputs),
        metrics=[_line(check) for check in suite.checks if check.type != registry.CASE],
        dropped=facts.get("dropped", 0),
        dataset=facts.get("dataset"),
        notes=list(notes(facts)),
        next=[f"stellwerk evaluation cases {suite.name}", f"stellwerk prompts test PROMPT {suite.name} MODEL"],
    )


def notes(facts: Mapping[str, Any]) -> list[str]:
    """Sentences on what weakens the results of a suite.

    Args:
        facts: of its version, see `keeping.Tally.facts`.
    """
    found = []
    tested = facts["splits"].get("test", 0)
    if facts["silent"]:
        found.append(
            f"Nothing is asked of {facts['silent']} cases; they stay unscored. Give them an expected answer or checks."
        )
    if facts.get("unasked"):
        found.append(f"No check looks at the expected answer of {facts['unasked']} cases; use {{{{expected}}}} in a value.")
    if facts.get("contradicting"):
        found.append(f"{facts['contradicting']} cases expect another answer than one with the same inputs; not all can pass.")
    if not tested:
        found.append("No case is for testing, so that nothing measured with this suite counts for a gate.")
    elif tested < FEW:
        found.append(f"With {tested} cases for testing only large differences can be told from chance: see evaluation power.")
    if facts["clusters"] and facts["clustered"] < facts["cases"]:
        alone = facts["cases"] - facts["clustered"]
        found.append(f"{alone} cases have no cluster and count as independent of all others.")
    if 0 < facts["clusters"] < FEW_CLUSTERS:
        found.append(f"There are only {facts['clusters']} clusters; intervals over so few are wide and unsure.")
    if facts["splits"].get("dev") and not facts["splits"].get("held-out"):
        found.append("No case is held out, so that a prompt that is optimised with this suite cannot be proven on fresh cases.")
    if facts["inputs"]["sometimes"]:
        found.append(f"Some cases lack the variables {', '.join(facts['inputs']['sometimes'])}.")
    if not facts["languages"]:
        found.append("No language is said, so that the checks of language follow the language of the inputs.")
    return found


def _line(check: Check) -> MetricLine:
    return MetricLine(metric=check.named, type=check.type, family=check.family, counts=check.weight > 0)
