"""Gives the client for a model's file: allowed first, then reached where it is, then with kept replies and the run's money."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from stellwerk.errors import UserError
from stellwerk.llm import allowed, prices

if TYPE_CHECKING:
    from stellwerk.llm.chat import ChatClient
    from stellwerk.llm.spec import ModelSpec
    from stellwerk.run import Run
    from stellwerk.workspace import Workspace


def open_model(
    workspace: Workspace,
    name: str,
    spec: ModelSpec,
    *,
    run: Run | None = None,
    keep: bool = True,
    version: str = "",
    older: bool = False,
) -> ChatClient:
    """The client for a model; nothing is called before its `async with`.

    Args:
        workspace: whose settings, credentials and kept replies hold.
        name: of the asset, such as `writer` for models/writer.yaml.
        spec: that file.
        run: that is charged for calls, and whose end ends them.
        keep: False neither uses kept replies nor keeps any, such as where a model is probed.
        version: id of the model's version, where it is known: replies of another version are not used.
        older: use replies of a hosted model that are over a day old, too.

    Raises:
        UserError: the model may not be called, its key is not there, or its price is unknown and the run's money is bounded.
    """
    from stellwerk.llm.opened import Opened

    allowed.check(workspace, name, spec)
    if run is not None and run.has_money_budget:
        _check_price(name, spec, run)
    inner = _client(workspace, name, spec)
    identity = _identity(workspace, spec, version) if keep else None
    return Opened(workspace, name, spec, inner, run=run, identity=identity, older=older)


def _client(workspace: Workspace, name: str, spec: ModelSpec) -> ChatClient:
    if spec.simulated is not None:
        from stellwerk.llm.simulated import SimulatedClient

        return SimulatedClient(name, spec)
    if spec.weights is not None:
        from stellwerk.llm.local import LocalClient

        return LocalClient(name, spec, workspace.root)
    from stellwerk.llm.endpoint import EndpointClient

    if spec.key is not None:
        allowed.check_in_clear(workspace, f"models/{name}.yaml", str(spec.endpoint))
    return EndpointClient(name, spec, workspace.credential(spec.key) if spec.key is not None else None)


def _check_price(name: str, spec: ModelSpec, run: Run) -> None:
    """See that the cost of calls will be known, and is in a currency that the budget bounds."""
    price = prices.price(spec, dt.datetime.now(dt.UTC).date())
    if price is not None:
        run.spend(0.0, price.currency)
    elif spec.endpoint is not None:
        raise UserError(
            f"models/{name}.yaml gives no price that holds today, so the budget of money cannot be kept; write price: "
            "[{input: …, output: …, since: …}] for a million tokens, also where it is 0"
        )


def _identity(workspace: Workspace, spec: ModelSpec, version: str) -> str | None:
    """What replies of a model are found by; None for a simulated one, which answers the same again at once."""
    if spec.simulated is not None:
        return None
    place = spec.endpoint if spec.endpoint is not None else _files(workspace.root / (spec.weights or ""))
    return json.dumps([place, spec.model, str(spec.date), version])


def _files(folder: Path) -> str:
    """A digest of names, sizes and times of the files of weights, which is enough to see that they were replaced."""
    digest = hashlib.sha256(str(folder).encode(errors="surrogateescape"))
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found = path.stat()
            line = f"{path.relative_to(folder)}\0{found.st_size}\0{found.st_mtime_ns}\n"
            digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()
