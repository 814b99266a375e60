"""How an AI system stands: what it binds now, the signals of its gates, and whether it would be released, with the reasons.

Everything is read from the system's file and the record at this moment; nothing of it is kept. A release is granted exactly
when every binding resolves, some gate could stop it, every signal passes, and every role that must sign has signed for just
these versions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stellwerk import gates
from stellwerk.findings import status
from stellwerk.gates import Gate, Signal, State, Waiver
from stellwerk.record.journal import canonical
from stellwerk.record.record import Record, Version, version_id
from stellwerk.specfile import SpecFile
from stellwerk.standing import candidate, decisions, defaults, derived, words
from stellwerk.standing.candidate import Bound, Roots
from stellwerk.standing.decisions import SignOff
from stellwerk.standing.defaults import Required
from stellwerk.standing.spec import System, asset_of, names, read
from stellwerk.workspace import Workspace

__all__ = ["Bound", "Judged", "SignOff", "Standing", "judge", "names", "standing"]


@dataclass(frozen=True)
class Judged:
    """What the record proves of a candidate.

    Attributes:
        signals: worst first, then by job and gate.
        findings: on what is bound and all that it descends from, whatever was decided about them, the most severe first.
    """

    candidate: gates.Candidate
    signals: list[Signal]
    findings: list[dict[str, Any]]


@dataclass(frozen=True)
class Standing:
    """An AI system as it stands now.

    Attributes:
        bound: what its file binds, in the order of the file.
        closure: the bound versions and all that they descend from, nearest first.
        edges: within the closure: the version that was made, and the one that it was made from.
        digest: of the candidate: the system's identity and the bound versions.
        signable: what a sign-off holds for: the candidate, and what its gates ask for.
        gates: that have to pass, with their overrides.
        overridden: the reason for each default gate with another threshold, age or severity.
        not_required: the reason for each default gate that is not required.
        signals: worst first, then by job and gate.
        waivers: that hold now, whether or not they let anything pass.
        sign_offs: that were given and hold now, for whichever candidate.
        unsigned: roles that must sign and have not signed this candidate.
        open_findings: on the closure, the most severe first.
        reasons: why it would not be released, a sentence each.
    """

    name: str
    spec: System
    spec_file: SpecFile
    bound: list[Bound]
    closure: list[Version]
    edges: list[tuple[str, str]]
    candidate: gates.Candidate
    digest: str
    signable: str
    gates: list[Gate]
    overridden: dict[str, str]
    not_required: dict[str, str]
    signals: list[Signal]
    waivers: list[Waiver]
    sign_offs: list[SignOff]
    unsigned: list[str]
    open_findings: list[dict[str, Any]]
    releasable: bool
    reasons: list[str]

    @property
    def ungated(self) -> bool:
        """Whether no gate could stop it, so that a release would prove nothing."""
        return not _gated(self.signals)

    def by_job(self, jobs: Iterable[str]) -> dict[str, State | None]:
        """The state of each job: the worst of its signals, None where no gate requires anything of it.

        Args:
            jobs: that stand first, and always.
        """
        found: dict[str, list[State]] = {job: [] for job in jobs}
        for signal in self.signals:
            found.setdefault(signal.gate.job, []).append(signal.state)
        return {job: gates.worst(states) for job, states in found.items()}


def standing(
    workspace: Workspace,
    name: str,
    *,
    spec: SpecFile | None = None,
    now: datetime | None = None,
    instead: Mapping[str, str] | None = None,
) -> Standing:
    """Read how a system stands.

    Args:
        workspace: with its file and the record.
        name: of the system.
        spec: its file, where it was read before, such as one that a run was submitted with.
        now: with time zone.
        instead: by asset, such as `prompt/reply`, what is judged in the place of the version of it that the file binds.

    Raises:
        UserError: there is no such system, or its file is wrong.
    """
    now = now or datetime.now(UTC)
    file = spec or read(workspace, name)
    system = file.check(System)
    binds = [(instead or {}).get(asset_of(reference), reference) for reference in system.binds]
    roots = candidate.load(workspace.record, list(dict.fromkeys(binds)))
    required = defaults.lay_over(file, system, roots.frontier)
    decided = decisions.of_system(workspace.record, name, now)
    judged = judge(workspace.record, roots, required, decided.waivers, now)
    signals = judged.signals
    digest = candidate_digest(name, system, roots.bound)
    signable = _signable(digest, required.gates)
    signed = {sign.role for sign in decided.sign_offs if sign.candidate == signable}
    unsigned = [role for role in system.sign_offs if role not in signed]
    reasons = [f"{one.reference}: {one.problem}" for one in roots.bound if one.problem]
    reasons += [_sentence(signal) for signal in signals if not signal.passes and signal.why != "unbound"]
    reasons += [] if _gated(signals) else [words.UNGATED["en"]]
    reasons += [f"{role} has not signed these versions" for role in unsigned]
    return Standing(
        name=name,
        spec=system,
        spec_file=file,
        bound=roots.bound,
        closure=roots.closure,
        edges=roots.edges,
        candidate=judged.candidate,
        digest=digest,
        signable=signable,
        gates=required.gates,
        overridden=required.overridden,
        not_required=required.not_required,
        signals=signals,
        waivers=decided.waivers,
        sign_offs=decided.sign_offs,
        unsigned=unsigned,
        open_findings=[finding for finding in judged.findings if finding["status"] == "open"],
        releasable=not reasons,
        reasons=reasons,
    )


def judge(record: Record, roots: Roots, required: Required, waivers: Sequence[Waiver], now: datetime) -> Judged:
    """What gates say of what is bound, by the evidence that the record has at this moment.

    Args:
        record: that is read.
        roots: what is bound, and what that descends from.
        required: the gates.
        waivers: that hold now.
        now: with time zone.
    """
    found = candidate.evidence(record, roots, required.gates)
    findings = status.on_versions(record, [version.id for version in roots.closure], now)
    measured = [*found.measured, *derived.measure(roots, required, findings, now)]
    judged = candidate.candidate(roots, found, now)
    return Judged(judged, _sorted(gates.signals(required.gates, judged, measured, waivers, now)), findings)


def candidate_digest(name: str, system: System, bound: list[Bound]) -> str:
    """What a sign-off holds for: the system's identity and the versions that it binds; what is missing counts by its name."""
    versions = sorted(one.version.id if one.version else one.reference for one in bound)
    return hashlib.sha256(canonical([version_id("system", name, system.identity), versions])).hexdigest()


def _gated(signals: list[Signal]) -> bool:
    return any(signal.gate.severity == "error" for signal in signals)


def _signable(digest: str, required: list[Gate]) -> str:
    """What a person signs: these versions, under these gates; who leaves a gate out afterwards asks for another signature."""
    asked = sorted([gate.name, gate.severity, gate.asks] for gate in required)
    return hashlib.sha256(canonical([digest, asked])).hexdigest()


def _sorted(signals: list[Signal]) -> list[Signal]:
    """Worst first, then by job, gate and version."""
    return sorted(signals, key=lambda s: (-gates.WORST[s.state], s.gate.job, s.gate.name, s.subject.ref if s.subject else ""))


def _sentence(signal: Signal) -> str:
    about = f" on {signal.subject.ref}" if signal.subject else ""
    return f"{signal.gate.name}{about} is {words.STATES[signal.state]}: {words.reason(signal, 'en')}"
