"""What is counted and compared of a test, as columns of numbers: without texts, so that 200,000 samples fit in memory.

What could not be known or scored is NaN, and null in the file.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from stellwerk.evaluation.case import Case, Sample
from stellwerk.evaluation.rows import family

NAN = math.nan
NUMBERS = ("passed", "score", "error", "seconds", "cost", "judging", "input", "output", "attempts", "kept")

OWN = "metric."  # stands before the name of a suite's metric that is that of a number, too


def _empty() -> array[float]:
    return array("d")


@dataclass
class Columns:
    """One entry for each sample, in the order in which they were asked.

    Attributes:
        case: ids.
        repeat: of the case, from 0.
        cluster: of the case; None for one that stands alone.
        passed: 1 or 0; NaN where the call did not get through or nothing could be scored.
        score: 0 to 1; NaN as above.
        error: 1 where the call did not get through.
        seconds: of the call.
        cost: of the call, in `currency`; NaN where it is unknown.
        judging: cost of judges, in `judging_currency`; 0 where nothing was judged by a model.
        input: tokens sent; NaN where unknown.
        output: tokens answered; NaN where unknown.
        attempts: of the call, retries included.
        kept: 1 where the answer was taken from the cache of replies.
        metrics: by name, the mean of the sample's scores of that name; NaN where it has none.
        unwanted: by family, 1 where such an output was found, 0 where it was looked for and not found.
    """

    case: list[str] = field(default_factory=list)
    repeat: list[int] = field(default_factory=list)
    cluster: list[str | None] = field(default_factory=list)
    passed: array[float] = field(default_factory=_empty)
    score: array[float] = field(default_factory=_empty)
    error: array[float] = field(default_factory=_empty)
    seconds: array[float] = field(default_factory=_empty)
    cost: array[float] = field(default_factory=_empty)
    judging: array[float] = field(default_factory=_empty)
    input: array[float] = field(default_factory=_empty)
    output: array[float] = field(default_factory=_empty)
    attempts: array[float] = field(default_factory=_empty)
    kept: array[float] = field(default_factory=_empty)
    metrics: dict[str, array[float]] = field(default_factory=dict)
    unwanted: dict[str, array[float]] = field(default_factory=dict)
    currencies: list[str] = field(default_factory=list)
    judging_currencies: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.case)

    def add(self, case: Case, sample: Sample) -> None:
        """Add a sample."""
        answer, at = sample.answer, len(self.case)
        self.case.append(sample.case)
        self.repeat.append(sample.repeat)
        self.cluster.append(sample.cluster)
        self.passed.append(NAN if sample.passed is None else float(sample.passed))
        self.score.append(NAN if sample.score is None else sample.score)
        self.error.append(float(answer.is_error))
        self.seconds.append(NAN if answer.is_error else answer.seconds)
        self.cost.append(NAN if answer.cost is None else answer.cost)
        self.judging.append(sum(score.cost for score in sample.scores if score.cost is not None))
        self.input.append(NAN if answer.usage is None else answer.usage.input)
        self.output.append(NAN if answer.usage is None else answer.usage.output)
        self.attempts.append(answer.attempts)
        self.kept.append(float(answer.kept))
        _note(self.currencies, answer.currency)
        for name, value in _by_metric(case, sample).items():
            self._column(self.metrics, name, at).append(value)
        for score in sample.scores:
            _note(self.judging_currencies, score.currency)
            kind = family(case, score)
            if kind is not None and score.passed is not None:
                column = self._column(self.unwanted, kind, at)
                found = float(not score.passed)
                if len(column) > at:
                    column[at] = max(column[at], found)
                else:
                    column.append(found)
        for columns in (self.metrics, self.unwanted):
            for column in columns.values():
                _fill(column, at + 1)

    def values(self, metric: str) -> array[float]:
        """The column of a metric: `passed`, `score`, a number such as `seconds`, or a metric of the suite.

        One of the suite that has the name of a number is asked for with `metric.` before it.

        Raises:
            KeyError: there is none of that name.
        """
        if metric.startswith(OWN):
            return self.metrics[metric.removeprefix(OWN)]
        if metric in NUMBERS:
            column: array[float] = getattr(self, metric)
            return column
        if metric.startswith("unwanted."):
            return self.unwanted[metric.removeprefix("unwanted.")]
        return self.metrics[metric]

    def by_case(self, metric: str) -> dict[str, float]:
        """The mean of a metric over the repeats of each case; NaN where no repeat has one."""
        if not any(self.repeat):
            return dict(zip(self.case, self.values(metric), strict=True))
        sums: dict[str, list[float]] = {}
        for case, value in zip(self.case, self.values(metric), strict=True):
            mine = sums.setdefault(case, [0.0, 0.0])
            if not math.isnan(value):
                mine[0] += value
                mine[1] += 1
        return {case: total / n if n else NAN for case, (total, n) in sums.items()}

    def cluster_of(self) -> dict[str, str | None]:
        """The cluster of each case."""
        return dict(zip(self.case, self.cluster, strict=True))

    def as_json(self) -> dict[str, Any]:
        """All columns as JSON, NaN as null."""
        found: dict[str, Any] = {"case": self.case, "repeat": self.repeat, "cluster": self.cluster}
        found |= {name: _plain(getattr(self, name)) for name in NUMBERS}
        found["metrics"] = {name: _plain(column) for name, column in self.metrics.items()}
        found["unwanted"] = {name: _plain(column) for name, column in self.unwanted.items()}
        return found | {"currencies": self.currencies, "judging_currencies": self.judging_currencies}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Columns:
        """The columns that `as_json` gave."""
        lists = {name: found[name] for name in ("case", "repeat", "cluster", "currencies", "judging_currencies")}
        numbers: dict[str, Any] = {name: _numbers(found[name]) for name in NUMBERS}
        return cls(
            **lists,
            **numbers,
            metrics={name: _numbers(column) for name, column in found["metrics"].items()},
            unwanted={name: _numbers(column) for name, column in found["unwanted"].items()},
        )

    def _column(self, columns: dict[str, array[float]], name: str, at: int) -> array[float]:
        column = columns.setdefault(name, array("d"))
        _fill(column, at)
        return column


def _by_metric(case: Case, sample: Sample) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for score in sample.scores:
        # What a family alone is called is counted among the unwanted outputs.
        if score.value is not None and score.metric != family(case, score):
            found.setdefault(score.metric, []).append(score.value)
    return {name: sum(values) / len(values) for name, values in found.items()}


def _fill(column: array[float], length: int) -> None:
    if len(column) < length:
        column.extend([NAN] * (length - len(column)))


def _note(names: list[str], name: str | None) -> None:
    if name is not None and name not in names:
        names.append(name)


def _plain(column: Sequence[float]) -> list[float | None]:
    return [None if math.isnan(value) else value for value in column]


def _numbers(values: Iterable[float | None]) -> array[float]:
    return array("d", (NAN if value is None else value for value in values))
