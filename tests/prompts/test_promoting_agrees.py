"""Promoting a prompt and `stellwerk signals` read the record alike: the same gates, the same evidence, the same states."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stellwerk.errors import UserError
from stellwerk.jobs.prompts.asking import asking
from stellwerk.record import tables
from stellwerk.record.record import Transaction, Version
from stellwerk.standing.standing import standing
from stellwerk.workspace import Workspace

FACTS = {"owner": "Anna", "purpose": "Sums", "language": "de"}
HEAD = {"purpose": "p", "owner": "o", "role": "deployer"}
OWN: list[dict[str, Any]] = [
    {"name": "own.found", "job": "security", "concerns": "prompt", "metric": "open_findings", "max": 0},
    {"name": "own.erased", "job": "data", "concerns": ["prompt"], "metric": "tainted_versions", "max": 0},
    {"name": "own.reply", "job": "prompts", "concerns": "prompt", "asset": "reply", "metric": "acc", "min": 0.5},
    {"name": "own.other", "job": "prompts", "concerns": "prompt", "asset": "other", "metric": "acc", "min": 0.5},
    {"name": "own.a", "job": "prompts", "concerns": ["prompt", "model"], "among": {"model": "a"}, "metric": "acc", "min": 0.5},
    {"name": "own.model", "job": "models", "concerns": ["model", "prompt"], "metric": "acc", "min": 0.5},
    {"name": "own.only", "job": "models", "concerns": "model", "metric": "acc", "min": 0.5},
    {"name": "own.suite", "job": "prompts", "concerns": ["prompt", "model"], "metric": "acc", "min": 0.5, "with": "suite/s"},
    {"name": "own.warn", "job": "prompts", "concerns": "prompt", "metric": "acc", "min": 0.99, "severity": "warn"},
    {"name": "own.few", "job": "prompts", "concerns": ["prompt", "model"], "metric": "acc", "min": 0.1, "min_n": 50},
]
OVERRIDES: list[tuple[str, dict[str, Any]]] = [
    ("prompts.passed", {"min": 0.95, "reason": "r"}),
    ("prompts.passed", {"days": 2, "reason": "r"}),
    ("prompts.unwanted", {"required": False, "reason": "r"}),
    ("prompts.facts", {"severity": "warn", "reason": "r"}),
]


class Shelf:
    """A record in which prompts descend from data that were found wrong and erased, and were measured again and again."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        (workspace.root / "systems").mkdir(exist_ok=True)
        with workspace.record.writing(workspace.person) as transaction:
            self.transaction, self.steps = transaction, itertools.count()
            self.run = self._run(transaction)
            a, b = self._made("model", "a"), self._made("model", "b", facts={"hosted": True})
            suite = self._made("suite", "s")
            letters = self._made("dataset", "letters")
            self._made("dataset", "notes")
            first = self._made("prompt", "reply", facts=FACTS)
            second = self._made("prompt", "reply", letters, facts=FACTS)
            third = self._made("prompt", "reply", second, facts={})
            other = self._made("prompt", "other", third, facts=FACTS)
            transaction.update(tables.version, letters.id, tainted="e" * 32)
            transaction.update(tables.version, third.id, tainted="e" * 32)
            transaction.insert(
                tables.finding, run=self.run, step=None, version=letters.id, rule="leak", severity="high", title="leak",
                details={}, status="open", created=transaction.at,
            )  # fmt: skip
            for prompt, model, value in itertools.product((first, second, other), (a, b), (0.7, 0.96)):
                self._measured("pass_rate", value, prompt, model, low=value - 0.1, high=1.0)
                self._measured("unwanted_rate", 1 - value, prompt, model)
            before = self._measured("acc", 0.9, first, a, instruments=(suite,), n=20)
            self._measured("acc", 0.2, first, a, instruments=(suite,), n=10)
            self._met(before)
            self._measured("acc", 0.6, second)
            self._measured("acc", 0.6, third, days=400)
            self._measured("pass_rate", 1.0, third, a, days=400)

    def system(self, binds: list[str], gates: list[dict[str, Any]], overrides: dict[str, Any]) -> None:
        """Write the file of the system."""
        text = yaml.safe_dump({**HEAD, "binds": binds, "gates": gates, "overrides": overrides})
        (self.workspace.root / "systems" / "desk.yaml").write_text(text)

    def _made(self, kind: str, name: str, *origins: Version, facts: dict[str, Any] | None = None) -> Version:
        step = self._step()
        made = self.transaction.put_version(
            kind, name, identity={"n": next(self.steps)}, facts=facts or {}, content={}, run=self.run
        )
        for direction, versions in (("input", origins), ("output", (made,))):
            for one in versions:
                self.transaction.insert(tables.edge, run=self.run, step=step, version=one.id, direction=direction)
        return made

    def _measured(
        self, metric: str, value: float, *subjects: Version, instruments: tuple[Version, ...] = (), days: float = 0, **said: Any
    ) -> str:
        step = self._step()
        created = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="microseconds")
        known = {"metric_version": 1, "low": None, "high": None, "n": 40, "unit": "", "complete": 1, "details": {}, **said}
        row = self.transaction.insert(
            tables.measurement, run=self.run, step=step, metric=metric, value=value, created=created, **known
        )
        for role, versions in (("subject", subjects), ("instrument", instruments)):
            for one in versions:
                self.transaction.insert(tables.measured, measurement=row["id"], version=one.id, role=role)
        return step

    def _met(self, step: str) -> None:
        """Another run took the step from the record."""
        self._step(reused=step, key=f"k{step}")

    def _step(self, reused: str | None = None, key: str | None = None) -> str:
        name = f"{next(self.steps):032d}"
        at = datetime.now(UTC).isoformat(timespec="microseconds")
        self.transaction.insert(
            tables.step,
            id=name,
            run=self.run,
            key=key or f"k{name}",
            name="s",
            reused=reused,
            outcome={},
            seconds=0.1,
            finished=at,
        )
        return name

    @staticmethod
    def _run(transaction: Transaction) -> str:
        row = {"operation": "prompts.test", "parameters": {}, "snapshots": {}, "code": "c", "state": "done"}
        return str(transaction.insert(tables.run, **row, person=transaction.person, created=transaction.at)["id"])


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    made = Shelf(Workspace.init(tmp_path_factory.mktemp("shelf")))
    yield made
    made.workspace.record.database.close()


