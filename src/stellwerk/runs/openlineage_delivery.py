"""Bringing OpenLineage events to their place: a line of a file, or an endpoint that takes JSON.

An event for an endpoint is first put into a folder of waiting events, then those are sent, oldest first, for a few seconds at
most; what was not taken stays there until the next event. So each event arrives in order and at least once: a process that is
killed after the answer and before the event is removed sends it again. What an event says is not known here.
"""

from __future__ import annotations

import base64
import fcntl
import http.client
import json
import logging
import os
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from stellwerk.errors import UserError
from stellwerk.settings import Lineage
from stellwerk.workspace import Workspace

SECONDS = 5.0  # a run waits so long at most
MOST = 1000  # events that wait; beyond that the oldest go
REFUSED = (400, 413, 415, 422)  # answers to what an event says: sent again it would be refused again
FOLDER = "openlineage.pending"

log = logging.getLogger("stellwerk.openlineage")


@dataclass(frozen=True)
class Endpoint:
    """Where events are posted to.

    Attributes:
        url: without user and password.
        headers: of each request; they may hold a key.
    """

    url: str
    headers: Mapping[str, str]

    @property
    def host(self) -> str:
        """What may be shown of it."""
        return urlsplit(self.url).hostname or "?"


def deliver(workspace: Workspace, place: Lineage, event: Mapping[str, Any]) -> None:
    """Bring an event to its place; takes `SECONDS` at most, whatever an endpoint does.

    Raises:
        UserError: a credential cannot be looked up, or the address is none.
        OSError: the file, or the folder of waiting events, cannot be written.
    """
    line = json.dumps(event, allow_nan=False, separators=(",", ":")).encode() + b"\n"
    if place.file is not None:
        append(workspace.root / place.file, line)
        return
    folder = workspace.state / FOLDER
    _keep(folder, line)
    target = endpoint(workspace, place)
    answers: list[str | None] = []
    sender = threading.Thread(target=lambda: answers.append(_send_all(folder, target)), daemon=True)
    sender.start()
    sender.join(SECONDS)
    problem = answers[0] if answers else f"did not answer within {SECONDS:g} s"
    if problem:
        log.warning("openlineage: %s %s; %d events wait", target.host, problem, len(waiting(folder)))


def append(path: Path, line: bytes) -> None:
    """Add a line to a file in one write, so that lines of several processes never mix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, line)
    finally:
        os.close(file)


def endpoint(workspace: Workspace, place: Lineage) -> Endpoint:
    """The endpoint of the settings, with its key looked up.

    Raises:
        UserError: a credential cannot be looked up, or the address is none.
    """
    parts = urlsplit(workspace.credential(place.url or ""))
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if parts.scheme not in ("http", "https") or not host:
        raise UserError("stellwerk.yaml: openlineage.url is no address such as https://marquez.example.com/api/v1/lineage")
    headers = {"Content-Type": "application/json", "User-Agent": "stellwerk"}
    if place.api_key:
        headers["Authorization"] = f"Bearer {workspace.credential(place.api_key)}"
    elif parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    shown = f"[{host}]" if ":" in host else host
    return Endpoint(urlunsplit(parts._replace(netloc=f"{shown}:{port}" if port else shown)), headers)


def waiting(folder: Path) -> list[Path]:
    """The events that wait, oldest first."""
    return sorted(folder.glob("*.json"))


def _keep(folder: Path, line: bytes) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.json"
    partial = path.with_suffix(".partial")
    partial.write_bytes(line)
    partial.replace(path)
    for old in waiting(folder)[:-MOST]:
        old.unlink(missing_ok=True)


def _send_all(folder: Path, target: Endpoint) -> str | None:
    """Send what waits; says why something still waits where it does."""
    end = time.monotonic() + SECONDS
    try:
        with _alone(folder, end) as alone:
            if not alone:
                return "is being told by another process"
            for path in waiting(folder):
                left = end - time.monotonic()
                if left <= 0:
                    return f"takes longer than {SECONDS:g} s"
                problem, refused = _post(target, path.read_bytes(), left)
                if problem and not refused:
                    return problem
                if problem:
                    log.warning("openlineage: %s %s; the event is dropped", target.host, problem)
                path.unlink(missing_ok=True)
    except OSError as error:
        return f"was not told ({os.strerror(error.errno or 0)} in {folder.name})"
    return None


@contextmanager
def _alone(folder: Path, end: float) -> Iterator[bool]:
    """Wait until no other process sends, or the time is over."""
    with (folder / "lock").open("wb") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    yield False
                    return
                time.sleep(0.05)
        yield True


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A key must not follow to another place."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _post(target: Endpoint, body: bytes, seconds: float) -> tuple[str | None, bool]:
    """Post one event; what is wrong with the answer, if anything, and whether the event itself was refused."""
    try:
        request = urllib.request.Request(target.url, body, dict(target.headers), method="POST")  # noqa: S310 http and https only
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=seconds):
            return None, False
    except urllib.error.HTTPError as error:
        error.close()
        return f"answered {error.code}", error.code in REFUSED
    except (OSError, http.client.HTTPException, ValueError):
        return "could not be reached", False
