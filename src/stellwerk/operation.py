"""The registry of operations: one plain typed function becomes every door.

An *operation* is one thing that the product can do. Its signature is the whole contract: the command line, the Python API,
REST, forms and MCP tools are made from it. This module knows names, parameters, schemas and examples. It does not know how
an operation is executed (`run.py`) nor how it looks (`doors/`).
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from stellwerk.errors import UserError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from stellwerk.workspace import Workspace

CONTEXTS = ("Run", "Workspace", "Workspace | None")  # annotations of what the door gives, not the caller
Scope = Literal["read", "run", "approve", "admin"]


@dataclass(frozen=True)
class Ref:
    """Marks a parameter that names a version of an asset: `tickets`, `tickets@3` or `tickets@production`.

    Attributes:
        kind: of the asset.
        specs: the folder of the asset's spec file, if the operation reads it too.
    """

    kind: str
    specs: str | None = None


@dataclass(frozen=True)
class FileRef(Ref):
    """Marks a parameter that names an asset of one file: `reply` is the file as it is now, `reply@3` a version that there is.

    `Run.asset` gives the version in both cases.

    Attributes:
        suffix: of the files in the folder `specs`.
        check: reads a file's text, with its name, and refuses what is wrong in it.
    """

    suffix: str = ".yaml"
    check: Callable[[str, str], object] | None = None


@dataclass(frozen=True)
class Spec:
    """Marks a parameter that names a spec file: `tickets` is `datasets/tickets.yaml` for the folder `datasets`."""

    folder: str
    model: type[BaseModel] | None = None


@dataclass(frozen=True)
class LocalPath:
    """Marks a path on the machine of the caller; doors that are reached over a network take an upload, or give a download.

    Attributes:
        writes: whether the operation writes there, rather than reads.
    """

    writes: bool = False


@dataclass(frozen=True)
class Sensitive:
    """Marks a value that may name a person: the record keeps only a keyed hash of it."""


Marker = Ref | Spec | LocalPath | Sensitive
Extent = Callable[["Workspace", Mapping[str, Any]], float | None]


@dataclass(frozen=True)
class Parameter:
    """One parameter of an operation, as every door needs it."""

    name: str
    type: Any
    description: str
    required: bool
    default: Any
    marker: Marker | None


@dataclass(frozen=True)
class Operation:
    """One thing that the product can do, with all that the doors are made from.

    Attributes:
        package: the command group, such as `data`; empty for operations at the top level.
        name: the name within the group, without Python's trailing underscore.
        kind: `run` writes to the record, `query` only reads.
        needs_workspace: whether it can only be called inside a workspace.
        changes: whether a call changes something; every run does, and a few calls that are not runs, such as cancel.
        example: parameters of a call that works in the demo's workspace.
        exit_code: the command line's exit code, from the result.
        scheduled: whether a spec file with a `schedule` runs it; it is then a spec of its first `Spec` parameter's folder.
        extent: measures the input of a call in units of its own, such as bytes, without doing it; None where it cannot know.
        scope: what a caller over a network must be allowed: `read`, `run`, `approve` (decide about evidence) or `admin`.
        local: whether only the machine's own doors, command line and Python, offer it.
    """

    package: str
    name: str
    kind: Literal["run", "query"]
    function: Callable[..., Any]
    example: Mapping[str, Any]
    changes: bool
    needs_workspace: bool
    exit_code: Callable[[Any], int] | None = None
    scheduled: bool = False
    extent: Extent | None = None
    scope: Scope = "read"
    local: bool = False

    @property
    def path(self) -> str:
        """The full name: `data.build`, or `jobs` at the top level."""
        return f"{self.package}.{self.name}" if self.package else self.name

    @functools.cached_property
    def title(self) -> str:
        """The first line of the docstring."""
        return (inspect.getdoc(self.function) or self.name).splitlines()[0]

    @functools.cached_property
    def description(self) -> str:
        """The docstring up to its first section."""
        return re.split(r"\n\s*(?:Args|Returns|Raises):\s*\n", inspect.getdoc(self.function) or "")[0].strip()

    @functools.cached_property
    def hints(self) -> dict[str, Any]:
        """The resolved annotations; those of `CONTEXTS` are left out of the lookup."""
        unknown = {"Run": object, "Workspace": object}
        return typing.get_type_hints(self.function, localns=unknown, include_extras=True)

    @functools.cached_property
    def parameters(self) -> dict[str, Parameter]:
        """The parameters that a caller gives, in order."""
        texts = _described(inspect.getdoc(self.function) or "")
        found = {}
        for name, parameter in inspect.signature(self.function).parameters.items():
            if _is_context(parameter):
                continue
            required = parameter.default is inspect.Parameter.empty
            hint = self.hints[name]
            found[name] = Parameter(
                name=name,
                type=hint,
                description=texts.get(name, ""),
                required=required,
                default=None if required else parameter.default,
                marker=_marker(hint),
            )
        return found

    @property
    def subject(self) -> Parameter | None:
        """The parameter that says what a call is about: the first that names a spec or a version."""
        return next((p for p in self.parameters.values() if isinstance(p.marker, Spec | Ref)), None)

    @functools.cached_property
    def model(self) -> type[BaseModel]:
        """A pydantic model of the parameters: validates a call and gives the JSON Schema of its form."""
        from pydantic import ConfigDict, Field, create_model

        fields: dict[str, Any] = {
            p.name: (p.type, Field(description=p.description) if p.required else Field(p.default, description=p.description))
            for p in self.parameters.values()
        }
        return create_model(self.path, __config__=ConfigDict(extra="forbid"), **fields)

    @property
    def parameters_schema(self) -> dict[str, Any]:
        """JSON Schema of the parameters."""
        return self.model.model_json_schema()

    @functools.cached_property
    def result_schema(self) -> dict[str, Any]:
        """JSON Schema of the result."""
        from pydantic import TypeAdapter

        return TypeAdapter(self.hints.get("return", Any)).json_schema(mode="serialization")

    def validate(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Check the values of a call.

        Raises:
            UserError: one sentence for each value that is missing, unknown or of the wrong type.
        """
        from pydantic import ValidationError

        try:
            checked = self.model.model_validate(dict(values))
        except ValidationError as error:
            raise UserError(f"{self.path.replace('.', ' ')}: " + "; ".join(map(_sentence, error.errors()))) from None
        return {name: getattr(checked, name) for name in type(checked).model_fields}


