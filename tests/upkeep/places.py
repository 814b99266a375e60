"""A small workspace for the tests of upkeep: one dataset of a few letters, built, changed and built again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from stellwerk.operation import find
from stellwerk.runs import execution
from stellwerk.workspace import Workspace

SPEC = """
purpose: tests of upkeep
sources:
  - {name: letters, files: raw/*.jsonl, key: id, text: [body]}
select: {words: {min: 1}}
"""


def call(workspace: Workspace | None, path: str, /, **values: Any) -> Any:
    """Call an operation as every door does."""
    return execution.call(workspace, find(path), values)


def write(workspace: Workspace, *bodies: str) -> None:
    """Replace the source's rows."""
    rows = [json.dumps({"id": f"k{number}", "body": body, "name": f"Person {number}"}) for number, body in enumerate(bodies)]
    (workspace.root / "raw" / "a.jsonl").write_text("\n".join(rows) + "\n")


def make(folder: Path, *states: tuple[str, ...]) -> Workspace:
    """A workspace whose dataset was built once for each state of the source."""
    workspace = Workspace.init(folder)
    (folder / "datasets").mkdir()
    (folder / "raw").mkdir()
    (folder / "datasets" / "letters.yaml").write_text(SPEC)
    for bodies in states:
        write(workspace, *bodies)
        call(workspace, "data.build", dataset="letters")
    return workspace


def clone(workspace: Workspace, folder: Path) -> Workspace:
    """An equal workspace with a record of its own."""
    file = folder.with_suffix(".backup")
    call(workspace, "backup", file=str(file))
    call(None, "restore", file=str(file), folder=str(folder))
    file.unlink()
    shutil.copytree(workspace.root / "raw", folder / "raw")
    return Workspace(folder)


def texts(workspace: Workspace, reference: str = "letters") -> list[str]:
    """The texts of a dataset version, read through SQL."""
    found = call(workspace, "data.query", dataset=reference, sql="SELECT text FROM documents ORDER BY 1")
    return [row[0] for row in found.rows]


def everything(folder: Path) -> dict[str, bytes]:
    """All files of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
