"""The pages of a real workspace, served on loopback by a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sites import ARTICLES, SYSTEM, TICKETS, Visitor, call, served, write_dataset, write_system

from stellwerk.workspace import Workspace


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Two small datasets, built and tested; `support-desk` binds the one whose signals are clear, `classifier` the other."""
    workspace = Workspace.init(tmp_path_factory.mktemp("web") / "company")
    settings = workspace.root / "stellwerk.yaml"
    settings.write_text(settings.read_text() + "workers: 1\n")
    write_dataset(workspace, "tickets", TICKETS, tests=[{"column": "id", "unique": True}, {"rows": {"min": 50}}])
    write_dataset(workspace, "knowledge", ARTICLES, tests=[{"column": "id", "unique": True}])
    for name in ("tickets", "knowledge"):
        call(workspace, "data.build", dataset=name)
        call(workspace, "data.test", dataset=name)
    write_system(workspace, "support-desk", **SYSTEM)
    write_system(workspace, "classifier", **{**SYSTEM, "purpose": "Sort letters", "binds": ["dataset/tickets"]})
    return workspace


@pytest.fixture(scope="session")
def site(company: Workspace) -> Iterator[str]:
    """The address of the server that shows the company."""
    with served(company) as address:
        yield address


@pytest.fixture
def visitor(site: str) -> Iterator[Visitor]:
    """Somebody who reads the company's pages."""
    with Visitor(site) as found:
        yield found


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Callable[..., Visitor]]:
    """Serves a new, empty workspace, after what `prepare(workspace)` puts into it; gives who reads its pages."""
    with ExitStack() as open_:

        def make(prepare: Callable[[Workspace], None] = lambda workspace: None, *, login: bool = False) -> Visitor:
            workspace = Workspace.init(tmp_path / "new")
            prepare(workspace)
            address = open_.enter_context(served(workspace, login=login))
            visitor = open_.enter_context(Visitor(address))
            visitor.workspace = workspace
            return visitor

        yield make
