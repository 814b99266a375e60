"""What a person writes in `judges/NAME.yaml`: who judges, by which criteria, and the people that it is compared with.

A judge is a model with a task. Everything that shapes its verdicts, and the thresholds of its audit, is part of what it is:
who changes them has another judge, which has to be audited anew. Knows the file alone.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from stellwerk.llm.chat import Params
from stellwerk.specfile import parse

FOLDER = "judges"

Form = Literal["verdict", "score", "pairwise"]


class Part(BaseModel):
    """Base of all parts of the file: unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Thresholds(Part):
    """What a judge has to reach before it may judge.

    The defaults were written down before an audit was computed, by somebody who had read how often the judges of LLMBar agree
    with themselves. `agreement` is what Landis and Koch call substantial; the others follow from what they protect: at most
    one case in five may turn on the order, and order and length may shift a share of verdicts by 10 and 15 points at most.
    """

    labels: int = Field(50, ge=10, description="cases that people have judged, at least")
    consistency: float = Field(0.8, ge=0, le=1, description="share of cases with the same verdict in both orders, at least")
    position: float = Field(0.1, ge=0, le=0.5, description="how far the share of what stands first may be from one half")
    length: float = Field(0.15, ge=0, le=1, description="how much more often than people it may prefer the longer answer")
    agreement: float = Field(
        0.6, ge=-1, le=1, description="agreement with people beyond chance (Gwet's AC1; of scores, on what passes), at least"
    )
    kappa: float = Field(0.4, ge=-1, le=1, description="the same as Cohen's kappa, which is strict where one verdict is rare")
    sensitivity: float = Field(0.7, ge=0, le=1, description="share of what people call good that it calls good, at least")
    specificity: float = Field(0.7, ge=0, le=1, description="share of what people call bad that it calls bad, at least")
    unscored: float = Field(0.05, ge=0, le=1, description="share of verdicts that cannot be read, at most")


class Labels(Part):
    """What people said, which the judge is compared with."""

    study: str | None = Field(None, description="a study with ratings, such as tone or tone@2")
    file: str | None = Field(
        None, description="a CSV or JSON Lines file of the workspace: question, answer (or first and second), human"
    )

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.study is None) == (self.file is None):
            raise ValueError("give either study or file, where people's judgements are")
        return self


class JudgeSpec(Part):
    """The file as a whole."""

    description: str | None = None
    model: str = Field(description="that judges: the name of a file in models/")
    form: Form = Field("verdict", description="verdict is pass or fail, score a number, pairwise the better of two")
    criteria: str | None = Field(None, description="what makes an answer good, in sentences")
    prompt: str | None = Field(None, description="instructions in other words than ours; {{criteria}} stands for the criteria")
    prompt_file: str | None = Field(None, pattern=r"^[\w-][\w.-]{0,99}$", description="a file in judges/ that holds the prompt")
    scale: tuple[int, int] = Field((1, 5), description="lowest and highest score, where form is score")
    passes: int | None = Field(None, description="score from which an answer passes; the upper half of the scale if left out")
    language: Literal["en", "de"] = Field("en", description="of our instructions")
    params: Params = Field(Params(temperature=0, max_tokens=1000), description="how the model is asked")
    labels: Labels | None = Field(None, description="what the audit compares it with; until then it judges nothing")
    thresholds: Thresholds = Thresholds()

    @field_validator("criteria", "prompt")
    @classmethod
    def _says_something(cls, value: str | None) -> str | None:
        if value is not None and not value.strip():
            raise ValueError("it is empty; write it, or leave it out")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.criteria is None and self.prompt is None and self.prompt_file is None:
            raise ValueError("give criteria: what makes an answer good, in sentences")
        if self.prompt is not None and self.prompt_file is not None:
            raise ValueError("give either prompt or prompt_file")
        low, high = self.scale
        if not 0 <= low < high <= 100:
            raise ValueError(f"scale [{low}, {high}] is none; give the lowest and the highest score, such as [1, 5]")
        if self.passes is not None and not low < self.passes <= high:
            raise ValueError(f"passes is {self.passes}, expected a score above {low} and at most {high}")
        return self

    @property
    def bar(self) -> float:
        """The score from which an answer passes."""
        return self.passes if self.passes is not None else (self.scale[0] + self.scale[1]) / 2


def read(text: str, file: str) -> JudgeSpec:
    """Check a file.

    Raises:
        UserError: one sentence, with its line, for each mistake.
    """
    return parse(text, file).check(JudgeSpec)
