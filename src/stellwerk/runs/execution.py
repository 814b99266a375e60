"""Executing operations: submitting a run, working on it under its lease, resuming and cancelling it.

Knows how a run begins and ends. What an operation does in between, it does with the `Run` that it is given.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select
from sqlalchemy.exc import SQLAlchemyError

from stellwerk.errors import StellwerkError, UserError, where
from stellwerk.operation import FileRef, LocalPath, Operation, Ref, Sensitive, Spec, find
from stellwerk.record import leases, tables
from stellwerk.record.connecting import RecordUnreachable
from stellwerk.record.record import Transaction, now
from stellwerk.run import BudgetSpent, Interrupted, Listener, Run
from stellwerk.runs import exchange
from stellwerk.runs.heartbeat import heartbeat
from stellwerk.specfile import parse, read_text
from stellwerk.workspace import Workspace

if TYPE_CHECKING:
    from pydantic import BaseModel

ENDED = ("done", "failed", "cancelled")
ABOVE = ("doors", "demo", "upkeep", "release", "standing", "findings", "gateway", "access", "jobs")


class Conflict(UserError):
    """The state of a run does not allow what was asked: it is worked on, or has ended."""


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Prepared:
    """All that a run needs in order to be noted: checked parameters, spec files as they are now, references as versions."""

    operation: Operation
    parameters: dict[str, Any]
    snapshots: dict[str, dict[str, Any]]


def submit(workspace: Workspace, operation: Operation, values: Mapping[str, Any]) -> str:
    """Note a run with all that it needs.

    Returns:
        The id of the run.

    Raises:
        UserError: a value, spec file or reference is wrong; nothing was noted.
    """
    prepared = prepare(workspace, operation, received(workspace, operation, values))
    with workspace.record.writing(workspace.person) as transaction:
        return note(transaction, prepared)


def received(workspace: Workspace, operation: Operation, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values of a call: those that came over a network hold no paths, but references.

    Raises:
        UserError: a path came over a network.
    """
    return exchange.received(workspace, operation, values) if workspace.background else values


def prepare(workspace: Workspace, operation: Operation, values: Mapping[str, Any]) -> Prepared:
    """Check the values of a call, and keep what they name as it is now.

    Raises:
        UserError: a value, spec file or reference is wrong.
    """
    checked = operation.validate(values)
    snapshots: dict[str, dict[str, Any]] = {}
    kept: dict[str, Any] = {}
    for name, parameter in operation.parameters.items():
        value, marker = checked[name], parameter.marker
        if value is None:
            kept[name] = None
            continue
        match marker:
            case Spec():
                snapshots[name] = _snapshot(workspace, marker.folder, value, marker.model)
            case FileRef() if _names_file(workspace, marker, value):
                snapshots[name] = _snapshot_file(workspace, marker, value)
            case Ref():
                version = workspace.record.resolve(value, marker.kind)
                snapshots[f"ref:{marker.kind}:{value}"] = {"version": version.ref}
                if marker.specs and not isinstance(marker, FileRef):
                    snapshots[name] = _snapshot(workspace, marker.specs, version.name)
            case LocalPath() if not exchange.travels(workspace, marker, value):
                # A run may be resumed from another folder.
                value = Path(value).absolute()
            case Sensitive():
                value = {"keyed": workspace.keyed(str(value))}
        kept[name] = value
    if workspace.authenticated:
        snapshots["caller"] = {"authenticated": True}
    return Prepared(operation, _as_json(kept), snapshots)


def note(transaction: Transaction, prepared: Prepared) -> str:
    """Write a run that waits to be worked on; returns its id."""
    row = transaction.insert(
        tables.run, operation=prepared.operation.path, parameters=prepared.parameters, snapshots=prepared.snapshots,
        code=code_digest(prepared.operation.function.__module__), state="queued", person=transaction.person,
        created=transaction.at,
    )  # fmt: skip
    return str(row["id"])


def _snapshot(workspace: Workspace, folder: str, name: str, model: type[BaseModel] | None = None) -> dict[str, str]:
    """Keep a spec file as it is now, after a look whether it is right."""
    path = workspace.spec_path(folder, name)
    text, shown = read_text(path), f"{folder}/{path.name}"
    if model is not None:
        parse(text, shown).check(model)
    return {"name": shown, "content": workspace.store.put(text.encode())}


def _names_file(workspace: Workspace, marker: FileRef, reference: str) -> bool:
    """Whether a reference means the file as it is now: it names no version, and there is a file or nothing of that name."""
    name = reference.removeprefix(f"{marker.kind}/")
    if "@" in name:
        return False
    return name in workspace.specs(marker.specs or "", marker.suffix) or workspace.record.latest(marker.kind, name) is None


