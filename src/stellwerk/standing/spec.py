"""What a person may write in `systems/NAME.yaml`: an AI system, what it binds, and the gates that it has to pass.

Knows the file alone: neither the record nor the default gates, which `defaults.py` lays over it.
"""

from __future__ import annotations

import difflib
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from stellwerk.errors import UserError
from stellwerk.gates import NAME as GATE_NAME
from stellwerk.gates import Gate
from stellwerk.specfile import SpecFile, parse, read_text
from stellwerk.workspace import Workspace

FOLDER = "systems"
KINDS = (
    "source", "dataset", "index", "prompt", "suite", "model", "adapter", "settings", "tool", "app", "service", "policy",
    "architecture", "event-log", "use-case", "judge",
)  # fmt: skip


class Part(BaseModel):
    """Base of all parts of the file: unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def check_reference(value: str) -> str:
    """Refuse a reference that does not say its kind.

    Raises:
        ValueError: it names no kind that there is, or no asset.
    """
    kind, slash, name = value.partition("/")
    if not slash:
        raise ValueError(f"{value!r} does not say what it is; write its kind before it, such as dataset/{value}")
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, 1, 0.6)
        raise ValueError(
            f"there is no kind {kind!r}; " + (f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(KINDS)}")
        )
    if not name.partition("@")[0] or name.endswith("@"):
        raise ValueError(f"{value!r} names no {kind}; write such as {kind}/name, {kind}/name@3 or {kind}/name@production")
    return value


def _check_gate(gate: Gate) -> Gate:
    """Refuse a gate on a kind that there is not, or with an instrument that does not say its kind."""
    for reference in (*(f"{kind}/name" for kind in gate.concerns), *gate.with_):
        check_reference(reference)
    return gate


Reference = Annotated[str, AfterValidator(check_reference)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Override(Part):
    """Another threshold, age or severity of a default gate, or that it is not required; always with the reason why."""

    reason: Text
    min: float | None = Field(None, allow_inf_nan=False)
    max: float | None = Field(None, allow_inf_nan=False)
    days: float | None = Field(None, gt=0, allow_inf_nan=False)
    severity: Literal["error", "warn"] | None = None
    required: bool = True

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.required and not self.changes:
            raise ValueError("it changes nothing; give min, max, days or severity, or required: false")
        if not self.required and self.changes:
            raise ValueError("a gate that is not required has no threshold; give either required: false or what it is to be")
        return self

    @property
    def changes(self) -> dict[str, float | str | None]:
        """What it sets anew; `min: null` takes a threshold away."""
        return {name: getattr(self, name) for name in ("min", "max", "days", "severity") if name in self.model_fields_set}


class System(Part):
    """An AI system: what it is for, who answers for it, what it binds, and what has to be proven before it runs."""

    purpose: Text = Field(description="what it is for; with owner and role it makes the system's identity")
    owner: Text = Field(description="who answers for it")
    role: Literal["provider", "deployer", "both"] = Field(description="under the AI Act")
    title: str | None = None
    description: str | None = None
    users: str | None = Field(None, description="who uses it, and whom it concerns")
    oversight: str | None = Field(None, description="how people watch over it and can stop it")
    high_risk: bool | None = Field(None, description="under the AI Act; left out while it is not yet known")
    binds: list[Reference] = Field(min_length=1, description="what runs, such as dataset/tickets or prompt/reply@production")
    gates: list[Annotated[Gate, AfterValidator(_check_gate)]] = Field([], description="beside the default ones")
    overrides: dict[Annotated[str, Field(pattern=GATE_NAME)], Override] = Field({}, description="of default gates, by name")
    default_gates: dict[str, int] = Field({}, description="an older set of default gates that it keeps to, such as {data: 1}")
    sign_offs: list[Text] = Field([], description="roles that must sign, such as data protection")

    @field_validator("binds", "sign_offs")
    @classmethod
    def _no_two(cls, values: list[str]) -> list[str]:
        for value in values:
            if values.count(value) > 1:
                raise ValueError(f"{value!r} stands here twice; keep one")
        return values

    @field_validator("gates")
    @classmethod
    def _no_two_names(cls, gates: list[Gate]) -> list[Gate]:
        names = [gate.name for gate in gates]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two gates have the name {name!r}; give each its own")
        return gates

    @property
    def identity(self) -> dict[str, str]:
        """What makes it this system; thresholds are not part of it."""
        return {"purpose": self.purpose, "owner": self.owner, "role": self.role}


def names(workspace: Workspace) -> list[str]:
    """The systems that there are files of."""
    return workspace.specs(FOLDER)


def read(workspace: Workspace, name: str) -> SpecFile:
    """The file of a system, unchecked.

    Raises:
        UserError: there is none, or it is not YAML.
    """
    path = workspace.spec_path(FOLDER, name)
    return parse(read_text(path), f"{FOLDER}/{path.name}")


def asset_of(reference: str) -> str:
    """`prompt/reply` for `prompt/reply@production`."""
    return reference.partition("@")[0]


def binds(file: SpecFile) -> list[str]:
    """What a file says that its system binds, also where it has a mistake elsewhere."""
    found = file.value.get("binds") if isinstance(file.value, dict) else None
    return [str(one) for one in found] if isinstance(found, list) else []


def mistake(file: SpecFile, place: tuple[str | int, ...], sentence: str) -> UserError:
    """A mistake in the file that only shows beside what else there is."""
    return UserError(f"{file.name}, line {file.line(place)}: {sentence}")
