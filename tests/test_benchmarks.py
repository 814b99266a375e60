"""The benchmark of acquisition runs, and counts what it says it counts; on little input, and without packages of others."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from servers import PostgreSQL

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))

from benchmarks import acquire  # noqa: E402
from benchmarks.acquiring import papers, rows  # noqa: E402


@pytest.mark.slow
def test_each_contender_brings_all_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with PostgreSQL() as server:
        server.execute(rows.FILL.format(rows=500))
        for contender in ("stellwerk read", "stellwerk acquire", "dlt pyarrow"):
            folder = tmp_path / contender
            folder.mkdir()
            command = [sys.executable, "-m", "benchmarks.acquiring.rows", contender, server.url(), str(folder)]
            used, said = acquire.contend(command, tmp_path / "log")
            assert (said["rows"], said["sum"]) == (500, 125_250)
            assert used.cpu > 0 < used.pss


def test_documents_are_read_and_their_marks_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    papers.make(tmp_path / "html", "html", 3, Path(sys.executable))
    assert acquire.read("stellwerk", sys.executable, tmp_path / "html", tmp_path, 2) > 0
    line = capsys.readouterr().out
    assert line.split()[-5:] == ["100%", "100%", "100%", "100%", "0%"]


@pytest.mark.parametrize("kind", ["pdf", "docx", "odt", "eml", "html"])
def test_documents_of_each_format_are_made(tmp_path: Path, kind: str) -> None:
    made = papers.make(tmp_path / kind, kind, 2, Path(sys.executable))
    assert [path.suffix for path in made] == [f".{kind}"] * 2
    assert made[0].read_bytes() != made[1].read_bytes()


def test_marks_count_where_they_stand() -> None:
    first, *rest = papers.sections(1)
    marks = [row for section in papers.sections(1) for row in section.rows]
    nothing = papers.found({1: ""})
    assert nothing == papers.Yield(0, 0, 0, 0, 0)
    tables = papers.found({1: "\n".join(f"| {' | '.join(row)} |" for row in marks)})
    assert (tables.cells, tables.words, tables.headings) == (1, 0, 0)
    plain = papers.found({1: " ".join(cell for row in marks for cell in row)})
    assert (plain.cells, plain.anywhere) == (0, tables.anywhere)
    assert papers.found({1: f"# {first.heading}\n{rest[0].heading}"}).headings == 1 / papers.SECTIONS
    assert papers.found({1: "navigation"}).furniture == 0.5
