"""REST APIs against a server that misbehaves: each style of pages, each failure, drift, limits, and no secret anywhere."""

from __future__ import annotations

import datetime as dt
import gzip
import logging
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import requests
from misbehaving import SECRET, Asked, Reply, Server

from stellwerk.errors import StellwerkError, UserError
from stellwerk.jobs.data.files.schema import cast, facts_of, unify
from stellwerk.jobs.data.files.shapes import Unreadable
from stellwerk.jobs.data.source_spec import Source
from stellwerk.jobs.data.sources import api, signing
from stellwerk.workspace import Workspace

ROWS = [{"id": number, "title": f"Artikel {number}"} for number in range(1, 24)]


@pytest.fixture(autouse=True)
def _forgotten(server: Server) -> None:
    server.routes.clear()
    server.asked.clear()


def source(url: str, **fields: Any) -> Source:
    of_source = {name: fields.pop(name) for name in ("cursor", "load", "key") if name in fields}
    return Source.model_validate({"name": "articles", "api": {"url": url, "retries": 0, "seconds": 5, **fields}, **of_source})


def read(spec: Source, workspace: Workspace, since: str | None = None, check: Callable[[], None] = lambda: None) -> Any:
    """All rows as one table, what could not be read, and the notes."""
    pieces = list(api.read(spec, workspace, since, check))
    tables = [piece for piece in pieces if isinstance(piece, pa.Table)]
    bad = [piece for piece in pieces if isinstance(piece, Unreadable)]
    if not tables:
        return pa.table({}), bad, []
    schema = unify([table.schema for table in tables])
    return pa.concat_tables([cast(table, schema) for table in tables]), bad, facts_of(tables[-1]).notes


def ids(spec: Source, workspace: Workspace, since: str | None = None) -> list[int]:
    table, bad, _ = read(spec, workspace, since)
    assert not bad
    return list(table["id"].to_pylist()) if "id" in table.column_names else []


def window(asked: Asked, rows: list[Any], size: int = 10) -> tuple[int, list[Any]]:
    page = int(asked.query.get("page", 1))
    return page, rows[(page - 1) * size : page * size]


ALL = list(range(1, 24))


def test_one_answer(server: Server, workspace: Workspace) -> None:
    url = server.on("/all", Reply(ROWS))
    table, bad, notes = read(source(url, parameters={"lang": "de", "draft": False}), workspace)
    assert table["id"].to_pylist() == ALL and not bad and not notes
    assert table["origin"].to_pylist()[1] == f"{url}#page 1 row 2"
    assert server.asked[0].query == {"lang": "de", "draft": "false"}
    assert {str(field.type) for field in table.schema} == {"string", "int64"}


@pytest.mark.parametrize("style", ["auto", "link"])
def test_link(server: Server, workspace: Workspace, style: str) -> None:
    def answer(asked: Asked) -> Reply:
        page, rows = window(asked, ROWS)
        link = {"Link": f'<{server.url("/l")}?page={page + 1}>; rel="next", <x>; rel="prev"'} if page < 3 else {}
        return Reply(rows, headers=link)

    assert ids(source(server.on("/l", answer), pages={"style": style}), workspace) == ALL


@pytest.mark.parametrize("pages", [{}, {"style": "next", "path": "links.next"}])
@pytest.mark.parametrize("address", ["{base}?page={page}", "/n?page={page}", "?page={page}"])
@pytest.mark.parametrize("end", [None, "", "absent"])
def test_next(server: Server, workspace: Workspace, pages: dict[str, Any], address: str, end: Any) -> None:
    def answer(asked: Asked) -> Reply:
        page, rows = window(asked, ROWS)
        links = {"next": address.format(base=server.url("/n"), page=page + 1)} if page < 3 else {"next": end}
        return Reply({"articles": rows, "links": {} if page == 3 and end == "absent" else links})

    assert ids(source(server.on("/n", answer), pages=pages), workspace) == ALL


def test_next_with_a_dot_in_its_key(server: Server, workspace: Workspace) -> None:
    def answer(asked: Asked) -> Reply:
        page, rows = window(asked, ROWS)
        return Reply({"value": rows, **({"@odata.nextLink": f"?page={page + 1}"} if page < 3 else {})})

    assert ids(source(server.on("/o", answer), pages={"style": "next", "path": "@odata.nextLink"}), workspace) == ALL


