"""How much may come in and how slowly, paths that are no paths, and what every answer carries: attacked on a real server."""

from __future__ import annotations

import logging
import re
import socket
import time

import httpx
import pytest
from guarded import PASSWORD, PLANTED, Server, assert_headers

from databases import ON_POSTGRESQL
from stellwerk.access import tokens
from stellwerk.doors import headers, limits, patience
from stellwerk.record import tables


def test_a_body_that_is_too_large_is_refused_with_and_without_its_length(local_server: Server) -> None:
    client = local_server.client()
    limit = local_server.policy.body
    assert client.post("/api/me", json="x" * (limit - 2)).status_code == 200
    head = f"POST {{path}} HTTP/1.1\r\nHost: 127.0.0.1:{local_server.port}\r\nContent-Type: application/json\r\n"
    for path in ("/api/me", "/api/swallow"):
        declared = head.format(path=path) + f"Content-Length: {limit + 1}\r\n\r\n"
        assert local_server.raw(declared.encode()).startswith(b"HTTP/1.1 413")
        chunked = (head.format(path=path) + "Transfer-Encoding: chunked\r\n\r\n").encode()
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        assert local_server.raw(chunked + chunk * (limit // 65536 + 1), 3).startswith(b"HTTP/1.1 413")
    csrf = re.findall("<i>(.+)</i>", client.get("/").text)[0]
    before = local_server.calls
    assert (
        client.post("/change", data={"csrf": csrf, "a": "x" * limit}, headers={"Origin": local_server.origin}).status_code
        == 413
    )
    assert local_server.calls == before
    for length in (b"-1", b"1e3", b"0x10", b"99999999999999999999"):
        answer = local_server.raw(head.format(path="/api/me").encode() + b"Content-Length: " + length + b"\r\n\r\n")
        assert re.match(rb"HTTP/1.1 4(00|13)", answer), length


def test_an_upload_may_be_larger_up_to_its_own_limit(local_server: Server) -> None:
    client = local_server.client()
    parts = (b"x" * 2**20 for _ in range(60))
    assert client.post("/api/uploads", content=parts).json() == {"size": 60 * 2**20}
    local_server.uploaded = 0
    chunk = b"100000\r\n" + b"x" * 2**20 + b"\r\n"
    head = f"POST /api/uploads HTTP/1.1\r\nHost: 127.0.0.1:{local_server.port}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    assert local_server.raw(head + chunk * 65, 5).startswith(b"HTTP/1.1 413")
    assert local_server.uploaded == 0
    for path in ("/api/uploadsx", "/api/me", "/x/api/uploads"):
        assert local_server.raw(head.replace(b"/api/uploads", path.encode()) + chunk * 2, 3).startswith(
            (b"HTTP/1.1 413", b"HTTP/1.1 415", b"HTTP/1.1 403")
        )


def test_of_forms_only_those_with_files_may_be_large(login_server: Server) -> None:
    client = login_server.logged_in()
    for path in ("/begin/file", "/operations/data.try"):
        parts = client.build_request("POST", path, files={"csrf": (None, "x"), "file": ("a.csv", b"x" * 2**21)})
        assert client.send(parts).status_code == 403  # the guard looked whether it is ours
        answer = client.post(path, data={"csrf": "x", "a": "x" * 2**20})
        assert (answer.status_code, login_server.calls) == (413, 0), path


def test_a_form_of_too_many_fields_is_no_fault_of_ours(login_server: Server) -> None:
    answer = login_server.logged_in().post("/change", data={f"f{number}": "x" for number in range(1500)})
    assert (answer.status_code, "fields" in answer.json()["error"]) == (413, True)


@pytest.mark.parametrize("named", ["punycode", '"PunyCode"', "unicode_escape", "undefined", "utf-8; charset=punycode"])
def test_a_form_cannot_choose_an_encoding_that_takes_minutes_to_read(login_server: Server, named: str) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\na-' + b"b" * 300_000 + b"\r\n--x--\r\n"
    for charset, status in ((named, 415), ("UTF-8", 401)):
        kind = f"multipart/form-data; boundary=x; charset={charset}"
        extra = b'--x\r\nContent-Disposition: form-data; name="password"\r\n\r\nguess\r\n'
        began = time.monotonic()
        answer = login_server.client().post(
            "/login", content=extra + body, headers={"Origin": login_server.origin, "Content-Type": kind}
        )
        assert answer.status_code == status
        assert time.monotonic() - began < 5
    for kind in (
        "multipart/form-data; boundary=x; charset*=utf-8''punycode",
        "multipart/form-data; boundary=x; charset*0=puny",
    ):
        headers_ = {"Origin": login_server.origin, "Content-Type": kind}
        assert login_server.client().post("/login", content=body, headers=headers_).status_code == 415


def test_a_body_that_drips_in_is_cut_off(local_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "GRACE", 1.0)
    head = f"POST /api/me HTTP/1.1\r\nHost: 127.0.0.1:{local_server.port}\r\nContent-Type: application/json\r\n"
    head += "Content-Length: 1000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", local_server.port), timeout=10) as connection:
        connection.sendall(head.encode())
        began, found = time.monotonic(), b""
        connection.settimeout(0.2)
        while time.monotonic() - began < 8 and not found:
            connection.sendall(b" ")
            try:
                found = connection.recv(4096)
            except TimeoutError:
                continue
    assert found.startswith(b"HTTP/1.1 408")
    assert 0.8 < time.monotonic() - began < 4


