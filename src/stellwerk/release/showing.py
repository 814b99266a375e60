"""Showing releases: what one says and whether its documents still are what was signed; exporting it, and verifying a file.

Puts into answers what `frozen.py`, `comparing.py` and `verifying.py` find.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from stellwerk.errors import StellwerkError, UserError
from stellwerk.record import tables
from stellwerk.release import bundle, comparing, frozen, gathering, signing, verifying
from stellwerk.release.answers import Comparison, Exported, FileLine, Made, ReleaseLine, ReleaseList, Shown, Verified
from stellwerk.release.frozen import Release
from stellwerk.release.manifest import Evidence, Manifest
from stellwerk.standing.spec import FOLDER
from stellwerk.standing.standing import standing
from stellwerk.store.store import PREFIX, digest

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace

CANDIDATE = "candidate"


def made(workspace: Workspace, release: Release, *, new: bool) -> Made:
    """What making a release answers."""
    said = _manifest(workspace, release)
    waived = sum(signal.waiver is not None for signal in said.evidence.signals)
    message = f"made {release.ref}" if new else f"unchanged: {release.ref} of {release.created[:10]} still says just this"
    file = f"{release.system}-{release.number}.zip"
    return Made(
        message=message, release=release.ref, unchanged=not new, digest=release.id, key=release.key, waived=waived,
        next=[f"stellwerk release show {release.ref}", f"stellwerk release export {release.ref} {file}"],
    )  # fmt: skip


def listed(workspace: Workspace, system: str | None) -> ReleaseList:
    """The releases of a system, or of all, the newest first."""
    if system is not None and not frozen.releases(workspace.record, system):
        workspace.spec_path(FOLDER, system)  # one that there is has none yet; another is a mistake
    names: dict[str, str] = {}
    lines = []
    for release in sorted(frozen.releases(workspace.record, system), key=lambda r: (r.created, r.id), reverse=True):
        if release.person not in names:
            names[release.person] = workspace.record.name_of(release.person)
        lines.append(
            ReleaseLine(
                release=release.ref, system=release.system, number=release.number, made=release.created,
                made_by=names[release.person], authenticated=release.authenticated, digest=release.id, key=release.key,
                run=release.run,
            )
        )  # fmt: skip
    return ReleaseList(releases=lines)


def shown(workspace: Workspace, reference: str | None) -> Shown:
    """A release with all that it says."""
    release = frozen.find(workspace.record, reference or _only(workspace))
    here = not any(workspace.store.missing(release.content))
    found = _checked(workspace, release, _packed(workspace, release)) if here else verifying.Findings()
    manifest, problems = found.manifest, found.problems
    message = "its documents are not in this store; they stay where it was made" if not here else (
        f"signed by {release.key[:16]}…, every document as it was signed" if not problems else "; ".join(problems)
    )  # fmt: skip
    return Shown(
        message=message, release=release.ref, system=release.system, number=release.number, made=release.created,
        made_by=workspace.record.name_of(release.person), authenticated=release.authenticated,
        note=manifest.note if manifest else None, run=release.run, digest=release.id,
        previous=manifest.previous if manifest else None, key=release.key, product=manifest.product if manifest else None,
        anchor=f"entry {manifest.anchor.seq} of record {manifest.anchor.record}" if manifest else None, here=here,
        genuine=not problems if here else None, problems=problems,
        files=[
            FileLine(name=name, bytes=manifest.files[name].bytes, artifact=artifact)
            for name, artifact in sorted(release.content["files"].items())
            if name in manifest.files
        ] if manifest else [],
        evidence=manifest.evidence if manifest else None,
    )  # fmt: skip


def compared(workspace: Workspace, system: str, first: int | None, second: str) -> Comparison:
    """What changed between two releases, or since one."""
    start = frozen.find(workspace.record, system if first is None else f"{system}@{first}")
    before = _manifest(workspace, start).evidence
    end, after = _second(workspace, system, second)
    found = comparing.changes(before, after)
    count = sum(map(len, found.values()))
    same = not count
    message = f"nothing changed from {start.ref} to {end}" if same else f"{count} changes from {start.ref} to {end}"
    return Comparison(message=message, first=start.ref, second=end, same=same, **found)


def exported(workspace: Workspace, reference: str, file: Path, *, overwrite: bool) -> Exported:
    """Write a release to a file."""
    if file.exists() and not overwrite:
        raise UserError(f"{file} is already there; give another name, or --overwrite")
    if not file.absolute().parent.is_dir():
        raise UserError(f"{file.parent} is no folder; make it first")
    release = frozen.find(workspace.record, reference)
    content = _packed(workspace, release)
    if problems := _checked(workspace, release, content).problems:
        raise StellwerkError(f"{release.ref} is not exported, its documents in the store were changed: {'; '.join(problems)}")
    bundle.write(file, content)
    return Exported(
        message=f"wrote {release.ref}; give the receiver the key's fingerprint on another way than this file", file=str(file),
        release=release.ref, bytes=len(content), key=release.key,
        next=[f"stellwerk release verify {file} --fingerprint {release.key}"],
    )  # fmt: skip


def verified(file: Path, key: Path | None, fingerprint: str | None, workspace: Workspace | None) -> Verified:
    """Whether a file is what was signed, and whose signature it is."""
    if fingerprint is not None:
        fingerprint = signing.read_fingerprint(fingerprint)
    content = bundle.read(file)
    own = signing.public_key(workspace) if workspace is not None else None
    given = _given(key)
    found = verifying.check(content, given)
    problems, notes = list(found.problems), []
    actual = signing.fingerprint(found.public) if found.public is not None else None
    other = fingerprint is not None and actual is not None and fingerprint != actual
    if other:
        problems.append(f"it was signed with the key {actual}, not with the one that was named")
    known = given is not None or fingerprint is not None or (own is not None and own == found.public)
    if not known and actual is not None:
        notes.append(
            f"the signature was checked with the key that lies in the file; whose it is, is not known here: compare its "
            f"fingerprint {actual} with the one that you were given on another way"
        )
    if own is not None and own != found.public and found.manifest is not None:
        notes.append("it was not signed with this workspace's key")
    if workspace is not None and found.manifest is not None:
        problems += _unlike_record(workspace, found.manifest)
    manifest = found.manifest
    said = "is not what was signed" if problems else "is as it was signed"
    if other and len(problems) == 1:
        said = "was signed with another key than the one that was named"
    return Verified(
        message=f"{file} {said}", file=str(file), genuine=not problems, key_known=known,
        release=manifest.ref if manifest else None, made=manifest.made if manifest else None,
        made_by=manifest.made_by if manifest else None, authenticated=manifest.authenticated if manifest else None,
        key=actual, members=found.members, problems=problems, notes=notes,
    )  # fmt: skip


def _given(key: Path | None) -> bytes | None:
    if key is None:
        return None
    try:
        text = bundle.read(key).decode("ascii")
    except UnicodeDecodeError:
        text = ""
    return signing.read_public(text, str(key))


def _unlike_record(workspace: Workspace, manifest: Manifest) -> list[str]:
    """Whether the journal that a release anchors is still the one that this record has, where it is of this record."""
    anchor = manifest.anchor
    if anchor.record != workspace.record.id or not anchor.seq:
        return []
    with workspace.record.database.reading() as connection:
        entry = connection.execute(select(tables.journal.c.hash).where(tables.journal.c.seq == anchor.seq)).scalar()
    if entry == anchor.hash:
        return []
    return [f"the record here is not the one that made it: entry {anchor.seq} of its journal was changed or cut off"]


def _second(workspace: Workspace, system: str, second: str) -> tuple[str, Evidence]:
    if second == CANDIDATE:
        return CANDIDATE, gathering.gather(workspace, standing(workspace, system))
    release = frozen.find(workspace.record, f"{system}@{second}")
    return release.ref, _manifest(workspace, release).evidence


def _manifest(workspace: Workspace, release: Release) -> Manifest:
    found = frozen.manifest(workspace, release)
    if found is None:
        raise StellwerkError(f"the documents of {release.ref} are not in this store; ask where it was made")
    return found


def _packed(workspace: Workspace, release: Release) -> bytes:
    """A release as a file; equal each time."""
    content = release.content
    if any(workspace.store.missing(content)):
        raise StellwerkError(f"the documents of {release.ref} are not all in this store; export it where it was made")
    files = {name: workspace.store.get(reference) for name, reference in content["files"].items()}
    manifest, envelope = (workspace.store.get(content[name]) for name in ("manifest", "envelope"))
    return verifying.pack(manifest, envelope, bytes.fromhex(content["public_key"]), files)


def _checked(workspace: Workspace, release: Release, content: bytes) -> verifying.Findings:
    """A release as the store has it, checked against its signature and against the record."""
    found = verifying.check(content, bytes.fromhex(release.content["public_key"]))
    if not found.problems and digest(workspace.store.path(release.content["manifest"])) != PREFIX + release.id:
        found.problems.append("the manifest is not the one that the record knows")
    return found


def _only(workspace: Workspace) -> str:
    """The system that is meant where none was named."""
    made = sorted({release.system for release in frozen.releases(workspace.record)})
    if len(made) != 1:
        there = f"say of which system: {', '.join(made)}" if made else "make one with: stellwerk release make SYSTEM"
        raise UserError(f"there is more than one to show; {there}" if made else f"there is no release yet; {there}")
    return made[0]
