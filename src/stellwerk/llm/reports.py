"""What the operations on models return."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, Field


class ChatReport(BaseModel):
    """An answer."""

    model: str = Field(description="that was asked, as its file is called")
    answer: str
    simulated: bool = Field(description="whether the answer is made up by a plan, not given by a model")
    finish: str = Field(description="stop, length, content_filter, tool_calls or other")
    reported: str | None = Field(description="the model, as its endpoint reports it")
    sent: int | None = Field(description="tokens; unknown where the endpoint does not say")
    answered: int | None = Field(description="tokens; unknown where the endpoint does not say")
    seconds: float
    cost: float | None = Field(description="unknown where no price is given, which is not the same as nothing")
    currency: str | None


class ProbedQuestion(BaseModel):
    """How one fixed question was answered, compared with registration."""

    question: str
    same: bool = Field(description="whether one of the answers is one of those at registration")
    distance: float = Field(description="between then and now, less the spread within a day; 0 for none")


class ProbeReport(BaseModel):
    """What fixed questions showed."""

    model: str = Field(description="the version that was asked for")
    passed: bool
    sentence: str
    simulated: bool
    hosted: bool = Field(description="whether its provider may change it")
    version: str = Field(description="what it is now")
    p: float = Field(description="of the permutation test: chance of such differences in a model that is the same")
    asked: int = Field(description="calls")
    differing: int = Field(description="questions none of whose answers was given at registration")
    reported: list[str] = Field(description="the model, as its endpoint reports it")
    fingerprints: list[str] = Field(description="of the system behind the endpoint, as it reports them")
    compared_with: str | None = Field(description="when the answers were given that these are compared with")
    questions: list[ProbedQuestion]


class Served(BaseModel):
    """How a server ended."""

    model: str
    address: str
    simulated: bool
    seconds: float
    calls: int = Field(description="that were answered")


class ModelEntry(BaseModel):
    """A model of the workspace."""

    TABLE: ClassVar = ("name", "kind", "allowed", "simulated", "region", "input", "output", "currency", "probed", "why_not")

    name: str
    kind: str = Field(description="endpoint, weights or simulated")
    place: str = Field(description="its address, its folder or its plan")
    model: str | None
    allowed: bool = Field(description="whether the workspace lets it be called")
    why_not: str | None
    hosted: bool
    simulated: bool
    region: str | None
    seat: str | None
    licence: str | None
    input: float | None = Field(description="price today for a million tokens sent; unknown where none is given")
    output: float | None = Field(description="price today for a million tokens answered")
    currency: str | None
    version: str | None = Field(description="the newest in the record")
    probed: str | None = Field(description="when the fixed questions were asked last, in UTC")
    passed: bool | None = Field(description="whether that probe found it unchanged")


class ModelList(BaseModel):
    """The models of a workspace."""

    models: list[ModelEntry]
    problems: list[str] = Field(description="files that cannot be read, and why")