def test_a_stream_may_last_longer_than_a_body(local_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "GRACE", 0.2)
    with local_server.client().stream("GET", "/api/stream") as answer:
        times = [(time.monotonic(), line) for line in answer.iter_lines() if line]
    assert [line for _, line in times] == ["data: 0", "data: 1", "data: 2"]
    assert times[-1][0] - times[0][0] > 0.4  # they came as they were made
    assert_headers(answer)


def test_heads_that_are_too_large_or_ambiguous_are_refused(local_server: Server) -> None:
    client = local_server.client()
    assert client.get("/?" + "a" * limits.TARGET).status_code == 414
    assert client.get("/", headers={f"x-{n}": "a" for n in range(limits.HEADERS)}).status_code == 431
    assert client.get("/", headers={"x": "a" * limits.HEAD}).status_code == 431
    assert client.get("/", headers=[("Authorization", "Bearer a"), ("Authorization", "Bearer b")]).status_code == 400
    assert (
        client.post("/api/me", headers=[("Origin", local_server.origin), ("Origin", "https://evil.example")]).status_code == 400
    )
    name = f"Host: 127.0.0.1:{local_server.port}\r\n"
    get = f"GET /api/me HTTP/1.1\r\n{name}"
    post = f"POST /api/me HTTP/1.1\r\n{name}Content-Type: application/json\r\n"
    for head in (
        get + "X: a\rB: c\r\n\r\n",
        get + "X : a\r\n\r\n",
        get + "X: \0\r\n\r\n",
        f"GET /\n HTTP/1.1\r\n{name}\r\n",
        post + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        post + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        post + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}" + get + "\r\n",
    ):
        answer = local_server.raw(head.encode(), 3)
        assert answer.startswith(b"HTTP/1.1 400"), head
        assert answer.count(b"HTTP/1.1") == 1


def test_a_connection_that_does_not_say_what_it_wants_is_closed(local_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "HEAD", 1.0)
    began = time.monotonic()
    assert local_server.raw(b"") == b""
    assert 0.8 < time.monotonic() - began < 4
    whole = f"GET /api/me HTTP/1.1\r\nHost: 127.0.0.1:{local_server.port}\r\n\r\n".encode()
    for first in (b"", whole):
        with socket.create_connection(("127.0.0.1", local_server.port), timeout=10) as connection:
            connection.sendall(first)
            began = time.monotonic()
            with pytest.raises(OSError):
                for sign in b"GET / HTTP/1.1\r\nX: " + b"a" * 100:
                    connection.sendall(bytes([sign]))
                    time.sleep(0.1)
            assert 0.8 < time.monotonic() - began < 4
    # A request whose answer takes longer is not a head that takes longer.
    monkeypatch.setattr(patience, "HEAD", 0.1)
    with local_server.client().stream("GET", "/api/stream") as answer:
        assert "".join(answer.iter_text()).count("data:") == 3


TRICKS = [
    "/static/../secret.txt",
    "/static/%2e%2e/secret.txt",
    "/static/..%2fsecret.txt",
    "/static/%2e%2e%2fsecret.txt",
    "//static/../secret.txt",
    "/static/%252e%252e/secret.txt",
    "/static/..\\secret.txt",
    "/static/..%5csecret.txt",
    "/static/%00a.css",
    "/static//etc/passwd",
    "/./api/me",
    "/static/..;/secret.txt",
    "/static/%c0%ae%c0%ae/secret.txt",
    "/login/../api/me",
    "/static/../api/me",
    "/login%2f..%2fapi%2fme",
]


