"""What a test shows, in numbers with intervals: how much passes, what is unwanted, what it costs and how long it takes.

Works on columns alone. Calls that did not get through are apart from wrong answers, and what is unknown is no number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from stellwerk.evaluation.columns import Columns

if TYPE_CHECKING:
    from stellwerk.evaluation.statistics.intervals import Interval

RESERVED = frozenset(
    {"pass_rate", "score", "unwanted_rate", "unscored_rate", "error_rate", "cost_per_case", "cost_per_solved", "tokens"}
    | {"latency_p50", "latency_p95", "probe_passed", "difference", "gain", "gain_over_baseline", "loss_bound"}
    | {"tainted_versions", "open_findings"}
)
DRAWN = 200  # cases up to which an interval is drawn
Clusters = Sequence[str] | None


@dataclass(frozen=True)
class Measured:
    """A number with its 95 % interval.

    Attributes:
        value: None where it cannot be said, such as costs without a price.
        n: cases that it rests on.
        method: how the interval was made.
    """

    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    unit: str
    method: str = ""


def summary(columns: Columns) -> list[dict[str, Any]]:
    """All that a test shows, as JSON."""
    return [asdict(measured) for measured in measures(columns)]


def measures(columns: Columns) -> Iterator[Measured]:
    """All that a test shows: quality, unwanted outputs, errors, money, tokens and time."""
    yield _share(columns, "pass_rate", columns.passed)
    yield _mean(columns, "score", columns.score, "share")
    for name, values in sorted(columns.metrics.items()):
        yield _mean(columns, called(name), values, "share")
    yield from _unwanted(columns)
    reached = [math.nan if error else float(math.isnan(p)) for error, p in zip(columns.error, columns.passed, strict=True)]
    yield _share(columns, "unscored_rate", reached)
    yield _share(columns, "error_rate", columns.error)
    yield from _costs(columns)
    tokens = [a + b for a, b in zip(columns.input, columns.output, strict=True)]
    yield _mean(columns, "tokens", tokens, "tokens")
    yield _quantile(columns, "latency_p50", 0.5)
    yield _quantile(columns, "latency_p95", 0.95)


def called(name: str) -> str:
    """What a suite's metric is called in the record: no suite may measure under a name that means something else to a gate."""
    taken = name in RESERVED or "." in name or name.startswith("judge_")
    return f"metric.{name}" if taken else name


def _known(columns: Columns, values: Sequence[float]) -> tuple[list[float], Clusters, int]:
    """The values that are known, the cluster of each, and the number of their cases.

    Repeats of one case are a cluster of their own, for they say less than as many cases.
    """
    places = [place for place, value in enumerate(values) if not math.isnan(value)]
    known = [values[place] for place in places]
    cases = {columns.case[place] for place in places}
    if len(cases) == len(places) and not any(columns.cluster[place] for place in places):
        return known, None, len(cases)
    return known, [columns.cluster[place] or f"\0{columns.case[place]}" for place in places], len(cases)


def _share(columns: Columns, metric: str, values: Sequence[float]) -> Measured:
    known, clusters, n = _known(columns, values)
    return _measured(metric, _rate(known, clusters) if known else None, n, "share")


def _rate(known: Sequence[float], clusters: Clusters) -> Interval:
    """A rate. Where all are alike, nothing tells how alike a cluster is: then each cluster counts once, to be sure."""
    from stellwerk.evaluation.statistics import intervals

    if clusters is not None and len(set(known)) == 1:
        return intervals.rate([known[0]] * len(set(clusters)))
    return intervals.rate(known, clusters=clusters)


def _mean(columns: Columns, metric: str, values: Sequence[float], unit: str) -> Measured:
    from stellwerk.evaluation.statistics import intervals

    known, clusters, n = _known(columns, values)
    if unit == "share" and known and all(value in (0, 1) for value in known):
        return _measured(metric, _rate(known, clusters), n, unit)
    return _measured(metric, intervals.mean(known, clusters=clusters) if len(known) > 1 else None, n, unit, known)


def _unwanted(columns: Columns) -> Iterator[Measured]:
    """The share of answers with each kind of unwanted output, and with any; what counts is the upper bound."""
    if not columns.unwanted:
        return
    worst = [
        max((v for v in found if not math.isnan(v)), default=math.nan) for found in zip(*columns.unwanted.values(), strict=True)
    ]
    yield _bound(columns, "unwanted_rate", worst)
    for family, values in sorted(columns.unwanted.items()):
        yield _bound(columns, f"unwanted.{family}", values)


