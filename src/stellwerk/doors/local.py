"""The two commands that are about this machine: making a workspace, and what is installed, missing and reachable."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from pydantic import BaseModel, Field

from stellwerk.doors.terminal import show
from stellwerk.errors import StellwerkError
from stellwerk.workspace import Workspace


class Made(BaseModel):
    """A workspace that was made, or was there."""

    workspace: str
    files: list[str]
    next: str


class Check(BaseModel):
    """One thing that was looked at."""

    what: str
    state: str = Field(description="ok, missing or wrong")
    detail: str
    mend: str = Field(description="the command that mends it")


class Examination(BaseModel):
    """What is installed, missing and reachable."""

    checks: list[Check]


def init(
    folder: Path = Path(),
    *,
    record: str | None = None,
    schema: str | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Make a folder a workspace.

    Args:
        folder: the folder; it is made if it is not there. Files in it stay as they are.
        record: address of a PostgreSQL database that a team shares, or env:NAME; a file of the workspace if not given.
        schema: of PostgreSQL, for workspaces that share a database.
        json: print the result as JSON.
    """
    workspace = Workspace.init(folder, record, schema)
    files = ["stellwerk.yaml", ".gitignore", ".stellwerk/ (the record and the store; yours alone)"]
    show(Made(workspace=str(workspace.root), files=files, next="stellwerk data try FILE --save"), json)
    return 0


def doctor(*, json: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Say what is installed, missing and reachable, and the command that mends what is not.

    Args:
        json: print the result as JSON.
    """
    checks = [_python(), *_extras(), _space(Path.cwd()), *_workspace()]
    show(Examination(checks=checks), json)
    return 1 if any(check.state == "wrong" for check in checks) else 0


def _python() -> Check:
    good = sys.version_info >= (3, 11)
    mend = "" if good else "install Python 3.11 or newer"
    return Check(what="Python", state="ok" if good else "wrong", detail=platform.python_version(), mend=mend)


def _extras() -> list[Check]:
    """Each extra of the package: complete, or what it lacks."""
    lacking: dict[str, list[str]] = {}
    for requirement in importlib.metadata.requires("stellwerk") or []:
        name = re.match(r"[\w.-]+", requirement)
        extra = re.search(r"extra == ['\"](\w+)['\"]", requirement)
        key = extra[1] if extra else "base"
        lacking.setdefault(key, [])
        if name and not _installed(name[0]):
            lacking[key].append(name[0])
    found = []
    for extra_name, names in lacking.items():
        state = "missing" if names else "ok"
        target = "stellwerk" if extra_name == "base" else f"stellwerk[{extra_name}]"
        mend = f"pip install '{target}'" if names else ""
        detail = f"not installed: {', '.join(names)}" if names else "installed"
        found.append(Check(what=f"packages: {extra_name}", state=state, detail=detail, mend=mend))
    return found


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _space(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free / 2**30
    mend = "" if free > 2 else "free some space, or work in another folder"
    return Check(what="disk", state="ok" if free > 2 else "wrong", detail=f"{free:.0f} GiB free", mend=mend)


def _workspace() -> list[Check]:
    try:
        workspace = Workspace.find()
    except StellwerkError:
        return [Check(what="workspace", state="missing", detail="this folder is in none", mend="stellwerk init")]
    found = [Check(what="workspace", state="ok", detail=str(workspace.root), mend="")]
    try:
        runs = len(workspace.record.versions())
        found.append(Check(what="record", state="ok", detail=f"reachable, {runs} versions", mend=""))
        mode = workspace.state.stat().st_mode & 0o077
        mend = f"chmod 700 {workspace.state}" if mode else ""
        detail = "readable by others" if mode else "yours alone"
        found.append(Check(what="permissions", state="wrong" if mode else "ok", detail=detail, mend=mend))
        writable = os.access(workspace.store.root, os.W_OK)
        mend = "" if writable else f"stellwerk init {workspace.root}"
        found.append(Check(what="store", state="ok" if writable else "wrong", detail=str(workspace.store.root), mend=mend))
    except StellwerkError as error:
        mend = "stellwerk upgrade" if "stellwerk upgrade" in str(error) else f"stellwerk init {workspace.root}"
        found.append(Check(what="record", state="wrong", detail=str(error), mend=mend))
    return found
