"""What the command line says and returns when something is in the way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from databases import record_bytes
from stellwerk.doors.cli import run
from stellwerk.workspace import Workspace

MAIL = "anna.beispiel@example.org"
SPEC = """
sources: [{name: letters, files: raw/*.csv, key: id, text: text}]
tests: [{rows: {min: 5}}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workspace whose path has a blank and an umlaut, with a built dataset."""
    root = tmp_path / "Müller Daten"
    Workspace.init(root)
    (root / "raw").mkdir()
    (root / "datasets").mkdir()
    (root / "raw/a.csv").write_text(f"id,mail,text\n1,{MAIL},the first letter\n2,x,the second letter\n")
    (root / "datasets/letters.yaml").write_text(SPEC)
    assert run(["data", "build", "letters", "-w", str(root)]) == 0
    return root


def shell(command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    line = command.replace("stellwerk", f"{sys.executable} -m stellwerk")
    return subprocess.run(["bash", "-c", line], cwd=cwd, capture_output=True, text=True)


@pytest.mark.parametrize("command", ["profile letters", "diff letters@1 letters@1", "query letters 'SELECT 1 AS one'"])
def test_a_folder_with_blanks_and_umlauts_is_a_folder(folder: Path, command: str) -> None:
    done = shell(f"stellwerk data {command}", folder)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_failed_data_test_ends_with_one_directly_and_when_resumed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "test", "letters", "-w", str(folder)]) == 1
    (folder / "datasets/letters.yaml").write_text(SPEC.replace("min: 5", "min: 1"))
    assert run(["data", "test", "letters", "-w", str(folder)]) == 0
    capsys.readouterr()


def test_a_failed_command_says_so_though_nobody_reads_what_it_prints(folder: Path) -> None:
    (folder / "raw/a.csv").write_text("id,other\n1,x\n")
    done = shell("stellwerk data build letters 2>&1 | head -1; exit ${PIPESTATUS[0]}", folder)
    assert done.returncode == 2
    assert shell("stellwerk data build letters 2> /dev/full", folder).returncode == 2


def test_a_result_that_is_read_in_part_is_no_failure(folder: Path) -> None:
    sql = "SELECT range AS n, repeat('x', 100) AS x FROM range(5000)"
    done = shell(f'stellwerk data query letters "{sql}" --limit 5000 | head -1; exit ${{PIPESTATUS[0]}}', folder)
    assert done.returncode == 0, done.stderr


def test_a_sensitive_value_is_in_no_error_of_the_record(folder: Path) -> None:
    assert run(["data", "erase", "letters", "--where", f'mail = "{MAIL}"', "-w", str(folder)]) == 2
    workspace = Workspace(folder)
    assert not [name for name, content in record_bytes(workspace).items() if MAIL.encode() in content]


def test_a_schema_is_not_written_over_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = folder / "datasets/letters.yaml"
    assert run(["data", "schema", str(spec)]) == 2
    assert spec.read_text() == SPEC
    assert run(["data", "schema", str(folder / "schema.json"), "--json"]) == 0
    assert json.loads((folder / "schema.json").read_text())["title"] == "DatasetSpec"
    capsys.readouterr()


@pytest.mark.parametrize("name", ["a@2", "a b", "a\nb", "../a", "", ".a"])
def test_a_name_that_no_reference_could_name_is_refused(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "build", name, "-w", str(folder)]) == 2
    assert "is no name of a spec" in capsys.readouterr().err


def test_a_damaged_artifact_is_one_sentence_and_made_anew(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = Workspace(folder)
    shard = workspace.store.path(workspace.record.resolve("dataset/letters").content["normalised"][0])
    shard.chmod(0o600)
    shard.write_bytes(b"PAR1 damaged")
    (folder / "raw/a.csv").write_text(f"id,mail,text\n1,{MAIL},the first letter\n2,x,the second letter\n")
    (folder / "datasets/letters.yaml").write_text(SPEC + "select: {words: {min: 1}}\n")
    assert run(["data", "build", "letters", "-w", str(folder)]) == 3
    assert f"the artifact {shard} is damaged; remove it and build again" in capsys.readouterr().err
    shard.unlink()
    assert run(["data", "build", "letters", "-w", str(folder)]) == 0
