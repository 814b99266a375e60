"""Files that travel: uploads instead of paths, downloads instead of folders, each a signed reference to the store.

Doors over a network take no path on the server. What a caller sends becomes an artifact, and a reference with a signature
that only this workspace can make stands for it; what an operation writes becomes an artifact too, which the result refers
to. Both work where the run is done on another machine that shares record and store. Contents are kept as long as `gc`
keeps what nothing refers to.
"""

from __future__ import annotations

import hmac
import os
import re
import shutil
import stat
import unicodedata
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote, unquote

from pydantic import BaseModel, Field

from stellwerk.errors import StellwerkError, UserError
from stellwerk.operation import LocalPath, Operation, Parameter
from stellwerk.store.store import PREFIX

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace

UPLOAD_BYTES = 2 << 30  # of one file
ROUTE = "/api/downloads"
NAME_BYTES = 150
REFUSED = (
    "{name} is a file, and no path on the server is taken from here; "
    "send the file with POST /api/uploads, or the MCP tool upload, and give the reference in its answer"
)
_REFERENCE = re.compile(r"upload:([0-9a-f]{64})/([^/?]+)\?([0-9a-f]{64})")
_PLACE = re.compile(r"download:([^/?]+)")
_FORBIDDEN = re.compile(r'[<>:"/\\|?*%[\]]')  # brackets, for a spec takes them for a pattern
_EPOCH = (1980, 1, 1, 0, 0, 0)  # equal content makes an equal archive

Give = Callable[[Any], Any]


class Upload(BaseModel):
    """A file that was sent."""

    reference: str = Field(description="to give wherever an operation takes a file")
    name: str
    bytes: int


class Download(BaseModel):
    """A file that an operation wrote; a folder comes as a zip archive."""

    name: str
    bytes: int
    url: str = Field(description="where it is to be had, below the server's address")


def keep(workspace: Workspace, file: Path, name: str) -> Upload:
    """Move a file that was sent into the store.

    Args:
        workspace: whose store it is.
        file: on the file system of the store.
        name: that it had where it came from; its ending says how it is read.
    """
    size, safe = file.stat().st_size, safe_name(name)
    digest = workspace.store.put_file(file).removeprefix(PREFIX)
    reference = f"upload:{digest}/{quote(safe, safe='')}?{_signature(workspace, 'upload', digest, safe)}"
    return Upload(reference=reference, name=safe, bytes=size)


def store_upload(workspace: Workspace, name: str, content: bytes) -> str:
    """Keep a small file that was sent; returns its reference."""
    with workspace.store.partial() as file:
        file.write_bytes(content)
        return keep(workspace, file, name).reference


def find(workspace: Workspace, digest: str, name: str, signature: str) -> Path:
    """The file of a download.

    Raises:
        UserError: nobody here gave that reference, or its content is no longer kept.
    """
    if not hmac.compare_digest(_signature(workspace, "download", digest, name).encode(), signature.encode(errors="replace")):
        raise UserError("this is no download of this workspace; take the address from the result of the operation")
    if not workspace.store.has(PREFIX + digest):
        raise UserError(f"{name} is no longer kept; call the operation again")
    return workspace.store.path(PREFIX + digest)


def model(operation: Operation) -> type[BaseModel]:
    """The parameters as doors over a network take them: references instead of files, and no place to write to."""
    from pydantic import ConfigDict, create_model

    fields: dict[str, Any] = {}
    for p in operation.parameters.values():
        kind, described = p.type, p.description
        if isinstance(p.marker, LocalPath):
            if p.marker.writes:
                continue
            kind, described = (str if p.required else str | None), f"{described} An upload's reference: see /api/uploads."
        fields[p.name] = (kind, Field(description=described) if p.required else Field(p.default, description=described))
    return create_model(operation.path, __config__=ConfigDict(extra="forbid", allow_inf_nan=False), **fields)


def gives(operation: Operation) -> bool:
    """Whether its result carries downloads."""
    return any(_is_written(parameter) for parameter in operation.parameters.values())


def result_type(operation: Operation) -> Any:
    """The type of its result as doors over a network give it."""
    result = operation.hints.get("return", Any)
    if not gives(operation) or not (isinstance(result, type) and issubclass(result, BaseModel)):
        return result
    from pydantic import create_model

    downloads: Any = (Annotated[list[Download], Field(description="the files that were written")], ...)
    return create_model(f"{operation.path}.result", __base__=result, downloads=downloads)


