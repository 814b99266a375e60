"""Reads one table of a PostgreSQL server to disk, in one of several ways; the benchmark `acquire` runs it as a process.

    python -m benchmarks.acquiring.rows CONTENDER URL FOLDER

The last line of its output is JSON: the rows that lie on disk, the sum of their ids, and the seconds without imports.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stellwerk.run import Run

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
TABLE = "tickets"
FILL = f"""
CREATE TABLE {TABLE} AS SELECT
    i AS id,
    'Müller & Söhne ' || i % 997 AS customer,
    repeat('Die Pumpe am Förderband ist laut und warm. ', 1 + (i % 4)::int) AS subject,
    (i % 100000 / 100.0)::numeric(12, 2) AS amount,
    CASE WHEN i % 10 <> 0 THEN sqrt(i) END AS hours,
    i % 3 = 0 AS open,
    date '2020-01-01' + (i % 2000)::int AS day,
    timestamptz '2020-01-01 08:00:00+01' + i * interval '37 seconds' AS changed
FROM generate_series(1::bigint, {{rows}}) AS i"""
Found = tuple[int, int]


def source(url: str) -> Any:
    from stellwerk.jobs.data.source_spec import Source

    return Source.model_validate({"name": TABLE, "database": {"url": url, "table": TABLE}})


def read(url: str, folder: Path) -> Callable[[], Found]:
    """Our reader alone, its tables written as shards."""
    import pyarrow as pa

    from stellwerk.engine.engine import write_shard
    from stellwerk.jobs.data.sources import database
    from stellwerk.workspace import Workspace

    workspace, wanted = Workspace.init(folder), source(url)

    def work() -> Found:
        paths = []
        for table in database.read(wanted, workspace, None, lambda: None):
            assert isinstance(table, pa.Table), table
            paths.append(workspace.store.path(write_shard(workspace.store, table)))
        return counted(paths)

    return work


def acquire(url: str, folder: Path) -> Callable[[], Found]:
    """All that a build does with a source: read, type, digest, a version in the record; each part remembered."""
    from stellwerk.jobs.data import acquire as acquiring
    from stellwerk.operation import find, operation
    from stellwerk.runs.execution import call
    from stellwerk.workspace import Workspace

    def load(*, run: Run) -> list[str]:
        """Load the source."""
        return acquiring.acquire(run, "bench", source(url)).shards

    workspace = Workspace.init(folder)
    load.__module__ = "benchmarks.acquiring.rows"  # its name also where it runs as __main__
    operation(example={})(load)

    def work() -> Found:
        shards = call(workspace, find("acquiring.load"), {})
        return counted([workspace.store.path(shard) for shard in shards])

    return work


def dlt_with(backend: str) -> Callable[[str, Path], Callable[[], Found]]:
    def prepare(url: str, folder: Path) -> Callable[[], Found]:
        import dlt
        from dlt.destinations import filesystem
        from dlt.sources.sql_database import sql_table

        loaded = folder / "loaded"
        given = (
            {"backend_kwargs": {"conn": url.replace("+psycopg", ""), "return_type": "arrow"}} if backend == "connectorx" else {}
        )

        def work() -> Found:
            pipeline = dlt.pipeline("bench", pipelines_dir=str(folder / "state"), destination=filesystem(str(loaded)))
            pipeline.run(
                sql_table(credentials=url, table=TABLE, backend=backend, **given),
                loader_file_format="parquet",
                write_disposition="replace",
            )
            return counted(sorted(loaded.rglob(f"{TABLE}/*.parquet")))

        return work

    return prepare


def counted(paths: list[Path]) -> Found:
    """The rows that lie in files, and the sum of their ids."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    ids = [pq.read_table(path, columns=["id"])["id"] for path in paths]
    return sum(map(len, ids)), sum(pc.sum(column).as_py() or 0 for column in ids)


CONTENDERS: dict[str, Callable[[str, Path], Callable[[], Found]]] = {
    "stellwerk read": read,
    "stellwerk acquire": acquire,
    "dlt pyarrow": dlt_with("pyarrow"),
    "dlt connectorx": dlt_with("connectorx"),
}


def main(name: str, url: str, folder: str) -> None:
    work = CONTENDERS[name](url, Path(folder))
    started = time.perf_counter()
    rows, total = work()
    print("\n" + json.dumps({"rows": rows, "sum": total, "seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main(*sys.argv[1:])
