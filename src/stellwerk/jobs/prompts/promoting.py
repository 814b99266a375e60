"""An alias of a prompt moves only with evidence: each gate that asks for some has to pass for the version it is to point to.

Rolling back is the same: an older version has to pass as well, by what was measured on it. Where nobody asks for anything, the
default gates of prompts do, so that no alias moves on a mere wish.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from stellwerk.errors import UserError
from stellwerk.jobs.prompts import asking as asked
from stellwerk.jobs.prompts.asking import Asking
from stellwerk.jobs.prompts.reports import GateState, Promotion
from stellwerk.llm import prompts
from stellwerk.llm.prompts.versions import KIND
from stellwerk.record.record import asset_id
from stellwerk.standing import words
from stellwerk.standing.derived import FINDINGS, is_derived
from stellwerk.workspace import NAME

if TYPE_CHECKING:
    from stellwerk.gates import Signal
    from stellwerk.record.record import Version
    from stellwerk.run import Run


def promote(run: Run, *, alias: str, system: str | None, reason: str) -> Promotion:
    """Point an alias to the version that the run's parameter `prompt` names, if its gates pass.

    Args:
        run: of the operation.
        alias: such as production.
        system: whose gates have to pass too, beside those of all that bind the alias.
        reason: why, for the record.

    Raises:
        UserError: the alias has a name that means something else, or there is no such system.
    """
    if not NAME.fullmatch(alias) or alias == "latest" or alias.isdecimal():
        raise UserError(
            f"{alias[:60]!r} cannot be an alias; take a word such as production, for numbers and latest name versions"
        )
    version, _ = prompts.take(run, "prompt")
    outcome = run.step(
        f"promote {alias}", decide, inputs=[version], version=version.id, alias=alias, system=system, reason=reason
    )
    return Promotion.model_validate({name: value for name, value in outcome.items() if name != "again"})


def decide(run: Run, *, version: str, alias: str, system: str | None, reason: str) -> dict[str, Any]:
    """Step: judge, and move the alias where all gates pass; never taken from the record, since evidence ages."""
    one = run.version(version)
    now = datetime.now(UTC)
    before = run.record.aliases(one).get(alias)
    states = [(party, signal) for party in asked.asking(run.workspace, one, alias, system, now) for signal in party.signals]
    reasons = [_reason(run, one, party, signal) for party, signal in states if not signal.passes]
    if not any(signal.gate.severity == "error" for _, signal in states):
        reasons.append(
            f"no gate could stop {one.ref}, so its alias would prove nothing; write gates into systems/NAME.yaml, or into the "
            f"prompt's header under metadata.stellwerk.gates"
        )
    moved = not reasons
    if moved:
        run.write(lambda transaction: transaction.move_alias(asset_id(KIND, one.name), alias, one.id, run.id))
    was = run.version(before).ref if before else None
    report = Promotion(
        prompt=one.ref, alias=alias, moved=moved, before=was, now=one.ref if moved else was,
        message=_message(one, alias, moved, was), reasons=reasons,
        evidence=[_state(run, one, party, signal) for party, signal in states],
    )  # fmt: skip
    return {**report.model_dump(mode="json"), "again": True}


def _message(version: Version, alias: str, moved: bool, before: str | None) -> str:
    called = f"{KIND}/{version.name}@{alias}"
    if moved:
        return f"{called} points to {version.ref}" + (f", before to {before}." if before not in (None, version.ref) else ".")
    return f"{called} was not moved" + (f"; it still points to {before}." if before else "; it points to nothing yet.")


def _reason(run: Run, version: Version, party: Asking, signal: Signal) -> str:
    """Why a gate does not pass, and what would change that."""
    gate, command = signal.gate, _command(run, version, party, signal)
    more = " on more cases" if signal.why in ("interval", "few", "fewer") else ""
    then = f"; measure it{more} with: {command}" if command else _advice(signal, version)
    if command and signal.why == "never" and gate.metric.startswith("unwanted"):
        then += ", with a suite that names families under unwanted"
    return f"{gate.name} of {party.of} is {words.STATES[signal.state]}: {words.reason(signal)}{then}"


def _advice(signal: Signal, version: Version) -> str:
    """What a person can do where measuring does not help."""
    details = signal.measurement.details if signal.measurement is not None else {}
    if missing := ", ".join(details.get("missing", ())):
        return f"; write {missing} under metadata.stellwerk in prompts/{version.name}.prompty"
    if signal.gate.metric == FINDINGS:
        return "; see them with: stellwerk findings list --status open"
    if signal.why == "outside" and not is_derived(signal.gate.metric):
        return "; measuring the same again gives the same, so change the prompt, or the gate with a reason"
    return ""


def _command(run: Run, version: Version, party: Asking, signal: Signal) -> str | None:
    """The command that measures what a gate asks for; None where measuring again would not help, or nobody says with what."""
    gate = signal.gate
    if not gate.by or is_derived(gate.metric) or signal.why in ("outside", "waived", "unbound", "inside"):
        return None
    if signal.why == "nothing" and party.is_system:
        return None  # the system has to bind something first
    if "prompts.test" not in gate.by:
        return f"stellwerk {gate.by[0].replace('.', ' ')} {version.ref}"
    suite = next((name.removeprefix("suite/") for name in gate.with_ if name.startswith("suite/")), None)
    tests = version.facts.get("tests")
    suite = suite or (tests if isinstance(tests, str) else tests[0] if tests else "SUITE")
    bound = next((subject.name for subject in party.candidate.frontier.get("model", ())), None)
    model = gate.among.get("model") or bound or _written_for(run, version) or "MODEL"
    latest = run.record.latest(KIND, version.name)
    name = version.name if latest is not None and latest.id == version.id else f"{version.name}@{version.number}"
    return f"stellwerk prompts test {name} {suite} {model}"


def _written_for(run: Run, version: Version) -> str | None:
    """The model that the prompt was written for, where it is one of the workspace, or its only one."""
    known = run.workspace.specs("models")
    named = str(version.facts.get("written_for"))
    return named if named in known else known[0] if len(known) == 1 else None


def _state(run: Run, version: Version, party: Asking, signal: Signal) -> GateState:
    m = signal.measurement
    found: dict[str, Any] = {}
    if m is not None:
        found = {"value": m.value, "low": m.low, "high": m.high, "n": m.n, "measured": m.created}
        found["measurement"] = m.id if m.run else None
    return GateState(
        gate=signal.gate.name, of=party.of, state=signal.state, passes=signal.passes,
        why=words.reason(signal), why_de=words.reason(signal, "de"),
        command=None if signal.passes else _command(run, version, party, signal), **found,
    )  # fmt: skip
