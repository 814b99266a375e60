"""What a call of an MCP tool answers: the result as JSON for programs, as a short text for a model, files as resources.

Knows sizes and shapes. What a result says is data, which this module never looks into.
"""

from __future__ import annotations

import base64
import mimetypes
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import mcp_types as types
from pydantic_core import from_json

from stellwerk.doors.terminal import clean
from stellwerk.errors import UserError
from stellwerk.runs import exchange

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace

TEXT = 100_000  # characters
STRUCTURED = 2**20  # bytes; many clients hand all of it to the model
RESOURCE = 4 * 2**20  # bytes
SCHEME = "stellwerk:/"
_LINK = re.compile(r"/([0-9a-f]{64})/([^/?]+)\?signature=([0-9a-f]+)")


def answer(name: str, content: bytes) -> types.CallToolResult:
    """A result as structure and as text, with links to the files that were written.

    Args:
        name: of the tool.
        content: the result as JSON.

    Raises:
        UserError: it is larger than a client can be expected to take.
    """
    if len(content) > STRUCTURED:
        raise UserError(
            f"{name} answers with {len(content) / 2**20:.1f} MB, more than the {STRUCTURED / 2**20:.0f} MB of a tool's answer; "
            "ask for less, such as fewer rows or columns"
        )
    result = from_json(content)
    return types.CallToolResult(
        content=[types.TextContent(text=_cut("\n".join(_lines(result)))), *_links(result)],
        structured_content=result if isinstance(result, dict) else None,
    )


def refusal(sentence: str) -> types.CallToolResult:
    """An error that the caller can act on."""
    return types.CallToolResult(content=[types.TextContent(text=clean(sentence))], is_error=True)


def download(workspace: Workspace, uri: str) -> types.BlobResourceContents:
    """A file that an operation wrote.

    Raises:
        UserError: no result linked to it, or it is too large for this door.
    """
    found = _LINK.fullmatch(uri.removeprefix(SCHEME + exchange.ROUTE))
    if found is None:
        raise UserError("there is no such resource; take the address from the result of a tool")
    digest, name, signature = found[1], unquote(found[2]), found[3]
    file = exchange.find(workspace, digest, name, signature)
    if (size := file.stat().st_size) > RESOURCE:
        raise UserError(
            f"{name} has {size / 2**20:.1f} MB, more than the {RESOURCE // 2**20} MB that fit here; call the operation on the "
            "command line of the machine, or fetch the file from stellwerk serve"
        )
    return types.BlobResourceContents(uri=uri, mime_type=_mime(name), blob=base64.b64encode(file.read_bytes()).decode())


def _links(result: Any) -> list[types.ResourceLink]:
    """The files that an operation wrote, or that the run did whose result this one shows."""
    if not isinstance(result, dict):
        return []
    shown = result.get("result")
    files = result.get("downloads") or (shown.get("downloads") if isinstance(shown, dict) else None) or []
    return [
        types.ResourceLink(uri=SCHEME + file["url"], name=file["name"], size=file["bytes"], mime_type=_mime(file["name"]))
        for file in files
    ]


def _mime(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _cut(text: str) -> str:
    if len(text) <= TEXT:
        return text
    return f"{text[:TEXT]}\n… cut here, after {TEXT:,} of {len(text):,} characters; the structured result is whole"


def _lines(value: Any, indent: str = "") -> Iterator[str]:
    """A JSON value as lines: name and value, and lists of objects as tables; what is empty is left out."""
    if not isinstance(value, dict):
        yield indent + _cell(value)
        return
    for name, part in value.items():
        if part in (None, [], {}, "") or (name in ("columns", "types") and isinstance(value.get("rows"), list)):
            continue
        if isinstance(part, dict):
            yield f"{indent}{clean(name)}:"
            yield from _lines(part, indent + "  ")
        elif name == "rows" and isinstance(part, list) and "columns" in value:
            yield from _table(value["columns"], part, indent)
        elif isinstance(part, list) and isinstance(part[0], dict):
            columns = list(dict.fromkeys(key for row in part for key, cell in row.items() if cell not in (None, [], {}, "")))
            yield f"{indent}{clean(name)}:"
            yield from _table(columns, [[row.get(column) for column in columns] for row in part], indent + "  ")
        else:
            yield f"{indent}{clean(name)}: {_cell(part)}"


def _table(columns: list[str], rows: list[list[Any]], indent: str) -> Iterator[str]:
    yield indent + " | ".join(map(clean, columns))
    for row in rows:
        yield indent + " | ".join(_cell(cell).replace("\n", " ") for cell in row)


def _cell(value: Any) -> str:
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case list():
            return "; ".join(map(_cell, value))
        case dict():
            return ", ".join(f"{clean(name)}: {_cell(part)}" for name, part in value.items())
        case _:
            return clean(str(value))
