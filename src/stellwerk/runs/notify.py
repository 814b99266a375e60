"""Telling people how a queued run ended: a webhook, or an e-mail.

Knows what is told, and that it is tried three times. A notification that fails is one line in the log and fails nothing. Its
address, which may hold a token, is never named: of a webhook only the host.
"""

from __future__ import annotations

import http.client
import json
import logging
import smtplib
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from sqlalchemy import select

from stellwerk.errors import StellwerkError, where
from stellwerk.operation import Operation, find
from stellwerk.record import tables
from stellwerk.workspace import Workspace

if TYPE_CHECKING:
    from stellwerk.settings import Mail, Notification

Ending = Literal["failed", "stopped", "done"]
PAUSES = (1.0, 5.0)  # seconds between the tries
TIMEOUT = 10.0  # seconds, of one try
PORTS = {"starttls": 587, "tls": 465, "none": 25}
WORDS = {"failed": "failed", "stopped": "ended, and a data test or gate says no", "done": "is done"}

log = logging.getLogger("stellwerk.worker")


def tell(
    workspace: Workspace, run: str, keep: Callable[[], None] | None = None, wait: Callable[[float], None] = time.sleep
) -> None:
    """Tell all whom the settings name of a run's end.

    Args:
        workspace: of the settings and the record.
        run: the id of a run that has ended.
        keep: is called before each try; keeps the lease, or raises where another process has it.
        wait: sleeps, in seconds.
    """
    row = workspace.record.rows(tables.run, tables.run.c.id == run)[0]
    how = ending(row)
    wanted = [place for place in workspace.settings.notify if how in place.when]
    if how is None or not wanted:
        return
    message = content(workspace, row, how)
    for place in wanted:
        failed = ""
        for pause in (0.0, *PAUSES):
            wait(pause)
            if keep is not None:
                keep()
            failed = _try(workspace, place, message)
            if not failed:
                break
        if failed:
            log.warning("run %s: the notification was not sent after %d tries: %s", run[:8], len(PAUSES) + 1, failed)


def ending(row: Mapping[str, Any]) -> Ending | None:
    """How a run ended, as notifications name it; None for one that was cancelled or has not ended."""
    if row["state"] == "failed":
        return "failed"
    if row["state"] != "done":
        return None
    return "stopped" if _exit_code(row) == 1 else "done"


def content(workspace: Workspace, row: Mapping[str, Any], how: Ending) -> dict[str, Any]:
    """What is told of a run; `text` is what chat programs show."""
    name = workspace.settings.name or workspace.root.name
    made = select(tables.edge.c.version).where(tables.edge.c.run == row["id"], tables.edge.c.direction == "output")
    versions = [version.ref for version in workspace.record.versions(tables.version.c.id.in_(made))]
    what, run = row["operation"].replace(".", " "), row["id"][:8]
    sentence = row["error"] or f"{what} {WORDS[how]}; see it with: stellwerk runs show {run}"
    return {
        "text": f"{name}: {what} {WORDS[how]} (run {run}). {sentence}",
        "workspace": name,
        "operation": row["operation"],
        "run": row["id"],
        "state": how,
        "sentence": sentence,
        "started": row["started"],
        "finished": row["finished"],
        "versions": versions,
    }


def _exit_code(row: Mapping[str, Any]) -> int:
    """The exit code that the command would have had, from the result that the record holds."""
    from pydantic import TypeAdapter, ValidationError

    try:
        entry: Operation = find(row["operation"])
        result = TypeAdapter(entry.hints.get("return", Any)).validate_python(row["result"])
    except (ValidationError, StellwerkError):
        return 0
    return entry.exit_code(result) if entry.exit_code else 0


def _try(workspace: Workspace, place: Notification, message: dict[str, Any]) -> str:
    """Send a message once; returns what was in the way, without a value, or nothing."""
    host = "?"
    try:
        if place.webhook is not None:
            address = workspace.credential(place.webhook)
            parts = urlsplit(address)
            host = parts.hostname or "?"
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
                return "the webhook's address is none such as https://host/path"
            _post(address, message)
        elif place.email is not None:
            host = place.email.server
            _mail(workspace, place.email, message)
    except urllib.error.HTTPError as error:
        error.close()
        return f"{host} answers {error.code}"
    except smtplib.SMTPResponseException as error:
        return f"{host} answers {error.smtp_code}"
    except StellwerkError as error:
        return str(error)
    except (OSError, http.client.HTTPException, smtplib.SMTPException, ValueError) as error:
        return f"{host} cannot be reached or does not take it ({type(error).__name__})"
    except Exception as error:  # noqa: BLE001 - a notification fails no run
        return f"{host}: {where(error)}"
    return ""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Another address than the one that was given is not asked."""

    def redirect_request(self, *_: Any) -> None:
        """Follow nowhere."""


def _post(address: str, message: dict[str, Any]) -> None:
    body = json.dumps(message, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "stellwerk"}
    request = urllib.request.Request(address, body, headers, method="POST")  # noqa: S310 - its scheme was checked
    opener = urllib.request.build_opener(_NoRedirect)
    with opener.open(request, timeout=TIMEOUT):
        pass


def _mail(workspace: Workspace, place: Mail, message: dict[str, Any]) -> None:
    mail = EmailMessage()
    what = message["operation"].replace(".", " ")
    mail["Subject"] = " ".join(f"{message['workspace']}: {what} {WORDS[message['state']]}".split())
    mail["From"], mail["To"] = place.sender, ", ".join(place.to)
    mail["Date"] = formatdate(localtime=False)
    mail["Message-ID"] = f"<{message['run']}.{message['state']}@stellwerk>"
    mail.set_content(_letter(message))
    host, port = _server(place)
    context = ssl.create_default_context()
    sender = (
        smtplib.SMTP_SSL(host, port, timeout=TIMEOUT, context=context)
        if place.security == "tls"
        else smtplib.SMTP(host, port, timeout=TIMEOUT)
    )
    with sender as server:
        if place.security == "starttls":
            server.starttls(context=context)
        if place.user is not None:
            server.login(place.user, workspace.credential(place.password) if place.password else "")
        server.send_message(mail)


def _letter(message: Mapping[str, Any]) -> str:
    lines = {
        "Workspace": message["workspace"],
        "Operation": message["operation"],
        "Run": message["run"],
        "State": message["state"],
        "Started": message["started"] or "–",
        "Finished": message["finished"] or "–",
        "Versions": ", ".join(message["versions"]) or "none",
    }
    return f"{message['sentence']}\n\n" + "".join(f"{name}: {value}\n" for name, value in lines.items())


def _server(place: Mail) -> tuple[str, int]:
    """Host and port; a host alone has the port that its kind of security usually has."""
    parts = urlsplit(f"//{place.server}")
    if not parts.hostname:
        raise ValueError("no host")
    return parts.hostname, parts.port or PORTS[place.security]
