"""Signing: the Ed25519 key of a workspace, and DSSE envelopes that anybody can check with the public key alone.

The key is made on first use and lies outside the record, readable for its owner only; or the settings name where it is kept.
Knows keys and envelopes. Does not know what is signed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stellwerk.errors import UserError
from stellwerk.record.journal import canonical

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from stellwerk.workspace import Workspace

FILE: Final = "signing-key"
TYPE: Final = "application/vnd.stellwerk.release+json"
_RAW: Final = 32  # bytes of a key


class NotSigned(Exception):
    """An envelope is no envelope, or its signature is not that of the key; the text says which."""


def private_key(workspace: Workspace) -> Ed25519PrivateKey:
    """The key that a workspace signs with; made where there is none yet.

    Raises:
        UserError: others can read it, or it is no such key.
    """
    place = workspace.settings.signing_key
    if place is not None:
        return _parse(workspace.credential(place), place)
    path = workspace.state / FILE
    if not path.exists():
        _make(path)
    return _parse(_read(path), str(path))


def public_key(workspace: Workspace) -> bytes | None:
    """The public key of a workspace, 32 bytes; None where it has signed nothing yet."""
    if workspace.settings.signing_key is None and not (workspace.state / FILE).exists():
        return None
    return raw(private_key(workspace))


def raw(key: Ed25519PrivateKey) -> bytes:
    """The 32 bytes of the public half of a key."""
    return key.public_key().public_bytes_raw()


def fingerprint(public: bytes) -> str:
    """What people compare: SHA-256 of the public key, in hexadecimal."""
    return hashlib.sha256(public).hexdigest()


def read_fingerprint(text: str) -> str:
    """A fingerprint that a person gave, with or without colons.

    Raises:
        UserError: it is none.
    """
    found = text.replace(":", "").strip().lower()
    if _hexadecimal(found) is None:
        raise UserError(f"{text[:80]!r} is no fingerprint of a key, expected {2 * _RAW} hexadecimal digits")
    return found


def to_pem(public: bytes) -> bytes:
    """A public key as PEM."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return Ed25519PublicKey.from_public_bytes(public).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def read_public(text: str, place: str) -> bytes:
    """A public key that a person gave, as PEM or in hexadecimal.

    Args:
        text: of the key.
        place: where it stands, for the sentence.

    Raises:
        UserError: it is neither.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if (key := _hexadecimal(text)) is not None:
        return key
    try:
        found = load_pem_public_key(text.strip().encode())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        found = None
    if not isinstance(found, Ed25519PublicKey):
        raise UserError(f"{place} holds no public key, expected an Ed25519 key as PEM or as {2 * _RAW} hexadecimal digits")
    return found.public_bytes_raw()


def sign(payload: bytes, key: Ed25519PrivateKey) -> bytes:
    """An envelope around some bytes, as canonical JSON."""
    signature = {"keyid": fingerprint(raw(key)), "sig": _encoded(key.sign(_authenticated(TYPE, payload)))}
    return canonical({"payloadType": TYPE, "payload": _encoded(payload), "signatures": [signature]})


def opened(envelope: bytes, public: bytes) -> bytes:
    """The bytes in an envelope, once its signature was found to be that of a key.

    Raises:
        NotSigned: it is not, or this is no envelope.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        found = json.loads(envelope)
        kind, payload, (signature,) = found["payloadType"], _decoded(found["payload"]), found["signatures"]
        keyid, sig = signature["keyid"], _decoded(signature["sig"])
        whole = canonical(found) == envelope
    except (ValueError, TypeError, KeyError, RecursionError):
        raise NotSigned("the envelope is damaged") from None
    if kind != TYPE or not whole:
        raise NotSigned("the envelope is not one of a release")
    if keyid != fingerprint(public):
        raise NotSigned(f"it was signed with another key, whose fingerprint is {str(keyid)[:64]}")
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(sig, _authenticated(kind, payload))
    except (InvalidSignature, ValueError):
        raise NotSigned("the signature does not fit what was signed: one of them was changed") from None
    return payload


def _authenticated(kind: str, payload: bytes) -> bytes:
    """What is signed, so that neither type nor payload can be read otherwise (DSSE's pre-authentication encoding)."""
    return b"DSSEv1 %d %s %d %s" % (len(kind.encode()), kind.encode(), len(payload), payload)


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _decoded(text: Any) -> bytes:
    content = base64.b64decode(text, validate=True)
    if _encoded(content) != text:
        raise ValueError("other spellings of the same bytes")
    return content


def _make(path: Path) -> None:
    """Write a new key; where another process has just made one, that one stays."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    text = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _read(path: Path) -> str:
    """The text of the key file, which only its owner may read."""
    try:
        if path.stat().st_mode & 0o077:
            raise UserError(f"{path} can be read by others, so anybody could sign; close it with: chmod 600 {path}")
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        raise UserError(f"{path} cannot be read as a key; take it back from a backup, or remove it to get a new one") from None


def _parse(text: str, place: str) -> Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if (key := _hexadecimal(text)) is not None:
        return Ed25519PrivateKey.from_private_bytes(key)
    try:
        found = load_pem_private_key(text.strip().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        found = None
    if not isinstance(found, Ed25519PrivateKey):
        raise UserError(
            f"{place} holds no signing key, expected an Ed25519 key as PEM (PKCS8, without a password) or as {2 * _RAW} "
            "hexadecimal digits; take it back from a backup, or remove it to get a new one"
        )
    return found


def _hexadecimal(text: str) -> bytes | None:
    try:
        found = binascii.unhexlify(text.strip().encode())
    except (binascii.Error, ValueError):
        return None
    return found if len(found) == _RAW else None
