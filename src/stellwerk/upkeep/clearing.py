"""Clearing up as an entry of the record: a run without inputs or outputs, whose one step says what was removed."""

from __future__ import annotations

import time
import uuid
from dataclasses import asdict

from stellwerk.record import tables
from stellwerk.record.record import Transaction, now
from stellwerk.runs.execution import code_digest
from stellwerk.upkeep import gc
from stellwerk.workspace import Workspace


def clear_and_note(workspace: Workspace, keep: int, days: float, *, apply: bool) -> gc.Cleared:
    """Clear up, and note what was removed; see `gc.clear`.

    Args:
        workspace: what is cleared up.
        keep: how many versions of each asset keep their bytes.
        days: what was stored since then stays.
        apply: remove it; otherwise it is only counted.
    """
    began, started = time.monotonic(), now()

    def note(transaction: Transaction, found: gc.Cleared) -> None:
        outcome = {
            "removed": {name: asdict(kind) for name, kind in found.kinds.items()},
            "versions": sorted(found.versions),
            "tainted": sorted(found.tainted),
        }
        code = code_digest(__name__)
        run = transaction.insert(
            tables.run, operation="gc", parameters={"keep": keep, "days": days, "apply": True}, snapshots={}, code=code,
            state="done", person=transaction.person, created=started, started=started, finished=now(), result=outcome,
        )  # fmt: skip
        transaction.insert(
            tables.step, run=run["id"], key=uuid.uuid4().hex, name="gc", reused=None, outcome=outcome,
            seconds=time.monotonic() - began, finished=transaction.at,
        )  # fmt: skip

    found = gc.clear(workspace, keep, days, apply=apply, note=note)
    if apply:
        workspace.update_lock(changed=True)
    return found
