"""Tokens: how a program proves who it is.

256 random bits, shown once when they are made. The record keeps only their digest, so nobody who reads it can use one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from stellwerk.access import names
from stellwerk.errors import UserError
from stellwerk.operation import Scope
from stellwerk.record import tables

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace

PREFIX = "stw_"
DAY = 86_400.0
LONGEST = 365  # days
_FORM = re.compile(PREFIX + r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class Token:
    """What is known of a token; not the token."""

    name: str
    scopes: frozenset[Scope]
    created: float
    expires: float
    revoked: float | None

    def valid(self, now: float) -> bool:
        """Whether it opens a door at a time."""
        return self.revoked is None and now < self.expires


def make(workspace: Workspace, name: str, scopes: Sequence[Scope], days: float) -> tuple[str, Token]:
    """Make a token.

    Args:
        workspace: whose doors it opens.
        name: whose it is; the record names its holder so.
        scopes: what it allows.
        days: how long it holds.

    Returns:
        The token itself, which nobody can find out again, and what is known of it.

    Raises:
        UserError: the name is taken, or the days are too many.
    """
    if not 0 < days <= LONGEST:
        raise UserError(f"days: {days:g} will not do; give more than 0 and at most {LONGEST}")
    text = PREFIX + secrets.token_urlsafe(32)
    now = time.time()
    token = Token(name, frozenset(scopes), now, now + days * DAY, None)
    row = {"id": uuid.uuid4().hex, "name": name, "digest": _digest(text), "scopes": list(scopes)}
    with workspace.record.database.writing() as connection:
        taken = [*connection.execute(select(tables.account.c.name)).scalars()]
        held = [_token(found) for found in connection.execute(select(tables.token)).mappings()]
        # A name may be used again by the token that follows one which is over.
        names.check_free(name, [*taken, *(other.name for other in held if other.valid(now) or other.name != name)])
        connection.execute(tables.token.insert(), {**row, "created": now, "expires": token.expires, "revoked": None})
    return text, token


def find(workspace: Workspace, text: str) -> Token | None:
    """What is known of a token that somebody shows; None where it opens nothing."""
    if not _FORM.fullmatch(text):
        return None
    digest = _digest(text)
    rows = workspace.record.rows(tables.token, tables.token.c.digest == digest)
    if not rows or not hmac.compare_digest(rows[0]["digest"], digest):
        return None
    token = _token(rows[0])
    return token if token.valid(time.time()) else None


def every(workspace: Workspace) -> list[Token]:
    """All tokens that were made, by name, the newest of a name first."""
    order = (tables.token.c.name, tables.token.c.created.desc())
    return [_token(row) for row in workspace.record.rows(tables.token, order=order)]


def revoke(workspace: Workspace, name: str) -> Token:
    """End a token before its time.

    Raises:
        UserError: there is none of that name that still holds.
    """
    now, table = time.time(), tables.token
    valid = [token for token in every(workspace) if token.valid(now)]
    found = next((token for token in valid if token.name == name), None)
    if found is None:
        known = ", ".join(token.name for token in valid)
        raise UserError(f"there is no valid token {name!r}; {f'there are: {known}' if known else 'there is none at all'}")
    with workspace.record.database.writing() as connection:
        connection.execute(table.update().where(table.c.name == name, table.c.revoked.is_(None)).values(revoked=now))
    return Token(found.name, found.scopes, found.created, found.expires, now)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _token(row: Any) -> Token:
    return Token(row["name"], frozenset(row["scopes"]), row["created"], row["expires"], row["revoked"])
