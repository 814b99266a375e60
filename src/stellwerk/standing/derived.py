"""What gates may ask that no run measures: it is counted in the record at the moment of asking.

`tainted_versions`: rows were erased underneath; `open_findings`: of high or critical severity; `missing_facts.SET`: facts that
a set of default gates needs and that nobody has written down. Such a measurement has no run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from stellwerk.findings.status import stamp
from stellwerk.gates import Measured, Subject
from stellwerk.record.record import Version
from stellwerk.standing.candidate import Roots
from stellwerk.standing.defaults import GateSet, Required

TAINTED, FINDINGS, FACTS = "tainted_versions", "open_findings", "missing_facts."
GRAVE = ("critical", "high")


def is_derived(metric: str) -> bool:
    """Whether a metric is read from the record, so that no run brings it."""
    return metric in (TAINTED, FINDINGS) or metric.startswith(FACTS)


def measure(roots: Roots, required: Required, findings: Sequence[Mapping[str, Any]], now: datetime) -> list[Measured]:
    """The derived measurements that gates ask for, on each version that they concern."""
    versions = {version.id: version for version in roots.closure}
    asked = {(gate.metric, kind) for gate in required.gates if is_derived(gate.metric) for kind in gate.concerns[:1]}
    found = []
    for metric, kind in sorted(asked):
        for subject in roots.frontier.get(kind, ()):
            if not subject.missing:
                value, n, details = _count(metric, subject, versions, roots, required.sets, findings)
                found.append(
                    Measured(
                        f"{metric} {subject.id}", metric, 1, value, None, None, n, "", complete=True,
                        subjects=frozenset([subject.id]), instruments=frozenset(), created=stamp(now),
                        details={"read_from": "record", **details},
                    )
                )  # fmt: skip
    return found


def _count(
    metric: str, subject: Subject, versions: Mapping[str, Version], roots: Roots, sets: Mapping[str, GateSet],
    findings: Iterable[Mapping[str, Any]],
) -> tuple[float | None, int, dict[str, Any]]:  # fmt: skip
    """The value, what was looked at, and which of it counted."""
    if metric == TAINTED:
        # A clean version may descend from one that held the rows; what was made from a tainted one may not run.
        way = roots.descendants(subject.id)
        tainted = sorted(versions[key].ref for key in way if key in versions and versions[key].tainted)
        return len(tainted), len(way), {"tainted": tainted}
    if metric == FINDINGS:
        way = roots.ancestors(subject.id)
        grave = [f for f in findings if f["status"] == "open" and f["severity"] in GRAVE and f["versions"] & way]
        return len(grave), len(way), {"findings": [f["id"][:8] for f in grave]}
    part = next((s.kinds.get(subject.kind) for name, s in sets.items() if FACTS + name == metric), None)
    if part is None:
        return None, 0, {}
    missing = missing_facts(versions[subject.id], metric.removeprefix(FACTS), sets)
    return len(missing), len(part.needs), {"missing": missing}


def missing_facts(version: Version, name: str, sets: Mapping[str, GateSet]) -> list[str]:
    """The facts that a set of default gates needs of a version, and that nobody has written down."""
    part = sets[name].kinds.get(version.kind)
    if part is None or (part.hosted and not version.facts.get("hosted")):
        return []
    return [fact for fact in part.needs if _is_empty(_fact(version, fact))]


def _fact(version: Version, name: str) -> Any:
    """A fact as it stands in the version, or in the spec that it was made from."""
    spec = version.facts.get("spec")
    return version.facts.get(name) or (spec.get(name) if isinstance(spec, dict) else None)


def _is_empty(value: Any) -> bool:
    return not value.strip() if isinstance(value, str) else value in (None, [], {})
