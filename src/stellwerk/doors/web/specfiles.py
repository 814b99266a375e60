"""Spec files as pages show them: with line numbers, with their mistakes as sentences, and as a text that can be changed.

Only files of the folders that operations name, by the name of a spec; what does not fit its model is not saved, and neither is
what would overwrite another's change.
"""

from __future__ import annotations

import functools
import hashlib
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Form, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from stellwerk.doors.refusal import Refused
from stellwerk.doors.web import results
from stellwerk.doors.web.page import fragment, page, text, workspace_of
from stellwerk.errors import UserError
from stellwerk.operation import FileRef, Ref, Spec, load_all
from stellwerk.specfile import MAXIMUM_BYTES, parse, read_text
from stellwerk.workspace import NAME, write_text

if TYPE_CHECKING:
    from pydantic import BaseModel

    from stellwerk.workspace import Workspace

router = APIRouter()
_saving = threading.Lock()


@dataclass(frozen=True)
class Folder:
    """A folder of spec files: how their names end, and what finds mistakes in one."""

    suffix: str = ".yaml"
    model: type[BaseModel] | None = None
    check: Callable[[str, str], object] | None = None


@dataclass(frozen=True)
class Mistake:
    """What is wrong in a file, and where."""

    line: int | None
    sentence: str


@router.get("/specs/{folder}/{name}")
def show(request: Request, folder: str, name: str, edit: bool = False) -> Response:
    """The file with line numbers; with `edit` as a text to change."""
    path = _path(workspace_of(request), folder, name)
    if not path.is_file():
        _may_write(request)
        return _page(request, folder, name, skeleton(folders()[folder].model), "", edit=True)
    content = read_text(path)
    return _page(request, folder, name, content, _digest(content), edit=edit)


@router.post("/specs/{folder}/{name}")
def save(request: Request, folder: str, name: str, content: str = Form(""), digest: str = Form("")) -> Response:
    """Save the file if it fits its model and nobody has changed it since it was shown."""
    _may_write(request)
    path = _path(workspace_of(request), folder, name)
    content = content.replace("\r\n", "\n")
    content = content if content.endswith("\n") else content + "\n"
    wrong = mistakes(folder, name, content)
    if wrong:
        return _page(request, folder, name, content, digest, edit=True, wrong=wrong)
    with _saving:
        before = read_text(path) if path.is_file() else ""
        if (_digest(before) if before else "") != digest:
            said = text(
                request,
                "This file was changed since it was shown here, so it was not saved. Load the page anew, then change it again.",
            )
            return _page(request, folder, name, content, digest, edit=True, wrong=[Mistake(None, said)], status=409)
        path.parent.mkdir(exist_ok=True)
        write_text(path, content.replace("\n", "\r\n") if "\r\n" in before else content)
    return RedirectResponse(f"/specs/{folder}/{name}", 303)


def part(request: Request, folder: str, name: str) -> Response:
    """A file as a part of another page."""
    path = _path(workspace_of(request), folder, name) if NAME.fullmatch(name) else None
    content = read_text(path) if path is not None and path.is_file() else None
    wrong = mistakes(folder, name, content) if content is not None else []
    file = f"{folder}/{name}{folders()[folder].suffix}"
    return fragment(
        request, "specpart.html", file if name else text(request, "The spec file"), folder=folder, name=name, file=file,
        content=content, wrong=wrong, lines=_lines(content or ""),
    )  # fmt: skip


@functools.cache
def folders() -> dict[str, Folder]:
    """The folders of spec files that operations name."""
    found: dict[str, Folder] = {}
    for entry in load_all():
        for parameter in entry.parameters.values():
            match parameter.marker:
                case FileRef(specs=str(folder), suffix=suffix, check=check):
                    found[folder] = Folder(suffix, None, check)
                case Spec(folder=folder, model=model) if model is not None:
                    found[folder] = Folder(model=model)
                case Spec(folder=folder) | Ref(specs=str(folder)):
                    found.setdefault(folder, Folder())
    return found


def mistakes(folder: str, name: str, content: str) -> list[Mistake]:
    """What is wrong in the text of a spec file."""
    one = folders()[folder]
    file = f"{folder}/{name}{one.suffix}"
    if len(content.encode()) > MAXIMUM_BYTES:
        return [Mistake(None, f"{file} has over {MAXIMUM_BYTES // 2**20} MiB; a spec file is a short text")]
    try:
        if one.check is not None:
            one.check(content, file)
        else:
            parsed = parse(content, file)
            if one.model is not None:
                parsed.check(one.model)
    except UserError as error:
        return [_mistake(line) for line in str(error).splitlines()]
    return []


def skeleton(model: type[BaseModel] | None) -> str:
    """A file to begin with: what it needs, and what it may say, as comments."""
    if model is None:
        return ""
    schema = model.model_json_schema()
    needed = schema.get("required", [])
    lines: list[str] = []
    for name, described in sorted(schema["properties"].items(), key=lambda pair: pair[0] not in needed):
        about = " ".join(str(described.get("description", "")).split())
        lines += [f"# {about}"] if about else []
        lines.append(f"{name}: " if name in needed else f"# {name}: {_example(described.get('default'))}".rstrip())
    return "\n".join(lines) + "\n"


def _example(default: Any) -> str:
    return (
        ""
        if default is None or isinstance(default, dict | list)
        else str(default).lower()
        if isinstance(default, bool)
        else str(default)
    )


def _page(
    request: Request,
    folder: str,
    name: str,
    content: str,
    digest: str,
    *,
    edit: bool,
    wrong: list[Mistake] | None = None,
    status: int = 0,
) -> Response:
    wrong = wrong if wrong is not None else mistakes(folder, name, content) if digest else []
    may_write = "admin" in request.state.caller.scopes
    return page(
        request,
        "specfile.html",
        status or (422 if wrong and request.method == "POST" else 200),
        folder=folder,
        name=name,
        file=f"{folder}/{name}{folders()[folder].suffix}",
        content=content,
        digest=digest,
        wrong=wrong,
        edit=edit and may_write,
        may_write=may_write,
        lines=_lines(content),
        bad={mistake.line for mistake in wrong},
        used=[(entry, named) for entry in load_all() if not entry.local and (named := _naming(entry.parameters, folder))],
        said=lambda message: text(request, message),
        headline=results.headline,
        rest=results.rest,
    )


def _naming(parameters: Any, folder: str) -> str | None:
    """The parameter that names a file of a folder."""
    for p in parameters.values():
        match p.marker:
            case Spec(folder=one) | FileRef(specs=one) if one == folder:
                return str(p.name)
    return None


def _lines(content: str) -> list[str]:
    return content.removesuffix("\n").split("\n")


def _path(workspace: Workspace, folder: str, name: str) -> Path:
    if folder not in folders() or not NAME.fullmatch(name):
        raise HTTPException(404, f"there is no spec file {folder[:60]}/{name[:60]}")
    return workspace.root / folder / f"{name}{folders()[folder].suffix}"


def _may_write(request: Request) -> None:
    # A spec says which files of the server are read and whom it asks, so that saving one is more than starting a run.
    if "admin" not in request.state.caller.scopes:
        raise Refused(403, "spec files are changed by whoever holds the scope admin, or in the workspace's folder")


def _digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def _mistake(line: str) -> Mistake:
    found = re.fullmatch(r"[^\n]*?\.(?:yaml|prompty), line (\d+): (.*)", line)
    return Mistake(int(found[1]), found[2]) if found else Mistake(None, line)