@pytest.mark.parametrize("total", [True, False])
@pytest.mark.parametrize("first", [0, 1])
def test_page(server: Server, workspace: Workspace, total: bool, first: int) -> None:
    def answer(asked: Asked) -> Reply:
        start = (int(asked.query["seite"]) - first) * 10
        return Reply({"data": {"items": ROWS[start : start + int(asked.query["n"])]}, "meta": {"total": len(ROWS)}})

    pages = {"style": "page", "parameter": "seite", "first": first, "size": 10, "size_parameter": "n"}
    spec = source(server.on("/p", answer), rows="data.items", pages={**pages, **({"total": "meta.total"} if total else {})})
    assert ids(spec, workspace) == ALL


def test_offset_of_a_server_that_gives_fewer_rows_than_asked_for(server: Server, workspace: Workspace) -> None:
    def answer(asked: Asked) -> Reply:
        start = int(asked.query["offset"])
        return Reply({"results": ROWS[start : start + min(7, int(asked.query["limit"]))], "count": len(ROWS)})

    spec = source(server.on("/off", answer), pages={"style": "offset", "size": 1000, "total": "count"})
    assert ids(spec, workspace) == ALL


@pytest.mark.parametrize("end", [None, "", False])
def test_cursor_token(server: Server, workspace: Workspace, end: Any) -> None:
    def answer(asked: Asked) -> Reply:
        start = int(asked.query.get("after", "t0")[1:])
        token = f"t{start + 10}" if start + 10 < len(ROWS) else end
        return Reply({"rows": ROWS[start : start + 10], "meta": {"next": token}})

    spec = source(server.on("/c", answer), pages={"style": "cursor", "path": "meta.next", "parameter": "after"})
    assert ids(spec, workspace) == ALL


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"items": ROWS, "next_cursor": "abc"}, "next page at next_cursor"),
        ({"items": ROWS, "total_pages": 4}, "says that there are more"),
        ({"items": ROWS, "meta": {"total": 400}}, "says that there are more"),
        ({"items": ROWS, "drafts": ROWS, "other": ROWS}, None),
        ({"a": ROWS, "b": ROWS}, "several lists: a, b"),
    ],
)
def test_what_cannot_be_found_out_is_asked(server: Server, workspace: Workspace, body: Any, sentence: str | None) -> None:
    spec = source(server.on("/q", Reply(body)))
    if sentence is None:
        assert ids(spec, workspace) == ALL
        return
    with pytest.raises(UserError, match=sentence):
        read(spec, workspace)


@pytest.mark.parametrize(
    ("body", "count"), [([], 0), ({"items": []}, 0), ({"items": None, "x": 1}, 0), ({"id": 1, "title": "x"}, 1)]
)
def test_few_rows(server: Server, workspace: Workspace, body: Any, count: int) -> None:
    rows = "items" if isinstance(body, dict) and "items" in body else None
    assert read(source(server.on("/few", Reply(body)), rows=rows), workspace)[0].num_rows == count


def test_no_content(server: Server, workspace: Workspace) -> None:
    assert read(source(server.on("/none", Reply(status=204))), workspace)[0].num_rows == 0


def test_odd_values(server: Server, workspace: Workspace) -> None:
    body = (
        '[{"id": 12345678901234567890, "x": 1, "tags": ["a", "ü"], "n": NaN}, 5, {"id": 2, "x": "two", "x": "zwei"},'
        ' {"id": 3, "x": "\\ud83d", "Origin": "mine", "n": 1.5}, null]'
    ).encode()
    table, bad, notes = read(source(server.on("/odd", Reply(body))), workspace)
    assert table["id"].to_pylist() == ["12345678901234567890", "2", "3"]
    assert table["x"].to_pylist() == ["1", "zwei", "\ufffd"]
    assert table["tags"].to_pylist() == ['["a","ü"]', None, None]
    assert table["n"].to_pylist() == [None, None, 1.5]
    assert table["Origin_2"].to_pylist() == [None, None, "mine"]
    assert [entry.origin.partition("#")[2] for entry in bad] == ["page 1 row 2", "page 1 row 5"]
    assert any("stands twice" in note for note in notes)


