"""Compares what was planted with what the build made of it: found, missed and false alarms, by kind.

What counts as found:

- duplicates: the two copies are not both kept;
- mojibake: the text equals the clean one, normalised likewise (of an article, whose layout is extracted: no word with a
  letter beyond ASCII that the clean article lacks);
- wrong language, cut off, outlier, junk: the document is dropped, by whichever rule;
- scans and damaged files: the ledger names the file, with the reason that is true of it;
- rows that point nowhere: the columns that the database adds are empty, and a data test counts them;
- personal data: findings of the same kind cover every letter and digit of the planted value wherever it stands, so that masking
  removes it. Addresses in the heads of e-mails are a kind of their own: they stand in columns, and where the spec drops those
  they count as left out, not as found; one that stands there all the same counts as missed.

False alarms are documents that the rules of a kind dropped and in which nothing that should go was planted; texts repaired
that were sound; findings of personal data that touch no planted value of their kind. What no step searches counts as
neither found nor missed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field

from stellwerk.demo import truth
from stellwerk.demo.judging import OCR_RULE, judge, left_out, searched, touches
from stellwerk.demo.outcome import Document, documents
from stellwerk.demo.truth import BELOW, COPIES, FOUND_AS, HEAD_COLUMNS, HEADS, JOB_OF, KINDS, PERSONAL, REMOVED, Planted

if TYPE_CHECKING:
    from pathlib import Path

    from stellwerk.record.record import Version
    from stellwerk.store.store import Store

KIND_OF_RULE = {
    "exact_duplicate": "exact_duplicate",
    "near_duplicate": "near_duplicate",
    "language": "wrong_language",
    "incomplete_end": "truncated",
    "machine_hours": "outlier",
    "amount_eur": "outlier",
    OCR_RULE: "scan",
}
STEPS = ("read", "select", "outliers", "duplicates")


class Line(BaseModel):
    """How one kind of planted defect fared."""

    kind: str
    planted: int
    found: int | None = Field(None, description="null where no step searches it")
    missed: int | None = None
    false_alarms: int | None = Field(None, description="sound documents dropped or rewritten, findings that are none")
    state: Literal["searched", "not searched yet", "kept on purpose", "left out on purpose"]
    note: str = ""

    @property
    def found_share(self) -> float | None:
        """Found of planted (recall)."""
        return self.found / self.planted if self.found is not None and self.planted else None

    @property
    def false_share(self) -> float | None:
        """False alarms among all that the kind's rules touched (1 - precision)."""
        touched = (self.found or 0) + (self.false_alarms or 0)
        return (self.false_alarms or 0) / touched if touched else None


class Weakest(BaseModel):
    """The kind that fared worst, by the larger of the shares missed and false."""

    kind: str
    what: Literal["missed", "false alarms"]
    count: int
    of: int
    share: float


class Comparison(BaseModel):
    """Planted against found."""

    lines: list[Line]
    weakest: Weakest | None


@dataclass(frozen=True)
class Case:
    """One document with which something went wrong, and why."""

    kind: str
    verdict: Literal["missed", "false alarm"]
    doc: str
    reason: str


def compare(folder: Path, store: Store, versions: Iterable[Version]) -> tuple[Comparison, list[Case]]:
    """Compare the truth of a demo's folder with the datasets that were built from it.

    Args:
        folder: the workspace, with truth/.
        store: holds the shards of the versions.
        versions: the datasets.

    Returns:
        The table with the weakest point, and each document that was missed or wrongly touched.
    """
    versions = list(versions)
    specs = {version.name: version.facts["spec"] for version in versions}
    near = next((spec["duplicates"]["near"] for spec in specs.values() if spec["duplicates"]["near"] is not None), None)
    rows = truth.planted(folder, near)
    wanted = {name for row in rows for name in (row.doc, row.partner) if name}
    found = {document.doc: document for version in versions for document in documents(store, version, wanted)}
    missed = list(_missed(rows, found, specs))
    false = list(_false(rows, found, truth.look_alikes(folder)))
    lines = list(_lines(rows, missed, false, specs))
    return Comparison(lines=lines, weakest=weakest(lines)), [*missed, *false]


def weakest(lines: Iterable[Line]) -> Weakest | None:
    """The kind with the largest share of planted ones missed, or of false alarms among what its rules touched."""
    worst: Weakest | None = None
    for line in lines:
        if line.state != "searched" or line.found is None or line.missed is None:
            continue
        touched = line.found + (line.false_alarms or 0)
        for what, count, of in (("missed", line.missed, line.planted), ("false alarms", line.false_alarms or 0, touched)):
            if count and (worst is None or count / of > worst.share):
                worst = Weakest.model_validate({"kind": line.kind, "what": what, "count": count, "of": of, "share": count / of})
    return worst