@pytest.mark.parametrize("path", TRICKS)
def test_tricks_with_paths_lead_nowhere(local_server: Server, login_server: Server, path: str) -> None:
    for server in (local_server, login_server):
        answer = server.raw(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: close\r\n\r\n".encode())
        assert re.match(rb"HTTP/1.1 (400|404|303|401)", answer), answer[:100]
        assert PLANTED.encode() not in answer
        assert b"scopes" not in answer


@pytest.mark.parametrize("path", ["/a/../b", "/a/./b", "/..", "/a//b", "/a%5Cb", "/a%2F..%2Fb", "/a%00", "/a%0Ab", "//a"])
def test_a_path_that_another_program_may_read_otherwise_is_refused(local_server: Server, path: str) -> None:
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{local_server.port}\r\nConnection: close\r\n\r\n"
    assert local_server.raw(head.encode()).startswith(b"HTTP/1.1 400")


def test_a_request_that_is_answered_before_its_end_does_not_hold_its_connection(
    local_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "HEAD", 1.0)
    head = f"POST /api/me HTTP/1.1\r\nHost: 127.0.0.1:{local_server.port}\r\nContent-Length: 2000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", local_server.port), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 413")
        began = time.monotonic()
        with pytest.raises(OSError):
            for _ in range(100):
                connection.sendall(b"x")
                time.sleep(0.1)
        assert time.monotonic() - began < 5


def test_a_websocket_is_not_served(local_server: Server) -> None:
    head = f"GET /api/me HTTP/1.1\r\nHost: 127.0.0.1:{local_server.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    head += "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    assert b" 101 " not in local_server.raw(head.encode(), 2)


def test_every_answer_carries_the_headers(local_server: Server, login_server: Server) -> None:
    for path in (
        "/",
        "/nothing",
        "/fault",
        "/api/me",
        "/api/fault",
        "/api/nothing",
        "/mcp",
        "/lax",
        "/static/nothing",
        "/login",
    ):
        assert_headers(local_server.client().get(path))
        assert_headers(login_server.client().get(path))
    assert_headers(local_server.client().head("/"))
    assert_headers(local_server.client().delete("/"))
    assert_headers(local_server.client().get("/static/a.css"), cache="")
    assert_headers(login_server.logged_in().get("/"))
    assert local_server.client().get("/document").headers.get_list("content-security-policy") == [headers.SANDBOX]


def test_a_line_break_in_an_address_makes_no_header(login_server: Server) -> None:
    for path in ("/x%0d%0aSet-Cookie:%20a=b", "/?next=%0d%0aSet-Cookie:%20a=b", "/login?next=/%0d%0aX:%20y"):
        answer = login_server.raw(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{login_server.port}\r\nConnection: close\r\n\r\n".encode()
        )
        assert b"\nSet-Cookie" not in answer
        assert b"\nX: y" not in answer
    answer = login_server.client(headers={"Origin": login_server.origin}).post(
        "/login", data={"name": "anna", "password": PASSWORD, "next": "/\r\nX: y"}
    )
    assert answer.headers["location"] == "/"
    assert "x" not in answer.headers


def test_a_fault_tells_its_number_and_nothing_else(local_server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for path in ("/fault", "/api/fault"):
        caplog.clear()
        answer = local_server.client().get(path)
        assert answer.status_code == 500
        assert "Traceback" not in answer.text
        assert "guarded.py" not in answer.text
        number = answer.json()["id"]
        assert re.fullmatch("[0-9a-f]{8}", number)
        assert number in answer.json()["error"]
        assert f"fault {number}: RuntimeError" in caplog.text
        assert "guarded.py" in caplog.text
        assert PLANTED not in answer.text + caplog.text
    with pytest.raises(httpx.RemoteProtocolError):  # a cut-off answer must not look like a whole one
        local_server.client().get("/api/broken")
    assert PLANTED not in caplog.text


def test_no_secret_is_in_the_log_or_the_record(login_server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    text, _ = tokens.make(login_server.workspace, "ci", ["read"], 1)
    client = login_server.logged_in()
    (cookie,) = client.cookies.values()
    login_server.client(headers={"Authorization": f"Bearer {text}"}).get("/api/fault")
    client.get("/fault")
    client.get("/api/fault", params={"token": text})
    wrong = "ein falsches Passwort 4711"
    form = {"name": wrong, "password": wrong}
    assert login_server.client(headers={"Origin": login_server.origin}).post("/login", data=form).status_code == 401
    assert "a login from 127.0.0.1 failed" in caplog.text
    kept = "".join(
        repr(vars(record)) for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))
    ).encode()
    kept += repr([login_server.workspace.record.rows(table) for table in tables.metadata.sorted_tables]).encode()
    if not ON_POSTGRESQL:
        kept += b"".join(path.read_bytes() for path in login_server.workspace.state.glob("record.db*"))
    assert b"anna" in kept
    for secret in (PASSWORD, wrong, text, cookie, *cookie.split(".")):
        assert secret.encode() not in kept
