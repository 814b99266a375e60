"""Which types of checks there are, and how the scores of one answer become those of its sample, as promptfoo counts.

Knows no suite's file and no model; a type that is not here is a mistake, never passed over.
"""

from __future__ import annotations

import asyncio
import difflib
import importlib
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from stellwerk.errors import MissingExtra, UserError
from stellwerk.evaluation.case import Answer, Case, Check, Sample, Score
from stellwerk.evaluation.scorers.outcome import Asked, Outcome, Problem, Scorer, nfc
from stellwerk.evaluation.scorers.tools import Tools

if TYPE_CHECKING:
    from stellwerk.evaluation.suites.suite import Suite

SET = "assert-set"  # its score is that of the checks whose config names its place in `set`
CASE = "case-threshold"  # from which score on the whole case passes; it has no score of its own
PERSONAL, LANGUAGE, JUDGE, EMBEDDER = "personal", "language", "judge", "embedder"


@dataclass(frozen=True)
class Kind:
    """One type of checks.

    Attributes:
        scorer: module and function, imported when the type is first used.
        problem: module and function that says what is wrong with a check as it is written.
        needs: what it works with besides the answer: `personal` and `language` need stellwerk[data], `judge` a judge,
            `embedder` a model.
        threshold: where none is given; None for a type that has none.
        own: whether promptfoo does not know it.
    """

    scorer: str
    problem: str | None = None
    needs: str | None = None
    threshold: float | None = None
    own: bool = False


_TEXT, _TEXTS = "texts:needs_text", "texts:needs_texts"
SCORERS: dict[str, Kind] = {
    "equals": Kind("texts:equals", "texts:needs_anything"),
    "contains": Kind("texts:contains", _TEXT),
    "icontains": Kind("texts:contains", _TEXT),
    "contains-all": Kind("texts:contains_all", _TEXTS),
    "icontains-all": Kind("texts:contains_all", _TEXTS),
    "contains-any": Kind("texts:contains_any", _TEXTS),
    "icontains-any": Kind("texts:contains_any", _TEXTS),
    "starts-with": Kind("texts:starts_with", _TEXT),
    "regex": Kind("patterns:regex", "patterns:problem"),
    "is-json": Kind("structure:is_json", "structure:problem"),
    "contains-json": Kind("structure:contains_json", "structure:problem"),
    "levenshtein": Kind("distances:levenshtein", _TEXT, threshold=5),
    "rouge-n": Kind("distances:rouge", "distances:rouge_problem", threshold=0.75),
    "word-count": Kind("counting:word_count", "counting:problem"),
    "latency": Kind("metering:latency", "metering:needs_threshold"),
    "cost": Kind("metering:cost", "metering:cost_problem"),
    "finish-reason": Kind("metering:finish_reason", "metering:finish_problem"),
    "is-refusal": Kind("refusal:is_refusal"),
    "similar": Kind("similarity:similar", "similarity:problem", EMBEDDER, threshold=0.75),
    "similar:cosine": Kind("similarity:similar", "similarity:problem", EMBEDDER, threshold=0.75),
    "is-valid-openai-tools-call": Kind("toolcalls:is_valid", "toolcalls:problem"),
    "tool-call-f1": Kind("toolcalls:f1", "toolcalls:f1_problem", threshold=1.0),
    "llm-rubric": Kind("judged:judged", "judged:problem", JUDGE),
    "model-graded-closedqa": Kind("judged:judged", "judged:problem", JUDGE),
    "factuality": Kind("judged:judged", "judged:problem", JUDGE),
    "model-graded-factuality": Kind("judged:judged", "judged:problem", JUDGE),
    "pairwise": Kind("judged:judged", None, JUDGE, own=True),
    "count": Kind("counting:count", "counting:count_problem", own=True),
    "letter-case": Kind("counting:letter_case", "counting:case_problem", own=True),
    "number": Kind("numbers:number", "numbers:problem", own=True),
    "unsupported-numbers": Kind("numbers:unsupported", own=True),
    "language": Kind("languages:language", "languages:problem", LANGUAGE, own=True),
    "anrede": Kind("anrede:anrede", "anrede:problem", own=True),
    "prompt-leak": Kind("leaks:prompt_leak", "leaks:problem", own=True),
    "personal-data": Kind("leaks:personal_data", "leaks:personal_problem", PERSONAL, own=True),
    "complete": Kind("metering:complete", own=True),
}

