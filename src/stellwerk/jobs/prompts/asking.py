"""Who asks for evidence before an alias of a prompt moves, and what the record proves to each of them.

The systems that bind the alias ask, and the prompt itself by the gates in its header; where neither does, the default gates of
prompts. How a system stands is told by `standing`, with the version in the place of the prompt that the system binds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from stellwerk.errors import UserError
from stellwerk.gates import Candidate, Gate, Signal
from stellwerk.llm.prompts.versions import KIND
from stellwerk.record import tables
from stellwerk.standing import candidate, defaults, spec
from stellwerk.standing.standing import judge, standing

if TYPE_CHECKING:
    from stellwerk.record.record import Record, Version
    from stellwerk.workspace import Workspace


@dataclass(frozen=True)
class Asking:
    """Somebody whose gates have to pass.

    Attributes:
        of: the system, or that it is the prompt itself.
        is_system: whether what is measured together follows from a system's file.
        candidate: that was judged.
        signals: of the gates that concern the prompt.
    """

    of: str
    is_system: bool
    candidate: Candidate
    signals: list[Signal]


def asking(workspace: Workspace, version: Version, alias: str, system: str | None, now: datetime) -> list[Asking]:
    """Everybody whose gates have to pass before an alias points to a version, with what the record proves to them.

    Args:
        workspace: with the systems' files and the record.
        version: of the prompt.
        alias: that is to move.
        system: this one too, which has to bind the prompt, in whichever version; those that bind the alias are asked anyhow.
        now: with time zone.

    Raises:
        UserError: there is no such system, it does not bind the prompt, or a file is wrong.
    """
    found = []
    for name in _systems(workspace, version, alias, system):
        stands = standing(workspace, name, now=now, instead={f"{KIND}/{version.name}": version.ref})
        found.append(Asking(f"system {name}", True, stands.candidate, _about(version, stands.signals)))
    own = [Gate.model_validate(gate) for gate in version.facts.get("gates", ())]
    if own or not found:
        required = defaults.Required(own, {}, {}, {}) if found else defaults.delivered(KIND, own)
        roots = candidate.load(workspace.record, [version.ref, *_models(workspace.record, version, required.gates)])
        judged = judge(workspace.record, roots, required, (), now)
        found.append(Asking("the prompt itself", False, judged.candidate, _about(version, judged.signals)))
    return found


def _systems(workspace: Workspace, version: Version, alias: str, system: str | None) -> list[str]:
    asset = f"{KIND}/{version.name}"
    bound = [name for name in spec.names(workspace) if f"{asset}@{alias}" in spec.binds(spec.read(workspace, name))]
    if system is None:
        return bound
    file = spec.read(workspace, system)
    if asset not in map(spec.asset_of, spec.binds(file)):
        raise UserError(f"{file.name} does not bind {asset}; write {asset}@{alias} under binds there")
    return [system, *(name for name in bound if name != system)]


def _about(version: Version, signals: Iterable[Signal]) -> list[Signal]:
    """Those of gates that concern this prompt, alone or with what it is measured with."""
    here = (None, version.name)
    found = [s for s in signals if KIND in s.gate.concerns and s.gate.among.get(KIND) in here]
    return [s for s in found if s.gate.concerns[0] != KIND or (s.subject.name if s.subject else s.gate.asset) in here]


def _models(record: Record, version: Version, gates: Iterable[Gate]) -> list[str]:
    """Where no system says which: the models that gates name, or that it was written for, or that it was measured with."""
    named = {gate.among["model"] for gate in gates if "model" in gate.among} or {str(version.facts.get("written_for"))}
    chosen = [found for name in sorted(named) if (found := record.latest("model", name)) is not None]
    return [one.ref for one in chosen or _measured_with(record, version)]


def _measured_with(record: Record, version: Version) -> list[Version]:
    """The newest models that a prompt was measured with."""
    link = tables.measured.c
    taken = {row["measurement"] for row in record.rows(tables.measured, link.version == version.id, link.role == "subject")}
    together = {row["version"] for row in record.rows(tables.measured, link.measurement.in_(taken), link.role == "subject")}
    return [one for one in record.versions_of(together) if one.kind == "model" and record.latest("model", one.name) == one]
