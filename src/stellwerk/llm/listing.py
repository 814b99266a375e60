"""The models of a workspace: what their files say, whether they may be called, and how their last probe went. Calls nothing."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from stellwerk.credentials import without_password
from stellwerk.errors import UserError
from stellwerk.llm import allowed, prices
from stellwerk.llm import models as versions
from stellwerk.llm.reports import ModelEntry, ModelList
from stellwerk.llm.spec import FOLDER, ModelSpec

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace


def models(workspace: Workspace) -> ModelList:
    """All files in models/, in the order of their names; those that cannot be read are named apart."""
    found: list[ModelEntry] = []
    problems: list[str] = []
    for name in sorted(workspace.specs(FOLDER)):
        try:
            found.append(entry(workspace, name, workspace.spec(FOLDER, name, ModelSpec)))
        except UserError as error:
            problems.append(str(error))
    return ModelList(models=found, problems=problems)


def entry(workspace: Workspace, name: str, spec: ModelSpec) -> ModelEntry:
    """One model, as its file stands now."""
    why_not = None
    try:
        allowed.check(workspace, name, spec)
    except UserError as error:
        why_not = str(error)
    kind = "endpoint" if spec.endpoint else "weights" if spec.weights else "simulated"
    plan = spec.simulated.plan if spec.simulated else ""
    price = prices.price(spec, dt.datetime.now(dt.UTC).date())
    newest = workspace.record.latest(versions.KIND, name)
    last = (versions.probes(workspace.record, newest) if newest else [])[-1:]
    return ModelEntry(
        name=name,
        kind=kind,
        place=without_password(spec.endpoint) if spec.endpoint else spec.weights or plan,
        model=spec.model,
        allowed=why_not is None,
        why_not=why_not,
        hosted=allowed.is_hosted(spec),
        simulated=spec.simulated is not None,
        region=allowed.region(spec),
        seat=spec.seat,
        licence=spec.licence,
        input=price.input if price else None,
        output=price.output if price else None,
        currency=price.currency if price else None,
        version=newest.ref if newest else None,
        probed=last[0]["created"] if last else None,
        passed=last[0]["value"] == 1 if last else None,
    )
