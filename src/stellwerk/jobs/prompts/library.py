"""The prompts of a workspace: what each is for, its versions and aliases, who uses it, and whether its test still holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from stellwerk.errors import UserError
from stellwerk.jobs.prompts.reports import Library, PromptLine
from stellwerk.llm.prompts import FOLDER, SUFFIX, Prompt, read, versions
from stellwerk.llm.prompts.tokens import estimate
from stellwerk.llm.prompts.versions import KIND
from stellwerk.record import tables
from stellwerk.specfile import read_text
from stellwerk.standing import spec

if TYPE_CHECKING:
    from stellwerk.record.record import Version
    from stellwerk.workspace import Workspace

METRIC = "pass_rate"


def library(workspace: Workspace, search: str | None = None, *, stale: bool = False) -> Library:
    """List the prompts, by name.

    Args:
        workspace: whose files and record are read.
        search: only those in which name, description, owner, purpose or text holds this.
        stale: only those of which no test holds for the file as it is now.
    """
    known: dict[str, list[Version]] = {}
    for version in workspace.record.versions(tables.asset.c.kind == KIND):
        known.setdefault(version.name, []).append(version)
    used = _used(workspace)
    lines = []
    for name in sorted({*workspace.specs(FOLDER, SUFFIX), *known}):
        line, prompt = _of(workspace, name, known.get(name, []), used.get(name, []))
        if (search is None or _holds(search, line, prompt)) and (not stale or line.stale is not None):
            lines.append(line)
    return Library(prompts=lines, message=_message(lines, search, stale))


def line_of(workspace: Workspace, name: str) -> PromptLine | None:
    """The line of one prompt, without a look at the others; None where there is neither a file nor a version."""
    there = workspace.record.versions(tables.asset.c.kind == KIND, tables.asset.c.name == name)
    if not there and name not in workspace.specs(FOLDER, SUFFIX):
        return None
    return _of(workspace, name, there, _used(workspace).get(name, []))[0]


def _of(workspace: Workspace, name: str, there: list[Version], used: list[str]) -> tuple[PromptLine, Prompt | None]:
    prompt, problem = _file(workspace, name)
    if prompt is None and problem is None:
        prompt = versions.prompt_of(workspace, there[-1])
        problem = f"there is no {FOLDER}/{name}{SUFFIX} any more; its versions are in the record"
    return _line(workspace, name, prompt, problem, there, used), prompt


def _file(workspace: Workspace, name: str) -> tuple[Prompt | None, str | None]:
    """The prompt of a file, and what is wrong with it; neither where there is no file."""
    path = workspace.root / FOLDER / f"{name}{SUFFIX}"
    if not path.is_file():
        return None, None
    try:
        return read(read_text(path), f"{FOLDER}/{path.name}"), None
    except UserError as error:
        return None, str(error)


def _line(
    workspace: Workspace, name: str, prompt: Prompt | None, problem: str | None, there: list[Version], used: list[str]
) -> PromptLine:
    facts = prompt.facts if prompt else there[-1].facts if there else {}
    numbers = {version.id: version.number for version in there}
    aliases = workspace.record.aliases(there[0]) if there else {}
    test = _last_test(workspace, [version.id for version in there])
    return PromptLine(
        prompt=f"{KIND}/{name}", description=facts.get("description"), owner=facts.get("owner"), versions=len(there),
        aliases={alias: f"@{numbers[key]}" for alias, key in sorted(aliases.items()) if key in numbers}, used_by=used,
        inputs=[one.name for one in prompt.inputs] if prompt else [], tokens=estimate(prompt.text) if prompt else None,
        tested=test["created"] if test else None, tested_with=test["with"] if test else [],
        passed=test["value"] if test else None, low=test["low"] if test else None, high=test["high"] if test else None,
        stale=_stale(workspace, prompt, there, test), problem=problem,
    )  # fmt: skip


def _last_test(workspace: Workspace, keys: list[str]) -> dict[str, Any] | None:
    """The last complete measurement of the pass rate on any of some versions."""
    link, row = tables.measured.c, tables.measurement.c
    on = select(link.measurement).where(link.version.in_(keys), link.role == "subject")
    where = (row.id.in_(on), row.metric == METRIC, row.complete == 1)
    found = workspace.record.rows(tables.measurement, *where, order=(row.created.desc(), row.id), limit=1)
    if not found:
        return None
    together = [one["version"] for one in workspace.record.rows(tables.measured, link.measurement == found[0]["id"])]
    others = workspace.record.versions_of(together)
    prompt = next(one for one in others if one.id in keys)
    return {**found[0], "of": prompt, "with": sorted(one.ref for one in others if one.id != prompt.id)}


def _stale(workspace: Workspace, prompt: Prompt | None, there: list[Version], test: dict[str, Any] | None) -> str | None:
    """Why no test holds for what the file is now."""
    if test is None:
        return "never tested"
    if prompt is not None and prompt.digest != test["of"].digest:
        return f"changed since {test['of'].ref} was tested"
    for reference in test["with"]:
        asset, _, number = reference.partition("@")
        newest = workspace.record.latest(*asset.split("/", 1))
        if newest is not None and str(newest.number) != number:
            return f"tested with {reference}, now there is {newest.ref}"
    return None


def _used(workspace: Workspace) -> dict[str, list[str]]:
    """By prompt, the systems that bind it; one whose file cannot be read binds nothing here, and is told of elsewhere."""
    found: dict[str, list[str]] = {}
    for system in spec.names(workspace):
        try:
            bound = spec.binds(spec.read(workspace, system))
        except UserError:
            continue
        for reference in bound:
            kind, _, name = spec.asset_of(reference).partition("/")
            if kind == KIND and system not in found.setdefault(name, []):
                found[name].append(system)
    return found


def _holds(search: str, line: PromptLine, prompt: Prompt | None) -> bool:
    purpose = prompt.facts.get("purpose") if prompt else None
    texts = (line.prompt, line.description, line.owner, purpose, prompt.text if prompt else None)
    return any(search.casefold() in text.casefold() for text in texts if text)


def _message(lines: list[PromptLine], search: str | None, stale: bool) -> str:
    if not lines:
        return (
            "Nothing is found." if search or stale else "There is no prompt yet; write one: stellwerk prompts try, with save."
        )
    old = sum(line.stale is not None for line in lines)
    return f"{len(lines)} prompt{'s' if len(lines) > 1 else ''}" + (f", {old} without a test that holds now." if old else ".")
