"""Accounts: a name, a password that only its owner knows, and what the owner may do.

A password is kept as its argon2id hash with the recommended parameters of argon2-cffi; it is hashed anew when these change.
To check one takes as long for a name that there is not, so that nobody learns which names there are.
"""

from __future__ import annotations

import functools
import secrets
import time
import unicodedata
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from stellwerk.access import names
from stellwerk.errors import UserError
from stellwerk.operation import Scope
from stellwerk.record import tables

if TYPE_CHECKING:
    from argon2 import PasswordHasher

    from stellwerk.workspace import Workspace

SHORTEST = 12  # characters
LONGEST = 1024  # bytes


@dataclass(frozen=True)
class Account:
    """An account, without its password."""

    id: str
    name: str
    scopes: frozenset[Scope]
    created: float


def check_password(name: str, password: str) -> None:
    """Refuse a password that is too easily guessed.

    Raises:
        UserError: it is too short or too long, or it is the name.
    """
    if len(password) < SHORTEST:
        raise UserError(f"password: it is too short; take at least {SHORTEST} characters, such as four words")
    if len(password.encode()) > LONGEST:
        raise UserError(f"password: it is longer than {LONGEST} bytes")
    if name.casefold() in (password.casefold(), password.casefold()[::-1]) or len(set(password)) < 4:
        raise UserError(
            "password: it is the name, or hardly more than one sign; take one that nobody guesses, such as four words"
        )


def save(workspace: Workspace, name: str, scopes: Sequence[Scope] | None, password: str | None) -> Account:
    """Make an account, or change one; a new password ends all of its sessions, new scopes hold at once.

    Args:
        workspace: whose doors it opens.
        name: of the account.
        scopes: what it may do; as before if left out.
        password: the password; as before if left out.

    Raises:
        UserError: the name or password will not do, or a new account lacks a password.
    """
    if password is not None:
        password = unicodedata.normalize("NFC", password)
        check_password(name, password)
    changes: dict[str, Any] = {"scopes": list(scopes)} if scopes is not None else {}
    if password is not None:
        changes["password"] = _hasher().hash(password)
    table = tables.account
    with workspace.record.database.writing() as connection:
        key = connection.execute(select(table.c.id).where(table.c.name == name)).scalar()
        if key is None:
            if len(changes) < 2:
                raise UserError(f"there is no account {name!r} yet; a new one needs scopes and a password")
            taken = [*connection.execute(select(table.c.name)).scalars()]
            names.check_free(name, [*taken, *connection.execute(select(tables.token.c.name)).scalars()])
            key = uuid.uuid4().hex
            connection.execute(table.insert(), {"id": key, "name": name, "created": time.time(), **changes})
        elif changes:
            connection.execute(table.update().where(table.c.id == key).values(changes))
            if password is not None:
                connection.execute(delete(tables.session).where(tables.session.c.account == key))
        return _account(connection.execute(select(table).where(table.c.id == key)).mappings().one())


def find(workspace: Workspace, name: str) -> Account | None:
    """The account of a name."""
    rows = workspace.record.rows(tables.account, tables.account.c.name == name)
    return _account(rows[0]) if rows else None


def every(workspace: Workspace) -> list[Account]:
    """All accounts, by name."""
    return [_account(row) for row in workspace.record.rows(tables.account, order=tables.account.c.name)]


def remove(workspace: Workspace, name: str) -> None:
    """Remove an account with all of its sessions.

    Raises:
        UserError: there is none of that name.
    """
    found = find(workspace, name)
    if found is None:
        known = ", ".join(account.name for account in every(workspace))
        raise UserError(f"there is no account {name!r}; {f'there are: {known}' if known else 'there is none at all'}")
    with workspace.record.database.writing() as connection:
        connection.execute(delete(tables.session).where(tables.session.c.account == found.id))
        connection.execute(delete(tables.account).where(tables.account.c.id == found.id))


def verify(workspace: Workspace, name: str, password: str) -> Account | None:
    """The account of a name and its password; None where they do not belong together, after the same time."""
    from argon2.exceptions import InvalidHashError, VerificationError

    password = unicodedata.normalize("NFC", password)
    rows = workspace.record.rows(tables.account, tables.account.c.name == names.typed(name))
    stored = rows[0]["password"] if rows else _nobodys()
    try:
        _hasher().verify(stored, password if len(password.encode()) <= LONGEST else "")
    except (VerificationError, InvalidHashError):
        return None
    if not rows:
        return None
    if _hasher().check_needs_rehash(stored):
        _rehash(workspace, rows[0]["id"], stored, password)
    return _account(rows[0])


def _rehash(workspace: Workspace, account: str, stored: str, password: str) -> None:
    table, fresh = tables.account, _hasher().hash(password)
    with workspace.record.database.writing() as connection:
        # Unless somebody gave it another password in the meantime.
        connection.execute(table.update().where(table.c.id == account, table.c.password == stored).values(password=fresh))


def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher()


@functools.cache
def _nobodys() -> str:
    """The hash of a password that nobody knows, to be checked for names that there are not."""
    return _hasher().hash(secrets.token_hex())


def _account(row: Any) -> Account:
    return Account(row["id"], row["name"], frozenset(row["scopes"]), row["created"])
