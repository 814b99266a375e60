"""A sample as a line of JSON and back, so that what a test saw can be kept, looked at and exported."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson

from stellwerk.evaluation.case import Answer, Case, Sample, Score
from stellwerk.llm.chat import Usage, as_json, from_json

_ANSWER = ("text", "finish", "cost", "currency", "seconds", "attempts", "kept", "model", "failure", "problem")
_SAMPLE = ("case", "repeat", "score", "passed", "cluster", "language", "expected", "description")


def row(case: Case, sample: Sample) -> dict[str, Any]:
    """A sample as JSON; its scores also say which family of unwanted outputs their check is of."""
    answer = sample.answer
    found: dict[str, Any] = {name: getattr(sample, name) for name in _SAMPLE}
    found["tags"] = list(sample.tags)
    found["inputs"] = dict(sample.inputs)
    found["scores"] = [_score(score, case) for score in sample.scores]
    known = {name: getattr(answer, name) for name in _ANSWER}
    known["messages"] = [as_json(message) for message in answer.messages]
    if answer.usage is not None:
        usage = answer.usage
        known["usage"] = [usage.input, usage.output, usage.cached, usage.reasoning]
    if answer.tool_calls:
        known["tool_calls"] = [[call.id, call.name, call.arguments] for call in answer.tool_calls]
    found["answer"] = known
    return found


def sample_of(found: Mapping[str, Any]) -> Sample:
    """The sample that a row holds."""
    from stellwerk.llm.chat import ToolCall

    known = found["answer"]
    answer = Answer(
        messages=tuple(from_json(message) for message in known["messages"]),
        tool_calls=tuple(ToolCall(*call) for call in known.get("tool_calls", ())),
        usage=Usage(*known["usage"]) if "usage" in known else None,
        **{name: known[name] for name in _ANSWER},
    )
    scores = tuple(Score(**{key: value for key, value in score.items() if key != "family"}) for score in found["scores"])
    return Sample(
        answer=answer,
        scores=scores,
        tags=tuple(found["tags"]),
        inputs=found["inputs"],
        **{name: found[name] for name in _SAMPLE},
    )


def family(case: Case, score: Score) -> str | None:
    """The family of unwanted outputs that a score's check is of."""
    return case.checks[score.check].family if 0 <= score.check < len(case.checks) else None


def dump(value: Any) -> bytes:
    """A value as one line of JSON; half surrogate pairs, which models do write, are escaped."""
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS, default=str)
    except TypeError:
        return json.dumps(value, default=str).encode()


def load(line: bytes) -> Any:
    """The value of a line that `dump` wrote."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return json.loads(line)


def _score(score: Score, case: Case) -> dict[str, Any]:
    return {
        "check": score.check,
        "metric": score.metric,
        "value": score.value,
        "passed": score.passed,
        "reason": score.reason,
        "facts": dict(score.facts),
        "cost": score.cost,
        "currency": score.currency,
        "family": family(case, score),
    }
