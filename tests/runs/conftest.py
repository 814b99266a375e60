"""A workspace on each kind of record, and a small package of operations that child processes find too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from stellwerk import operation as registry
from stellwerk.record import journal, tables
from stellwerk.runs import schedules
from stellwerk.workspace import Workspace

OPERATIONS = '''
"""Operations that leave marks in files, so that a test sees what was done, and wait for files, so that it decides when."""

import os
import time
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel

from stellwerk.errors import StellwerkError, UserError
from stellwerk.operation import LocalPath, Ref, Sensitive, Spec, operation
from stellwerk.settings import Budget


class Recipe(BaseModel):
    times: int = 1
    schedule: str | None = None


class Report(BaseModel):
    failed: int = 0


def mark(folder, text):
    with open(Path(folder) / "marks", "a") as file:
        file.write(f"{text} {os.getpid()}\\n")


def first(run, folder):
    mark(folder, "first")
    return run.output("source", "raw", identity={"n": 1}, content={})


def second(run, folder):
    """Says that it began, then waits for the file `go`."""
    mark(folder, "second")
    while not (Path(folder) / "go").exists():
        time.sleep(0.02)
    mark(folder, "woke")
    run.progress("second", 5, 10, "rows")
    return run.output("dataset", "made", identity={"n": 2}, content={"artifact": run.store.put(b"made")})


@operation(example={})
def flow(folder: str, *, run: "Run") -> str:
    """Two steps, of which the second waits."""
    run.step("first", first, folder=folder)
    run.step("second", second, folder=folder)
    return "end"


@operation(example={})
def quick(folder: str, number: int = 0, *, run: "Run") -> int:
    """One step that leaves a mark."""
    run.step("mark", lambda run, folder, number: mark(folder, number), folder=folder, number=number)
    return number


@operation(example={})
def crash(folder: str, *, run: "Run") -> None:
    """Ends its own process without a word."""
    mark(folder, "crash")
    os.kill(os.getpid(), 9)


@operation(example={})
def fail(*, run: "Run") -> None:
    """Fails with a sentence of ours."""
    raise StellwerkError("the Süd server is down")


@operation(example={}, exit_code=lambda report: 1 if report.failed else 0)
def check(failed: int = 0, *, run: "Run") -> Report:
    """Ends as a data test does."""
    run.step("note", lambda run: run.output("dataset", "made", identity={"n": 1}, content={}))
    return Report(failed=failed)


@operation(example={})
def personal(who: Annotated[str, Sensitive()] = "", file: Annotated[Path | None, LocalPath()] = None, *, run: "Run") -> None:
    """Takes what cannot wait."""


@operation(example={}, scheduled=True, extent=lambda workspace, values: 10.0 * len(values["recipe"]))
def bake(recipe: Annotated[str, Spec("recipes", Recipe)], *, run: "Run") -> int:
    """Is scheduled by its spec."""
    spec = run.spec("recipe").check(Recipe)
    run.extent(spec.times * 10)
    run.step("bake", lambda run, times: run.store.put(os.urandom(times * 1000)), times=spec.times)
    return spec.times


@operation(example={})
def spend(seconds: float = 0, megabytes: int = 0, minutes: float | None = None, *, run: "Run") -> str:
    """Uses time without looking up, or space."""
    if minutes:
        run.limit(Budget(minutes=minutes), "recipes/cake.yaml")
    time.sleep(seconds)
    for number in range(megabytes):
        run.step("write", lambda run, number: run.store.put(os.urandom(10**6)), number=number)
        run.check()
    return "end"
'''


@pytest.fixture(scope="session")
def probe_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that Python finds packages in, with an installed package `probe` of operations."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "probework").mkdir()
    (folder / "probework" / "__init__.py").write_text("")
    (folder / "probework" / "operations.py").write_text(OPERATIONS)
    info = folder / "probework-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: probework\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[stellwerk.jobs]\nprobework = probework\n")
    return folder


@pytest.fixture
def probe(probe_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Makes the package known to this process and those that it starts."""
    monkeypatch.syspath_prepend(str(probe_folder))
    monkeypatch.setenv("PYTHONPATH", str(probe_folder))
    schedules._scheduled.cache_clear()
    registry.packages.cache_clear()
    yield probe_folder
    for name in [name for name in sys.modules if name.startswith("probework")]:
        del sys.modules[name]
    registry._registry.pop("probework", None)
    schedules._scheduled.cache_clear()
    registry.packages.cache_clear()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Any]:
    """A PostgreSQL server for this session."""
    from servers import PostgreSQL

    with PostgreSQL() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def workspace(request: pytest.FixtureRequest, tmp_path: Path, probe: Path) -> Iterator[Workspace]:
    """An empty workspace whose record is on each kind of database in turn."""
    address = None
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql")
        address = server.create_database(f"test_{uuid.uuid4().hex[:12]}")
    yield from _workspace(tmp_path, address)


@pytest.fixture
def small(tmp_path: Path, probe: Path) -> Iterator[Workspace]:
    """An empty workspace with its record in a file."""
    yield from _workspace(tmp_path, None)


def _workspace(tmp_path: Path, address: str | None) -> Iterator[Workspace]:
    made = Workspace.init(tmp_path / "workspace", address)
    yield made
    if "record" in vars(made):
        made.record.database.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `stellwerk` in a process of its own; what is left of it ends with the test."""
    begun: list[subprocess.Popen[str]] = []

    def begin(*words: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "stellwerk", *words], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, **environment}, start_new_session=True,
        )  # fmt: skip
        begun.append(process)
        return process

    yield begin
    for process in begun:
        with suppress(psutil.NoSuchProcess):
            for one in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
                one.send_signal(signal.SIGKILL)
        process.communicate()


@pytest.fixture
def until() -> Callable[..., None]:
    """Waits for a condition."""

    def wait(condition: Callable[[], Any], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not come about in time"
            time.sleep(0.05)

    return wait


@pytest.fixture
def marks(tmp_path: Path) -> Callable[[], list[str]]:
    """The marks that operations left in the folder of the test, without the number of their process."""

    def read() -> list[str]:
        path = tmp_path / "marks"
        return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []

    return read


@pytest.fixture
def intact() -> Callable[[Workspace], bool]:
    """Whether a record verifies, and holds no step twice."""

    def look(workspace: Workspace) -> bool:
        keys = [(row["run"], row["key"]) for row in workspace.record.rows(tables.step)]
        with workspace.record.database.reading() as connection:
            return list(journal.verify(connection)) == [] and len(keys) == len(set(keys))

    return look
