"""Gates: measurements and thresholds become signals. Pure: knows no database, no file and no clock.

A gate asks for a measurement of a kind of asset, and says what its value may be. It is `clear` only if the latest complete
measurement inside the threshold was taken on exactly what the candidate binds, or on what that descends from, with the
instruments that the gate names. Everything else has a state and a reason of its own, so that nobody has to guess.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

State = Literal["clear", "stop", "caution", "dark"]
WORST: dict[State, int] = {"clear": 0, "caution": 1, "dark": 2, "stop": 3}
AHEAD = timedelta(days=1)  # by which clocks of machines may differ
NAME = r"^[a-z0-9][a-z0-9_.-]{0,99}$"

Why = Literal[
    "inside",  # clear
    "outside",  # stop
    "interval", "few", "fewer", "expired", "unpinned", "waived",  # caution
    "never", "older", "instrument", "definition", "others", "incomplete", "no_value",  # dark
    "nothing", "unresolved", "unbound",  # dark, since the candidate lacks something
]  # fmt: skip


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_listed, json_schema_input_type=tuple[str, ...] | str)]


class Gate(BaseModel):
    """A required measurement and its threshold; `min` and `max` are inclusive."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: str = Field(pattern=NAME, description="such as data.tests")
    job: str = Field(description="whose signal it is: data, prompts, models, training, security, ethics, cloud or strategy")
    concerns: Names = Field(
        min_length=1, description="kinds of assets that are measured together; there is a signal for each version of the first"
    )
    asset: str | None = Field(None, description="of the first kind, only the asset of this name")
    among: dict[str, str] = Field(
        {}, description="of another kind, only the asset of this name: {model: writer} where several models are bound"
    )
    metric: str
    metric_version: int = Field(1, ge=1, description="of the metric's definition")
    min: float | None = Field(None, allow_inf_nan=False)
    max: float | None = Field(None, allow_inf_nan=False)
    min_n: int | None = Field(None, ge=1, description="cases that it has to rest on")
    with_: Names = Field((), alias="with", description="instruments, such as suite/support@2; without a number the latest")
    days: float | None = Field(None, gt=0, allow_inf_nan=False, description="how old it may be")
    severity: Literal["error", "warn"] = Field("error", description="a gate of severity warn is shown and blocks nothing")
    by: Names = Field(
        (), description="the operation that measures it, such as data.test; of several, the first that reads a file of it"
    )
    title: dict[Literal["en", "de"], str] = Field({}, description="what it asks for, in words")

    @model_validator(mode="after")
    def _has_a_threshold(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("give min or max, the value that it may have at least or at most")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}, so no value could be inside")
        if unknown := self.among.keys() - set(self.concerns[1:]):
            raise ValueError(f"among names {min(unknown)}, which is not among the kinds that are measured together")
        return self

    @property
    def asks(self) -> dict[str, Any]:
        """What it asks for; where that changes, a waiver that was given before holds no longer."""
        return self.model_dump(mode="json", by_alias=True, exclude={"name", "job", "severity", "by", "title"})

    def holds(self, value: float) -> bool:
        """Whether a value is inside the threshold."""
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)

    def distance(self, value: float) -> float:
        """How far a value is outside the threshold, in its own unit; 0 where it is inside."""
        below = self.min - value if self.min is not None else 0.0
        above = value - self.max if self.max is not None else 0.0
        return max(below, above, 0.0)


@dataclass(frozen=True)
class Subject:
    """A version that is measured.

    Attributes:
        ref: `kind/name@number`.
        pinned: False for what its provider can change without a new version, such as a hosted model.
        missing: whether the candidate binds it and the record has no such version.
    """

    id: str
    ref: str
    kind: str
    name: str
    pinned: bool = True
    missing: bool = False


@dataclass(frozen=True)
class Measured:
    """A measurement, as the record has it.

    Attributes:
        low: lower bound of the interval; None where it is a count of all there is.
        complete: False for a run on part of the cases.
        subjects: ids of the versions that were measured.
        instruments: ids of the versions that it was measured with.
        created: ISO 8601 in UTC.
        run: that took it; empty for what was read from the record itself.
        met: when a run last came to just this, by doing the step or by taking it from the record; `created` if left out.
    """

    id: str
    metric: str
    metric_version: int
    value: float | None
    low: float | None
    high: float | None
    n: int | None
    unit: str
    complete: bool
    subjects: frozenset[str]
    instruments: frozenset[str]
    created: str
    run: str = ""
    met: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def order(self) -> tuple[str, str]:
        """The greatest is the latest."""
        return (self.met or self.created, self.id)


@dataclass(frozen=True)
class Waiver:
    """A named person lets a caution or a stop pass until a date.

    Attributes:
        asset: `kind/name` of the subject that it was given for.
        asks: what the gate asked for then.
        state: that it was given for; one for a caution lets no stop pass.
        value: that it was given for; a worse one is not covered.
        until: ISO 8601 in UTC.
    """

    id: str
    gate: str
    asset: str
    state: State
    value: float | None
    person: str
    reason: str
    until: str
    asks: Mapping[str, Any]
    authenticated: bool = False


