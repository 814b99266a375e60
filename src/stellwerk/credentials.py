"""References to credentials: `env:NAME` or `file:PATH` stands in a file, the value is looked up where it is used.

A value never goes back into a spec, log, error, the record or a page: what is kept and shown is the reference.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator

from stellwerk.errors import UserError

_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+")
_IN_URL = re.compile(r"(?P<scheme>[\w+.-]+://)(?P<user>[^/?#@:]*):(?P<password>[^/?#]*)@")
MAXIMUM_BYTES = 64 * 1024
SECRET_WORDS = {"apikey", "auth", "authorization", "bearer", "cookie", "credential", "credentials", "jwt", "key", "passwd"}
SECRET_WORDS |= {"password", "pwd", "secret", "session", "sig", "signature", "token", "sslpassword", "awsaccesskeyid"}
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def _reference(value: str) -> str:
    if not is_reference(value):
        raise ValueError("it is written out; name where it is kept: env:NAME (a variable) or file:PATH (a key file)")
    return value


def looks_secret(name: str) -> bool:
    """Whether a header or parameter of this name holds a secret by the look of it."""
    words = [word.lower() for word in _WORDS.findall(name)]
    return not SECRET_WORDS.isdisjoint(words) or "".join(words) in SECRET_WORDS


def without_secret(value: str) -> str:
    """An address as it may stand in a spec.

    Raises:
        ValueError: it holds a password, or a parameter that looks like a secret.
    """
    try:
        query = urlsplit(value).query
    except ValueError:
        raise ValueError("it is no address; expected one such as https://host/path") from None
    names = [name for name, _ in parse_qsl(query, keep_blank_values=True)]
    secret = next(filter(looks_secret, names), None)
    if secret is not None:
        raise ValueError(
            f"its parameter {secret!r} looks like a secret; give it by auth, or keep the whole address in env:NAME"
        )
    if _IN_URL.match(value):
        raise ValueError(
            "it holds a password; leave it out and give it as 'password: env:NAME', or keep the whole address in env:NAME"
        )
    return value


def _address(value: str) -> str:
    return value if is_reference(value) else without_secret(value)


Credential = Annotated[str, AfterValidator(_reference)]  # only a reference may stand in a spec
Address = Annotated[str, AfterValidator(_address)]  # an address without a password, or a reference to a whole one


def is_reference(value: str) -> bool:
    """Whether a text names where a value is kept."""
    return _REFERENCE.fullmatch(value) is not None


def resolve(value: str, root: Path) -> str:
    """The value behind a reference; a text that is none is returned as it is.

    Args:
        value: `env:NAME`, `file:PATH`, or a plain text.
        root: the folder that relative paths of key files start from.

    Raises:
        UserError: the variable is not set, or the file cannot be read; the sentence names the reference, never a value.
    """
    if not is_reference(value):
        return value
    kind, _, name = value.partition(":")
    if kind == "env":
        found = os.environ.get(name)
        if not found:
            raise UserError(f"{value} is not set; set the environment variable {name} where this runs (a worker has its own)")
        return found
    path = root / Path(name).expanduser()
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            raise UserError(f"{value} has over {MAXIMUM_BYTES // 1024} KiB; a key file holds one value")
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise UserError(f"{value} cannot be read as text; put the value into that file, readable for its owner only") from None
    if not text:
        raise UserError(f"{value} is empty; put the value into that file")
    return text


def without_password(url: str) -> str:
    """An address as it may be shown: without a password, and without its query, which may hold a token."""
    return _IN_URL.sub(r"\g<scheme>\g<user>@", url).partition("?")[0]