def _snapshot_file(workspace: Workspace, marker: FileRef, reference: str) -> dict[str, str]:
    """Keep the file of an asset as it is now, after a look whether it is right."""
    folder = marker.specs or ""
    path = workspace.spec_path(folder, reference.removeprefix(f"{marker.kind}/"), marker.suffix)
    text, shown = read_text(path), f"{folder}/{path.name}"
    if marker.check is not None:
        marker.check(text, shown)
    return {"name": shown, "content": workspace.store.put(text.encode())}


def execute(
    workspace: Workspace, run_id: str, values: Mapping[str, Any] | None = None, listener: Listener | None = None
) -> Any:
    """Execute a submitted or interrupted run in this process.

    Args:
        workspace: where it was submitted.
        run_id: the run.
        values: the parameters, where some are sensitive and so not in the record.
        listener: is told of progress.

    Returns:
        The operation's result.

    Raises:
        StellwerkError: the run failed, was cancelled, or is being worked on by another process.
    """
    row = workspace.record.rows(tables.run, tables.run.c.id == run_id)[0]
    operation = find(row["operation"])
    checked = operation.validate(row["parameters"] if values is None else values)
    token = leases.claim(workspace.record.database, run_id)
    if token is None:
        raise Conflict(f"run {run_id[:8]} is being worked on; see it with: stellwerk runs follow {run_id[:8]}")
    try:
        return execute_held(workspace, run_id, token, operation, checked, listener)
    finally:
        # Where the record is away just now, the lease ends by itself.
        with suppress(SQLAlchemyError):
            leases.release(workspace.record.database, run_id, token)


def execute_held(
    workspace: Workspace,
    run_id: str,
    token: int,
    operation: Operation,
    values: Mapping[str, Any],
    listener: Listener | None = None,
    called_back: Callable[[], bool] = _never,
) -> Any:
    """Execute a run whose lease the caller has taken, and gives back.

    Args:
        workspace: a folder with the run's record and store.
        run_id: the run.
        token: of the lease.
        operation: what is to be done.
        values: its parameters, validated.
        listener: is told of progress.
        called_back: whether the run should stop and wait in the queue again; asked about twice a second.

    Returns:
        The operation's result.
    """
    run = _begin(workspace, run_id, code_digest(operation.function.__module__), token, listener)
    result = _work(run, operation, values, called_back)
    workspace.update_lock(changed=run.done > 0)
    return result


def _begin(workspace: Workspace, run_id: str, code: str, token: int, listener: Listener | None) -> Run:
    """Note that a run is worked on, now that its lease is held."""
    row = workspace.record.rows(tables.run, tables.run.c.id == run_id)[0]
    if row["state"] == "done":
        raise Conflict(f"run {run_id[:8]} is done; there is nothing to resume")
    run = Run(workspace, {**row, "code": code}, token, listener)
    run.set_state("running", started=row["started"] or now(), code=code, finished=None, error=None)
    workspace.store.claim(workspace.record.id)
    workspace.store.sweep()
    return run


def _work(run: Run, operation: Operation, values: Mapping[str, Any], called_back: Callable[[], bool]) -> Any:
    """Call the operation, and note how it ended."""
    _tell(run, operation, "started")
    try:
        with heartbeat(run, called_back), exchange.at_hand(run.workspace, operation, values) as (given, give):
            result = operation.function(**given, run=run)
            run.check()
            noted = give(result)
        _end(run, operation, "done", result=_as_json(noted))
    except leases.LeaseLost:
        raise
    except RecordUnreachable as error:
        with suppress(SQLAlchemyError, StellwerkError):
            run.set_state("interrupted", finished=now())
        raise RecordUnreachable(f"{error}; then go on with: stellwerk runs resume {run.id[:8]}") from None
    except (KeyboardInterrupt, Interrupted, BudgetSpent):
        raise _stop(run, operation) from None
    except BaseException as error:
        _end(run, operation, "failed", error=_sentence(operation, error))
        raise
    return result


def _stop(run: Run, operation: Operation) -> StellwerkError:
    """Note that a run was stopped from outside, or by its budget; returns the error that says so."""
    if run.stopped == "lost":
        return leases.LeaseLost(f"run {run.id[:8]} was taken over by another process")
    if run.stopped == "budget" or (run.stopped is None and run.spent()):
        spent = run.over_budget()
        _end(run, operation, "failed", error=str(spent))
        return spent
    state = {"cancelled": "cancelled", "returned": "queued"}.get(run.stopped or "", "interrupted")
    _end(run, operation, state)
    said = "went back to the queue" if state == "queued" else f"was {state}"
    return Interrupted(f"run {run.id[:8]} {said}; go on with: stellwerk runs resume {run.id[:8]}")


