"""What a page knows of one prompt: its file, its versions, and the forms of what can be done, with their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.exceptions import HTTPException

from stellwerk.errors import UserError
from stellwerk.jobs.prompts.saving import digest
from stellwerk.llm.prompts import FOLDER, SUFFIX, Prompt, read, versions
from stellwerk.operation import find
from stellwerk.record import tables
from stellwerk.specfile import read_text
from stellwerk.workspace import NAME

if TYPE_CHECKING:
    from stellwerk.record.record import Version
    from stellwerk.workspace import Workspace

KIND = versions.KIND


@dataclass(frozen=True)
class Known:
    """A prompt.

    Attributes:
        name: of its file and asset.
        text: of the file as it is now; None where there is none.
        versions: the oldest first.
        aliases: by the id of a version.
        suites: that there are, the one that the prompt names first.
        models: that there are, the one that it was written for first.
    """

    name: str
    text: str | None
    versions: Sequence[Version]
    aliases: dict[str, list[str]]
    suites: Sequence[str]
    models: Sequence[str]

    @property
    def file(self) -> str:
        """Its file's name."""
        return f"{FOLDER}/{self.name}{SUFFIX}"

    @property
    def digest(self) -> str:
        """What names the text of the file; empty where there is none."""
        return digest(self.text) if self.text is not None else ""

    @property
    def latest(self) -> Version | None:
        """The newest version."""
        return self.versions[-1] if self.versions else None

    @property
    def prompt(self) -> Prompt | None:
        """The prompt of the file; None where there is none or it is wrong."""
        try:
            return read(self.text, self.file) if self.text is not None else None
        except UserError:
            return None

    @property
    def stands(self) -> Version | None:
        """The version that the file is now."""
        prompt = self.prompt
        return next((one for one in reversed(self.versions) if prompt and one.digest == prompt.digest), None)

    def forms(self, scopes: frozenset[str] | set[str] | Sequence[str], reference: str | None = None) -> list[tuple[str, str]]:
        """What can be done with it, or with a version of it: operation and address of its form."""
        of = reference or self.name
        asked = {"suite": self.suites[0] if self.suites else "", "model": self.models[0] if self.models else ""}
        first, second = self._pair(reference)
        found = (
            ("prompts.test", {"prompt": of, **asked}),
            ("prompts.compare", {"first": first, "second": second, **asked}),
            ("prompts.optimise", {"prompt": of, **asked}),
            ("prompts.trim", {"prompt": of, **asked}),
            ("prompts.promote", {"prompt": of, "alias": "production"}),
            ("prompts.export", {"prompt": of}),
        )
        return [
            (path, f"/operations/{path}?{urlencode({name: value for name, value in given.items() if value})}")
            for path, given in found
            if find(path).scope in scopes
        ]

    def _pair(self, reference: str | None) -> tuple[str, str]:
        """What is compared: the version before with this one, or the newest version with the file."""
        if not self.versions:
            return self.name, self.name
        if reference is None:
            at = self.stands
            place = self.versions.index(at) if at else len(self.versions)
            return f"{self.name}@{self.versions[max(place - 1, 0)].number}", self.name
        place = next((i for i, one in enumerate(self.versions) if reference.endswith(f"@{one.number}")), 0)
        return f"{self.name}@{self.versions[max(place - 1, 0)].number}", reference


def known(workspace: Workspace, name: str) -> Known:
    """Read what there is of a prompt; there may be nothing.

    Raises:
        HTTPException: 404, this is no name.
    """
    if not NAME.fullmatch(name):
        raise HTTPException(404, f"{name[:60]!r} is no name of a prompt; see them at /prompts")
    path = workspace.root / FOLDER / f"{name}{SUFFIX}"
    text = read_text(path) if path.is_file() else None
    made = workspace.record.versions(tables.asset.c.kind == KIND, tables.asset.c.name == name)
    aliases: dict[str, list[str]] = {}
    for alias, key in sorted(workspace.record.aliases(made[0]).items()) if made else ():
        aliases.setdefault(key, []).append(alias)
    found = Known(name, text, made, aliases, workspace.specs("suites"), workspace.specs("models"))
    facts = found.prompt.facts if found.prompt else made[-1].facts if made else {}
    tests = facts.get("tests")
    named = [tests] if isinstance(tests, str) else [str(one) for one in tests or ()]
    return Known(
        name, text, made, aliases, _first(found.suites, named), _first(found.models, [str(facts.get("written_for") or "")])
    )


def _first(names: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """The names, those that are wanted before the others."""
    return sorted(names, key=lambda name: (wanted.index(name) if name in wanted else len(wanted), name))
