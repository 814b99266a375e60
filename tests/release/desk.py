"""A small support desk for the tests of releases: a dataset of letters that is built and tested, and a system that binds it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from stellwerk.operation import find
from stellwerk.runs import execution
from stellwerk.workspace import Workspace

DATASET: dict[str, Any] = {
    "purpose": "answer letters",
    "owner": "Data desk",
    "licence": "CC-BY-4.0",
    "legal_basis": "GDPR Art. 6(1)(f)",
    "assumptions": ["letters are in German"],
    "retention": "two years",
    "sources": [{"name": "letters", "files": "raw/*.jsonl", "key": "id", "text": ["body"], "origin": "the post room"}],
    "select": {"words": {"min": 1}},
    "tests": [{"rows": {"min": 1}}],
}
SYSTEM: dict[str, Any] = {
    "title": "Support desk",
    "purpose": "Answers customers' letters",
    "owner": "Erika Beispiel",
    "role": "deployer",
    "users": "the support team",
    "binds": ["dataset/letters"],
    "overrides": {"data.personal": {"required": False, "reason": "not measured in this test"}},
}
LETTERS = ("Guten Tag, wo bleibt meine Pumpe?", "Bitte rufen Sie mich an: k.muster@example.org", "Danke, alles gut.")


class Desk:
    """The workspace, and what is done with it."""

    def __init__(self, root: Path, address: str | None = None, schema: str | None = None) -> None:
        self.workspace = Workspace.init(root, address, schema)
        self.root = root
        for folder in ("datasets", "raw", "systems"):
            (root / folder).mkdir()
        self.dataset()
        self.system()
        self.letters(*LETTERS)

    def dataset(self, **fields: Any) -> None:
        """Write the dataset's file."""
        (self.root / "datasets" / "letters.yaml").write_text(yaml.safe_dump({**DATASET, **fields}))

    def system(self, **fields: Any) -> None:
        """Write the system's file."""
        (self.root / "systems" / "desk.yaml").write_text(yaml.safe_dump({**SYSTEM, **fields}))

    def letters(self, *bodies: str) -> None:
        """Write the source's rows."""
        rows = [json.dumps({"id": f"k{number}", "body": body}) for number, body in enumerate(bodies)]
        (self.root / "raw" / "a.jsonl").write_text("\n".join(rows) + "\n")

    def call(self, path: str, /, **values: Any) -> Any:
        """Call an operation as every door does."""
        return execution.call(self.workspace, find(path), values)

    def measure(self) -> None:
        """Do all that the gates ask for."""
        self.call("data.build", dataset="letters")
        self.call("data.test", dataset="letters")

    def make(self, **values: Any) -> Any:
        """Make a release."""
        return self.call("release.make", system="desk", **values)

    def export(self, file: Path, release: str = "desk") -> bytes:
        """Export a release; returns the bytes of the file."""
        self.call("release.export", release=release, file=str(file), overwrite=True)
        return file.read_bytes()
