"""Two tests paired case by case: what differs, and both answers to each case of a page.

What was once paired is remembered, for large tests take seconds; a test never changes. Reads answers of one page alone.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from stellwerk.doors.web import testviews as views
from stellwerk.doors.web.language import language_of
from stellwerk.evaluation import comparing, paging
from stellwerk.evaluation.evidence import Evidence, state_of
from stellwerk.evaluation.outcomes import outcomes
from stellwerk.report import words

if TYPE_CHECKING:
    from starlette.requests import Request


def differing(first: Evidence, second: Evidence, metric: str) -> list[tuple[str, float, float]]:
    """The cases that differ, those on which the second is worse before the others, the widest apart first."""
    return _apart(Pair(first, second, metric))


class Pair:
    """Two tests and a metric, equal where their columns are: what was once paired need not be paired again."""

    def __init__(self, first: Evidence, second: Evidence, metric: str) -> None:
        self.sides, self.metric = (first, second), metric
        self._key = (first.counts["columns"], second.counts["columns"], metric)

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pair) and self._key == other._key


@functools.lru_cache(16)
def compared(pair: Pair, margin: float) -> dict[str, Any]:
    """What the operation that compares two tests finds; large tests take seconds, so it is not found twice."""
    return comparing.compared(*pair.sides, margin=margin, metric=pair.metric).model_dump()


@functools.lru_cache(16)
def _apart(pair: Pair) -> list[tuple[str, float, float]]:
    cases, one, two, _ = comparing.pairs(*pair.sides, pair.metric)
    sign = -1 if comparing.less_is_better(pair.metric) else 1
    apart = [(case, a, b) for case, a, b in zip(cases, one, two, strict=True) if a != b]
    return sorted(apart, key=lambda found: sign * (found[2] - found[1]))


def cases(
    request: Request,
    sides: tuple[Evidence, Evidence],
    names: tuple[str, str],
    shown: Sequence[tuple[str, float, float]],
    metric: str,
    unit: str,
) -> list[dict[str, Any]]:
    """Cases with what both answered, and how each check did on it."""
    language = language_of(request)
    seen = [outcomes(side) for side in sides]
    numbers = [[one.calls[one.index[case]] for case, _, _ in shown] for one in seen]
    rows = [paging.at(side, wanted) for side, wanted in zip(sides, numbers, strict=True)]
    found = []
    for place, (case, *values) in enumerate(shown):
        answers = []
        for side in (0, 1):
            row = rows[side][numbers[side][place]]
            answers.append(
                {
                    "address": f"/tests/{quote(names[side])}/{numbers[side][place] + 1}",
                    "state": state_of(row),
                    "value": words.quantity(values[side], unit, language),
                    "text": views.clean(row["answer"]["text"]),
                    "problem": views.clean(row["answer"]["problem"] or ""),
                    "missed": _missed(row, language),
                }
            )
        found.append(
            {"case": views.clean(case), "question": views.question(rows[0][numbers[0][place]]), "answers": answers,
             "worse": (values[1] > values[0]) == comparing.less_is_better(metric)}
        )  # fmt: skip
    return found


def _missed(row: Mapping[str, Any], language: words.Language) -> list[tuple[str, str]]:
    """Why an answer did not pass: the checks that it failed, else those that could not be scored."""
    from stellwerk.evaluation.case import Score
    from stellwerk.evaluation.words import reason

    scores = [Score(**{name: value for name, value in one.items() if name != "family"}) for one in row["scores"]]
    missed = [score for score in scores if score.passed is False] or [score for score in scores if score.passed is None]
    if row["passed"] is True:
        return []
    return [(views.clean(score.metric), views.clean(reason(score, language), 300)) for score in missed]
