"""The bill of materials of a release as CycloneDX ML-BOM: components with digests, lineage as pedigree, signals as properties.

Knows which kind of asset is which kind of component. Says of a model or a dataset only what its facts say.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from stellwerk.release.manifest import DataPart, Head, SignalPart, VersionPart

SPEC: Final = "1.6"
_NAMESPACE: Final = uuid.UUID("6b8f5b7c-6d0a-5c0c-9d0b-5f1d7f5c2a11")

MODELS: Final = ("model", "adapter")
SERVICE: Final = "service"
APPLICATIONS: Final = ("app", "tool", "system")
# What else there is are data of a kind that the format knows.
DATA: Final = {
    **dict.fromkeys(("dataset", "source", "index", "suite", "event-log"), "dataset"),
    **dict.fromkeys(("prompt", "policy", "architecture", "use-case"), "definition"),
    "settings": "configuration",
}

Facts = Mapping[str, Mapping[str, Any]]


def bom(head: Head, facts: Facts) -> bytes:
    """Write the bill of materials of a release.

    Args:
        head: the release.
        facts: what the record knows beside the identity of each version, by its id.
    """
    evidence = head.evidence
    parts = {part.ref: part for part in evidence.versions}
    data = {part.ref: part for part in evidence.data}
    above: dict[str, list[VersionPart]] = {}
    for edge in evidence.edges:
        above.setdefault(edge.made, []).append(parts[edge.source])
    signals: dict[str, list[SignalPart]] = {}
    for signal in evidence.signals:
        signals.setdefault(signal.subject or "", []).append(signal)
    components = [
        _component(part, facts.get(part.id, {}), data.get(part.ref), above.get(part.ref, ()), signals.get(part.ref, ()))
        for part in evidence.versions
        if part.kind != SERVICE
    ]
    services = [_service(p, facts.get(p.id, {}), signals.get(p.ref, ())) for p in evidence.versions if p.kind == SERVICE]
    depends = [{"ref": head.ref, "dependsOn": sorted(part.ref for part in evidence.versions if part.bound)}]
    depends += [{"ref": p.ref, "dependsOn": sorted(other.ref for other in above.get(p.ref, ()))} for p in evidence.versions]
    found = {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "serialNumber": uuid.uuid5(_NAMESPACE, f"{head.ref} {head.made} {evidence.candidate}").urn,
        "version": 1,
        "metadata": {
            "timestamp": head.made,
            "tools": {"components": [{"type": "application", "name": "stellwerk", "version": head.product}]},
            "component": _system(head),
            "properties": list(_properties(signals.get("", ()))),
        },
        "components": components,
        **({"services": services} if services else {}),
        "dependencies": depends,
    }
    return json.dumps(found, indent=1, ensure_ascii=False).encode() + b"\n"


def _system(head: Head) -> dict[str, Any]:
    system = head.evidence.system
    return {
        "type": "application",
        "bom-ref": head.ref,
        "name": system.name,
        "version": str(head.number),
        "description": system.purpose,
        "properties": [_property("role", system.role), _property("owner", system.owner)],
    }


def _component(
    part: VersionPart, facts: Mapping[str, Any], data: DataPart | None, above: Sequence[VersionPart],
    signals: Sequence[SignalPart],
) -> dict[str, Any]:  # fmt: skip
    found = {**_named(part), "bom-ref": part.ref, "hashes": [{"alg": "SHA-256", "content": part.digest}]}
    if description := (data.description if data else None) or _text(facts, "description"):
        found["description"] = description
    if licence := (data.licence if data else None) or _text(facts, "licence"):
        found["licenses"] = [{"license": {"name": licence}}]
    if above:
        found["pedigree"] = {"ancestors": [_named(other) for other in above]}
    if part.kind in MODELS:
        found["modelCard"] = _card(part, facts, above, signals)
    elif found["type"] == "data":
        found["data"] = [_data(part, data)]
    found["properties"] = [
        _property("kind", part.kind), _property("version", part.ref), _property("bound", str(part.bound).lower()),
        *([_property("tainted", "true")] if part.tainted else []), *_properties(signals),
    ]  # fmt: skip
    return found


def _named(part: VersionPart) -> dict[str, Any]:
    kind = "machine-learning-model" if part.kind in MODELS else "application" if part.kind in APPLICATIONS else "data"
    return {"type": kind, "name": part.name, "version": str(part.number)}


def _service(part: VersionPart, facts: Mapping[str, Any], signals: Sequence[SignalPart]) -> dict[str, Any]:
    known = {**facts, **part.identity}
    found: dict[str, Any] = {"bom-ref": part.ref, "name": part.name, "version": str(part.number)}
    if provider := _text(known, "provider"):
        found["provider"] = {"name": provider}
    if description := _text(known, "description"):
        found["description"] = description
    return {**found, "properties": [_property("digest", part.digest), *_properties(signals)]}


def _card(
    part: VersionPart, facts: Mapping[str, Any], above: Sequence[VersionPart], signals: Sequence[SignalPart]
) -> dict[str, Any]:
    """What is known of a model, under the names of the format."""
    known = {**facts, **part.identity}
    parameters: dict[str, Any] = {}
    for name, field in (("task", "task"), ("architecture", "modelArchitecture"), ("family", "architectureFamily")):
        if text := _text(known, name):
            parameters[field] = text
    if sets := [{"ref": other.ref} for other in above if DATA.get(other.kind) == "dataset"]:
        parameters["datasets"] = sets
    found: dict[str, Any] = {"modelParameters": parameters} if parameters else {}
    if metrics := [_metric(signal) for signal in signals if signal.value is not None]:
        found["quantitativeAnalysis"] = {"performanceMetrics": metrics}
    return found


def _metric(signal: SignalPart) -> dict[str, Any]:
    found: dict[str, Any] = {"type": signal.metric, "value": f"{signal.value!r} {signal.unit}".strip()}
    bounds = {"lowerBound": signal.low, "upperBound": signal.high}
    if interval := {name: repr(bound) for name, bound in bounds.items() if bound is not None}:
        found["confidenceInterval"] = interval
    return found


def _data(part: VersionPart, data: DataPart | None) -> dict[str, Any]:
    found: dict[str, Any] = {"type": DATA.get(part.kind, "other"), "name": part.ref}
    if data and data.personal and data.personal.counts:
        counts = sorted(data.personal.counts.items())
        action = f", action: {data.personal.action}" if data.personal.action else ""
        found["sensitiveData"] = [f"{kind}: {count} found{action}" for kind, count in counts if count]
    if data and data.owner:
        found["governance"] = {"owners": [{"contact": {"name": data.owner}}]}
    return found


def _properties(signals: Sequence[SignalPart]) -> Iterator[dict[str, str]]:
    """A property for each signal: its state, value and threshold."""
    for signal in signals:
        bounds = [f"{name} {bound:g}" for name, bound in (("min", signal.min), ("max", signal.max)) if bound is not None]
        value = "no value" if signal.value is None else f"{signal.value:g} {signal.unit}".strip()
        waived = ", waived" if signal.waiver else ""
        yield _property(f"gate:{signal.gate}", f"{signal.state}{waived}; {value}; {', '.join(bounds)}")


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": f"stellwerk:{name}", "value": value}


def _text(facts: Mapping[str, Any], name: str) -> str | None:
    found = facts.get(name)
    return found if isinstance(found, str) and found else None
