"""Which gates ask for evidence before an alias of a prompt moves: of the systems that bind it, its own, the default ones.

Files of systems are read as data, since a job knows no release. Judges nothing: that is `gates.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from stellwerk.errors import UserError
from stellwerk.gates import Gate
from stellwerk.specfile import SpecFile, parse, read_text

if TYPE_CHECKING:
    from stellwerk.record.record import Version
    from stellwerk.workspace import Workspace

SYSTEMS = "systems"
KIND = "prompt"
OWN = "the prompt itself"


@dataclass(frozen=True)
class Asking:
    """Somebody whose gates have to pass.

    Attributes:
        of: the system, or that it is the prompt itself.
        gates: that concern prompts.
        binds: references beside the prompt, such as `model/writer`; None where nothing is bound, so that what it was measured
            with counts.
        needs: facts of a prompt that have to be known.
        system: the name under which decisions about it are found; None for the prompt itself.
    """

    of: str
    gates: list[Gate]
    binds: list[str] | None
    needs: tuple[str, ...] = ()
    system: str | None = None


def asking(workspace: Workspace, version: Version, alias: str, system: str | None) -> list[Asking]:
    """Everybody whose gates have to pass before an alias points to a version.

    Args:
        workspace: with the systems' files.
        version: of the prompt.
        alias: that is to move.
        system: only this one, which has to bind the prompt; all that bind the alias if left out.

    Raises:
        UserError: there is no such system, it does not bind the prompt, or a file is wrong.
    """
    reference = f"{KIND}/{version.name}@{alias}"
    if system is not None:
        file = _file(workspace, system)
        if not any(_asset(bound) == f"{KIND}/{version.name}" for bound in _binds(file)):
            raise UserError(f"{file.name} does not bind {KIND}/{version.name}; write {reference} under binds there")
        chosen = {system: file}
    else:
        files = {name: _file(workspace, name) for name in workspace.specs(SYSTEMS)}
        chosen = {name: file for name, file in files.items() if reference in _binds(file)}
    found = [_of_system(name, file, version) for name, file in chosen.items()]
    own = _gates(version.facts.get("gates", ()), f"prompts/{version.name}.prompty")
    if own or not found:
        gates, needs = _default(None) if not found else ([], ())
        found.append(Asking(OWN, [*own, *gates], None, needs))
    return found


def _of_system(name: str, file: SpecFile, version: Version) -> Asking:
    """What a system asks: default gates as its file changes them, and its own."""
    value = file.value
    default, needs = _default((value.get("default_gates") or {}).get("prompts"))
    overrides = value.get("overrides") or {}
    laid = [_overridden(gate, overrides[gate.name], file) if gate.name in overrides else gate for gate in default]
    own = _gates(value.get("gates") or (), file.name)
    others = [bound for bound in _binds(file) if _asset(bound) != f"{KIND}/{version.name}"]
    gates = [gate for gate in (*laid, *own) if gate is not None and KIND in gate.concerns]
    return Asking(f"system {name}", gates, others, needs, name)


def _overridden(gate: Gate, override: Any, file: SpecFile) -> Gate | None:
    """A default gate as a system's file has it; None where it is not required."""
    if not isinstance(override, dict):
        raise UserError(
            f"{file.name}, line {file.line(('overrides', gate.name))}: expected names and values, such as reason: …"
        )
    if override.get("required") is False:
        return None
    changes = {name: override[name] for name in ("min", "max", "days", "severity") if name in override}
    return _gates([{**gate.model_dump(by_alias=True), **changes}], file.name)[0]


def _default(wanted: int | None) -> tuple[list[Gate], tuple[str, ...]]:
    """The default gates of prompts, and the facts that they need: the newest set, or the one that is wanted."""
    path = Path(__file__).parent / "gates.yaml"
    sets = sorted(parse(read_text(path), str(path)).value, key=lambda one: int(one["version"]))
    chosen = next((one for one in sets if one["version"] == wanted), sets[-1])["kinds"].get(KIND, {})
    gates = [{"job": "prompts", "concerns": KIND, **gate} for gate in chosen.get("gates", ())]
    return _gates(gates, path.name), tuple(chosen.get("needs", ()))


def _gates(values: Iterable[Any], file: str) -> list[Gate]:
    try:
        return [Gate.model_validate(value) for value in values]
    except ValidationError as error:
        said = error.errors()[0]
        field = ".".join(str(part) for part in said["loc"])
        raise UserError(f"{file}: a gate is wrong: {field or 'it'}: {said.get('ctx', {}).get('error', said['msg'])}") from None


def _file(workspace: Workspace, name: str) -> SpecFile:
    path = workspace.spec_path(SYSTEMS, name)
    file = parse(read_text(path), f"{SYSTEMS}/{path.name}")
    if not isinstance(file.value, dict):
        raise UserError(f"{file.name}: expected names and values, such as purpose: …")
    return file


def _binds(file: SpecFile) -> list[str]:
    found = file.value.get("binds")
    return [str(one) for one in found] if isinstance(found, list) else []


def _asset(reference: str) -> str:
    return reference.partition("@")[0]
