"""Files of the web against a server that misbehaves: whole or not at all, and not again while they are as they were."""

from __future__ import annotations

import gzip
import hashlib
import logging
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from misbehaving import SECRET, Asked, Reply, Server

from stellwerk.errors import StellwerkError, UserError
from stellwerk.jobs.data.source_spec import Source
from stellwerk.jobs.data.sources import remote, web
from stellwerk.jobs.data.sources.client import Patience
from stellwerk.workspace import Workspace

BODY = b"id;name\n1;a\n"
ONCE = Patience(seconds=5, stall=5, retries=0)


@pytest.fixture(autouse=True)
def _forgotten(server: Server) -> None:
    server.routes.clear()
    server.asked.clear()


def fetch(url: str, workspace: Workspace, into: Path, known: Any = None, auth: Any = None, **how: Any) -> web.Fetched:
    # What a spec may not say is refused earlier, and here once more.
    asked = {"files": "https://files.example.com/x", **({"auth": auth} if auth else {})}
    spec = Source.model_validate({"name": "manuals", **asked})
    return web.fetch(url, spec, workspace, known, into, how.pop("check", lambda: None), **{"patience": ONCE, **how})


def test_a_file(server: Server, workspace: Workspace, tmp_path: Path) -> None:
    headers = {"Content-Type": "text/csv; charset=utf-8", "ETag": '"v1"', "Last-Modified": "Mon, 02 Feb 2026 10:00:00 GMT"}
    url = server.on("/rates.csv", Reply(BODY, headers=headers))
    found = fetch(url, workspace, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == BODY
    assert asdict(found) == {
        "url": url,
        "sha256": hashlib.sha256(BODY).hexdigest(),
        "bytes": len(BODY),
        "etag": '"v1"',
        "last_modified": "Mon, 02 Feb 2026 10:00:00 GMT",
        "content_type": "text/csv",
        "changed": True,
        "format": "csv",
        "notes": (f"{url} was fetched without TLS, so nobody vouches that it is what its owner wrote",),
    }


def test_not_again_while_it_is_as_it_was(server: Server, workspace: Workspace, tmp_path: Path) -> None:
    def answer(asked: Asked) -> Reply:
        same = asked.headers.get("If-None-Match") == '"v1"' and "If-Modified-Since" in asked.headers
        return (
            Reply(status=304)
            if same
            else Reply(BODY, headers={"ETag": '"v1"', "Last-Modified": "Mon, 02 Feb 2026 10:00:00 GMT"})
        )

    url = server.on("/a.pdf", answer)
    first = fetch(url, workspace, tmp_path / "first")
    again = fetch(url, workspace, tmp_path / "again", known=asdict(first))
    assert not again.changed and not (tmp_path / "again").exists()
    assert (again.sha256, again.bytes, again.etag, again.format) == (first.sha256, first.bytes, '"v1"', "pdf")


def test_the_same_content_again_without_a_tag(server: Server, workspace: Workspace, tmp_path: Path) -> None:
    url = server.on("/a.txt", Reply(BODY), Reply(BODY), Reply(b"new"))
    first = fetch(url, workspace, tmp_path / "1")
    assert not fetch(url, workspace, tmp_path / "2", known=asdict(first)).changed
    assert fetch(url, workspace, tmp_path / "3", known=asdict(first)).changed
    assert (tmp_path / "3").read_bytes() == b"new"


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ("/a.csv.gz", "application/gzip", "csv"),
        ("/B.PDF", "application/octet-stream", "pdf"),
        ("/download", "application/pdf", "pdf"),
        ("/download", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
        ("/page", "text/html; charset=utf-8", "html"),
        ("/page.php", "text/html", "html"),
        ("/mail.eml", "message/rfc822", "eml"),
        ("/x", "application/octet-stream", None),
    ],
)
def test_format(server: Server, workspace: Workspace, tmp_path: Path, path: str, kind: str, expected: str | None) -> None:
    assert fetch(server.on(path, Reply(BODY, headers={"Content-Type": kind})), workspace, tmp_path / "x").format == expected


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"tdm-reservation": "1"}, "is reserved for text and data mining (TDMRep)"),
        ({"tdm-reservation": "0"}, None),
        ({"X-Robots-Tag": "noindex, noai"}, "is marked as not for AI"),
        ({"X-Robots-Tag": "noindex"}, None),
        ({"Content-Type": "text/html"}, "came as HTML though its name says pdf"),
    ],
)
def test_notes(server: Server, workspace: Workspace, tmp_path: Path, headers: dict[str, str], said: str | None) -> None:
    url = server.on("/m.pdf", Reply(BODY, headers={"Content-Type": "application/pdf", **headers}))
    notes = [note for note in fetch(url, workspace, tmp_path / "x").notes if "TLS" not in note]
    assert [said in note for note in notes] == [True] if said else not notes


