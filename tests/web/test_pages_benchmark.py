"""The benchmark of the pages fills a record that verifies, with as much as it says, and serves every page that it measures."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select

from stellwerk.record import journal, tables
from stellwerk.workspace import Workspace

sys.path.append(str(Path(__file__).parents[2]))

from benchmarks import pages


def test_the_record_is_as_full_as_said_and_every_page_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pages, "REQUESTS", 2)
    monkeypatch.setattr(pages, "TARGET", 60_000.0)
    monkeypatch.chdir(Path(__file__).parents[2])
    folder = tmp_path / "workspace"
    pages.prepare(folder, 120, 24, 2_000)
    record = Workspace(folder).record
    with record.database.reading() as connection:
        assert list(journal.verify(connection)) == []
        counted = {t.name: connection.execute(select(func.count()).select_from(t)).scalar_one() for t in tables.JOURNALED}
    assert (counted["run"], counted["step"], counted["asset"], counted["version"]) == (121, 480, 25, 73)
    assert record.resolve("dataset/million").facts["rows"] == 2_000
    with pages.served(folder) as (address, server):
        assert pages.measure(address, server, pages.addresses(folder, 120, 24)), capsys.readouterr().out
