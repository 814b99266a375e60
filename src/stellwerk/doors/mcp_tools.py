"""The tools of the MCP door: each operation as a tool that a client lists, with its schemas and what a call may change.

Knows which operations are offered, in which order and with which hints. It calls nothing.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

import mcp_types as types
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from stellwerk.errors import UserError
from stellwerk.operation import LocalPath, Operation, Scope, Sensitive, load_all
from stellwerk.runs import exchange
from stellwerk.runs.queue import Queued

FOLLOW = "runs.follow"
PATIENCE = 45.0  # seconds that a call waits for a run at most; many clients give a call up after a minute
UPLOAD = "upload"
UPLOAD_BYTES = 2**19  # in base64 it is a third more, and a request may have a megabyte
UPLOAD_SCOPE: Scope = "run"
REFERENCE = "Give the reference that the tool upload returned, not a path."
GENERAL = ("", "runs")  # packages that belong to every job


class Upload(BaseModel):
    """What the tool upload takes."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(description="of the file, such as letters.csv; its ending says how it is read")
    text: str | None = Field(default=None, description="the content, of a text file")
    base64: str | None = Field(default=None, description="the content in base64, of any other file")


class Uploaded(BaseModel):
    """A file that was uploaded."""

    reference: str = Field(description="to give wherever an operation takes a file")
    name: str
    bytes: int


def name_of(entry: Operation) -> str:
    """The name of an operation's tool: `data_build`, or `show` at the top level."""
    return entry.path.replace(".", "_")


def offered(job: str | None) -> dict[str, Operation]:
    """The operations that are tools, by the names of the tools: those that only look first, those that change last.

    Args:
        job: only this job's, with what every job needs; all if not given.

    Raises:
        UserError: there is no such job.
    """
    jobs = {entry.name for entry in entry_points(group="stellwerk.jobs")}
    if job is not None and job not in jobs:
        raise UserError(f"there is no job {job!r} with operations; there are: {', '.join(sorted(jobs))}")
    found = [entry for entry in load_all() if not entry.local and (job is None or _belongs(entry, job, jobs))]
    found.sort(key=lambda entry: (entry.changes, job is not None and entry.package != job))
    return {name_of(entry): entry for entry in found}


def _belongs(entry: Operation, job: str, jobs: set[str]) -> bool:
    """Its own operations, and of those that are no job's, what only looks and what every work with runs needs."""
    if entry.package == job:
        return True
    general = entry.package in GENERAL or not entry.changes
    return general and entry.package not in jobs and entry.scope != "admin"


def tool(entry: Operation) -> types.Tool:
    """An operation as a client sees it."""
    is_run = entry.kind == "run"
    waits = " It is queued and answered at once; then call runs_follow with the run's id." if is_run else ""
    result = TypeAdapter(Queued if is_run else exchange.result_type(entry)).json_schema(mode="serialization")
    return types.Tool(
        name=name_of(entry),
        title=entry.title.rstrip("."),
        description=entry.description + waits,
        input_schema=input_schema(entry),
        # Up to the protocol of 2025-11-25 a result is an object or has no schema.
        output_schema=result if result.get("type") == "object" else None,
        annotations=_hints(entry),
    )


def input_schema(entry: Operation) -> dict[str, Any]:
    """JSON Schema of what a caller gives: no path on the server is ever among it."""
    schema = exchange.model(entry).model_json_schema()
    fields = schema.get("properties", {})
    for name, parameter in entry.parameters.items():
        if isinstance(parameter.marker, LocalPath) and name in fields:
            fields[name]["description"] = f"{parameter.description} {REFERENCE}"
    if entry.path == FOLLOW:
        fields["seconds"] |= {"default": PATIENCE, "maximum": PATIENCE}
    return {"properties": {}, **schema}


def upload_tool() -> types.Tool:
    """The one tool that is no operation: it brings a small file along, since a client has no other way to."""
    return types.Tool(
        name=UPLOAD,
        title="Bring a small file along",
        description=f"Keep a file of up to {UPLOAD_BYTES // 2**10} KB here, as text or base64, for the tools that take one. "
        "Larger files belong into the workspace's folder, named in a spec.",
        input_schema=Upload.model_json_schema(),
        output_schema=Uploaded.model_json_schema(mode="serialization"),
        annotations=types.ToolAnnotations(
            title="Bring a small file along",
            read_only_hint=False,
            destructive_hint=False,
            idempotent_hint=True,
            open_world_hint=False,
        ),
    )


def _hints(entry: Operation) -> types.ToolAnnotations:
    """What a client may ask its user about before a call.

    A run only adds versions and evidence to the record, and a second one finds the steps done. The exception is a run on a
    value that may name a person: it erases. Any other operation that changes something may undo what was there.
    """
    looks = not entry.changes
    adds = entry.kind == "run" and not any(isinstance(p.marker, Sensitive) for p in entry.parameters.values())
    return types.ToolAnnotations(
        title=entry.title.rstrip("."),
        read_only_hint=looks,
        destructive_hint=not looks and not adds,
        idempotent_hint=looks or adds,
        open_world_hint=entry.kind == "run",  # it may read sources and ask models elsewhere
    )
