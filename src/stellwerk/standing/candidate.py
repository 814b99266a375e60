"""What a system binds now, read from the record: its versions, what they descend from, and what was measured on them.

A handful of queries, whatever the number of assets, runs and measurements. Judges nothing: that is `gates.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import func, select

from stellwerk import gates
from stellwerk.errors import UserError
from stellwerk.gates import Gate, Measured, Subject
from stellwerk.llm.models import HOLDS, PROBE
from stellwerk.record import lineage, tables
from stellwerk.record.record import Record, Version, asset_id


@dataclass(frozen=True)
class Bound:
    """What a system binds: a reference, and the version that it names now.

    Attributes:
        problem: why there is no version, in a sentence.
    """

    reference: str
    version: Version | None
    problem: str | None


@dataclass(frozen=True)
class Roots:
    """The bound versions and all that they descend from.

    Attributes:
        bound: in the order of the system's file.
        closure: the bound versions and their ancestors, nearest first.
        above: for each version of the closure, the ones that it was made from.
        frontier: for each kind in the closure, the versions of it that are bound or nearest to what is bound.
    """

    bound: list[Bound]
    closure: list[Version]
    above: Mapping[str, set[str]]
    frontier: Mapping[str, list[Subject]]

    @property
    def edges(self) -> list[tuple[str, str]]:
        """Pairs of a version that was made, and one that it was made from."""
        return sorted((made, origin) for made, origins in self.above.items() for origin in origins)

    def ancestors(self, version: str) -> set[str]:
        """A version and all that it descends from."""
        return _reached(version, self.above)

    def descendants(self, version: str) -> set[str]:
        """A version and all within the closure that descend from it."""
        return _reached(version, self._below)

    @functools.cached_property
    def _below(self) -> dict[str, set[str]]:
        below: dict[str, set[str]] = {}
        for made, origins in self.above.items():
            for origin in origins:
                below.setdefault(origin, set()).add(made)
        return below


@dataclass(frozen=True)
class Evidence:
    """What was measured on the assets of a candidate, and with what.

    Attributes:
        measured: on those versions, and the last one on any version of those assets.
        names: of all versions that were measured or measured with.
        instruments: for each reference that a gate names, its version; None where there is none.
    """

    measured: list[Measured] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    instruments: dict[str, str | None] = field(default_factory=dict)


def load(record: Record, references: Sequence[str]) -> Roots:
    """Resolve what a system binds, and find what that descends from."""
    ids = _resolve(record, references)
    above, distance = _ancestry(record, set(ids.values()))
    versions = {version.id: version for version in record.versions(tables.version.c.id.in_(list(distance)))}
    closure = sorted(versions.values(), key=lambda version: (distance[version.id], version.ref))
    bound = [_bound(record, reference, versions.get(ids.get(reference, ""))) for reference in references]
    kinds = {version.id: version.kind for version in closure}
    frontier: dict[str, list[Subject]] = {}
    for kind in sorted(set(kinds.values())):
        nearest = gates.nearest(set(ids.values()), kinds, above, kind)
        frontier[kind] = [_subject(version) for version in closure if version.id in nearest]
    for one in bound:
        if one.version is None:
            kind, _, name = one.reference.partition("/")
            asset = name.partition("@")[0]
            frontier.setdefault(kind, []).append(Subject("", one.reference, kind, asset, missing=True))
    return Roots(bound, closure, above, frontier)


def evidence(record: Record, roots: Roots, required: Sequence[Gate]) -> Evidence:
    """What was measured of the gates' metrics on the versions that are judged, and last on any version of their assets."""
    wanted = sorted({name for gate in required for name in gate.with_})
    resolved = _resolve(record, wanted)
    kinds = {kind for gate in required for kind in gate.concerns} | {"model", "service"}
    judged = [s for kind in sorted(kinds) for s in roots.frontier.get(kind, ()) if not s.missing]
    metrics = {gate.metric for gate in required} | {PROBE}
    chosen = _relevant(record, judged, metrics)
    nothing: dict[str, set[str]] = {"subject": set(), "instrument": set()}
    links, names = _links(record, chosen)
    rows = record.rows(tables.measurement, tables.measurement.c.id.in_(chosen))
    met = _met(record, {found["step"] for found in rows if found["step"]})
    measured = [
        Measured(
            **{name: found[name] for name in ("id", "metric", "metric_version", "value", "low", "high", "n", "unit")},
            complete=found["complete"] == 1,
            subjects=frozenset(links.get(found["id"], nothing)["subject"]),
            instruments=frozenset(links.get(found["id"], nothing)["instrument"]),
            created=found["created"],
            run=found["run"],
            met=met.get(found["step"], ""),
            details=found["details"],
        )
        for found in rows
    ]
    names |= {version.id: version.ref for version in roots.closure} | _names(record, resolved.values())
    return Evidence(measured, names, {name: resolved.get(name) for name in wanted})


def candidate(roots: Roots, found: Evidence, now: datetime) -> gates.Candidate:
    """What the gates judge; what its provider may change counts as pinned while a young probe shows that it is the same."""
    probed = _probed(found.measured, now)
    frontier = {
        kind: [replace(s, pinned=True) if not s.pinned and s.id in probed else s for s in subjects]
        for kind, subjects in roots.frontier.items()
    }
    return gates.Candidate(frontier, found.names, found.instruments)


