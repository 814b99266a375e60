"""Accounts, tokens, sessions and the throttle, against a real record."""

from __future__ import annotations

import hashlib
import os
import pty
import re
import select
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

import stellwerk
from databases import ON_POSTGRESQL
from stellwerk.access import accounts, names, sessions, throttle, tokens
from stellwerk.access.throttle import Throttle
from stellwerk.errors import UserError
from stellwerk.record import tables
from stellwerk.workspace import Workspace

PASSWORD = "vier rote Laternen im Nebel"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.init(tmp_path / "w")


def rows(workspace: Workspace, name: str) -> list[dict[str, object]]:
    return workspace.record.rows(tables.metadata.tables[name])


def set_column(workspace: Workspace, table: str, **values: object) -> None:
    with workspace.record.database.writing() as connection:
        connection.execute(tables.metadata.tables[table].update().values(**values))


# -- passwords ---------------------------------------------------------------------------------------------------------


def test_a_password_opens_its_account_alone(workspace: Workspace) -> None:
    accounts.save(workspace, "anna", ["read"], PASSWORD)
    accounts.save(workspace, "ben", ["read", "admin"], "ein ganz anderer Satz")
    found = accounts.verify(workspace, "anna", PASSWORD)
    assert found is not None
    assert (found.name, found.scopes) == ("anna", {"read"})
    for name, password in [
        ("anna", "ein ganz anderer Satz"),
        ("ben", PASSWORD),
        ("Anna", PASSWORD),
        ("clara", PASSWORD),
        ("", ""),
    ]:
        assert accounts.verify(workspace, name, password) is None
    assert accounts.verify(workspace, "anna", PASSWORD + "x" * 5000) is None
    assert accounts.verify(workspace, "anna", PASSWORD + "\0") is None


def test_umlauts_typed_on_another_keyboard_are_the_same_password(workspace: Workspace) -> None:
    accounts.save(workspace, "anna", ["read"], "Schlüssel für die Tür")
    assert accounts.verify(workspace, "anna", "Schlu\u0308ssel fu\u0308r die Tu\u0308r") is not None


@pytest.mark.parametrize(
    "password", ["kurz", "x" * 1025, "ß" * 600, "anna.schmidt", "ANNA.SCHMIDT", "tdimhcs.anna", "a" * 20, ""]
)
def test_a_bad_password_makes_no_account(workspace: Workspace, password: str) -> None:
    with pytest.raises(UserError, match="password"):
        accounts.save(workspace, "anna.schmidt", ["read"], password)
    assert accounts.every(workspace) == []


def test_a_hash_with_older_parameters_is_made_anew(workspace: Workspace) -> None:
    accounts.save(workspace, "anna", ["read"], PASSWORD)
    weak = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    set_column(workspace, "account", password=weak)
    assert accounts.verify(workspace, "anna", "x" + PASSWORD) is None
    assert rows(workspace, "account")[0]["password"] == weak
    assert accounts.verify(workspace, "anna", PASSWORD) is not None
    fresh = str(rows(workspace, "account")[0]["password"])
    assert fresh.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert accounts.verify(workspace, "anna", PASSWORD) is not None


def test_a_name_that_there_is_not_takes_as_long_as_a_wrong_password(workspace: Workspace) -> None:
    accounts.save(workspace, "anna", ["read"], PASSWORD)
    accounts.verify(workspace, "nobody", PASSWORD)
    taken: dict[str, list[float]] = {"anna": [], "nobody": []}
    for _ in range(7):
        for name, times in taken.items():
            began = time.process_time()
            assert accounts.verify(workspace, name, "a wrong password") is None
            times.append(time.process_time() - began)
    known, unknown = (statistics.median(times) for times in taken.values())
    assert unknown > 0.02  # argon2 was run
    assert 0.6 < known / unknown < 1.7


def test_names_of_accounts_and_tokens_are_never_confused(workspace: Workspace) -> None:
    accounts.save(workspace, "anna", ["read"], PASSWORD)
    tokens.make(workspace, "ci", ["read"], 1)
    for wanted in ("Anna", "ci", "CI"):
        with pytest.raises(UserError, match="is taken"):
            accounts.save(workspace, wanted, ["read"], PASSWORD)
    for wanted in ("anna", "ANNA", "ci", "Ci"):
        with pytest.raises(UserError, match="is taken"):
            tokens.make(workspace, wanted, ["read"], 1)
    tokens.revoke(workspace, "ci")
    assert tokens.make(workspace, "ci", ["run"], 1)[1].scopes == {"run"}


@pytest.mark.parametrize("bad", ["", " ", "a b", "a/b", "a\nb", "a" * 101, "<b>", "a\u202eb", "a,b"])
def test_what_is_no_name_is_refused(bad: str) -> None:
    with pytest.raises(UserError, match="is no name"):
        names.name(bad)


