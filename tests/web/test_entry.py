"""Logging in by the page: nothing of the workspace before, sentences in both languages, and no way to elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sites import Visitor, visible

from stellwerk.access import accounts
from stellwerk.workspace import Workspace

PASSWORD = "four words for testing"


@pytest.fixture
def stranger(new: Callable[..., Visitor]) -> Visitor:
    """Somebody who has not logged in yet."""

    def prepare(workspace: Workspace) -> None:
        file = workspace.root / "stellwerk.yaml"
        file.write_text(file.read_text().replace('"new"', '"Hidden"'))
        del workspace.settings
        accounts.save(workspace, "anna", ["read", "run"], PASSWORD)

    return new(prepare, login=True)


def test_before_the_login_a_page_tells_nothing_of_the_workspace(stranger: Visitor) -> None:
    answer = stranger.get("/systems/secret")
    assert answer.url.path == "/login"
    for page in (answer.text, stranger.get("/static/nothing").text, stranger.get("/nothing").text):
        assert "Hidden" not in page


def test_a_wrong_password_is_told_in_the_readers_language(stranger: Visitor) -> None:
    for language, said in (
        ("en", "Name and password do not belong together."),
        ("de", "Name und Passwort gehören nicht zusammen."),
    ):
        stranger.headers["accept-language"] = language
        answer = stranger.submit("/login", on="/login", name="anna<b>", password="wrong", next="/")
        assert answer.status_code == 401
        assert said in visible(answer.text)
        assert 'value="anna&lt;b&gt;"' in answer.text
        assert "wrong" not in answer.text


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_after_the_login_nobody_is_led_elsewhere(stranger: Visitor, target: str) -> None:
    answer = stranger.submit("/login", on="/login", name="anna", password=PASSWORD, next=target)
    assert (answer.status_code, str(answer.url)) == (200, f"{str(stranger.base_url).rstrip('/')}/")
    assert "Log out" in visible(answer.text)


def test_logging_out_ends_the_session(stranger: Visitor) -> None:
    on = stranger.submit("/login", on="/login", name="anna", password=PASSWORD, next="/findings")
    assert on.url.path == "/findings"
    assert "Hidden" in on.text
    assert stranger.get("/login").url.path == "/"
    assert stranger.submit("/logout", on="/").url.path == "/login"
    assert stranger.get("/findings").url.path == "/login"


def test_too_many_attempts_have_to_wait(stranger: Visitor) -> None:
    answers = [stranger.submit("/login", on="/login", name="anna", password="wrong", next="/") for _ in range(7)]
    assert answers[-1].status_code == 429
    assert "Try again in" in visible(answers[-1].text)
    assert int(answers[-1].headers["retry-after"]) > 0
