"""The whole way of one document: where it came from, what each step found and did, and why it is in the dataset or not.

Excerpts are shown with personal data masked; hits are named by kind and place.
"""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stellwerk.engine.engine import read_shard
from stellwerk.errors import UserError
from stellwerk.jobs.data import ids, select, tagging, versions
from stellwerk.jobs.data.reports import Copy, Explanation, Hit, Judgement, LedgerEntry, Piece
from stellwerk.jobs.data.spec import Bound
from stellwerk.record import tables
from stellwerk.record.record import Version
from stellwerk.text import personal
from stellwerk.text.normalise import spans_to_original
from stellwerk.workspace import Workspace

EXCERPT = 400
LONGEST = 20_000  # characters of a text that are shown whole


def explain(workspace: Workspace, document: str, dataset: str | None) -> Explanation:
    """Follow one document through the steps of the latest version, or of one that is named.

    Raises:
        UserError: no such document; the sentence says how to look for it.
    """
    for version in _candidates(workspace, dataset):
        name = _full_name(workspace, version, document)
        if name is not None:
            return _explained(workspace, version, name)
    where = dataset or "any dataset"
    raise UserError(
        f"there is no document {document!r} in {where}; list some with: "
        f'stellwerk data query {dataset or "NAME"} "SELECT doc_id, decision, rule FROM ledger LIMIT 20"'
    )


def _candidates(workspace: Workspace, dataset: str | None) -> list[Version]:
    if dataset is not None:
        return [workspace.record.resolve(dataset, "dataset")]
    names = {version.name for version in workspace.record.versions(tables.asset.c.kind == "dataset")}
    return [workspace.record.resolve(name, "dataset") for name in sorted(names)]


def _full_name(workspace: Workspace, version: Version, document: str) -> str | None:
    """The id in the ledger: as given, with the source before it, or as it was hidden since it names a person."""
    names = ids.spellings(workspace, [source["name"] for source in version.facts["spec"]["sources"]], document)
    book = versions.part(workspace.store, version, "ledger")
    found = book.to_table(columns=["doc_id"], filter=pc.field("doc_id").isin(names))["doc_id"].to_pylist()
    return next((name for name in names if name in found), None)


def _explained(workspace: Workspace, version: Version, name: str) -> Explanation:
    store = workspace.store
    book = versions.part(store, version, "ledger").to_table(filter=pc.field("doc_id") == name)
    entry = book.to_pylist()[0]
    verdict = LedgerEntry(**{field: entry[field] for field in LedgerEntry.model_fields})
    details = json.loads(entry["details"]) if entry["details"] else {}
    place = versions.row_of(store, version, name)
    if place is None:
        return Explanation(
            dataset=version.ref,
            document=name,
            origin=entry["origin"],
            verdict=verdict,
            summary=details.get("reason") or _summary(verdict),
        )
    rows = {part: _row(store, version, part, place) for part in versions.ALIGNED}
    spans = read_shard(store.path(version.content["personal"][place[0]]))
    spans = spans.filter(pc.equal(spans["row"], place[1]))
    normalised = rows["normalised"]
    return Explanation(
        dataset=version.ref,
        document=name,
        origin=entry["origin"],
        summary=_summary(verdict),
        verdict=verdict,
        edits={
            edit: normalised[edit] for edit in ("mojibake", "controls", "spaces", "unicode", "replacement") if normalised[edit]
        },
        personal_data=_hits(spans, normalised["edits"]),
        language=rows["scores"]["language"],
        scores=_scores(version, rows),
        copy_of=_copy(rows["copies"], name),
        excerpt=_excerpt(normalised["text"] or "", spans),
        text=_pieces(normalised["text"] or "", spans),
    )


def _summary(verdict: LedgerEntry) -> str:
    if verdict.decision == "dropped":
        measured = f": it is {verdict.value}, asked was {verdict.bound}" if verdict.value and verdict.bound else ""
        return f"dropped by {verdict.step}, rule {verdict.rule}{measured}"
    edits = f", changed by {verdict.rule}" if verdict.rule else ", as it came"
    return f"kept for {verdict.split}{edits}"


def _row(store: Any, version: Version, part: str, place: tuple[int, int]) -> dict[str, Any]:
    shard = read_shard(store.path(version.content[part][place[0]]))
    names = [name for name in shard.column_names if name not in ("bands", "exact")]
    return dict(shard.select(names).slice(place[1], 1).to_pylist()[0])


def _hits(spans: pa.Table, edits: list[int]) -> list[Hit]:
    found = []
    for span in spans.to_pylist():
        start, end = span["start"], span["end"]
        if span["column"] == tagging.TEXT and edits:
            # The edits are of the normalised text; people look into the original.
            original = spans_to_original(edits, [start], [end])
            start, end = int(original[0][0]), int(original[1][0])
        found.append(
            Hit(
                column=span["column"],
                kind=span["kind"],
                start=start,
                end=end,
                score=round(span["score"], 3),
                evidence=span["evidence"],
            )
        )
    return found


def _scores(version: Version, rows: dict[str, dict[str, Any]]) -> list[Judgement]:
    """The bounded scores first, each with its bounds, then the others."""
    given = {name: Bound.model_validate(bound) for name, bound in version.facts["spec"]["select"].items()}
    values = {
        **rows["documents"],
        **{k: v for k, v in rows["normalised"].items() if k not in ("text", "edits")},
        **rows["scores"],
    }
    found = []
    for name, bound in given.items():
        column = pa.chunked_array([pa.array([values.get(name)])])
        for fails, words in select.failures(name, column, bound):
            (value,) = select.shown([values.get(name)])
            found.append(Judgement(score=name, value=str(value), bound=words, passed=not bool(fails[0])))
    known = [name for name in rows["scores"] if name not in given and name not in ("doc_id", "language")]
    return found + [Judgement(score=name, value=_shown(values[name]), bound=None, passed=None) for name in known]


def _copy(row: dict[str, Any], name: str) -> Copy | None:
    if row["kind"] == "none" and row["cluster"] == name:
        return None
    return Copy(kind=row["kind"], kept=row["kept"], jaccard=round(row["jaccard"], 4), cluster=row["cluster"])


def _excerpt(text: str, spans: pa.Table) -> str:
    spans = spans.filter(pc.equal(spans["column"], tagging.TEXT))
    first = spans.set_column(spans.schema.get_field_index("row"), "row", pa.array([0] * spans.num_rows, pa.int64()))
    masked = personal.mask([text], first)[0].as_py() or ""
    return masked if len(masked) <= EXCERPT else f"{masked[:EXCERPT]}…"


def _pieces(text: str, spans: pa.Table) -> list[Piece]:
    """The text with the name of its kind wherever personal data stood, whatever the dataset does with it."""
    spans = spans.filter(pc.equal(spans["column"], tagging.TEXT)).sort_by("start")
    found: list[Piece] = []
    last = 0
    for start, end, kind in zip(*(spans[name].to_pylist() for name in ("start", "end", "kind")), strict=True):
        if last <= start < LONGEST:
            found += [Piece(text=text[last:start]), Piece(text=f"[{kind}]", kind=kind)]
            last = end
    found.append(Piece(text=text[last:LONGEST] + ("…" if len(text) > LONGEST else "")))
    return [piece for piece in found if piece.text]


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
