"""What the operations of this job answer; light, so that help and schemas need no data library."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt

from stellwerk.jobs.data.check_spec import CheckResult

Format = Literal["parquet", "jsonl", "chat", "huggingface", "croissant"]


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
    warnings: list[str] = Field(description="what checks found, such as a changed schema or rows that could not be read")
    counts: Tally
    personal_data: dict[str, int] = Field(description="findings by kind, never their values")
    not_searched: list[str] = Field(description="personal data that this version does not look for")
    next: list[str]


class SourceState(BaseModel):
    """What was read of a source last, when, and from where."""

    source: str
    version: str
    place: str = Field(description="files, or an address without credentials")
    read: str = Field(description="when it was read last, in UTC")
    rows: int
    cursor: str | None = Field(description="the column by which new rows are known, and its highest value so far")
    schema_changes: list[str] = Field(description="against the load before")
    columns: dict[str, str]


class SourceStates(BaseModel):
    """The sources of a dataset as they are in the record."""

    sources: list[SourceState]


class LedgerEntry(BaseModel):
    """What became of a document."""

    decision: str = Field(description="kept, changed or dropped")
    step: str | None
    rule: str | None
    value: str | None
    bound: str | None
    split: str | None


class Hit(BaseModel):
    """Personal data at a place, never its value."""

    column: str
    kind: str
    start: int = Field(description="in characters of the original")
    end: int
    score: float
    evidence: str


class Judgement(BaseModel):
    """A score, and its bound if it has one."""

    score: str
    value: str
    bound: str | None
    passed: bool | None


class Copy(BaseModel):
    """How a document relates to its copies."""

    kind: str = Field(description="exact, near, or none for one that stays")
    kept: str = Field(description="the copy that stays")
    jaccard: float = Field(description="similarity to it, word 5-grams")
    cluster: str = Field(description="the first document of those that must not be parted by a split")


class Piece(BaseModel):
    """A piece of a text; with a kind it stands where personal data was."""

    text: str
    kind: str | None = None


class Explanation(BaseModel):
    """The whole way of one document."""

    dataset: str
    document: str
    origin: str | None
    summary: str = Field(description="what became of it, in a sentence")
    verdict: LedgerEntry
    language: str | None = None
    edits: dict[str, int] = Field(default={}, description="what normalisation changed, by kind")
    copy_of: Copy | None = None
    personal_data: list[Hit] = []
    scores: list[Judgement] = []
    excerpt: str | None = Field(default=None, description="the beginning of the text, personal data masked")
    text: list[Piece] = Field(default=[], description="the text up to a length, with the kinds of personal data where it stood")


class Erasure(BaseModel):
    """What was erased, and what is marked for it."""

    dataset: str = Field(description="the latest version, which is without the documents")
    message: str
    erased: int = Field(description="documents of all versions")
    tainted: list[str] = Field(description="versions that hold the documents, or were made from them")
    not_searched: list[str] = Field(description="versions that have not the columns of the condition, with the reason")
    still_held: str = Field(description="where the bytes still are: logical erasure does not remove them")


class ChatFields(BaseModel):
    """The columns that become the turns of a conversation; `system` is left out where its value is empty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: str = "text"
    assistant: str = "reply"
    system: str | None = None


class ExportedFile(BaseModel):
    """One file of an export; `rows` is None for a file that holds no rows."""

    model_config = ConfigDict(frozen=True)

    path: str
    sha256: str
    bytes: NonNegativeInt
    rows: NonNegativeInt | None = None


class ExportResult(BaseModel):
    """What was written. `skipped` counts rows that are in the table but not in the files, by reason."""

    model_config = ConfigDict(frozen=True)

    folder: str
    format: Format
    dataset: str
    digest: str
    rows: NonNegativeInt
    splits: dict[str, NonNegativeInt]
    skipped: dict[str, NonNegativeInt]
    files: tuple[ExportedFile, ...]


class TriedColumn(BaseModel):
    """A column of a file that was tried."""

    column: str
    type: str
    missing: int
    distinct: int
    personal_data: dict[str, int] = Field(description="findings by kind, never their values")


class TryReport(BaseModel):
    """What a file holds, at a glance."""

    file: str
    format: str
    read: str = Field(description="how it was read: encoding, separator, and what was guessed")
    rows: int
    part: str | None = Field(default=None, description="said where only the beginning was looked at")
    unreadable: list[str] = Field(description="rows that could not be read, the first ones")
    columns: list[TriedColumn]
    text: str | None = Field(description="the column taken for the text")
    key: str | None = Field(description="the column taken for the key")
    languages: dict[str, int] = {}
    words: str | None = Field(default=None, description="words a text: 5 %, median, 95 %")
    copies: str | None = None
    damage: str | None = None
    not_searched: list[str] = Field(description="personal data that this version does not look for")
    examples: list[str] = Field(description="the first texts, personal data masked")
    spec: str = Field(description="a spec file to begin with")
    saved: str | None = Field(default=None, description="where the spec was written")
    next: list[str]


class TestReport(BaseModel):
    """How the data tests of a version ended."""

    __test__ = False  # pytest would take the class for a test

    dataset: str
    passed: int
    failed: int = Field(description="failed with severity error; the command then ends with exit code 1")
    warned: int = Field(description="failed with severity warn")
    results: list[CheckResult]


class RefreshReport(BaseModel):
    """A build, and the tests of what it made."""

    build: BuildReport
    test: TestReport | None = Field(description="none where the spec has no tests")


class QueryResult(BaseModel):
    """The rows that a query gave."""

    model_config = ConfigDict(frozen=True)

    columns: list[str] = Field(description="names of the columns, in order; made unique where the query repeats one")
    types: list[str] = Field(description="SQL type of each column")
    rows: list[list[Any]] = Field(description="the rows; numbers, text, true/false and null, times as ISO 8601, bytes as hex")
    truncated: bool = Field(description="whether there were more rows than are shown")
    seconds: float = Field(description="time that the query took")


class RowPage(BaseModel):
    """Some rows of a table of a dataset version."""

    dataset: str
    table: str
    columns: list[str]
    rows: list[list[Any]]
    offset: int = Field(description="rows before these")
    total: int | None = Field(description="rows of the table; nothing where a filter was given")
    more: bool = Field(description="whether rows follow")


class ScoreBars(BaseModel):
    """Counted values: bar i reaches from edges[i] to edges[i + 1]; values beyond them are in the outer bars."""

    edges: list[float]
    inside: list[int]
    outside: list[int]
    below: int
    above: int
    missing: int


class BoundPreview(BaseModel):
    """What another bound on a score would keep."""

    dataset: str
    score: str
    documents: int = Field(description="that were read")
    missing: int = Field(description="without this score")
    kept_now: int
    min_now: float | None
    max_now: float | None
    min: float | None
    max: float | None
    would_drop: int = Field(description="of those kept now")
    would_pass: int = Field(description="of those that this bound drops now; later steps may still drop some")
    examples_dropped: list[str]
    examples_passing: list[str]
    bars: ScoreBars


class SpecSchema(BaseModel):
    """The JSON Schema of a spec file, for editors and other programs."""

    file: str | None = Field(description="where it was written")
    json_schema: dict[str, Any]
