"""What `signals` and `mend` answer: the standing of some or all systems, and what would clear one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from stellwerk.errors import UserError
from stellwerk.release import mending, verdict, views
from stellwerk.release.reports import MendReport, MendRun, PlannedRun, SignalsReport, Task
from stellwerk.standing.standing import names, standing
from stellwerk.workspace import Workspace, write_text


def signals(workspace: Workspace, system: str | None, junit: Path | None) -> SignalsReport:
    """How one system stands, or all of them; also as JUnit XML in a file.

    Raises:
        UserError: there is no such system, its file is wrong, or the JUnit file cannot be written.
    """
    report = _ask(workspace, system)
    if junit is not None:
        if not junit.absolute().parent.is_dir():
            raise UserError(f"{junit.parent} is no folder; make it first")
        if junit.is_dir():
            raise UserError(f"{junit} is a folder; give the name of a file in it, such as {junit / 'signals.xml'}")
        try:
            write_text(junit, views.junit(report))
        except OSError as error:
            raise UserError(f"{junit} cannot be written: {error.strerror}") from None
        report.junit = str(junit)
    return report


def _ask(workspace: Workspace, system: str | None) -> SignalsReport:
    now = datetime.now(UTC)
    if system is not None:
        return views.report([views.system(standing(workspace, system, now=now))], [])
    found, broken = [], []
    for name in names(workspace):
        try:
            found.append(views.system(standing(workspace, name, now=now)))
        except UserError as error:
            broken.append(str(error))
    return views.report(found, broken)


def mend(workspace: Workspace, system: str, *, run: bool) -> MendReport:
    """What would clear a system; with `run`, its runs are done first, or queued for whoever does not wait."""
    stands = standing(workspace, system)
    found = mending.mends(workspace, stands)
    runs = list(mending.start(workspace, found)) if run else []
    if any(started.state != "queued" for started in runs):
        stands = standing(workspace, system)
        found = mending.mends(workspace, stands)
    planned = [_planned(one, found) for one in mending.apart(found)]
    times = [one.seconds for one in planned if one.seconds is not None]
    return MendReport(
        system=system,
        sentence=verdict.sentence(stands),
        releasable=stands.releasable,
        runs=planned,
        seconds=sum(times) if times else None,
        tasks=[_task(one) for one in found if one.person],
        started=[
            MendRun(operation=one.operation, values=one.values, run=one.run[:8], state=one.state, error=one.error)
            for one in runs
        ],
        next=f"stellwerk mend {system} --run" if planned and all(one.state == "done" for one in runs) else None,
    )


def _planned(one: mending.Mend, found: Sequence[mending.Mend]) -> PlannedRun:
    assert one.operation is not None
    time = one.seconds
    needed = [other for other in found if (other.operation, other.values) == (one.operation, one.values)]
    return PlannedRun(
        command=" ".join(["stellwerk", *one.operation.split("."), *one.values.values()]),
        operation=one.operation,
        values=one.values,
        seconds=time.median if time else None,
        low=time.low if time else None,
        high=time.high if time else None,
        cost={each.unit: each.median for each in one.money},
        clears=sorted(f"{other.gate} on {other.subject}" for other in needed),
    )


def _task(one: mending.Mend) -> Task:
    return Task(
        about=" on ".join(filter(None, (one.gate, one.subject))),
        gate=one.gate or None,
        subject=one.subject,
        state=one.state,
        why=one.why,
        reason=one.reason,
        blocks=one.blocks,
        task=one.person or "",
        or_waive=one.waive,
    )
