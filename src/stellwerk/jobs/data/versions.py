"""Reading what a dataset version holds: its table, its ledger, its tags, and the facts that are told about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as pds

from stellwerk.engine.engine import read_shard
from stellwerk.jobs.data import ledger
from stellwerk.jobs.data.card import Counts, DatasetFacts, FileFact, PersonalData, PreparationStep, SourceFact, TestSummary
from stellwerk.jobs.data.files.schema import settle, unify
from stellwerk.jobs.data.reports import Tally
from stellwerk.record import lineage, tables
from stellwerk.record.record import Version
from stellwerk.store.store import Store
from stellwerk.workspace import Workspace

if TYPE_CHECKING:
    from stellwerk.run import Run

# Row by row in the same order; the ledger goes on with what could not be read.
ALIGNED = ("documents", "normalised", "scores", "copies", "ledger")


def table_path(store: Store, version: Version) -> Path:
    """The folder of the Delta table of a dataset version."""
    return store.table(version.content["table"])


def part(store: Store, version: Version, name: str) -> pds.Dataset:
    """One part of a version, such as its ledger or its documents as they were read, to be read in pieces."""
    paths = store.paths(version.content[name])
    if name == "ledger":
        return ledger.as_dataset(paths)
    return dataset_of(paths)


def dataset_of(paths: Sequence[Path]) -> pds.Dataset:
    """Parquet shards with perhaps different columns as one dataset."""
    import pyarrow.parquet as pq

    schema = settle(unify([pq.read_schema(path) for path in paths])) if paths else pa.schema([])
    return pds.dataset([str(path) for path in paths], schema=schema, format="parquet")


def queryable(store: Store, version: Version) -> dict[str, Any]:
    """The tables that SQL may name: documents (what was kept), ledger (all that came in), scores (of all that was read)."""
    scores = part(store, version, "scores")
    # Signatures are of no use in SQL, and not of a type that it knows.
    names = [name for name in scores.schema.names if name not in ("exact", "bands")]
    plain = pds.dataset(scores.files, schema=pa.schema([scores.schema.field(name) for name in names]), format="parquet")
    return {"documents": table_path(store, version), "ledger": part(store, version, "ledger"), "scores": plain}


def row_of(store: Store, version: Version, document: str) -> tuple[int, int] | None:
    """Where a document stands among the shards that were read: number of the shard, and row."""
    for number, shard in enumerate(version.content["documents"]):
        names = read_shard(store.path(shard))["doc_id"]
        row = names.index(document).as_py()
        if row >= 0:
            return number, row
    return None


def facts_of(workspace: Workspace, version: Version) -> DatasetFacts:
    """All that is known of a version, as exports and the data record tell it."""
    spec, facts = version.facts["spec"], version.facts
    tally = Tally.model_validate(facts["counts"])
    parents = [other for _, other in lineage.walk(workspace.record, version, "up")]
    declared = {source["name"]: source for source in spec["sources"]}
    return DatasetFacts(
        name=version.name,
        version=version.number,
        digest=version.identity["rows"],
        description=spec.get("description"),
        purpose=spec.get("purpose"),
        owner=spec.get("owner"),
        licence=spec.get("licence"),
        legal_basis=spec.get("legal_basis"),
        languages=tuple(spec.get("languages", ())),
        sources=tuple(_source(other, declared[_name(other)]) for other in _sources(workspace, version)),
        preparation=tuple(_preparation(spec, tally)),
        counts=Counts(
            read=tally.read,
            kept=tally.kept,
            changed=tally.changed,
            dropped=tally.dropped,
            rules={rule.rule: rule.documents for rule in tally.rules},
            edits=tally.edits,
            splits=tally.splits,
            languages=facts.get("languages", {}),
        ),
        personal=PersonalData(
            searched=tuple(facts["personal"]["searched"]),
            not_searched=tuple(facts["personal"]["not_searched"]),
            counts=facts["personal"]["counts"],
            documents=facts["personal"]["documents"],
            action=spec["personal"]["action"],
        ),
        tests=_tests(workspace, version),
        assumptions=tuple(spec.get("assumptions", ())),
        known_gaps=tuple(spec.get("known_gaps", ())),
        created=datetime.fromisoformat(version.created),
        retention=spec.get("retention"),
        delete_by=date.fromisoformat(spec["delete_by"]) if spec.get("delete_by") else None,
        parents=tuple(other.ref for other in parents),
        tainted=taint(workspace, version),
    )


def taint(workspace: Workspace, version: Version) -> str | None:
    """Why a version is tainted: what was erased of the rows that it was made from, and when."""
    rows = workspace.record.rows(tables.erasure, tables.erasure.c.id == version.tainted) if version.tainted else []
    return next((f"{row['rows']} rows were erased on {row['created'][:10]}: {row['reason']}" for row in rows), version.tainted)


def note_export(run: Run, *, run_id: str, format: str, rows: int) -> dict[str, Any]:
    """Step: note that a version was read for an export; it stands in the record with the run that did it."""
    del run
    return {"run": run_id, "format": format, "rows": rows}


def _sources(workspace: Workspace, version: Version) -> list[Version]:
    """The states of sources that a dataset was last made from, each once, without the states that these were made from."""
    record, found, looked_into = workspace.record, {}, [version]
    while looked_into:
        key = looked_into.pop().id
        made = record.rows(tables.edge, tables.edge.c.version == key, tables.edge.c.direction == "output")
        # Other input may have given an equal dataset before; its facts are those of the last time.
        where = tables.step.c.id.in_([edge["step"] for edge in made])
        last = record.rows(tables.step, where, order=tables.step.c.finished.desc(), limit=1)
        where = tables.edge.c.step.in_([step["id"] for step in last])
        read = [edge["version"] for edge in record.rows(tables.edge, where, tables.edge.c.direction == "input")]
        for other in record.versions(tables.version.c.id.in_(read)):
            if other.kind == "source":
                found[other.ref] = other
            else:
                looked_into.append(other)  # rows were erased from it
    return [found[ref] for ref in sorted(found)]


def _name(source: Version) -> str:
    return source.name.rpartition(".")[2]


def _source(version: Version, said: dict[str, Any]) -> SourceFact:
    facts = version.facts
    return SourceFact(
        name=_name(version),
        origin=said["origin"],
        licence=said["licence"],
        legal_basis=said["legal_basis"],
        retrieved=date.fromisoformat(said["retrieved"]) if said["retrieved"] else None,
        files=tuple(
            FileFact(path=file["name"], sha256=file["sha256"], bytes=file["bytes"]) for file in facts["made_from"]["files"]
        ),
        rows=facts["rows"],
        columns=version.identity["schema"],
    )


def _preparation(spec: dict[str, Any], tally: Tally) -> list[PreparationStep]:
    dropped: dict[str, dict[str, int]] = {}
    for rule in tally.rules:
        dropped.setdefault(rule.step, {})[rule.rule] = rule.documents
    edits = {name: n for name, n in tally.edits.items() if not name.startswith("mask:")}
    masked = {name: n for name, n in tally.edits.items() if name.startswith("mask:")}
    said = {
        "read": ("read files; what could not be read is in the ledger", {}, dropped.get("read", {})),
        "load": ("brought the sources up to date", {s["name"]: s["load"] for s in spec["sources"]}, dropped.get("load", {})),
        "normalise": ("brought texts into one form; every edit is kept with its place", spec["normalise"], edits),
        "select": ("dropped documents outside the bounds", spec["select"], dropped.get("select", {})),
        "outliers": ("dropped rows with numbers far from the rest", spec["outliers"] or {}, dropped.get("outliers", {})),
        "duplicates": ("dropped copies, each verified against the one kept", spec["duplicates"], dropped.get("duplicates", {})),
        "personal": ("searched personal data and secrets", spec["personal"], {**masked, **dropped.get("personal", {})}),
        "erase": ("left out documents whose erasure was asked for", {}, dropped.get("erase", {})),
        "split": ("split by cluster of copies, so that copies never part", spec["split"], tally.splits),
    }
    return [
        PreparationStep(step=step, what=what, parameters=parameters, counts=counts)
        for step, (what, parameters, counts) in said.items()
        if counts or parameters
    ]


def _tests(workspace: Workspace, version: Version) -> TestSummary | None:
    """The latest complete run of the data tests on this version."""
    links = workspace.record.rows(tables.measured, tables.measured.c.version == version.id)
    keys = [link["measurement"] for link in links]
    metric = (tables.measurement.c.metric == "data_tests_failed") & (tables.measurement.c.complete == 1)
    rows = workspace.record.rows(
        tables.measurement, tables.measurement.c.id.in_(keys), metric, order=tables.measurement.c.created.desc(), limit=1
    )
    if not rows:
        return None
    details = rows[0]["details"]
    return TestSummary(
        passed=details["passed"], failed=details["failed"], warned=details["warned"], failures=tuple(details["failures"])
    )
