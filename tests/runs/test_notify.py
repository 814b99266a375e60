"""Who asked is told how a queued run ended, by a webhook or an e-mail, and nothing leaks where that fails."""

from __future__ import annotations

import email
import email.policy
import json
import logging
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from databases import set_settings
from servers import free_port
from stellwerk.errors import StellwerkError
from stellwerk.operation import find
from stellwerk.record import leases, tables
from stellwerk.runs import execution, notify, queue
from stellwerk.runs.worker import Worker
from stellwerk.workspace import Workspace

TOKEN = "T0KEN-in-the-path"


class Hook:
    """A webhook's server: keeps what it was sent, and answers with the codes that it was given, then with 200."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.got: list[dict[str, Any]] = []
        self.asked: list[str] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.asked.append(self.path)
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.headers["Content-Type"].startswith("application/json")
                code = hook.codes.pop(0) if hook.codes else 200
                if code == 200:
                    hook.got.append(json.loads(body))
                self.send_response(code)
                self.send_header("Location", f"http://127.0.0.1:{hook.port}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST  # noqa: N815 - as the library names it

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/{TOKEN}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.server.shutdown()
    made.server.server_close()


class Mailbox:
    """Keeps the letters that a mail server is given, and who logged in."""

    def __init__(self) -> None:
        self.letters: list[Any] = []
        self.to: list[str] = []
        self.logins: list[tuple[str, str]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.letters.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        self.to += envelope.rcpt_tos
        return "250 OK"

    def log_in(self, server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
        self.logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password == b"geheim-9")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 and its key, made for this test."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"], cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return folder / "cert.pem", folder / "key.pem"


def ended(workspace: Workspace, name: str, **values: Any) -> str:
    """A queued run of that name that has ended, and of whose end nobody was told."""
    run = queue.enqueue(workspace, find(f"probework.{name}"), values)
    with suppress(StellwerkError):
        execution.resume(workspace, run)
    return run


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the product logged; the mail server logs too."""
    return [record.getMessage() for record in caplog.records if record.name == "stellwerk.worker"]


def told(workspace: Workspace, settings: str, run: str, waits: list[float] | None = None) -> None:
    set_settings(workspace.root, f"name: Müller & Söhne\nnotify:\n{settings}")
    fresh = Workspace(workspace.root)
    notify.tell(fresh, run, wait=(waits if waits is not None else []).append)
    fresh.record.database.close()


def test_a_webhook_is_told_what_happened_in_json_that_chat_programs_show(small: Workspace, hook: Hook) -> None:
    failed, stopped, done = ended(small, "fail"), ended(small, "check", failed=2), ended(small, "check", failed=0)
    for run in (failed, stopped, done):
        told(small, f"  - {{webhook: '{hook.url}', when: [failed, stopped, done]}}\n", run)
    assert [(one["run"], one["state"]) for one in hook.got] == [(failed, "failed"), (stopped, "stopped"), (done, "done")]
    first = hook.got[0]
    assert set(first) == {
        "text", "workspace", "operation", "run", "state", "sentence", "started", "finished", "versions"
    }  # fmt: skip
    assert (first["workspace"], first["operation"]) == ("Müller & Söhne", "probework.fail")
    assert first["sentence"] == "the Süd server is down"
    assert first["text"] == f"Müller & Söhne: probework fail failed (run {failed[:8]}). the Süd server is down"
    assert first["started"] <= first["finished"]
    assert hook.got[1]["versions"] == ["dataset/made@1"]
    assert "a data test or gate says no" in hook.got[1]["sentence"]


def test_only_those_who_asked_are_told(small: Workspace, hook: Hook) -> None:
    for name, values in (("fail", {}), ("check", {"failed": 1}), ("check", {})):
        told(small, f"  - {{webhook: '{hook.url}'}}\n", ended(small, name, **values))
    assert [one["state"] for one in hook.got] == ["failed", "stopped"]
    told(small, f"  - {{webhook: '{hook.url}', when: [done]}}\n", ended(small, "fail"))
    assert len(hook.got) == 2


