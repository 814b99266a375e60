"""Fixtures that all tests share, and the database that they keep records in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A change is judged by its own faults: CI tries the same cases each time, a person's machine new ones.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


def pytest_configure(config: pytest.Config) -> None:
    """Start the server that all records are kept on, where that is wanted; test processes and their children inherit it."""
    wanted = os.environ.get("STELLWERK_TEST_RECORD", "sqlite")
    if wanted not in ("sqlite", "postgresql"):
        raise pytest.UsageError(f"STELLWERK_TEST_RECORD is {wanted!r}; expected sqlite or postgresql")
    if wanted == "sqlite" or hasattr(config, "workerinput"):
        return
    from servers import PostgreSQL

    try:
        server = PostgreSQL().start()
    except pytest.skip.Exception as error:
        raise pytest.UsageError(f"STELLWERK_TEST_RECORD=postgresql, but {error}") from None
    config.add_cleanup(server.stop)
    os.environ["STELLWERK_INIT_RECORD"] = server.url()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of a real PostgreSQL, whatever database the tests keep their records in."""
    if there := os.environ.get("STELLWERK_INIT_RECORD"):
        yield there
        return
    from servers import PostgreSQL

    with PostgreSQL() as server:
        yield server.url()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The research data beside the checkout; tests on it say that they were skipped where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"research data not found: {folder}")
    return folder