def operation(
    *,
    example: Mapping[str, Any],
    changes: bool = False,
    exit_code: Callable[[Any], int] | None = None,
    scheduled: bool = False,
    extent: Extent | None = None,
    scope: Scope | None = None,
    local: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as an operation; the function itself stays as it is.

    Args:
        example: parameters of a call that works in the demo's workspace; every door is tested with it.
        changes: True for one that takes `workspace` and yet changes something.
        exit_code: gives the command line's exit code from the result (1 when a gate or data test failed).
        scheduled: True for a run with a `Spec` parameter that a worker starts when a spec file's `schedule` is due.
        extent: `(workspace, values)`, what the input of such a call measures now, in the units of `run.extent`; for plans.
        scope: what a caller over a network must be allowed; if left out, `run` for what changes something, else `read`.
        local: True for one that no door over a network offers.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        context = next((p for p in inspect.signature(function).parameters.values() if _is_context(p)), None)
        if context is None:
            raise TypeError(f"{function.__qualname__} takes neither run nor workspace")
        is_run = context.annotation == "Run"
        package = _package(function.__module__)
        entry = Operation(
            package=package,
            name=function.__name__.rstrip("_"),
            kind="run" if is_run else "query",
            function=function,
            example=dict(example),
            changes=changes or is_run,
            needs_workspace="None" not in str(context.annotation),
            exit_code=exit_code,
            scheduled=scheduled,
            extent=extent,
            scope=scope or ("run" if changes or is_run else "read"),
            local=local,
        )
        _registry.setdefault(package, {})[entry.name] = entry
        return function

    return register


@functools.cache  # what is installed is looked up on disk
def packages() -> dict[str, str]:
    """The command groups and the module that holds the operations of each: those of the core, then the jobs."""
    found = {entry.name: entry.value for entry in importlib.metadata.entry_points(group="stellwerk.core")}
    for entry in importlib.metadata.entry_points(group="stellwerk.jobs"):
        found[entry.name] = f"{entry.value}.operations"
    return found


def load(package: str) -> dict[str, Operation]:
    """Import one command group and return its operations by name.

    Raises:
        UserError: there is no such group.
    """
    if package not in _registry:
        module = "stellwerk.operations" if package == "" else packages().get(package)
        if module is None:
            raise UserError(f"there is no package {package!r}; there are: {', '.join(sorted(packages()))}")
        importlib.import_module(module)
    return _registry.get(package, {})


def load_all() -> list[Operation]:
    """Every operation of every installed package."""
    return [entry for package in ("", *packages()) for entry in load(package).values()]


def find(path: str) -> Operation:
    """Look an operation up by its path, such as `data.build`.

    Raises:
        UserError: there is no such operation.
    """
    package, _, name = path.rpartition(".")
    entry = load(package).get(name)
    if entry is None:
        raise UserError(f"there is no operation {path!r}; {package or 'the top level'} has: {', '.join(load(package))}")
    return entry


_registry: dict[str, dict[str, Operation]] = {}


def _is_context(parameter: inspect.Parameter) -> bool:
    """Whether the door gives it: annotations are texts here, since the modules of operations postpone them."""
    return parameter.name in ("run", "workspace") and parameter.annotation in CONTEXTS


def _marker(hint: Any) -> Marker | None:
    """The marker of an annotation, also of one that may be left out: `PromptRef | None`."""
    parts = typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else ()
    found = (m for part in (hint, *parts) for m in getattr(part, "__metadata__", ()) if isinstance(m, Marker))
    return next(found, None)


def _package(module: str) -> str:
    """`stellwerk.jobs.data.operations` is `data`, `stellwerk.runs.operations` is `runs`, `stellwerk.operations` is the top."""
    parts = module.split(".")[:-1]
    return "" if parts in ([], ["stellwerk"]) else parts[-1]


def _described(doc: str) -> dict[str, str]:
    """The texts of the `Args:` section of a Google docstring, by parameter."""
    section = re.search(r"^Args:\n((?:[ \t]+.*\n?|\n)+)", doc, re.MULTILINE)
    if section is None:
        return {}
    found: dict[str, str] = {}
    for entry in re.finditer(r"^    (\w+): (.*(?:\n {5,}.*)*)", section[1], re.MULTILINE):
        found[entry[1]] = " ".join(entry[2].split())
    return found


def _sentence(error: Any) -> str:
    """One pydantic error as a plain sentence."""
    field = ".".join(str(part) for part in error["loc"]) or "the parameters"
    if error["type"] == "missing":
        return f"{field} is missing"
    if error["type"] == "extra_forbidden":
        return f"there is no parameter {field}"
    return f"{field}: {error['msg'][0].lower()}{error['msg'][1:]}"
