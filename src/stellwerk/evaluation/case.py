"""The words of an evaluation: a case and what is asked of its answer, the answer, the scores, and the sample that holds all.

Knows no file, no model and no statistics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from stellwerk.llm.chat import Failure, Finish, Message, ToolCall, Usage

Split = Literal["dev", "test", "held-out"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is asked of an answer, in the terms of promptfoo's assertions.

    Attributes:
        type: such as `contains`, without `not-`.
        value: what it is compared with; texts of it were rendered with the case's inputs.
        threshold: from which score on it passes, where the type has one.
        weight: in the score of the sample; 0 for one that is only shown.
        metric: the name under which its scores are gathered; its type if left out.
        negated: `not-` stood before the type.
        family: of unwanted outputs, such as `prompt_leak`; None for a check of quality.
        config: further fields of the type.
    """

    type: str
    value: Any = None
    threshold: float | None = None
    weight: float = 1.0
    metric: str | None = None
    negated: bool = False
    family: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def named(self) -> str:
        """The name of its metric."""
        return self.metric or (f"not-{self.type}" if self.negated else self.type)


@dataclass(frozen=True, slots=True)
class Case:
    """One question with what is asked of its answer.

    Attributes:
        id: unique in its suite, and the same whenever the case is the same.
        inputs: the variables that the prompt is rendered with.
        checks: of the case and of its suite.
        expected: the right answer, where there is one.
        cluster: cases of one cluster are not independent of each other, such as questions on one paragraph; None for one
            that stands alone.
        language: of the answer that is expected, such as `de`.
        description: for people.
    """

    id: str
    inputs: Mapping[str, Any]
    checks: tuple[Check, ...] = ()
    expected: Any = None
    cluster: str | None = None
    tags: tuple[str, ...] = ()
    language: str | None = None
    split: Split = "test"
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for a case.

    Attributes:
        messages: what was sent, rendered; empty for an application that was called.
        text: the answer; empty where there was none.
        cost: in `currency`; None where it is unknown, which is not the same as nothing.
        failure: why there is no answer; None where there is one.
        problem: the failure as a sentence.
    """

    text: str
    messages: tuple[Message, ...] = ()
    finish: Finish = "stop"
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage | None = None
    cost: float | None = None
    currency: str | None = None
    seconds: float = 0.0
    attempts: int = 1
    kept: bool = False
    model: str | None = None
    failure: Failure | None = None
    problem: str | None = None

    @property
    def is_error(self) -> bool:
        """Whether nothing can be said about the system, since the call did not get through; a rejected one is an answer."""
        return self.failure is not None and self.failure != "rejected"


@dataclass(frozen=True, slots=True)
class Score:
    """How an answer does on one check.

    Attributes:
        check: its place among the case's checks.
        value: from 0 to 1; None where it could not be scored, such as by a judge whose verdict could not be read.
        passed: None where it could not be scored.
        reason: a word for machines, such as `missing`; `words.py` has the sentence in both languages.
        facts: what the sentence names.
        cost: of judging, in the currency of the judge's model.
    """

    check: int
    metric: str
    value: float | None
    passed: bool | None
    reason: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    cost: float | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """A case, asked once, with its answer and scores.

    Attributes:
        repeat: which of the repeats (epochs) of the case, from 0.
        score: weighted mean of the scores; None where the call did not get through or nothing could be scored.
        passed: whether all checks that count pass; None as above.
    """

    case: str
    repeat: int
    answer: Answer
    scores: tuple[Score, ...]
    score: float | None
    passed: bool | None
    cluster: str | None = None
    tags: tuple[str, ...] = ()
    language: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    expected: Any = None
    description: str | None = None