def _bound(columns: Columns, metric: str, values: Sequence[float]) -> Measured:
    """A share with its upper bound: none found in 50 answers is not none at all."""
    from stellwerk.evaluation.statistics import intervals

    known, clusters, n = _known(columns, values)
    if not known:
        return _measured(metric, None, n, "share")
    value = sum(known) / len(known)
    if clusters is None:
        return Measured(metric, value, None, float(intervals.upper(round(sum(known)), len(known))), n, "share", "upper bound")
    found = _rate(known, clusters)
    # Asking each case twice must not bring the bound below that of asking it once and finding nothing.
    least = intervals.upper(0, len(set(clusters)))
    return Measured(metric, value, _finite(found.low), float(max(found.high, least)), n, "share", found.method)


def _costs(columns: Columns) -> Iterator[Measured]:
    """What a case costs, and what one that passes costs, all that fail included; unknown where one price is unknown."""
    asked = [place for place, error in enumerate(columns.error) if not error]
    unit = columns.currencies[0] if len(columns.currencies) == 1 else ""
    costs = [columns.cost[place] for place in asked]
    if not asked or len(columns.currencies) != 1 or any(math.isnan(cost) for cost in costs):
        yield Measured("cost_per_case", None, None, None, 0, unit, "a price is unknown")
        yield Measured("cost_per_solved", None, None, None, 0, unit, "a price is unknown")
        return
    yield _mean(columns, "cost_per_case", columns.cost, unit)
    yield _per_solved(columns, asked, costs, unit)


def _per_solved(columns: Columns, asked: Sequence[int], costs: Sequence[float], unit: str) -> Measured:
    """Sum of costs by number that passed.

    The interval is drawn for few cases, and for more made by linearisation of the ratio (Cochran, Sampling Techniques, 1977,
    6.3), which covers in 95 % from 200 on (measured on log-normal costs) and needs no drawing.
    """
    from stellwerk.evaluation.statistics import bootstrap, intervals

    solved = [float(columns.passed[place] == 1) for place in asked]
    total = sum(solved)
    if not total:
        return Measured("cost_per_solved", None, None, None, len(asked), unit, "nothing passed")
    if len(asked) < DRAWN:
        spent = [math.nan] * len(columns)
        for place, cost in zip(asked, costs, strict=True):
            spent[place] = cost
        known, clusters, n = _known(columns, spent)
        return _measured("cost_per_solved", bootstrap.ratio(known, solved, clusters), n, unit)
    ratio, share = sum(costs) / total, total / len(asked)
    residuals = [math.nan] * len(columns)
    for place, cost, one in zip(asked, costs, solved, strict=True):
        residuals[place] = cost - ratio * one
    known, clusters, n = _known(columns, residuals)
    if len(known) < 2:
        return Measured("cost_per_solved", ratio, None, None, n, unit)
    spread = intervals.mean(known, clusters=clusters)
    low, high = (_finite(bound) for bound in (spread.low, spread.high))
    return Measured(
        "cost_per_solved",
        ratio,
        None if low is None else max(0.0, ratio + low / share),
        None if high is None else ratio + high / share,
        n,
        unit,
        "ratio, linearised",
    )


def _quantile(columns: Columns, metric: str, share: float) -> Measured:
    from stellwerk.evaluation.statistics.quantiles import quantile

    known = [value for value in columns.seconds if not math.isnan(value)]
    return _measured(metric, quantile(known, share) if known else None, len(known), "s")


def _measured(metric: str, found: Interval | None, n: int, unit: str, single: Sequence[float] = ()) -> Measured:
    """An interval as a measurement; a single value has none."""
    if found is None:
        value = single[0] if single else None
        low, high = (0.0, 1.0) if unit == "share" and single else (None, None)
        return Measured(metric, value, low, high, n, unit)
    low, high = _finite(found.low), _finite(found.high)
    low = max(0.0, low) if low is not None else None  # tokens, costs and seconds are none or more
    if unit == "share":  # what nothing else bounds is bounded by what a share can be
        low, high = max(0.0, low if low is not None else 0.0), min(1.0, high if high is not None else 1.0)
    return Measured(metric, _finite(found.value), low, high, n, unit, found.method)


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
