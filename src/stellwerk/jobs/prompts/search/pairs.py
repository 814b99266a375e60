"""Two tests case by case: which cases both have, how far they differ in a metric, and what may be said of it.

Works on the columns of evidence; the statistics are those of `evaluation.statistics`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stellwerk.errors import UserError
from stellwerk.jobs.prompts.searching import Gain

if TYPE_CHECKING:
    from stellwerk.evaluation.evidence import Evidence
    from stellwerk.evaluation.statistics.paired import Difference, Verdict

UNWANTED = "unwanted."
SPENT = ("input", "output", "cost", "seconds")
DIFFERING = 0.2  # share of cases on which two wordings come out differently, where nothing is known yet


@dataclass(frozen=True)
class Pairs:
    """A metric of the cases that both tests have scored.

    Attributes:
        left_out: cases of either test that could not be compared.
    """

    metric: str
    cases: Sequence[str]
    first: Sequence[float]
    second: Sequence[float]
    clusters: Sequence[str] | None
    left_out: int

    @property
    def less_is_better(self) -> bool:
        """Whether it counts what should be little."""
        from stellwerk.evaluation import comparing

        return comparing.less_is_better(self.metric)


def paired(first: Evidence, second: Evidence, metric: str) -> Pairs:
    """Pair two tests by case; of repeats the mean.

    Args:
        metric: `passed`, `score`, a metric of the suite, `unwanted.` with a family, or `input`, `output`, `cost`, `seconds`.

    Raises:
        UserError: there is no such metric, or no case has it in both.
    """
    from stellwerk.evaluation import comparing

    cases, ours, theirs, clusters = comparing.pairs(first, second, metric)
    named = None if clusters is None else [cluster or f"\0{case}" for case, cluster in zip(cases, clusters, strict=True)]
    left_out = len(set(first.columns.case) | set(second.columns.case)) - len(cases)
    return Pairs(metric, cases, ours, theirs, named, left_out)


def tried(first: Evidence, second: Evidence, metric: str) -> Pairs | None:
    """As `paired`; None where the two cannot be paired in it, such as in costs without a price or in two currencies."""
    try:
        return paired(first, second, metric)
    except UserError:
        return None


def qualities(first: Evidence, second: Evidence) -> list[str]:
    """The metrics that both tests have and that say something about quality."""
    from stellwerk.evaluation.columns import NUMBERS, OWN

    shared = [name for name in first.columns.metrics if name in second.columns.metrics]
    metrics = [f"{OWN}{name}" if name in NUMBERS else name for name in shared]
    families = [f"{UNWANTED}{name}" for name in first.columns.unwanted if name in second.columns.unwanted]
    return ["passed", "score", *sorted(metrics), *sorted(families)]


def difference(pairs: Pairs) -> Difference:
    """How far the second differs from the first."""
    from stellwerk.evaluation.statistics import paired as statistics

    return statistics.difference(pairs.first, pairs.second, pairs.clusters)


def verdict(pairs: Pairs, margin: float = 0.0, p: float | None = None) -> Verdict:
    """What may be said of the second; where less is better, fewer are better.

    Args:
        margin: how much worse is still as good.
        p: adjusted for a family of tests.
    """
    from stellwerk.evaluation.statistics import paired as statistics

    ours, theirs = (pairs.second, pairs.first) if pairs.less_is_better else (pairs.first, pairs.second)
    return statistics.verdict(statistics.difference(ours, theirs, pairs.clusters), margin, p=p)


def gain(pairs: Pairs, margin: float = 0.0, p: float | None = None, *, decides: bool = False) -> Gain:
    """A difference for people.

    Args:
        margin: how much worse is still as good.
        p: adjusted for a family of tests.
        decides: whether it is the metric that was named; what is merely spent has a verdict only then.
    """
    found = difference(pairs)
    spent = pairs.metric in SPENT and not decides
    return Gain(
        metric=pairs.metric,
        first=found.first,
        second=found.second,
        difference=found.value,
        low=finite(found.low),
        high=finite(found.high),
        p=None if spent else found.p if p is None else p,
        n=found.n,
        verdict=None if spent else verdict(pairs, margin, p).word,
    )


def family(several: Sequence[Pairs], margin: float = 0.0) -> list[Gain]:
    """Differences that are looked at together, so that each is adjusted by Holm."""
    from stellwerk.evaluation.statistics.paired import holm

    adjusted = holm([difference(pairs).p for pairs in several]) if several else []
    return [gain(pairs, margin, p) for pairs, p in zip(several, adjusted, strict=True)]


def harms(first: Evidence, second: Evidence, margin: float = 0.0) -> list[Gain]:
    """How far each family of unwanted outputs differs, which the score does not hold."""
    names = [name for name in qualities(first, second) if name.startswith(UNWANTED)]
    return family([p for name in names if (p := tried(first, second, name))], margin)


def smallest(cases: int, differing: float = DIFFERING, power: float = 0.8, level: float = 0.95) -> float | None:
    """The smallest difference of shares that so many pairs show with this power; None where even the largest is not shown."""
    from stellwerk.evaluation.statistics.power import detectable

    return detectable(cases, differing, power=power, level=level)


def finite(value: float) -> float | None:
    """A bound, None where there is none."""
    return value if math.isfinite(value) else None
