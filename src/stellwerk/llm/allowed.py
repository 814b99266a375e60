"""Whether a model may be called at all: `models` in stellwerk.yaml bounds region, seat and licence.

A fact that is unknown is no permission. Nothing is called here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stellwerk.errors import UserError

if TYPE_CHECKING:
    from stellwerk.llm.spec import ModelSpec
    from stellwerk.workspace import Workspace

LOCAL = "local"  # the region of what is computed on this machine
LEAST_KEY = 16  # signs of a key that is looked for in answers; a shorter one, such as EMPTY or test, may be a word of one


def on_this_machine(spec: ModelSpec) -> bool:
    """Whether the model answers on this machine: weights, a simulation, or an endpoint of loopback."""
    if spec.endpoint is None:
        return True
    try:
        return _is_loopback((urlsplit(spec.endpoint).hostname or "").rstrip("."))
    except ValueError:
        return False


def is_hosted(spec: ModelSpec) -> bool:
    """Whether its provider may change it unseen: as its file says, else true for an endpoint that is not on this machine."""
    return spec.hosted if spec.hosted is not None else not on_this_machine(spec)


def region(spec: ModelSpec) -> str | None:
    """Where data are processed: as its file says; `local` on this machine unless it says that a provider is behind it."""
    return spec.region or (LOCAL if on_this_machine(spec) and not is_hosted(spec) else None)


def check(workspace: Workspace, name: str, spec: ModelSpec) -> None:
    """See that a model may be called.

    Raises:
        UserError: it may not; the sentence names the fact and what is allowed.
    """
    allowed = workspace.settings.models
    at_home = on_this_machine(spec) and not is_hosted(spec)
    _within(name, "region", region(spec), allowed.regions)
    if spec.seat is not None or not at_home:
        # Where no provider takes part, there is no seat to ask for.
        _within(name, "seat", spec.seat, allowed.seats)
    if spec.simulated is None:
        _within(name, "licence", spec.licence, allowed.licences)


def check_in_clear(workspace: Workspace, file: str, address: str) -> None:
    """See that a key does not go over a network in the open.

    Args:
        workspace: whose `network: allow` names hosts that may be reached without TLS.
        file: that names the key, for people.
        address: that it is sent to.

    Raises:
        UserError: it would.
    """
    parts = urlsplit(address)
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme != "http" or _is_loopback(host) or _is_named(host, workspace.settings.network.allow):
        return
    raise UserError(
        f"{file}: its address has no TLS, so its key would travel in the open; give one with https://, or allow the host in "
        f"stellwerk.yaml under network: allow: [{host}]"
    )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or host.endswith(".localhost") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_named(host: str, allowed: Iterable[str]) -> bool:
    """Whether a host, as it is written, is among hosts and networks."""
    for entry in allowed:
        if host == entry.rstrip(".").lower():
            return True
        with suppress(ValueError):
            if ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False):
                return True
    return False


def _within(name: str, field: str, fact: str | None, bound: list[str] | None) -> None:
    if bound is None:
        return
    known = {entry.strip().casefold() for entry in bound}
    if fact is not None and fact.strip().casefold() in known:
        return
    says = f"its {field} is {fact}" if fact is not None else f"its {field} is not given"
    raise UserError(
        f"models/{name}.yaml may not be called, for {says} and stellwerk.yaml allows {', '.join(bound) or 'none'} "
        f"(models: {field}s); give the {field} if it is one of them, or choose another model"
    )
