"""What a release says: models of its manifest, the JSON that is signed.

`Evidence` is what was judged: the same evidence is the same release. `Head` adds when, by whom and with what it was frozen, and
`Manifest` the documents by their digests. Knows names and shapes only; `gathering.py` fills them in, the dossier puts them into
words.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from stellwerk.gates import State

FORMAT: Final = "stellwerk-release/1"

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,99}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SystemPart(_Part):
    """The AI system, as its file describes it; None is not yet known."""

    name: str
    title: str | None = None
    purpose: str
    owner: str
    role: str
    description: str | None = None
    users: str | None = None
    oversight: str | None = None
    high_risk: bool | None = None


class VersionPart(_Part):
    """A version that is bound, or that a bound one was made from."""

    TABLE: ClassVar = ("ref", "reference", "bound", "created", "digest")

    id: str
    ref: str
    kind: str
    name: str
    number: int
    digest: str
    identity: dict[str, Any]
    created: str
    bound: bool
    reference: str | None = Field(None, description="as the system's file names it")
    tainted: bool = Field(False, description="it was made from rows that were erased since")


class EdgePart(_Part):
    """A version, and one that it was made from."""

    made: str
    source: str


class SignalPart(_Part):
    """A gate and its signal, with the measurement that counts."""

    TABLE: ClassVar = ("gate", "job", "state", "subject", "value", "low", "high", "n", "attempts", "measured")

    gate: str
    job: str
    severity: Literal["error", "warn"]
    title: dict[str, str] = Field(description="what the gate asks for, by language")
    metric: str
    metric_version: int
    min: float | None
    max: float | None
    min_n: int | None
    days: float | None
    wanted: list[str] = Field(description="instruments that the gate names")
    state: State
    why: str
    reason: dict[str, str] = Field(description="by language")
    passes: bool
    subject: str | None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    unit: str = ""
    attempts: int = 0
    measurement: str | None = None
    measured: str | None = Field(None, description="when, ISO 8601 in UTC")
    run: str | None = None
    subjects: list[str] = []
    instruments: list[str] = []
    waiver: str | None = None


class WaiverPart(_Part):
    """A waiver that lets a signal pass."""

    TABLE: ClassVar = ("gate", "asset", "state", "value", "person", "authenticated", "until", "reason")

    id: str
    gate: str
    asset: str
    state: State
    value: float | None
    person: str
    authenticated: bool
    reason: str
    until: str


class SignOffPart(_Part):
    """A person who signed this candidate, in a role."""

    role: str
    person: str
    authenticated: bool
    reason: str
    until: str | None
    created: str


class FindingPart(_Part):
    """A finding on the versions, with what was decided about it."""

    TABLE: ClassVar = ("severity", "status", "title", "versions", "owner", "until", "reason")

    id: str
    rule: str
    severity: str
    title: str
    versions: list[str]
    created: str
    status: str
    owner: str | None
    person: str | None = Field(None, description="who decided on its status")
    authenticated: bool | None = None
    reason: str | None
    until: str | None


class OverridePart(_Part):
    """A default gate that the system's file changes, or does not require."""

    gate: str
    required: bool
    changes: dict[str, Any]
    reason: str


class SourcePart(_Part):
    """Where a part of a dataset came from; None is not yet known."""

    name: str
    origin: str | None = None
    licence: str | None = None
    legal_basis: str | None = None
    retrieved: str | None = None
    files: int | None = None
    rows: int | None = None


class StepPart(_Part):
    """What one rule of one preparation step did to how many documents."""

    step: str
    rule: str
    documents: int
    changed: bool


class PersonalPart(_Part):
    """What a search for personal data looked for and found, as counts."""

    searched: list[str]
    not_searched: list[str]
    counts: dict[str, int]
    documents: int | None
    action: str | None


class DataPart(_Part):
    """What is known of a dataset version, for the data record; None and empty are not yet known."""

    TABLE: ClassVar = ("ref", "purpose", "owner", "legal_basis", "rows", "dropped")

    ref: str
    description: str | None = None
    purpose: str | None = None
    owner: str | None = None
    licence: str | None = None
    legal_basis: str | None = None
    retention: str | None = None
    delete_by: str | None = None
    expected_languages: list[str] = []
    assumptions: list[str] = []
    known_gaps: list[str] = []
    bias_examination: list[str] = []
    bias_measures: list[str] = []
    sources: list[SourcePart] = []
    rows: int | None = None
    read: int | None = None
    kept: int | None = None
    changed: int | None = None
    dropped: int | None = None
    steps: list[StepPart] = []
    splits: dict[str, int] = {}
    languages: dict[str, int] = {}
    personal: PersonalPart | None = None


class ServicePart(_Part):
    """A bought service or a model that somebody else hosts, as its file describes it; None is not yet known."""

    TABLE: ClassVar = ("ref", "provider", "product", "region", "retention", "processor_agreement", "terms")

    ref: str
    provider: str | None
    product: str | None
    region: str | None
    retention: str | None
    processor_agreement: str | None
    terms: str | None
    data: list[str] = Field([], description="which data go there")


class Evidence(_Part):
    """All that was judged; the same evidence is the same release."""

    candidate: str = Field(description="digest of what is bound")
    system: SystemPart
    versions: list[VersionPart]
    edges: list[EdgePart]
    signals: list[SignalPart]
    waivers: list[WaiverPart]
    sign_offs: list[SignOffPart]
    findings: list[FindingPart]
    overrides: list[OverridePart]
    default_gates: dict[str, int] = Field(description="version of the set of default gates, by job or kind")
    data: list[DataPart]
    services: list[ServicePart] = []


class FilePart(_Part):
    """A document of the release."""

    sha256: Digest
    bytes: int


class AnchorPart(_Part):
    """The head of the record's journal when the release was made."""

    record: str
    seq: int
    hash: str


class Head(_Part):
    """A release without its documents, which are written from it."""

    format: Literal["stellwerk-release/1"] = FORMAT
    system: str
    number: int = Field(ge=1)
    version: Digest = Field(description="id of the system's version in the record")
    made: str = Field(description="ISO 8601 in UTC")
    made_by: str
    authenticated: bool
    run: str
    note: str | None
    product: str = Field(description="version of Stellwerk")
    workspace: str
    anchor: AnchorPart
    key: Digest = Field(description="fingerprint of the key that signs")
    previous: str | None = Field(description="digest of the release before it")
    evidence: Evidence

    @property
    def ref(self) -> str:
        """`system@number`."""
        return f"{self.system}@{self.number}"


class Manifest(Head):
    """What is signed."""

    files: dict[FileName, FilePart]
