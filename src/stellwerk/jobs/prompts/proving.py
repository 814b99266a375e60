"""What the record can prove about a prompt version beside what a system binds: the signals of gates, from measurements.

Reads the record at this moment and keeps nothing. What `release` reads for whole systems is read here for one prompt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import select

from stellwerk import gates
from stellwerk.errors import UserError
from stellwerk.gates import Candidate, Gate, Measured, Signal, Subject, Waiver
from stellwerk.jobs.prompts.asking import KIND, Asking
from stellwerk.llm.models import is_fresh
from stellwerk.record import lineage, tables
from stellwerk.record.record import ERASED

if TYPE_CHECKING:
    from stellwerk.record.record import Record, Version

TAINTED, FINDINGS, FACTS = "tainted_versions", "open_findings", "missing_facts."
GRAVE = ("critical", "high")


def signals(record: Record, version: Version, asking: Asking, now: datetime) -> list[Signal]:
    """The signals of the gates that concern prompts, as they would be if the version were bound.

    Args:
        record: where measurements are.
        version: of the prompt.
        asking: whose gates they are.
        now: with time zone.
    """
    frontier = _frontier(record, version, asking)
    subjects = [subject for kind in frontier.values() for subject in kind]
    metrics = {gate.metric for gate in asking.gates}
    measured = _measured(record, [s.id for s in subjects if not s.missing], metrics)
    measured += _derived(record, version, asking, now)
    instruments = {name: _resolved(record, name) for gate in asking.gates for name in gate.with_}
    refs = record.versions_of({key for m in measured for key in (*m.subjects, *m.instruments)})
    candidate = Candidate(frontier, {one.id: one.ref for one in refs}, {n: v.id if v else None for n, v in instruments.items()})
    found = gates.signals(asking.gates, candidate, measured, _waivers(record, asking, now), now)
    return [s for s in found if s.subject is None or s.subject.kind != KIND or s.subject.name == version.name]


def _frontier(record: Record, version: Version, asking: Asking) -> dict[str, list[Subject]]:
    """By kind, the versions that are bound or nearest to what is bound, with the version in the place of its prompt."""
    if asking.binds is None:
        bound, missing = [version, *_models(record, version, asking.gates)], []
    else:
        resolved = {reference: _resolved(record, reference) for reference in asking.binds}
        bound = [version, *(one for one in resolved.values() if one is not None)]
        missing = [reference for reference, one in resolved.items() if one is None]
    above: dict[str, set[str]] = {}
    layer = {one.id for one in bound}
    known = set(layer)
    while layer:
        found = lineage.neighbours(record, layer, "up")
        above |= found
        layer = set().union(*found.values()) - known
        known |= layer
    versions = {one.id: one for one in record.versions_of(known)}
    kinds = {key: one.kind for key, one in versions.items()}
    frontier = {}
    for kind in sorted(set(kinds.values())):
        nearest = gates.nearest([one.id for one in bound], kinds, above, kind)
        frontier[kind] = [_subject(record, versions[key]) for key in sorted(nearest)]
    for reference in missing:
        kind, _, name = reference.partition("/")
        frontier.setdefault(kind, []).append(Subject("", reference, kind, name.partition("@")[0], missing=True))
    return frontier


def _subject(record: Record, version: Version) -> Subject:
    found = Subject(version.id, version.ref, version.kind, version.name, pinned=not version.facts.get("hosted"))
    return found if found.pinned else replace(found, pinned=is_fresh(record, version))


def _models(record: Record, version: Version, asked: Iterable[Gate]) -> list[Version]:
    """Where no system says which: the models that gates name, or that the prompt was written for, or it was measured with."""
    names = {gate.among["model"] for gate in asked if "model" in gate.among} or {str(version.facts.get("written_for"))}
    chosen = [record.latest("model", name) for name in sorted(names)]
    if any(chosen):
        return [one for one in chosen if one is not None]
    link, other = tables.measured.c, tables.measured.alias()
    query = select(other.c.version).join(tables.measured, link.measurement == other.c.measurement)
    query = query.where(link.version == version.id, link.role == "subject", other.c.role == "subject")
    with record.database.reading() as connection:
        together = {row.version for row in connection.execute(query)}
    measured = [one for one in record.versions_of(together) if one.kind == "model"]
    latest = {one.name: record.latest("model", one.name) for one in measured}
    return [one for one in measured if (newest := latest[one.name]) and newest.id == one.id]


def _measured(record: Record, subjects: Sequence[str], metrics: Iterable[str]) -> list[Measured]:
    """What was measured of some metrics on some versions."""
    link = tables.measured.c
    on = select(link.measurement).where(link.version.in_(list(subjects)), link.role == "subject")
    rows = record.rows(tables.measurement, tables.measurement.c.id.in_(on), tables.measurement.c.metric.in_(sorted(metrics)))
    links: dict[str, dict[str, set[str]]] = {}
    for one in record.rows(tables.measured, link.measurement.in_([row["id"] for row in rows])):
        links.setdefault(one["measurement"], {"subject": set(), "instrument": set()})[one["role"]].add(one["version"])
    return [
        Measured(
            **{name: row[name] for name in ("id", "metric", "metric_version", "value", "low", "high", "n", "unit", "details")},
            complete=row["complete"] == 1, subjects=frozenset(links[row["id"]]["subject"]),
            instruments=frozenset(links[row["id"]]["instrument"]), created=row["created"], run=row["run"],
        )
        for row in rows
    ]  # fmt: skip


def _derived(record: Record, version: Version, asking: Asking, now: datetime) -> list[Measured]:
    """What is counted in the record at this moment, since no run measures it."""
    found = []
    details: dict[str, list[str]]
    for metric in sorted({gate.metric for gate in asking.gates}):
        if metric == TAINTED:
            value, details = float(version.tainted is not None), {}
        elif metric == FINDINGS:
            where = (tables.finding.c.version == version.id, tables.finding.c.status == "open")
            value, details = float(len(record.rows(tables.finding, *where, tables.finding.c.severity.in_(GRAVE)))), {}
        elif metric == f"{FACTS}prompts":
            missing = [name for name in asking.needs if not version.facts.get(name)]
            value, details = float(len(missing)), {"missing": missing}
        else:
            continue
        found.append(
            Measured(
                f"{metric} {version.id}", metric, 1, value, None, None, None, "", complete=True,
                subjects=frozenset([version.id]), instruments=frozenset(),
                created=now.astimezone(UTC).isoformat(timespec="microseconds"), details=details,
            )
        )  # fmt: skip
    return found


def _waivers(record: Record, asking: Asking, now: datetime) -> list[Waiver]:
    """The waivers of a system that hold now; those of people that nobody can name hold no longer."""
    if asking.system is None:
        return []
    decision = tables.decision.c
    revoked = select(decision.about).where(decision.kind == "revoke")
    until = now.astimezone(UTC).isoformat(timespec="microseconds")
    where = (decision.kind == "waive", decision.about == asking.system, decision.until >= until, decision.id.not_in(revoked))
    return [
        Waiver(
            id=row["id"], person=person, authenticated=row["authenticated"] == 1, reason=row["reason"], until=row["until"],
            **row["details"],
        )
        for row in record.rows(tables.decision, *where)
        if (person := record.name_of(row["person"])) != ERASED
    ]  # fmt: skip


def _resolved(record: Record, reference: str) -> Version | None:
    try:
        return record.resolve(reference)
    except UserError:
        return None


def asset_id(kind: str, name: str) -> str:
    """The id that an asset has in every record."""
    return hashlib.sha256(f"{kind}/{name}".encode()).hexdigest()
