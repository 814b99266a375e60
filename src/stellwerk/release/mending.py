"""What would clear a system: the runs that bring evidence back, their expected time and cost, and what only a person can do.

A run is named where evidence is missing, stale or too old, and the gate says which operation measures it. What stands outside
its threshold is not measured again: somebody has to change it, or to take it on. Starts nothing but in `start`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from stellwerk.errors import StellwerkError, UserError
from stellwerk.gates import Signal, State
from stellwerk.operation import FileRef, Operation, Parameter, Ref, Spec, find
from stellwerk.record.journal import canonical
from stellwerk.release import advice
from stellwerk.report.words import Language
from stellwerk.run import Interrupted
from stellwerk.runs import execution, planning, queue
from stellwerk.runs.planning import Estimate
from stellwerk.standing import words
from stellwerk.standing.standing import Standing
from stellwerk.workspace import Workspace

RUN_HELPS = ("never", "older", "others", "definition", "instrument", "incomplete", "expired", "unbound")


@dataclass(frozen=True)
class Mend:
    """One thing that is not clear, and what would bring it back.

    Attributes:
        gate: its name; empty where it is a signature, a binding or any gate that is missing.
        subject: the version, or the reference or role that is missing.
        state: of the signal.
        why: as a word for machines.
        reason: as a sentence.
        blocks: whether a release is refused for it.
        operation: the run that brings it back; None where no run does.
        values: of that run.
        seconds: what it is expected to take; None where nothing is known.
        money: what it is expected to cost, by currency; empty where nothing is known.
        person: what a person has to do; None where a run is enough.
        waive: the command that lets it pass until a date, where it may be waived.
    """

    gate: str
    subject: str | None
    state: State
    why: str
    reason: str
    blocks: bool
    operation: str | None
    values: dict[str, str]
    seconds: Estimate | None
    person: str | None
    waive: str | None = None
    money: tuple[Estimate, ...] = ()


@dataclass(frozen=True)
class Started:
    """A run that was started.

    Attributes:
        state: queued, done or failed.
        error: why it failed.
    """

    operation: str
    values: dict[str, str]
    run: str
    state: str
    error: str | None = None


def mends(workspace: Workspace, standing: Standing, language: Language = "en", *, timed: bool = True) -> list[Mend]:
    """What is not clear and not waived, worst first, and what would bring each back.

    Args:
        workspace: of the system.
        standing: of the system.
        language: of reasons and of what a person has to do.
        timed: whether to estimate how long each run takes.
    """
    times: dict[bytes, list[Estimate]] = {}
    found = []
    todo = [signal for signal in standing.signals if signal.state != "clear" and signal.waiver is None]
    making = {_missing(signal): calls for signal in todo if _missing(signal) and (calls := _calls(workspace, standing, signal))}
    for signal in todo:
        calls = making.get(_missing(signal)) or _calls(workspace, standing, signal)
        found += [
            _mend(workspace if timed else None, signal, operation, values, times, language) for operation, values in calls
        ]
        if not calls:
            found.append(_by_person(workspace, standing, signal, language))
    known = {mend.subject for mend in found}
    for one in standing.bound:
        if one.problem and one.reference not in known:
            said = advice.bind(one.reference, language)
            found.append(Mend("", one.reference, "dark", "unbound", one.problem, True, None, {}, None, said))
    if standing.ungated:
        said = advice.gates(standing.name, language)
        found.append(Mend("", standing.name, "dark", "ungated", words.UNGATED[language], True, None, {}, None, said))
    for role in standing.unsigned:
        said = advice.sign(standing.name, role, language)
        found.append(Mend("", role, "dark", "unsigned", advice.unsigned(role, language), True, None, {}, None, said))
    return found


def apart(found: Iterable[Mend]) -> list[Mend]:
    """Those that a run mends, each run once: several signals may need the same one."""
    return list({_key(m.operation, m.values): m for m in reversed(list(found)) if m.operation}.values())[::-1]


def start(workspace: Workspace, found: Iterable[Mend]) -> Iterator[Started]:
    """Do the runs of some mends one after the other, or queue them for whoever does not wait; one that fails stops no other."""
    for mend in apart(found):
        assert mend.operation is not None
        entry = find(mend.operation)
        run = ""
        try:
            if workspace.background:
                run = queue.enqueue(workspace, entry, mend.values)
                yield Started(mend.operation, mend.values, run, "queued")
                continue
            run = execution.submit(workspace, entry, mend.values)
            execution.execute(workspace, run, mend.values, workspace.listener)
            yield Started(mend.operation, mend.values, run, "done")
        except Interrupted:
            raise
        except StellwerkError as error:
            yield Started(mend.operation, mend.values, run, "failed", str(error))


def _mend(
    workspace: Workspace | None, signal: Signal, operation: Operation, values: dict[str, str],
    times: dict[bytes, list[Estimate]], language: Language,
) -> Mend:  # fmt: skip
    key = _key(operation.path, values)
    if key not in times:
        times[key] = _expected(workspace, operation, values) if workspace is not None else []
    seconds = next((one for one in times[key] if one.what == "time"), None)
    money = tuple(one for one in times[key] if one.what == "money")
    return replace(_of(signal, language, operation=operation.path, values=values, seconds=seconds), money=money)


def _by_person(workspace: Workspace, standing: Standing, signal: Signal, language: Language) -> Mend:
    by, file = _described(workspace, signal)
    waive = advice.waive(standing.name, signal, language) if signal.state in ("stop", "caution") else None
    return replace(_of(signal, language, person=advice.of(standing, signal, by, file, language)), waive=waive)


def _of(
    signal: Signal, language: Language, *, operation: str | None = None, values: Mapping[str, str] | None = None,
    seconds: Estimate | None = None, person: str | None = None,
) -> Mend:  # fmt: skip
    return Mend(
        gate=signal.gate.name, subject=signal.subject.ref if signal.subject else None, state=signal.state, why=signal.why,
        reason=words.reason(signal, language), blocks=not signal.passes, operation=operation, values=dict(values or {}),
        seconds=seconds, person=person,
    )  # fmt: skip


def _calls(workspace: Workspace, standing: Standing, signal: Signal) -> list[tuple[Operation, dict[str, str]]]:
    """The calls that measure anew what a signal is about; none where no run helps, or where it is not known which."""
    subject, m = signal.subject, signal.measurement
    older = m is not None and subject is not None and bool(m.run) and _made(standing, subject.id) > m.created
    if subject is None or not (signal.why in RUN_HELPS or older):
        return []
    return next(filter(None, (_calls_of(workspace, standing, signal, one) for one in _measuring(signal))), [])


def _calls_of(
    workspace: Workspace, standing: Standing, signal: Signal, operation: Operation
) -> list[tuple[Operation, dict[str, str]]]:
    """The calls of one operation; none where a parameter that it needs does not follow from the signal."""
    options: dict[str, list[str]] = {}
    for name, parameter in operation.parameters.items():
        values = _values(workspace, standing, signal, parameter)
        if values:
            options[name] = values
        elif parameter.required:
            return []
    several = itertools.product(*options.values()) if operation.kind == "run" else ()
    return [(operation, dict(zip(options, chosen, strict=True))) for chosen in several]


def _measuring(signal: Signal) -> Iterator[Operation]:
    """The operations that measure what a gate asks for, as far as their jobs are installed here."""
    for path in signal.gate.by:
        with suppress(UserError):
            yield find(path)


def _described(workspace: Workspace, signal: Signal) -> tuple[str, str]:
    """The operation that measures what a gate asks for, and the file of the asset that it reads; empty where there is none.

    Of several operations it is the first of which there is such a file, or the last one.
    """
    by, file = signal.gate.by[-1] if signal.gate.by else "", ""
    for operation in _measuring(signal) if signal.subject is not None else ():
        marker = operation.subject.marker if operation.subject is not None else None
        folder = marker.folder if isinstance(marker, Spec) else marker.specs if isinstance(marker, Ref) else None
        suffix = marker.suffix if isinstance(marker, FileRef) else ".yaml"
        if folder is not None and signal.subject is not None:
            by, file = operation.path, f"{folder}/{signal.subject.name}{suffix}"
            if signal.subject.name in workspace.specs(folder, suffix):
                break
    return by, file


def _missing(signal: Signal) -> str | None:
    """What the signal is about, where that is to be made first."""
    return signal.subject.ref if signal.subject and signal.subject.missing else None


def _values(workspace: Workspace, standing: Standing, signal: Signal, parameter: Parameter) -> list[str]:
    """What a parameter is to be so that the run measures what the signal is about; several where it is bound with several."""
    gate, subject, marker = signal.gate, signal.subject, parameter.marker
    assert subject is not None
    if isinstance(marker, Ref):
        if marker.kind == subject.kind and isinstance(marker, FileRef) and subject.missing:
            return [subject.name] if "@" not in subject.ref and _has_file(workspace, marker, subject.name) else []
        if marker.kind == subject.kind and not isinstance(marker, FileRef):
            there = marker.specs is None or subject.name in workspace.specs(marker.specs)
            return [_short(subject.ref)] if there and not subject.missing else []
        if marker.kind == subject.kind:
            return [_short(subject.ref)]
        if marker.kind in gate.concerns[1:]:
            asset = gate.among.get(marker.kind)
            others = standing.candidate.frontier.get(marker.kind, ())
            return [_short(s.ref) for s in others if not s.missing and asset in (None, s.name)]
        named = [r for r in gate.with_ if r.startswith(f"{marker.kind}/")]
        return [_short(standing.candidate.names.get(standing.candidate.instruments.get(r) or "", r)) for r in named[:1]]
    if isinstance(marker, Spec) and subject.name in workspace.specs(marker.folder):
        return [subject.name] if _is_latest(workspace, standing, signal) else []
    return []


def _has_file(workspace: Workspace, marker: FileRef, name: str) -> bool:
    return name in workspace.specs(marker.specs or "", marker.suffix)


def _is_latest(workspace: Workspace, standing: Standing, signal: Signal) -> bool:
    """Whether a run from the asset's file concerns the version that is bound: an older one is not made again."""
    subject = signal.subject
    assert subject is not None
    if subject.missing:
        return "@" not in subject.ref
    latest = workspace.record.latest(subject.kind, subject.name)
    return latest is not None and latest.id == subject.id


def _made(standing: Standing, version: str) -> str:
    return next((v.created for v in standing.closure if v.id == version), "")


def _expected(workspace: Workspace, operation: Operation, values: Mapping[str, str]) -> list[Estimate]:
    subject = values.get(operation.subject.name) if operation.subject else None
    return planning.plan(workspace, operation, subject).estimates


def _short(ref: str) -> str:
    """`tickets@4` for `dataset/tickets@4`: the parameter says the kind."""
    return ref.partition("/")[2]


def _key(operation: str | None, values: Mapping[str, str]) -> bytes:
    return canonical([operation, values])
