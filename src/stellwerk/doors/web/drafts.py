"""New spec files that a form has filled in: shown, checked, and written if there is none of that name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from stellwerk.doors.web.page import text
from stellwerk.errors import UserError
from stellwerk.specfile import parse
from stellwerk.workspace import NAME

if TYPE_CHECKING:
    from pydantic import BaseModel
    from starlette.requests import Request

    from stellwerk.workspace import Workspace


@dataclass(frozen=True)
class Draft:
    """A spec file that is not written yet.

    Attributes:
        model: that it has to fit.
        fields: as they were typed; empty ones are left out.
    """

    folder: str
    name: str
    model: type[BaseModel]
    fields: Mapping[str, Any]

    @property
    def place(self) -> str:
        """Below the workspace."""
        return f"{self.folder}/{self.name}.yaml"

    @cached_property
    def text(self) -> str:
        """The file, as YAML."""
        said = {key: value.strip() if isinstance(value, str) else value for key, value in self.fields.items()}
        return yaml.safe_dump({key: value for key, value in said.items() if value}, sort_keys=False, allow_unicode=True)

    def check(self, request: Request, workspace: Workspace) -> None:
        """Refuse a name or fields that will not do.

        Raises:
            UserError: what is wrong, a sentence each.
        """
        check_name(request, workspace, self.folder, self.name)
        parse(self.text, self.place).check(self.model)


def check_name(request: Request, workspace: Workspace, folder: str, name: str) -> None:
    """Refuse what is no name of a spec, or one that is taken.

    Raises:
        UserError: which of the two.
    """
    if not NAME.fullmatch(name):
        raise UserError(text(request, "The name is one word of letters, digits, - and _."))
    if (workspace.root / folder / f"{name}.yaml").exists():
        raise UserError(text(request, "%(file)s is already there; choose another name.", file=f"{folder}/{name}.yaml"))


def write_new(path: Path, content: bytes) -> None:
    """Write a file whole, unless there is one of that name.

    Raises:
        UserError: there is one.
    """
    path.parent.mkdir(exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(partial).chmod(0o644)
        os.link(partial, path)
    except FileExistsError:
        raise UserError(f"{path.parent.name}/{path.name} is already there and stays as it is; choose another name") from None
    finally:
        Path(partial).unlink()
