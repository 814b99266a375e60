"""Suites of cases: what a person writes in `suites/NAME.yaml`, and the version that comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stellwerk.evaluation.suites.spec import FOLDER, SuiteSpec, read

if TYPE_CHECKING:
    from stellwerk.evaluation.suites.suite import Suite
    from stellwerk.record.record import Version
    from stellwerk.run import Run
    from stellwerk.workspace import Workspace

__all__ = ["FOLDER", "SuiteSpec", "of", "read", "take"]


def take(run: Run, parameter: str) -> tuple[Version, Suite]:
    """The suite that a parameter of a run names, as a version of the record.

    Raises:
        UserError: one sentence, with its file and line, for what is wrong with its cases.
    """
    from stellwerk.evaluation.suites import taking

    return taking.take(run, parameter)


def of(workspace: Workspace, reference: str) -> Suite:
    """A suite to look at: `support` is the file as it is now, `support@2` a version.

    Raises:
        UserError: there is none, or it is wrong.
    """
    from stellwerk.evaluation.suites import taking

    return taking.of(workspace, reference)