def test_a_charset_of_old(server: Server, workspace: Workspace) -> None:
    reply = Reply(
        '[{"id": 1, "ort": "Köln"}]'.encode("latin-1"), headers={"Content-Type": "application/json; charset=iso-8859-1"}
    )
    assert read(source(server.on("/latin", reply)), workspace)[0]["ort"].to_pylist() == ["Köln"]


@pytest.mark.parametrize(
    ("reply", "sentence", "kind"),
    [
        (Reply({}, status=401), "does not know who asks", UserError),
        (Reply({}, status=403), "does not let this credential", UserError),
        (Reply({}, status=404), "is not there", UserError),
        (Reply({}, status=400), "status 400", StellwerkError),
        (Reply({}, status=500), "status 500", StellwerkError),
        (Reply(b"<html>log in</html>", headers={"Content-Type": "text/html"}), "HTML", StellwerkError),
        (Reply(b'{"items": [1, 2'), "no JSON", StellwerkError),
        (Reply(b""), "empty answer", StellwerkError),
        (Reply(b"not gzip", headers={"Content-Encoding": "gzip"}), "cannot be unpacked", StellwerkError),
        (Reply(b'[{"id": 1}]', length=500), "broke off", StellwerkError),
        (Reply(b'[{"id": 1}]', length=500, reset=True), "broke off", StellwerkError),
        (Reply({"data": {"articles": [], "max@example.de": 1}}), "holds nothing at 'items'; it has: data", UserError),
        (Reply({"items": {"a": 1}}), "no list of rows at 'items'", UserError),
        (Reply([], status=302, headers={"Location": "http://169.254.169.254/latest/meta-data"}), "not public", UserError),
    ],
)
def test_failures_are_sentences(
    server: Server, workspace: Workspace, reply: Reply, sentence: str, kind: type[Exception]
) -> None:
    with pytest.raises(StellwerkError, match=sentence) as caught:
        read(source(server.on("/bad", reply), rows="items"), workspace)
    assert type(caught.value) is kind
    assert str(caught.value).startswith(f"source articles: {server.url('/bad')}") and "\n" not in str(caught.value)
    assert len(server.asked) == 1


def test_a_small_answer_that_unpacks_to_a_huge_one(server: Server, workspace: Workspace) -> None:
    body = gzip.compress(b'[{"a": "' + b"x" * (200 << 20) + b'"}]', 1)
    with pytest.raises(StellwerkError, match="more than 64 MiB"):
        read(source(server.on("/bomb", Reply(body, headers={"Content-Encoding": "gzip"}))), workspace)


@pytest.mark.parametrize("bad", [Reply(status=500), Reply(b"[1", length=99, reset=True), Reply([], wait=2), Reply(status=502)])
def test_what_may_help_is_tried_again(server: Server, workspace: Workspace, bad: Reply) -> None:
    spec = source(server.on("/again", bad, Reply(ROWS)), retries=2, seconds=1)
    assert ids(spec, workspace) == ALL
    assert len(server.asked) == 2


def test_retries_come_to_an_end(server: Server, workspace: Workspace) -> None:
    with pytest.raises(StellwerkError, match=r"status 503; try later \(3 attempts\)"):
        read(source(server.on("/down", Reply(status=503, headers={"Retry-After": "0"})), retries=2), workspace)
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after(server: Server, workspace: Workspace, status: int, form: str) -> None:
    def busy(asked: Asked) -> Reply:
        date = format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=2), usegmt=True)
        return Reply(status=status, headers={"Retry-After": "1" if form == "seconds" else date})

    start = time.monotonic()
    assert ids(source(server.on("/busy", busy, Reply(ROWS)), retries=1), workspace) == ALL
    assert time.monotonic() - start >= 0.95


@pytest.mark.parametrize(
    "reply",
    [Reply(status=429, headers={"Retry-After": "500"}), Reply([], wait=30), Reply(b"[]" * 99, drip=0.5)],
)
def test_a_stopped_run_stops_at_once(server: Server, workspace: Workspace, reply: Reply) -> None:
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()

    def check() -> None:
        if stop.is_set():
            raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        read(source(server.on("/stop", reply), retries=1, seconds=60), workspace, check=check)
    assert time.monotonic() - start < 3


def test_an_answer_that_drips_is_too_slow(server: Server, workspace: Workspace) -> None:
    with pytest.raises(StellwerkError, match="within 1 seconds"):
        read(source(server.on("/drip", Reply(b"[" + b" " * 500 + b"]", drip=0.1)), seconds=1), workspace)


