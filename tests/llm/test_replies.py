"""Kept replies: found by all that they depend on and by nothing else, kept as long as the file says, never lost by a kill."""

from __future__ import annotations

import datetime as dt
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stellwerk.errors import StellwerkError, UserError
from stellwerk.llm import replies
from stellwerk.llm.chat import Message, Params, Reply, ToolCall, Usage
from stellwerk.llm.replies import Replies
from stellwerk.record import tables
from stellwerk.workspace import Workspace

ASKED = [Message("user", "Grüße, 你好")]
PLAIN = Params()
KEY = bytes(32)
OPENED = """
from pathlib import Path
from stellwerk.llm.chat import Reply
from stellwerk.llm.replies import Replies
from stellwerk.workspace import Workspace
kept = Replies(Workspace(Path(sys.argv[1])))
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    made = Workspace.init(tmp_path / "place")
    yield made
    if "record" in vars(made):
        made.record.database.close()


def some(text: str = "An answer 🚆") -> Reply:
    usage = Usage(12, 3, 1, 2)
    return Reply(
        text, "length", usage, "m", "fp", "id", (ToolCall("c", "f", "{}"),), 1.5, 0.25, 3, False, "2026-01-01T00:00:00Z"
    )


def rows(workspace: Workspace) -> list[Any]:
    connection = sqlite3.connect(workspace.state / "replies.db")
    try:
        return connection.execute("select key, taken, expires, run, body from reply").fetchall()
    finally:
        connection.close()


def age(workspace: Workspace, seconds: float) -> None:
    """Let all that is kept be older."""
    connection = sqlite3.connect(workspace.state / "replies.db")
    connection.execute("update reply set taken = taken - ?, expires = expires - ?", (seconds, seconds))
    connection.commit()
    connection.close()


def run_row(workspace: Workspace, state: str, days_ago: float = 0.0) -> str:
    """A run in the record that ended some days ago; its id."""
    ended = (dt.datetime.now(dt.UTC) - dt.timedelta(days=days_ago)).isoformat(timespec="microseconds")
    with workspace.record.writing(workspace.person) as transaction:
        row = transaction.insert(
            tables.run, operation="x.y", parameters={}, snapshots={}, code="", state=state, person=transaction.person,
            created=transaction.at, finished=None if state == "running" else ended,
        )  # fmt: skip
    return str(row["id"])


def test_what_was_put_is_found_at_once_and_after_opening_anew(workspace: Workspace) -> None:
    kept = Replies(workspace)
    kept.put(KEY, some(), "30 days")
    kept.put_vector(b"v" * 32, [0.1, -2.0, 1e300], "30 days")
    found = kept.reply(KEY)
    kept.close()
    again = Replies(workspace)
    for reply in (found, again.reply(KEY)):
        assert reply is not None and reply.kept
        assert reply == Reply(**{**{name: getattr(some(), name) for name in Reply.__dataclass_fields__}, "kept": True})
    assert again.vector(b"v" * 32) == [0.1, -2.0, 1e300]
    assert again.reply(b"other") is None
    again.close()


def test_a_key_is_all_that_a_reply_depends_on() -> None:
    base = replies.key("model", ASKED, PLAIN, 0)
    others = [
        replies.key("other", ASKED, PLAIN, 0),
        replies.key("model", [*ASKED, Message("assistant", "")], PLAIN, 0),
        replies.key("model", [Message("system", ASKED[0].content)], PLAIN, 0),
        replies.key("model", [Message("user", ASKED[0].content + " ")], PLAIN, 0),
        replies.key("model", [Message("user", ASKED[0].content, (ToolCall("a", "b", "c"),))], PLAIN, 0),
        replies.key("model", ASKED, Params(temperature=0), 0),
        replies.key("model", ASKED, Params(temperature=1), 0),
        replies.key("model", ASKED, Params(schema={"type": "object"}), 0),
        replies.key("model", ASKED, Params(tools=({"type": "function"},)), 0),
        replies.key("model", ASKED, Params(stop=("a",)), 0),
        replies.key("model", ASKED, Params(extra={"a": 1}), 0),
        replies.key("model", ASKED, PLAIN, 1),
        replies.vector_key("model", ASKED[0].content),
    ]
    assert None not in others and len({base, *others}) == len(others) + 1
    assert base == replies.key("model", [Message("user", "Grüße, 你好")], Params(temperature=None), 0)
    one, two = Params(extra={"a": 1, "b": {"c": 2, "d": 3}}), Params(extra={"b": {"d": 3, "c": 2}, "a": 1})
    assert replies.key("model", ASKED, one, 0) == replies.key("model", ASKED, two, 0)
    assert replies.key("model", [Message("user", "\ud800")], PLAIN, 0) is None
    assert replies.vector_key("model", "\ud800") is None


def test_nothing_that_was_asked_is_kept(workspace: Workspace) -> None:
    kept = Replies(workspace)
    key = replies.key("model", [Message("user", "Frau Schmidt")], PLAIN, 0)
    assert key is not None
    kept.put(key, some(), "30 days")
    kept.close()
    assert b"Schmidt" not in (workspace.state / "replies.db").read_bytes()


def test_only_its_owner_reads_the_file(workspace: Workspace) -> None:
    kept = Replies(workspace)
    kept.put(KEY, some(), "30 days")
    kept.flush()
    files = list(workspace.state.glob("replies.db*"))
    assert len(files) == 3 and all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
    kept.close()


@pytest.mark.parametrize(("keep", "run", "there"), [("none", "r", 0), ("run", None, 0), ("run", "r", 1), ("30 days", "r", 1)])
def test_what_is_written(workspace: Workspace, keep: replies.Keep, run: str | None, there: int) -> None:
    kept = Replies(workspace)
    kept.put(KEY, some(), keep, run)
    kept.close()
    assert len(rows(workspace)) == there
    assert [row[3] for row in rows(workspace)] == ([run] if keep == "run" else [None])[:there]


@pytest.mark.parametrize(("keep", "days"), [("30 days", 30), ("365 days", 365)])
def test_what_has_expired_is_not_used_and_then_gone(workspace: Workspace, keep: replies.Keep, days: int) -> None:
    kept = Replies(workspace)
    kept.put(KEY, some("SECRET-TEXT"), keep)
    kept.flush()
    age(workspace, days * 86_400 - 60)
    fresh = Replies(workspace)
    assert fresh.reply(KEY) is not None
    age(workspace, 120)
    time.sleep(0.01)
    assert fresh.reply(KEY) is None
    kept.close()
    fresh.close()
    Replies(workspace).close()
    assert rows(workspace) == []
    assert b"SECRET-TEXT" not in (workspace.state / "replies.db").read_bytes(), "what is deleted is overwritten"


def test_young_ones_alone_where_that_is_asked(workspace: Workspace) -> None:
    kept = Replies(workspace)
    kept.put(KEY, some(), "30 days")
    kept.flush()
    age(workspace, 3600)
    kept.close()
    again = Replies(workspace)
    assert again.reply(KEY, within=3500) is None
    assert again.reply(KEY, within=3700) is not None
    again.close()


def test_replies_of_a_run_go_with_it(workspace: Workspace) -> None:
    runs = {
        "done": run_row(workspace, "done"),
        "running": run_row(workspace, "running"),
        "failed": run_row(workspace, "failed", 0.5),
        "failed long ago": run_row(workspace, "failed", 1.5),
        "cancelled long ago": run_row(workspace, "cancelled", 1.5),
        "unknown": uuid.uuid4().hex,
    }
    kept = Replies(workspace)
    for number, run in enumerate(runs.values()):
        kept.put(bytes([number]) * 32, some(), "run", run)
    kept.close()
    Replies(workspace).close()
    assert {row[3] for row in rows(workspace)} == {runs["running"], runs["failed"]}, "what may be gone on with is still there"
    replies.forget(workspace, runs["failed"])
    assert {row[3] for row in rows(workspace)} == {runs["running"]}


def test_to_forget_where_nothing_was_kept(workspace: Workspace) -> None:
    replies.forget(workspace, "run")
    assert not (workspace.state / "replies.db").exists()


def test_a_killed_process_loses_at_most_a_tenth_of_a_second(workspace: Workspace) -> None:
    code = (
        "import sys, time\n"
        f"{OPENED}"
        "for n in range(10**6):\n"
        "    kept.put(n.to_bytes(32, 'big'), Reply(str(n)), '30 days')\n"
        "    print(n, time.time(), flush=True)\n    time.sleep(0.002)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(workspace.root)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = [process.stdout.readline().split() for _ in range(150)]
    killed = time.time()
    process.send_signal(signal.SIGKILL)
    process.wait()
    said += [line.split() for line in process.stdout.read().splitlines() if len(line.split()) == 2]
    process.stdout.close()
    kept = Replies(workspace)
    there = {int(n) for n, _ in said if kept.reply(int(n).to_bytes(32, "big")) is not None}
    kept.close()
    old = {int(n) for n, at in said if float(at) < killed - 0.3}
    assert old and old <= there


def test_several_processes_write_and_read(workspace: Workspace) -> None:
    code = (
        "import sys\n"
        f"{OPENED}"
        "for n in range(int(sys.argv[2]), 2000, 4):\n    kept.put(n.to_bytes(32, 'big'), Reply(str(n)), '30 days')\n"
        "kept.close()\n"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, str(workspace.root), str(part)]) for part in range(4)]
    assert [process.wait(60) for process in started] == [0, 0, 0, 0]
    kept = Replies(workspace)
    for n in range(2000):
        reply = kept.reply(n.to_bytes(32, "big"))
        assert reply is not None and reply.text == str(n)
    kept.close()


def test_a_writer_that_waits_for_another_process_keeps_nobody_waiting(workspace: Workspace) -> None:
    kept = Replies(workspace)
    other = sqlite3.connect(workspace.state / "replies.db", isolation_level=None)
    other.execute("begin immediate")
    started = time.monotonic()
    for n in range(1000):
        kept.put(n.to_bytes(32, "big"), some(), "30 days")
        assert kept.reply(n.to_bytes(32, "big")) is not None
    assert time.monotonic() - started < 1
    assert threading.active_count() > 1
    other.execute("rollback")
    other.close()
    kept.close()
    assert len(rows(workspace)) == 1000


def test_the_same_call_again_replaces_what_was_kept(workspace: Workspace) -> None:
    kept = Replies(workspace)
    for text in ("old", "new"):
        kept.put(KEY, some(text), "30 days")
        kept.flush()
    kept.close()
    assert len(rows(workspace)) == 1
    again = Replies(workspace)
    reply = again.reply(KEY)
    again.close()
    assert reply is not None and reply.text == "new"


def test_a_damaged_file_is_said_in_a_sentence(workspace: Workspace) -> None:
    (workspace.state / "replies.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(UserError, match=r"replies.db is damaged; remove it"):
        Replies(workspace)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_said_in_a_sentence(workspace: Workspace) -> None:
    workspace.state.chmod(0o500)
    try:
        with pytest.raises(UserError, match="cannot be opened for writing"):
            Replies(workspace)
    finally:
        workspace.state.chmod(0o700)


def test_what_cannot_be_written_is_said(workspace: Workspace) -> None:
    kept = Replies(workspace)
    other = sqlite3.connect(workspace.state / "replies.db", isolation_level=None)
    other.execute("create trigger no before insert on reply begin select raise(abort, 'full'); end")
    kept.put(KEY, some(), "30 days")
    with pytest.raises(StellwerkError, match="cannot be written"):
        kept.flush()
    with pytest.raises(StellwerkError, match="cannot be written"):
        kept.put(KEY, some(), "30 days")
    other.close()
    with pytest.raises(StellwerkError):
        kept.close()
