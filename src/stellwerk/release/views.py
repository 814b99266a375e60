"""A standing as the operations answer it: lines for tables, JUnit XML for CI, and what a decision has to name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from xml.etree import ElementTree

from stellwerk.errors import UserError
from stellwerk.gates import Signal
from stellwerk.jobs import JOBS
from stellwerk.record.record import Record, Version
from stellwerk.release import verdict
from stellwerk.release.reports import (
    Decided,
    NotRequired,
    Registered,
    SignalLine,
    SignalsReport,
    SystemSignals,
    WaiverLine,
)
from stellwerk.report.words import word
from stellwerk.run import Run
from stellwerk.standing import decisions, defaults, words
from stellwerk.standing.derived import missing_facts
from stellwerk.standing.standing import Standing, standing
from stellwerk.workspace import Workspace

NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def system(stands: Standing) -> SystemSignals:
    """All that `stellwerk signals` says of a system."""
    return SystemSignals(
        system=stands.name,
        title=stands.spec.title,
        sentence=verdict.sentence(stands),
        releasable=stands.releasable,
        jobs={job: state or "not required" for job, state in stands.by_job(job.name for job in JOBS).items()},
        signals=[line(signal, stands.candidate.names) for signal in stands.signals],
        overridden=[NotRequired(gate=name, reason=reason) for name, reason in sorted(stands.overridden.items())],
        not_required=[NotRequired(gate=name, reason=reason) for name, reason in sorted(stands.not_required.items())],
        reasons=stands.reasons,
    )


def line(signal: Signal, names: Mapping[str, str]) -> SignalLine:
    """One signal."""
    m, w = signal.measurement, signal.waiver
    return SignalLine(
        gate=signal.gate.name,
        title=words.gate_title(signal.gate),
        job=signal.gate.job,
        subject=signal.subject.ref if signal.subject else None,
        state=signal.state,
        word=word(signal.state),
        passes=signal.passes,
        severity=signal.gate.severity,
        metric=signal.gate.metric,
        value=m.value if m else None,
        low=m.low if m else None,
        high=m.high if m else None,
        n=m.n if m else None,
        unit=m.unit if m else "",
        threshold=words.threshold(signal.gate, "en", m.unit if m else ""),
        why=signal.why,
        reason=words.reason(signal),
        attempts=signal.attempts,
        measured=m.created if m else None,
        run=m.run[:8] or None if m else None,
        instruments=sorted(names.get(key, key[:8]) for key in m.instruments) if m else [],
        waiver=WaiverLine(person=w.person, authenticated=w.authenticated, reason=w.reason, until=w.until) if w else None,
    )


def report(found: Sequence[SystemSignals], broken: Sequence[str]) -> SignalsReport:
    """What is said of several systems."""
    free = sum(one.releasable for one in found)
    total = len(found) + len(broken)
    if not total:
        sentence = "there is no AI system yet; write systems/NAME.yaml"
    elif total == 1 and found:
        sentence = found[0].sentence
    else:
        stopped = [one.sentence for one in found if not one.releasable]
        sentence = "; ".join([f"{free} of {total} systems can be released", *stopped])
    return SignalsReport(sentence=sentence, systems=list(found), broken=list(broken))


def junit(found: SignalsReport) -> str:
    """JUnit XML: a suite for each system, a case for each signal; what does not pass failed, what is waived was skipped."""
    root = ElementTree.Element("testsuites", name="stellwerk signals")
    for one in found.systems:
        suite = ElementTree.SubElement(root, "testsuite", name=one.system)
        for signal in one.signals:
            case = _case(suite, signal.job, " ".join(filter(None, (signal.gate, signal.subject))))
            said = f"{signal.word}: {signal.reason}"
            if not signal.passes:
                ElementTree.SubElement(case, "failure", type=signal.state, message=_text(said))
            elif signal.state != "clear":
                ElementTree.SubElement(case, "skipped", message=_text(said))
        for left in one.not_required:
            ElementTree.SubElement(_case(suite, "not required", left.gate), "skipped", message=_text(left.reason))
        if not one.releasable and all(signal.passes for signal in one.signals):
            failure = ElementTree.SubElement(_case(suite, one.system, "release"), "failure", type="refused")
            failure.set("message", _text("; ".join(one.reasons)))
        _count(suite)
    for sentence in found.broken:
        suite = ElementTree.SubElement(root, "testsuite", name=_text(sentence.partition(":")[0]))
        ElementTree.SubElement(_case(suite, "system", "file"), "error", type="mistake", message=_text(sentence))
        _count(suite)
    _count(root)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def to_waive(stands: Standing, gate: str, asset: str | None) -> Signal:
    """The signal that a waiver is for.

    Raises:
        UserError: there is no such gate, it concerns more than one asset, or it is neither at caution nor stopped.
    """
    of_gate = [signal for signal in stands.signals if signal.gate.name == gate]
    if not of_gate:
        names = sorted({signal.gate.name for signal in stands.signals})
        near = difflib.get_close_matches(gate, names, 1, 0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names)}"
        raise UserError(f"{stands.name} has no gate {gate!r}; {hint}")
    here = {_asset(signal): signal for signal in of_gate if signal.subject}
    if asset is not None and asset not in here:
        raise UserError(f"{gate} does not concern {asset!r}; it concerns: {', '.join(sorted(here)) or 'nothing that is bound'}")
    open_ = [s for s in of_gate if s.state in ("caution", "stop") and asset in (None, _asset(s))]
    if len({_asset(signal) for signal in open_}) > 1:
        raise UserError(f"{gate} concerns {words.listed(sorted(map(_asset, open_)))}; say which with --asset")
    if not open_:
        signal = here[asset] if asset is not None else of_gate[0]
        why = "there is nothing to waive" if signal.state == "clear" else "no evidence cannot be waived; have it measured first"
        raise UserError(f"{gate} is {words.STATES[signal.state]} ({words.reason(signal)}): {why}")
    return open_[0]


def check_role(stands: Standing, role: str) -> None:
    """Refuse a signature that nobody asks for, or for versions that are not there.

    Raises:
        UserError: the system's file does not name the role, or a binding has no version.
    """
    roles = stands.spec.sign_offs
    if role not in roles:
        known = f"there are: {', '.join(roles)}" if roles else "its file names none under sign_offs"
        raise UserError(f"{stands.name} asks for no signature of {role!r}; {known}")
    for one in stands.bound:
        if one.problem:
            raise UserError(f"{stands.name} cannot be signed: {one.reference}: {one.problem}")


def find_decision(record: Record, decision: str, now: datetime) -> dict[str, Any]:
    """A waiver or sign-off that holds now, by the first digits of its id.

    Raises:
        UserError: none begins so, or several do.
    """
    found = decisions.holding(record, None, now)
    chosen = found[-1:] if decision == "latest" else [row for row in found if decision and row["id"].startswith(decision)]
    if len(chosen) != 1:
        several = "more than one decision that holds begins" if chosen else "no decision that holds begins"
        raise UserError(f"{several} with {decision!r}; see them with: stellwerk release decisions SYSTEM")
    return chosen[0]


def decided(workspace: Workspace, name: str, row: Mapping[str, Any], message: str) -> Decided:
    """A decision, and how the system stands after it."""
    try:
        stands = standing(workspace, name)
    except UserError as error:  # the file may be gone or wrong, and the decision holds all the same
        return Decided(id=row["id"][:8], message=message, releasable=False, sentence=str(error))
    return Decided(id=row["id"][:8], message=message, releasable=stands.releasable, sentence=verdict.sentence(stands))


def registered(version: Version, run: Run) -> Registered:
    """A service that was registered, and what is not yet known of it."""
    sets = {name: there[-1] for name, there in defaults.sets().items()}
    missing = {words.fact_word(fact) for metric in sets for fact in missing_facts(version, metric, sets)}
    message = (
        f"made {version.ref}" if version.run == run.id else f"this is {version.ref}; what is known of it was brought up to date"
    )
    return Registered(
        version=version.ref,
        message=message if run.done else f"nothing changed: this is still {version.ref}",
        missing=sorted(missing),
    )


def _asset(signal: Signal) -> str:
    return f"{signal.subject.kind}/{signal.subject.name}" if signal.subject else ""


def _case(suite: ElementTree.Element, classname: str, name: str) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", classname=_text(classname), name=_text(name))


def _count(element: ElementTree.Element) -> None:
    for name, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(name, str(sum(1 for _ in element.iter(tag))))


def _text(value: str) -> str:
    """Text without the characters that XML cannot hold."""
    return NOT_XML.sub("�", value)
