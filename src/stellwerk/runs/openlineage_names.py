"""What OpenLineage calls the place that a source was read from, so that events of other tools meet ours.

Knows the naming conventions of databases, object stores and the web. No user, password, query or name of a file is part of a
name, for any of them may name a person.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

SCHEMES = {"postgresql": "postgres", "mariadb": "mysql"}
PORTS = {"postgres": 5432, "mysql": 3306, "oracle": 1521, "mssql": 1433}


@dataclass(frozen=True)
class Place:
    """Where rows came from.

    Attributes:
        namespace: server or bucket, such as `postgres://db.example.com:5432`; None for a place inside the workspace.
        name: of the table, folder or path there.
        uri: the address, without user, password and query; None inside the workspace.
    """

    namespace: str | None
    name: str
    uri: str | None


def places_of(facts: Mapping[str, Any]) -> list[Place]:
    """The places of a source's version, out of what is known of it; empty where nothing is."""
    made_from = facts.get("made_from") or {}
    shown = (made_from.get("asked") or {}).get("place")
    if shown:
        address, _, table = str(shown).partition(" table ")
        address, _, query = address.partition(" query ")
        return [_of_address(address, table or (f"query:{query}" if query else None))]
    folders: dict[str, list[str]] = {}
    for file in made_from.get("files") or []:
        root, folder = _split(str(file["name"]))
        folders.setdefault(root, []).append(folder)
    return [_of_folder(root, found) for root, found in sorted(folders.items())]


def _of_address(address: str, table: str | None) -> Place:
    """A database, or an API; `table` may be the digest of a query."""
    parts = urlsplit(address)
    scheme = parts.scheme.partition("+")[0]
    path = unquote(parts.path)
    if not parts.hostname:
        # A file of SQLite: one outside the workspace may lie below somebody's name.
        file = posixpath.basename(path) if path.startswith("//") else path.lstrip("/")
        return Place(None, f"{file}/{table}" if table else file, None)
    if scheme in ("http", "https"):
        server = f"{scheme}://{_host(parts.hostname, parts.port)}"
        return Place(server, path.lstrip("/") or "/", server + parts.path)
    kind = SCHEMES.get(scheme, scheme)
    server = f"{kind}://{_host(parts.hostname, parts.port or PORTS.get(kind))}"
    database = path.lstrip("/")
    if table and kind == "postgres" and "." not in table and not table.startswith("query:"):
        table = f"public.{table}"
    return Place(server, f"{database}.{table}" if table else database, f"{server}/{database}")


def _of_folder(root: str, folders: list[str]) -> Place:
    """The folder that holds all files of a source in the workspace, a bucket or on a server."""
    common = posixpath.commonpath(folders) if all(folders) else ""
    if not root:
        return Place(None, common or ".", None)
    return Place(root, common or "/", f"{root}/{common}")


def _split(name: str) -> tuple[str, str]:
    """Where a file lies: server or bucket (empty for the workspace), and the folder there."""
    if "://" not in name:
        return "", posixpath.dirname(name).lstrip("/")
    parts = urlsplit(name)
    root = f"{parts.scheme}://{_host(parts.hostname or '', parts.port)}"
    return root, posixpath.dirname(parts.path).lstrip("/")


def _host(name: str, port: int | None) -> str:
    shown = f"[{name}]" if ":" in name else name
    return f"{shown}:{port}" if port else shown
