"""What the operations of the prompt engineer return."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, Field


class MessageText(BaseModel):
    """A message with its values put in."""

    role: str
    text: str
    tokens: int = Field(description="about so many; each model counts in its own way")


class Rendered(BaseModel):
    """The messages of a prompt."""

    prompt: str
    case: str | None = Field(None, description="whose values were put in")
    messages: list[MessageText]
    tokens: int = Field(description="about so many, of all messages")
    fixed_tokens: int = Field(description="about so many of them stand in the prompt itself, the same at each call")
    parameters: dict[str, str]


class Looked(BaseModel):
    """What a check would say of one answer."""

    check: str
    passed: bool | None = Field(description="nothing where it could not be told")
    reason: str


class TryReport(BaseModel):
    """One answer, nothing measured."""

    model: str
    answer: str
    finish: str
    simulated: bool = Field(description="whether the model is made up, so that its answer shows nothing but that things work")
    messages: list[MessageText]
    input_tokens: int | None
    output_tokens: int | None
    seconds: float
    cost: float | None = Field(description="nothing where the price is unknown, which is not the same as no cost")
    currency: str | None
    checks: list[Looked]
    suite: str = Field(description="the beginning of a suite with this case, to be saved as suites/NAME.yaml")
    saved: str | None = None
    notes: list[str] = []


class DiffLine(BaseModel):
    """A line of a message: `+` is new, `-` is gone."""

    sign: str
    text: str


class MessageDiff(BaseModel):
    """A message that differs."""

    place: int = Field(description="which message, counted from 1")
    role: str
    change: str = Field(description="changed, added, removed, or role")
    lines: list[DiffLine]


class Change(BaseModel):
    """A field that differs."""

    field: str
    before: str | None
    after: str | None


class PromptDiff(BaseModel):
    """What differs between two versions."""

    first: str
    second: str
    same: bool = Field(description="whether a model is sent the same by both")
    summary: str
    messages: list[MessageDiff]
    inputs: list[Change]
    parameters: list[Change]
    facts: list[Change] = Field(description="what only describes them")
    tokens: int = Field(description="about so many more tokens in the second one")
    text: str = Field(description="all of it as a unified diff")


class PromptLine(BaseModel):
    """A prompt of the library."""

    TABLE: ClassVar = ("prompt", "versions", "aliases", "passed", "low", "high", "tested", "stale")

    prompt: str
    description: str | None
    owner: str | None
    versions: int
    aliases: dict[str, str] = Field(description="each with the version that it points to")
    used_by: list[str] = Field(description="systems that bind it")
    inputs: list[str]
    tokens: int | None
    tested: str | None = Field(description="when it was tested completely last, in UTC")
    tested_with: list[str] = Field(description="model and suite of that test")
    passed: float | None = Field(description="share of cases that passed in it")
    low: float | None = Field(description="lower bound of the 95 % interval of that share")
    high: float | None
    stale: str | None = Field(description="why the last test says nothing of the file as it is now")
    problem: str | None = Field(description="what is wrong with the file")


class Library(BaseModel):
    """The prompts of a workspace."""

    prompts: list[PromptLine]
    message: str


class ImportedPrompt(BaseModel):
    """A prompt that was written as a file of our own."""

    prompt: str
    file: str
    messages: int
    inputs: list[str]


class PromptImported(BaseModel):
    """What was imported."""

    prompts: list[ImportedPrompt]
    suite: str | None = Field(description="made of the tests of a promptfoo configuration")
    cases: int | None = Field(description="of that suite")
    left_out: list[str] = Field(description="what the other tool says and our files do not")


class PromptExported(BaseModel):
    """What was written."""

    prompt: str
    file: str
    format: str
    left_out: list[str] = Field(description="what our file says and that of the other tool cannot")


class Saved(BaseModel):
    """A prompt's file that was written."""

    prompt: str
    file: str
    digest: str = Field(description="of the text, to be given as replaces at the next change")
    changed: bool
    inputs: list[str]
    tokens: int = Field(description="about so many, before values are put in")


class GateState(BaseModel):
    """What a gate says of the version that an alias is to point to."""

    TABLE: ClassVar = ("gate", "of", "state", "value", "low", "high", "n", "why", "command")

    gate: str
    of: str = Field(description="the system, or the prompt itself")
    state: str = Field(description="clear, caution, stop or dark")
    passes: bool
    why: str
    why_de: str = Field("", description="the same in German")
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    measured: str | None = None
    measurement: str | None = Field(None, description="the id of the measurement that counts")
    command: str | None = Field(None, description="that measures it")


class Promotion(BaseModel):
    """An alias that was moved, or why not."""

    prompt: str = Field(description="the version that the alias is to point to")
    alias: str
    moved: bool
    before: str | None = Field(description="the version that it pointed to")
    now: str | None
    message: str
    reasons: list[str] = Field(description="why it was not moved, a sentence each")
    evidence: list[GateState]
