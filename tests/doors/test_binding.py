"""Where the server listens, and what it then asks of callers."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from guarded import PASSWORD, Server, people

from stellwerk.access import tokens
from stellwerk.doors import binding
from stellwerk.errors import UserError
from stellwerk.workspace import Workspace


def test_nothing_listens_beyond_this_machine_without_login_and_tls(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path / "w")
    behind = {"behind_proxy": True, "names": ["s.example"]}
    for host, options in [
        ("0.0.0.0", {"names": ["s.example"]}),
        ("10.0.0.7", {}),
        ("::", {"names": ["s.example"]}),
        ("192.168.1.2", behind),
        ("127.0.0.1", behind),
        ("127.0.0.1", {"names": ["s.example"]}),
        ("127.0.0.1", {"login": True}),
        ("127.0.0.1", {"behind_proxy": True, "names": ["localhost:9000"]}),
    ]:
        with pytest.raises(UserError, match="stellwerk access account NAME"):
            binding.policy_for(workspace, host, 8000, **options)
    text, _ = tokens.make(workspace, "ci", ["read"], 1)
    for host in ("0.0.0.0", "10.0.0.7", "::"):
        with pytest.raises(UserError, match="--certificate FILE --key FILE"):
            binding.policy_for(workspace, host, 8000, names=["s.example"])
    with pytest.raises(UserError, match="--name"):
        binding.policy_for(workspace, "0.0.0.0", 8000, behind_proxy=True)
    found = binding.policy_for(workspace, "10.0.0.7", 8000, names=["s.example"], behind_proxy=True)
    assert (found.require_login, found.secure) == (True, True)
    assert found.hosts == {"10.0.0.7:8000", "s.example", "s.example:8000"}
    tokens.revoke(workspace, "ci")
    with pytest.raises(UserError, match="stellwerk access account NAME"):
        binding.policy_for(workspace, "10.0.0.7", 8000, names=["s.example"], behind_proxy=True)
    assert text


def test_this_machine_needs_no_login_and_answers_to_its_own_names(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path / "w")
    for host, own in [
        ("127.0.0.1", "127.0.0.1:8080"),
        ("localhost", "localhost:8080"),
        ("::1", "[::1]:8080"),
        ("127.0.0.5", "127.0.0.5:8080"),
    ]:
        found = binding.policy_for(workspace, host, 8080)
        assert not found.require_login
        assert {own, "127.0.0.1:8080", "localhost:8080", "[::1]:8080"} == found.hosts
    assert binding.policy_for(workspace, "127.0.0.1", 80).hosts == {"127.0.0.1", "localhost", "[::1]"}


def test_tls_is_served_with_a_certificate_and_a_wrong_one_is_named(tmp_path: Path, static_files: Path) -> None:
    workspace = Workspace.init(tmp_path / "w")
    people(workspace)
    certificate, key = self_signed(tmp_path)
    with pytest.raises(UserError, match="both"):
        binding.policy_for(workspace, "10.0.0.7", 8000, certificate=certificate)
    with pytest.raises(UserError, match="PEM"):
        binding.policy_for(workspace, "10.0.0.7", 8000, certificate=key, key=certificate)
    with pytest.raises(UserError, match="PEM"):
        binding.policy_for(workspace, "10.0.0.7", 8000, certificate=tmp_path / "none.pem", key=key)
    with Server(workspace, static_files, certificate=certificate, key=key, login=True) as server:
        client = server.client(verify=ssl.create_default_context(cafile=str(certificate)), headers={"Origin": server.origin})
        answer = client.post("/login", data={"name": "anna", "password": PASSWORD})
        assert answer.status_code == 303
        assert "Secure" in answer.headers["set-cookie"]
        assert "<p>anna</p>" in client.get("/").text


def self_signed(folder: Path) -> tuple[Path, Path]:
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    certificate, private = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, private
