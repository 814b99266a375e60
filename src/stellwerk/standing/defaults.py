"""The default gates: numbered sets that job packages carry as `gates.yaml`, and a system's overrides laid over them.

The sets are found through the entry points of the jobs; no job is imported for that. Knows no measurement.
"""

from __future__ import annotations

import difflib
import functools
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stellwerk.errors import UserError
from stellwerk.gates import Gate, Subject
from stellwerk.specfile import SpecFile, parse, read_text
from stellwerk.standing.spec import System, mistake

FILE = "gates.yaml"
OWN = "services"  # the set that this package carries


class KindGates(BaseModel):
    """The default gates of a kind of asset, and the facts of it that have to be known.

    Attributes:
        hosted: whether the gates are only about what its provider runs and may change.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    needs: tuple[str, ...] = ()
    hosted: bool = False
    gates: tuple[Gate, ...]


class GateSet(BaseModel):
    """A numbered set of default gates."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    version: int = Field(ge=1)
    kinds: dict[str, KindGates]

    @model_validator(mode="before")
    @classmethod
    def _spell_out(cls, value: Any) -> Any:
        """A gate concerns the kind that it stands under, and is the job's that the set is of, unless it says otherwise."""
        value = dict(value)
        value["kinds"] = {
            kind: {**part, "gates": [{"job": value["name"], "concerns": kind, **gate} for gate in part.get("gates", ())]}
            for kind, part in value.get("kinds", {}).items()
        }
        return value


@dataclass(frozen=True)
class Required:
    """The gates that a system has to pass.

    Attributes:
        overridden: the reason for each default gate that is not as it was delivered.
        not_required: the reason for each default gate that is left out.
        sets: that are used, by name.
    """

    gates: list[Gate]
    overridden: dict[str, str]
    not_required: dict[str, str]
    sets: dict[str, GateSet]


@functools.cache
def sets() -> dict[str, list[GateSet]]:
    """All default sets by name, the newest last."""
    places = {OWN: Path(__file__).parent}
    for entry in entry_points(group="stellwerk.jobs"):
        spec = importlib.util.find_spec(entry.value)
        if spec is not None and spec.submodule_search_locations:
            places[entry.name] = Path(next(iter(spec.submodule_search_locations)))
    return {name: _read(name, place / FILE) for name, place in places.items() if (place / FILE).is_file()}


def lay_over(file: SpecFile, system: System, frontier: Mapping[str, Sequence[Subject]]) -> Required:
    """The gates of a system: the default ones of the kinds that it has, as its file changes them, and its own.

    Raises:
        UserError: the file names a set or a default gate that there is not, or gives a gate of its own the name of one.
    """
    chosen = _chosen(file, system)
    known = {gate.name: gate for one in chosen for part in one.kinds.values() for gate in part.gates}
    _check_names(file, system, known)
    required = Required([], {}, {}, {one.name: one for one in chosen})
    for one in chosen:
        for kind, part in one.kinds.items():
            if any(not part.hosted or not subject.pinned for subject in frontier.get(kind, ())):
                for gate in part.gates:
                    _add(required, file, system, gate)
    required.gates.extend(system.gates)
    return required


def delivered(kind: str, own: Sequence[Gate] = ()) -> Required:
    """The newest default gates of a kind as they are delivered, and others beside them: for what no system binds."""
    newest = {name: there[-1] for name, there in sets().items()}
    gates = [gate for _, one in sorted(newest.items()) for gate in (one.kinds[kind].gates if kind in one.kinds else ())]
    return Required([*own, *gates], {}, {}, newest)


def _add(required: Required, file: SpecFile, system: System, gate: Gate) -> None:
    """Add a default gate as the system's file has it."""
    override = system.overrides.get(gate.name)
    if override is not None and not override.required:
        required.not_required[gate.name] = override.reason
        return
    if override is not None:
        required.overridden[gate.name] = override.reason
        try:
            gate = Gate.model_validate({**gate.model_dump(by_alias=True), **override.changes})
        except ValidationError as error:
            said = "; ".join(str(e.get("ctx", {}).get("error", e["msg"])) for e in error.errors())
            raise mistake(file, ("overrides", gate.name), f"'overrides.{gate.name}': {said}") from None
    required.gates.append(gate)


def _chosen(file: SpecFile, system: System) -> list[GateSet]:
    """The set of each name that the system keeps to: the newest, unless its file says which."""
    for name, version in system.default_gates.items():
        place = ("default_gates", name)
        if name not in sets():
            raise mistake(file, place, f"there are no default gates of {name!r}; there are: {', '.join(sorted(sets()))}")
        if version not in (there := [one.version for one in sets()[name]]):
            numbers = ", ".join(map(str, there))
            raise mistake(file, place, f"the default gates of {name} have no set {version}; there are: {numbers}")
    pins = system.default_gates
    return [next(s for s in there if s.version == pins.get(name, there[-1].version)) for name, there in sorted(sets().items())]


def _check_names(file: SpecFile, system: System, known: Mapping[str, Gate]) -> None:
    for name in system.overrides:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, 0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(known))}"
            raise mistake(file, ("overrides", name), f"there is no default gate {name!r} to override; {hint}")
    for place, gate in enumerate(system.gates):
        if gate.name in known:
            raise mistake(
                file,
                ("gates", place),
                f"{gate.name!r} is a default gate; change it under overrides, or give yours another name",
            )


def _read(name: str, path: Path) -> list[GateSet]:
    found = parse(read_text(path), str(path))
    try:
        read = [GateSet.model_validate({"name": name, **one}) for one in found.value]
    except (ValidationError, TypeError) as error:
        raise UserError(f"{path} holds no sets of default gates: {' '.join(str(error).split())[:300]}") from None
    return sorted(read, key=lambda one: one.version)