_CODE = "runs code that a file brings along, which is never done here; use contains, regex, is-json, count or a judge"
_TRACE = "reads traces of an agent, which are not recorded here; judge the answer or its tool calls"
NOT_OFFERED: dict[str, str] = {
    **dict.fromkeys(("javascript", "python", "ruby"), _CODE),
    "webhook": "sends answers to an address that a file names, which is never done here; use apps/NAME.yaml or a judge",
    **dict.fromkeys(
        ("perplexity", "perplexity-score"), "needs the probabilities of tokens, which endpoints seldom give; leave it out"
    ),
    **dict.fromkeys(("select-best", "max-score"), "compares several wordings in one run; use: stellwerk prompts compare"),
    **dict.fromkeys(("bleu", "gleu", "meteor"), "is not offered; use rouge-n, similar or a judge"),
    **dict.fromkeys(
        ("is-xml", "contains-xml", "is-html", "contains-html", "is-sql", "contains-sql"), "is not offered; use regex"
    ),
    **dict.fromkeys(
        ("similar:dot", "similar:euclidean"), "depends on the length of vectors; use similar, which compares their direction"
    ),
    **dict.fromkeys(("moderation", "guardrails", "classifier", "pi"), "needs a service of its provider; use a judge"),
    **dict.fromkeys(
        ("context-recall", "context-relevance", "context-faithfulness", "answer-relevance", "conversation-relevance"),
        "is not offered as a type; write the rubric down and use llm-rubric",
    ),
    **dict.fromkeys(("g-eval", "agent-rubric", "search-rubric"), "is not offered; use llm-rubric"),
    **dict.fromkeys(
        ("is-valid-function-call", "is-valid-openai-function-call"),
        "is of functions as they were before tools; use is-valid-openai-tools-call",
    ),
    **dict.fromkeys(("trace-span-count", "trace-span-duration", "trace-error-spans", "skill-used"), _TRACE),
    **dict.fromkeys(
        (f"trajectory:{name}" for name in ("tool-used", "tool-args-match", "tool-sequence", "step-count", "goal-success")),
        _TRACE,
    ),
}


def problem(check: Check) -> str | None:
    """What is wrong with a check as it is written, in words that follow its type; None where nothing is."""
    kind = SCORERS.get(check.type)
    if kind is None:
        if check.type in NOT_OFFERED:
            return f"the type {check.type!r} {NOT_OFFERED[check.type]}"
        near = difflib.get_close_matches(check.type, SCORERS, 1, 0.6)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(SCORERS))}"
        return f"there is no type {check.type!r}; {hint}"
    if kind.problem is None:
        return None
    asks: Problem = _load(kind.problem)
    wrong = asks(check)
    return f"{check.type} {wrong}" if wrong else None


class Scoring:
    """Scores the answers to cases whose checks were looked at before.

    Args:
        checks: all that may come, whose needs are looked at now rather than at the thousandth answer.
        tools: models that the checks need.

    Raises:
        UserError: something that a check needs is not installed.
    """

    def __init__(self, checks: Iterable[Check], tools: Tools | None = None) -> None:
        self.tools = tools or Tools()
        self._scorers: dict[str, Scorer] = {}
        for check in checks:
            self._scorer(check.type)
            if self.tools.workspace is not None and check.type in SCORERS and SCORERS[check.type].needs == JUDGE:
                prepared(check, self.tools)

    def score(self, case: Case, answer: Answer) -> tuple[Score, ...] | Awaitable[tuple[Score, ...]]:
        """Score an answer on each check of its case; to be awaited only where a check asks a model.

        A call that did not get through has no scores.
        """
        if answer.is_error:
            return ()
        asked = Asked(case, answer, nfc(answer.text), self.tools)
        outcomes = [None if check.type in (SET, CASE) else self._scorer(check.type)(check, asked) for check in case.checks]
        if any(isawaitable(outcome) for outcome in outcomes):
            return _awaited(case, outcomes)
        return _scores(case, outcomes)  # type: ignore[arg-type]  # none is awaitable

    def sample(self, case: Case, repeat: int, answer: Answer, scores: tuple[Score, ...]) -> Sample:
        """A case with its answer, and what its scores add up to.

        As promptfoo counts: the score is the weighted mean; all checks that have a weight must pass, or, where the case
        has a threshold, the score must reach it. A check that could not be scored leaves open whether the sample passes.
        """
        score, passed = (None, None) if answer.is_error else _together(case, scores)
        return Sample(
            case.id, repeat, answer, scores, score, passed, case.cluster, case.tags, case.language, case.inputs, case.expected,
            case.description,
        )  # fmt: skip

    def _scorer(self, name: str) -> Scorer:
        if name not in self._scorers and name not in (SET, CASE):
            kind = SCORERS.get(name)
            if kind is None:
                raise UserError(str(problem(Check(name))))
            _check_needs(name, kind)
            self._scorers[name] = _load(kind.scorer)
        return self._scorers[name] if name not in (SET, CASE) else _none


