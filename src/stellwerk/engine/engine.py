"""The port to the data engine: `map` turns shards into shards, `group` brings rows with equal keys together.

A *shard* is a Parquet artifact of the store. Work moves as references; bytes are read and written where a kernel runs, so a
shard is all that a worker holds in memory. A kernel is a function of a module, from `pyarrow.Table` to `pyarrow.Table`, and
knows nothing of this one. `map` runs on worker processes of our own, since Daft starts new ones for each map, which took longer
than the work on the demo's data; `group` is Daft's, which is also to carry both verbs to a Ray cluster.
"""

from __future__ import annotations

import functools
import json
import logging
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stellwerk.engine.pool import Pool
from stellwerk.engine.shards import read_shard, write_shard
from stellwerk.engine.worker import work
from stellwerk.errors import MissingExtra, StellwerkError, UserError
from stellwerk.store.store import PREFIX, Store

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Engine", "read_shard", "write_shard"]

# Daft reports usage over the network unless it is told not to before its import.
os.environ["DAFT_ANALYTICS_ENABLED"] = "0"
os.environ["DO_NOT_TRACK"] = "1"
os.environ.setdefault("DAFT_PROGRESS_BAR", "0")

# Below so many bytes of shards the work is done sooner than a process has started.
ALONE_BYTES = 256 * 1024

Kernel = Callable[..., "pa.Table"]


class Engine:
    """Works shards on the local cores."""

    def __init__(self, store: Store, workers: int | None = None) -> None:
        self.store = store
        self.workers = workers or os.cpu_count() or 1
        self._pool = Pool(self.workers)

    def map(
        self, kernel: Kernel, items: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any] | None = None
    ) -> Generator[tuple[int, str], None, None]:
        """Apply a kernel to each item.

        Args:
            kernel: a function of a module that can be imported, `(**tables, **parameters) -> table`.
            items: keyword arguments of one call each; a reference of an artifact arrives as the table it holds.
            parameters: keyword arguments that all calls share, as JSON.

        Yields:
            The index of a finished item and the reference of its result, in the order in which they finish.

        Raises:
            StellwerkError: a kernel failed or its process died; finished items were given before.
        """
        task: dict[str, Any] = {
            "module": kernel.__module__,
            "function": kernel.__qualname__,
            "parameters": dict(parameters or {}),
        }
        if min(len(items), self.workers) <= 1 or self._bytes(items) < ALONE_BYTES:
            for index, item in enumerate(items):
                yield index, _outcome(work(self.store, **task, item=item))
            return
        address = json.dumps(self.store.address)
        calls = [json.dumps({**task, "store": address, "item": dict(item)}) for item in items]
        for index, answer in self._pool.run(calls):
            found = json.loads(answer)
            self.store.count(found.get("written", 0))
            yield index, _outcome(found)

    def close(self) -> None:
        """End the worker processes; they are started again when they are needed."""
        self._pool.close()
        self._pool = Pool(self.workers)

    def _bytes(self, items: Sequence[Mapping[str, Any]]) -> int:
        values = (value for item in items for value in item.values() if isinstance(value, str) and value.startswith(PREFIX))
        return sum(path.stat().st_size for path in self.store.paths(values))

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
        frame = daft.read_parquet([str(path) for path in self.store.paths(shards)]).select(*keys, gather)
        for key in keys:
            frame = frame.where(daft.col(key).not_null())
        grouped = frame.groupby(*keys).agg(daft.col(gather).list_agg().alias(gather))
        return grouped.where(daft.col(gather).list_count() > 1).to_arrow()


def _outcome(found: Mapping[str, Any]) -> str:
    if "error" in found:
        failure = UserError(found["error"]) if found.get("by_user") else StellwerkError(found["error"])
        if "trace" in found:
            failure.add_note(found["trace"])
        raise failure
    return str(found["shard"])


@functools.cache
def _daft() -> Any:
    try:
        import daft
    except ModuleNotFoundError:
        raise MissingExtra("data", "daft") from None
    # What goes wrong is raised, and said once.
    logging.getLogger("daft_local_execution").setLevel(logging.CRITICAL)
    return daft
