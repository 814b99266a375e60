"""What the operations on systems, services and decisions answer; light, so that help and schemas load no record."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field

State = Literal["clear", "stop", "caution", "dark"]


class WaiverLine(BaseModel):
    """A waiver that lets a signal pass."""

    person: str
    authenticated: bool = Field(description="whether a door had proven that it was this person")
    reason: str
    until: str


class SignalLine(BaseModel):
    """The state of one gate for one version."""

    TABLE: ClassVar = ("word", "job", "gate", "subject", "reason", "n", "attempts")

    gate: str
    title: str = Field(description="what the gate asks for")
    job: str
    subject: str | None = Field(description="the version that is judged; nothing where the system has none of the kind")
    state: State
    word: str = Field(description="the state in words")
    passes: bool = Field(description="whether a release is granted as far as this goes")
    severity: Literal["error", "warn"]
    metric: str
    value: float | None
    low: float | None = Field(description="lower bound of the 95 % interval; nothing for a count of all there is")
    high: float | None
    n: int | None = Field(description="cases that it rests on")
    unit: str
    threshold: str
    why: str = Field(description="the reason as a word for machines")
    reason: str
    attempts: int = Field(description="complete measurements of just this")
    measured: str | None = Field(description="when")
    run: str | None = Field(description="that measured it; nothing for what was read from the record itself")
    instruments: list[str] = Field(description="what it was measured with")
    waiver: WaiverLine | None


class NotRequired(BaseModel):
    """A default gate that the system's file leaves out."""

    gate: str
    reason: str


class SystemSignals(BaseModel):
    """An AI system as it stands now."""

    APART: ClassVar = True

    system: str
    title: str | None
    sentence: str
    releasable: bool
    jobs: dict[str, str] = Field(description="the state of each job, or: not required")
    signals: list[SignalLine] = Field(description="worst first")
    overridden: list[NotRequired] = Field(description="default gates with another threshold, age or severity, and why")
    not_required: list[NotRequired]
    reasons: list[str] = Field(description="why it would not be released")


class SignalsReport(BaseModel):
    """The signals of the systems that were asked for."""

    sentence: str
    systems: list[SystemSignals]
    broken: list[str] = Field(description="systems whose file cannot be read, and why")
    junit: str | None = Field(default=None, description="the file that was written")


class PlannedRun(BaseModel):
    """A run that brings evidence back."""

    TABLE: ClassVar = ("command", "seconds", "cost", "clears")

    command: str
    operation: str
    values: dict[str, Any]
    seconds: float | None = Field(description="expected, the median of earlier runs")
    low: float | None = Field(description="the shortest of them, in seconds")
    high: float | None = Field(description="the longest of them, in seconds")
    cost: dict[str, float] = Field(description="expected by currency, as earlier runs spent; empty where nothing is known")
    clears: list[str] = Field(description="the gates that it brings back, and on what")


class Task(BaseModel):
    """What only a person can do."""

    TABLE: ClassVar = ("about", "state", "reason", "task", "or_waive")

    about: str = Field(description="the gate and the version, or what is missing")
    gate: str | None
    subject: str | None
    state: State
    why: str
    reason: str
    blocks: bool = Field(description="whether a release is refused for it")
    task: str
    or_waive: str | None = Field(description="the command that lets it pass until a date")


class MendRun(BaseModel):
    """A run that mend started."""

    operation: str
    values: dict[str, Any]
    run: str
    state: str = Field(description="queued, done or failed")
    error: str | None = None


class MendReport(BaseModel):
    """What would clear a system: runs, each named once, and tasks of persons; and the runs that were started."""

    system: str
    sentence: str
    releasable: bool
    runs: list[PlannedRun] = Field(description="to do")
    seconds: float | None = Field(description="expected for those of them that have an estimate")
    tasks: list[Task]
    started: list[MendRun]
    next: str | None


class Registered(BaseModel):
    """A bought service or hosted model as a version."""

    version: str
    message: str
    missing: list[str] = Field(description="facts that default gates need and that its file does not say")


class DecisionLine(BaseModel):
    """A waiver or a sign-off that holds."""

    id: str = Field(description="the first digits")
    kind: Literal["waive", "sign"]
    what: str = Field(description="the gate and asset that pass, or the role that signed")
    person: str
    authenticated: bool
    reason: str
    until: str
    current: bool = Field(description="whether a signal passes by it, or it is of the versions that are bound now")


class DecisionList(BaseModel):
    """The waivers and sign-offs of a system that hold now."""

    system: str
    decisions: list[DecisionLine]


class Decided(BaseModel):
    """A decision that was noted."""

    id: str
    message: str
    releasable: bool = Field(description="whether the system would be released now")
    sentence: str
