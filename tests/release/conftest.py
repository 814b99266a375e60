"""Offices: workspaces with two datasets and a system that binds both."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from office import Office


@pytest.fixture(scope="session")
def offices(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Office]:
    """Makes a new office at each call."""
    numbers = itertools.count()
    return lambda: Office(tmp_path_factory.mktemp(f"office{next(numbers)}"))


@pytest.fixture
def office(offices: Callable[[], Office]) -> Office:
    """A new office where nothing was built."""
    return offices()
