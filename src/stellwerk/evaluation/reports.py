"""What the operations on suites and samples return."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, Field


class PartLine(BaseModel):
    """A part of a suite."""

    TABLE: ClassVar = ("split", "cases", "share")

    split: str
    cases: int
    share: float


class MetricLine(BaseModel):
    """One thing that a suite asks of answers."""

    TABLE: ClassVar = ("metric", "type", "family", "counts")

    metric: str
    type: str = Field(description="of the check")
    family: str | None = Field(default=None, description="of unwanted outputs")
    counts: bool = Field(description="whether an answer that does not pass it fails; else it is only shown")


class SuiteReport(BaseModel):
    """A suite version, and what is known of its cases."""

    suite: str
    message: str
    cases: int
    splits: list[PartLine]
    clusters: int = Field(description="groups of cases that depend on each other; 0 where all stand alone")
    languages: dict[str, int] = Field(description="cases by the language that is expected")
    inputs: list[str] = Field(description="variables that every case has")
    metrics: list[MetricLine]
    dropped: int = Field(description="cases that were there twice and were left out")
    dataset: str | None = Field(default=None, description="the version that the cases are taken from")
    notes: list[str]
    next: list[str]


class CheckLine(BaseModel):
    """One thing that is asked of the answer to a case."""

    TABLE: ClassVar = ("metric", "type", "value")

    metric: str
    type: str
    value: str
    family: str | None = None


class CaseLine(BaseModel):
    """A case, as it is shown."""

    TABLE: ClassVar = ("number", "id", "split", "inputs", "expected")

    number: int = Field(description="of the case in the suite, counted from 1")
    id: str
    split: str
    inputs: dict[str, str]
    expected: str | None
    cluster: str | None
    language: str | None
    tags: list[str]
    description: str | None
    checks: list[CheckLine]


class CasePage(BaseModel):
    """Some cases of a suite."""

    suite: str
    total: int = Field(description="cases of the split")
    offset: int
    cases: list[CaseLine]
    more: bool = Field(description="whether further cases follow")


class Number(BaseModel):
    """What was measured, with its 95 % interval."""

    TABLE: ClassVar = ("metric", "value", "low", "high", "n", "unit")

    metric: str
    value: float | None = Field(description="none where it cannot be said, such as costs without a price")
    low: float | None
    high: float | None
    n: int = Field(description="cases that it rests on")
    unit: str


class Problem(BaseModel):
    """A call that did not pass."""

    number: int = Field(description="of the call, counted from 1")
    case: str
    repeat: int
    state: Literal["failed", "error", "unscored"]
    checks: list[str] = Field(description="that it did not pass, each with its reason; for an error what failed")


class TestReport(BaseModel):
    """What a test saw."""

    run: str = Field(description="the first digits of its id")
    test: str = Field(description="its name within the run")
    message: str
    target: str = Field(description="what was asked")
    simulated: bool = Field(description="whether the answers were made up by a plan")
    suite: str
    split: str
    repeats: int
    cases: int
    samples: int = Field(description="calls: cases times repeats")
    passed: int
    failed: int
    errors: int = Field(description="calls that got no answer; they count neither as right nor as wrong")
    unscored: int = Field(description="answers that could not be scored, such as by a judge whose verdict could not be read")
    complete: bool = Field(description="whether the measurements count for gates")
    subjects: list[str]
    instruments: list[str]
    numbers: list[Number]
    problems: list[Problem] = Field(description="the first that did not pass")
    notes: list[str]
    next: list[str]


class ScoreLine(BaseModel):
    """How an answer did on one check."""

    TABLE: ClassVar = ("metric", "passed", "value", "said")

    metric: str
    passed: bool | None = Field(description="none where it could not be scored")
    value: float | None
    reason: str
    said: str = Field(description="the reason as a sentence")
    said_de: str = Field(description="the reason as a German sentence")
    family: str | None = Field(default=None, description="of unwanted outputs that the check looks for")


class Turn(BaseModel):
    """A message that was sent."""

    role: str
    text: str


class SampleView(BaseModel):
    """A call: what was asked, what came back, how each check did."""

    TABLE: ClassVar = ("number", "case", "state", "score", "answer", "why")

    number: int = Field(description="of the call, counted from 1")
    case: str
    repeat: int
    state: Literal["passed", "failed", "errors", "unscored"]
    score: float | None
    description: str | None = None
    inputs: dict[str, object]
    expected: object = None
    messages: list[Turn]
    answer: str
    finish: str
    problem: str | None = Field(description="why there is no answer")
    why: str = Field(description="what did not pass, in a sentence for each check; why there is no answer")
    why_de: str = Field(description="the same in German")
    scores: list[ScoreLine]
    cluster: str | None = None
    tags: list[str] = []
    seconds: float
    tokens: int | None
    cost: float | None
    currency: str | None
    attempts: int
    kept: bool = Field(description="whether the answer was taken from the cache of replies")
    model: str | None = Field(description="as the endpoint reports it")


class SamplePage(BaseModel):
    """Some calls of a test."""

    run: str
    test: str
    message: str
    simulated: bool
    total: int = Field(description="calls that fit the filters, on all pages")
    samples: list[SampleView]


class Differing(BaseModel):
    """A case on which two tests differ."""

    case: str
    first: float
    second: float
    answer_first: str = Field(description="as it was first given")
    answer_second: str = Field(description="as it was first given")


class Compared(BaseModel):
    """Two tests on the same cases."""

    message: str
    verdict: Literal["better", "worse", "equivalent", "not_worse", "undecided"] = Field(description="of the second")
    first: str
    second: str
    metric: str
    cases: int = Field(description="that both have answered and that were scored in both")
    left_out: int = Field(description="cases of either test that could not be compared")
    value_first: float
    value_second: float
    difference: float = Field(description="of the second against the first")
    low: float | None = Field(description="of the 95 % interval")
    high: float | None
    p: float | None = Field(
        description="by a test that fits the metric: how likely so great a difference is where there is none"
    )
    method: str
    better: int = Field(description="cases on which the second is better")
    worse: int
    equal: int
    margin: float
    needs: int | None = Field(description="cases that would tell, where it is undecided")
    simulated: bool
    numbers: list[Number] = Field(description="differences of cost, tokens and time for each case")
    differing: list[Differing] = Field(description="cases that differ, those of which the second is worse before the others")
    notes: list[str]


class Detectable(BaseModel):
    """The smallest difference that a number of cases finds."""

    cases: int
    difference: float | None = Field(description="none where not even the largest is found")


class Power(BaseModel):
    """How many cases it needs."""

    message: str
    cases: int = Field(description="on which both are asked, for a test case by case")
    clusters: int | None = Field(description="that the cases come from, where they are clustered")
    cases_unpaired: int = Field(description="for each of two, if they were asked different cases")
    difference: float = Field(description="that should be found")
    power: float = Field(description="chance to find the difference if it is there")
    rate: float = Field(description="of cases that pass, as it is expected")
    discordant: float = Field(description="share of cases on which two systems are taken to differ")
    cluster_size: float
    correlation: float = Field(description="of cases in one cluster")
    detectable: list[Detectable]
    notes: list[str]


class Ranked(BaseModel):
    """Where a test stands among others."""

    TABLE: ClassVar = ("rank", "best", "worst", "target", "run", "strength", "low", "high", "mean")

    rank: int
    best: int = Field(description="the best rank that it may have; in 95 % of all rankings the bounds of all hold")
    worst: int = Field(description="the worst rank that it may have")
    target: str
    run: str
    strength: float = Field(description="log odds to win against the average of all (Bradley-Terry)")
    low: float | None = Field(description="of the 95 % interval of the strength, for all at once")
    high: float | None
    mean: float | None = Field(description="of the metric")
    cases: int = Field(description="that have a value")
    wins: int = Field(description="over all others and cases")
    ties: int
    losses: int


class Ranking(BaseModel):
    """Several tests in order."""

    message: str
    metric: str
    suite: str
    cases: int
    places: list[Ranked]
    simulated: bool = Field(description="whether the answers of one were made up by a plan")
    notes: list[str]


class Imported(BaseModel):
    """A suite that was made of what another tool has."""

    suite: str
    message: str
    file: str = Field(description="that was written")
    cases: int
    left_out: list[str] = Field(description="what could not be taken over, and why")
    next: list[str]


class Exported(BaseModel):
    """What was written."""

    file: str
    format: str
    samples: int
    message: str
