"""What the operations on releases answer; light, so that help and schemas load no record."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, Field

from stellwerk.release.manifest import Evidence


class FileLine(BaseModel):
    """A document of a release."""

    name: str
    bytes: int
    artifact: str = Field(description="where it lies in the store")


class Made(BaseModel):
    """A release that was made, or that still holds."""

    message: str
    release: str = Field(description="such as support-desk@3")
    unchanged: bool = Field(description="nothing changed since that release, so no new one was made")
    digest: str
    key: str = Field(description="fingerprint of the key that signed it")
    waived: int = Field(description="signals that pass by a waiver")
    next: list[str]


class ReleaseLine(BaseModel):
    """A release in a list."""

    TABLE: ClassVar = ("release", "made", "made_by", "authenticated", "digest")

    release: str
    system: str
    number: int
    made: str
    made_by: str
    authenticated: bool
    digest: str
    key: str
    run: str


class ReleaseList(BaseModel):
    """Releases, the newest first."""

    releases: list[ReleaseLine]


class Shown(BaseModel):
    """A release with all that it says."""

    message: str
    release: str
    system: str
    number: int
    made: str
    made_by: str
    authenticated: bool
    note: str | None
    run: str
    digest: str
    previous: str | None = Field(description="digest of the release before it")
    key: str = Field(description="fingerprint of the key that signed it")
    product: str | None = Field(description="version of Stellwerk that made it")
    anchor: str | None = Field(description="the journal's head at that time")
    here: bool = Field(description="whether its documents are in this store")
    genuine: bool | None = Field(description="whether signature and digests hold; nothing where its documents are not here")
    problems: list[str]
    files: list[FileLine]
    evidence: Evidence | None


class Change(BaseModel):
    """Something that is not as it was; nothing stands for what was not there."""

    what: str
    before: str | None
    after: str | None


class Comparison(BaseModel):
    """What changed between two releases, or between one and what would be released now."""

    message: str
    first: str
    second: str
    same: bool
    system: list[Change]
    versions: list[Change] = Field(description="that are bound")
    lineage: list[Change] = Field(description="what the bound ones were made from")
    gates: list[Change]
    signals: list[Change]
    waivers: list[Change]
    sign_offs: list[Change]
    findings: list[Change]


class Exported(BaseModel):
    """A release as a file."""

    message: str
    file: str
    release: str
    bytes: int
    key: str = Field(description="fingerprint of the key that signed it, to be given to the receiver on another way")
    next: list[str]


class Verified(BaseModel):
    """Whether an exported release is what was signed."""

    message: str
    file: str
    genuine: bool
    key_known: bool = Field(description="whether the key was given, or is this workspace's own")
    release: str | None
    made: str | None
    made_by: str | None
    authenticated: bool | None
    key: str | None = Field(description="fingerprint of the key that the signature was checked with")
    members: list[str]
    problems: list[str]
    notes: list[str]
