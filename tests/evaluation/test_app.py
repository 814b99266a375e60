"""An application is asked over HTTP as its file says, and nothing that stands in a case or an answer leads it elsewhere."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.errors import UserError
from stellwerk.evaluation import app
from stellwerk.evaluation.app import AppSpec, at, filled
from stellwerk.evaluation.apptarget import MAXIMUM_BYTES, AppTarget
from stellwerk.evaluation.case import Answer, Case
from stellwerk.operation import find
from stellwerk.record import tables
from stellwerk.runs import execution
from stellwerk.workspace import Workspace

Reply = tuple[int, dict[str, str], bytes]


class Desk:
    """A real server whose answers a test decides; `seen` are method, path, headers and body of each request."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.reply: Callable[[str, bytes], Reply] = lambda path, body: (200, {}, b"ok")
        desk = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                desk.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                status, headers, content = desk.reply(self.path, body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = answer  # noqa: N815

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/answer"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def says(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.reply = lambda path, body: (status, headers or {}, content)


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.server.shutdown()
    made.server.server_close()


def ask(url: str, inputs: dict[str, Any] | None = None, headers: dict[str, str] | None = None, **fields: Any) -> Answer:
    spec = AppSpec(url=url, **{"attempts": 1, "body": {"q": "{{q}}"}, **fields})

    async def once() -> Answer:
        async with AppTarget("desk", spec, url, headers or {}) as target:
            return await target.answer(Case("c1", inputs or {"q": "hello"}))

    return asyncio.run(once())


def test_a_case_is_sent_as_the_file_says_and_the_answer_is_read_where_it_stands(desk: Desk) -> None:
    desk.says({"choices": [{"message": {"content": "Guten Tag, Käthe"}}]})
    body = {"model": "desk", "messages": [{"role": "user", "content": "Frage: {{q}} ({{n}})"}], "n": "{{n}}"}
    found = ask(desk.url, {"q": "Wo?", "n": 3}, {"authorization": "Bearer s"}, body=body, answer="/choices/0/message/content")
    assert found.text == "Guten Tag, Käthe" and found.failure is None and found.seconds > 0
    method, path, headers, sent = desk.seen[0]
    assert (method, path, headers["authorization"]) == ("POST", "/answer", "Bearer s")
    assert json.loads(sent) == {"model": "desk", "messages": [{"role": "user", "content": "Frage: Wo? (3)"}], "n": 3}


def test_variables_of_the_address_are_quoted(desk: Desk) -> None:
    ask(desk.url, {"q": "a&b=c#d/../e"}, method="GET", body=None, query={"q": "{{q}}"})
    assert desk.seen[0][1] == "/answer?q=a%26b%3Dc%23d/../e"


@given(st.text())
def test_a_value_never_changes_the_shape_of_what_is_sent(value: str) -> None:
    template = {"a": "{{v}}", "b": [{"c": "x {{v}} y"}], "{{v}}": 1}
    found = filled(template, {"v": value})
    assert found == {"a": value, "b": [{"c": f"x {value} y"}], "{{v}}": 1}


@pytest.mark.parametrize(
    ("status", "failure", "is_error"),
    [
        (401, "unauthorised", True),
        (429, "rate_limited", True),
        (503, "server", True),
        (404, "server", True),
        (302, "server", True),
        (422, "rejected", False),
    ],
)
def test_a_status_says_whether_it_is_an_error_or_an_answer(desk: Desk, status: int, failure: str, is_error: bool) -> None:
    desk.says({}, status, {"location": desk.url})
    found = ask(desk.url)
    assert (found.failure, found.is_error) == (failure, is_error) and f"status {status}" in str(found.problem)
    assert len(desk.seen) == 1


def test_a_redirect_leads_nowhere(desk: Desk) -> None:
    other = Desk()
    desk.says(b"", 307, {"location": other.url})
    found = ask(desk.url, headers={"authorization": "Bearer s"})
    assert found.is_error and "redirects are not followed" in str(found.problem) and not other.seen
    other.server.shutdown()
    other.server.server_close()


def test_what_is_no_answer_says_so_and_tells_no_secret(desk: Desk) -> None:
    secret = {"authorization": "Bearer geheim-4711"}
    desk.says(b"<html>login</html>")
    assert ask(desk.url, headers=secret, answer="/a").failure == "not_json"
    desk.says({"b": 1})
    assert "nothing stands at /a" in str(ask(desk.url, headers=secret, answer="/a").problem)
    desk.says(b"[" * 100_000)
    assert ask(desk.url, headers=secret, answer="/a").failure == "not_json"
    desk.says(b"x" * (MAXIMUM_BYTES + 1))
    assert "over 4 MiB" in str(ask(desk.url, headers=secret).problem)
    away = ask("http://127.0.0.1:9/answer", headers=secret)
    assert away.failure == "connection"
    for found in (away, ask(desk.url, headers=secret, answer="/a")):
        assert "4711" not in str(found.problem) and "127.0.0.1" not in str(found.problem)


def test_what_got_no_answer_is_tried_again(desk: Desk) -> None:
    replies: Iterator[Reply] = iter([(503, {}, b""), (200, {}, b"late")])
    desk.reply = lambda path, body: next(replies)
    found = ask(desk.url, attempts=3)
    assert (found.text, found.attempts) == ("late", 2)


def test_an_unknown_encoding_is_no_end(desk: Desk) -> None:
    desk.says("Grüße".encode(), headers={"content-type": "text/plain; charset=klingon"})
    assert ask(desk.url).text == "Grüße"


def test_cookies_do_not_go_from_one_case_to_the_next(desk: Desk) -> None:
    desk.says(b"ok", headers={"set-cookie": "session=1"})
    spec = AppSpec(url=desk.url)

    async def twice() -> None:
        async with AppTarget("desk", spec, desk.url, {}) as target:
            await target.answer(Case("a", {}))
            await target.answer(Case("b", {}))

    asyncio.run(twice())
    assert "cookie" not in desk.seen[1][2]


def test_a_missing_variable_is_the_users_mistake(desk: Desk) -> None:
    with pytest.raises(UserError, match="needs the variable q, which case c1 does not have"):
        ask(desk.url, {"frage": "x"})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("url: ftp://x/y", "line 1: 'url': it is no address"),
        ("url: http://169.254.169.254/latest", "link-local"),
        ("url: http://[fe80::1]/", "link-local"),
        ("url: http://u:p@x/", "it holds a password"),
        ("url: http://x/?key=1", "looks like a secret"),
        ("url: http://x/{{q}}", "holds a {{variable}}"),
        ("url: http://x/\nheaders: {authorization: Bearer x}", "name where it is kept"),
        ("url: http://x/\nheaders: {x-tenant: '{{q}}'}", "put it below query or body"),
        ("url: http://x/\nheaders: {'a b': x}", "pattern"),
        ("url: http://x/\nmethod: GET\nbody: {}", "a GET sends no body"),
        ("url: http://x/\nanswer: choices[0]", "neither text nor a JSON pointer"),
        ("url: http://x/\nanswr: /a", "did you mean 'answer'?"),
    ],
)
def test_a_file_with_a_mistake_is_refused_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        app.read(text, "apps/desk.yaml")
    assert sentence in str(caught.value) and str(caught.value).startswith("apps/desk.yaml, line ")


