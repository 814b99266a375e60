"""What an audit measures of a judge, from its verdicts in both orders and those of people. Pure: knows no model and no file.

Each number comes with its interval and with how many cases it rests on; a judge passes when every number that has a threshold
meets it, on enough cases. The thresholds come from outside, and were there before the verdicts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from stellwerk.evaluation.judges.spec import Form, Thresholds
from stellwerk.evaluation.judges.wording import Verdict

if TYPE_CHECKING:
    from stellwerk.evaluation.statistics.intervals import Interval

Bound = Literal["at least", "at most"]


@dataclass(frozen=True, slots=True)
class Judged:
    """One case that people and the judge have judged.

    Attributes:
        human: what people say.
        straight: the judge's verdict; None where it could not be read.
        turned: its verdict in the other order, turned back.
        lengths: characters of what was judged: of one answer, or of both.
        own: whether the answer is by a model of the judge's family; None where that is unknown.
    """

    human: Verdict
    straight: Verdict | None
    turned: Verdict | None
    lengths: tuple[int, ...] = ()
    own: bool | None = None

    @property
    def read(self) -> bool:
        """Whether both verdicts could be read."""
        return self.straight is not None and self.turned is not None

    @property
    def both(self) -> Verdict | None:
        """The verdict on a pair by the rule of use: that of both orders, a tie where they differ."""
        if not self.read:
            return None
        return self.straight if self.straight == self.turned else "tie"


@dataclass(frozen=True, slots=True)
class Measure:
    """One number of an audit; `threshold` None for one that is only shown, `value` None where it could not be measured."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    threshold: float | None = None
    bound: Bound = "at least"

    @property
    def met(self) -> bool | None:
        """Whether the threshold is met; what could not be measured meets none."""
        if self.threshold is None:
            return None
        if self.value is None or not math.isfinite(self.value):
            return False
        return self.value >= self.threshold if self.bound == "at least" else self.value <= self.threshold


def measures(form: Form, judged: Sequence[Judged], bar: float, scale: tuple[int, int], limits: Thresholds) -> list[Measure]:
    """All numbers of an audit.

    Args:
        form: of the judge.
        judged: cases with the verdicts of both sides.
        bar: the score from which an answer passes, where the form is score.
        scale: lowest and highest score.
        limits: what has to be met.
    """
    read = [one for one in judged if one.read]
    found = [
        Measure("labels", len(read), None, None, len(judged), limits.labels),
        _rate("unscored", [not one.read for one in judged], limits.unscored, "at most"),
    ]
    if form == "pairwise":
        return found + _of_pairs(read, limits)
    return found + _of_answers(form, read, bar, scale, limits)


def passed(found: Sequence[Measure]) -> bool:
    """Whether every threshold is met."""
    return all(one.met is not False for one in found)


def _of_pairs(read: list[Judged], limits: Thresholds) -> list[Measure]:
    kept = [one for one in read if one.straight == one.turned and one.straight != "tie"]
    first = [(number, v == at) for number, one in enumerate(read) for v, at in _placed(one) if v != "tie"]
    longer = [d for one in read if (d := _longer(one)) is not None]
    position = _rate("position", [hit for _, hit in first], clusters=[number for number, _ in first])
    return [
        _rate("consistency", [one.straight == one.turned for one in read], limits.consistency),
        position,
        _distance(position, limits.position),
        _mean("length", longer, limits.length, "at most"),
        *_agreement([(one.human, one.both) for one in read], limits),
        _rate("accuracy_kept", [one.straight == one.human for one in kept]),
        Measure("kept", len(kept) / len(read) if read else None, None, None, len(read)),
        _mean("own_family", [_preference(one) for one in read if one.own and one.human != "tie"]),
    ]


def _placed(one: Judged) -> tuple[tuple[Verdict | None, str], tuple[Verdict | None, str]]:
    """Each verdict, with the answer that stood first when it was given."""
    return (one.straight, "A"), (one.turned, "B")


def _longer(one: Judged) -> float | None:
    """How much more the judge leans to the longer answer of a pair than people do, from -1 to 1."""
    if len(one.lengths) != 2 or one.lengths[0] == one.lengths[1]:
        return None
    wanted = "A" if one.lengths[0] > one.lengths[1] else "B"

    def leans(verdict: Verdict | None) -> float:
        return 0.5 if verdict == "tie" else float(verdict == wanted)

    return (leans(one.straight) + leans(one.turned)) / 2 - leans(one.human)


def _preference(one: Judged) -> float:
    """How much more the judge leans to the first answer, which is of its own family, than people do."""
    lean = {"A": 1.0, "B": 0.0, "tie": 0.5}
    return lean[str(one.both)] - lean[str(one.human)]


