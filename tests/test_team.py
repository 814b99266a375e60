"""The README's screen for a team, line by line: git, PostgreSQL, a bucket, a worker on another machine's folder, a CI job."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import s3server
import servers

README = Path(__file__).resolve().parents[1] / "README.md"
SPEC = """
schedule: "0 5 * * *"
sources:
  - {name: letters, files: raw/*.jsonl, key: id, load: merge}
tests:
  - {column: doc_id, unique: true}
  - {rows: {min: 3}}
"""


def blocks() -> list[str]:
    """The commands of the screen, a text for each block."""
    section = README.read_text().partition("## As a team\n")[2].partition("\n## ")[0]
    found: list[list[str]] = [[]]
    for line in section.splitlines():
        if line.startswith("    "):
            found[-1].append(line[4:])
        elif found[-1]:
            found.append([])
    return ["\n".join(lines) for lines in found if lines]


def _to(bucket: s3server.S3Server) -> dict[str, str]:
    """How AWS tools are told where a bucket is."""
    return {
        "AWS_ENDPOINT_URL": bucket.url,
        "AWS_ACCESS_KEY_ID": s3server.KEY,
        "AWS_SECRET_ACCESS_KEY": s3server.SECRET,
        "AWS_REGION": "us-east-1",
    }


class Team:
    """Two machines, as folders with the same environment."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment

    def run(self, commands: str, place: Path, code: int = 0) -> str:
        """What a shell does with commands; their output."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands], cwd=place, env=self.environment, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == code, (commands, done.stdout, done.stderr)
        return done.stdout


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    with servers.PostgreSQL() as database, s3server.S3Server() as bucket:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        who = {"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "Ada"}
        keys = {**_to(bucket), "GIT_COMMITTER_EMAIL": "a@example.org", "PATH": path, "HOME": str(tmp_path)}
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("STELLWERK", "AWS"))}
        made = Team(tmp_path, {**clean, **who, **keys})
        made.address = database.create_database("team").replace("+psycopg", "")  # type: ignore[attr-defined]
        bucket.client.create_bucket(Bucket="our-bucket")
        yield made


@pytest.mark.slow
def test_the_screen_of_the_readme(team: Team) -> None:
    once, join, daily = blocks()
    once = once.replace("postgresql://stellwerk@db.example.com/stellwerk", team.address)  # type: ignore[attr-defined]
    key = "env | grep ^STELLWERK | sed 's/^/export /' > ../variables"
    team.run(f"{once}\n{key}", team.folder)
    here = team.folder / "support"
    (here / "raw").mkdir()
    (here / "datasets").mkdir()
    rows = [{"id": n, "text": f"The pump number {n} leaks oil and makes a loud noise"} for n in range(5)]
    (here / "raw" / "letters.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (here / "datasets" / "tickets.yaml").write_text(SPEC)
    team.run("git add -A && git commit -qm 'Tickets' && git clone -q --bare . ../support.git", here)
    for line in (team.folder / "variables").read_text().splitlines():
        name, _, value = line.removeprefix("export ").partition("=")
        team.environment[name] = value

    there = team.folder / "server"
    there.mkdir()
    clone, work = join.splitlines()
    team.run(clone.replace("git@git.example.com:support.git", str(team.folder / "support.git")), there)
    worker = subprocess.Popen(work.split(), cwd=there / "support", env=team.environment, stderr=subprocess.PIPE, text=True)
    try:
        lines = daily.splitlines()
        assert "made dataset/tickets@1" in team.run(lines[0], here)
        (here / "raw" / "letters.jsonl").write_text("")  # the worker has files of its own
        told = team.run("\n".join(lines[1:3]), here)
        assert "done" in told
        looked = team.run("\n".join(lines[3:]), here)
        assert "data.refresh tickets" in looked
    finally:
        worker.send_signal(signal.SIGTERM)
        said = worker.communicate(timeout=60)[1]
    assert worker.returncode == 0, said
    assert "data.refresh done" in said
    # What the worker made is in the bucket and the record, for all.
    found = team.run("stellwerk data query tickets 'SELECT count(*) AS n FROM documents' --json", here)
    assert json.loads(found)["rows"] == [[5]]
    assert "yes" in team.run("stellwerk record verify", here)
    assert "entry" in team.run(
        "stellwerk restore ../support.backup ../restored && cd ../restored && stellwerk record verify", here
    )
    # A data test that fails is exit code 1, for the CI job.
    team.run("sed -i 's/min: 3/min: 30/' datasets/tickets.yaml && " + lines[0], there / "support", code=1)
