"""A workspace for tests of whole builds: write files and a spec, build, look at the ledger, the table and the steps."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from deltalake import DeltaTable

from stellwerk.doors.cli import run as command
from stellwerk.engine.engine import Engine, read_shard
from stellwerk.operation import find
from stellwerk.record import tables
from stellwerk.runs import execution as run
from stellwerk.workspace import Workspace


class Place:
    """A workspace that works in this process, or on `workers` processes."""

    def __init__(self, root: Path, workers: int = 1) -> None:
        self.root = root
        self.workspace = Workspace.init(root)
        self.workspace.engine = Engine(self.workspace.store, workers)
        with (root / "stellwerk.yaml").open("a") as file:
            file.write(f"workers: {workers}\n")

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file below the workspace."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def rows(self, name: str, rows: list[dict[str, Any]]) -> Path:
        """Write rows as JSON Lines."""
        return self.write(name, "".join(json.dumps(row) + "\n" for row in rows))

    def spec(self, name: str = "set", /, **fields: Any) -> None:
        """Write datasets/NAME.yaml."""
        self.write(f"datasets/{name}.yaml", yaml.safe_dump(fields, sort_keys=False))

    def build(self, name: str = "set") -> Any:
        """Build a dataset through the record; the report."""
        return run.call(self.workspace, find("data.build"), {"dataset": name})

    def cli(self, *arguments: str) -> int:
        """Give a command as on the command line, in this process; its exit code."""
        return command([*arguments, "-w", str(self.root)])

    def version(self, reference: str) -> Any:
        """A version out of the record."""
        return self.workspace.record.resolve(reference)

    def read(self, shards: list[str]) -> pa.Table:
        """Shards as one table; a column that a shard does not have is null there."""
        tables = [read_shard(self.workspace.store.path(shard)) for shard in shards]
        return pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})

    def ledger(self) -> list[dict[str, Any]]:
        """The rows of the ledger that the latest build wrote."""
        record = self.workspace.record
        (latest,) = record.rows(tables.run, order=tables.run.c.created.desc(), limit=1)
        where = (tables.step.c.run == latest["id"], tables.step.c.name == "publish")
        (step,) = record.rows(tables.step, *where)
        return [
            row for shard in step["outcome"]["ledger"] for row in pq.read_table(self.workspace.store.path(shard)).to_pylist()
        ]

    def table(self, reference: str = "dataset/set") -> pa.Table:
        """The rows of a dataset version."""
        path = self.workspace.store.table(self.version(reference).content["table"])
        return pa.table(DeltaTable(str(path)).to_pyarrow_table())

    def findings(self, rule: str, version: str) -> list[dict[str, Any]]:
        """The findings of a rule on a version."""
        where = (tables.finding.c.rule == rule, tables.finding.c.version == version)
        return [dict(row) for row in self.workspace.record.rows(tables.finding, *where)]

    def steps(self) -> dict[str, tuple[int, int]]:
        """Of the latest run: by step how many parts it has and how many were taken from earlier runs."""
        shown = find("runs.show").function("latest", workspace=self.workspace)
        return {line.step: (line.shards, line.reused) for line in shown.steps}

    def adds_up(self, report: Any, reference: str = "dataset/set") -> list[dict[str, Any]]:
        """See that ledger, report and table say the same; returns the ledger."""
        ledger, counts = self.ledger(), report.counts
        decisions = Counter(row["decision"] for row in ledger)
        assert counts.read == len(ledger) == counts.kept + counts.changed + counts.dropped
        assert (decisions["kept"], decisions["changed"], decisions["dropped"]) == (counts.kept, counts.changed, counts.dropped)
        rules = Counter((row["step"], row["rule"]) for row in ledger if row["decision"] == "dropped")
        assert rules == {(rule.step, rule.rule): rule.documents for rule in counts.rules}
        names = [row["doc_id"] for row in ledger if row["step"] not in ("load", "read", "erase")]
        assert len(names) == len(set(names))
        assert all(row["split"] for row in ledger if row["decision"] != "dropped")
        assert not any(row["split"] for row in ledger if row["decision"] == "dropped")
        stays = {row["doc_id"]: row["split"] for row in ledger if row["decision"] != "dropped"}
        table = self.table(reference)
        assert dict(zip(table["doc_id"].to_pylist(), table["split"].to_pylist(), strict=True)) == stays
        assert table.num_rows == len(stays)
        return ledger


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Place]:
    """Makes a new workspace at each call; `places(workers=2)` works on processes."""
    numbers = itertools.count()
    return lambda workers=1: Place(tmp_path_factory.mktemp(f"place{next(numbers)}"), workers)


@pytest.fixture
def place(places: Callable[..., Place]) -> Place:
    """A new workspace."""
    return places()
