"""Gates against a plain and slow model of their rule, over random systems, changes and measurements."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stellwerk import gates
from stellwerk.gates import Candidate, Gate, Measured, Signal, Subject, Waiver

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
# Two of a kind, and what descends: an index is made from datasets, an adapter from a model and a dataset.
ASSETS = {
    "faq": "dataset", "mails": "dataset", "search": "index", "reply": "prompt", "greet": "prompt", "writer": "model",
    "judge": "model", "tuned": "adapter",
}  # fmt: skip
ORIGINS = {"search": ("faq", "mails"), "tuned": ("writer", "mails")}
SUITES = ("suite/easy@1", "suite/easy@2", "suite/hard@1")
METRICS = ("accuracy", "cost")


@dataclass
class World:
    """What was made and measured, in a form that is as far from the record as can be.

    Attributes:
        latest: the number of each asset's newest version.
        parents: for each version, the ones that it was made from.
        bound: names of assets, of which the latest is bound.
    """

    bound: tuple[str, ...]
    latest: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ASSETS, 1))
    parents: dict[str, set[str]] = field(default_factory=dict)
    measured: list[Measured] = field(default_factory=list)
    suite: str = "suite/easy@2"
    loose: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for asset in ORIGINS:
            self._descend(asset)

    def _descend(self, asset: str) -> None:
        self.parents[self.now(asset)] = {self.now(origin) for origin in ORIGINS.get(asset, ())}

    def now(self, asset: str) -> str:
        return f"{ASSETS[asset]}/{asset}@{self.latest[asset]}"

    def change(self, asset: str) -> None:
        """A new version, made from what its origins are now; what was made from the old one stays as it is."""
        self.latest[asset] += 1
        self._descend(asset)

    def measure(self, subjects: Sequence[str], **said: Any) -> Measured:
        age = said.pop("age", 0.0)
        moment = NOW - timedelta(days=age) + timedelta(microseconds=len(self.measured))
        known = {
            "metric": "accuracy", "metric_version": 1, "value": 0.9, "low": None, "high": None, "n": 50, "unit": "",
            "complete": True, "instruments": frozenset([self.suite]), **said,
        }  # fmt: skip
        created = moment.isoformat(timespec="microseconds")
        one = Measured(f"m{len(self.measured):03}", subjects=frozenset(subjects), created=created, run="run", **known)
        self.measured.append(one)
        return one

    def versions(self) -> list[str]:
        return [f"{kind}/{name}@{n}" for name, kind in ASSETS.items() for n in range(1, self.latest[name] + 1)]

    def subject(self, version: str) -> Subject:
        kind, name = version.partition("@")[0].split("/")
        return Subject(version, version, kind, name, pinned=version not in self.loose)

    def candidate(self) -> Candidate:
        kinds = {version: version.partition("/")[0] for version in self.versions()}
        bound = {self.now(asset) for asset in self.bound}
        frontier = {
            kind: [self.subject(v) for v in sorted(gates.nearest(bound, kinds, self.parents, kind))]
            for kind in set(ASSETS.values())
        }
        names = {version: version for version in (*self.versions(), *SUITES)}
        return Candidate(frontier, names, {"suite/easy": self.suite, "suite/hard@1": "suite/hard@1", "suite/gone": None})

    def signals(self, wanted: Sequence[Gate], waivers: Sequence[Waiver] = ()) -> list[Signal]:
        return gates.signals(wanted, self.candidate(), self.measured[::-1], waivers, NOW)


# The model: every way up from what is bound is walked one by one, and every measurement is asked everything.


def ways(world: World, version: str) -> Iterator[list[str]]:
    yield [version]
    for parent in world.parents.get(version, ()):
        for way in ways(world, parent):
            yield [version, *way]


def concerned(world: World, kind: str) -> set[str]:
    """The last of each way, where it is the only one of its kind on it."""
    every = (way for asset in world.bound for way in ways(world, world.now(asset)))
    return {way[-1] for way in every if [v.partition("/")[0] for v in way].count(kind) == 1 and way[-1].startswith(f"{kind}/")}


def plain(world: World, gate: Gate, version: str) -> str:
    """The state of a gate on a version, by the words of the design."""
    if "suite/gone" in gate.with_:
        return "dark"
    here = set().union(*(concerned(world, kind) for kind in set(ASSETS.values())))
    suites = {"suite/easy": world.suite, "suite/hard@1": "suite/hard@1"}
    groups = [
        [v for v in concerned(world, kind) if gate.among.get(kind) in (None, v.partition("@")[0].split("/")[1])]
        for kind in gate.concerns[1:]
    ]
    states = []
    for others in itertools.product(*groups):
        last, hardest = None, 0
        for m in world.measured:
            right = m.metric == gate.metric and m.metric_version == gate.metric_version and m.complete
            exactly = {version, *others} <= set(m.subjects) and set(m.subjects) <= here
            if right and exactly and all(suites[name] in m.instruments for name in gate.with_):
                last = m if last is None or (m.met or m.created) > (last.met or last.created) else last
                hardest = max(hardest, m.n if m.value is not None and not inside(gate, m.value) else 0)
        states.append("dark" if last is None else judged(world, gate, [version, *others], last, hardest))
    order = ["stop", "dark", "caution", "clear"]
    return min(states, key=order.index) if states else "dark"


def inside(gate: Gate, value: float) -> bool:
    low, high = (gate.min if gate.min is not None else -1e9), (gate.max if gate.max is not None else 1e9)
    return low <= value <= high


def judged(world: World, gate: Gate, versions: list[str], m: Measured, hardest: int) -> str:
    if m.value is None:
        return "dark"
    if not inside(gate, m.value):
        return "stop"
    crosses = any(bound is not None and not inside(gate, bound) for bound in (m.low, m.high))
    crosses = crosses or m.n < hardest
    old = gate.days is not None and (NOW - datetime.fromisoformat(m.created)) > timedelta(days=gate.days)
    few = gate.min_n is not None and (m.n or 0) < gate.min_n
    return "caution" if crosses or old or few or world.loose & set(versions) else "clear"


values = st.sampled_from([None, 0.0, 0.2, 0.5, 0.8, 1.0])


@st.composite
def some_gates(draw: st.DrawFn) -> list[Gate]:
    found = []
    for number in range(draw(st.integers(1, 4))):
        kinds = draw(st.lists(st.sampled_from(sorted(set(ASSETS.values()))), min_size=1, max_size=2, unique=True))
        low = draw(st.sampled_from([None, 0.2, 0.5]))
        high = draw(st.sampled_from([0.5, 0.8] if low is None else [None, 0.8]))
        others = {kind: "writer" for kind in kinds[1:] if kind == "model" and draw(st.booleans())}
        found.append(
            Gate(
                name=f"g{number}", job="data", concerns=kinds, metric=draw(st.sampled_from(METRICS)), min=low, max=high,
                metric_version=draw(st.sampled_from([1, 1, 2])), min_n=draw(st.sampled_from([None, None, 50])),
                days=draw(st.sampled_from([None, 10.0])), among=others,
                **{"with": draw(st.sampled_from([(), (), ("suite/easy",), ("suite/easy", "suite/hard@1"), ("suite/gone",)]))},
            )
        )  # fmt: skip
    return found


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Any system after any sequence of changes and measurements."""
    world = World(tuple(draw(st.lists(st.sampled_from(sorted(ASSETS)), min_size=1, max_size=5, unique=True))))
    for number in range(draw(st.integers(0, 14))):
        if draw(st.integers(0, 3)) == 0:
            world.change(draw(st.sampled_from(sorted(ASSETS))))
            continue
        # Mostly what is bound now, so that something is measured that counts.
        near = [v for kind in set(ASSETS.values()) for v in concerned(world, kind)]
        pool = sorted(near) if draw(st.integers(0, 4)) else world.versions()
        world.measure(
            draw(st.lists(st.sampled_from(pool), min_size=1, max_size=3, unique=True)),
            metric=draw(st.sampled_from(METRICS)),
            metric_version=draw(st.sampled_from([1, 1, 1, 2])),
            value=draw(values),
            low=draw(st.sampled_from([None, None, 0.0, 0.4])),
            high=draw(st.sampled_from([None, None, 0.8, 1.0])),
            n=draw(st.sampled_from([10, 50, 100])),
            complete=draw(st.sampled_from([True, True, True, False])),
            instruments=frozenset(draw(st.lists(st.sampled_from(SUITES), max_size=3))),
            age=draw(st.sampled_from([0.0, 0.0, 5.0, 20.0])),
            met=draw(st.sampled_from(["", "", (NOW + timedelta(seconds=number)).isoformat(timespec="microseconds")])),
        )
    world.loose = frozenset(draw(st.lists(st.sampled_from(world.versions()), max_size=2)))
    return world


