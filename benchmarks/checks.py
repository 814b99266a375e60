"""Measures `run_checks` on 2,000,000 generated rows x 5 checks, beside a Polars pass by hand and one DuckDB query.

Each contender runs in a process of its own, in turn, five times; the smallest CPU time (all threads, user and system) counts,
without imports. The by-hand pass only counts; run_checks also names up to five failing documents for each check.

    .venv/bin/python benchmarks/checks.py [rows]
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

REPEATS = 5
EMAIL = r"[^@\s]+@[^@\s]+\.[a-z]+"
Counts = tuple[int, ...]


def generate(folder: Path, rows: int) -> None:
    import numpy as np
    import pyarrow as pa
    from deltalake import write_deltalake

    random = np.random.default_rng(7)
    numbers = np.arange(rows)
    numbers[-3:] = 0
    ids = pa.array([f"tickets:T-{number:07d}" for number in numbers])
    table = pa.table(
        {
            "doc_id": ids,
            "intent": pa.array(random.choice(["invoice", "repair", "offer", "?"], rows, p=[0.5, 0.3, 0.199, 0.001])),
            "score": random.normal(size=rows),
            "hours": pa.array(random.normal(size=rows), mask=random.random(rows) < 0.01),
            "email": pa.array(np.where(random.random(rows) < 0.01, "unknown", "a.person@example.org")),
        }
    )
    write_deltalake(str(folder), table)


def product(folder: str) -> Counts:
    from stellwerk.jobs.data.checks import Check, run_checks

    checks = [
        Check(column="doc_id", unique=True),
        Check(column="intent", one_of=["invoice", "repair", "offer"]),
        Check(column="score", min=-3, max=3),
        Check(column="hours", not_null=True),
        Check(column="email", matches=EMAIL),
    ]
    return tuple(each.failed for each in run_checks(folder, checks, now=datetime(2026, 11, 22, tzinfo=UTC)))


def by_hand(folder: str) -> Counts:
    import polars as pl

    column = pl.col
    answer = pl.scan_delta(folder).select(
        (pl.len() - column("doc_id").n_unique()).alias("a"),
        (~column("intent").is_in(["invoice", "repair", "offer"])).sum().alias("b"),
        (~column("score").is_between(-3, 3)).sum().alias("c"),
        (column("hours").is_null() | column("hours").is_nan()).sum().alias("d"),
        (~column("email").str.contains(rf"^{EMAIL}$")).sum().alias("e"),
    )
    return tuple(answer.collect(engine="streaming").row(0))


def duck(folder: str) -> Counts:
    import duckdb
    from deltalake import DeltaTable

    connection = duckdb.connect()
    connection.register("t", DeltaTable(folder).to_pyarrow_dataset())
    row = connection.execute(
        "select count(*) - count(distinct doc_id), count(*) filter (intent not in ('invoice', 'repair', 'offer')),"
        "count(*) filter (score not between -3 and 3), count(*) filter (hours is null or isnan(hours)),"
        f"count(*) filter (not regexp_full_match(email, '{EMAIL}')) from t"
    ).fetchone()
    return tuple(row or ())


CONTENDERS: dict[str, Callable[[str], Counts]] = {"run_checks": product, "polars by hand": by_hand, "duckdb": duck}


def child(name: str, folder: str) -> None:
    import duckdb  # noqa: F401  every contender has the same imports behind it
    import polars  # noqa: F401
    from deltalake import DeltaTable  # noqa: F401

    import stellwerk.jobs.data.checks  # noqa: F401

    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    counts = CONTENDERS[name](folder)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"cpu": cpu, "wall": time.perf_counter() - start, "peak": after.ru_maxrss / 1024, "counts": counts}))


def main(rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder), rows)
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
        for _ in range(REPEATS):
            for name in CONTENDERS:
                command = [sys.executable, __file__, "--child", name, folder]
                runs[name].append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    counts = {json.dumps(run["counts"]) for results in runs.values() for run in results}
    print(f"{rows} rows x 5 checks; failing rows per check: {' and '.join(counts)}{'' if len(counts) == 1 else '  DIFFER'}")
    best = {name: min(results, key=lambda run: run["cpu"]) for name, results in runs.items()}
    for name, run in best.items():
        ratio = run["cpu"] / best["polars by hand"]["cpu"]
        print(f"{name:16} {run['cpu']:6.2f} CPU s {run['wall']:6.2f} s {run['peak']:6.0f} MB peak   {ratio:5.2f} x by hand")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], sys.argv[3])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000)
