"""What the record says of the sources of a dataset: what was read last, when and from where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select

from stellwerk.jobs.data.files.find import find_files
from stellwerk.jobs.data.reports import SourceState
from stellwerk.jobs.data.sources.remote import is_remote
from stellwerk.jobs.data.spec import DatasetSpec
from stellwerk.record import tables
from stellwerk.record.record import Record, Version
from stellwerk.workspace import Workspace

FEW = 3


def of_sources(record: Record, dataset: str, names: Sequence[str]) -> list[SourceState]:
    """The newest state of each source that was read at least once."""
    found = [record.latest("source", f"{dataset}.{name}") for name in names]
    return [_state(record, version) for version in found if version is not None]


def place(facts: dict[str, Any]) -> str:
    """Where rows came from, as people read it."""
    made_from = facts["made_from"]
    if "asked" in made_from:
        return str(made_from["asked"]["place"])
    names = [file["name"] for file in made_from["files"]]
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return ", ".join(names[:FEW]) + more


def extent(workspace: Workspace, spec: DatasetSpec, dataset: str) -> float | None:
    """Bytes that a build has to go through: files as they are now, what databases and APIs held at the last build.

    Returns:
        None where something was never read, so that nothing is known of it.
    """
    total = 0.0
    for source in spec.sources:
        near = [pattern for pattern in source.files if not is_remote(pattern)]
        if source.files and len(near) == len(source.files):
            total += sum(
                path.stat().st_size for pattern in near for path in find_files(workspace.root, pattern) if path.is_file()
            )
            continue
        latest = workspace.record.latest("source", f"{dataset}.{source.name}")
        if latest is None:
            return None
        total += latest.facts["bytes"]
    return total


def _state(record: Record, version: Version) -> SourceState:
    facts, made_from = version.facts, version.facts["made_from"]
    asked = (made_from.get("asked") or {}).get("cursor")
    return SourceState(
        source=version.name.rpartition(".")[2],
        version=version.ref,
        place=place(facts),
        read=_read_at(record, version),
        rows=facts["rows"],
        cursor=f"{asked['column']} up to {made_from['to']}" if asked else None,
        schema_changes=facts["schema_changes"],
        columns=version.identity["schema"],
    )


def _read_at(record: Record, version: Version) -> str:
    """When a run met this state last: reading the same again makes no new version, and is noted by its run."""
    query = (
        select(func.max(tables.step.c.finished))
        .join(tables.edge, tables.edge.c.step == tables.step.c.id)
        .where(tables.edge.c.version == version.id, tables.edge.c.direction == "output")
    )
    with record.database.reading() as connection:
        return str(connection.execute(query).scalar() or version.created)[:19].replace("T", " ")