@settings(max_examples=400, deadline=None)
@given(worlds(), some_gates())
def test_after_any_changes_each_signal_is_what_the_plain_rule_says(world: World, wanted: list[Gate]) -> None:
    for gate in wanted:
        found = world.signals([gate])
        versions = concerned(world, gate.concerns[0])
        assert {s.subject.id: s.state for s in found if s.subject} == {v: plain(world, gate, v) for v in versions}
        if not versions:
            assert [(s.state, s.why, s.subject) for s in found] == [("dark", "nothing", None)]
        for signal in found:
            assert (signal.measurement is None) == (signal.state == "dark" and signal.why != "no_value")
            assert signal.passes == (signal.state == "clear" or gate.severity == "warn")


@settings(max_examples=150, deadline=None)
@given(worlds(), st.sampled_from(sorted(ASSETS)))
def test_a_change_darkens_precisely_the_gates_that_concern_it(world: World, asset: str) -> None:
    world.loose, world.measured = frozenset(), []
    kinds = sorted(set(ASSETS.values()))
    wanted = [Gate(name=f"one.{kind}", job="data", concerns=(kind,), metric="accuracy", min=0.5) for kind in kinds]
    wanted += [
        Gate(name=f"two.{a}.{b}", job="data", concerns=(a, b), metric="cost", max=1)
        for a, b in itertools.permutations(kinds, 2)
    ]
    for a in kinds:
        for version in concerned(world, a):
            world.measure([version])
            for b in kinds:
                for other in concerned(world, b) - {version}:
                    world.measure([version, other], metric="cost", value=0.3)

    def about(signal: Signal) -> tuple[str, ...]:
        """What a gate asks to be measured: the version, and the ones that it is measured together with."""
        assert signal.subject is not None
        others = (v for kind in signal.gate.concerns[1:] for v in sorted(concerned(world, kind)))
        return (signal.gate.name, signal.subject.id, *others)

    before = {about(signal): signal.state for signal in world.signals(wanted) if signal.subject}
    assume("clear" in before.values())
    world.change(asset)
    for signal in world.signals(wanted):
        if signal.subject is None:
            continue
        if about(signal) in before:
            assert signal.state == before[about(signal)]
        elif world.now(asset) in about(signal):
            assert signal.state == "dark"