def test_a_pointer_names_what_rfc_6901_says() -> None:
    document = {"foo": ["bar", {"": 0}], "a/b": 1, "m~n": 8}
    pointers = {"": document, "/foo/0": "bar", "/foo/1/": 0, "/a~1b": 1, "/m~0n": 8}
    assert {pointer: at(document, pointer) for pointer in pointers} == pointers
    for pointer in ("/foo/2", "/foo/-1", "/foo/x", "/foo/0/x", "/none"):
        with pytest.raises(LookupError):
            at(document, pointer)


class Place:
    """A workspace with an application and a suite."""

    def __init__(self, root: Path, desk: Desk) -> None:
        self.workspace = Workspace.init(root)
        (root / "apps").mkdir()
        (root / "suites").mkdir()
        tests = [{"vars": {"q": f"{i}"}, "assert": [{"type": "equals", "value": f"answer {i}"}]} for i in range(12)]
        (root / "suites/desk.yaml").write_text(yaml.safe_dump({"tests": tests, "splits": {"test": 1.0}}))
        self.root = root
        desk.reply = lambda path, body: (200, {}, f"answer {json.loads(body)['q']}".encode())
        self.app(url=desk.url)

    def app(self, **fields: Any) -> None:
        text = yaml.safe_dump({"body": {"q": "{{q}}"}, "attempts": 1, **fields})
        (self.root / "apps/desk.yaml").write_text(text)

    def test(self) -> Any:
        return execution.call(self.workspace, find("evaluation.test"), {"app": "desk", "suite": "desk"})


def test_an_application_is_tested_anew_unless_it_says_which_build_answers(
    tmp_path: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path / "w", desk)
    report = place.test()
    assert (report.passed, report.failed, report.errors) == (12, 0, 0) and report.complete and not report.simulated
    assert [reference.partition("/")[0] for reference in report.subjects] == ["app"]
    place.test()
    assert len(desk.seen) == 24, "what does not say which build it is may answer differently"
    monkeypatch.setenv("CI_COMMIT", "4f2a9c1")
    place.app(url=desk.url, commit="env:CI_COMMIT")
    place.test(), place.test()
    assert len(desk.seen) == 36
    version = place.workspace.record.resolve("app/desk")
    assert version.facts["commit"] == "4f2a9c1" and version.facts["pinned"] and not version.facts["hosted"]
    monkeypatch.setenv("CI_COMMIT", "77b0e12")
    place.test()
    assert len(desk.seen) == 48 and place.workspace.record.resolve("app/desk").number == version.number + 1


def test_calls_without_an_answer_make_the_measurement_not_count_until_they_are_asked_again(tmp_path: Path, desk: Desk) -> None:
    place = Place(tmp_path / "w", desk)
    place.app(url=desk.url, commit="4f2a9c1")
    whole = desk.reply
    desk.reply = lambda path, body: (503, {}, b"") if json.loads(body)["q"] in "135" else whole(path, body)
    report = place.test()
    assert (report.passed, report.failed, report.errors) == (9, 0, 3) and not report.complete
    numbers = {number.metric: number for number in report.numbers}
    assert numbers["pass_rate"].value == 1 and numbers["pass_rate"].n == 9 and numbers["error_rate"].value == 0.25
    desk.reply = whole
    again = place.test()
    assert (again.passed, again.errors) == (12, 0) and again.complete
    record = place.workspace.record
    rows = record.rows(tables.measurement, tables.measurement.c.metric == "pass_rate", order=tables.measurement.c.created)
    assert [(row["complete"], row["n"]) for row in rows] == [(0, 9), (1, 12)]


def test_a_key_is_in_no_file_that_is_kept(tmp_path: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path / "w", desk)
    monkeypatch.setenv("DESK_KEY", "geheim-4711")
    place.app(url=desk.url, headers={"authorization": "env:DESK_KEY"})
    place.test()
    assert desk.seen[0][2]["authorization"] == "geheim-4711"
    place.workspace.record.database.close()
    kept = [path for path in place.root.rglob("*") if path.is_file() and b"geheim-4711" in path.read_bytes()]
    assert kept == []
