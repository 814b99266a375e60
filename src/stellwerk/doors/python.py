"""The Python door: `workspace.<package>.<name>(...)` for every operation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stellwerk.operation import Operation, load, packages
from stellwerk.runs import execution
from stellwerk.workspace import Workspace


class OpenWorkspace:
    """A workspace whose operations are called as `opened.data.build("tickets")` or `opened.show("tickets")`.

    Attributes:
        workspace: the folder with its record, store and engine, for what no operation offers.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def __getattr__(self, name: str) -> Any:
        if name in packages():
            return Package(self.workspace, name)
        operations = load("")
        if name in operations:
            return _bound(self.workspace, operations[name])
        known = ", ".join([*packages(), *operations])
        raise AttributeError(f"an open workspace has no {name!r}; there are: {known}")

    def __dir__(self) -> list[str]:
        return sorted([*packages(), *load(""), "workspace"])


class Package:
    """The operations of one package, bound to a workspace."""

    def __init__(self, workspace: Workspace, package: str) -> None:
        self._workspace = workspace
        self._operations = load(package)
        self.__doc__ = "\n".join(f"{name}: {entry.title}" for name, entry in self._operations.items())

    def __getattr__(self, name: str) -> Any:
        entry = self._operations.get(name.rstrip("_"))
        if entry is None:
            raise AttributeError(f"there is no operation {name!r}; there are: {', '.join(self._operations)}")
        return _bound(self._workspace, entry)

    def __dir__(self) -> list[str]:
        return sorted(self._operations)


def open_workspace(path: str | Path | None = None) -> OpenWorkspace:
    """The workspace at a path, or the one that the current folder is in.

    Raises:
        UserError: there is none.
    """
    return OpenWorkspace(Workspace(Path(path)) if path is not None else Workspace.find())


def _bound(workspace: Workspace, entry: Operation) -> Any:
    def invoke(*args: Any, **values: Any) -> Any:
        if len(args) > len(entry.parameters):
            raise TypeError(f"{entry.path} takes at most {len(entry.parameters)} values")
        return execution.call(workspace, entry, {**dict(zip(entry.parameters, args, strict=False)), **values})

    invoke.__name__, invoke.__doc__ = entry.name, entry.function.__doc__
    return invoke