@given(worlds(), some_gates(), st.sampled_from([0.0, 0.3, 0.6, 1.0]))
def test_a_new_threshold_needs_no_new_measurement(world: World, wanted: list[Gate], least: float) -> None:
    other = [gate.model_copy(update={"min": least, "max": None, "days": None, "min_n": None}) for gate in wanted]
    for before, after in zip(world.signals(wanted), world.signals(other), strict=True):
        if len(before.gate.concerns) > 1:
            continue  # the signal is that of the worst combination, which may be another one under another threshold
        assert after.attempts == before.attempts
        if before.measurement is not None and before.measurement.value is not None:
            assert after.measurement is before.measurement
            assert (after.state == "stop") == (before.measurement.value < least)


def test_an_older_easier_suite_never_counts() -> None:
    world = World(("reply",))
    gate = Gate.model_validate(
        {"name": "good", "job": "prompts", "concerns": "prompt", "metric": "accuracy", "min": 0.8, "with": "suite/easy"}
    )
    world.measure([world.now("reply")], instruments=frozenset(["suite/easy@1"]), value=0.99)
    (signal,) = world.signals([gate])
    assert (signal.state, signal.why) == ("dark", "instrument")
    assert signal.facts == {"measured": ["suite/easy@1"], "now": ["suite/easy@2"]}
    world.measure([world.now("reply")], value=0.7)
    assert [s.state for s in world.signals([gate])] == ["stop"]
    world.measure([world.now("reply")], instruments=frozenset(["suite/easy@1"]), value=0.99)
    assert [s.state for s in world.signals([gate])] == ["stop"]


