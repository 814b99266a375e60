"""The key is made once and closed to others; an envelope opens only with the key that it was signed with, and unchanged."""

from __future__ import annotations

import base64
import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from databases import set_settings
from stellwerk.errors import UserError
from stellwerk.release import signing
from stellwerk.workspace import Workspace

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
PAYLOAD = b'{"system":"desk"}'
ENVELOPE = signing.sign(PAYLOAD, KEY)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    return Workspace.init(tmp_path / "workspace")


def test_the_key_is_made_on_first_use_for_its_owner_only(workspace: Workspace) -> None:
    assert signing.public_key(workspace) is None, "looking makes no key"
    public = signing.raw(signing.private_key(workspace))
    file = workspace.state / "signing-key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert signing.raw(signing.private_key(workspace)) == public == signing.public_key(workspace)
    assert [path.name for path in workspace.state.glob("*signing*")] == ["signing-key"], "nothing half-written stays"


def test_of_two_processes_that_make_the_key_both_have_the_same(workspace: Workspace) -> None:
    code = (
        "import sys; from pathlib import Path; from stellwerk.workspace import Workspace\n"
        "from stellwerk.release import signing\n"
        "print(signing.raw(signing.private_key(Workspace(Path(sys.argv[1])))).hex())"
    )
    begun = [
        subprocess.Popen([sys.executable, "-c", code, str(workspace.root)], stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    assert len({process.communicate(timeout=60)[0] for process in begun}) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(workspace: Workspace, mode: int) -> None:
    signing.private_key(workspace)
    (workspace.state / "signing-key").chmod(mode)
    with pytest.raises(UserError, match="chmod 600"):
        signing.private_key(workspace)


@pytest.mark.parametrize("text", ["", "no key", "00" * 31, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "é"])
def test_what_is_no_key_is_told_without_its_text(workspace: Workspace, text: str) -> None:
    file = workspace.state / "signing-key"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(UserError, match="signing-key") as told:
        signing.private_key(workspace)
    assert not text or text not in str(told.value)


@pytest.mark.parametrize("form", ["pem", "hexadecimal"])
def test_the_settings_may_name_a_key(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    pem = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    monkeypatch.setenv("DESK_KEY", pem if form == "pem" else bytes(range(32)).hex())
    set_settings(workspace.root, "signing_key: env:DESK_KEY\n")
    there = Workspace(workspace.root)
    assert signing.public_key(there) == PUBLIC
    assert not (there.state / "signing-key").exists()


def test_the_envelope_is_dsse_as_others_read_it() -> None:
    found = json.loads(ENVELOPE)
    payload = base64.b64decode(found["payload"])
    kind = found["payloadType"].encode()
    signed = b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload])
    (signature,) = found["signatures"]
    Ed25519PublicKey.from_public_bytes(PUBLIC).verify(base64.b64decode(signature["sig"]), signed)
    assert payload == PAYLOAD
    assert signature["keyid"] == signing.fingerprint(PUBLIC)
    assert signing.opened(ENVELOPE, PUBLIC) == PAYLOAD


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, len(ENVELOPE) - 1), byte=st.integers(1, 255))
def test_no_byte_of_an_envelope_can_be_another(place: int, byte: int) -> None:
    changed = bytearray(ENVELOPE)
    changed[place] ^= byte
    with pytest.raises(signing.NotSigned):
        signing.opened(bytes(changed), PUBLIC)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"null", b"\xff", b"[" * 100_000, b'{"payloadType":1}'])
def test_what_is_no_envelope_is_refused(content: bytes) -> None:
    with pytest.raises(signing.NotSigned):
        signing.opened(content, PUBLIC)


def test_another_key_does_not_open_it() -> None:
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    with pytest.raises(signing.NotSigned, match="another key"):
        signing.opened(ENVELOPE, other)


def test_a_public_key_is_read_as_pem_or_in_hexadecimal() -> None:
    assert signing.read_public(signing.to_pem(PUBLIC).decode(), "key.pem") == PUBLIC
    assert signing.read_public(f"  {PUBLIC.hex()}\n", "key.txt") == PUBLIC
    with pytest.raises(UserError, match="holds no public key"):
        signing.read_public("ssh-ed25519 AAAA", "key.pem")
