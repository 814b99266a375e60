"""What the operations of this job answer; light, so that help and schemas need no data library."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Dropped(BaseModel):
    """How many documents one rule dropped."""

    step: str
    rule: str
    documents: int
    share: float = Field(description="of all documents read")


class Tally(BaseModel):
    """The ledger in numbers: read = kept + changed + dropped."""

    read: int
    kept: int = Field(description="kept as they were")
    changed: int = Field(description="kept with edits, such as masked personal data")
    dropped: int
    rules: list[Dropped]
    edits: dict[str, int]
    splits: dict[str, int]
    sources: dict[str, dict[str, int]]


class BuildReport(BaseModel):
    """What a build made of its input."""

    dataset: str
    message: str
    counts: Tally
    personal_data: dict[str, int] = Field(description="findings by kind, never their values")
    not_searched: list[str] = Field(description="personal data that this version does not look for")
    next: list[str]