def test_the_latest_counts_and_not_the_best_and_a_part_of_the_cases_never() -> None:
    world = World(("reply",))
    gate = Gate(name="good", job="prompts", concerns=("prompt",), metric="accuracy", min=0.8)
    for value, complete in ((0.95, True), (0.5, True), (0.99, False)):
        world.measure([world.now("reply")], value=value, complete=complete)
    (signal,) = world.signals([gate])
    assert (signal.state, signal.attempts, signal.measurement) == ("stop", 2, world.measured[1])


def test_what_a_run_took_from_the_record_counts_again_as_the_latest() -> None:
    world = World(("reply",))
    gate = Gate(name="good", job="prompts", concerns=("prompt",), metric="accuracy", min=0.8, days=10)
    strict = world.measure([world.now("reply")], value=0.5)
    world.measure([world.now("reply")], value=0.9)
    assert [s.state for s in world.signals([gate])] == ["clear"]
    world.measured[0] = replace(strict, met=(NOW + timedelta(hours=1)).isoformat(timespec="microseconds"))
    assert [(s.state, s.attempts) for s in world.signals([gate])] == [("stop", 2)]


def test_what_says_that_it_was_measured_in_days_to_come_does_not_count() -> None:
    world = World(("reply",))
    gate = Gate(name="good", job="prompts", concerns=("prompt",), metric="accuracy", min=0.8)
    world.measure([world.now("reply")], value=0.5)
    ahead = world.measure([world.now("reply")], value=0.9)
    world.measured[1] = replace(ahead, created=(NOW + timedelta(days=30)).isoformat(timespec="microseconds"))
    assert [s.state for s in world.signals([gate])] == ["stop"]


def test_passing_on_fewer_cases_than_those_that_failed_is_caution_at_best() -> None:
    world = World(("reply",))
    gate = Gate(name="good", job="prompts", concerns=("prompt",), metric="accuracy", min=0.8)
    for value, n, state in ((0.9, 10, "clear"), (0.5, 50, "stop"), (0.9, 49, "caution"), (0.9, 50, "clear")):
        world.measure([world.now("reply")], value=value, n=n)
        (signal,) = world.signals([gate])
        assert signal.state == state
        assert state != "caution" or (signal.why, signal.facts) == ("fewer", {"n": 49, "more": 50})


def test_one_of_two_models_that_was_not_measured_leaves_the_gate_dark_unless_the_gate_names_the_other() -> None:
    world = World(("reply", "writer", "judge"))
    both = Gate(name="good", job="prompts", concerns=("prompt", "model"), metric="accuracy", min=0.8)
    world.measure([world.now("reply"), world.now("writer")])
    (signal,) = world.signals([both])
    assert (signal.state, signal.why, signal.facts["now"]) == ("dark", "others", ["model/judge@1"])
    one = both.model_copy(update={"among": {"model": "writer"}})
    assert [s.state for s in world.signals([one])] == ["clear"]
    world.change("judge")
    assert [s.state for s in world.signals([one])] == ["clear"]


def test_what_was_measured_with_another_version_than_runs_now_says_both() -> None:
    world = World(("reply", "writer"))
    gate = Gate(name="good", job="prompts", concerns=("prompt",), metric="accuracy", min=0.8)
    world.measure([world.now("reply"), world.now("writer")])
    assert [s.state for s in world.signals([gate])] == ["clear"]
    world.change("writer")
    (signal,) = world.signals([gate])
    assert (signal.why, signal.facts) == ("others", {"measured": ["model/writer@1"], "now": ["model/writer@2"]})


