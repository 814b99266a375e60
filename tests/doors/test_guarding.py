"""Who may come in, and other web pages that would like to: each protection is attacked on a real server."""

from __future__ import annotations

import re
import time
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from guarded import PASSWORD, Server, assert_headers

from stellwerk.access import accounts, tokens
from stellwerk.access.sessions import Sessions
from stellwerk.doors.login import local_path
from stellwerk.record import tables

UNSAFE = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}


STRANGERS = [
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1",
    "127.0.0.1:1",
    "127.0.0.1.evil.example:{port}",
    "localhost.:{port}",
    "0.0.0.0:{port}",
    "127.1:{port}",
    "127.0.0.1:{port}@evil.example",
    "evil.example#127.0.0.1:{port}",
    "[::]:{port}",
]


@pytest.mark.parametrize("host", [*STRANGERS, ""])
def test_a_name_that_leads_here_by_another_ones_doing_is_refused(local_server: Server, host: str) -> None:
    host = host.format(port=local_server.port)
    answer = local_server.client().get("/", headers={"Host": host})
    assert answer.status_code == 421
    assert_headers(answer)
    assert local_server.client().post("/api/me", json={}, headers={"Host": host}).status_code == 421


def test_the_names_of_this_machine_are_served(local_server: Server) -> None:
    for host in ("127.0.0.1", "localhost", "LOCALHOST", "[::1]"):
        assert local_server.client().get("/", headers={"Host": f"{host}:{local_server.port}"}).status_code == 200


