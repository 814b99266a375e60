"""One spec with files, a database, an API and documents: built, killed at random points and resumed, on both databases."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import docx
import pytest
import yaml
from misbehaving import Asked, Reply, Server

import servers
from stellwerk.doors.cli import run as command
from stellwerk.record import tables
from stellwerk.runs import operations as run_operations
from stellwerk.workspace import Workspace
from test_kill import answer, is_sound, kill_build, outcome

TOKEN = "s3cr3t-token-of-the-knowledge-base"
ROWS, PAGE = 400, 50
KILLS = 4
WORDS = ("pump", "valve", "motor", "sensor", "belt", "invoice", "part", "machine", "error", "leak", "noise", "pressure", "oil")
SPEC: dict[str, Any] = {
    "purpose": "the test of all kinds of sources",
    "sources": [
        {"name": "letters", "files": "raw/letters/*.csv", "key": "id", "text": ["subject", "body"], "load": "merge"},
        {
            "name": "facts", "joins": "letters", "key": "id", "load": "merge", "cursor": "changed_at",
            "database": {"url": "sqlite:///raw/crm.db", "query": "SELECT id, model, hours, changed_at FROM tickets"},
        },
        {
            "name": "articles", "key": "id", "text": "body", "load": "merge", "missing": "delete",
            "api": {"url": "env:KILL_TEST_API", "auth": {"bearer": "env:KILL_TEST_TOKEN"}},
        },
        {"name": "manuals", "files": ["raw/manuals/*.docx", "raw/manuals/*.md", "raw/mails/*.eml"]},
    ],
    "personal": {"action": "mask"},
    "select": {"words": {"min": 4}},
}  # fmt: skip


def knowledge_base(asked: Asked) -> Reply:
    """Pages of articles, each with the address of the next; nothing without the token."""
    if {name.lower(): value for name, value in asked.headers.items()}.get("authorization") != f"Bearer {TOKEN}":
        return Reply({"error": "who are you?"}, 401)
    first = int(asked.query.get("from", "0"))
    rows = [{"id": f"A-{n}", "body": _text(random.Random(n)), "tags": ["a", "b"]} for n in range(first, first + PAGE)]
    return Reply({"items": rows, "next": f"/articles?from={first + PAGE}" if first + PAGE < 4 * PAGE else None})


def _text(dice: random.Random) -> str:
    return " ".join(dice.choices(WORDS, k=dice.randrange(5, 60)))


def fill(root: Path) -> None:
    """The company's files: letters, a database, manuals and mails."""
    dice = random.Random(3)
    for folder in ("letters", "manuals", "mails"):
        (root / "raw" / folder).mkdir(parents=True)
    for part in range(2):
        lines = [f"{part * 200 + n};Ticket {n};{_text(dice)} Mail: erika.muster{n}@example.org" for n in range(ROWS // 2)]
        (root / f"raw/letters/{part}.csv").write_text("\n".join(["id;subject;body", *lines]) + "\n")
    with sqlite3.connect(root / "raw" / "crm.db") as database:
        database.execute("CREATE TABLE tickets (id INTEGER PRIMARY KEY, model TEXT, hours REAL, changed_at TEXT)")
        rows = [(n, f"M{n % 7}", n * 1.5, f"2026-11-{1 + n % 20:02}T08:00:00") for n in range(ROWS)]
        database.executemany("INSERT INTO tickets VALUES (?, ?, ?, ?)", rows)
    database.close()
    for number in range(4):
        manual = docx.Document()
        manual.add_heading(f"Press {number}", 1)
        manual.add_paragraph(_text(dice))
        manual.save(str(root / f"raw/manuals/{number}.docx"))
        (root / f"raw/manuals/{number}.md").write_text(f"# Lathe {number}\n\n{_text(dice)}\n")
        mail = EmailMessage()
        mail["Subject"], mail["From"], mail["To"] = f"Grüße {number}", "erika@example.org", "support@example.org"
        mail["Date"], mail["Message-ID"] = "Sun, 22 Nov 2026 08:00:00 +0000", f"<{number}@example.org>"
        mail.set_content(_text(dice))
        (root / f"raw/mails/{number}.eml").write_bytes(mail.as_bytes())
    (root / "datasets").mkdir()
    (root / "datasets" / "tickets.yaml").write_text(yaml.safe_dump(SPEC, sort_keys=False))


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The files, and the knowledge base running."""
    root = tmp_path_factory.mktemp("company")
    fill(root)
    with Server() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("KILL_TEST_API", server.on("/articles", knowledge_base))
        patch.setenv("KILL_TEST_TOKEN", TOKEN)
        yield root


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def record(request: pytest.FixtureRequest) -> str:
    """The kind of database that holds the record."""
    return str(request.param)


class Workshop:
    """Makes workspaces with the company's files, each with a record of its own."""

    def __init__(self, company: Path, server: servers.PostgreSQL | None, folder: Path) -> None:
        self.company, self.server, self.folder, self.made = company, server, folder, 0

    def workspace(self) -> Workspace:
        self.made += 1
        name = f"{self.folder.name}{self.made}"
        url = self.server.create_database(name) if self.server else f"sqlite:///{self.folder / name}.db"
        made = Workspace.init(self.folder / name, url)
        with (made.root / "stellwerk.yaml").open("a") as file:
            file.write("network: {allow: [127.0.0.1]}\n")
        for part in ("raw", "datasets"):
            shutil.copytree(self.company / part, made.root / part)
        return Workspace(made.root)


@pytest.fixture
def workshop(record: str, company: Path, request: pytest.FixtureRequest, tmp_path: Path) -> Workshop:
    server = request.getfixturevalue("postgres") if record == "postgresql" else None
    folder = tmp_path / f"w{os.getpid()}{abs(hash(tmp_path)) % 10**6}"
    folder.mkdir()
    return Workshop(company, server, folder)


@pytest.mark.slow
def test_all_kinds_of_sources_killed_at_random_points_end_identically(workshop: Workshop) -> None:
    reference = workshop.workspace()
    began = time.monotonic()
    report = answer(reference, "data", "build", "tickets")
    seconds = time.monotonic() - began
    assert report["counts"]["sources"].keys() == {"letters", "articles", "manuals"}
    assert report["counts"]["read"] == ROWS + 4 * PAGE + 12
    wanted, dice, states = outcome(reference), random.Random(7), []
    for number in range(KILLS):
        share, took, workspace = (number + dice.random()) / KILLS, seconds, reference
        while took is not None:  # on a machine that got faster the build ends before the blow and is done again
            workspace, seconds = workshop.workspace(), min(seconds, took)
            took = kill_build(workspace, seconds * share)
        listed = run_operations.list_(workspace=workspace).runs
        states.append(listed[0].state if listed else "not begun")
        if not listed:
            answer(workspace, "data", "build", "tickets")
        elif listed[0].state != "done":
            answer(workspace, "runs", "resume", "latest")
        assert outcome(workspace) == wanted, states
        is_sound(workspace)
    assert states.count("interrupted") >= KILLS // 3, states


def test_all_kinds_of_sources_are_joined_and_no_secret_is_kept(workshop: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = workshop.workspace()
    assert command(["data", "refresh", "tickets", "-w", str(workspace.root)]) == 0
    version = workspace.record.resolve("dataset/tickets")
    query = "SELECT source, count(*) AS n, count(model) AS joined FROM documents GROUP BY source ORDER BY source"
    capsys.readouterr()
    assert command(["data", "query", "tickets", query, "--json", "-w", str(workspace.root)]) == 0
    found = {row[0]: (row[1], row[2]) for row in json.loads(capsys.readouterr().out)["rows"]}
    assert found["letters"][0] == found["letters"][1] > ROWS // 2
    assert found["articles"][0] > PAGE
    assert found["manuals"] == (12, 0)
    assert command(["data", "sources", "tickets", "--json", "-w", str(workspace.root)]) == 0
    assert "changed_at up to 2026-11-20" in capsys.readouterr().out
    assert version.facts["personal"]["counts"]["EMAIL"] >= ROWS // 2
    dumped = json.dumps([row for table in tables.JOURNALED for row in workspace.record.rows(table)])
    assert TOKEN not in dumped
    assert "erika" not in dumped
    for path in workspace.root.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path
    workspace.record.database.close()