def test_a_signal_on_what_a_provider_may_change_is_caution_at_best_but_what_is_read_from_the_record_is_not() -> None:
    world = World(("writer",), loose=frozenset(["model/writer@1"]))
    gate = Gate(name="good", job="models", concerns=("model",), metric="accuracy", min=0.8)
    world.measure([world.now("writer")])
    assert [(s.state, s.why) for s in world.signals([gate])] == [("caution", "unpinned")]
    world.measured = [replace(world.measured[0], run="")]
    assert [s.state for s in world.signals([gate])] == ["clear"]


def test_what_is_bound_and_not_in_the_record_is_dark() -> None:
    gate = Gate(name="good", job="data", concerns=("dataset",), metric="accuracy", min=0.8)
    frontier = {"dataset": [Subject("", "dataset/new@7", "dataset", "new", missing=True)]}
    (signal,) = gates.signals([gate], Candidate(frontier), [], [], NOW)
    assert (signal.state, signal.why, signal.facts) == ("dark", "unbound", {"reference": "dataset/new@7"})


others = st.sampled_from([{"max": 0.9}, {"metric": "accuracy"}, {"days": None}, {"min_n": 9}, {"with_": ("suite/easy",)}])


@st.composite
def waived(draw: st.DrawFn) -> tuple[World, Gate, Waiver]:
    world = World(("faq", "mails"))
    gate = Gate(name="few", job="data", concerns=("dataset",), metric="cost", max=0.5, days=10, severity="error")
    for asset in ("faq", "mails"):
        world.measure([world.now(asset)], metric="cost", value=draw(values), age=draw(st.sampled_from([0.0, 20.0])))
    waiver = Waiver(
        id="w", gate=draw(st.sampled_from(["few", "other"])), asset=draw(st.sampled_from(["dataset/faq", "dataset/x"])),
        state=draw(st.sampled_from(["caution", "stop"])), value=draw(values), person="Anna", reason="because",
        asks=draw(st.sampled_from([gate.asks, gate.asks, gate.asks, gate.model_copy(update=draw(others)).asks])),
        until=(NOW + timedelta(days=draw(st.sampled_from([-1, 1])))).isoformat(),
    )  # fmt: skip
    return world, gate, waiver


@settings(max_examples=200)
@given(waived())
def test_a_waiver_lets_pass_only_what_it_was_given_for(drawn: tuple[World, Gate, Waiver]) -> None:
    world, gate, waiver = drawn
    for bare, signal in zip(world.signals([gate]), world.signals([gate], [waiver]), strict=True):
        assert signal.subject is not None
        meant = waiver.gate == "few" and waiver.asset == f"dataset/{signal.subject.name}" and waiver.until > NOW.isoformat()
        meant = meant and waiver.asks == gate.asks
        value = bare.measurement.value if bare.measurement else None
        no_worse = waiver.state == "stop" and None not in (waiver.value, value) and value <= max(waiver.value, 0.5)
        covered = meant and (bare.state == "caution" or (bare.state == "stop" and no_worse))
        assert (signal.waiver is waiver) == covered
        assert signal.passes == (bare.state == "clear" or covered)
        assert signal.state == ("caution" if covered else bare.state)
        assert signal.measurement == bare.measurement


def test_a_gate_of_severity_warn_blocks_nothing_and_shows_its_state() -> None:
    gate = Gate(name="kept", job="data", concerns=("dataset",), metric="accuracy", min=1, severity="warn")
    world = World(("faq",))
    world.measure([world.now("faq")], value=0.1)
    assert [(s.state, s.passes) for s in world.signals([gate])] == [("stop", True)]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "give min or max"),
        ({"min": 2, "max": 1}, "no value could be inside"),
        ({"min": 1, "among": {"model": "writer"}}, "not among the kinds"),
        ({"min": float("nan")}, "finite"),
    ],
)
def test_a_gate_that_could_never_hold_is_a_mistake(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Gate.model_validate({"name": "good", "job": "data", "concerns": "dataset", "metric": "accuracy", **wrong})
