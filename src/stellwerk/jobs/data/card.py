"""The facts of one dataset version, and the data record (dataset card) written from them.

Knows what a reader of a dataset must be told and in which order (the topics of AI Act Art. 10(2)). Does not measure
anything and claims nothing: a missing fact is printed as "not yet known", and no sentence says that a law is met.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, JsonValue, NonNegativeInt, model_validator

UNKNOWN: Final = "not yet known"

# Licence ids of the Hugging Face Hub; they differ from SPDX only in case. Others are declared as `other` and named.
# fmt: off
_HUB_LICENCES: Final = {
    "afl-3.0", "agpl-3.0", "apache-2.0", "artistic-2.0", "bsd", "bsd-2-clause", "bsd-3-clause", "bsl-1.0", "cc",
    "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0",
    "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0",
    "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0", "ecl-2.0", "epl-1.0", "epl-2.0", "eupl-1.1", "eupl-1.2", "gfdl", "gpl",
    "gpl-2.0", "gpl-3.0", "isc", "lgpl", "lgpl-2.1", "lgpl-3.0", "mit", "mpl-2.0", "ms-pl", "ncsa", "odbl", "odc-by",
    "ofl-1.1", "osl-3.0", "pddl", "postgresql", "unlicense", "wtfpl", "zlib",
}
# fmt: on


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileFact(_Fact):
    """One file that a source was read from."""

    path: str
    sha256: str
    bytes: NonNegativeInt
    rows: NonNegativeInt | None = None


class SourceFact(_Fact):
    """Where a part of the dataset came from."""

    name: str
    origin: str | None = None
    licence: str | None = None
    legal_basis: str | None = None
    retrieved: date | None = None
    files: tuple[FileFact, ...] = ()
    rows: NonNegativeInt | None = None
    columns: dict[str, str] = Field(default_factory=dict, description="column -> type, as read")


class PreparationStep(_Fact):
    """One operation that was done to the data, in the order in which it was done."""

    step: str
    what: str
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    counts: dict[str, NonNegativeInt] = Field(default_factory=dict)


class Counts(_Fact):
    """How many documents came in and what became of them; `kept` are those kept unchanged, so the three add up."""

    read: NonNegativeInt
    kept: NonNegativeInt
    changed: NonNegativeInt
    dropped: NonNegativeInt
    rules: dict[str, NonNegativeInt] = Field(default_factory=dict, description="rule -> documents that it dropped")
    edits: dict[str, NonNegativeInt] = Field(default_factory=dict, description="edit -> documents that it changed")
    splits: dict[str, NonNegativeInt] = Field(default_factory=dict)
    languages: dict[str, NonNegativeInt] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.read != self.kept + self.changed + self.dropped:
            raise ValueError(
                f"counts do not add up: {self.read} read, but {self.kept} kept, {self.changed} changed "
                f"and {self.dropped} dropped"
            )
        if self.rules and sum(self.rules.values()) != self.dropped:
            raise ValueError(f"the rules dropped {sum(self.rules.values())} documents, but {self.dropped} are dropped")
        if self.splits and sum(self.splits.values()) != self.kept + self.changed:
            raise ValueError(f"the splits hold {sum(self.splits.values())} documents, but {self.kept + self.changed} remain")
        return self


class PersonalData(_Fact):
    """What a scan for personal data looked for and found; never the values."""

    searched: tuple[str, ...]
    not_searched: tuple[str, ...] = ()
    counts: dict[str, NonNegativeInt] = Field(default_factory=dict, description="kind -> findings")
    documents: NonNegativeInt | None = None
    action: str | None = None


class TestSummary(_Fact):
    """How the data tests ended."""

    __test__ = False  # pytest would take the class for a test

    passed: NonNegativeInt
    failed: NonNegativeInt = 0
    warned: NonNegativeInt = 0
    failures: tuple[str, ...] = Field(default=(), description="one sentence for each test that failed or warned")


class DatasetFacts(_Fact):
    """All that is known of one dataset version."""

    name: str
    version: int = Field(ge=1)
    digest: str
    description: str | None = None
    purpose: str | None = None
    owner: str | None = None
    licence: str | None = None
    legal_basis: str | None = None
    languages: tuple[str, ...] = ()
    sources: tuple[SourceFact, ...] = ()
    preparation: tuple[PreparationStep, ...] = ()
    counts: Counts
    personal: PersonalData | None = None
    tests: TestSummary | None = None
    assumptions: tuple[str, ...] = ()
    known_gaps: tuple[str, ...] = ()
    bias_examination: tuple[str, ...] = Field(default=(), description="what was examined for bias, with its result")
    bias_measures: tuple[str, ...] = Field(default=(), description="what was done against a bias that was found")
    created: datetime | None = None
    retention: str | None = None
    delete_by: date | None = None
    parents: tuple[str, ...] = Field(default=(), description="versions that this one was made from: dataset/tickets@2")
    tainted: str | None = Field(default=None, description="what was erased since of the rows that it was made from")

    @property
    def reference(self) -> str:
        """The name of the version in the record, such as dataset/tickets@3."""
        return f"dataset/{self.name}@{self.version}"

    @property
    def remaining(self) -> int:
        """Documents in this version."""
        return self.counts.kept + self.counts.changed


def to_markdown(facts: DatasetFacts) -> str:
    """Write the data record of a dataset version as Markdown.

    Args:
        facts: what is known of the version.

    Returns:
        GitHub-flavoured Markdown, UTF-8, that ends with a newline. Text from the facts is escaped: it brings neither
        markup nor HTML of its own.
    """
    parts = [
        f"# {_text(facts.name)}, version {facts.version}",
        _text(facts.description),
        *_tainted(facts),
        _identity(facts),
        "## Purpose and design choices",
        *_design(facts),
        "## Collection and origin",
        *_origin(facts.sources),
        "## Preparation operations",
        *_preparation(facts),
        "## Assumptions",
        _bullets(facts.assumptions),
        "## Availability, quantity and suitability",
        *_quantity(facts),
        "## Examination of bias",
        _bullets(facts.bias_examination),
        "## Measures against bias",
        _bullets(facts.bias_measures),
        "## Personal data",
        *_personal(facts.personal),
        "## Gaps and shortcomings",
        _bullets(facts.known_gaps),
        "## Retention",
        _table(("Retention", "Delete by"), [(facts.retention, facts.delete_by)]),
        "---",
        "Headings follow the topics of Regulation (EU) 2024/1689, Art. 10(2). This record states what was measured or "
        "declared; it does not assess whether a law is met.",
    ]
    return "\n\n".join(parts) + "\n"


def front_matter(facts: DatasetFacts, splits: Mapping[str, int]) -> str:
    """Write the YAML head of a Hugging Face dataset card.

    Args:
        facts: what is known of the version.
        splits: split -> rows; the files of a split are data/SPLIT-*.parquet.

    Returns:
        The head with its two lines of dashes, ready to stand before the data record.
    """
    rows = sum(splits.values())
    licence = (facts.licence or "unknown").lower()
    head: dict[str, Any] = {"pretty_name": facts.name}
    if licence in _HUB_LICENCES or licence == "unknown":
        head["license"] = licence
    else:
        head |= {"license": "other", "license_name": facts.licence}
    if facts.languages:
        head["language"] = list(facts.languages)
    bounds = [(10**n, f"{_short(10 ** (n - 1))}<n<{_short(10**n)}") for n in range(4, 13)]
    head["size_categories"] = ["n<1K" if rows < 1000 else next((name for bound, name in bounds if rows < bound), "n>1T")]
    files = [{"split": split, "path": f"data/{split}-*.parquet"} for split in splits]
    head["configs"] = [{"config_name": "default", "data_files": files}]
    return f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n\n"


def _short(value: int) -> str:
    for size, unit in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K")):
        if value >= size:
            return f"{value // size}{unit}"
    return str(value)


def _tainted(facts: DatasetFacts) -> list[str]:
    if facts.tainted is None:
        return []
    return [f"**Tainted.** This version holds rows that were erased since, or was made from them: {_text(facts.tainted)}."]


def _identity(facts: DatasetFacts) -> str:
    return _table(
        ("", "Fact"),
        [
            ("Reference", facts.reference),
            ("Content digest", facts.digest),
            ("Created", facts.created.isoformat(timespec="seconds") if facts.created else None),
            ("Owner", facts.owner),
            ("Licence", facts.licence),
            ("Languages", ", ".join(facts.languages) or None),
            ("Made from", ", ".join(facts.parents) or None),
        ],
    )


def _design(facts: DatasetFacts) -> list[str]:
    return [_table(("", "Fact"), [("Purpose", facts.purpose), ("Legal basis", facts.legal_basis)])]


def _origin(sources: Sequence[SourceFact]) -> list[str]:
    if not sources:
        return [f"Sources: {UNKNOWN}."]
    parts = [
        _table(
            ("Source", "Origin", "Licence", "Legal basis", "Retrieved", "Files", "Rows"),
            [(s.name, s.origin, s.licence, s.legal_basis, s.retrieved, len(s.files), s.rows) for s in sources],
        )
    ]
    for source in sources:
        parts.append(f"### Source {_text(source.name)}")
        if source.columns:
            parts.append("Columns as read: " + ", ".join(f"{_text(k)} ({_text(v)})" for k, v in source.columns.items()))
        if source.files:
            parts.append(_table(("File", "SHA-256", "Bytes"), [(f.path, f.sha256, f.bytes) for f in source.files]))
    return parts


def _preparation(facts: DatasetFacts) -> list[str]:
    parts = []
    if facts.preparation:
        rows = [
            (number, step.step, step.what, _pairs(step.parameters), _pairs(step.counts))
            for number, step in enumerate(facts.preparation, start=1)
        ]
        parts.append(_table(("No.", "Step", "What it did", "Parameters", "Documents"), rows))
    else:
        parts.append(f"Steps: {UNKNOWN}.")
    if facts.counts.rules:
        parts.append(_table(("Dropped by rule", "Documents"), facts.counts.rules.items()))
    if facts.counts.edits:
        parts.append(_table(("Changed by", "Documents"), facts.counts.edits.items()))
    return parts


def _quantity(facts: DatasetFacts) -> list[str]:
    counts = facts.counts
    parts = [
        _table(
            ("Read", "Kept unchanged", "Changed", "Dropped", "In this version"),
            [(counts.read, counts.kept, counts.changed, counts.dropped, facts.remaining)],
        )
    ]
    if counts.splits:
        parts.append(_table(("Split", "Documents"), counts.splits.items()))
    if counts.languages:
        parts.append(_table(("Language", "Documents"), counts.languages.items()))
    tests = facts.tests
    if tests is None:
        return [*parts, f"Data tests: {UNKNOWN}."]
    parts.append(f"Data tests: {tests.passed} passed, {tests.warned} warned, {tests.failed} failed.")
    return [*parts, _bullets(tests.failures)] if tests.failures else parts


def _personal(personal: PersonalData | None) -> list[str]:
    if personal is None:
        return [f"Scan for personal data: {UNKNOWN}."]
    rows = [(kind, personal.counts.get(kind, 0)) for kind in personal.searched]
    searched = _table(("Kind searched", "Findings"), rows) if rows else f"Kinds searched: {UNKNOWN}."
    return [
        searched,
        f"Documents with a finding: {_number(personal.documents)}. Action: {_text(personal.action)}.",
        f"Not searched: {', '.join(map(_text, personal.not_searched)) or UNKNOWN}.",
        "A count of zero says that this search found nothing, not that there is nothing.",
    ]


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [_row(header), "|" + " --- |" * len(header)]
    lines += [_row([_cell(value) for value in row]) for row in rows]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _bullets(items: Sequence[str]) -> str:
    return "\n".join(f"- {_text(item)}" for item in items) or f"- {UNKNOWN}"


def _cell(value: object) -> str:
    if isinstance(value, int):
        return _number(value)
    return _text(None if value is None else str(value))


def _number(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value:,}"


def _pairs(values: Mapping[str, JsonValue] | Mapping[str, int]) -> str:
    return "; ".join(
        f"{key} = {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}" for key, value in values.items()
    )


_MARKUP = str.maketrans({character: "\\" + character for character in "\\`*_[]|~#"})


def _text(value: str | None) -> str:
    # None is unknown; an empty text is a fact that is empty (a step without parameters).
    if value is None:
        return UNKNOWN
    return html.escape(" ".join(value.split()), quote=False).translate(_MARKUP)