def test_two_names_or_none_are_refused(local_server: Server) -> None:
    name = f"Host: 127.0.0.1:{local_server.port}\r\n"
    for head in (name + "Host: evil.example\r\n", name + name, ""):
        answer = local_server.raw(f"GET / HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 400")
    assert local_server.raw(b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 421")
    absolute = f"GET http://evil.example/ HTTP/1.1\r\n{name}Connection: close\r\n\r\n"
    assert not local_server.raw(absolute.encode()).startswith(b"HTTP/1.1 200")


def test_another_web_page_changes_nothing_on_a_server_without_login(local_server: Server) -> None:
    client, before = local_server.client(), local_server.calls
    csrf = re.findall("<i>(.+)</i>", client.get("/").text)[0]
    other = f"http://127.0.0.1:{local_server.port + 1}"
    for found in (
        UNSAFE,
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": f"https://127.0.0.1:{local_server.port}"},
        {"Origin": f"{local_server.origin}.evil.example"},
        {"Origin": other, "Sec-Fetch-Site": "same-site"},
        {"Origin": local_server.origin, "Sec-Fetch-Site": "cross-site"},
        *({"Sec-Fetch-Site": site} for site in ("cross-site", "same-site", "none")),
    ):
        for token in ({}, {"X-CSRF-Token": csrf}):
            assert client.post("/change", data={"csrf": csrf}, headers={**found, **token}).status_code == 403
            assert client.post("/api/me", json={}, headers={**found, **token}).status_code == 403
            assert client.post("/mcp", json={}, headers={**found, **token}).status_code == 403
    assert local_server.calls == before


def test_a_form_without_its_token_changes_nothing(local_server: Server) -> None:
    before, ours = local_server.calls, {"Origin": local_server.origin, "Sec-Fetch-Site": "same-origin"}
    client = local_server.client(headers=ours)
    csrf = re.findall("<i>(.+)</i>", client.get("/").text)[0]
    for data in (
        {},
        {"csrf": ""},
        {"csrf": csrf[:-1]},
        {"csrf": csrf + "0"},
        {"csrf": "é"},
        {"csrf": [csrf, csrf]},
        {"other": csrf},
    ):
        assert client.post("/change", data=data).status_code == 403
    assert client.post("/change", content=csrf, headers={"Content-Type": "text/plain"}).status_code == 403
    assert client.post("/api/me", json={}).status_code == 403
    # A program that is no browser has no page to hold one, and may yet not send a form.
    assert local_server.client().post("/change", data={"a": "b"}).status_code == 403
    assert local_server.calls == before
    assert client.post("/change", data={"csrf": csrf, "a": "b" * 100_000}).json() == {"size": 100_000 + len(csrf)}
    assert client.post("/api/me", json={}, headers={"X-CSRF-Token": csrf}).status_code == 200
    assert local_server.calls == before + 2


def test_a_form_with_a_file_holds_its_token_in_front(local_server: Server) -> None:
    client, before = local_server.client(headers={"Origin": local_server.origin}), local_server.calls
    csrf = re.findall("<i>(.+)</i>", client.get("/").text)[0]
    file = {"file": ("a.csv", b"x" * 300_000)}
    assert client.post("/change", data={"csrf": csrf}, files=file).json() == {"size": 300_000 + len(csrf)}
    for data in ({"a": "b", "csrf": csrf}, {"csrf": "0"}, {"a": "b"}, {}):
        assert client.post("/change", data=data, files=file).status_code == 403
    assert client.post("/change", files={"csrf": ("a.txt", csrf)}).status_code == 403
    assert local_server.calls == before + 1


def test_programs_send_json_without_a_token_where_no_login_is_asked(local_server: Server) -> None:
    client = local_server.client()
    answer = client.post("/api/me", json={"a": 1}).json()
    assert answer == {"name": None, "scopes": ["admin", "approve", "read", "run"], "proven": False, "body": {"a": 1}}
    assert client.delete("/api/me").status_code == 200
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx", ""):
        assert client.post("/api/me", content="{}", headers={"Content-Type": kind}).status_code == 415
    assert client.post("/api/me", content="{}").status_code == 415
    assert client.post("/api/me", content=iter([b"{}"])).status_code == 415


def test_other_pages_may_link_here_but_not_read_embed_or_load(local_server: Server) -> None:
    client = local_server.client()
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert client.get("/", headers=link).status_code == 200
    assert client.get("/", headers={**link, "Sec-Fetch-Dest": "iframe"}).status_code == 403
    assert client.get("/", headers={**link, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}).status_code == 403
    assert client.get("/api/me", headers=link).status_code == 403
    assert client.get("/static/a.css", headers={**link, "Sec-Fetch-Mode": "cors"}).status_code == 403
    preflight = client.options("/api/me", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"})
    assert not any(name.startswith("access-control-") for name in preflight.headers)


def test_another_web_page_changes_nothing_with_somebodys_session(login_server: Server) -> None:
    client = login_server.logged_in()
    csrf = re.findall("<i>(.+)</i>", client.get("/").text)[0]
    mallory = login_server.logged_in("ben")
    theirs = re.findall("<i>(.+)</i>", mallory.get("/").text)[0]
    assert csrf != theirs
    for found, data in [
        (UNSAFE, {}),
        (UNSAFE, {"csrf": csrf}),
        ({}, {}),
        ({}, {"csrf": theirs}),
        ({}, {"csrf": login_server.workspace.keyed("csrf of the local user")}),
    ]:
        assert client.post("/change", data=data, headers=found).status_code == 403
        assert (
            client.post("/api/me", json={}, headers={**found, **({"X-CSRF-Token": data["csrf"]} if data else {})}).status_code
            == 403
        )
    assert client.post("/logout").status_code == 403
    assert login_server.calls == 0
    # A cookie without any word of a browser needs the token just as well.
    bare = login_server.client(cookies=dict(client.cookies))
    assert bare.post("/change").status_code == bare.post("/api/me", json={}).status_code == 403
    assert client.post("/change", data={"csrf": csrf}).status_code == 200
    assert client.post("/api/me", json={}, headers={"X-CSRF-Token": csrf}).json()["name"] == "anna"


def test_another_web_page_logs_nobody_in(login_server: Server) -> None:
    form = {"name": "ben", "password": PASSWORD}
    for found in (UNSAFE, {"Origin": "null"}, {}):
        answer = login_server.client().post("/login", data=form, headers=found)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


def test_without_a_login_nothing_but_the_login_is_shown(login_server: Server) -> None:
    client = login_server.client()
    for path in ("/api/me", "/mcp", "/api/uploads", "/api/nothing", "/api"):
        answer = client.get(path)
        assert answer.status_code == 401, path
        assert list(answer.json()) == ["error"]
        assert answer.headers["www-authenticate"] == "Bearer"
    for path in ("/", "/document", "/nothing", "/API/me", "/static", "/loginx", "/login/", "/apix", "/%61pix", "/mcp%2f.."):
        answer = client.get(path)
        assert answer.status_code in (303, 400), path
        assert "None" not in answer.text
    answer = client.get("/systems/a%20b?x=1&y=%2F%2Fevil")
    assert answer.headers["location"] == "/login?next=" + quote("/systems/a%20b?x=1&y=%2F%2Fevil", safe="")
    assert local_path(unquote(answer.headers["location"].partition("=")[2])) == "/systems/a%20b?x=1&y=%2F%2Fevil"
    assert client.get("/", headers={"HX-Request": "true"}).headers["hx-redirect"] == "/login"
    assert client.post("/change", headers={"Origin": login_server.origin}).headers["location"] == "/login"
    assert client.get("/login").status_code == client.get("/static/a.css").status_code == 200
    assert login_server.calls == 0


def test_a_token_opens_the_api_and_no_page(login_server: Server) -> None:
    text, _ = tokens.make(login_server.workspace, "ci", ["read", "run"], 1)
    client = login_server.client(headers={"Authorization": f"Bearer {text}"})
    assert client.post("/api/me", json={}).json() == {"name": "ci", "scopes": ["read", "run"], "proven": True, "body": {}}
    assert client.post("/mcp", json={}).json()["name"] == "ci"
    assert client.get("/").status_code == 303
    assert client.post("/change", headers={"Origin": login_server.origin}).status_code == 303
    # What a browser adds of itself on another page cannot hold a token; where one is there, its page does not matter.
    assert client.post("/api/me", json={}, headers={"Authorization": f"bearer {text}"}).status_code == 200
    tokens.revoke(login_server.workspace, "ci")
    assert client.get("/api/me").status_code == 401


@pytest.mark.parametrize("made", ["", "stw_", "stw_" + "A" * 43, "stw_" + "A" * 5000, "' OR 1=1 --", "null"])
def test_a_token_that_was_made_up_opens_nothing(login_server: Server, local_server: Server, made: str) -> None:
    for scheme in ("Bearer", "Basic", "Token", ""):
        for server in (login_server, local_server):
            found = {"Authorization": f"{scheme} {made}".strip()}
            assert server.client().get("/api/me", headers=found).status_code == 401, scheme


def test_expired_and_stolen_tokens_open_nothing(login_server: Server) -> None:
    text, _ = tokens.make(login_server.workspace, "ci", ["read"], 1)
    digest = login_server.workspace.record.rows(tables.token)[0]["digest"]
    get = login_server.client().get
    assert get("/api/me", headers={"Authorization": f"Bearer {digest}"}).status_code == 401
    assert get("/api/me", headers={"Authorization": f"Bearer stw_{digest[:43]}"}).status_code == 401
    assert get("/api/me", params={"token": text, "access_token": text}).status_code == 401
    assert get("/api/me", headers={"Cookie": f"Authorization=Bearer {text}"}).status_code == 401
    with login_server.workspace.record.database.writing() as connection:
        connection.execute(tables.token.update().values(expires=time.time() - 1))
    assert get("/api/me", headers={"Authorization": f"Bearer {text}"}).status_code == 401


def test_a_session_opens_pages_and_api_until_it_ends(login_server: Server) -> None:
    client = login_server.logged_in()
    name = next(iter(client.cookies))
    assert "<p>anna</p>" in client.get("/").text
    assert client.get("/api/me").json()["name"] == "anna"
    assert client.get("/mcp").status_code == 401
    stolen = dict(client.cookies)
    csrf = re.findall("<i>(.+)</i>", client.get("/").text)[0]
    answer = client.post("/logout", data={"csrf": csrf})
    assert answer.headers["location"] == "/login"
    assert name not in client.cookies
    assert login_server.client(cookies=stolen).get("/api/me").status_code == 401
    anna, ben = login_server.logged_in("anna"), login_server.logged_in("ben")
    accounts.save(login_server.workspace, "anna", None, "ein neues, langes Wort")
    assert (anna.get("/api/me").status_code, ben.get("/api/me").status_code) == (401, 200)
    accounts.remove(login_server.workspace, "ben")
    assert ben.get("/api/me").status_code == 401


def test_a_cookie_that_was_made_up_or_is_over_opens_nothing(login_server: Server) -> None:
    client = login_server.logged_in()
    ((name, cookie),) = client.cookies.items()
    secret, signature = cookie.split(".")
    digest = login_server.workspace.record.rows(tables.session)[0]["id"]
    for wrong in (
        f"{secret}.{signature[:-1]}",
        f"{secret}.{'A' * 43}",
        f"{digest}.{signature}",
        digest,
        "x" * 6000,
        f"{signature}.{secret}",
    ):
        assert login_server.client().get("/api/me", headers={"Cookie": f"{name}={wrong}"}).status_code == 401
    assert login_server.client().get("/api/me", headers={"Cookie": f"other={cookie}"}).status_code == 401
    with login_server.workspace.record.database.writing() as connection:
        connection.execute(tables.session.update().values(expires=time.time() - 1))
    assert client.get("/api/me").status_code == 401


def test_a_login_takes_another_session_than_one_that_was_slipped_in(login_server: Server) -> None:
    client = login_server.logged_in("ben")
    slipped = dict(client.cookies)
    csrf = re.findall("<i>(.+)</i>", client.get("/").text)[0]
    answer = client.post("/login", data={"name": "anna", "password": PASSWORD, "csrf": csrf})
    assert answer.status_code == 303
    assert dict(client.cookies) != slipped
    assert login_server.client(cookies=slipped).get("/api/me").status_code == 401


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_pages(
    login_server: Server, tmp_path: Path, static_files: Path
) -> None:
    answer = login_server.client(headers={"Origin": login_server.origin}).post(
        "/login", data={"name": "anna", "password": PASSWORD}
    )
    found = answer.headers["set-cookie"]
    assert re.fullmatch(r"stellwerk-[0-9a-f]{8}=[\w-]{43}\.[\w-]{43}; HttpOnly; Max-Age=604800; Path=/; SameSite=lax", found)
    with Server(login_server.workspace, static_files, names=["stellwerk.example"], behind_proxy=True) as server:
        found = {"Host": "stellwerk.example", "Origin": "https://stellwerk.example"}
        form = {"name": "anna", "password": PASSWORD}
        answer = server.client(headers=found).post("/login", data=form)
        assert re.match(r"__Host-stellwerk-.*; HttpOnly; .*Path=/; SameSite=lax; Secure$", answer.headers["set-cookie"])
        assert (
            server.client().post("/login", data=form, headers={**found, "Origin": "http://stellwerk.example"}).status_code
            == 403
        )


def test_scopes_are_asked_for(login_server: Server) -> None:
    ci, _ = tokens.make(login_server.workspace, "ci", ["read"], 1)
    post = login_server.client(headers={"Authorization": f"Bearer {ci}"}).post
    assert post("/api/operate/runs.list", json={}).status_code == 200
    answer = post("/api/operate/data.build", json={})
    assert (answer.status_code, answer.json()) == (403, {"error": "data.build needs the scope run; ci has: read"})
    assert post("/api/operate/access.token", json={}).status_code == 404
    client = login_server.logged_in("anna")
    csrf = re.findall("<i>(.+)</i>", client.get("/").text)[0]
    assert client.post("/api/operate/access.token", json={}, headers={"X-CSRF-Token": csrf}).status_code == 404
    assert client.post("/api/operate/data.build", json={}, headers={"X-CSRF-Token": csrf}).status_code == 200
    accounts.save(login_server.workspace, "anna", ["read"], None)
    assert client.post("/api/operate/data.build", json={}, headers={"X-CSRF-Token": csrf}).status_code == 403


def test_pages_need_the_scope_read_but_anybody_may_leave(login_server: Server) -> None:
    accounts.save(login_server.workspace, "carl", ["run", "approve"], PASSWORD)
    client = login_server.logged_in("carl")
    for path in ("/", "/document", "/nothing"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()) == (
            403,
            {"error": "the pages need the scope read, which carl does not have"},
        )
    assert client.get("/static/a.css").status_code == 200
    assert client.get("/api/me").json()["scopes"] == ["approve", "run"]
    assert client.post("/logout").status_code == 403
    held = Sessions(login_server.workspace, secure=False).find(next(iter(client.cookies.values())))
    assert held is not None
    assert client.post("/logout", data={"csrf": held.csrf}).status_code == 303
    assert login_server.workspace.record.rows(tables.session) == []
