"""The demo's story in a small workspace: wherever it is interrupted, it goes on and tells the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from stellwerk.demo import story
from stellwerk.demo.story import Begun, Story
from stellwerk.doors.python import OpenWorkspace
from stellwerk.workspace import Workspace

DATASET = {
    "purpose": "answer letters",
    "licence": "proprietary",
    "legal_basis": "GDPR Art. 6(1)(f)",
    "sources": [{"name": "main", "files": "raw/tickets/*.csv", "csv": {"separator": ";"}, "key": "ticket_id", "text": "body"}],
    "duplicates": {"near": None},
    "tests": [{"column": "ticket_id", "unique": True}],
}
SYSTEM = {"purpose": "answer letters", "owner": "Service", "role": "both", "binds": ["dataset/tickets"]}


class Interrupted(OpenWorkspace):
    """An open workspace where Ctrl-C comes before one of its operations."""

    def __init__(self, workspace: Workspace, before: int) -> None:
        super().__init__(workspace)
        self.left = before

    def __getattr__(self, name: str) -> Any:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return super().__getattr__(name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "demo"
    Workspace.init(root)
    for name in ("datasets", "systems", "services", "raw/tickets", "truth"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "datasets" / "tickets.yaml").write_text(yaml.safe_dump(DATASET))
    (root / "systems" / "support-desk.yaml").write_text(yaml.safe_dump(SYSTEM))
    (root / "systems" / "copilot.yaml").write_text(yaml.safe_dump({**SYSTEM, "binds": ["service/copilot"]}))
    (root / "services" / "copilot.yaml").write_text(yaml.safe_dump({"provider": "P", "product": "C", "kind": "service"}))
    letters = "".join(f"T-{n};Die Maschine vom Typ {n * 7} macht seit gestern ein Ger\u00e4usch\r\n" for n in range(1, 9))
    (root / "raw" / "tickets" / "2026-11.csv").write_bytes(f"ticket_id;body\r\n{letters}".encode("latin-1"))
    for name in ("planted", "decoys"):
        (root / "truth" / f"{name}.jsonl").write_text("")
    answers = [{"doc": f"tickets:T-{n}", "language": "de"} for n in range(1, 9)]
    (root / "truth" / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in answers))
    return root


def test_wherever_it_is_interrupted_it_goes_on_and_tells_the_same(folder: Path) -> None:
    kept: list[Begun] = []
    told: Story | None = None
    for before in range(1, 30):
        OpenWorkspace(Workspace(folder)).data.build("tickets")  # as each call of the demo does
        try:
            opened = Interrupted(Workspace(folder), before)
            told = story.play(opened, folder, ["tickets"], kept[-1] if kept else None, kept.append)
            break
        except KeyboardInterrupt:
            pass
    assert told is not None and before > 5
    assert (told.first, told.release, told.version) == ("support-desk@1", "support-desk@2", "dataset/tickets@2")
    assert [(gone.gate, gone.subject) for gone in told.dark] == [("data.tests", "dataset/tickets@2")]
    assert told.mended == ["data test tickets@2"]
    assert len(told.clear) == 5
    assert told.genuine is True
    assert told.tampered.startswith("dossier.en.html was changed")
    opened = OpenWorkspace(Workspace(folder))
    assert opened.signals("support-desk").systems[0].releasable
    assert len(opened.release.list("support-desk").releases) == 2
