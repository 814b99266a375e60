"""Verifying an exported release with nothing but the file and, better, the public key that one was given on another way.

Every byte of the file counts: the signature vouches for the manifest, the manifest for each document, and the members for the
file that they lie in. Reads no record, but where it has one says whether that knows the release.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic import ValidationError

from stellwerk.errors import UserError
from stellwerk.release import bundle, signing
from stellwerk.release.manifest import Manifest

ENVELOPE: Final = "release.dsse.json"
MANIFEST: Final = "release.json"
KEY: Final = "public-key.pem"
OWN: Final = (ENVELOPE, MANIFEST, KEY)


@dataclass
class Findings:
    """What was found of a file.

    Attributes:
        manifest: what was signed; None where the signature does not hold.
        public: the public key that the signature was checked with.
        problems: a sentence each; with none, every byte is as it was exported.
    """

    manifest: Manifest | None = None
    public: bytes | None = None
    members: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def pack(manifest: bytes, envelope: bytes, public: bytes, files: Mapping[str, bytes]) -> bytes:
    """The file of a release."""
    return bundle.pack({**files, MANIFEST: manifest, ENVELOPE: envelope, KEY: signing.to_pem(public)})


def check(content: bytes, public: bytes | None) -> Findings:
    """Check the bytes of a file.

    Args:
        content: of the file.
        public: the key that it has to be signed with; None for the one that lies in it.
    """
    found = Findings()
    try:
        members = bundle.unpack(content)
    except bundle.Damaged as error:
        found.problems.append(f"this is no exported release: {error}")
        return found
    found.members = sorted(members)
    found.public = _key(members, public, found.problems)
    if found.public is not None:
        found.manifest = _opened(members, found.public, found.problems)
    if found.manifest is not None:
        _compare(members, found.manifest, found.problems)
    if not found.problems and bundle.pack(members) != content:
        found.problems.append(
            "the file is not byte for byte what was exported, though its members are: it was packed anew, or something was "
            "put between them"
        )
    return found


def _key(members: Mapping[str, bytes], public: bytes | None, problems: list[str]) -> bytes | None:
    """The key to check with; the one that lies in the file has to be readable either way."""
    if KEY not in members:
        problems.append(f"{KEY} is missing")
        return public
    try:
        inside = signing.read_public(members[KEY].decode("ascii"), KEY)
        if signing.to_pem(inside) != members[KEY]:
            raise ValueError
    except (UserError, ValueError):
        problems.append(f"{KEY} was changed: it is no public key as an export writes it")
        return public
    if public is not None and inside != public:
        problems.append(
            f"{KEY} is not the key that was expected; its fingerprint is {signing.fingerprint(inside)}, expected "
            f"{signing.fingerprint(public)}"
        )
    return public or inside


def _opened(members: Mapping[str, bytes], public: bytes, problems: list[str]) -> Manifest | None:
    if ENVELOPE not in members:
        problems.append(f"{ENVELOPE} is missing")
        return None
    try:
        payload = signing.opened(members[ENVELOPE], public)
    except signing.NotSigned as error:
        problems.append(f"{ENVELOPE}: {error}")
        return None
    try:
        manifest = Manifest.model_validate_json(payload)
    except ValidationError:
        problems.append(f"{ENVELOPE}: it holds no release that this version of Stellwerk knows; use the version that made it")
        return None
    if manifest.key != signing.fingerprint(public):
        problems.append(f"{ENVELOPE}: the release in it names another key than the one that it was signed with")
    if MANIFEST not in members:
        problems.append(f"{MANIFEST} is missing")
    elif members[MANIFEST] != payload:
        problems.append(f"{MANIFEST} was changed: it is not what was signed")
    return manifest


def _compare(members: Mapping[str, bytes], manifest: Manifest, problems: list[str]) -> None:
    """Each document is there and as it was signed, and nothing beside them."""
    for name, part in sorted(manifest.files.items()):
        if name not in members:
            problems.append(f"{name} is missing")
        elif hashlib.sha256(members[name]).hexdigest() != part.sha256:
            problems.append(f"{name} was changed: its digest is not the one that was signed")
    for name in sorted(members.keys() - manifest.files.keys() - set(OWN)):
        problems.append(f"{name[:60]!r} was added: the release has no such document")