def test_per_second(server: Server, workspace: Workspace) -> None:
    url = server.on("/paced", lambda asked: Reply(window(asked, ROWS, 5)[1]))
    start = time.monotonic()
    assert ids(source(url, pages={"style": "page"}, per_second=10), workspace) == ALL
    assert time.monotonic() - start >= 0.5  # six requests


def test_an_api_that_ignores_its_paging_parameter(server: Server, workspace: Workspace) -> None:
    with pytest.raises(StellwerkError, match="same rows as page 2 that page 1 had"):
        read(source(server.on("/same", Reply(ROWS)), pages={"style": "page"}), workspace)


def test_an_api_that_goes_round_in_circles(server: Server, workspace: Workspace) -> None:
    url = server.on(
        "/circle", lambda asked: Reply({"items": [{"n": asked.number}], "next": f"?page={3 - int(asked.query['page'])}"})
    )
    with pytest.raises(StellwerkError, match="after page 2 a page that was read before"):
        read(source(f"{url}?page=1", pages={"style": "next"}), workspace)


def test_an_api_that_never_ends(server: Server, workspace: Workspace) -> None:
    url = server.on("/ever", lambda asked: Reply([{"n": asked.number}]))
    with pytest.raises(StellwerkError, match="did not end after 7 pages"):
        read(source(url, pages={"style": "page", "most": 7}), workspace)


def test_a_next_page_on_another_host(server: Server, workspace: Workspace) -> None:
    url = server.on("/away", Reply({"items": ROWS, "next": "http://other.invalid/x"}))
    with pytest.raises(StellwerkError, match="another host"):
        read(source(url, auth={"bearer": "file:key.txt"}), workspace)


def test_a_wrong_path_of_the_next_page(server: Server, workspace: Workspace) -> None:
    url = server.on("/path", Reply({"items": ROWS[:10], "meta": {"next": "?page=2"}}))
    with pytest.raises(UserError, match=r"nothing at 'links\.next'.*it has: items, meta"):
        read(source(url, pages={"style": "next", "path": "links.next", "size": 10, "size_parameter": "n"}), workspace)
    notes = read(source(url, pages={"style": "next", "path": "links.next"}), workspace)[2]
    assert notes == ["has nothing at 'links.next' in its first answer, which was taken as the only page"]
    with pytest.raises(StellwerkError, match="23 rows at first"):
        server.on("/path", Reply({"items": ROWS[:10], "total": 23}))
        read(source(url, pages={"style": "next", "path": "links.next", "total": "total"}), workspace)


class Drifting:
    """Offset pages of a table in which rows come in front while they are read, in the first `times` readings."""

    def __init__(self, times: int) -> None:
        self.rows = list(ROWS)
        self.left = times

    def __call__(self, asked: Asked) -> Reply:
        start = int(asked.query["offset"])
        if start == 10 and self.left:
            self.left -= 1
            self.rows.insert(0, {"id": 100 + self.left, "title": "neu"})
        return Reply({"items": self.rows[start : start + 10], "total": len(self.rows)})


@pytest.mark.parametrize("times", [1, 2])
def test_drift_is_seen_and_read_again(server: Server, workspace: Workspace, times: int) -> None:
    drifting = Drifting(times)
    spec = source(server.on("/drift", drifting), pages={"style": "offset", "total": "total"})
    assert sorted(ids(spec, workspace)) == sorted(row["id"] for row in drifting.rows)
    assert not list(workspace.state.glob("reading-*"))


def test_drift_that_does_not_end(server: Server, workspace: Workspace) -> None:
    spec = source(server.on("/drift", Drifting(99)), pages={"style": "offset", "total": "total"})
    with pytest.raises(StellwerkError, match="changed while it was read"):
        read(spec, workspace)
    assert not list(workspace.state.glob("reading-*"))


def test_drift_with_a_constant_total_shows_by_key(server: Server, workspace: Workspace) -> None:
    """A row comes in front and the last one goes: the number stays, one row comes twice, one never."""
    rows = list(ROWS)

    def answer(asked: Asked) -> Reply:
        start = int(asked.query["offset"])
        if start == 10 and len(server.asked) == 2:
            rows.insert(0, {"id": 100, "title": "neu"})
            rows.pop()
        return Reply({"items": rows[start : start + 10], "total": len(rows)})

    spec = source(server.on("/d", answer), pages={"style": "offset", "total": "total"}, load="merge", key="id")
    assert sorted(ids(spec, workspace)) == [*range(1, 23), 100]


