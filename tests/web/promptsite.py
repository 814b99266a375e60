"""A workspace with prompts, a suite of letters and a simulated model, tested and searched by real runs."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import yaml
from sites import call, write_system

from stellwerk.workspace import Workspace

PLANTED = "<script>alert(1)</script>"
LETTERS = {
    "invoice": "Die Rechnung 4{n} ist falsch, bitte schicken Sie eine neue Rechnung.",
    "repair": "Pumpe {n} steht still, bitte schicken Sie einen Monteur zur Reparatur.",
    "delivery": "Wann kommt die Lieferung zu Auftrag {n} an? Die Lieferung ist überfällig.",
    "training": "Wir möchten {n} Leute zu einer Schulung anmelden.",
}
HEADER = """---
description: Sorts letters {planted}
metadata:
  stellwerk:
    owner: desk@example.com
    tests: support
model:
  options: {{temperature: 0}}
inputs:
  - {{name: ticket, kind: string, description: the letter as it came in}}
---
"""
SHORT = 'Ordnen Sie die Anfrage zu und antworten Sie als JSON mit "category" und "answer".'
KINDS = "Kategorien: invoice, repair, delivery, training."
STRICT = "Antworten Sie nur mit einem JSON-Objekt, ohne Text davor oder danach."
SUITE = {
    "description": "Letters with their intent",
    "file": "suites/letters.csv",
    "columns": {"inputs": {"ticket": "ticket"}, "expected": "expected", "id": "id"},
    "splits": {"dev": 0.3, "test": 0.4, "held-out": 0.3},
    "checks": [
        {"type": "is-json", "value": {"type": "object", "required": ["category", "answer"]}, "metric": "form"},
        {"type": "contains", "value": '"category": "{{expected}}"', "metric": "category"},
    ],
    "unwanted": ["prompt_leak"],
}


def text_of(*lines: str, planted: str = "") -> str:
    """The text of a prompt's file with these lines in its system message."""
    body = "\n".join(lines)
    return f"{HEADER.format(planted=planted)}system:\n{body}\n\nuser:\nAnfrage: {{{{ticket}}}}\n"


def write(workspace: Workspace, name: str, text: str) -> Path:
    """Write a file below the workspace."""
    path = workspace.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def prepare(workspace: Workspace, cases: int = 160, planted: str = "") -> None:
    """Files of two prompts, a suite and a model; nothing has run."""
    settings = workspace.root / "stellwerk.yaml"
    settings.write_text(settings.read_text() + "workers: 1\n")
    letters = io.StringIO()
    rows = csv.writer(letters)
    rows.writerow(["id", "ticket", "expected"])
    for number in range(cases):
        kind = list(LETTERS)[number % len(LETTERS)]
        rows.writerow([f"T-{number:03}", LETTERS[kind].format(n=number) + planted, kind])
    write(workspace, "suites/letters.csv", letters.getvalue())
    write(workspace, "suites/support.yaml", yaml.safe_dump(SUITE, sort_keys=False))
    price = [{"input": 0.4, "output": 1.6, "currency": "EUR", "since": "2026-01-01"}]
    model = {"simulated": {"plan": "support", "seed": 7}, "price": price}
    write(workspace, "models/simulated.yaml", yaml.safe_dump(model))
    write(workspace, "prompts/reply.prompty", text_of(SHORT, planted=planted))
    write(workspace, "prompts/reply-short.prompty", text_of(SHORT))


def fill(workspace: Workspace) -> None:
    """Two tested versions of one prompt whose file has gone on, and both kinds of searches."""
    prepare(workspace)
    asked = {"suite": "support", "model": "simulated"}
    call(workspace, "prompts.test", prompt="reply", **asked)
    write(workspace, "prompts/reply.prompty", text_of(SHORT, KINDS, STRICT))
    call(workspace, "prompts.test", prompt="reply", **asked)
    call(workspace, "prompts.optimise", prompt="reply-short", calls=300, **asked)
    call(workspace, "prompts.trim", prompt="reply@2", calls=500, margin=0.15, **asked)
    write(workspace, "prompts/reply.prompty", text_of(SHORT, KINDS, STRICT, "Sprechen Sie alle mit Sie an."))
    write(workspace, "prompts/broken.prompty", "---\ndescription: wrong\n---\nsystem:\n{{ a b }}\n")
    write_system(
        workspace, "desk", purpose="Answer letters", owner="o@example.com", role="deployer", binds=["prompt/reply@production"]
    )