@dataclass(frozen=True)
class Candidate:
    """What would be released now, with all that a judgement needs.

    Attributes:
        frontier: for each kind, the versions that are bound, or else the nearest ones that those descend from.
        names: what versions are called, for the reasons: id to ref, of any version that was measured.
        instruments: for each reference that a gate names, the id of its version; None where there is none.
    """

    frontier: Mapping[str, Sequence[Subject]]
    names: Mapping[str, str] = field(default_factory=dict)
    instruments: Mapping[str, str | None] = field(default_factory=dict)

    @functools.cached_property
    def versions(self) -> frozenset[str]:
        """The ids of all that a measurement may have been taken on in order to count."""
        return frozenset(s.id for subjects in self.frontier.values() for s in subjects)

    def called(self, versions: Iterable[str]) -> list[str]:
        """What versions are called, sorted."""
        return sorted(self.names.get(key, key[:8]) for key in versions)


@dataclass(frozen=True)
class Signal:
    """The state of a gate for one version that it concerns.

    Attributes:
        subject: None where the candidate has nothing of the kind.
        why: the reason, as a word for machines; `facts` holds what a sentence about it names.
        measurement: the one that counts; None where there is none.
        attempts: how many complete measurements there are of just this.
        waiver: that lets it pass.
    """

    gate: Gate
    subject: Subject | None
    state: State
    why: Why
    facts: Mapping[str, Any] = field(default_factory=dict)
    measurement: Measured | None = None
    attempts: int = 0
    waiver: Waiver | None = None

    @property
    def passes(self) -> bool:
        """Whether a release is granted as far as this goes."""
        return self.state == "clear" or self.waiver is not None or self.gate.severity == "warn"


def nearest(bound: Iterable[str], kinds: Mapping[str, str], above: Mapping[str, Iterable[str]], kind: str) -> set[str]:
    """The versions of a kind that those which are bound rest on: on each way up the lineage, the first one of that kind.

    `kinds` holds the kind of each version, `above` the versions that each was made from; all are named by their ids.
    """
    found: set[str] = set()
    seen: set[str] = set()
    todo = list(bound)
    while todo:
        version = todo.pop()
        if version in seen:
            continue
        seen.add(version)
        if kinds.get(version) == kind:
            found.add(version)
        else:
            todo.extend(above.get(version, ()))
    return found


def signals(
    gates: Sequence[Gate], candidate: Candidate, measured: Sequence[Measured], waivers: Sequence[Waiver], now: datetime
) -> list[Signal]:
    """The signals of a candidate: for each gate, one for each version that it concerns.

    Args:
        gates: of the system.
        candidate: that is judged.
        measured: all measurements of those metrics on the versions of the frontier, and on others that reasons are to name.
        waivers: those that were not revoked.
        now: with time zone.
    """
    found = []
    on: dict[tuple[str, str], list[Measured]] = {}
    # One that says it is of a day to come, by a wrong clock or an import, would outlast every later one.
    latest = (now + AHEAD).astimezone(UTC).isoformat()
    for m in (m for m in measured if m.created <= latest):
        for version in m.subjects:
            on.setdefault((m.metric, version), []).append(m)
    for gate in gates:
        concerned = [s for s in candidate.frontier.get(gate.concerns[0], ()) if gate.asset in (None, s.name)]
        for subject in concerned:
            signal = _judge(gate, subject, candidate, on.get((gate.metric, subject.id), ()), now)
            if signal.why == "never" and (last := _last(gate, subject, candidate, on)):
                signal = replace(signal, why="older", facts={"measured": last, "now": subject.ref})
            found.append(_waive(signal, waivers, now))
        if not concerned:
            found.append(Signal(gate, None, "dark", "nothing", {"kind": gate.concerns[0], "asset": gate.asset}))
    return found


def worst(states: Iterable[State]) -> State | None:
    """The worst of some states; None where there is none."""
    return max(states, key=WORST.__getitem__, default=None)


def _judge(gate: Gate, subject: Subject, candidate: Candidate, measured: Sequence[Measured], now: datetime) -> Signal:
    """The signal for one version, from what was measured on it: the worst over all that it is to be measured together with."""
    if subject.missing:
        return Signal(gate, subject, "dark", "unbound", {"reference": subject.ref})
    if missing := [name for name in gate.with_ if candidate.instruments.get(name) is None]:
        return Signal(gate, subject, "dark", "unresolved", {"instrument": missing[0]})
    partners = []
    for kind in gate.concerns[1:]:
        asset = gate.among.get(kind)
        partners.append([s for s in candidate.frontier.get(kind, ()) if asset in (None, s.name)])
        if not partners[-1]:
            return Signal(gate, subject, "dark", "nothing", {"kind": kind, "asset": asset})
    found = [_judge_together(gate, (subject, *others), candidate, measured, now) for others in itertools.product(*partners)]
    return max(found, key=lambda signal: WORST[signal.state])


