"""Replies that were paid already: kept in `.stellwerk/replies.db`, so that the same call is not made twice.

A reply is found by a digest of all that it depends on; what was asked is not kept. Rows are committed together, ten times a
second, on a thread of their own: an event loop never waits for the disk, and a process that is killed loses at most the last
of them. Several processes may use the file. Knows retention, not which model is called how.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import sqlite3
import threading
import time
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import orjson

from stellwerk.errors import StellwerkError, UserError
from stellwerk.llm.chat import Message, Params, Reply, ToolCall, Usage, as_json

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace

FILE = "replies.db"
Keep = Literal["none", "run", "30 days", "365 days"]
DAYS = {"run": 30, "30 days": 30, "365 days": 365}  # a run that is never gone on with keeps its replies no longer than that
DAY = 86_400.0
BATCH_SECONDS = 0.1
BATCH_ROWS = 512
BUSY_SECONDS = 30.0
FAILED_RUN_SECONDS = DAY  # a run that failed or was cancelled may be gone on with for so long
_TABLE = """
create table if not exists reply (
    key blob primary key, taken real not null, expires real not null, run text, body blob not null
);
create index if not exists reply_expires on reply (expires);
create index if not exists reply_run on reply (run) where run is not null;
"""
_WRITE = "insert or replace into reply (key, taken, expires, run, body) values (?, ?, ?, ?, ?)"
Row = tuple[bytes, float, float, str | None, bytes]


def key(identity: str, messages: Sequence[Message], params: Params, repeat: int) -> bytes | None:
    """What a reply is found by: a digest of all that it depends on.

    Args:
        identity: of the model.
        messages: that it is sent.
        params: all of them, those of the model's file included.
        repeat: of the same question.

    Returns:
        SHA-256; None where a text is none that could be sent.
    """
    try:
        asked = [as_json(message) for message in messages]
        how = params.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return hashlib.sha256(orjson.dumps(["chat", identity, asked, how, repeat], option=orjson.OPT_SORT_KEYS)).digest()
    except TypeError:
        return None


def vector_key(identity: str, text: str) -> bytes | None:
    """What a vector is found by; None where the text is none that could be sent."""
    try:
        return hashlib.sha256(orjson.dumps(["vector", identity, text])).digest()
    except TypeError:
        return None


class Replies:
    """The kept replies of a workspace. Reads and `put` come from one thread at a time."""

    def __init__(self, workspace: Workspace) -> None:
        """Open the file, made where there is none, and remove what is kept no longer.

        Raises:
            UserError: the file is none of ours, or cannot be written.
        """
        self._path = workspace.state / FILE
        self._awake = threading.Condition()
        self._waiting: dict[bytes, Row] = {}
        self._writing: dict[bytes, Row] = {}
        self._hurry = False
        self._closed = False
        self._fault: sqlite3.Error | None = None
        self._thread: threading.Thread | None = None
        try:
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
            self._reading = self._connect()
            try:
                self._purge(workspace)
            except BaseException:
                self._reading.close()
                raise
        except (sqlite3.Error, OSError) as error:
            raise _unusable(self._path, error) from None

    def reply(self, key: bytes, within: float | None = None) -> Reply | None:
        """The kept reply of a call; None where there is none, or none young enough.

        Args:
            key: of the call.
            within: seconds that it may be old at most; its retention alone bounds it if left out.
        """
        body = self._body(key, within)
        try:
            return None if body is None else _reply(body)
        except (ValueError, TypeError, KeyError):
            return None  # it was damaged, or written by another version; the call is made again

    def vector(self, key: bytes, within: float | None = None) -> list[float] | None:
        """The kept vector of a text; None where there is none, or none young enough."""
        body = self._body(key, within)
        return None if body is None else array("d", body).tolist()

    def put(self, key: bytes, reply: Reply, keep: Keep, run: str | None = None) -> None:
        """Keep a reply as long as its model's file says; it is on the disk within about a tenth of a second.

        Args:
            key: of the call.
            reply: to it.
            keep: how long; `run` keeps it only where there is a run.
            run: id.

        Raises:
            StellwerkError: earlier ones could not be written.
        """
        self._put(key, orjson.dumps(reply), keep, run)

    def put_vector(self, key: bytes, vector: Sequence[float], keep: Keep, run: str | None = None) -> None:
        """Keep a vector as long as its model's file says.

        Raises:
            StellwerkError: earlier ones could not be written.
        """
        self._put(key, array("d", vector).tobytes(), keep, run)

    def flush(self) -> None:
        """Wait until all that was put is on the disk.

        Raises:
            StellwerkError: it could not be written.
        """
        with self._awake:
            self._hurry = True
            self._awake.notify_all()
            self._awake.wait_for(lambda: not (self._waiting or self._writing) or self._fault is not None)
            self._hurry = False
        self._check()

    def close(self) -> None:
        """Write what is left, and close the file."""
        with self._awake:
            self._closed = True
            self._awake.notify_all()
        if self._thread is not None:
            self._thread.join()
        self._reading.close()
        self._check()

    def _put(self, key: bytes, body: bytes, keep: Keep, run: str | None) -> None:
        if keep == "none" or (keep == "run" and run is None):
            return
        self._check()
        now = time.time()
        row = (key, now, now + DAYS[keep] * DAY, run if keep == "run" else None, body)
        with self._awake:
            self._waiting[key] = row
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name="replies", daemon=True)
                self._thread.start()
            elif len(self._waiting) in (1, BATCH_ROWS):
                self._awake.notify_all()

    def _body(self, key: bytes, within: float | None) -> bytes | None:
        with self._awake:
            row = self._waiting.get(key) or self._writing.get(key)
        found = row[1:] if row else None
        if found is None:
            try:
                found = self._reading.execute("select taken, expires, run, body from reply where key = ?", (key,)).fetchone()
            except sqlite3.Error as error:
                raise _unusable(self._path, error) from None
        now = time.time()
        if found is None or found[1] <= now or (within is not None and now - found[0] > within):
            return None
        return bytes(found[3])

    def _write(self) -> None:
        """Work of the thread: commit what waits, ten times a second."""
        try:
            connection = self._connect()
        except sqlite3.Error as error:
            self._broken(error)
            return
        try:
            while self._next():
                with connection:
                    connection.execute("begin immediate")
                    connection.executemany(_WRITE, list(self._writing.values()))
                with self._awake:
                    self._writing = {}
                    self._awake.notify_all()
        except sqlite3.Error as error:
            self._broken(error)
        finally:
            connection.close()

    def _next(self) -> bool:
        """Wait for rows and take them; False when nothing more will come."""
        with self._awake:
            self._awake.wait_for(lambda: self._waiting or self._closed)
            self._awake.wait_for(lambda: self._hurry or self._closed or len(self._waiting) >= BATCH_ROWS, BATCH_SECONDS)
            self._writing, self._waiting = self._waiting, {}
            return bool(self._writing)

    def _broken(self, error: sqlite3.Error) -> None:
        with self._awake:
            self._fault = error
            self._awake.notify_all()

    def _check(self) -> None:
        if self._fault is not None:
            raise StellwerkError(f"{self._path} cannot be written, so replies would be paid twice; see that the disk has room")

    def _connect(self) -> sqlite3.Connection:
        """A connection that waits for other processes, and that overwrites what it deletes."""
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("pragma auto_vacuum = incremental")
            _patiently(connection, "pragma journal_mode = wal")
            connection.execute("pragma synchronous = normal")
            connection.execute("pragma secure_delete = on")
            connection.executescript(_TABLE)
        except BaseException:
            connection.close()
            raise
        return connection

    def _purge(self, workspace: Workspace) -> None:
        """Remove what is kept no longer: by its day, or because its run has ended."""
        connection = self._reading
        gone = [row[0] for row in connection.execute("select distinct run from reply where run is not null")]
        ended = _ended(workspace, gone) if gone else []
        (old,) = connection.execute("select exists (select 1 from reply where expires <= ?)", (time.time(),)).fetchone()
        if not old and not ended:
            return
        connection.execute("delete from reply where expires <= ?", (time.time(),))
        connection.executemany("delete from reply where run = ?", [(run,) for run in ended])
        connection.execute("pragma incremental_vacuum").fetchall()
        connection.execute("pragma wal_checkpoint(truncate)").fetchall()


def forget(workspace: Workspace, run: str) -> None:
    """Remove the replies that were kept for one run; nothing happens where none were."""
    path = workspace.state / FILE
    if not path.is_file():
        return
    try:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            connection.execute("pragma secure_delete = on")
            connection.execute("delete from reply where run = ?", (run,))
            connection.execute("pragma wal_checkpoint(truncate)").fetchall()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise _unusable(path, error) from None


def _ended(workspace: Workspace, runs: Sequence[str]) -> list[str]:
    """Those of the runs that are done, have been at their end for a while, or that the record does not know."""
    from stellwerk.record import tables

    rows = {row["id"]: row for row in workspace.record.rows(tables.run, tables.run.c.id.in_(runs))}
    limit = (dt.datetime.now(dt.UTC) - dt.timedelta(seconds=FAILED_RUN_SECONDS)).isoformat(timespec="microseconds")
    return [run for run in runs if run not in rows or _is_over(rows[run]["state"], rows[run]["finished"], limit)]


def _is_over(state: str, finished: str | None, limit: str) -> bool:
    """Whether a run will not be gone on with; times are ISO 8601 in UTC, as the record writes them."""
    return state == "done" or (state in ("failed", "cancelled") and finished is not None and finished < limit)


def _patiently(connection: sqlite3.Connection, statement: str) -> None:
    """Execute what fails at once, whatever the timeout, while another process does the same."""
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute(statement).fetchall()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.02)


def _unusable(path: os.PathLike[str], error: Exception) -> UserError:
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        return UserError(f"{path} is damaged; remove it, for it only saves calls from being made again")
    return UserError(f"{path} cannot be opened for writing; see that the folder is yours and that its disk has room")


def _reply(body: bytes) -> Reply:
    value = orjson.loads(body)
    value["usage"] = Usage(**value["usage"]) if value["usage"] else None
    value["tool_calls"] = tuple(ToolCall(**call) for call in value["tool_calls"])
    value["kept"] = True
    return Reply(**value)