def scoring(checks: Suite | Iterable[Check], tools: Tools | None = None) -> Scoring:
    """How the answers to a suite, or to cases with these checks, are scored.

    Raises:
        UserError: something that a check needs is not installed.
    """
    found: Iterable[Check] = checks.checks if hasattr(checks, "checks") else checks
    tools = tools or Tools()
    tools.embedder = tools.embedder or getattr(checks, "embedder", None)
    return Scoring(found, tools)


def prepared(check: Check, tools: Tools) -> Any:
    """The judge of a check, which must have passed its audit.

    Raises:
        UserError: it has not, or there is none.
    """
    from stellwerk.evaluation.judges import scorer

    return scorer.prepare(check, tools)


async def _awaited(case: Case, outcomes: Sequence[Any]) -> tuple[Score, ...]:
    # Several judges of one answer are asked at once.
    asked = [place for place, outcome in enumerate(outcomes) if isawaitable(outcome)]
    answered = dict(zip(asked, await asyncio.gather(*(outcomes[place] for place in asked)), strict=True))
    return _scores(case, [answered.get(place, outcome) for place, outcome in enumerate(outcomes)])


def _scores(case: Case, outcomes: Sequence[Outcome | None]) -> tuple[Score, ...]:
    found: list[Score] = []
    for place, (check, outcome) in enumerate(zip(case.checks, outcomes, strict=True)):
        if outcome is None:
            continue
        value, passed = outcome.value, outcome.passed
        if check.negated and value is not None and passed is not None:
            value, passed = 1.0 - value, not passed
        found.append(
            Score(place, check.named, value, passed, outcome.reason, outcome.facts, outcome.cost, outcome.currency)
        )  # fmt: skip
    sets = [place for place, check in enumerate(case.checks) if check.type == SET]
    found += [_of_set(case, place, found) for place in sets]
    return tuple(sorted(found, key=lambda score: score.check)) if sets else tuple(found)


def _of_set(case: Case, place: int, scores: Sequence[Score]) -> Score:
    """The score of an assert-set: that of a case made of its checks."""
    check = case.checks[place]
    inner = [score for score in scores if case.checks[score.check].config.get("set") == place]
    value, passed = _weighed([(case.checks[score.check].weight, score) for score in inner], check.threshold)
    facts = {"passed": sum(score.passed is True for score in inner), "of": len(inner)}
    return Score(place, check.named, value, passed, "set", facts)


def _together(case: Case, scores: Sequence[Score]) -> tuple[float | None, bool | None]:
    threshold = next((check.threshold for check in case.checks if check.type == CASE), None)
    outer = [(case.checks[score.check].weight, score) for score in scores if "set" not in case.checks[score.check].config]
    return _weighed(outer, threshold)


def _weighed(scores: Sequence[tuple[float, Score]], threshold: float | None) -> tuple[float | None, bool | None]:
    """Weighted mean of what was scored, and whether it passes; None where that is open."""
    counting = [(weight, score) for weight, score in scores if weight > 0]
    known = [(weight, score.value) for weight, score in counting if score.value is not None]
    if not known:
        return None, None
    weights = sum(weight for weight, _ in counting)
    value = sum(weight * found for weight, found in known) / sum(weight for weight, _ in known)
    if threshold is None:
        verdicts = [score.passed for _, score in counting]
        return value, False if False in verdicts else None if None in verdicts else True
    # What is open may turn out as 0 or as 1; only what holds either way is said.
    sure = sum(weight * found for weight, found in known) / weights
    most = sure + (weights - sum(weight for weight, _ in known)) / weights
    slack = 1e-12
    return value, True if sure >= threshold - slack else False if most < threshold - slack else None


def _check_needs(name: str, kind: Kind) -> None:
    if kind.needs in (PERSONAL, LANGUAGE):
        try:
            importlib.import_module("stellwerk.text.personal" if kind.needs == PERSONAL else "stellwerk.text.language")
        except ModuleNotFoundError as error:
            raise MissingExtra("data", f"{error.name} (for the check {name})") from None


def _load(place: str) -> Any:
    module, _, function = place.partition(":")
    return getattr(importlib.import_module(f"stellwerk.evaluation.scorers.{module}"), function)


def _none(check: Check, asked: Asked) -> Outcome:
    raise AssertionError("a set has no scorer of its own")