def kind_of_rule(rule: str) -> str:
    """The kind of defect that a rule of the ledger is after; bounds that have no kind of their own are after junk."""
    return "outlier" if rule.startswith("outlier:") else KIND_OF_RULE.get(rule, "junk")


def _missed(rows: Iterable[Planted], found: Mapping[str, Document], specs: Mapping[str, dict[str, Any]]) -> Iterator[Case]:
    for row in rows:
        if row.kind not in JOB_OF:
            reason = judge(row, found, specs)
            if reason:
                yield Case(row.kind, "missed", row.doc, reason)


def _false(rows: Iterable[Planted], found: Mapping[str, Document], decoys: Mapping[str, list[str]]) -> Iterator[Case]:
    by_document: dict[str, list[Planted]] = {}
    paired: set[str] = set()
    for row in rows:
        by_document.setdefault(row.doc, []).append(row)
        if row.partner:
            paired.update((row.doc, row.partner))
    for document in found.values():
        there = by_document.get(document.doc, [])
        for kind, reason in (
            *_false_drop(document, there, paired),
            *_false_repair(document, there),
            *_false_finds(document, there),
            *_false_orphan(document, there),
        ):
            looks = [name for name in decoys.get(document.doc, []) if kind in name]
            yield Case(kind, "false alarm", document.doc, reason + (f"; planted as {looks[0]}" if looks else ""))


def _false_drop(document: Document, there: Iterable[Planted], paired: set[str]) -> Iterator[tuple[str, str]]:
    if document.dropped and document.rule and document.step in STEPS:
        unread = document.step == "read" and document.rule != OCR_RULE
        kind = "damaged_file" if unread else kind_of_rule(document.rule)
        deserved = any(row.kind in REMOVED for row in there) or (kind in COPIES and document.doc in paired)
        if not deserved:
            value = f"{document.value}, " if document.value else ""
            yield kind, f"dropped by {document.rule}: {value}bound {document.bound}"


def _false_orphan(document: Document, there: Iterable[Planted]) -> Iterator[tuple[str, str]]:
    if document.missing and not any(row.kind == "orphan" for row in there):
        yield "orphan", f"{', '.join(document.missing)} is empty, though the database knows it"


def _false_repair(document: Document, there: Iterable[Planted]) -> Iterator[tuple[str, str]]:
    if document.repaired and not any(row.kind == "mojibake" for row in there):
        yield "mojibake", "repaired, though nothing was broken"


def _false_finds(document: Document, there: Iterable[Planted]) -> Iterator[tuple[str, str]]:
    for kind, name in PERSONAL.items():
        values = [row for row in there if FOUND_AS.get(row.kind) == name]
        for finding in document.findings:
            if finding.kind == name and not any(touches(finding, row, document) for row in values):
                in_head = kind == "email" and finding.column in HEAD_COLUMNS
                yield HEADS if in_head else kind, f"found in {finding.column} by {finding.evidence}, score {finding.score:.2f}"


def _lines(
    rows: Iterable[Planted], missed: Iterable[Case], false: Iterable[Case], specs: Mapping[str, dict[str, Any]]
) -> Iterator[Line]:
    planted, misses, alarms = (Counter(item.kind for item in items) for items in (rows, missed, false))
    for kind in KINDS:
        if planted[kind]:
            yield _line(kind, planted[kind], misses[kind], alarms[kind], list(specs.values()))


def _line(kind: str, planted: int, missed: int, alarms: int, specs: Sequence[dict[str, Any]]) -> Line:
    if any(left_out(kind, spec) for spec in specs):
        return Line(kind=kind, planted=planted, missed=missed, state="left out on purpose", note="its columns are dropped")
    if not any(searched(kind, spec) for spec in specs):
        job = JOB_OF.get(kind)
        note = f"{job} job" if job else "the specs ask for no such step"
        return Line(kind=kind, planted=planted, state="not searched yet", note=note)
    if kind == BELOW:
        found = planted - missed
        return Line(kind=kind, planted=planted, found=found, missed=missed, state="kept on purpose", note="below the bound")
    return Line(kind=kind, planted=planted, found=planted - missed, missed=missed, false_alarms=alarms, state="searched")
