"""An office with two datasets that are really built, and versions of other kinds that are only noted in the record."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from stellwerk.doors.cli import run as command
from stellwerk.operation import find
from stellwerk.record import tables
from stellwerk.record.record import Version
from stellwerk.runs import execution
from stellwerk.standing.standing import Standing, standing
from stellwerk.workspace import Workspace

SYSTEM: dict[str, Any] = {
    "purpose": "answer letters",
    "owner": "Team Service",
    "role": "deployer",
    "binds": ["dataset/tickets", "dataset/mails"],
}


class Office:
    """A workspace with specs of the datasets tickets and mails, and the system desk that binds both."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.workspace = Workspace.init(root)
        for name in ("tickets", "mails"):
            self.rows(name, [f"{name} {n}: the machine of type {n * 7} makes noise at {n} degrees" for n in range(8)])
            self.dataset(name)
        self.system()

    def write(self, name: str, content: Any) -> None:
        """Write a spec file."""
        path = self.root / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False, allow_unicode=True))

    def rows(self, name: str, texts: list[str]) -> None:
        """Write the rows of a dataset's source."""
        path = self.root / "raw" / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps({"id": str(n), "text": text}) + "\n" for n, text in enumerate(texts)))

    def dataset(self, name: str, **fields: Any) -> None:
        """Write the spec of a dataset."""
        spec: dict[str, Any] = {
            "purpose": "answer letters",
            "licence": "proprietary",
            "legal_basis": "GDPR Art. 6(1)(f)",
            "sources": [{"name": "main", "files": f"raw/{name}.jsonl", "key": "id", "text": "text"}],
            "duplicates": {"near": None},
            "tests": [{"column": "id", "unique": True}],
        }
        self.write(f"datasets/{name}", {**spec, **fields})

    def system(self, name: str = "desk", **fields: Any) -> None:
        """Write the file of a system."""
        self.write(f"systems/{name}", {**SYSTEM, **fields})

    def call(self, path: str, /, workspace: Workspace | None = None, **values: Any) -> Any:
        """Call an operation."""
        return execution.call(workspace or self.workspace, find(path), values)

    def cli(self, *arguments: str) -> int:
        """Give a command; its exit code."""
        return command([*arguments, "-w", str(self.root)])

    def built(self) -> Office:
        """Both datasets, built and tested."""
        for name in ("tickets", "mails"):
            self.call("data.build", dataset=name)
            self.call("data.test", dataset=name)
        return self

    def now(self, system: str = "desk", **days: float) -> Standing:
        """How the system stands now, or some days on."""
        return standing(self.workspace, system, now=datetime.now(UTC) + timedelta(**days))

    def states(self, system: str = "desk") -> dict[tuple[str, str | None], str]:
        """The state of each gate and version."""
        return {(s.gate.name, s.subject.ref if s.subject else None): s.state for s in self.now(system).signals}

    def made(self, kind: str, name: str, *origins: Version, facts: dict[str, Any] | None = None, **identity: Any) -> Version:
        """Note a version that a step made from others."""
        with self.workspace.record.writing(self.workspace.person) as transaction:
            run = self._run(transaction)
            step = transaction.insert(
                tables.step, run=run, key="k", name="s", reused=None, outcome={}, seconds=0.1, finished=transaction.at
            )["id"]
            version = transaction.put_version(kind, name, identity=identity, facts=facts or {}, content={}, run=run)
            for direction, versions in (("input", origins), ("output", (version,))):
                for other in versions:
                    transaction.insert(tables.edge, run=run, step=step, version=other.id, direction=direction)
        return version

    def measured(
        self, metric: str, value: float | None, *subjects: Version, instruments: tuple[Version, ...] = (), **said: Any
    ) -> None:
        """Note a measurement."""
        with self.workspace.record.writing(self.workspace.person) as transaction:
            known = {
                "metric_version": 1, "low": None, "high": None, "n": 10, "unit": "", "complete": 1, "details": {},
                "created": transaction.at, **said,
            }  # fmt: skip
            row = transaction.insert(tables.measurement, run=self._run(transaction), metric=metric, value=value, **known)
            for role, versions in (("subject", subjects), ("instrument", instruments)):
                for version in versions:
                    transaction.insert(tables.measured, measurement=row["id"], version=version.id, role=role)

    def finding(self, severity: str, version: Version | None = None, *, run: str | None = None, step: str | None = None) -> str:
        """Note a finding; its id."""
        with self.workspace.record.writing(self.workspace.person) as transaction:
            row = transaction.insert(
                tables.finding, run=run or self._run(transaction), step=step, version=version.id if version else None,
                rule="leak", severity=severity, title=f"a {severity} thing", details={"rows": 3}, status="open",
                created=transaction.at,
            )  # fmt: skip
        return str(row["id"])

    def version(self, reference: str) -> Version:
        """A version out of the record."""
        return self.workspace.record.resolve(reference)

    @staticmethod
    def _run(transaction: Any) -> str:
        row = {"operation": "data.build", "parameters": {}, "snapshots": {}, "code": "c", "state": "done"}
        return str(transaction.insert(tables.run, **row, person=transaction.person, created=transaction.at)["id"])
