"""Operations on who may come in over a network: tokens for programs, accounts for people.

Only the doors of this machine offer them.
"""

from __future__ import annotations

import getpass
import sys
import time
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, Field

from stellwerk.access import accounts, names, tokens
from stellwerk.credentials import is_reference
from stellwerk.errors import UserError
from stellwerk.operation import Sensitive, operation
from stellwerk.workspace import Workspace

DAYS = 90.0


class NewToken(BaseModel):
    """A token that was made."""

    name: str
    token: str = Field(description="shown this once; keep it where the program finds it", json_schema_extra={"writeOnly": True})
    scopes: list[str]
    expires: str


class TokenLine(BaseModel):
    """A token, without what it is."""

    name: str
    scopes: list[str]
    state: str = Field(description="valid, expired or revoked")
    created: str
    expires: str
    revoked: str | None


class TokenList(BaseModel):
    """The tokens that were made."""

    tokens: list[TokenLine]


class AccountLine(BaseModel):
    """An account."""

    name: str
    scopes: list[str]
    created: str


class AccountList(BaseModel):
    """The accounts."""

    accounts: list[AccountLine]


class Removed(BaseModel):
    """An account that was removed."""

    name: str


@operation(example={"name": "ci", "scopes": "read,run", "days": 30.0}, changes=True, scope="admin", local=True)
def token(name: str, scopes: str = "read", days: float = DAYS, *, workspace: Workspace) -> NewToken:
    """Make a token for a program, and show it this once.

    The program sends it as `Authorization: Bearer TOKEN`. The record keeps only its digest.

    Args:
        name: whose it is, such as ci; what it does stands in the record under this name.
        scopes: what it allows, with commas: read, run, approve (decide about evidence), admin (change specs, and so
            have the server read any file that it may, and send credentials anywhere).
        days: how long it holds, at most 365.
    """
    text, made = tokens.make(workspace, names.name(name), names.scopes(scopes), days)
    return NewToken(name=made.name, token=text, scopes=_sorted(made.scopes), expires=_time(made.expires))


@operation(example={}, scope="admin", local=True)
def tokens_(*, workspace: Workspace) -> TokenList:
    """List the tokens that were made; what they are nobody can find out again."""
    return TokenList(tokens=[_token_line(found) for found in tokens.every(workspace)])


@operation(example={"name": "nightly"}, changes=True, scope="admin", local=True)
def revoke(name: str, *, workspace: Workspace) -> TokenLine:
    """End a token before its time; the next request with it is refused.

    Args:
        name: of the token.
    """
    return _token_line(tokens.revoke(workspace, names.name(name)))


@operation(
    example={"name": "anna", "scopes": "read,run,approve", "password": "env:STELLWERK_PASSWORD"},
    changes=True, scope="admin", local=True,
)  # fmt: skip
def account(
    name: str, scopes: str | None = None, password: Annotated[str | None, Sensitive()] = None, *, workspace: Workspace
) -> AccountLine:
    """Make an account for a person, or give it another password or other scopes.

    A new password logs its owner out everywhere; new scopes hold at once.

    Args:
        name: of the person; what they decide stands in the record under this name.
        scopes: what they may do, with commas: read, run, approve (decide about evidence), admin (change specs, and so
            have the server read any file that it may, and send credentials anywhere); read for a new account.
        password: where it is kept, env:NAME or file:PATH; it is asked for in the terminal if left out, never written out.
    """
    name = names.name(name)
    new = accounts.find(workspace, name) is None
    if scopes is None and new:
        scopes = "read"
    if password is not None and not is_reference(password):
        raise UserError(
            "password: it is written out; name where it is kept: env:NAME or file:PATH, or leave it out to be asked"
        )
    wanted = names.scopes(scopes) if scopes is not None else None
    secret = workspace.credential(password) if password is not None else None
    if secret is None and (new or wanted is None):
        secret = _asked(name)
    return _account_line(accounts.save(workspace, name, wanted, secret))


@operation(example={}, scope="admin", local=True)
def accounts_(*, workspace: Workspace) -> AccountList:
    """List the accounts and what they may do."""
    return AccountList(accounts=[_account_line(found) for found in accounts.every(workspace)])


@operation(example={"name": "ben"}, changes=True, scope="admin", local=True)
def remove(name: str, *, workspace: Workspace) -> Removed:
    """Remove an account, and log its owner out everywhere; what they did stays in the record.

    Args:
        name: of the account.
    """
    name = names.name(name)
    accounts.remove(workspace, name)
    return Removed(name=name)


def _asked(name: str) -> str:
    """A password from the terminal, typed twice."""
    if not sys.stdin.isatty():
        raise UserError("password: there is no terminal to ask in; name where it is kept: --password env:NAME or file:PATH")
    typed = getpass.getpass(f"Password for {name} ({accounts.SHORTEST} characters or more): ")
    accounts.check_password(name, typed)
    if getpass.getpass("Once more: ") != typed:
        raise UserError("password: the two differ; nothing was changed")
    return typed


def _token_line(found: tokens.Token) -> TokenLine:
    state = "revoked" if found.revoked is not None else "valid" if found.valid(time.time()) else "expired"
    return TokenLine(
        name=found.name, scopes=_sorted(found.scopes), state=state, created=_time(found.created),
        expires=_time(found.expires), revoked=_time(found.revoked) if found.revoked is not None else None,
    )  # fmt: skip


def _account_line(found: accounts.Account) -> AccountLine:
    return AccountLine(name=found.name, scopes=_sorted(found.scopes), created=_time(found.created))


def _sorted(scopes: frozenset[str]) -> list[str]:
    return [scope for scope in names.SCOPES if scope in scopes]


def _time(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="seconds")