@given(st.sets(st.sampled_from(names.SCOPES), min_size=1))
def test_scopes_are_read_in_any_order_and_nothing_else_is(wanted: set[str]) -> None:
    assert set(names.scopes(" , ".join(wanted))) == wanted
    with pytest.raises(UserError, match="scopes"):
        names.scopes(",".join([*wanted, "root"]))


# -- tokens ------------------------------------------------------------------------------------------------------------


def test_a_token_holds_until_it_expires_or_is_revoked(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    text, made = tokens.make(workspace, "ci", ["read", "run"], 30)
    assert re.fullmatch(r"stw_[A-Za-z0-9_-]{43}", text)
    assert rows(workspace, "token")[0]["digest"] == hashlib.sha256(text.encode()).hexdigest()
    assert tokens.find(workspace, text) == made
    last = "A" if text[-1] != "A" else "B"
    for wrong in (
        "",
        "stw_",
        text[:-1],
        text[:-1] + last,
        text + "A",
        text + "\n",
        text.swapcase(),
        "stw_" + "A" * 43,
        str(rows(workspace, "token")[0]["digest"]),
    ):
        assert tokens.find(workspace, wrong) is None
    now = time.time()
    with monkeypatch.context() as later:
        later.setattr(tokens.time, "time", lambda: now + 30 * tokens.DAY + 1)
        assert tokens.find(workspace, text) is None
    tokens.revoke(workspace, "ci")
    assert tokens.find(workspace, text) is None
    with pytest.raises(UserError, match="no valid token 'ci'"):
        tokens.revoke(workspace, "ci")


@pytest.mark.parametrize("days", [0, -1, 365.1, float("nan"), float("inf")])
def test_a_token_holds_a_year_at_most(workspace: Workspace, days: float) -> None:
    with pytest.raises(UserError, match="days"):
        tokens.make(workspace, "ci", ["read"], days)


# -- sessions ----------------------------------------------------------------------------------------------------------


def test_a_session_ends_with_idleness_age_logout_password_and_account(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = accounts.save(workspace, "anna", ["read"], PASSWORD)
    held = sessions.Sessions(workspace, secure=False)
    now = [time.time()]
    monkeypatch.setattr(sessions.time, "time", lambda: now[0])
    cookie = held.begin(anna)
    now[0] += sessions.IDLE - 1
    assert held.find(cookie) is not None
    now[0] += sessions.IDLE - 1  # what was used is kept
    assert held.find(cookie) is not None
    now[0] += sessions.IDLE + 1
    assert held.find(cookie) is None
    cookie, began = held.begin(anna), now[0]
    while now[0] - began < sessions.ABSOLUTE - 3600:
        assert held.find(cookie) is not None
        now[0] += 3600
    now[0] += 7200
    assert held.find(cookie) is None
    for end in (
        lambda c: held.end(c),
        lambda _: accounts.save(workspace, "anna", None, "ein neues, langes Wort"),
        lambda _: accounts.remove(workspace, "anna"),
    ):
        cookies = [held.begin(anna), held.begin(anna)]
        end(cookies[0])
        assert held.find(cookies[0]) is None
        assert (held.find(cookies[1]) is None) == (len(rows(workspace, "session")) == 0)
    assert rows(workspace, "session") == []


def test_new_scopes_hold_at_once_and_leave_the_session_alone(workspace: Workspace) -> None:
    held = sessions.Sessions(workspace, secure=False)
    cookie = held.begin(accounts.save(workspace, "anna", ["read", "admin"], PASSWORD))
    accounts.save(workspace, "anna", ["read"], None)
    found = held.find(cookie)
    assert found is not None
    assert found.scopes == {"read"}


def test_a_cookie_that_was_tampered_with_or_signed_by_another_workspace_is_nothing(
    workspace: Workspace, tmp_path: Path
) -> None:
    held = sessions.Sessions(workspace, secure=False)
    cookie = held.begin(accounts.save(workspace, "anna", ["read"], PASSWORD))
    secret, signature = cookie.split(".")
    other = Workspace.init(tmp_path / "other")
    theirs = sessions.Sessions(other, secure=False)._signer().sign(secret).decode()
    flipped = ("A" if secret[0] != "A" else "B") + secret[1:]
    for wrong in (
        secret,
        f"{secret}.",
        f"{flipped}.{signature}",
        f"{secret}.{signature[::-1]}",
        f".{signature}",
        theirs,
        cookie + " ",
        "",
        "é",
    ):
        assert held.find(wrong) is None
    assert held.find(cookie) is not None
    assert sessions.Sessions(workspace, secure=True).cookie.startswith("__Host-")


def test_the_record_holds_no_password_token_or_cookie(workspace: Workspace) -> None:
    text, _ = tokens.make(workspace, "ci", ["read"], 30)
    cookie = sessions.Sessions(workspace, secure=False).begin(accounts.save(workspace, "anna", ["read"], PASSWORD))
    kept = repr([rows(workspace, name) for name in ("account", "token", "session", "journal", "run")]).encode()
    if not ON_POSTGRESQL:
        workspace.record.database.close()
        kept += b"".join(path.read_bytes() for path in workspace.state.glob("record.db*"))
    assert b"anna" in kept
    for secret in (PASSWORD, text, text[4:], cookie, *cookie.split(".")):
        assert secret.encode() not in kept


# -- the throttle ------------------------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_each_failure_doubles_the_wait_up_to_a_bound() -> None:
    clock = Clock()
    held = Throttle(clock)
    waits = []
    for _ in range(25):
        while (wait := held.attempt("anna", "10.0.0.1")) > 0:
            waits.append(wait)
            clock.now += wait
    assert waits[:4] == [1, 2, 4, 8]
    assert max(waits) == throttle.LONGEST_OF_ADDRESS
    # A day of trying without pause: fewer than a hundred guesses.
    tried, began = 0, clock.now
    while clock.now - began < 86_400:
        wait = held.attempt("anna", "10.0.0.1")
        tried += wait == 0
        clock.now += wait
    assert tried < 100


def test_others_attempts_lock_nobody_out() -> None:
    clock = Clock()
    held = Throttle(clock)
    assert held.attempt("anna", "10.0.0.1") == 0
    held.succeeded("anna", "10.0.0.1")
    for number in range(2000):
        held.attempt("anna", f"172.16.{number // 250}.{number % 250}")
        clock.now += 1
    assert held.attempt("anna", "10.0.0.1") == 0  # where she logged in before
    assert 0 < held.attempt("anna", "10.0.0.2") <= throttle.LONGEST_OF_ACCOUNT  # elsewhere a minute at most


def test_a_login_of_ones_own_does_not_forgive_guesses_at_others() -> None:
    clock = Clock()
    held = Throttle(clock)
    for number in range(40):
        if held.attempt(f"victim{number}", "10.0.0.1") > 0:
            break
        if held.attempt("mallory", "10.0.0.1") == 0:
            held.succeeded("mallory", "10.0.0.1")
    assert number == throttle.FREE


def test_many_at_once_are_counted_too() -> None:
    held = Throttle(Clock())
    allowed: list[float] = []
    threads = [threading.Thread(target=lambda: allowed.append(held.attempt("anna", "10.0.0.1"))) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert allowed.count(0) == throttle.FREE


def test_the_throttle_is_bounded_and_takes_a_network_of_ipv6_for_one() -> None:
    held = Throttle(Clock())
    for number in range(throttle.ENTRIES + 500):
        held.attempt(f"name{number}", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(held._tries) <= throttle.ENTRIES
    assert (
        throttle.network("2001:db8:1:2:3::4") == throttle.network("2001:db8:1:2::ffff") != throttle.network("2001:db8:1:3::1")
    )
    assert throttle.network("::ffff:10.0.0.1") == throttle.network("10.0.0.1")
    assert len(throttle.network("x" * 1000)) <= 64


# -- operations --------------------------------------------------------------------------------------------------------


def test_a_password_that_is_written_out_is_refused_and_not_repeated(workspace: Workspace) -> None:
    opened = stellwerk.open(workspace.root)
    with pytest.raises(UserError, match="written out") as refused:
        opened.access.account("anna", "read", PASSWORD)
    assert PASSWORD not in str(refused.value)
    assert opened.access.accounts().accounts == []


def test_the_terminal_asks_for_a_password_twice_and_shows_none(workspace: Workspace) -> None:
    output = typed(workspace, ["access", "account", "anna", "--scopes", "read,run"], [PASSWORD, PASSWORD])
    assert PASSWORD not in output
    assert accounts.verify(workspace, "anna", PASSWORD) is not None
    output = typed(workspace, ["access", "account", "anna"], ["ein neues, langes Wort", "ein anderes, langes Wort"])
    assert "differ" in output
    assert accounts.verify(workspace, "anna", PASSWORD) is not None
    without = subprocess.run(
        [sys.executable, "-m", "stellwerk", "access", "account", "ben"],
        cwd=workspace.root,
        input=PASSWORD,
        capture_output=True,
        text=True,
    )
    assert without.returncode == 2
    assert "no terminal" in without.stderr


def typed(workspace: Workspace, arguments: list[str], lines: list[str]) -> str:
    """What a terminal shows while somebody answers the questions."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(workspace.root)
        os.execv(sys.executable, [sys.executable, "-m", "stellwerk", *arguments])
    shown, waiting = b"", list(lines)
    while True:
        if not select.select([terminal], [], [], 60)[0]:
            raise AssertionError(f"nothing more came after {shown!r}")
        try:
            part = os.read(terminal, 4096)
        except OSError:
            break
        shown += part
        if waiting and part.rstrip().endswith(b":"):
            os.write(terminal, waiting.pop(0).encode() + b"\n")
    os.waitpid(process, 0)
    os.close(terminal)
    return shown.decode()
