"""The guard: what may be reached, what may not, and what goes along on a redirect."""

from __future__ import annotations

import datetime as dt
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from misbehaving import Reply, Server

from stellwerk.errors import UserError
from stellwerk.jobs.data.sources import guard

LOOP = ["127.0.0.1"]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.9.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "0.0.0.0",
        "0.1.2.3",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "168.63.129.16",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "fec0::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:808:808::",
        "2001:0:1::1",
    ],
)
def test_no_public_address(address: str) -> None:
    with pytest.raises(
        UserError, match=r"kb\.example\.com .*not public.*stellwerk\.yaml: network: \{allow: \[kb\.example\.com\]\}"
    ):
        guard.checked("kb.example.com", 443, allow=[], resolve=lambda host, port: [address])


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"])
def test_public_address(address: str) -> None:
    assert guard.checked("kb.example.com", 443, allow=[], resolve=lambda host, port: [address]) == [address]


@given(st.ip_addresses(v=4))
def test_an_address_inside_another_is_judged_as_itself(address: object) -> None:
    inner = guard.ipaddress.ip_address(str(address))
    mapped = guard.ipaddress.ip_address(f"::ffff:{address}")
    translated = guard.ipaddress.ip_address(int(guard.NAT64.network_address) + int(inner))
    assert guard.is_public(mapped) == guard.is_public(translated) == guard.is_public(inner)


def test_one_bad_address_among_good_ones_is_enough() -> None:
    with pytest.raises(UserError):
        guard.checked("kb.example.com", 443, allow=[], resolve=lambda host, port: ["1.1.1.1", "10.0.0.1"])


@pytest.mark.parametrize("entry", ["10.0.0.0/8", "10.0.0.1", "KB.example.com", "kb.example.com."])
def test_allowed(entry: str) -> None:
    assert guard.checked("kb.example.com.", 443, allow=[entry], resolve=lambda host, port: ["10.0.0.1"]) == ["10.0.0.1"]


def test_allowing_one_is_not_allowing_another() -> None:
    with pytest.raises(UserError):
        guard.checked("kb.example.com", 443, allow=["11.0.0.0/8", "example.com"], resolve=lambda host, port: ["10.0.0.1"])


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "0x7f000001", "2130706433", "017700000001", "127.1", "[::1]", "0", "[::]", "[::ffff:7f00:1]"],
)
def test_no_spelling_of_this_machine(server: Server, host: str) -> None:
    url = server.on("/spelt", Reply(b"{}"))
    with pytest.raises((UserError, requests.RequestException)) as caught:
        guard.session([]).get(url.replace("127.0.0.1", host), timeout=5)
    assert not server.to("/spelt"), caught.value


@pytest.mark.parametrize("url", ["ftp://example.com/x", "file:///etc/passwd", "gopher://example.com", "https://", "x"])
def test_other_schemes(url: str) -> None:
    with pytest.raises(UserError, match="https://"):
        guard.check_url(url)


@pytest.mark.parametrize("url", ["https://user:geheim77@example.com/", "https://geheim77@example.com", "https://a:geheim77@[x"])
def test_a_password_in_an_address_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(UserError) as caught:
        guard.check_url(url)
    assert "geheim77" not in str(caught.value)


def test_the_checked_address_is_dialled_and_nothing_else(server: Server) -> None:
    url = server.on("/pinned", Reply({"ok": True}))
    answers = iter([["127.0.0.1"]])
    session = guard.session(LOOP, resolve=lambda host, port: next(answers))
    # The name is known to no name server, so the address that the resolver gave was dialled, and it was asked once.
    assert session.get(url.replace("127.0.0.1", "kb.invalid"), timeout=5).json() == {"ok": True}
    assert server.to("/pinned")[-1].headers["Host"] == f"kb.invalid:{server.port}"


def test_rebinding(server: Server) -> None:
    """A name that is public at first and this machine at the next connection."""
    server.on("/rebound", Reply({"secret": 1}))
    answers = iter([["127.0.0.1"], ["127.0.0.2"]])
    session = guard.session(LOOP, resolve=lambda host, port: next(answers))
    url = server.url("/closed", "kb.invalid")
    server.on("/closed", Reply(b"{}", headers={"Connection": "close"}))
    session.get(url, timeout=5).close()
    with pytest.raises(UserError):
        session.get(server.url("/rebound", "kb.invalid"), timeout=5)
    assert not server.to("/rebound")


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/latest/meta-data", "http://localhost:{port}/inner", "http://[::1]:{port}/inner"]
)
def test_redirect_inside(server: Server, target: str) -> None:
    server.on("/inner", Reply({"inner": 1}))
    url = server.on("/go-in", Reply(status=302, headers={"Location": target.format(port=server.port)}))
    with pytest.raises(UserError, match="not public"):
        guard.session(
            LOOP, resolve=lambda h, p: ["127.0.0.1"] if h == "127.0.0.1" else ["127.0.0.2"] if h == "localhost" else [h]
        ).get(url, timeout=5)
    assert not server.to("/inner")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://example.com/", "http://a:b@127.0.0.1/"])
