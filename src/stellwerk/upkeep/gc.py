"""Clearing up: which contents of the store nothing needs any more, and removing them.

Kept is what protected and recent versions consist of, what led to the latest ones, what runs that can go on have done, and all
that is younger than some days. The record itself loses nothing: a step whose outcome went is done again when it is needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from stellwerk.errors import UserError
from stellwerk.record import leases, tables
from stellwerk.record.journal import canonical
from stellwerk.record.record import Transaction
from stellwerk.store.store import Store, bytes_of, references
from stellwerk.workspace import Workspace

DAY = 86400.0
# What no row refers to may be about to be referred to: the spec of a run that is being submitted.
GRACE_SECONDS = 3600.0
_PAGE = 500

Row = Mapping[str, Any]


@dataclass
class Kind:
    """Contents of one kind."""

    number: int = 0
    bytes: int = 0

    def add(self, size: int) -> None:
        """Count one more."""
        self.number += 1
        self.bytes += size


@dataclass
class Cleared:
    """What was removed, or would be.

    Attributes:
        kinds: numbers and bytes, by why nothing needs them.
        versions: whose bytes go, of those that are older than the ones that are kept.
        tainted: whose bytes go because they hold rows that were erased.
        held: tainted versions whose bytes stay, and why.
        young: contents that nothing needs, but that are too young to go.
        kept: all other contents.
    """

    kinds: dict[str, Kind] = field(default_factory=dict)
    versions: list[str] = field(default_factory=list)
    tainted: list[str] = field(default_factory=list)
    held: dict[str, str] = field(default_factory=dict)
    young: Kind = field(default_factory=Kind)
    kept: Kind = field(default_factory=Kind)


@dataclass
class Plan:
    """What is needed and what is not, as the record stands."""

    kept: set[str] = field(default_factory=set)
    tainted: set[str] = field(default_factory=set)
    older: set[str] = field(default_factory=set)
    steps: set[str] = field(default_factory=set)
    names: dict[str, tuple[str, set[str], bool]] = field(default_factory=dict)  # version: its name, contents, tainted
    held: dict[str, str] = field(default_factory=dict)


def protected(connection: Connection) -> dict[str, str]:
    """The versions that must keep their bytes whatever their age: id, and what protects it."""
    alias, asset = tables.alias, tables.asset
    query = select(alias.c.version, alias.c.name, asset.c.name.label("asset")).join(asset, asset.c.id == alias.c.asset)
    named = {row.version: f"{row.asset}@{row.name}" for row in connection.execute(query.where(alias.c.name != "latest"))}
    return _released(connection) | named


def _released(connection: Connection) -> dict[str, str]:
    """The versions that releases froze; one with erased rows only while the latest release of its system holds it."""
    release, released, version, asset = tables.release, tables.released, tables.version, tables.asset
    system = version.alias()
    query = (
        select(released.c.version, version.c.tainted, asset.c.name, release.c.number)
        .join(release, release.c.id == released.c.release)
        .join(system, system.c.id == release.c.version)
        .join(asset, asset.c.id == system.c.asset)
        .join(version, version.c.id == released.c.version)
        .order_by(release.c.number)
    )
    rows = connection.execute(query).all()
    latest = {row.name: row.number for row in rows}
    return {
        row.version: f"release {row.name}@{row.number}" for row in rows if row.tainted is None or row.number == latest[row.name]
    }


def clear(
    workspace: Workspace, keep: int, days: float, *, apply: bool, note: Callable[[Transaction, Cleared], None]
) -> Cleared:
    """Find what nothing needs, and remove it if that is wanted.

    Nobody can begin a run or commit a step meanwhile, because this holds the head of the journal.

    Args:
        workspace: what is cleared up.
        keep: how many versions of each asset keep their bytes, the latest included.
        days: what was stored since then stays.
        apply: remove it; otherwise it is only counted.
        note: writes into the record what was removed.

    Raises:
        UserError: a run is being worked on.
    """
    if workspace.store.claim(workspace.record.id):
        raise UserError(
            "another record has its contents in the same bucket, and nobody can tell here what it needs; "
            "give each record a prefix of its own (store: s3://bucket/prefix in stellwerk.yaml)"
        )
    if not apply:
        with workspace.record.database.reading() as connection:
            return _sweep(workspace.store, plan(connection, keep), days, remove=False)
    with workspace.record.writing(workspace.person) as transaction:
        refuse_at_work(transaction.connection, "clear up")
        found = _sweep(workspace.store, plan(transaction.connection, keep), days, remove=True)
        note(transaction, found)
    return found


def refuse_at_work(connection: Connection, what: str) -> None:
    """Refuse something that needs all runs to rest.

    Raises:
        UserError: a run is being worked on.
    """
    for key in connection.execute(select(tables.lease.c.id)).scalars().all():
        if leases.is_held(connection, key):
            raise UserError(f"run {key[:8]} is being worked on; {what} when it has ended and the workers are stopped")


def plan(connection: Connection, keep: int) -> Plan:
    """Sort the contents that the record refers to into those that are needed and those that are not."""
    found = Plan()
    latest = set(connection.execute(select(tables.alias.c.version).where(tables.alias.c.name == "latest")).scalars())
    chosen = _versions(connection, found, keep, latest)
    _bases(connection, found, latest)
    for query in (select(tables.run.c.snapshots, tables.run.c.parameters), select(tables.release.c.content)):
        for row in _rows(connection, query):
            found.kept.update(references(dict(row)))
    _evidence(connection, found, chosen)
    _steps(connection, found, latest)
    found.older -= found.kept
    found.tainted -= found.kept
    return found


def _versions(connection: Connection, found: Plan, keep: int, latest: set[str]) -> set[str]:
    """Choose the versions that stay: protected ones, the latest, and the newest that hold no erased rows."""
    safe, chosen = protected(connection), set()
    version, asset = tables.version, tables.asset
    query = select(version, asset.c.kind, asset.c.name).join(asset, asset.c.id == version.c.asset)
    left: dict[str, int] = {}
    for row in _rows(connection, query.order_by(version.c.asset, version.c.number.desc())):
        ref, parts = f"{row['kind']}/{row['name']}@{row['number']}", set(references([row["content"], row["facts"]]))
        clean = row["tainted"] is None
        counts = clean and left.setdefault(row["asset"], keep) > 0
        if counts:
            left[row["asset"]] -= 1
        if counts or row["id"] in safe or row["id"] in latest:
            chosen.add(row["id"])
            found.kept |= parts
            if not clean:
                found.held[ref] = f"{safe[row['id']]} points to it" if row["id"] in safe else "it is the latest; make it anew"
        else:
            (found.older if clean else found.tainted).update(parts)
            found.names[row["id"]] = ref, parts, not clean
    return chosen


def _bases(connection: Connection, found: Plan, latest: set[str]) -> None:
    """What the rows of a latest version met stays: they meet it again when the same files are read with another spec."""
    version = tables.version.c
    rows = {row["id"]: row for row in _rows(connection, select(version.id, version.content, version.facts, version.tainted))}
    for base in (rows[key]["facts"].get("base") for key in latest):
        if base in rows and rows[base]["tainted"] is None:
            found.kept.update(references(rows[base]["content"]))


def _evidence(connection: Connection, found: Plan, chosen: set[str]) -> None:
    """What was measured and found on versions that stay, and the other ledgers with which their content came about."""
    edge, finding, link = tables.edge.c, tables.finding.c, tables.measured.c
    measured = select(link.version, tables.measurement.c.details).join(
        tables.measurement, link.measurement == tables.measurement.c.id
    )
    for query in (select(edge.version, edge.known), select(finding.version, finding.details), measured):
        for row in _rows(connection, query):
            if row["version"] in chosen:
                found.kept.update(references(dict(row)))


def _steps(connection: Connection, found: Plan, latest: set[str]) -> None:
    """Outcomes of steps stay where a run can go on, or where the run has last led to a version that is the latest."""
    last: dict[str, str] = {}
    gone: set[str] = set()
    edge, step = tables.edge, tables.step
    query = (
        select(edge.c.version, edge.c.run, step.c.id).join(step, step.c.id == edge.c.step).where(edge.c.direction == "output")
    )
    for row in _rows(connection, query.order_by(step.c.finished)):
        last[row["version"]] = row["run"]
        if row["version"] in found.names and found.names[row["version"]][2]:
            gone.add(row["id"])
    needed = {last[version] for version in latest if version in last} | set(_unfinished(connection))
    for row in _rows(connection, select(step.c.id, step.c.run, step.c.outcome)):
        parts = set(references(row["outcome"]))
        if row["run"] in needed:
            found.kept |= parts
        elif row["id"] in gone:
            found.tainted |= parts
        found.steps |= parts


def _unfinished(connection: Connection) -> Iterator[str]:
    """The runs that can go on; one that failed or was cancelled counts until the same command has succeeded after it."""
    run = tables.run.c
    rows = list(_rows(connection, select(run.id, run.operation, run.parameters, run.state, run.created).order_by(run.created)))
    done = {(row["operation"], canonical(row["parameters"])): row["created"] for row in rows if row["state"] == "done"}
    for row in rows:
        later = done.get((row["operation"], canonical(row["parameters"])), "") > row["created"]
        if row["state"] != "done" and not (row["state"] in ("failed", "cancelled") and later):
            yield row["id"]


def _sweep(store: Store, found: Plan, days: float, *, remove: bool) -> Cleared:
    """Go through the store, those with erased rows first, and remove what is not needed or count it."""
    cleared, now = Cleared(held=dict(sorted(found.held.items()))), time.time()
    gone: set[str] = set()
    contents = [*store.artifacts(), *store.tables()]
    for reference, size, stored in sorted(contents, key=lambda entry: (entry[0] not in found.tainted, entry[0])):
        known = reference in found.older or reference in found.steps
        if reference in found.kept:
            cleared.kept.add(size)
        elif reference not in found.tainted and now - stored < (days * DAY if known else max(days * DAY, GRACE_SECONDS)):
            cleared.young.add(size)
        else:
            freed = store.remove(reference) if remove else size
            cleared.kinds.setdefault(_kind(found, reference), Kind()).add(freed)
            gone.add(reference)
    for ref, parts, tainted in found.names.values():
        if parts & gone:
            (cleared.tainted if tainted else cleared.versions).append(ref)
    _half_written(store, cleared, remove=remove)
    return cleared


def _half_written(store: Store, cleared: Cleared, *, remove: bool) -> None:
    folder = store.root / "partial"
    before = bytes_of(folder)
    if remove:
        store.sweep()
        before -= bytes_of(folder)
    if before > 0:
        cleared.kinds["half-written by processes that ended"] = Kind(1, before)


def _kind(found: Plan, reference: str) -> str:
    if reference in found.tainted:
        return "of tainted versions"
    if reference in found.older:
        return "of older versions"
    return "of steps that are not needed any more" if reference in found.steps else "of nothing in the record"


def _rows(connection: Connection, query: Any) -> Iterator[Row]:
    for row in connection.execute(query.execution_options(yield_per=_PAGE)).mappings():
        yield dict(row)