def told(signals: Any) -> list[tuple[Any, ...]]:
    return [
        (s.gate.name, s.subject.ref if s.subject else None, s.state, s.why, s.facts, s.measurement, s.attempts) for s in signals
    ]


@settings(max_examples=20, deadline=None)
@given(
    bound=st.sampled_from(["prompt/reply", "prompt/reply@1", "prompt/reply@2", "prompt/reply@production"]),
    others=st.lists(
        st.sampled_from(["model/a", "model/b", "model/none", "prompt/other", "dataset/notes", "dataset/letters"]), unique=True
    ),
    gates=st.lists(st.sampled_from(OWN), unique_by=lambda gate: gate["name"]),
    overrides=st.lists(st.sampled_from(OVERRIDES), unique_by=lambda one: one[0]),
    number=st.integers(1, 3),
)
def test_promoting_and_signals_agree(
    shelf: Shelf, bound: str, others: list[str], gates: list[Any], overrides: list[Any], number: int
) -> None:
    """With the version bound in the file, `signals` says just what promoting said of it before."""
    now = datetime.now(UTC)
    version = shelf.workspace.record.resolve(f"prompt/reply@{number}")
    shelf.system([*others, bound], gates, dict(overrides))
    (party,) = (one for one in asking(shelf.workspace, version, "production", "desk", now) if one.is_system)
    shelf.system([*others, version.ref], gates, dict(overrides))
    stands = standing(shelf.workspace, "desk", now=now)
    wanted = [
        s
        for s in stands.signals
        if "prompt" in s.gate.concerns and not (s.subject and s.subject.kind == "prompt" and s.subject.name != "reply")
        if s.gate.asset != "other"
    ]
    assert told(party.signals) == told(wanted)


def test_ancestors_and_what_was_met_again_count_for_promoting(shelf: Shelf) -> None:
    now = datetime.now(UTC)
    overrides = {name: {"required": False, "reason": "r"} for name in ("prompts.passed", "prompts.unwanted", "prompts.facts")}
    shelf.system(["prompt/reply@production", "model/a"], [OWN[0], OWN[1], OWN[7]], overrides)

    def states(number: int) -> dict[str, str]:
        version = shelf.workspace.record.resolve(f"prompt/reply@{number}")
        (party,) = asking(shelf.workspace, version, "production", None, now)
        return {s.gate.name: s.state for s in party.signals}

    assert states(1) == {
        "own.found": "clear", "own.erased": "clear", "own.suite": "clear", "prompts.erased": "clear",
    }  # fmt: skip
    assert states(2)["own.found"] == "stop", "the data that it was made from leak"
    assert states(2)["own.erased"] == "clear", "it was made before the rows were erased from what it rests on, as in signals"
    assert states(3)["own.erased"] == "stop"


def test_a_prompt_that_no_system_binds_has_to_pass_the_default_gates(shelf: Shelf) -> None:
    (shelf.workspace.root / "systems" / "desk.yaml").unlink(missing_ok=True)
    version = shelf.workspace.record.resolve("prompt/reply@2")
    (party,) = asking(shelf.workspace, version, "production", None, datetime.now(UTC))
    assert (party.of, party.is_system) == ("the prompt itself", False)
    assert {s.gate.name for s in party.signals} == {"prompts.passed", "prompts.unwanted", "prompts.facts", "prompts.erased"}
    with pytest.raises(UserError, match=r"there is no systems/desk\.yaml"):
        asking(shelf.workspace, version, "production", "desk", datetime.now(UTC))