def _probed(measured: Iterable[Measured], now: datetime) -> set[str]:
    """The versions whose latest probe passed and is young enough."""
    latest: dict[str, Measured] = {}
    for m in sorted((m for m in measured if m.metric == PROBE and m.complete), key=lambda m: (m.created, m.id)):
        latest |= dict.fromkeys(m.subjects, m)
    return {
        version for version, m in latest.items()
        if m.value == 1 and now - datetime.fromisoformat(m.created) < HOLDS
    }  # fmt: skip


def _subject(version: Version) -> Subject:
    return Subject(version.id, version.ref, version.kind, version.name, pinned=not version.facts.get("hosted"))


def _bound(record: Record, reference: str, version: Version | None) -> Bound:
    if version is not None:
        return Bound(reference, version, None)
    try:
        record.resolve(reference)
    except UserError as error:
        return Bound(reference, None, str(error))
    return Bound(reference, None, f"{reference} was made this moment; ask again")


def _resolve(record: Record, references: Iterable[str]) -> dict[str, str]:
    """The ids of the versions that references name, in two queries; those that name none are left out."""
    asked = {}
    for reference in references:
        asset, _, wanted = reference.partition("@")
        asked[reference] = (asset_id(*asset.split("/", 1)), wanted or "latest")
    assets = sorted({asset for asset, _ in asked.values()})
    words = sorted({wanted for _, wanted in asked.values()})
    numbers = sorted({int(word) for word in words if word.isdecimal() and len(word) < 10})
    alias, version = tables.alias.c, tables.version.c
    by_name = select(alias.asset, alias.name, alias.version).where(alias.asset.in_(assets), alias.name.in_(words))
    by_number = select(version.asset, version.number, version.id).where(version.asset.in_(assets), version.number.in_(numbers))
    with record.database.reading() as connection:
        found = {(a, n): v for a, n, v in connection.execute(by_name) if not n.isdecimal()}
        found |= {(a, str(n)): v for a, n, v in connection.execute(by_number)}
    return {reference: found[key] for reference, key in asked.items() if key in found}


def _ancestry(record: Record, start: set[str]) -> tuple[dict[str, set[str]], dict[str, int]]:
    """What each version was made from, and how far each ancestor is; a query for each generation."""
    above: dict[str, set[str]] = {}
    distance = dict.fromkeys(start, 0)
    layer, far = start, 0
    while layer:
        far += 1
        found = lineage.neighbours(record, layer, "up")
        above |= found
        layer = set().union(*found.values()) - distance.keys()
        distance |= dict.fromkeys(layer, far)
    return above, distance


def _relevant(record: Record, judged: Sequence[Subject], metrics: Iterable[str]) -> list[str]:
    """The ids of the measurements that count, and of those that say on which version something was measured last."""
    link, row, version = tables.measured.c, tables.measurement.c, tables.version.c
    query = (
        select(link.measurement, link.version, version.asset, row.metric, row.created)
        .select_from(tables.version)
        .join(tables.measured, link.version == version.id)
        .join(tables.measurement, row.id == link.measurement)
        .where(version.asset.in_(sorted({asset_id(s.kind, s.name) for s in judged})), link.role == "subject")
        # As an expression, so that no database begins with all measurements of a metric.
        .where(func.coalesce(row.metric, "").in_(sorted(metrics)))
    )
    here = {subject.id for subject in judged}
    found: set[str] = set()
    last: dict[tuple[str, str], tuple[str, str]] = {}
    with record.database.reading() as connection:
        for measurement, on, asset, metric, created in connection.execute(query):
            if on in here:
                found.add(measurement)
            else:
                last[asset, metric] = max(last.get((asset, metric), ("", "")), (created, measurement))
    return sorted(found | {measurement for _, measurement in last.values()})


def _met(record: Record, steps: Iterable[str]) -> dict[str, str]:
    """When other runs last took steps from the record instead of doing them again."""
    done, taken = tables.step.c, tables.step.alias()
    query = select(done.id, func.max(taken.c.finished).label("met")).join(taken, taken.c.key == done.key)
    query = query.where(done.id.in_(sorted(steps)), taken.c.reused == done.id).group_by(done.id)
    with record.database.reading() as connection:
        return {row.id: row.met for row in connection.execute(query)}


def _links(record: Record, measurements: Sequence[str]) -> tuple[dict[str, dict[str, set[str]]], dict[str, str]]:
    """By measurement the versions in each role, and what these are called."""
    link, version, asset = tables.measured.c, tables.version.c, tables.asset.c
    query = (
        select(link.measurement, link.role, version.id, asset.kind, asset.name, version.number)
        .select_from(tables.measured)
        .join(tables.version, version.id == link.version)
        .join(tables.asset, asset.id == version.asset)
        .where(link.measurement.in_(measurements))
    )
    links: dict[str, dict[str, set[str]]] = {}
    names: dict[str, str] = {}
    with record.database.reading() as connection:
        for measurement, role, key, kind, name, number in connection.execute(query):
            roles = links.setdefault(measurement, {"subject": set(), "instrument": set()})
            roles[role].add(key)
            names[key] = f"{kind}/{name}@{number}"
    return links, names


def _names(record: Record, versions: Iterable[str]) -> dict[str, str]:
    return {version.id: version.ref for version in record.versions(tables.version.c.id.in_(sorted(set(versions))))}


def _reached(start: str, ways: Mapping[str, set[str]]) -> set[str]:
    found, todo = {start}, [start]
    while todo:
        new = ways.get(todo.pop(), set()) - found
        found |= new
        todo.extend(new)
    return found
