"""Gathers the evidence of a release: how a system stands, with names resolved and nothing that changes while it stands so.

Reads the record and copies what it says. Does not judge, and puts nothing into sentences but the reasons of signals.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from stellwerk.findings import deciding, status
from stellwerk.gates import Signal
from stellwerk.record.journal import canonical
from stellwerk.release import datafacts
from stellwerk.release.manifest import (
    EdgePart,
    Evidence,
    FindingPart,
    OverridePart,
    ServicePart,
    SignalPart,
    SignOffPart,
    SystemPart,
    VersionPart,
    WaiverPart,
)
from stellwerk.standing import defaults, words

if TYPE_CHECKING:
    from stellwerk.record.record import Record, Version
    from stellwerk.standing.standing import Standing
    from stellwerk.workspace import Workspace


def gather(workspace: Workspace, standing: Standing) -> Evidence:
    """The evidence of a system as it stands."""
    spec = standing.spec
    refs = {version.id: version.ref for version in standing.closure}
    names = {**standing.candidate.names, **refs}
    used = {signal.waiver.id for signal in standing.signals if signal.waiver}
    return Evidence(
        candidate=standing.digest,
        system=SystemPart(
            name=standing.name, title=spec.title, purpose=spec.purpose, owner=spec.owner, role=spec.role,
            description=spec.description, users=spec.users, oversight=spec.oversight, high_risk=spec.high_risk,
        ),
        versions=_versions(standing),
        edges=[EdgePart(made=refs[m], source=refs[s]) for m, s in sorted(standing.edges) if m in refs and s in refs],
        signals=[_signal(signal, names) for signal in standing.signals],
        waivers=[
            WaiverPart(
                id=waiver.id, gate=waiver.gate, asset=waiver.asset, state=waiver.state, value=waiver.value,
                person=waiver.person, authenticated=waiver.authenticated, reason=waiver.reason, until=waiver.until,
            )
            for waiver in sorted(standing.waivers, key=lambda waiver: (waiver.gate, waiver.asset, waiver.id))
            if waiver.id in used
        ],
        sign_offs=[
            SignOffPart(
                role=sign.role, person=sign.person, authenticated=sign.authenticated, reason=sign.reason, until=sign.until,
                created=sign.created,
            )
            for sign in sorted(standing.sign_offs, key=lambda sign: (sign.role, sign.created))
            if sign.candidate == standing.signable
        ],
        findings=_findings(workspace.record, refs),
        overrides=[
            OverridePart(gate=name, required=override.required, changes=dict(override.changes), reason=override.reason)
            for name, override in sorted(spec.overrides.items())
        ],
        default_gates=_sets(standing),
        data=datafacts.of(standing.closure, standing.edges),
        services=[_service(version) for version in standing.closure if version.facts.get("provider")],
    )  # fmt: skip


def digest(evidence: Evidence) -> str:
    """What names the evidence: the same digest is the same release."""
    return hashlib.sha256(canonical(evidence.model_dump(mode="json"))).hexdigest()


def _versions(standing: Standing) -> list[VersionPart]:
    bound = {entry.version.id: entry.reference for entry in standing.bound if entry.version}
    return [
        VersionPart(
            id=version.id, ref=version.ref, kind=version.kind, name=version.name, number=version.number,
            digest=version.digest, identity=version.identity, created=version.created, bound=version.id in bound,
            reference=bound.get(version.id), tainted=version.tainted is not None,
        )
        for version in standing.closure
    ]  # fmt: skip


def _service(version: Version) -> ServicePart:
    known = {**version.facts, **version.identity}
    named = ("provider", "product", "region", "retention", "processor_agreement", "terms")
    return ServicePart(ref=version.ref, **{name: known.get(name) for name in named}, data=known.get("data") or [])


def _signal(signal: Signal, names: Mapping[str, str]) -> SignalPart:
    gate, measured = signal.gate, signal.measurement
    found: dict[str, Any] = {}
    if measured is not None:
        found = {
            "value": measured.value, "low": measured.low, "high": measured.high, "n": measured.n, "unit": measured.unit,
            "subjects": sorted(names.get(key, key) for key in measured.subjects),
            "instruments": sorted(names.get(key, key) for key in measured.instruments),
        }  # fmt: skip
    if measured is not None and measured.run:  # else it was just read from the record
        found |= {"measurement": measured.id, "measured": measured.created, "run": measured.run}
    return SignalPart(
        gate=gate.name, job=gate.job, severity=gate.severity,
        title={language: words.gate_title(gate, language) for language in ("en", "de")},
        metric=gate.metric, metric_version=gate.metric_version, min=gate.min, max=gate.max, min_n=gate.min_n,
        days=gate.days, wanted=list(gate.with_), state=signal.state, why=signal.why,
        reason={language: words.reason(signal, language) for language in ("en", "de")},
        passes=signal.passes, subject=signal.subject.ref if signal.subject else None, attempts=signal.attempts,
        waiver=signal.waiver.id if signal.waiver else None, **found,
    )  # fmt: skip


def _findings(record: Record, refs: Mapping[str, str]) -> list[FindingPart]:
    """The findings on the versions, whatever was decided about them."""
    found = sorted(status.on_versions(record, list(refs), datetime.now(UTC)), key=lambda row: str(row["id"]))
    people = deciding.people(record, [person for row in found for person in (row["owner"], row["person"])])
    return [
        FindingPart(
            id=row["id"], rule=row["rule"], severity=row["severity"], title=row["title"],
            versions=sorted(refs[version] for version in row["versions"]), created=row["created"], status=row["status"],
            owner=people.get(row["owner"]), person=people.get(row["person"]),
            authenticated=None if row["person"] is None else row["authenticated"] == 1,
            reason=row["reason"], until=row["until"],
        )
        for row in found
    ]  # fmt: skip


def _sets(standing: Standing) -> dict[str, int]:
    """The number of each set of default gates that the system keeps to."""
    required = defaults.lay_over(standing.spec_file, standing.spec, standing.candidate.frontier)
    return {name: one.version for name, one in sorted(required.sets.items())}