def test_rows_that_come_twice_are_counted(server: Server, workspace: Workspace) -> None:
    rows = [*ROWS[:12], *ROWS[9:]]
    url = server.on("/twice", lambda asked: Reply(window(asked, rows)[1]))
    notes = read(source(url, pages={"style": "page"}, load="merge", key="id"), workspace)[2]
    assert notes == ["gave 3 rows more than once by their key; the later one of each counts"]


DATED = [{"id": n, "at": f"2026-01-{n:02d}T00:00:00{zone}"} for n, zone in ((1, "Z"), (2, "+01:00"), (3, "Z"), (4, ""))]


@pytest.mark.parametrize("asks", [True, False])
def test_cursor(server: Server, workspace: Workspace, asks: bool) -> None:
    url = server.on("/since", Reply([*DATED, {"id": 9}]))
    fields = {"cursor": {"column": "at", "overlap": 3600}, "load": "append", **({"since": "changed_after"} if asks else {})}
    assert ids(source(url, **fields), workspace) == [1, 2, 3, 4, 9]
    table, _, notes = read(source(url, **fields), workspace, since="2026-01-02T00:30:00Z")
    assert table["id"].to_pylist() == [3, 4, 9]
    table, _, notes = read(source(url, **fields), workspace, since="2026-01-02T00:00:00Z")
    assert table["id"].to_pylist() == [2, 3, 4, 9]
    assert notes == []
    assert server.asked[-1].query == ({"changed_after": "2026-01-01T23:00:00Z"} if asks else {})


