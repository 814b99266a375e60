"""Operations at the top level: jobs, signals and what mends them, any version with its lineage, the workspace's upkeep."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from stellwerk.errors import UserError
from stellwerk.jobs import JOBS
from stellwerk.operation import LocalPath, Spec, load, operation, packages
from stellwerk.record import assets as catalogue
from stellwerk.record import describing
from stellwerk.record.assets import AssetList, VersionList
from stellwerk.record.describing import VersionReport
from stellwerk.record.record import Version
from stellwerk.release.reports import MendReport, SignalsReport
from stellwerk.standing.spec import FOLDER, System
from stellwerk.workspace import Workspace


class JobLine(BaseModel):
    """A job, its tasks, and the operations that exist today."""

    job: str
    title: str
    tasks: list[str]
    operations: list[str]


class JobList(BaseModel):
    """The jobs."""

    jobs: list[JobLine]


@operation(example={})
def jobs(*, workspace: Workspace | None = None) -> JobList:
    """List the eight jobs, their tasks, and the operations that exist today."""
    known = {job.name for job in JOBS}
    extra = [entry for entry in entry_points(group="stellwerk.jobs") if entry.name not in known]
    lines = [JobLine(job=j.name, title=j.title, tasks=list(j.tasks), operations=_names(j.name)) for j in JOBS]
    lines += [JobLine(job=e.name, title=f"from {e.value}", tasks=[], operations=_names(e.name)) for e in extra]
    return JobList(jobs=lines)


@operation(example={"reference": "dataset/tickets"})
def show(reference: str, *, workspace: Workspace) -> VersionReport:
    """Show a version: what it is, what it was made from, what was made from it, and what was measured.

    Args:
        reference: such as dataset/tickets@3, tickets (the latest) or tickets@production.
    """
    version = workspace.record.resolve(reference)
    return describing.describe(workspace.record, version, _removed(workspace, version))


@operation(example={"search": "tick"})
def assets(
    kind: str | None = None,
    search: str | None = None,
    page: Annotated[int, Field(ge=1)] = 1,
    limit: Annotated[int, Field(ge=1, le=1000)] = 50,
    *,
    workspace: Workspace,
) -> AssetList:
    """List the assets with their latest versions.

    Args:
        kind: only of this kind, such as dataset or prompt.
        search: only those whose name holds this text.
        page: which page, from 1.
        limit: how many on a page.
    """
    return catalogue.find(workspace.record, kind=kind, search=search, page=page, limit=limit)


@operation(example={"asset": "dataset/tickets"})
def versions(
    asset: str,
    page: Annotated[int, Field(ge=1)] = 1,
    limit: Annotated[int, Field(ge=1, le=1000)] = 50,
    *,
    workspace: Workspace,
) -> VersionList:
    """List the versions of an asset, the newest first, and what was measured on them.

    Args:
        asset: such as dataset/tickets.
        page: which page, from 1.
        limit: how many on a page.
    """
    return catalogue.versions(workspace.record, asset, page=page, limit=limit)


def _all_clear(result: SignalsReport) -> int:
    free = bool(result.systems) and not result.broken and all(one.releasable for one in result.systems)
    return 0 if free else 1


def _all_done(result: MendReport) -> int:
    return 1 if any(run.state == "failed" for run in result.started) else 0


@operation(example={"system": "support-desk"}, exit_code=_all_clear)
def signals(
    system: Annotated[str | None, Spec(FOLDER, System)] = None,
    junit: Annotated[Path | None, LocalPath(writes=True)] = None,
    *,
    workspace: Workspace,
) -> SignalsReport:
    """Say whether AI systems may run: the signal of each gate, with what it rests on and why. Exits 0 if all may.

    Args:
        system: such as support-desk for systems/support-desk.yaml; all systems if left out.
        junit: write it there too, as JUnit XML for CI; what stood there is replaced.
    """
    from stellwerk.release import asking

    return asking.signals(workspace, system, junit)


@operation(example={"system": "support-desk"}, changes=True, exit_code=_all_done)
def mend(system: Annotated[str, Spec(FOLDER, System)], run: bool = False, *, workspace: Workspace) -> MendReport:
    """Say what would clear an AI system: the runs that bring evidence back, with their time, and what a person has to do.

    Args:
        system: such as support-desk for systems/support-desk.yaml.
        run: do these runs; what still holds is not done again.
    """
    from stellwerk.release import asking

    return asking.mend(workspace, system, run=run)


class KindLine(BaseModel):
    """Contents of the store that nothing needs any more, and why."""

    contents: str
    number: int
    bytes: int


class Clearing(BaseModel):
    """What was removed from the store, or would be."""

    message: str
    applied: bool
    bytes: int = Field(description="that are freed")
    removed: list[KindLine]
    versions: list[str] = Field(description="older versions whose bytes go; what the record says of them stays")
    tainted: list[str] = Field(description="versions whose bytes go because they hold rows that were erased")
    still_held: list[str] = Field(description="versions with erased rows whose bytes stay, and why")
    young_bytes: int = Field(description="that nothing needs either, but that are too young to go")
    kept_bytes: int


class Backup(BaseModel):
    """A backup that was written."""

    message: str
    file: str
    bytes: int
    rows: int = Field(description="of the record")
    contents: int = Field(description="artifacts and tables of the store")


class Restoration(BaseModel):
    """A workspace that was made of a backup."""

    message: str
    folder: str
    rows: int
    contents: int


class Upgrade(BaseModel):
    """What became of a record that an older version made."""

    message: str
    before: str = Field(description="the revision of the tables")
    after: str
    backup: str | None
    problems: list[str] = Field(description="what verify says of the record, before and after alike")


def _intact(result: Upgrade) -> int:
    return 1 if result.problems else 0


@operation(example={}, changes=True, scope="admin")
def gc(
    keep: Annotated[int, Field(ge=1)] = 3,
    days: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 7,
    apply: bool = False,
    *,
    workspace: Workspace,
) -> Clearing:
    """Say which contents of the store nothing needs any more; with --apply, remove them.

    Versions that an alias other than latest points to keep their bytes; so do the newest of each asset, what is younger than
    some days, and what runs that can go on have done. The record loses nothing.

    Args:
        keep: how many versions of each asset keep their bytes.
        days: what was stored in the last days stays.
        apply: remove it; otherwise it is only told.
    """
    from stellwerk.upkeep import clearing

    found = clearing.clear_and_note(workspace, keep, days, apply=apply)
    lines = [KindLine(contents=name, number=kind.number, bytes=kind.bytes) for name, kind in sorted(found.kinds.items())]
    total = sum(line.bytes for line in lines)
    said = (
        f"{total / 1e6:.1f} MB were removed"
        if apply
        else f"{total / 1e6:.1f} MB can go; remove them with: stellwerk gc --apply"
    )
    return Clearing(
        message=said if lines else "there is nothing to remove",
        applied=apply,
        bytes=total,
        removed=lines,
        versions=sorted(found.versions),
        tainted=sorted(found.tainted),
        still_held=[f"{ref}: {why}" for ref, why in found.held.items()],
        young_bytes=found.young.bytes,
        kept_bytes=found.kept.bytes,
    )


@operation(example={"file": "workspace.backup", "overwrite": True}, local=True)
def backup(
    file: Annotated[Path, LocalPath(writes=True)], record_only: bool = False, overwrite: bool = False, *, workspace: Workspace
) -> Backup:
    """Write the workspace to one file: record, store, spec files and key; the files that sources read are not in it.

    A key that `key: env:NAME` in stellwerk.yaml refers to is not in it either.

    Args:
        file: where to write it.
        record_only: leave out what lies in the store.
        overwrite: replace a file that is already there.
    """
    from stellwerk.upkeep.backup import save

    if file.exists() and not overwrite:
        raise UserError(f"{file} is already there; give another name, or --overwrite")
    if not file.absolute().parent.is_dir():
        raise UserError(f"{file.parent} is no folder; make it first")
    done = save(workspace, workspace.record.database, file, with_bytes=not record_only)
    place = workspace.settings.key
    kept = f", but not its key, without which erasures do not hold: keep {place} as well" if place else ", and its key"
    return Backup(
        message=f"{file} holds the workspace's data in clear{kept}: keep it where only you can read it",
        file=str(file),
        bytes=file.stat().st_size,
        rows=done.rows,
        contents=done.contents,
    )


@operation(example={"file": "workspace.backup", "folder": "restored"}, changes=True, local=True)
def restore(
    file: Annotated[Path, LocalPath()],
    folder: Annotated[Path, LocalPath(writes=True)],
    record: str | None = None,
    schema_name: Annotated[str | None, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")] = None,
    *,
    workspace: Workspace | None = None,
) -> Restoration:
    """Make a workspace of a backup, whole or not at all; its record verifies, and every artifact has its SHA-256.

    Args:
        file: a backup.
        folder: where the workspace is to be; absent, or empty.
        record: an empty database for the record, such as postgresql://user@host/name; a file of the workspace if left out.
        schema_name: of PostgreSQL, for the record; absent, or empty.
    """
    del workspace
    from stellwerk.upkeep.restore import load as load_backup

    done = load_backup(file, folder, record, schema_name)
    without = "" if done.with_bytes else "; the backup holds the record only, so datasets are to be built again"
    said = f"{folder} is the workspace as it was at entry {done.anchor.seq} of its journal, which verifies{without}"
    return Restoration(message=said, folder=str(folder), rows=done.rows, contents=done.contents)


@operation(example={}, changes=True, exit_code=_intact, local=True)
def upgrade(file: Annotated[Path | None, LocalPath(writes=True)] = None, *, workspace: Workspace) -> Upgrade:
    """Bring a record that an older Stellwerk made up to date, after a backup of it.

    Args:
        file: where the backup goes; beside the workspace if left out.
    """
    from stellwerk.upkeep.upgrade import bring_up

    done = bring_up(workspace, file)
    said = f"the record was brought from revision {done.before} to {done.after}; a backup of it as it was is {done.backup}"
    return Upgrade(
        message=said if done.backup else f"the record is up to date (revision {done.after})",
        before=done.before,
        after=done.after,
        backup=str(done.backup) if done.backup else None,
        problems=done.problems,
    )


def _names(package: str) -> list[str]:
    return sorted(load(package)) if package in packages() else []


def _removed(workspace: Workspace, version: Version) -> str | None:
    gone = sum(1 for _ in workspace.store.missing(version.content))
    if not gone:
        return None
    again = " by building it again from the same sources" if version.kind == "dataset" else ""
    return (
        f"{gone} of the contents of {version.ref} are no longer in the store (gc or an erasure removed them); have them{again}"
    )
