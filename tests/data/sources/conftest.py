"""Database servers for the tests of sources, one of each for all tests of a process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import servers


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
