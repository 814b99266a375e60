"""Making a release: freezes a candidate that its gates let pass, writes and signs its documents, or says what is against it.

The documents lie in the store by their digests; release and system's version come into the record in one transaction, in which
the candidate is judged once more. A process that is killed leaves no half release.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from stellwerk import __version__
from stellwerk.errors import StellwerkError, UserError
from stellwerk.record import journal, tables
from stellwerk.record.journal import canonical
from stellwerk.record.record import now
from stellwerk.release import bom, frozen, gathering, signing
from stellwerk.release.frozen import Release
from stellwerk.release.manifest import AnchorPart, Evidence, FilePart, Head, Manifest
from stellwerk.report.words import Language
from stellwerk.standing.spec import System
from stellwerk.standing.standing import Standing, standing
from stellwerk.store.store import PREFIX

if TYPE_CHECKING:
    from stellwerk.record.record import Transaction
    from stellwerk.run import Run

KIND: Final = "system"
LANGUAGES: Final[tuple[Language, ...]] = ("en", "de")
README: Final = "README.txt"
BOM: Final = "bom.cdx.json"


class NotReleasable(UserError):
    """Gates, sign-offs or bindings are against it; the text says all of them."""

    exit_code = 1


def make(run: Run, system: str, note: str | None) -> tuple[Release, bool]:
    """Make a release, or find that the last one still says just this.

    Args:
        run: whose `system` parameter names the system's file.
        system: its name.
        note: what the releaser wants to be read.

    Returns:
        The release, and whether it was made just now.

    Raises:
        NotReleasable: something is against it.
    """
    stands = _granted(run, system)
    mark = gathering.digest(gathering.gather(run.workspace, stands))
    last = frozen.latest(run.record, system)
    if last is not None and last.content["evidence"] == mark:
        return last, last.run == run.id
    bound = [entry.version for entry in stands.bound if entry.version]
    number = last.number + 1 if last else 1
    made = run.step("release", freeze, inputs=bound, system=system, evidence=mark, number=number, note=note)
    return next(release for release in frozen.releases(run.record, system) if release.id == made["release"]), True


def freeze(run: Run, *, system: str, evidence: str, number: int, note: str | None) -> dict[str, Any]:
    """Step: write and sign the documents, and note the release."""
    stands = _granted(run, system)
    found = gathering.gather(run.workspace, stands)
    _check_still(system, found, evidence)
    key = signing.private_key(run.workspace)
    version = run.output(KIND, system, identity=stands.spec.identity, content={}, facts=_facts(stands.spec))
    head = _head(run, system, number, note, found, version, signing.raw(key))
    files = documents(head, {v.id: v.facts for v in stands.closure})
    parts = {name: FilePart(sha256=hashlib.sha256(text).hexdigest(), bytes=len(text)) for name, text in files.items()}
    payload = canonical(Manifest(**dict(head), files=parts).model_dump(mode="json"))
    manifest = run.store.put(payload)
    content = {
        "manifest": manifest,
        "envelope": run.store.put(signing.sign(payload, key)),
        "files": {name: run.store.put(text) for name, text in files.items()},
        "public_key": signing.raw(key).hex(),
        "evidence": evidence,
        "candidate": found.candidate,
    }
    name = manifest.removeprefix(PREFIX)

    def write(transaction: Transaction) -> None:
        # Nobody else writes while this transaction lasts, so what is found now holds when it is committed.
        _check_still(system, gathering.gather(run.workspace, _granted(run, system)), evidence)
        _check_number(run, system, number)
        transaction.insert(
            tables.release, id=name, run=run.id, version=version, number=number, digest=name, content=content, key=head.key,
            person=run.person, authenticated=head.authenticated, created=head.made,
        )  # fmt: skip
        for released in (version, *(part.id for part in found.versions if part.bound)):
            transaction.insert(tables.released, release=name, version=released)

    run.write(write)
    return {"release": name}


def documents(head: Head, facts: Mapping[str, Mapping[str, Any]]) -> dict[str, bytes]:
    """The documents of a release by file name: dossiers in both languages, and the bill of materials."""
    from stellwerk.release.dossier import dossier
    from stellwerk.report.page import render
    from stellwerk.report.pdf import render_pdf

    found = {BOM: bom.bom(head, facts), README: _readme(head).encode()}
    for language in LANGUAGES:
        report = dossier(head, language)
        found[f"dossier.{language}.html"] = render(report, language).encode()
        found[f"dossier.{language}.pdf"] = render_pdf(report, language, datetime.fromisoformat(head.made))
    return found


def _granted(run: Run, system: str) -> Standing:
    """How the system stands, with its file as it was when the run was submitted.

    Raises:
        NotReleasable: a release is not granted.
    """
    stands = standing(run.workspace, system, spec=run.spec("system"))
    if not stands.releasable:
        said = "\n".join(f"- {reason}" for reason in stands.reasons)
        raise NotReleasable(f"{system} is not released:\n{said}\nsee what would clear it with: stellwerk mend {system}")
    return stands


def _check_still(system: str, found: Evidence, evidence: str) -> None:
    if gathering.digest(found) != evidence:
        raise StellwerkError(f"the evidence for {system} changed meanwhile; see it with: stellwerk signals {system}")


def _check_number(run: Run, system: str, number: int) -> None:
    last = frozen.latest(run.record, system)
    if (last.number if last else 0) + 1 != number:
        raise StellwerkError(f"another release of {system} was made meanwhile; see it with: stellwerk release show {system}")


def _facts(spec: System) -> dict[str, Any]:
    return spec.model_dump(mode="json", by_alias=True, exclude=set(spec.identity))


def _head(run: Run, system: str, number: int, note: str | None, found: Evidence, version: str, public: bytes) -> Head:
    with run.record.database.reading() as connection:
        anchor = journal.head(connection)
    last = frozen.latest(run.record, system)
    return Head(
        system=system, number=number, version=version, made=now(), made_by=run.record.name_of(run.person),
        authenticated=run.authenticated, run=run.id, note=note, product=__version__,
        workspace=run.workspace.settings.name or run.workspace.root.name,
        anchor=AnchorPart(record=run.record.id, seq=anchor.seq, hash=anchor.hash), key=signing.fingerprint(public),
        previous=last.id if last else None, evidence=found,
    )  # fmt: skip


def _readme(head: Head) -> str:
    return (
        f"Release {head.ref} of {head.made[:10]}, made with Stellwerk {head.product}.\n\n"
        "Check this file as a whole, unpacked nowhere, on any machine with Stellwerk:\n\n"
        "    stellwerk release verify FILE --key KEY\n\n"
        "KEY is the public key that you were given by whoever made the release, on another way than this file. The one that\n"
        f"lies beside this text has the fingerprint (SHA-256) {head.key}.\n"
        "The envelope release.dsse.json is signed with Ed25519 (DSSE, in-toto); release.json is what it holds.\n"
    )
