"""A run: one execution of an operation, in steps that the record remembers.

A step whose code, parameters and inputs the record has already seen is not done again; that one rule gives resume after a
crash, incremental rebuilds and checkpoints by shard. A step's outcome, its versions, measurements and findings are committed
in one transaction, under a lease that fences off a process that was replaced.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from stellwerk.errors import StellwerkError
from stellwerk.record import leases, tables
from stellwerk.record.journal import canonical
from stellwerk.record.record import Transaction, Version, version_id
from stellwerk.runs import memory
from stellwerk.runs.spending import Spending
from stellwerk.specfile import SpecFile, parse
from stellwerk.workspace import FILE, Workspace

if TYPE_CHECKING:
    from stellwerk.settings import Budget


class Interrupted(StellwerkError):
    """The run was stopped from outside; what it has finished is kept, and it can be resumed."""

    exit_code = 130


class BudgetSpent(StellwerkError):
    """The run has used what it may use; it can be resumed with as much again."""


# Is told how far a step is: its name, units done, units in all where that is known, and the unit.
Listener = Callable[[str, float, float | None, str], None]


@dataclass
class Pending:
    """What the step at work has noted and not yet committed."""

    id: str
    inputs: list[Version] = field(default_factory=list)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: list[Callable[[Transaction], None]] = field(default_factory=list)
    writes: list[Callable[[Transaction], None]] = field(default_factory=list)


class Run:
    """What an operation gets in order to work: inputs, steps, outputs, measurements, progress."""

    def __init__(self, workspace: Workspace, row: Mapping[str, Any], token: int, listener: Listener | None) -> None:
        self.workspace = workspace
        self.record = workspace.record
        self.store = workspace.store
        self.engine = workspace.engine
        self.id: str = row["id"]
        self.person: str = row["person"]
        self.remembered = 0
        self.done = 0
        self.stopped: str | None = None
        self._snapshots: dict[str, dict[str, str]] = row["snapshots"]
        self._parameters: dict[str, Any] = row["parameters"]
        self.authenticated = bool(row["snapshots"].get("caller", {}).get("authenticated"))
        self._code: str = row["code"]
        self._token = token
        self._listener = listener
        self._spending = Spending(workspace.store, workspace.settings.budget, FILE)
        self._pending: Pending | None = None
        self._told: dict[str, float] = {}

    def spec(self, parameter: str) -> SpecFile:
        """The spec file that a parameter named, as it was when the run was submitted."""
        snapshot = self._snapshots[parameter]
        return parse(self.store.get(snapshot["content"]).decode(), snapshot["name"])

    def input(self, reference: str, kind: str | None = None) -> Version:
        """Resolve a reference, once for the run: a resumed run gets the version that it began with."""
        kinds = [kind] if kind else [key.split(":")[1] for key in self._snapshots if key.startswith("ref:")]
        pinned = next((p for k in kinds if (p := self._snapshots.get(f"ref:{k}:{reference}"))), None)
        return self.record.resolve(pinned["version"] if pinned else reference, kind)

    def asset(
        self, parameter: str, kind: str, note: Callable[..., Any], /, *, inputs: Sequence[Version] = (), **parameters: Any
    ) -> Version:
        """The version that a parameter marked `FileRef` names; where it named a file, the version of what stood there.

        Args:
            parameter: its name.
            kind: of the asset.
            note: step `(run, *, name, file, content, **parameters)` that calls `output` and returns `{"version": id}`;
                `file` is the file's name for people, `content` the reference of its text in the store.
            inputs: versions that the asset is made from.
            parameters: JSON; whatever else the version depends on.
        """
        snapshot = self._snapshots.get(parameter)
        if snapshot is None:
            return self.input(self._parameters[parameter], kind)
        name = self._parameters[parameter].removeprefix(f"{kind}/")
        given = {"name": name, "file": snapshot["name"], "content": snapshot["content"], **parameters}
        return self.version(self.step(f"note {kind} {name}", note, inputs=inputs, **given)["version"])

    def step(self, name: str, function: Callable[..., Any], /, *, inputs: Sequence[Version] = (), **parameters: Any) -> Any:
        """Do a step, or take its outcome from the record.

        Args:
            name: what people see.
            function: `(run, **parameters)`; returns JSON. Inside it `output`, `measure` and `finding` may be called.
            inputs: the versions that it reads; its outputs descend from them.
            parameters: JSON; whatever the outcome depends on and is not an input.

        An outcome that holds `"again": true` is kept and never taken from the record: some of it is still to be done.
        """
        key = self._key(function, parameters, inputs)
        known = self._recall([key], name)
        if known:
            return known[key]
        if self._pending is not None:
            raise RuntimeError("a step cannot hold another step")
        self.check()
        pending = self._pending = Pending(uuid.uuid4().hex, list(inputs))
        started = time.monotonic()
        try:
            outcome = json.loads(canonical(function(self, **parameters)))
        finally:
            self._pending = None
        once = f"{key}:{pending.id}" if isinstance(outcome, dict) and outcome.get("again") is True else key
        self._commit(pending, once, name, outcome, time.monotonic() - started)
        return outcome

    def map(
        self,
        name: str,
        kernel: Callable[..., Any],
        items: Sequence[Mapping[str, Any]],
        /,
        *,
        inputs: Sequence[Version] = (),
        **parameters: Any,
    ) -> list[str]:
        """Apply a kernel to each item on the engine; every item is a remembered step of its own.

        Returns:
            References of the resulting shards, in the order of the items.
        """
        keys = [self._key(kernel, {**parameters, "item": item}, inputs) for item in items]
        known = self._recall(keys, name)
        shards: list[Any] = [known.get(key) for key in keys]
        todo = [index for index, shard in enumerate(shards) if shard is None]
        self.progress(name, len(items) - len(todo), len(items), "shards")
        started = time.monotonic()
        with closing(self.engine.map(kernel, [items[i] for i in todo], parameters)) as results:
            for position, shard in results:
                index = todo[position]
                shards[index] = shard
                self._commit(Pending(uuid.uuid4().hex, list(inputs)), keys[index], name, shard, time.monotonic() - started)
                self.progress(name, sum(s is not None for s in shards), len(items), "shards")
        return shards

    def output(
        self,
        kind: str,
        name: str,
        *,
        identity: Mapping[str, Any],
        content: Mapping[str, Any],
        facts: Mapping[str, Any] | None = None,
    ) -> str:
        """Note a version that the step at work has made; equal identity is the same version.

        Returns:
            The id of the version, which is in the record once the step is committed.
        """
        pending = self._at_work()
        key = version_id(kind, name, identity)
        pending.outputs[key] = {"facts": dict(facts or {}), "content": dict(content)}

        def write(transaction: Transaction) -> None:
            transaction.put_version(kind, name, identity=identity, run=self.id, **pending.outputs[key])

        pending.versions.append(write)
        return key

    def version(self, key: str) -> Version:
        """A version that was committed, by its id."""
        return self.record.versions(tables.version.c.id == key)[0]

    def measure(
        self,
        metric: str,
        value: float | None,
        *,
        n: int | None = None,
        low: float | None = None,
        high: float | None = None,
        unit: str = "",
        metric_version: int = 1,
        subjects: Sequence[Version] = (),
        instruments: Sequence[Version] = (),
        complete: bool = True,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Note a measurement; without subjects it concerns the versions that the step outputs.

        Args:
            metric: its name, such as `near_duplicate_share`.
            value: what was measured, None where it could not be.
            n: the number of cases it rests on.
            low: lower bound of the 95 % interval; None for a count of all there is.
            high: upper bound of the 95 % interval.
            unit: unit of the value, such as `share`, `rows`, `s`.
            metric_version: grows when the metric's definition changes.
            subjects: what was measured.
            instruments: what it was measured with.
            complete: False for a run on part of the cases; such a measurement never counts.
            details: further facts, without personal data.
        """
        pending = self._at_work()

        def write(transaction: Transaction) -> None:
            row = transaction.insert(
                tables.measurement, run=self.id, step=pending.id, metric=metric, metric_version=metric_version,
                value=value, low=low, high=high, n=n, unit=unit, complete=complete, details=dict(details or {}),
                created=transaction.at,
            )  # fmt: skip
            links = [("subject", key) for key in ([v.id for v in subjects] or list(pending.outputs))]
            for role, version in links + [("instrument", v.id) for v in instruments]:
                transaction.insert(tables.measured, measurement=row["id"], version=version, role=role)

        pending.writes.append(write)

    def finding(self, rule: str, severity: str, title: str, **details: Any) -> None:
        """Note something wrong or risky; `details` say where, never a personal value."""
        pending = self._at_work()

        def write(transaction: Transaction) -> None:
            version = next(iter(pending.outputs), None)
            transaction.insert(
                tables.finding, run=self.id, step=pending.id, version=version, rule=rule, severity=severity,
                title=title, details=details, status="open", owner=None, created=transaction.at,
            )  # fmt: skip

        pending.writes.append(write)

    def write(self, function: Callable[[Transaction], None]) -> None:
        """Add a write of another kind to the transaction of the step at work."""
        self._at_work().writes.append(function)

    def progress(self, step: str, done: float, total: float | None = None, unit: str = "") -> None:
        """Tell how far a step is, and stop here if the run was cancelled."""
        self.check()
        if self._listener:
            self._listener(step, done, total, unit)
        if done == total or time.monotonic() - self._told.get(step, 0) > 1:
            self._told[step] = time.monotonic()
            now = {"run": self.id, "step": step, "done": done, "total": total, "unit": unit, "updated": time.time()}
            told = tables.progress.c
            with leases.fenced(self.record.database, self.id, self._token) as connection:
                connection.execute(delete(tables.progress).where(told.run == self.id, told.step == step))
                connection.execute(tables.progress.insert(), now)

    def check(self) -> None:
        """Stop here if the run was cancelled, called back or taken over, or has spent its budget.

        Raises:
            Interrupted: it was cancelled or called back.
            BudgetSpent: it has used what it may use.
            LeaseLost: another process has it now.
        """
        if self.stopped == "lost":
            raise leases.LeaseLost(f"run {self.id[:8]} was taken over by another process")
        if self.stopped == "budget" or (self.stopped is None and self.spent()):
            raise self.over_budget()
        if self.stopped:
            raise Interrupted(f"run {self.id[:8]} was cancelled; start it again with: stellwerk runs resume {self.id[:8]}")

    def limit(self, budget: Budget, place: str = "its spec") -> None:
        """Give this execution a further budget; of several the one that is spent first counts.

        Args:
            budget: minutes of wall time, and gigabytes added to the store.
            place: where it stands, such as `datasets/tickets.yaml`.
        """
        self._spending.limit(budget, place)

    def extent(self, units: float) -> None:
        """Say how much input this execution has, such as bytes read; several amounts add up. Later runs are planned by it."""
        self._spending.extent = (self._spending.extent or 0.0) + units

    def spend(self, amount: float, currency: str) -> None:
        """Say what calls to a model cost; `check` stops the run where its budget of money is spent.

        Raises:
            UserError: the budget is in other currencies.
        """
        self._spending.spend(amount, currency)

    @property
    def money(self) -> dict[str, float]:
        """What this execution has spent, by currency."""
        return dict(self._spending.money)

    @property
    def has_money_budget(self) -> bool:
        """Whether money is bounded, so that nothing may be called whose price is unknown."""
        return self._spending.bounds_money

    def spent(self) -> str | None:
        """The budget that is spent, such as `30 minutes in stellwerk.yaml`; None while none is."""
        return self._spending.spent()

    def over_budget(self) -> BudgetSpent:
        """The error of a run that has spent its budget."""
        return BudgetSpent(
            f"run {self.id[:8]} stopped at its budget of {self.spent()}; raise budget there, or go on with as much again: "
            f"stellwerk runs resume {self.id[:8]}"
        )

    def set_state(self, state: str, **changes: Any) -> None:
        """Note where the run stands, unless another process has it now."""
        with self._committing() as transaction:
            transaction.update(tables.run, self.id, state=state, **changes)
            if state != "running":
                transaction.connection.execute(delete(tables.progress).where(tables.progress.c.run == self.id))
                self._note_usage(transaction)
            if state == "queued":
                # Its worker ends in order, so it was no attempt that failed.
                mine = tables.queue.update().where(tables.queue.c.id == self.id)
                transaction.connection.execute(mine.values(attempts=tables.queue.c.attempts - 1))

    def _note_usage(self, transaction: Transaction) -> None:
        used = self._spending
        transaction.insert(
            tables.usage, run=self.id, seconds=used.seconds, stored=used.stored, extent=used.extent, created=transaction.at
        )
        for currency, amount in used.money.items():
            transaction.insert(tables.spent, run=self.id, amount=amount, currency=currency, created=transaction.at)

    def keep_lease(self) -> bool:
        """Push the expiry of the lease ahead; False when another process has the run now."""
        return leases.renew(self.record.database, self.id, self._token)

    def latest_outputs(self) -> list[Version]:
        """The versions that this run has made or met again, so far."""
        query = select(tables.edge.c.version).where(tables.edge.c.run == self.id, tables.edge.c.direction == "output")
        return self.record.versions(tables.version.c.id.in_(query))

    def _at_work(self) -> Pending:
        if self._pending is None:
            raise RuntimeError("outputs, measurements and findings are noted inside a step")
        return self._pending

    def _key(self, function: Callable[..., Any], parameters: Mapping[str, Any], inputs: Sequence[Version]) -> str:
        return memory.key(self._code, function, parameters, inputs)

    def _recall(self, keys: Sequence[str], name: str) -> dict[str, Any]:
        """The outcomes, by key, of steps that are in the record and whose artifacts are still in the store."""
        known, edges = memory.find(self.record, self.store, self.id, keys)
        foreign = [row for row in known.values() if row["run"] != self.id]
        if foreign:
            with self._committing() as transaction:
                memory.reuse(transaction, self.id, foreign, edges, name)
        self.remembered += len(known)
        return {key: row["outcome"] for key, row in known.items()}

    def _commit(self, pending: Pending, key: str, name: str, outcome: Any, seconds: float) -> None:
        with self._committing() as transaction:
            transaction.insert(
                tables.step, id=pending.id, run=self.id, key=key, name=name, reused=None, outcome=outcome,
                seconds=seconds, finished=transaction.at,
            )  # fmt: skip
            for write in (*pending.versions, *pending.writes):
                write(transaction)
            for version in pending.inputs:
                memory.link(transaction, self.id, pending.id, "input", version.id)
            for key_made, known in pending.outputs.items():
                memory.link(transaction, self.id, pending.id, "output", key_made, known)
        self.done += 1

    @contextmanager
    def _committing(self) -> Iterator[Transaction]:
        with self.record.writing(self.person) as transaction:
            leases.check(transaction.connection, self.id, self._token)
            yield transaction
