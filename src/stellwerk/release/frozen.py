"""Releases that were made: looking them up in the record, and reading what they say from the store.

A record that was imported holds the releases of another machine, but not their documents; these stay where they were made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from stellwerk.errors import StellwerkError, UserError
from stellwerk.record import tables
from stellwerk.release.manifest import Manifest

if TYPE_CHECKING:
    from stellwerk.record.record import Record
    from stellwerk.workspace import Workspace

_LEAST = 8  # hexadecimal digits of a digest that name a release


@dataclass(frozen=True)
class Release:
    """A release, as the record has it.

    Attributes:
        id: the digest of its manifest.
        content: references of its manifest, envelope and documents, and the public key.
        key: fingerprint of the key that signed it.
    """

    id: str
    system: str
    number: int
    version: str
    run: str
    content: Mapping[str, Any]
    key: str
    person: str
    authenticated: bool
    created: str

    @property
    def ref(self) -> str:
        """`system@number`."""
        return f"{self.system}@{self.number}"


def releases(record: Record, system: str | None = None) -> list[Release]:
    """The releases of a system, or of all; the oldest first."""
    release, version, asset = tables.release, tables.version, tables.asset
    query = (
        select(release, asset.c.name.label("system"))
        .join(version, version.c.id == release.c.version)
        .join(asset, asset.c.id == version.c.asset)
        .order_by(asset.c.name, release.c.number, release.c.created, release.c.id)
    )
    if system is not None:
        query = query.where(asset.c.name == system)
    with record.database.reading() as connection:
        return [_release(dict(row)) for row in connection.execute(query).mappings()]


def latest(record: Record, system: str) -> Release | None:
    """The latest release of a system; None while there is none."""
    found = releases(record, system)
    return found[-1] if found else None


def find(record: Record, reference: str) -> Release:
    """A release by its name.

    Args:
        record: where it is looked up.
        reference: `support-desk` (the latest), `support-desk@3`, or `support-desk@` with the first digits of its digest.

    Raises:
        UserError: there is none, or two records each made one of that number.
    """
    system, at, wanted = reference.partition("@")
    known = releases(record, system)
    if not known:
        made = sorted({release.system for release in releases(record)})
        there = f"there are releases of: {', '.join(made)}" if made else f"make one with: stellwerk release make {system}"
        raise UserError(f"{system!r} has no release; {there}")
    if not at:
        return known[-1]
    found = [release for release in known if str(release.number) == wanted]
    if not found and len(wanted) >= _LEAST:
        found = [release for release in known if release.id.startswith(wanted)]
    if not found:
        numbers = ", ".join(f"@{release.number}" for release in known[-8:])
        raise UserError(f"{system} has no release {wanted!r}; it has: {numbers}")
    if len(found) > 1:
        names = " or ".join(f"{system}@{release.id[:12]}" for release in found)
        raise UserError(f"there are {len(found)} releases {reference}, for two records each made one: say {names}")
    return found[0]


def manifest(workspace: Workspace, release: Release) -> Manifest | None:
    """What a release says; None where its documents are on another machine.

    Raises:
        StellwerkError: what lies in the store is not what was put there.
    """
    reference = release.content["manifest"]
    if not workspace.store.has(reference):
        return None
    content = workspace.store.get(reference)
    if hashlib.sha256(content).hexdigest() != release.id:
        raise StellwerkError(f"the manifest of {release.ref} in the store was changed; take the store back from a backup")
    return Manifest.model_validate_json(content)


def _release(row: Mapping[str, Any]) -> Release:
    fields = ("id", "system", "number", "version", "run", "content", "key", "person", "created")
    return Release(authenticated=bool(row["authenticated"]), **{field: row[field] for field in fields})