def _end(run: Run, operation: Operation, state: str, **changes: Any) -> None:
    """Write the state that a run ended in; one that waits again has no end."""
    run.set_state(state, finished=None if state == "queued" else now(), **changes)
    _tell(run, operation, "ended", "interrupted" if state == "queued" else state, changes.get("error"))


def _sentence(operation: Operation, error: BaseException) -> str:
    """Our own sentences name no values but those that the user gave; what a library says may quote the data."""
    secret = any(isinstance(parameter.marker, Sensitive) for parameter in operation.parameters.values())
    ours = isinstance(error, StellwerkError) and not secret
    # Names of files may be no text.
    return str(error).encode(errors="replace").decode() if ours else where(error)


def _tell(run: Run, operation: Operation, event: str, *details: Any) -> None:
    """Tell those outside that a run began or ended, where the settings name someone; that never fails a run."""
    if run.workspace.settings.openlineage is not None:
        with suppress(Exception):
            from stellwerk.runs import openlineage

            getattr(openlineage, event)(run, operation, *details)


def resume(workspace: Workspace, run_id: str, listener: Listener | None = None) -> Any:
    """Go on with a run that was killed, interrupted, cancelled or failed; finished steps are not done again.

    Returns:
        The operation's result.

    Raises:
        UserError: it is done or being worked on, or its parameters were sensitive and are not in the record.
    """
    check_resumable(workspace.record.rows(tables.run, tables.run.c.id == run_id)[0])
    return execute(workspace, run_id, listener=listener)


def check_resumable(row: Mapping[str, Any]) -> None:
    """Refuse to go on with a run that is done, or whose parameters are not all in the record.

    Raises:
        UserError: the sentence says which.
    """
    run_id = row["id"]
    if row["state"] == "done":
        raise Conflict(f"run {run_id[:8]} is done; there is nothing to resume")
    if any(isinstance(value, dict) and "keyed" in value for value in row["parameters"].values()):
        raise UserError(
            f"run {run_id[:8]} had a parameter that is not kept because it may name a person; give the whole command "
            f"{row['operation'].replace('.', ' ')} again: the steps that it finished are not done again"
        )


def cancel(workspace: Workspace, run_id: str) -> str:
    """Ask a run to stop; returns its state now."""
    with workspace.record.writing(workspace.person) as transaction:
        state = transaction.connection.execute(select(tables.run.c.state).where(tables.run.c.id == run_id)).scalar_one()
        if state in ENDED:
            raise Conflict(f"run {run_id[:8]} has ended ({state}); there is nothing to cancel")
        if leases.is_held(transaction.connection, run_id):
            transaction.update(tables.run, run_id, state="cancelling")
            return "cancelling"
        transaction.update(tables.run, run_id, state="cancelled", finished=now())
        transaction.connection.execute(delete(tables.queue).where(tables.queue.c.id == run_id))
        return "cancelled"


def call(workspace: Workspace | None, operation: Operation, values: Mapping[str, Any]) -> Any:
    """Call an operation: a query at once, a run through the record.

    Returns:
        Its result; as JSON with its downloads, where the call came over a network and wrote files.

    Raises:
        UserError: it needs a workspace and there is none, or a value is wrong.
    """
    if workspace is None and operation.needs_workspace:
        workspace = Workspace.find()
    if operation.kind == "query":
        if workspace is None or not workspace.background:
            return operation.function(**operation.validate(values), workspace=workspace)
        checked = operation.validate(received(workspace, operation, values))
        with exchange.at_hand(workspace, operation, checked) as (given, give):
            return give(operation.function(**given, workspace=workspace))
    assert workspace is not None
    return execute(workspace, submit(workspace, operation, values), values, workspace.listener)


@functools.cache
def code_digest(module: str) -> str:
    """SHA-256 over the source of a job's package and of the layers below it: what a step's outcome may depend on."""
    import stellwerk

    root = Path(stellwerk.__file__).parent
    package = module.rpartition(".")[0] or module
    found = importlib.util.find_spec(package)
    own = {Path(place) for place in (found.submodule_search_locations or ())} if found else set()
    folders = {path for path in root.iterdir() if path.is_dir() and path.name not in ABOVE} | (own - {root})
    files = [(path.name, path) for path in root.glob("*.py")]
    files += [(str(path.relative_to(folder.parent)), path) for folder in folders for path in folder.rglob("*")]
    digest = hashlib.sha256()
    for name, path in sorted(files):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(f"{name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _as_json(value: Any) -> Any:
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(value)