def test_an_address_with_a_query_has_a_name_of_its_own() -> None:
    shown = [web.shown(f"https://x.example/a.csv{query}") for query in ("", "?id=1", f"?token={SECRET}", "#part")]
    assert len(set(shown)) == 3 and shown[0] == shown[3] == "https://x.example/a.csv"
    assert SECRET not in str(shown) and web.shown("https://u:p@x.example/") == "https://u@x.example/"


@pytest.mark.parametrize(
    ("pattern", "elsewhere"),
    [("https://x/a", True), ("HTTP://x", True), ("S3://b/x", True), ("raw/*.csv", False), ("raw/s3://x", False)],
)
def test_what_lies_elsewhere(pattern: str, elsewhere: bool) -> None:
    assert remote.is_remote(pattern) is elsewhere


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (Reply(status=404), "is not there"),
        (Reply(status=401), "does not know who asks"),
        (Reply(BODY, length=500), "broke off"),
        (Reply(BODY, length=500, reset=True), "broke off"),
        (Reply(b"x" * 5000), "larger than 0 MiB"),
        (Reply(gzip.compress(b"0" * 50_000), headers={"Content-Encoding": "gzip"}), "larger than"),
        (Reply(status=304), "nothing changed"),
        (Reply(status=302, headers={"Location": "http://169.254.169.254/"}), "not public"),
        (Reply(b"x" * 900, drip=0.1), "within 1 seconds"),
        (Reply(BODY, wait=4), "did not answer (within 1 seconds|in time)"),
    ],
)
def test_whole_or_not_at_all(server: Server, workspace: Workspace, tmp_path: Path, reply: Reply, sentence: str) -> None:
    url = server.on("/bad.csv", reply)
    with pytest.raises(StellwerkError, match=sentence) as caught:
        fetch(url, workspace, tmp_path / "x", most=1000, patience=Patience(seconds=1, stall=1, retries=0))
    assert str(caught.value).startswith(f"source manuals: {url}")
    end = time.monotonic() + 5
    while list(tmp_path.iterdir()) and time.monotonic() < end:
        time.sleep(0.05)  # an attempt that was given up cleans up when it hears of it
    assert not list(tmp_path.iterdir())


def test_an_attempt_that_was_given_up_leaves_the_next_one_alone(server: Server, workspace: Workspace, tmp_path: Path) -> None:
    url = server.on("/slow.csv", Reply(b"old" * 100, drip=0.02), Reply(BODY))
    found = fetch(url, workspace, tmp_path / "x", patience=Patience(seconds=1, stall=5, retries=1))
    assert (tmp_path / "x").read_bytes() == BODY and found.bytes == len(BODY)
    end = time.monotonic() + 10
    while len(list(tmp_path.iterdir())) > 1 and time.monotonic() < end:
        time.sleep(0.05)
    assert (tmp_path / "x").read_bytes() == BODY and [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_stopped_run_stops_at_once(server: Server, workspace: Workspace, tmp_path: Path) -> None:
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()

    def check() -> None:
        if stop.is_set():
            raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        url = server.on("/s.csv", Reply(BODY, wait=6))
        fetch(url, workspace, tmp_path / "x", check=check, patience=Patience(seconds=60, stall=60))
    assert time.monotonic() - start < 3


def test_a_stopped_server_is_tried_again(server: Server, workspace: Workspace, tmp_path: Path) -> None:
    url = server.on("/again.csv", Reply(status=503, headers={"Retry-After": "0"}), Reply(BODY))
    assert fetch(url, workspace, tmp_path / "x", patience=Patience(seconds=5, stall=5, retries=1)).bytes == len(BODY)


@pytest.mark.parametrize("url", [f"https://me:{SECRET}@kb.example.com/x", "ftp://kb.example.com/x"])
def test_addresses_that_are_refused(workspace: Workspace, tmp_path: Path, url: str) -> None:
    with pytest.raises(UserError) as caught:
        fetch(url, workspace, tmp_path / "x")
    assert SECRET not in str(caught.value)


def test_auth_and_no_secret_in_logs(
    server: Server, workspace: Workspace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="urllib3.connectionpool")
    url = server.on("/locked.csv", Reply(BODY)) + f"?sig={SECRET}"
    found = fetch(url, workspace, tmp_path / "x", auth={"bearer": "file:key.txt"})
    assert server.asked[0].headers["Authorization"] == f"Bearer {SECRET}" and server.asked[0].query == {"sig": SECRET}
    assert SECRET not in str(found) and SECRET not in caplog.text
    assert found.format == "csv"
