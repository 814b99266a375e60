"""Sessions: what keeps a browser logged in.

The browser holds 256 random bits in a signed cookie, the record their digest. A session ends when it was not used for a while,
in any case after some days, on logout, and with its account or the account's password.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from stellwerk.access.accounts import Account
from stellwerk.operation import Scope
from stellwerk.record import tables

if TYPE_CHECKING:
    from itsdangerous import Signer

    from stellwerk.workspace import Workspace

IDLE = 8 * 3600.0  # seconds
ABSOLUTE = 7 * 86_400.0
EXTENDED = 300.0  # it is noted anew at most so often that it is in use
_FORM = re.compile(r"[A-Za-z0-9_-]{43}\.[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class Session:
    """Whoever is logged in; `csrf` is what the forms of this session must hold."""

    name: str
    scopes: frozenset[Scope]
    csrf: str


class Sessions:
    """The sessions of a workspace."""

    def __init__(self, workspace: Workspace, *, secure: bool) -> None:
        self._workspace = workspace
        # Cookies of one machine are shared by all ports: two workspaces must not log each other out.
        name = f"stellwerk-{workspace.keyed('name of the session cookie')[:8]}"
        self.cookie = f"__Host-{name}" if secure else name

    def begin(self, account: Account) -> str:
        """Begin a session; returns the cookie's value."""
        secret, now = secrets.token_urlsafe(32), time.time()
        row = {"id": _digest(secret), "account": account.id, "created": now, "expires": now + IDLE}
        with self._workspace.record.database.writing() as connection:
            connection.execute(delete(tables.session).where(tables.session.c.expires < now))
            connection.execute(tables.session.insert(), row)
        return str(self._signer().sign(secret).decode())

    def find(self, cookie: str) -> Session | None:
        """The session of a cookie; None where it is forged or over."""
        secret = self._secret(cookie)
        if secret is None:
            return None
        session, account, now = tables.session, tables.account, time.time()
        query = select(session, account.c.name, account.c.scopes).join(account, account.c.id == session.c.account)
        with self._workspace.record.database.reading() as connection:
            row = connection.execute(query.where(session.c.id == _digest(secret), session.c.expires > now)).mappings().first()
        if row is None:
            return None
        expires = min(now + IDLE, row["created"] + ABSOLUTE)
        if expires - row["expires"] > EXTENDED:
            with self._workspace.record.database.writing() as connection:
                connection.execute(session.update().where(session.c.id == row["id"]).values(expires=expires))
        return Session(row["name"], frozenset(row["scopes"]), _csrf(secret))

    def end(self, cookie: str) -> None:
        """End a session."""
        secret = self._secret(cookie)
        if secret is not None:
            with self._workspace.record.database.writing() as connection:
                connection.execute(delete(tables.session).where(tables.session.c.id == _digest(secret)))

    def _secret(self, cookie: str) -> str | None:
        from itsdangerous import BadSignature

        try:
            return self._signer().unsign(cookie).decode() if _FORM.fullmatch(cookie) else None
        except BadSignature:
            return None

    def _signer(self) -> Signer:
        from itsdangerous import Signer

        key = self._workspace.keyed("signature of the session cookie")
        return Signer(key, salt=b"stellwerk session", key_derivation="hmac", digest_method=hashlib.sha256)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _csrf(secret: str) -> str:
    return hmac.new(secret.encode(), b"csrf", hashlib.sha256).hexdigest()
