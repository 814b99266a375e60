"""Operations on AI systems: bought services, waivers and sign-offs, releases and what proves them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from stellwerk.operation import LocalPath, Spec, operation
from stellwerk.release.answers import Comparison, Exported, Made, ReleaseList, Shown, Verified
from stellwerk.release.reports import Decided, DecisionLine, DecisionList, Registered
from stellwerk.release.services import Service
from stellwerk.standing.spec import FOLDER, System

if TYPE_CHECKING:
    from stellwerk.run import Run
    from stellwerk.workspace import Workspace

SystemName = Annotated[str, Spec(FOLDER, System)]


@operation(example={"service": "copilot"})
def register(service: Annotated[str, Spec("services", Service)], *, run: Run) -> Registered:
    """Register a bought service or a hosted model, so that a system can bind it.

    Args:
        service: the name of its file, copilot for services/copilot.yaml.
    """
    from stellwerk.release import services, views

    outcome = services.register(run, service, run.spec("service").check(Service))
    return views.registered(run.version(outcome["version"]), run)


@operation(
    example={"system": "support-desk", "gate": "data.tests", "reason": "two labels are late", "until": "2027-01-31"},
    changes=True,
    scope="approve",
)
def waive(
    system: SystemName,
    gate: str,
    reason: str,
    until: date,
    asset: str | None = None,
    person: str | None = None,
    *,
    workspace: Workspace,
) -> Decided:
    """Let a caution or a stop pass until a date, on a named person's word and with a reason.

    It holds for this gate on this asset, and no longer where the value gets worse, a caution becomes a stop, or the gate is
    changed to ask for something else.

    Args:
        system: such as support-desk for systems/support-desk.yaml.
        gate: such as data.tests.
        reason: why it may run all the same.
        until: the last day, at most a year ahead.
        asset: such as dataset/tickets, where the gate concerns more than one.
        person: who takes it on; whoever asks, if left out.
    """
    from stellwerk.findings import deciding
    from stellwerk.release import views
    from stellwerk.standing import decisions
    from stellwerk.standing.standing import standing

    now = datetime.now(UTC)
    signal = views.to_waive(standing(workspace, system, now=now), gate, asset)
    assert signal.subject is not None
    details = {
        "gate": gate,
        "asset": f"{signal.subject.kind}/{signal.subject.name}",
        "state": signal.facts.get("instead", signal.state),
        "value": signal.measurement.value if signal.measurement else None,
        "asks": signal.gate.asks,
    }
    ends = deciding.end_of(until, now)
    row = deciding.note(workspace, decisions.WAIVE, system, details, person=person, reason=reason, until=ends)
    return views.decided(workspace, system, row, f"{gate} on {details['asset']} passes until {until}")


@operation(
    example={"system": "support-desk", "role": "data protection", "reason": "screened on 2026-11-20", "until": "2027-01-31"},
    changes=True,
    scope="approve",
)
def sign(
    system: SystemName, role: str, reason: str, until: date, person: str | None = None, *, workspace: Workspace
) -> Decided:
    """Sign off a system in a role, until a date: it holds for just the versions that are bound now.

    Args:
        system: such as support-desk for systems/support-desk.yaml.
        role: one of the roles under sign_offs in its file.
        reason: what was looked at.
        until: the last day, at most a year ahead.
        person: who signs; whoever asks, if left out.
    """
    from stellwerk.findings import deciding
    from stellwerk.release import views
    from stellwerk.standing import decisions
    from stellwerk.standing.standing import standing

    now = datetime.now(UTC)
    stands = standing(workspace, system, now=now)
    views.check_role(stands, role)
    details = {"role": role, "candidate": stands.signable}
    ends = deciding.end_of(until, now)
    row = deciding.note(workspace, decisions.SIGN, system, details, person=person, reason=reason, until=ends)
    return views.decided(workspace, system, row, f"{role} has signed these versions, until {until}")


@operation(example={"decision": "latest", "reason": "the labels came"}, changes=True, scope="approve")
def revoke(decision: str, reason: str, person: str | None = None, *, workspace: Workspace) -> Decided:
    """Take a waiver or a sign-off back.

    Args:
        decision: the first digits of its id, or latest; see: stellwerk release decisions
        reason: why it holds no longer.
        person: who takes it back; whoever asks, if left out.
    """
    from stellwerk.findings import deciding
    from stellwerk.release import views
    from stellwerk.standing import decisions

    found = views.find_decision(workspace.record, decision, datetime.now(UTC))
    row = deciding.note(workspace, decisions.REVOKE, found["id"], {}, person=person, reason=reason)
    return views.decided(workspace, found["about"], row, f"decision {found['id'][:8]} holds no longer")


@operation(example={"system": "support-desk"})
def decisions(system: SystemName, *, workspace: Workspace) -> DecisionList:
    """List the waivers and sign-offs of a system that hold now.

    Args:
        system: such as support-desk for systems/support-desk.yaml.
    """
    from stellwerk.standing.standing import standing

    stands = standing(workspace, system)
    waived = [
        DecisionLine(
            id=w.id[:8], kind="waive", what=f"{w.gate} on {w.asset}", person=w.person, authenticated=w.authenticated,
            reason=w.reason, until=w.until, current=any(signal.waiver == w for signal in stands.signals),
        )
        for w in stands.waivers
    ]  # fmt: skip
    signed = [
        DecisionLine(
            id=s.id[:8], kind="sign", what=s.role, person=s.person, authenticated=s.authenticated, reason=s.reason,
            until=s.until, current=s.candidate == stands.signable,
        )
        for s in stands.sign_offs
    ]  # fmt: skip
    return DecisionList(system=system, decisions=waived + signed)


def _genuine(result: Verified) -> int:
    return 0 if result.genuine else 1


def _intact(result: Shown) -> int:
    return 1 if result.problems else 0


@operation(example={"system": "support-desk"}, scope="approve")
def make(system: SystemName, note: str | None = None, *, run: Run) -> Made:
    """Release a system: freeze what it binds, with all that proves it, or say everything that is against it.

    Where nothing changed since the last release, that one stands.

    Args:
        system: such as support-desk for systems/support-desk.yaml.
        note: a sentence for the dossier's first page.
    """
    from stellwerk.release import making, showing

    release, new = making.make(run, system, note)
    return showing.made(run.workspace, release, new=new)


@operation(example={"release": "support-desk"}, exit_code=_intact)
def show(release: str | None = None, *, workspace: Workspace) -> Shown:
    """Show a release: what was bound, every gate with its evidence, who decided, its documents and whether they are intact.

    Args:
        release: such as support-desk (the latest) or support-desk@3; may be left out where one system has releases.
    """
    from stellwerk.release import showing

    return showing.shown(workspace, release)


@operation(example={})
def list_(system: str | None = None, *, workspace: Workspace) -> ReleaseList:
    """List releases, the newest first.

    Args:
        system: only of this one.
    """
    from stellwerk.release import showing

    return showing.listed(workspace, system)


@operation(example={"system": "support-desk"})
def compare(system: str, first: int | None = None, second: str = "candidate", *, workspace: Workspace) -> Comparison:
    """Say what changed since a release: versions, gates, signals, waivers, sign-offs and findings.

    Args:
        system: such as support-desk.
        first: number of a release; the latest, if left out.
        second: number of another release, or candidate for what would be released now.
    """
    from stellwerk.release import showing

    return showing.compared(workspace, system, first, second)


@operation(example={"release": "support-desk", "file": "support-desk.zip", "overwrite": True})
def export(
    release: str, file: Annotated[Path, LocalPath(writes=True)], overwrite: bool = False, *, workspace: Workspace
) -> Exported:
    """Write a release to one file that anybody can verify: dossiers, bill of materials, and the signature over them.

    Args:
        release: such as support-desk (the latest) or support-desk@3.
        file: where to write it, a zip.
        overwrite: replace a file that is already there.
    """
    from stellwerk.release import showing

    return showing.exported(workspace, release, file, overwrite=overwrite)


@operation(example={"file": "support-desk.zip"}, exit_code=_genuine)
def verify(
    file: Annotated[Path, LocalPath()],
    key: Annotated[Path | None, LocalPath()] = None,
    fingerprint: str | None = None,
    *,
    workspace: Workspace | None = None,
) -> Verified:
    """Check that an exported release is, byte for byte, what was signed; needs no workspace.

    Args:
        file: made by release export.
        key: a file with the signer's public key, as PEM or in hexadecimal; without it the key in the file itself is used.
        fingerprint: of the signer's key, where you were given that instead.
    """
    from stellwerk.release import showing

    return showing.verified(file, key, fingerprint, workspace)