def test_cursor_that_no_row_has(server: Server, workspace: Workspace) -> None:
    with pytest.raises(UserError, match=r"no row has the column 'at'.*id, title"):
        read(source(server.on("/nocursor", Reply(ROWS)), cursor="at", load="append"), workspace)


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        ({"bearer": "env:KB_TOKEN"}, f"Bearer {SECRET}"),
        ({"basic": {"user": "leser", "password": "file:key.txt"}}, "Basic bGVzZXI6Z2VoZWltNzc="),
        ({"api_key": {"name": "X-Kb", "value": "env:KB_TOKEN"}}, SECRET),
        ({"api_key": {"name": "kb", "value": "env:KB_TOKEN", "place": "query"}}, SECRET),
        (
            {"oauth2": {"token_url": "TOKENS", "client_id": "me", "client_secret": "env:KB_TOKEN", "scope": "read"}},
            "Bearer tok77",
        ),
    ],
)
def test_auth_on_each_page(
    server: Server, workspace: Workspace, auth: dict[str, Any], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KB_TOKEN", SECRET)
    tokens = server.on("/tokens", Reply({"access_token": "tok77", "expires_in": 3600}))
    if "oauth2" in auth:
        auth = {"oauth2": {**auth["oauth2"], "token_url": tokens}}

    def answer(asked: Asked) -> Reply:
        page, rows = window(asked, ROWS)
        echoed = "&".join(f"{name}={value}" for name, value in asked.query.items() if name != "page")
        return Reply({"items": rows, "next": f"?page={page + 1}&{echoed}" if page < 3 else None})

    assert ids(source(server.on("/auth", answer), auth=auth, headers={"X-Tenant": "env:KB_TOKEN"}), workspace) == ALL
    for asked in server.to("/auth"):
        assert expected in (asked.headers.get("Authorization"), asked.headers.get("X-Kb"), asked.query.get("kb"))
        assert asked.headers["X-Tenant"] == SECRET
    assert len(server.to("/tokens")) == ("oauth2" in auth)
    if "oauth2" in auth:
        assert b"client_secret=geheim77" in server.to("/tokens")[0].body and b"scope=read" in server.to("/tokens")[0].body


@pytest.mark.parametrize(
    ("url", "signed"), [("https://kb.example/b?x=1", True), ("http://kb.example/", False), ("https://x/", False)]
)
def test_credentials_are_for_one_place(url: str, signed: bool) -> None:
    who = signing.Key("k", SECRET, in_query=True)
    request = requests.Request("GET", url, auth=signing.Signed("https://kb.example/a", {"X-K": SECRET}, who)).prepare()
    assert (SECRET in str(request.url), request.headers.get("X-K") == SECRET) == (signed, signed)


def test_a_token_that_expires_is_fetched_again(server: Server, workspace: Workspace) -> None:
    tokens = server.on("/tokens", *[Reply({"access_token": f"t{n}", "expires_in": 31}) for n in (1, 2, 3)])
    auth = {"oauth2": {"token_url": tokens, "client_id": "me", "client_secret": "file:key.txt"}}
    url = server.on("/exp", lambda asked: Reply(window(asked, ROWS)[1], wait=1.1 if asked.number == 1 else 0))
    assert ids(source(url, auth=auth, pages={"style": "page"}), workspace) == ALL
    assert [asked.headers["Authorization"] for asked in server.to("/exp")][:2] == ["Bearer t1", "Bearer t2"]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"headers": {"Authorization": "Bearer x"}}, "header 'Authorization' looks like a secret"),
        ({"headers": {"X-API-Key": "x"}}, "header 'X-API-Key'"),
        ({"headers": {"PrivateToken": "x"}}, "header 'PrivateToken'"),
        ({"parameters": {"api_key": "x"}}, "parameter 'api_key'"),
        ({"pages": {"style": "cursor"}}, "need 'path'"),
        ({"pages": {"style": "page", "size": 5}}, "size_parameter"),
        ({"headers": {"X-Team": "env:NOT_SET_AT_ALL"}}, "NOT_SET_AT_ALL is not set"),
    ],
)
def test_specs_that_cannot_be(server: Server, workspace: Workspace, fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        read(source(server.on("/spec", Reply([])), **fields), workspace)
    assert not server.asked


def test_headers_that_hold_no_secret(server: Server, workspace: Workspace) -> None:
    spec = source(server.on("/h", Reply(ROWS)), headers={"X-Monkey": "a", "Accept-Language": "de"}, parameters={"keyword": "b"})
    assert ids(spec, workspace) == ALL
    assert server.asked[0].headers["X-Monkey"] == "a"


def test_personal_data_as_a_key_is_refused_and_not_shown(server: Server, workspace: Workspace) -> None:
    with pytest.raises(UserError, match="key whose name holds personal data") as caught:
        read(source(server.on("/names", Reply([{"max.muster@example.de": 1}]))), workspace)
    assert "muster" not in str(caught.value)


def _said(error: BaseException | None) -> str:
    """All that an error and those behind it say, with and without being asked to."""
    said = ""
    while error is not None:
        said += "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
        error = error.__cause__ or error.__context__
    return said


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=401),
        Reply(status=500),
        Reply(b"x"),
        Reply(b"[", length=9, reset=True),
        Reply([], wait=3),
        Reply({"next": SECRET}),
        Reply(status=302, headers={"Location": f"http://10.0.0.1/?k={SECRET}"}),
        Reply([{f"{SECRET}@example.de": 1}]),
    ],
)
@pytest.mark.parametrize(
    "auth", [{"bearer": "file:key.txt"}, {"api_key": {"name": "k", "value": "file:key.txt", "place": "query"}}]
)
def test_no_secret_in_errors_and_logs(
    server: Server, workspace: Workspace, reply: Reply, auth: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("urllib3", "urllib3.connectionpool", "dlt", "requests"):
        caplog.set_level(logging.DEBUG, logger=name)
    fields = {"auth": auth, "headers": {"X-K": "file:key.txt"}, "seconds": 1, "retries": 1 if reply.status == 500 else 0}
    with pytest.raises(StellwerkError) as caught:
        read(source(server.on("/secret", reply), **fields), workspace)
    assert SECRET in str([vars(asked) for asked in server.asked])
    assert SECRET not in _said(caught.value)
    assert SECRET not in caplog.text and SECRET not in str([vars(record) for record in caplog.records])


@pytest.mark.parametrize("value", ["a\nb" + SECRET, "\u2713" + SECRET])
def test_no_secret_that_cannot_be_sent(
    server: Server, workspace: Workspace, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KB_TOKEN", value)
    with pytest.raises(StellwerkError) as caught:
        read(source(server.on("/sign", Reply([])), auth={"bearer": "env:KB_TOKEN"}), workspace)
    assert SECRET not in _said(caught.value)


def test_an_address_behind_a_reference(server: Server, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = source("env:KB_URL")
    monkeypatch.setenv("KB_URL", server.on("/hidden", Reply(ROWS)) + f"?token={SECRET}")
    table, _, _ = read(spec, workspace)
    assert table["origin"][0].as_py() == "env:KB_URL#page 1 row 1"
    assert api.place(spec, workspace) == "env:KB_URL" and server.asked[0].query == {"token": SECRET}
    monkeypatch.setenv("KB_URL", f"https://me:{SECRET}@kb.example.com/")
    with pytest.raises(UserError, match="holds a user or password") as caught:
        read(spec, workspace)
    assert SECRET not in _said(caught.value)


def test_place() -> None:
    assert api.place(source("https://kb.example.com/a?language=de#y"), None) == "https://kb.example.com/a"  # type: ignore[arg-type]


def test_private_addresses_need_to_be_allowed(server: Server, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"127\.0\.0\.1 is at an address that is not public.*network: \{allow: \[127\.0\.0\.1\]\}"
    ):
        read(source(server.on("/private", Reply(ROWS))), Workspace.init(tmp_path))
    assert not server.asked


def test_dlt_leaves_nothing_behind(server: Server, workspace: Workspace, tmp_path: Path) -> None:
    """In a process of its own, with a home of its own: no file, no thread, and nobody else is asked."""
    url = server.on("/clean", Reply(ROWS))
    (tmp_path / "home").mkdir()
    (tmp_path / "cwd").mkdir()
    code = f"""
import os, socket, sys, threading
hosts, connect = set(), socket.socket.connect
def noted(self, address):
    hosts.add(address[0]); return connect(self, address)
socket.socket.connect = noted
from pathlib import Path
from stellwerk.jobs.data.source_spec import Source
from stellwerk.jobs.data.sources import api, signing
from stellwerk.workspace import Workspace
place = Workspace(Path({str(workspace.root)!r}))
spec = Source.model_validate({{"name": "a", "api": {{"url": {url!r}}}}})
assert sum(table.num_rows for table in api.read(spec, place, None, lambda: None)) == 23
assert hosts == {{"127.0.0.1"}}, hosts
assert [t.name for t in threading.enumerate()] == ["MainThread"], threading.enumerate()
assert os.environ["RUNTIME__DLTHUB_TELEMETRY"] == "false"
"""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home")}
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path / "cwd", check=True, timeout=120)
    assert not list((tmp_path / "home").rglob("*")) and not list((tmp_path / "cwd").iterdir())


MORE: dict[str, tuple[Any, dict[str, str]]] = {
    "has_more": ({"data": ROWS, "has_more": True}, {}),
    "nested hasMore": ({"items": ROWS, "meta": {"hasMore": True}}, {}),
    "isLast": ({"values": ROWS, "isLast": False}, {}),
    "odata next": ({"value": ROWS, "@odata.nextLink": "/api?skip=23"}, {}),
    "odata count": ({"value": ROWS, "@odata.count": 250}, {}),
    "spring": ({"content": ROWS, "totalPages": 3, "last": False}, {}),
    "laravel": ({"data": ROWS, "current_page": 1, "last_page": 3}, {}),
    "search": ({"hits": {"total": {"value": 250}, "hits": ROWS}}, {}),
    "solr": ({"response": {"numFound": 250, "docs": ROWS}}, {}),
    "X-Total-Count": (ROWS, {"X-Total-Count": "250"}),
    "X-Next-Page": (ROWS, {"X-Next-Page": "2"}),
    "Content-Range": (ROWS, {"Content-Range": "0-22/250"}),
}


@pytest.mark.parametrize("name", MORE)
def test_an_answer_that_says_it_is_not_the_whole_is_not_taken_for_it(server: Server, workspace: Workspace, name: str) -> None:
    body, headers = MORE[name]
    with pytest.raises(UserError, match="pages"):
        read(source(server.on("/more", Reply(body, headers=headers))), workspace)


@pytest.mark.parametrize("said", [{"has_more": False}, {"last": True}, {"total": 23}, {"last_page": 1}, {"next": None}])
def test_an_answer_that_says_it_is_the_whole_is_taken(server: Server, workspace: Workspace, said: dict[str, Any]) -> None:
    assert read(source(server.on("/all", Reply({"items": ROWS, **said}))), workspace)[0].num_rows == len(ROWS)