def _of_answers(form: Form, read: list[Judged], bar: float, scale: tuple[int, int], limits: Thresholds) -> list[Measure]:
    low, high = scale

    def good(verdict: Verdict | None) -> bool:
        return bool(verdict) if form == "verdict" else float(verdict or 0) >= bar

    def share(verdict: Verdict | None) -> float:
        return float(bool(verdict)) if form == "verdict" else (float(verdict or 0) - low) / (high - low)

    off = [share(one.straight) - share(one.human) for one in read]
    mine, others = ([gap for gap, one in zip(off, read, strict=True) if one.own is side] for side in (True, False))
    short, long = _halves(read)
    same: list[tuple[Verdict | None, Verdict | None]] = [(good(one.human), good(one.straight)) for one in read]
    graded = _both_sides(read) if form == "score" else None
    return [
        _rate("consistency", [one.straight == one.turned for one in read], limits.consistency),
        _apart("length", [off[i] for i in long], [off[i] for i in short], limits.length if _varies(read) else None),
        *_agreement(same, limits, graded),
        _rate("sensitivity", [good(one.straight) for one in read if good(one.human)], limits.sensitivity),
        _rate("specificity", [not good(one.straight) for one in read if not good(one.human)], limits.specificity),
        _mean("offset", off),
        _apart("own_family", mine, others),
    ]


def _halves(read: list[Judged]) -> tuple[list[int], list[int]]:
    """The shorter and the longer answers, parted within what people judge alike: good answers are often longer ones."""
    short: list[int] = []
    long: list[int] = []
    for verdict in dict.fromkeys(one.human for one in read):
        mine = sorted((i for i, one in enumerate(read) if one.human == verdict), key=lambda i: (read[i].lengths, i))
        short += mine[: len(mine) // 2]
        long += mine[(len(mine) + 1) // 2 :]
    return short, long


def _both_sides(read: list[Judged]) -> list[tuple[Verdict | None, Verdict | None]]:
    return [(one.human, one.straight) for one in read]


def _varies(read: list[Judged]) -> bool:
    """Whether an effect of length can show at all."""
    return len({one.lengths for one in read}) > 1


def _agreement(
    same: list[tuple[Verdict | None, Verdict | None]],
    limits: Thresholds,
    graded: list[tuple[Verdict | None, Verdict | None]] | None = None,
) -> list[Measure]:
    """Gwet's AC1 and Cohen's kappa, of people and judge.

    Args:
        same: what both say of each case.
        limits: that have to be met.
        graded: scores, of which kappa is weighted by the square of the distance, since near is better than far.
    """
    if len(same) < 2:
        limit = (("agreement", limits.agreement), ("kappa", limits.kappa))
        return [Measure(name, None, None, None, len(same), threshold) for name, threshold in limit]
    from stellwerk.evaluation.statistics import agreement

    ac1 = agreement.gwet([(str(human), str(judge)) for human, judge in same])
    people, judges = [human for human, _ in graded or same], [judge for _, judge in graded or same]
    kappa = agreement.kappa(people, judges, weighting="quadratic" if graded else None)
    return [_of("agreement", ac1, limits.agreement), _of("kappa", kappa, limits.kappa)]


def _of(name: str, found: Interval, threshold: float | None = None, bound: Bound = "at least") -> Measure:
    value, low, high = (x if math.isfinite(x) else None for x in (found.value, found.low, found.high))
    return Measure(name, value, low, high, found.n, threshold, bound)


def _rate(
    name: str,
    hits: Sequence[bool],
    threshold: float | None = None,
    bound: Bound = "at least",
    clusters: Sequence[int] | None = None,
) -> Measure:
    if not hits:
        return Measure(name, None, None, None, 0, threshold, bound)
    from stellwerk.evaluation.statistics import intervals

    return _of(name, intervals.rate([float(hit) for hit in hits], clusters), threshold, bound)


def _mean(name: str, values: Sequence[float], threshold: float | None = None, bound: Bound = "at least") -> Measure:
    if not values:
        # Without lengths that differ there is no effect of length to guard against.
        return Measure(name, None, None, None, 0)
    from stellwerk.evaluation.statistics import intervals

    return _of(name, intervals.mean(values), threshold, bound)


def _distance(position: Measure, threshold: float) -> Measure:
    """How far the share of what stands first is from one half."""
    if position.value is None or position.low is None or position.high is None:
        return Measure("position_distance", None, None, None, position.n, threshold, "at most")
    ends = sorted(abs(end - 0.5) for end in (position.low, position.high))
    nearest = 0.0 if position.low <= 0.5 <= position.high else ends[0]
    return Measure("position_distance", abs(position.value - 0.5), nearest, ends[1], position.n, threshold, "at most")


def _apart(name: str, one: Sequence[float], other: Sequence[float], threshold: float | None = None) -> Measure:
    """Difference of two means with Welch's interval."""
    n = len(one) + len(other)
    if min(len(one), len(other)) < 2:
        return Measure(name, None, None, None, n)
    from scipy.stats import ttest_ind

    value = sum(one) / len(one) - sum(other) / len(other)
    if len({*one}) == len({*other}) == 1:
        return Measure(name, value, value, value, n, threshold, "at most")
    reach = ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    return Measure(name, value, float(reach.low), float(reach.high), n, threshold, "at most")