def test_a_worker_tells_before_the_run_leaves_the_queue(small: Workspace, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", hook.url)
    set_settings(small.root, "notify: [{webhook: env:HOOK}]\n")
    run = queue.enqueue(small, find("probework.fail"), {})
    Worker(Workspace(small.root)).work(once=True)
    assert [one["run"] for one in hook.got] == [run]
    assert small.record.rows(tables.queue) == []


def test_a_worker_that_died_before_it_told_is_made_up_for(small: Workspace, hook: Hook) -> None:
    set_settings(small.root, f"notify: [{{webhook: '{hook.url}'}}]\n")
    run = queue.enqueue(small, find("probework.fail"), {})
    with small.record.writing(small.person) as transaction:
        transaction.update(tables.run, run, state="failed", error="the disk is full", finished=transaction.at)
    Worker(Workspace(small.root)).work(once=True)
    assert [one["sentence"] for one in hook.got] == ["the disk is full"]
    assert small.record.rows(tables.queue) == []


def test_three_tries_with_pauses(small: Workspace, hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    run, waits = ended(small, "fail"), list[float]()
    hook.codes = [503, 500]
    told(small, f"  - {{webhook: '{hook.url}'}}\n", run, waits)
    assert waits == [0.0, 1.0, 5.0]
    assert len(hook.got) == 1
    hook.codes = [500] * 3
    hook.asked.clear()
    with caplog.at_level(logging.WARNING, "stellwerk.worker"):
        told(small, f"  - {{webhook: '{hook.url}'}}\n", run)
    assert len(hook.asked) == 3
    assert lines(caplog) == [f"run {run[:8]}: the notification was not sent after 3 tries: 127.0.0.1 answers 500"]
    assert TOKEN not in caplog.text


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_no_other_address_is_asked(small: Workspace, hook: Hook, code: int) -> None:
    run = ended(small, "fail")
    hook.codes = [code] * 3
    told(small, f"  - {{webhook: '{hook.url}'}}\n", run)
    assert hook.asked == [f"/{TOKEN}"] * 3


@pytest.mark.parametrize(
    "place",
    ["http://127.0.0.1:1/T0KEN-in-the-path", "ftp://127.0.0.1/T0KEN-in-the-path", "http://T0KEN-in-the-path@127.0.0.1/x",
     "T0KEN-in-the-path", "http://127.0.0.1:T0KEN-in-the-path/"],
)  # fmt: skip
def test_a_wrong_address_is_a_line_without_it(small: Workspace, place: str, caplog: pytest.LogCaptureFixture) -> None:
    run = ended(small, "fail")
    told(small, f"  - {{webhook: '{place}'}}\n", run)
    assert len(lines(caplog)) == 1
    assert TOKEN not in caplog.text
    assert "T0KEN" not in caplog.text


def test_a_credential_that_is_missing_names_the_reference(small: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    told(small, "  - {webhook: 'env:NO_SUCH_HOOK'}\n", ended(small, "fail"))
    assert "env:NO_SUCH_HOOK is not set" in lines(caplog)[0]


def test_a_notification_stops_when_another_process_has_the_run(small: Workspace, hook: Hook) -> None:
    run = ended(small, "fail")
    set_settings(small.root, f"notify: [{{webhook: '{hook.url}'}}]\n")

    def keep() -> None:
        raise leases.LeaseLost("taken over")

    fresh = Workspace(small.root)
    with pytest.raises(leases.LeaseLost):
        notify.tell(fresh, run, keep)
    assert hook.asked == []
    fresh.record.database.close()


MAIL = """  - email:
      to: [anna@example.org, "Jörg Müller <joerg@example.org>"]
      sender: stellwerk@example.org
      server: 127.0.0.1:{port}
      security: {security}
      {login}
"""
LOGIN = "user: bot\n      password: env:MAIL_PASSWORD"


def test_an_email_says_it_with_umlauts(small: Workspace) -> None:
    run, box = ended(small, "fail"), Mailbox()
    server = Controller(box, "127.0.0.1", free_port())
    server.start()
    try:
        told(small, MAIL.format(port=server.port, security="none", login=""), run)
    finally:
        server.stop()
    (letter,) = box.letters
    assert letter["Subject"] == "Müller & Söhne: probework fail failed"
    assert box.to == ["anna@example.org", "joerg@example.org"]
    assert letter.get_content_type() == "text/plain"
    text = letter.get_content()
    assert "the Süd server is down" in text
    assert run in text
    assert letter["Message-ID"] == f"<{run}.failed@stellwerk>"


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_an_email_goes_through_tls_with_a_login(
    small: Workspace, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, security: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    run, box = ended(small, "fail"), Mailbox()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*map(str, certificate))
    kind = {"ssl_context": context} if security == "tls" else {"tls_context": context, "require_starttls": True}
    server = Controller(
        box, "127.0.0.1", free_port(), authenticator=box.log_in, auth_require_tls=security == "starttls", **kind
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    server.start()
    try:
        monkeypatch.setenv("MAIL_PASSWORD", "geheim-9")
        told(small, MAIL.format(port=server.port, security=security, login=LOGIN), run)
        assert len(box.letters) == 1
        assert box.logins == [("bot", "geheim-9")]
        monkeypatch.setenv("MAIL_PASSWORD", "wrong-secret-7")
        told(small, MAIL.format(port=server.port, security=security, login=LOGIN), run)
        monkeypatch.delenv("SSL_CERT_FILE")
        told(small, MAIL.format(port=server.port, security=security, login=LOGIN), run)
    finally:
        server.stop()
    assert len(box.letters) == 1, "neither a refused login nor a certificate that nobody vouches for lets a letter through"
    assert "127.0.0.1" in lines(caplog)[0]
    assert "SSLCertVerificationError" in lines(caplog)[1]
    assert "wrong-secret-7" not in caplog.text


def test_a_name_with_line_breaks_adds_no_header(small: Workspace, until: Callable[..., None]) -> None:
    run, box = ended(small, "fail"), Mailbox()
    server = Controller(box, "127.0.0.1", free_port())
    server.start()
    try:
        set_settings(
            small.root,
            'name: "x\\r\\nBcc: eve@example.org\\r\\n\\r\\nbody"\nnotify:\n'
            + MAIL.format(port=server.port, security="none", login=""),
        )
        fresh = Workspace(small.root)
        notify.tell(fresh, run)
        fresh.record.database.close()
    finally:
        server.stop()
    (letter,) = box.letters
    assert letter["Bcc"] is None
    assert letter["Subject"].startswith("x Bcc: eve@example.org body: probework fail")
    assert box.to == ["anna@example.org", "joerg@example.org"]