def test_redirect_to_another_scheme_or_with_a_password(server: Server, target: str) -> None:
    url = server.on("/go-odd", Reply(status=302, headers={"Location": target}))
    with pytest.raises(UserError):
        guard.session(LOOP).get(url, timeout=5)


def test_redirects_are_followed_five_times(server: Server) -> None:
    for step in range(8):
        server.on(f"/hop{step}", Reply(status=302, headers={"Location": f"/hop{step + 1}"}))
    server.on("/hop7", Reply({"end": 1}))
    assert guard.session(LOOP).get(server.url("/hop2"), timeout=5).json() == {"end": 1}
    with pytest.raises(UserError, match="more than 5 times"):
        guard.session(LOOP).get(server.url("/hop1"), timeout=5)


def test_a_redirect_with_an_endless_body_is_not_read(server: Server) -> None:
    server.on("/fine", Reply({"fine": 1}))
    endless = (b"x" * 65536 for _ in iter(int, 1))
    url = server.on("/endless", Reply(status=302, headers={"Location": "/fine"}, length=-1, more=endless))
    assert guard.session(LOOP).get(url, timeout=5).json() == {"fine": 1}


@pytest.mark.parametrize("elsewhere", [True, False])
def test_credentials_stay_with_their_host(server: Server, elsewhere: bool) -> None:
    host = "other.invalid" if elsewhere else "127.0.0.1"
    target = server.url("/arrived", host)
    url = server.on("/leave", Reply(status=302, headers={"Location": target, "Set-Cookie": "sid=geheim77"}))
    server.on("/arrived", Reply({}))
    session = guard.session(LOOP, resolve=lambda h, p: ["127.0.0.1"])
    session.get(
        url, headers={"Authorization": "Bearer geheim77", "X-API-Key": "geheim77", "Accept": "text/x"}, timeout=5
    ).close()
    sent = server.to("/arrived")[-1].headers
    assert sent["Accept"] == "text/x"
    assert ("geheim77" in str(sent)) is not elsewhere


def test_a_post_is_not_sent_on(server: Server) -> None:
    url = server.on("/token", Reply(status=307, headers={"Location": "/other"}))
    server.on("/other", Reply({}))
    with pytest.raises(UserError):
        guard.session(LOOP).post(url, data={"client_secret": "geheim77"}, timeout=5)
    assert not server.to("/other")


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("https://a/x", "https://a/y", True),
        ("https://a/x", "https://A:443/y", True),
        ("http://a/", "https://a/", True),
        ("https://a/", "http://a/", False),
        ("https://a/", "https://a:8443/", False),
        ("https://a/", "https://b.a/", False),
    ],
)
def test_same_place(first: str, second: str, same: bool) -> None:
    assert guard.same_place(first, second) is same


def test_proxies_of_the_environment_are_not_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, server.url("/"))
    with pytest.raises(UserError):
        guard.session([], resolve=lambda h, p: ["10.0.0.1"]).get("http://kb.example.com/", timeout=5)


def test_tls_is_verified_by_name_though_an_address_is_dialled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = _certificate(tmp_path, "kb.invalid")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with Server((certificate, key)) as server:
        server.on("/safe", Reply({"safe": 1}))
        session = guard.session(LOOP, resolve=lambda h, p: ["127.0.0.1"])
        assert session.get(server.url("/safe", "kb.invalid"), timeout=5).json() == {"safe": 1}
        with pytest.raises(requests.exceptions.SSLError):
            session.get(server.url("/safe", "other.invalid"), timeout=5)
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
        with pytest.raises(requests.exceptions.SSLError):
            guard.session(LOOP, resolve=lambda h, p: ["127.0.0.1"]).get(server.url("/safe", "kb.invalid"), timeout=5)


def _certificate(folder: Path, name: str) -> tuple[Path, Path]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - dt.timedelta(1)).not_valid_after(now + dt.timedelta(1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate = builder.sign(key, hashes.SHA256())
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return folder / "cert.pem", folder / "key.pem"


def test_queries_stay_out_of_logs(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="urllib3.connectionpool")
    guard.session(LOOP).get(server.on("/logged", Reply({})) + "?api_key=geheim77", timeout=5).close()
    assert "/logged" in caplog.text
    assert "geheim77" not in caplog.text


def test_no_answer_is_an_error_of_the_library(server: Server) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(requests.ConnectionError):
        guard.session(LOOP).get(f"http://127.0.0.1:{port}/", timeout=5)
