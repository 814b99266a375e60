"""What accounts and tokens may be called, and what they may be allowed.

An account and a token never share a name, for a name stands in the record for whoever decided.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import get_args

from stellwerk.errors import UserError
from stellwerk.operation import Scope

LONGEST = 200
SCOPES: tuple[Scope, ...] = get_args(Scope)
_NAME = re.compile(r"[\w.@+-]{1,100}")


def name(text: str) -> str:
    """A name in the one form in which it is kept.

    Raises:
        UserError: it holds something that no name has.
    """
    found = typed(text)
    if not _NAME.fullmatch(found):
        raise UserError(f"{text[:60]!r} is no name for this; take up to 100 letters, digits and . _ - + @")
    return found


def typed(text: str) -> str:
    """What somebody typed as a name, in the one form in which names are compared."""
    return unicodedata.normalize("NFC", text.strip())[:LONGEST]


def scopes(text: str) -> list[Scope]:
    """The scopes of a text such as `read,run`, in the order of the design.

    Raises:
        UserError: it names something else, or none.
    """
    wanted = {part.strip() for part in text.split(",")} - {""}
    if not wanted or (unknown := wanted - set(SCOPES)):
        said = f"there is no scope {sorted(unknown)[0]!r}" if wanted else "no scope is named"
        raise UserError(f"scopes: {said}; give one or more of {', '.join(SCOPES)}, with commas between them")
    return [scope for scope in SCOPES if scope in wanted]


def check_free(wanted: str, taken: Iterable[str]) -> None:
    """Refuse a name that is taken, or that differs from one by capitals alone.

    Raises:
        UserError: it is.
    """
    other = next((other for other in taken if other.casefold() == wanted.casefold()), None)
    if other is not None:
        raise UserError(f"the name {wanted!r} is taken by an account or token named {other!r}; choose another one")
