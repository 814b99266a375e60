"""Comparing what two releases say, or a release and the candidate: what was bound, asked, measured and decided.

Pure: two pieces of evidence in, lines of changes out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from stellwerk.release.answers import Change
from stellwerk.release.manifest import Evidence, SignalPart, VersionPart

Told = Mapping[str, str]


def changes(before: Evidence, after: Evidence) -> dict[str, list[Change]]:
    """The changes by topic, under the names that the comparison gives them."""
    parts: dict[str, Callable[[Evidence], Told]] = {
        "system": _system, "versions": _bound, "lineage": _lineage, "gates": _gates, "signals": _signals,
        "waivers": _waivers, "sign_offs": _sign_offs, "findings": _findings,
    }  # fmt: skip
    return {name: _differences(tell(before), tell(after)) for name, tell in parts.items()}


def _differences(before: Told, after: Told) -> list[Change]:
    names = sorted({*before, *after})
    return [
        Change(what=name, before=before.get(name), after=after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    ]


def _system(evidence: Evidence) -> Told:
    said = evidence.system.model_dump(exclude={"name"})
    told = {name: str(value) for name, value in said.items() if value is not None}
    return told | {f"default gates of {name}": f"set {version}" for name, version in evidence.default_gates.items()}


def _bound(evidence: Evidence) -> Told:
    told = dict(_versions(part for part in evidence.versions if part.bound))
    for service in evidence.services:
        for name, fact in service.model_dump(exclude={"ref"}).items():
            if fact:
                told[f"{service.ref}, {name.replace('_', ' ')}"] = ", ".join(fact) if isinstance(fact, list) else fact
    return told


def _lineage(evidence: Evidence) -> Told:
    return _versions(part for part in evidence.versions if not part.bound)


def _versions(parts: Iterable[VersionPart]) -> Told:
    found: dict[str, list[str]] = {}
    for part in parts:
        taint = ", rows were erased since" if part.tainted else ""
        found.setdefault(f"{part.kind}/{part.name}", []).append(f"@{part.number} ({part.digest[:12]}{taint})")
    return {name: ", ".join(sorted(said)) for name, said in found.items()}


def _gates(evidence: Evidence) -> Told:
    told = {signal.gate: _asked(signal) for signal in evidence.signals}
    told |= {part.gate: f"not required: {part.reason}" for part in evidence.overrides if not part.required}
    return told


def _asked(signal: SignalPart) -> str:
    bounds = [f"{name} {bound:g}" for name, bound in (("min", signal.min), ("max", signal.max)) if bound is not None]
    bounds += [f"at least {signal.min_n} cases"] if signal.min_n is not None else []
    bounds += [f"at most {signal.days:g} days old"] if signal.days is not None else []
    bounds += [f"with {name}" for name in signal.wanted]
    return f"{signal.metric} v{signal.metric_version}: {', '.join(bounds)} ({signal.severity})"


def _signals(evidence: Evidence) -> Told:
    """By gate and asset, so that a new version of it shows as a change."""
    told = {}
    for signal in evidence.signals:
        value = "" if signal.value is None else f", {signal.value:g} {signal.unit}".rstrip()
        about = (signal.subject or "").partition("@")[0]
        waived = ", waived" if signal.waiver else ""
        told[f"{signal.gate} {about}".strip()] = f"{signal.state}{value}{waived}"
    return told


def _waivers(evidence: Evidence) -> Told:
    return {f"{w.gate} on {w.asset}": f"{w.person} until {w.until[:10]}: {w.reason}" for w in evidence.waivers}


def _sign_offs(evidence: Evidence) -> Told:
    return {f"{s.role}, {s.person}": f"{s.created[:10]}: {s.reason}" for s in evidence.sign_offs}


def _findings(evidence: Evidence) -> Told:
    return {f"{f.id[:8]} {f.title}": f"{f.severity}, {f.status}" for f in evidence.findings}
