"""Where the server listens, and what it must then ask of callers.

Without a login it serves the user of this machine alone. Whatever others can reach wants accounts or tokens, and TLS.
"""

from __future__ import annotations

import ipaddress
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stellwerk.access import accounts, tokens
from stellwerk.doors.guard import Policy
from stellwerk.doors.patience import Patient
from stellwerk.errors import UserError

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
CONNECTIONS = 1000
NOBODY_MAY = (
    "nobody could log in: {host} is reached by others, so callers need an account or a token; make one first with: "
    "stellwerk access account NAME --scopes read,run,approve (or: stellwerk access token NAME --scopes read,run)"
)
IN_CLEAR = (
    "{host} is reached by others, and passwords would go there in clear: give --certificate FILE --key FILE, or "
    "--behind-proxy where a server in front of this one ends TLS"
)
NO_NAME = "it is not plain by which name browsers reach this server; say it with: --name stellwerk.example.com"


def policy_for(
    workspace: Workspace,
    host: str,
    port: int,
    *,
    names: Sequence[str] = (),
    certificate: Path | None = None,
    key: Path | None = None,
    behind_proxy: bool = False,
    login: bool = False,
) -> Policy:
    """The policy that fits an address.

    Args:
        workspace: what is served.
        host: the address to listen on.
        port: the port to listen on.
        names: further names by which browsers reach it, with a port where it is not this one (or that of https).
        certificate: file of a TLS certificate.
        key: file of its key.
        behind_proxy: whether a server in front ends TLS.
        login: whether to ask for a login on this machine too.

    Raises:
        UserError: others would reach it, but nobody could log in, or passwords would go in clear.
    """
    shared = behind_proxy or not is_loopback(host) or any(not is_loopback(_split(name)[0]) for name in names)
    if (certificate is None) != (key is None):
        raise UserError("give both --certificate and --key, or neither")
    if (behind_proxy or _is_any(host)) and not names:
        raise UserError(NO_NAME)
    if (shared or login) and not _anyone(workspace):
        raise UserError(NOBODY_MAY.format(host=host))
    if shared and certificate is None and not behind_proxy:
        raise UserError(IN_CLEAR.format(host=host))
    if certificate is not None and key is not None:
        _check_certificate(certificate, key)
    return Policy(
        hosts=_hosts(host, port, names, secure=certificate is not None or behind_proxy),
        require_login=shared or login,
        secure=certificate is not None or behind_proxy,
        behind_proxy=behind_proxy,
        certificate=certificate,
        key=key,
    )


def server_options(policy: Policy) -> dict[str, Any]:
    """What uvicorn must be told beside address and port, as arguments of `uvicorn.Config`."""
    return {
        "http": Patient,
        "ws": "none",
        "server_header": False,
        # It would hold whatever somebody writes into an address.
        "access_log": False,
        "log_level": "warning",
        # Else whoever connects could say that they come from another address.
        "proxy_headers": policy.behind_proxy,
        "forwarded_allow_ips": "127.0.0.1,::1",
        "limit_concurrency": CONNECTIONS,
        "timeout_graceful_shutdown": 5,
        "ssl_certfile": policy.certificate,
        "ssl_keyfile": policy.key,
    }


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _anyone(workspace: Workspace) -> bool:
    now = time.time()
    return bool(accounts.every(workspace)) or any(token.valid(now) for token in tokens.every(workspace))


def _hosts(host: str, port: int, names: Sequence[str], *, secure: bool) -> frozenset[str]:
    """What may stand in the header Host; the port that a scheme has anyway is left out of it."""
    own = f"[{host}]" if ":" in host and not host.startswith("[") else host
    served = [own, *(LOOPBACK if is_loopback(host) else ())]
    if _is_any(host):
        served = list(LOOPBACK)
    usual = 443 if secure else 80
    found = {name if port == usual else f"{name}:{port}" for name in served}
    for name in names:
        bare, given = _split(name)
        # A proxy in front is reached by the usual port, this server itself by its own.
        found |= {f"{bare}:{given}"} if given not in ("", str(usual)) else {bare} if given else {bare, f"{bare}:{port}"}
    return frozenset(name.lower() for name in found)


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return host == ""


def _split(name: str) -> tuple[str, str]:
    """A name and its port; of an IPv6 address in brackets too."""
    bare, colon, port = name.rpartition(":")
    if not colon or name.endswith("]"):
        return name, ""
    if not port.isdecimal() or not bare:
        raise UserError(f"{name!r} is no name of a server; expected one such as stellwerk.example.com or 10.0.0.7:8000")
    return bare, port


def _check_certificate(certificate: Path, key: Path) -> None:
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
    except OSError as error:
        # A wrong certificate is an SSLError, which is one too.
        raise UserError(
            f"{certificate} and {key} are no certificate and its key, or cannot be read ({type(error).__name__}); "
            "give PEM files that belong together"
        ) from None
