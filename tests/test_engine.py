"""The engine's two verbs do what plain Python would do, on one process or on several, and end with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stellwerk.engine.engine import Engine, read_shard, write_shard
from stellwerk.errors import StellwerkError, UserError
from stellwerk.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    made.create()
    return made


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels of this file, as seen by worker processes."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setattr("stellwerk.engine.engine.ALONE_BYTES", 0)


def scaled(shard: pa.Table, *, factor: int, extra: list[int] | None = None) -> pa.Table:
    return pa.table({"n": [n * factor + sum(extra or []) for n in shard["n"].to_pylist()], "pid": [os.getpid()] * len(shard)})


def failing(shard: pa.Table, *, how: str) -> pa.Table:
    if shard["n"][0].as_py() != 3:
        return shard
    match how:
        case "user":
            raise UserError("select: there is no column 'x'")
        case "product":
            raise StellwerkError("the model did not answer")
        case "die":
            os._exit(9)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "unpicklable":
            raise Stubborn(lambda: None)
    raise ValueError("a wrong value")


class Stubborn(Exception):
    def __reduce__(self) -> Any:
        raise TypeError("not to be pickled")


def slow(shard: pa.Table) -> pa.Table:
    time.sleep(120)
    return shard


def shards(store: Store, count: int) -> list[dict[str, Any]]:
    return [{"shard": write_shard(store, pa.table({"n": [n, n + 100]}))} for n in range(count)]


@pytest.mark.parametrize(("workers", "count"), [(1, 3), (2, 1), (2, 5), (2, 0)])
def test_map_gives_each_result_with_its_index(store: Store, workers: int, count: int) -> None:
    items = [{**item, "extra": [1, number]} for number, item in enumerate(shards(store, count))]
    found = dict(Engine(store, workers).map(scaled, items, {"factor": 10}))
    assert sorted(found) == list(range(count))
    pids = set()
    for number, shard in found.items():
        table = read_shard(store.path(shard))
        assert table["n"].to_pylist() == [number * 10 + 1 + number, (number + 100) * 10 + 1 + number]
        pids |= set(table["pid"].to_pylist())
    inline = min(workers, count) <= 1
    assert (os.getpid() in pids) is (inline and count > 0)
    assert list((store.root / "partial").iterdir()) == []


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("how", "sentence", "kind"),
    [
        ("user", "select: there is no column 'x'", UserError),
        ("product", "the model did not answer", StellwerkError),
        ("other", "the kernel failing failed: ValueError", StellwerkError),
        ("unpicklable", "Stubborn", StellwerkError),
    ],
)
def test_an_error_in_a_kernel_is_one_sentence(
    store: Store, workers: int, how: str, sentence: str, kind: type[Exception]
) -> None:
    with pytest.raises(kind) as error:
        list(Engine(store, workers).map(failing, shards(store, 5), {"how": how}))
    assert type(error.value) is kind
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)
    notes = "".join(getattr(error.value, "__notes__", []))
    assert ("Traceback" in notes and "test_engine" in notes) is (how in ("other", "unpicklable"))


@pytest.mark.parametrize("how", ["die", "kill"])
def test_a_worker_that_dies_is_one_sentence_and_no_worker_stays(store: Store, how: str) -> None:
    engine, others = Engine(store, 2), set(workers())
    with pytest.raises(StellwerkError, match="a worker process died") as error:
        list(engine.map(failing, shards(store, 6), {"how": how}))
    assert "\n" not in str(error.value)
    assert len(dict(engine.map(scaled, shards(store, 4), {"factor": 1}))) == 4, "the engine works on afterwards"
    assert len(set(workers()) - others) == 2
    engine.close()
    assert set(workers()) <= others


def workers() -> list[psutil.Process]:
    """The worker processes under this one."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            found += [process] if "stellwerk.engine.worker" in " ".join(process.cmdline()) else []
    return found


def ended(processes: list[psutil.Process], seconds: float = 10) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return all(process.status() == psutil.STATUS_ZOMBIE for process in alive if process.is_running())


def test_a_map_that_is_left_early_leaves_no_worker(store: Store) -> None:
    results = Engine(store, 2).map(scaled, shards(store, 6), {"factor": 1})
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert all(p.cpu_percent(0.2) < 50 for p in workers()), "none goes on with a call"


DRIVER = """
import sys, time
from pathlib import Path
import pyarrow as pa
from stellwerk.engine import engine
from stellwerk.engine.engine import Engine, write_shard
from stellwerk.store.store import Store
from test_engine import slow

engine.ALONE_BYTES = 0
store = Store(Path(sys.argv[1]))
items = [{"shard": write_shard(store, pa.table({"n": [n]}))} for n in range(4)]
list(Engine(store, 2).map(slow, items))
"""


@pytest.mark.parametrize("early", [True, False])
def test_workers_die_with_a_parent_that_is_killed(store: Store, early: bool) -> None:
    process = subprocess.Popen([sys.executable, "-c", DRIVER, store.root], start_new_session=True)
    parent, deadline = psutil.Process(process.pid), time.monotonic() + 30
    children: list[psutil.Process] = []
    while len(children) < (1 if early else 2) and time.monotonic() < deadline:
        children = parent.children(recursive=True)
        time.sleep(0.02)
    if not early:
        time.sleep(2.5)
        children = parent.children(recursive=True)
    assert children
    process.kill()
    process.wait()
    assert ended(children)
    left = [p for p in psutil.process_iter(["cmdline"]) if str(store.root) in " ".join(p.info["cmdline"] or [])]
    assert left == []


rows = st.lists(
    st.tuples(st.sampled_from([None, 0, 1, 2]), st.sampled_from([None, "", "a", "ß"]), st.integers(0, 50)), max_size=14
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables=st.lists(rows, min_size=1, max_size=3))
def test_group_is_what_plain_python_would_group(store: Store, tables: list[list[tuple[Any, Any, int]]]) -> None:
    schema = pa.schema([("a", pa.int64()), ("b", pa.string()), ("n", pa.int64()), ("unused", pa.string())])
    made = []
    for table in tables:
        columns = [[row[place] for row in table] for place in range(3)]
        made.append(write_shard(store, pa.table([*columns, ["x"] * len(table)], schema=schema)))
    wanted: dict[tuple[int, str], list[int]] = defaultdict(list)
    for a, b, n in (row for table in tables for row in table):
        if a is not None and b is not None:
            wanted[a, b].append(n)
    found = Engine(store, 2).group(made, ["a", "b"], "n")
    assert found.column_names == ["a", "b", "n"]
    grouped = {(row["a"], row["b"]): sorted(row["n"]) for row in found.to_pylist()}
    assert len(grouped) == found.num_rows
    assert grouped == {key: sorted(values) for key, values in wanted.items() if len(values) > 1}


def test_group_of_no_shards_is_empty(store: Store) -> None:
    assert Engine(store).group([], ["a"], "n").num_rows == 0


def test_a_shard_keeps_its_rows_and_no_statistics(store: Store) -> None:
    import pyarrow.parquet as pq

    table = pa.table({"text": ["Erika", "Max", None], "n": [1.5, None, -0.0]})
    path = store.path(write_shard(store, table))
    assert read_shard(path).equals(table)
    assert write_shard(store, table) == write_shard(store, read_shard(path))
    group = pq.ParquetFile(path).metadata.row_group(0)
    assert not [column for column in range(2) if group.column(column).is_stats_set]