def received(workspace: Workspace, operation: Operation, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a call over a network, as `at_hand` and the queue take them.

    Raises:
        UserError: one names a path on the server, or a file that was not sent.
    """
    taken = dict(values)
    for name, parameter in operation.parameters.items():
        match parameter.marker:
            case LocalPath(writes=True):
                if name in taken:
                    raise UserError(f"there is no parameter {name} here: what is written comes as a download with the result")
                if _is_written(parameter):
                    taken[name] = f"download:{_name_of(operation, parameter, values)}"
            case LocalPath(writes=False) if taken.get(name) is not None:
                _check(workspace, name, taken[name])
    return taken


def travels(workspace: Workspace, marker: LocalPath, value: Any) -> bool:
    """Whether a value is a reference that any worker can follow, rather than a path of one machine.

    Raises:
        UserError: it looks like an upload, but nobody here gave it.
    """
    if marker.writes:
        return _PLACE.fullmatch(str(value)) is not None
    if _REFERENCE.fullmatch(str(value)) is None:
        return False
    _check(workspace, "the file", value)
    return True


@contextmanager
def at_hand(workspace: Workspace, operation: Operation, values: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], Give]]:
    """Have the files that travel at hand while an operation works.

    Args:
        workspace: whose store holds them.
        operation: what is called.
        values: validated.

    Yields:
        The values with paths for references, and a function that puts downloads into the result, which becomes JSON.
    """
    markers = {name: p.marker for name, p in operation.parameters.items() if isinstance(p.marker, LocalPath)}
    names = [n for n, m in markers.items() if values.get(n) is not None and travels(workspace, m, values[n])]
    if not names:
        yield dict(values), lambda result: result
        return
    from pydantic_core import to_jsonable_python

    # The store clears up such folders of processes that were killed.
    with workspace.store.partial() as folder:
        places = {name: _place(workspace, folder / name, str(values[name])) for name in names}
        written = [places[name] for name in names if markers[name].writes]

        def give(result: Any) -> Any:
            shown = _without(workspace, folder, to_jsonable_python(result))
            downloads = [_store(workspace, place).model_dump() for place in written if place.exists()]
            return {**(shown if isinstance(shown, dict) else {"result": shown}), "downloads": downloads} if written else shown

        try:
            yield {**values, **places}, give
        except StellwerkError as error:
            error.args = tuple(_without(workspace, folder, list(error.args)))
            raise


def safe_name(name: str) -> str:
    """The last part of a name that somebody gave, without what a file system, a header or a terminal reads otherwise."""
    last = PurePosixPath(name.replace("\\", "/")).name
    plain = "".join(c for c in unicodedata.normalize("NFC", last) if unicodedata.category(c)[0] not in "CZ" or c == " ")
    plain = _FORBIDDEN.sub("_", plain).strip(" .")
    if len(plain.encode()) > NAME_BYTES:
        ending = "".join(PurePosixPath(plain).suffixes[-2:])[-20:]
        plain = plain.encode()[: NAME_BYTES - len(ending.encode())].decode(errors="ignore") + ending
    return plain or "file"


def _is_written(parameter: Parameter) -> bool:
    """Whether a place to write to is given in any case; one that is left out by default is not given here."""
    marker = parameter.marker
    return isinstance(marker, LocalPath) and marker.writes and (parameter.required or parameter.default is not None)


def _name_of(operation: Operation, parameter: Parameter, values: Mapping[str, Any]) -> str:
    """What the file or folder is called: after what the call is about, with the ending of the example."""
    example = PurePosixPath(str(operation.example.get(parameter.name) or parameter.default or operation.name))
    subject = values.get(operation.subject.name) if operation.subject else None
    return safe_name(f"{subject}{''.join(example.suffixes)}" if subject else example.name)


def _check(workspace: Workspace, name: str, value: Any) -> None:
    found = _REFERENCE.fullmatch(str(value))
    if found is None:
        raise UserError(REFUSED.format(name=name))
    digest, quoted, signature = found.groups()
    if not hmac.compare_digest(_signature(workspace, "upload", digest, unquote(quoted)), signature):
        raise UserError(f"{name}: nobody here gave that reference; send the file again")


def _signature(workspace: Workspace, kind: Literal["upload", "download"], digest: str, name: str) -> str:
    return workspace.sealed(kind, f"{digest}/{name}")


def _place(workspace: Workspace, folder: Path, reference: str) -> Path:
    """Where an operation reads an upload, or writes what becomes a download."""
    folder.mkdir(parents=True)
    if place := _PLACE.fullmatch(reference):
        return folder / safe_name(place[1])
    found = _REFERENCE.fullmatch(reference)
    assert found is not None
    digest, name = found[1], safe_name(unquote(found[2]))
    if not workspace.store.has(PREFIX + digest):
        raise UserError(f"{name} was sent, but is no longer kept; send it again")
    source = workspace.store.path(PREFIX + digest)
    try:
        os.link(source, folder / name)
    except OSError:
        shutil.copyfile(source, folder / name)
    return folder / name


def _store(workspace: Workspace, place: Path) -> Download:
    """Move what an operation wrote into the store."""
    if place.is_dir():
        archive = place.with_name(f"{place.name}.zip")
        _zip(place, archive)
        place = archive
    name, size = place.name, place.stat().st_size
    digest = workspace.store.put_file(place).removeprefix(PREFIX)
    signature = _signature(workspace, "download", digest, name)
    return Download(name=name, bytes=size, url=f"{ROUTE}/{digest}/{quote(name, safe='')}?signature={signature}")


def _zip(folder: Path, archive: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if stat.S_ISREG(path.lstat().st_mode))
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        for file in files:
            entry = zipfile.ZipInfo(file.relative_to(folder.parent).as_posix(), _EPOCH)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            with file.open("rb") as source, target.open(entry, "w", force_zip64=True) as sink:
                shutil.copyfileobj(source, sink, 1 << 20)


def _without(workspace: Workspace, folder: Path, value: Any) -> Any:
    """A JSON value in which the place of travelling files on this server does not stand."""
    if isinstance(value, str):
        for start in (str(folder), str(folder.resolve()), os.path.relpath(folder.resolve(), workspace.root)):
            value = re.sub(rf"{re.escape(start)}/[^/\s]+/", "", value)
        return value
    if isinstance(value, dict):
        return {name: _without(workspace, folder, part) for name, part in value.items()}
    return [_without(workspace, folder, part) for part in value] if isinstance(value, list | tuple) else value
