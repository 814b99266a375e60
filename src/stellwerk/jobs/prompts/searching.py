"""What the searches for better or cheaper wordings, and the comparisons, return; no text of a case or an answer."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, Field

Word = Literal["better", "worse", "equivalent", "not_worse", "undecided"]
Origin = Literal["seed", "gepa", "paraphrase", "trim", "few_shot", "shorter"]


class Gain(BaseModel):
    """How much better or worse the second is on the same cases, with its 95 % interval."""

    TABLE: ClassVar = ("metric", "against", "first", "second", "difference", "low", "high", "p", "n", "verdict")

    metric: str
    first: float
    second: float
    difference: float = Field(description="of the second against the first; above 0 the second has more")
    low: float | None
    high: float | None
    p: float | None = Field(
        description="how likely so great a difference is where there is none; adjusted where several are tested"
    )
    n: int = Field(description="cases that both have answered and that were scored in both")
    verdict: Word | None = Field(description="of the second; none for what is no quality, such as tokens")
    against: str | None = Field(None, description="the first, where there are several")


class DifferentCase(BaseModel):
    """A case on which the two differ."""

    case: str
    first: float
    second: float


class PromptComparison(BaseModel):
    """Two wordings or models on the same cases."""

    message: str
    verdict: Word = Field(description="of the second, by the metric that was named")
    first: str
    second: str
    model: str
    second_model: str
    suite: str
    split: str
    metric: str
    margin: float = Field(description="how much worse is still as good")
    smallest: float | None = Field(description="difference that so many cases show in 80 % of all tests, as was known before")
    needs: int | None = Field(description="cases that would tell, where it is undecided")
    gain: Gain
    better: int = Field(description="cases on which the second is better")
    worse: int
    equal: int
    left_out: int = Field(description="cases that could not be compared, since a call failed or could not be scored")
    simulated: bool
    others: list[Gain] = Field(description="the other metrics, adjusted together by Holm, then costs, tokens and time")
    differing: list[DifferentCase] = Field(
        description="the first of them, those on which the second is worse before the others"
    )
    runs: list[str] = Field(description="both tests, for a look at their answers")
    notes: list[str]
    next: list[str]


class CandidateLine(BaseModel):
    """A wording that was asked on all cases that choose."""

    TABLE: ClassVar = ("number", "origin", "parent", "score", "unwanted", "tokens", "calls", "frontier")

    number: int
    origin: Origin
    parent: int | None = Field(description="the wording that it was made from")
    score: float = Field(description="on the cases that choose")
    unwanted: int = Field(description="cases with an unwanted output")
    tokens: int = Field(description="of the prompt before values are put in")
    calls: int = Field(description="that had been made when it was found")
    frontier: bool = Field(description="whether no other one beats it in score, unwanted outputs and tokens together")


class Optimisation(BaseModel):
    """A search for a better wording."""

    message: str
    prompt: str = Field(description="that the search began with")
    result: str | None = Field(description="the version that was found; none where none was better on the cases that choose")
    file: str | None = Field(description="that was written")
    verdict: Word | None = Field(description="of the result against the beginning, on cases held out")
    verdict_baseline: Word | None = Field(description="of the result against the best baseline, on cases held out")
    baseline: Origin | None = Field(description="the best of the cheap ways, with as many calls")
    gains: list[Gain] = Field(
        description="on cases held out: scores, adjusted together by Holm; so unwanted outputs; then what is spent"
    )
    calls: int = Field(description="distinct questions that the search put to the model, at most as many as allowed")
    calls_baselines: int
    calls_proof: int
    calls_writer: int = Field(
        description="questions to the writer, of the search and of the baselines; calls do not bound them"
    )
    proposals: int = Field(description="different wordings that the writer proposed and that could be used")
    refused: dict[str, int] = Field(description="proposals that could not be used, by reason")
    tokens_before: int
    tokens_after: int | None
    tokens_limit: int
    cases: dict[str, int] = Field(description="that teach, choose and prove")
    simulated: bool
    candidates: list[CandidateLine]
    baselines: list[CandidateLine]
    diff: list[str] = Field(description="of the wording, line by line")
    notes: list[str]
    next: list[str]


class Trimmed(BaseModel):
    """A search for a cheaper wording."""

    message: str
    prompt: str = Field(description="that the search began with")
    result: str | None = Field(description="the version that was found; none where nothing could be left out")
    file: str | None = Field(description="that was written")
    proven: bool = Field(
        description="whether it is shown on cases held out to be not worse by the margin or more, in score and unwanted outputs"
    )
    verdict: Word | None
    margin: float
    needs: int | None = Field(description="cases that would tell, where it is undecided")
    gain: Gain | None = Field(description="of score, on cases held out")
    unwanted: list[Gain] = Field(description="of unwanted outputs, on cases held out, adjusted together by Holm")
    tokens_before: int = Field(description="of the prompt before values are put in")
    tokens_after: int | None
    sent_saved: float | None = Field(description="tokens that a call sends less, as measured on cases held out")
    money_saved: float | None = Field(description="for 1,000 calls, answers included; none where a price is unknown")
    currency: str | None
    calls: int = Field(description="distinct questions that the search put to the model, at most as many as allowed")
    calls_proof: int
    calls_writer: int = Field(description="questions to the writer; calls do not bound them")
    refused: dict[str, int] = Field(description="proposals that could not be used, by reason")
    cases: dict[str, int] = Field(description="that choose and prove")
    simulated: bool
    candidates: list[CandidateLine]
    diff: list[str] = Field(description="of the wording, line by line")
    notes: list[str]
    next: list[str]
