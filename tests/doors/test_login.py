"""Guessing passwords, and where a login leads."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

import httpx
import pytest
from guarded import PASSWORD, Server
from hypothesis import example, given
from hypothesis import strategies as st

from stellwerk.doors.login import HOME, local_path


def test_guessing_is_slowed_down_and_others_still_get_in(login_server: Server) -> None:
    client = login_server.client(headers={"Origin": login_server.origin})
    right, wrong = {"name": "anna", "password": PASSWORD}, {"name": "anna", "password": "a guess"}
    assert [client.post("/login", data=wrong).status_code for _ in range(8)] == [401] * 5 + [429] * 3
    for wait in (1, 2, 4):
        answer = client.post("/login", data=right)
        # The right one neither, else the answer would tell which one it is.
        assert (answer.status_code, answer.headers["retry-after"]) == (429, str(wait))
        login_server.now += wait
        assert client.post("/login", data=wrong).status_code == 401
    login_server.now += 8
    assert client.post("/login", data=right).status_code == 303
    client, forged = login_server.client(headers={"Origin": login_server.origin}), {"X-Forwarded-For": "10.9.8.7"}
    statuses = [client.post("/login", data={**wrong, "name": f"n{number}"}, headers=forged).status_code for number in range(3)]
    assert statuses[-1] == 429


def test_a_name_that_is_written_in_another_way_is_counted_as_the_same(login_server: Server) -> None:
    client = login_server.client(headers={"Origin": login_server.origin})
    for name in ("anna", " anna", "anna ", "anna\t", "\u2003anna"):
        assert client.post("/login", data={"name": name, "password": "a guess"}).status_code == 401
    assert login_server.throttle.attempt("anna", "10.0.0.1") > 0
    assert client.post("/login", data={"name": "a" * 900_000, "password": "a guess"}).status_code == 429
    assert client.post("/login", data={"name": "b" * 900_000, "password": "c" * 100_000}).status_code == 429
    assert max(len(key) for _, key in login_server.throttle._tries) <= 200


ELSEWHERE = [
    *[
        "//evil.example",
        "\\\\evil.example",
        "/\\evil.example",
        "/%09/evil.example",
        "https:evil.example",
        "https://evil.example",
        "/%2Fevil.example",
        "/%5Cevil.example",
        "///evil.example",
        "javascript:alert(1)",
        "/%252F%252Fevil.example/..//",
        "evil.example",
        "@evil.example",
        "data:text/html,x",
        "/%0a/evil.example",
        "/%25%30%39/evil.example",
    ],
    *("", "/\t/evil.example", "/\n/evil.example", " //evil.example", "\x00//evil.example", "/\r//evil.example"),
]


@pytest.mark.parametrize("next_", ELSEWHERE)
def test_a_login_leads_nowhere_else(login_server: Server, next_: str) -> None:
    answer = login_server.client(headers={"Origin": login_server.origin}).post(
        "/login", data={"name": "anna", "password": PASSWORD, "next": next_}
    )
    location = answer.headers["location"]
    assert location == HOME or not re.match(r"/[/\\%]", location)
    assert httpx.URL(login_server.origin).join(location).host == "127.0.0.1"


@given(st.text(alphabet=st.sampled_from([*"/\\:@?#.%0259fFcC \t\r\n\x00aevilhtps", "\u2215", "é"]), max_size=30) | st.text())
@example("/systems/reply?next=//x#y")
@example("/%2f%2fevil.example")
def test_no_text_becomes_a_path_that_leads_elsewhere(text: str) -> None:
    found = local_path(text)
    assert found in (text, HOME)
    # What a browser makes of it: it drops tabs and line breaks and blanks at the ends, and reads \ as /.
    for seen in (found, unquote(found), unquote(unquote(found))):
        seen = re.sub(r"[\t\r\n]", "", seen.strip("".join(map(chr, range(33))))).replace("\\", "/")
        assert seen.startswith("/")
        assert not seen.startswith("//")
        assert urlsplit(seen).netloc == ""


def test_paths_of_ours_are_kept() -> None:
    for path in (
        "/",
        "/systems/support-desk",
        "/runs?state=failed&page=2",
        "/assets/dataset/tickets@3#rows",
        "/search?q=a%20b%2Fc&url=https://x",
    ):
        assert local_path(path) == path


def test_a_browser_follows_no_path_elsewhere(local_server: Server) -> None:
    """What chromium itself makes of the paths that are let through."""
    from playwright.sync_api import sync_playwright

    signs = ["/", "\\", ":", "@", "%", "2f", "5c", "09", ".", "\t", "\n", " ", "a", "?", "#", ";", "\u3000", "\uff0f", "\u2028"]
    texts = ["/" + a + b + c + "evil.example" for a in signs for b in signs for c in signs]
    let_through = [text for text in texts if local_path(text) == text]
    assert 500 < len(let_through) < len(texts)
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(local_server.origin + "/")
        hosts = page.evaluate("all => [...new Set(all.map(one => new URL(one, location.href).host))]", let_through)
        leads = "one => { try { return new URL(one, location.href).host != location.host } catch { return true } }"
        refused = page.evaluate(f"all => all.filter({leads})", texts)
        browser.close()
    assert hosts == [f"127.0.0.1:{local_server.port}"]
    assert len(refused) > 100  # the others do lead elsewhere
    assert not set(refused) & set(let_through)
