"""The port to the data engine: `map` turns shards into shards, `group` brings rows with equal keys together.

A *shard* is a Parquet artifact of the store. Work moves as references; bytes are read and written where a kernel runs, so a
shard is all that a worker holds in memory. Daft runs the kernels, on local processes here and on a Ray cluster later. A kernel
is an importable function from `pyarrow.Table` to `pyarrow.Table`; it knows nothing of this module.
"""

from __future__ import annotations

import fcntl
import functools
import json
import logging
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stellwerk.errors import MissingExtra, StellwerkError, UserError
from stellwerk.store.store import PREFIX, Store

if TYPE_CHECKING:
    import pyarrow as pa

# Daft reports usage over the network unless it is told not to before its import.
os.environ["DAFT_ANALYTICS_ENABLED"] = "0"
os.environ["DO_NOT_TRACK"] = "1"
os.environ.setdefault("DAFT_PROGRESS_BAR", "0")

Kernel = Callable[..., "pa.Table"]


class Engine:
    """Works shards on the local cores."""

    def __init__(self, store: Store, workers: int | None = None) -> None:
        self.store = store
        self.workers = workers or os.cpu_count() or 1

    def map(
        self, kernel: Kernel, items: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any] | None = None
    ) -> Iterator[tuple[int, str]]:
        """Apply a kernel to each item.

        Args:
            kernel: an importable function `(**tables, **parameters) -> table`.
            items: keyword arguments of one call each; a reference of an artifact arrives as the table it holds.
            parameters: keyword arguments that all calls share, as JSON.

        Yields:
            The index of a finished item and the reference of its result, in the order in which they finish.

        Raises:
            StellwerkError: a kernel failed or its process died; finished items were given before.
        """
        task = functools.partial(_work, str(self.store.root), kernel, dict(parameters or {}))
        calls = [json.dumps(dict(item)) for item in items]
        if min(len(calls), self.workers) <= 1:
            for index, call in enumerate(calls):
                yield index, _outcome(task(call))
            return
        with self.store.partial() as sign, _ending(sign):
            for row in _on_processes(task, calls, min(self.workers, len(calls)), sign):
                yield row["index"], _outcome(row["result"])

    def group(self, shards: Sequence[str], keys: Sequence[str], gather: str) -> pa.Table:
        """Bring rows with equal keys together, over all shards; groups of one are left out.

        Args:
            shards: references of Parquet artifacts that hold the columns.
            keys: the columns that make a group; a row with a null key belongs to none.
            gather: the column whose values are collected.

        Returns:
            One row a group: the keys, and `gather` as a list.
        """
        if not shards:
            import pyarrow as pa

            return pa.table({**{key: pa.nulls(0) for key in keys}, gather: pa.array([], pa.list_(pa.null()))})
        daft = _daft()
        frame = daft.read_parquet([str(self.store.path(shard)) for shard in shards]).select(*keys, gather)
        for key in keys:
            frame = frame.where(daft.col(key).not_null())
        grouped = frame.groupby(*keys).agg(daft.col(gather).list_agg().alias(gather))
        return grouped.where(daft.col(gather).list_count() > 1).to_arrow()


def read_shard(path: Path) -> pa.Table:
    """Read a shard whole."""
    import pyarrow.parquet as pq

    return pq.read_table(path, memory_map=True)


def write_shard(store: Store, table: pa.Table) -> str:
    """Keep a table as a shard: Parquet, zstd, without statistics, which would repeat values of personal columns."""
    import pyarrow.parquet as pq

    with store.partial() as path:
        pq.write_table(table, path, compression="zstd", write_statistics=False)
        return store.put_file(path)


def _work(root: str, kernel: Kernel, parameters: Mapping[str, Any], call: str) -> str:
    """Run a kernel on one item; the result travels as JSON, errors included, since not every error can be pickled."""
    store = Store(Path(root))
    try:
        given = {name: _table(store, value) for name, value in json.loads(call).items()}
        return json.dumps({"shard": write_shard(store, kernel(**given, **parameters))})
    except StellwerkError as error:
        return json.dumps({"error": str(error), "by_user": isinstance(error, UserError)})
    except Exception as error:  # noqa: BLE001 - reported by the run with its traceback
        return json.dumps({"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()})


def _table(store: Store, value: Any) -> Any:
    is_shard = isinstance(value, str) and value.startswith(PREFIX)
    return read_shard(store.path(value)) if is_shard else value


def _outcome(result: str) -> str:
    found = json.loads(result)
    if "error" in found:
        failure = UserError(found["error"]) if found.get("by_user") else StellwerkError(found["error"])
        if "trace" in found:
            failure.add_note(found["trace"])
        raise failure
    return str(found["shard"])


def _on_processes(task: Callable[[str], str], calls: Sequence[str], workers: int, sign: Path) -> Iterator[dict[str, Any]]:
    daft, driver = _daft(), os.getpid()

    @daft.cls(use_process=True, max_concurrency=workers)
    class Worker:
        def __init__(self) -> None:
            live_while(driver, sign)

        @daft.method.batch(return_dtype=daft.DataType.string(), batch_size=1)  # type: ignore[untyped-decorator]
        def work(self, calls: Any) -> list[str]:
            return [task(call) for call in calls.to_pylist()]

    frame = daft.from_pydict({"index": list(range(len(calls))), "call": list(calls)})
    try:
        yield from frame.select("index", Worker().work(daft.col("call")).alias("result")).iter_rows()
    except (RuntimeError, daft.exceptions.DaftCoreException) as error:
        raise StellwerkError(f"a worker process died, perhaps for want of memory ({str(error)[:200]})") from None


@contextmanager
def _ending(sign: Path) -> Iterator[None]:
    """Make the sign that workers live by; when a map is left before its end, wait until they are gone.

    Python would end with an abort if it ended while Daft's threads still talk to a worker.
    """
    with sign.open("w") as held:
        try:
            yield
        except BaseException:
            sign.unlink()
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline:
                with suppress(BlockingIOError):
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                time.sleep(0.05)
            time.sleep(0.2)  # for the threads themselves, which nothing tells apart from idle ones
            raise


def live_while(parent: int, sign: Path) -> None:
    """End this process soon after the one that started it, however that ended, or after a file is gone.

    Daft leaves its workers running when another one died or nobody asks for their results any more.
    """

    held = sign.open()
    fcntl.flock(held, fcntl.LOCK_SH)

    def watch() -> None:
        # Linux can send a signal instead, but sends it when the parent's *thread* ends, and Daft's threads come and go.
        while os.getppid() == parent and sign.exists():
            time.sleep(0.2)
        held.close()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@functools.cache
def _daft() -> Any:
    try:
        import daft
    except ModuleNotFoundError:
        raise MissingExtra("data", "daft") from None
    # What goes wrong is raised, and said once.
    logging.getLogger("daft_local_execution").setLevel(logging.CRITICAL)
    return daft