def _judge_together(
    gate: Gate, subjects: Sequence[Subject], candidate: Candidate, measured: Sequence[Measured], now: datetime
) -> Signal:
    """The signal for versions that are measured together, of which the first is what it is about."""
    wanted = {s.id for s in subjects}
    instruments = {key for name in gate.with_ if (key := candidate.instruments.get(name))}
    matching = [
        m for m in measured
        if m.complete and m.metric_version == gate.metric_version
        and wanted <= m.subjects <= candidate.versions and instruments <= m.instruments
    ]  # fmt: skip
    if not matching:
        return Signal(gate, subjects[0], "dark", *_absent(gate, subjects, candidate, measured, instruments))
    latest = max(matching, key=lambda m: m.order)
    return Signal(gate, subjects[0], *_value(gate, subjects, latest, matching, now), latest, len(matching))


def _value(
    gate: Gate, subjects: Sequence[Subject], m: Measured, attempts: Sequence[Measured], now: datetime
) -> tuple[State, Why, dict[str, Any]]:
    """Judge the measurement that counts."""
    if m.value is None:
        return "dark", "no_value", {}
    if not gate.holds(m.value):
        return "stop", "outside", {}
    if any(bound is not None and not gate.holds(bound) for bound in (m.low, m.high)):
        return "caution", "interval", {}
    if gate.min_n is not None and (m.n or 0) < gate.min_n:
        return "caution", "few", {"n": m.n or 0, "wanted": gate.min_n}
    if m.n is not None and (more := max((a.n or 0 for a in attempts if _fails(gate, a)), default=0)) > m.n:
        return "caution", "fewer", {"n": m.n, "more": more}
    if gate.days is not None and datetime.fromisoformat(m.created) + timedelta(days=gate.days) < now:
        return "caution", "expired", {"days": gate.days, "measured": m.created}
    if m.run and (loose := [s.ref for s in subjects if not s.pinned]):
        return "caution", "unpinned", {"subject": loose[0]}
    return "clear", "inside", {}


def _fails(gate: Gate, m: Measured) -> bool:
    return m.value is not None and not gate.holds(m.value)


def _absent(
    gate: Gate, subjects: Sequence[Subject], candidate: Candidate, measured: Sequence[Measured], instruments: set[str]
) -> tuple[Why, dict[str, Any]]:
    """Why nothing of what was measured on a version counts: the nearest miss, so that a person sees what changed."""
    subject, wanted = subjects[0], {s.id for s in subjects}
    for m in sorted((m for m in measured if m.complete), key=lambda m: (m.created, m.id), reverse=True):
        if not wanted <= m.subjects <= candidate.versions:
            gone = candidate.called(m.subjects - {subject.id})
            near = [s for name in gone for s in candidate.frontier.get(name.partition("/")[0], ()) if s != subject]
            return "others", {"measured": gone, "now": sorted({s.ref for s in subjects[1:] or near})}
        if m.metric_version != gate.metric_version:
            return "definition", {"measured": m.metric_version, "now": gate.metric_version}
        if not instruments <= m.instruments:
            return "instrument", {"measured": candidate.called(m.instruments), "now": candidate.called(instruments)}
    return ("incomplete", {}) if measured else ("never", {"now": subject.ref})


def _last(gate: Gate, subject: Subject, candidate: Candidate, on: Mapping[tuple[str, str], Sequence[Measured]]) -> str | None:
    """The version of the same asset that was measured last."""
    asset = f"{subject.kind}/{subject.name}@"
    others = [(key, name) for key, name in candidate.names.items() if name.startswith(asset)]
    return max(((m.created, name) for key, name in others for m in on.get((gate.metric, key), ())), default=(None, None))[1]


def _waive(signal: Signal, waivers: Sequence[Waiver], now: datetime) -> Signal:
    """Let a caution or a stop pass where a person took that on, for what the gate asks and for this value or a better one."""
    if signal.state not in ("caution", "stop") or signal.subject is None:
        return signal
    asset = f"{signal.subject.kind}/{signal.subject.name}"
    for waiver in sorted(waivers, key=lambda w: w.until, reverse=True):
        if (waiver.gate, waiver.asset) == (signal.gate.name, asset) and _covers(waiver, signal, now):
            facts = {**signal.facts, "instead": signal.state, "reason": signal.why}
            return replace(signal, state="caution", why="waived", facts=facts, waiver=waiver)
    return signal


def _covers(waiver: Waiver, signal: Signal, now: datetime) -> bool:
    if datetime.fromisoformat(waiver.until) < now or waiver.asks != signal.gate.asks:
        return False
    if signal.state == "caution":
        return True
    value = signal.measurement.value if signal.measurement else None
    if waiver.state != "stop" or waiver.value is None or value is None:
        return False
    return signal.gate.distance(value) <= signal.gate.distance(waiver.value)
