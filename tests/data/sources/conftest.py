"""Database servers for the tests of sources, one of each for all tests of a process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from misbehaving import SECRET, Server

import servers
from stellwerk.workspace import Workspace


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.PostgreSQL]:
    """A PostgreSQL server; a test makes its own database on it."""
    with servers.PostgreSQL() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[servers.MariaDB]:
    """A MariaDB server; a test makes its own database on it."""
    with servers.MariaDB() as server:
        yield server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """An HTTP server that does what a test tells it to."""
    with Server() as running:
        yield running


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace that may reach this machine, with a key file."""
    made = Workspace.init(tmp_path_factory.mktemp("place"))
    with (made.root / "stellwerk.yaml").open("a") as file:
        file.write("network: {allow: [127.0.0.1]}\n")
    (made.root / "key.txt").write_text(SECRET + "\n")
    return Workspace(made.root)
