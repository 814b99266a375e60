"""The demo's story in a small workspace: wherever it is interrupted, it goes on and tells the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from stellwerk.demo import company, prompting, story
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
ASKED = {"concerns": ["prompt", "model"], "job": "prompts", "with": "suite/support", "by": "prompts.test"}
SYSTEM = {
    "purpose": "answer letters", "owner": "Service", "role": "both",
    "binds": ["dataset/tickets", "prompt/reply", "model/simulated"],
    "gates": [{"name": "reply.passed", "metric": "pass_rate", "min": 0.4, **ASKED}],
    "overrides": {name: {"required": False, "reason": "small"} for name in ("prompts.passed", "prompts.unwanted")},
}  # fmt: skip
BOUGHT = {"purpose": "answer letters", "owner": "Service", "role": "both", "binds": ["service/copilot"]}
LETTERS = (("Wo bleibt die Lieferung zu {n}?", "delivery"), ("Die Rechnung {n} ist doppelt.", "invoice"))


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
    for name in ("datasets", "raw/tickets", "truth"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in (*company.SYSTEMS, *company.PROMPTS):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(company.file_text(name), encoding="utf-8")
    cases = [(text.format(n=f"AB-2026-{n}"), intent) for n in range(10000, 10120) for text, intent in LETTERS]
    suite = yaml.safe_load(company.file_text("suites/support.yaml"))
    suite = {name: suite[name] for name in ("splits", "checks", "unwanted")}
    suite["tests"] = [{"vars": {"ticket": text}, "metadata": {"expected": intent}} for text, intent in cases]
    (root / "suites" / "support.yaml").write_text(yaml.safe_dump(suite))
    judged = [
        {"question": "q", "answer": (prompting.SENTENCE, "Nein.")[n % 2], "human": ("pass", "fail")[n % 2]} for n in range(40)
    ]
    (root / "raw" / "judged.jsonl").write_text(
        "".join(json.dumps({**row, "question": f"q {n}"}) + "\n" for n, row in enumerate(judged))
    )
    (root / "datasets" / "tickets.yaml").write_text(yaml.safe_dump(DATASET))
    (root / "systems" / "support-desk.yaml").write_text(yaml.safe_dump(SYSTEM))
    (root / "systems" / "copilot.yaml").write_text(yaml.safe_dump(BOUGHT))
    (root / "services" / "copilot.yaml").write_text(yaml.safe_dump({"provider": "P", "product": "C", "kind": "service"}))
    letters = "".join(f"T-{n};Die Maschine vom Typ {n * 7} macht seit gestern ein Ger\u00e4usch\r\n" for n in range(1, 9))
    (root / "raw" / "tickets" / "2026-11.csv").write_bytes(f"ticket_id;body\r\n{letters}".encode("latin-1"))
    for name in ("planted", "decoys"):
        (root / "truth" / f"{name}.jsonl").write_text("")
    answers = [{"doc": f"tickets:T-{n}", "language": "de"} for n in range(1, 9)]
    (root / "truth" / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in answers))
    return root


def test_wherever_it_is_interrupted_it_goes_on_and_tells_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompting, "CALLS", 300)
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
    gone = [("data.tests", "dataset/tickets@2"), ("reply.passed", "prompt/reply@3")]
    assert [(one.gate, one.subject) for one in told.dark] == gone
    assert told.mended == ["data test tickets@2", "prompts test reply@3 support@1 simulated@1"]
    assert told.prompted.promoted == "prompt/reply@production = prompt/reply@2"
    assert told.prompted.gain.low is not None and told.prompted.gain.low > 0
    assert told.prompted.passed.value < 0.4 <= told.prompted.passed_now.value
    assert "reply.passed" in told.prompted.refused
    assert told.genuine is True
    assert told.tampered.startswith("dossier.en.html was changed")
    opened = OpenWorkspace(Workspace(folder))
    assert opened.signals("support-desk").systems[0].releasable
    assert len(opened.release.list("support-desk").releases) == 2
