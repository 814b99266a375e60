"""Servers whose routes stand behind the guard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from guarded import PLANTED, Server, people
from served import served

from stellwerk.doors.cli import run
from stellwerk.workspace import Workspace

SPEC = """
sources: [{name: letters, files: raw/*.csv, key: id, text: text}]
tests: [{rows: {min: 2}}]
"""
ROWS = "id,text\n" + "".join(f"{number},letter {number} asks for the part {number * 7}\n" for number in range(300))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a built dataset `letters`."""
    root = tmp_path_factory.mktemp("desk") / "Müller Daten"
    Workspace.init(root)
    for folder in ("raw", "datasets"):
        (root / folder).mkdir()
    (root / "raw/a.csv").write_text(ROWS)
    (root / "datasets/letters.yaml").write_text(SPEC)
    assert run(["data", "build", "letters", "-w", str(root)]) == 0
    return root


@pytest.fixture(scope="module")
def client(desk: Path) -> Iterator[httpx.Client]:
    """A client of its server."""
    with served(desk) as found:
        yield found


@pytest.fixture(scope="session")
def static_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is served, beside a file that is not."""
    folder = tmp_path_factory.mktemp("static")
    (folder / "a.css").write_text("p {}")
    (folder.parent / "secret.txt").write_text(PLANTED)
    return folder


@pytest.fixture(scope="session")
def local_server(tmp_path_factory: pytest.TempPathFactory, static_files: Path) -> Iterator[Server]:
    """A server for the user of this machine, without a login."""
    workspace = Workspace.init(tmp_path_factory.mktemp("local") / "w")
    with Server(workspace, static_files) as server:
        yield server


@pytest.fixture
def login_server(tmp_path: Path, static_files: Path) -> Iterator[Server]:
    """A server that asks everybody for a login."""
    workspace = Workspace.init(tmp_path / "w")
    people(workspace)
    with Server(workspace, static_files, login=True) as server:
        yield server
