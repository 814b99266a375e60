"""The fields of an operation's form, made from its parameters: which control each has, and what was typed into it.

Knows parameters, schemas and texts; calls no operation. What may name a person is never put into a field again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import yaml
from sqlalchemy import select

from stellwerk.operation import FileRef, LocalPath, Operation, Parameter, Ref, Sensitive, Spec
from stellwerk.record import tables
from stellwerk.runs import exchange

if TYPE_CHECKING:
    from pydantic import BaseModel

    from stellwerk.workspace import Workspace

Control = Literal["text", "secret", "number", "check", "choice", "lines", "date", "file", "yaml"]
Schema = dict[str, Any]
_BREAKS = re.compile("[\x7f-\x9f\u2028\u2029\ufeff]")  # YAML takes some of these for ends of lines
SUGGESTED = 300  # names that a field suggests at most
SUBJECT = {"run_id": "runs", "system": "systems", "operation": "operations"}  # plain texts that name something all the same


@dataclass
class Field:
    """A parameter as a form shows it.

    Attributes:
        control: how it is given.
        optional: whether it may be left empty although it has no default.
        default: what holds where nothing is given, as text.
        value: what was typed.
        choices: all values that there are, for a choice; else the known ones that are suggested.
        spec: the folder of the spec files that it names.
        fault: what is wrong with what was typed.
    """

    name: str
    help: str
    control: Control
    required: bool
    optional: bool = False
    default: str = ""
    value: str = ""
    choices: list[str] = field(default_factory=list)
    least: float | None = None
    most: float | None = None
    step: str = "1"
    spec: str | None = None
    fault: str = ""

    @property
    def checked(self) -> bool:
        """Whether a box is ticked."""
        return self.value == "true"


def model(entry: Operation) -> type[BaseModel]:
    """The parameters as pages take them: references instead of files, and no place to write to."""
    return exchange.model(entry)


def fields(workspace: Workspace, entry: Operation, typed: Mapping[str, str], *, sent: bool = False) -> list[Field]:
    """The fields of an operation's form.

    Args:
        workspace: whose names are offered.
        entry: the operation.
        typed: what stands in the fields, by name.
        sent: whether that is a form that was sent: a box that is not in it was not ticked.
    """
    schema = model(entry).model_json_schema()
    found = []
    for name, described in schema["properties"].items():
        parameter = entry.parameters[name]
        one = _field(workspace, parameter, described, schema.get("$defs", {}))
        if one.control == "check":
            one.value = ("true" if name in typed else "false") if sent else _truth(typed.get(name, one.default))
        elif one.control not in ("secret", "file"):
            one.value = typed.get(name, "" if sent else one.default if one.control == "choice" else "")
        found.append(one)
    return found


def values(found: list[Field], typed: Mapping[str, str]) -> dict[str, Any]:
    """What was typed, as the values of a call; what was left empty is left out, so that its default holds."""
    given: dict[str, Any] = {}
    for one in found:
        if one.control == "check":
            given[one.name] = one.checked
            continue
        said = typed.get(one.name, "")
        if one.control not in ("secret", "lines", "yaml"):
            said = said.strip()
        if said.strip():
            given[one.name] = READ.get(one.control, str)(said)
    return given


def texts(given: Mapping[str, Any]) -> dict[str, str]:
    """Values of a call as they would be typed."""
    return {name: _typed(value) for name, value in given.items() if value is not None}


def as_yaml(entry: Operation, found: list[Field], given: Mapping[str, Any], said: Callable[[str], str] = str) -> str:
    """The values as YAML; what was left out stands there as a comment, and nothing that may name a person.

    Args:
        entry: the operation.
        found: its fields.
        given: the values.
        said: a text in the reader's language.
    """
    lines: list[str] = []
    for one in found:
        if one.control in ("secret", "file"):
            continue
        lines.append(f"# {said(one.help)}")
        if one.name in given:
            lines += [_yaml({one.name: given[one.name]}), ""]
        else:
            default = entry.parameters[one.name].default
            lines += [f"# {one.name}:" if one.required else "# " + _yaml({one.name: default}).replace("\n", "\n# "), ""]
    return "\n".join(lines)


def _field(workspace: Workspace, parameter: Parameter, described: Schema, definitions: Schema) -> Field:
    schema, optional = _shape(described, definitions)
    control, step = _control(parameter, schema)
    one = Field(
        name=parameter.name,
        help=parameter.description,
        control=control,
        required=parameter.required,
        optional=optional,
        default="" if parameter.required or control == "secret" else _typed(parameter.default),
        step=step,
        least=schema.get("minimum", schema.get("exclusiveMinimum")),
        most=schema.get("maximum", schema.get("exclusiveMaximum")),
    )
    if control == "choice":
        one.choices = ["true", "false"] if schema.get("type") == "boolean" else [str(value) for value in _enum(schema)]
    marker = parameter.marker
    if isinstance(marker, Spec):
        one.spec, one.choices = marker.folder, workspace.specs(marker.folder)
        one.control = "choice" if one.choices else "text"
    elif isinstance(marker, FileRef):
        files = workspace.specs(marker.specs or "", marker.suffix)
        one.spec, one.choices = marker.specs, list(dict.fromkeys([*files, *_names(workspace, marker.kind)]))
    elif isinstance(marker, Ref):
        one.spec, one.choices = marker.specs, _names(workspace, marker.kind)
    elif control == "text" and parameter.name in SUBJECT:
        one.choices = _known(workspace, SUBJECT[parameter.name])
    return one


def _shape(schema: Schema, definitions: Schema) -> tuple[Schema, bool]:
    """The schema that a value has to fit, without references, and whether there may be none."""
    if "$ref" in schema:
        return _shape(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        some = [one for one in schema["anyOf"] if one.get("type") != "null"]
        found = _shape(some[0], definitions)[0] if len(some) == 1 else {"type": "string"}
        return found, len(some) < len(schema["anyOf"])
    return schema, False


def _control(parameter: Parameter, schema: Schema) -> tuple[Control, str]:
    if isinstance(parameter.marker, Sensitive):
        return "secret", ""
    if isinstance(parameter.marker, LocalPath):
        return "file", ""
    if _enum(schema):
        return "choice", ""
    match schema.get("type"):
        case "boolean":
            return ("check" if parameter.default is not None or parameter.required else "choice"), ""
        case "integer":
            return "number", "1"
        case "number":
            return "number", "any"
        case "array" if schema.get("items", {}).get("type") in ("string", "integer", "number"):
            return "lines", ""
        case "string":
            return ("date" if schema.get("format") == "date" else "text"), ""
        case _:
            return "yaml", ""


def _enum(schema: Schema) -> list[Any]:
    return schema.get("enum") or ([schema["const"]] if "const" in schema else [])


def _names(workspace: Workspace, kind: str) -> list[str]:
    name = tables.asset.c.name
    with workspace.record.database.reading() as connection:
        query = select(name).where(tables.asset.c.kind == kind).order_by(name).limit(SUGGESTED)
        return list(connection.execute(query).scalars())


def _known(workspace: Workspace, what: str) -> list[str]:
    match what:
        case "runs":
            with workspace.record.database.reading() as connection:
                newest = select(tables.run.c.id).order_by(tables.run.c.created.desc()).limit(20)
                return ["latest", *(key[:8] for key in connection.execute(newest).scalars())]
        case "systems":
            return workspace.specs("systems")
        case _:
            from stellwerk.operation import load_all

            return sorted(entry.path for entry in load_all() if entry.kind == "run")


def _number(said: str) -> Any:
    try:
        return int(said)
    except ValueError:
        try:
            return float(said.replace(",", ".")) if said.count(",") == 1 and "." not in said else float(said)
        except ValueError:
            return said


def _from_yaml(said: str) -> Any:
    try:
        return yaml.safe_load(said)
    except yaml.YAMLError:
        return said


READ: dict[str, Callable[[str], Any]] = {
    "number": _number,
    "lines": lambda said: [line.strip() for line in said.splitlines() if line.strip()],
    "yaml": _from_yaml,
}


def _truth(said: str) -> str:
    return "true" if said.strip().lower() in ("true", "1", "on", "yes") else "false"


def _typed(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple) and all(isinstance(part, str | int | float) for part in value):
        return "\n".join(map(str, value))
    if isinstance(value, dict | list | tuple):
        return _yaml(json.loads(json.dumps(value, default=str)))
    return str(value)


def _yaml(value: Any) -> str:
    plain = json.loads(json.dumps(value, default=str))
    odd = _BREAKS.search(json.dumps(plain, ensure_ascii=False)) is not None
    return yaml.safe_dump(plain, allow_unicode=not odd, sort_keys=False, width=100).strip().removesuffix("\n...")
