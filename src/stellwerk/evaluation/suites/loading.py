"""Files that a suite refers to: where they lie, what they hold, and that none is outside the workspace."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

from stellwerk.errors import UserError
from stellwerk.specfile import parse, read_text

SIGN = "file://"
_CODE = (".js", ".ts", ".mjs", ".cjs", ".py", ".rb", ".sh")


class Files:
    """Finds files beside a suite's own file, or in the workspace.

    Args:
        root: of the workspace; nothing outside it is read.
        beside: the folder of the suite's file, in which promptfoo looks.
    """

    def __init__(self, root: Path, beside: Path) -> None:
        self.root = root
        self.beside = beside
        self._known: dict[str, Any] = {}

    def path(self, name: str) -> Path:
        """Where a file lies.

        Raises:
            UserError: there is none, or it is outside the workspace.
        """
        plain_name = name.removeprefix(SIGN)
        for folder in (self.beside, self.root):
            path = folder / plain_name
            if path.is_file():
                if not within(self.root, path):
                    raise UserError(f"{name} is outside the workspace, or hidden; put the file into it, under another name")
                return path
        raise UserError(f"there is no file {plain_name} in the workspace")

    def filled(self, value: Any) -> Any:
        """A value, or each of a list's, with `file://NAME` replaced by what the file holds, its text or YAML parsed.

        Raises:
            UserError: there is no such file, or it is code.
        """
        if isinstance(value, list):
            found = [self.filled(each) for each in value]
            return found if any(new is not old for new, old in zip(found, value, strict=True)) else value
        if not isinstance(value, str) or not value.startswith(SIGN):
            return value
        if value not in self._known:
            self._known[value] = self._read(value)
        return self._known[value]

    def _read(self, value: str) -> Any:
        name = value.removeprefix(SIGN)
        ending = Path(name.partition(":")[0]).suffix.lower()
        if ending in _CODE:
            raise UserError(f"{value} is code that a file brings along, which is never run here; write down what it would give")
        text = read_text(self.path(value))
        return plain(parse(text, name).value) if ending in (".yaml", ".yml", ".json") else text.strip()


def within(root: Path, path: Path) -> bool:
    """Whether a file lies in a workspace where people put files: neither outside nor hidden, as record, key and .env are."""
    found, root = path.resolve(), root.resolve()
    return found.is_relative_to(root) and not any(part.startswith(".") for part in found.relative_to(root).parts)


def plain(value: Any) -> Any:
    """A value of YAML as JSON holds it: days and times as text, names as texts."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, dict):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(each) for each in value]
    return value.isoformat() if isinstance(value, dt.date | dt.datetime | dt.time) else json.loads(json.dumps(str(value)))
