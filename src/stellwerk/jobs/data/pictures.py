"""The pictures of a dataset version: the way of its documents through the steps, and how values lie to their bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stellwerk.jobs.data.measured import Rule, Values
from stellwerk.jobs.data.words import named
from stellwerk.report.charts import histogram
from stellwerk.report.flow import Amount, Flow, FlowStep
from stellwerk.report.page import Distribution
from stellwerk.report.words import Language, number
from stellwerk.text.quality_scores import SCORES

if TYPE_CHECKING:
    from stellwerk.record.record import Version

_ROBUST = (
    "Upper bound: {bound} robust standard deviations from the median {median}.",
    "Obere Grenze: {bound} robuste Standardabweichungen vom Median {median}.",
)


def flow(version: Version, did: Sequence[Rule], language: Language) -> Flow:
    """The way of the documents of a version, from its sources to what was kept."""
    counts = version.facts["counts"]
    drops: dict[str, list[Amount]] = {}
    for rule in did:
        if rule.dropped:
            label = named(rule.rule.removeprefix("outlier:"), language)
            drops.setdefault(rule.step, []).append(Amount(label=label, count=rule.dropped))
    return Flow(
        sources=tuple(Amount(label=name, count=sum(found.values())) for name, found in counts["sources"].items()),
        steps=tuple(FlowStep(label=named(step, language), drops=tuple(amounts)) for step, amounts in drops.items()),
        kept=counts["kept"],
        changed=counts["changed"],
    )


def distribution(values: Values, language: Language) -> Distribution:
    """How the values of a score lie to its bounds."""
    robust = ""
    if values.median is not None:
        robust = _ROBUST[language == "de"].format(bound=f"{values.deviations:g}", median=number(values.median, language))
    return Distribution(
        title=title(values.name, language),
        histogram=histogram(values.values, (values.lower, values.upper)),
        lower=values.lower,
        upper=values.upper,
        note=robust,
    )


def title(score: str, language: Language) -> str:
    """A score or column in words."""
    german = named(score, language)
    if language == "de" and german != score:
        return german[:1].upper() + german[1:]
    return SCORES[score].title if score in SCORES else score
