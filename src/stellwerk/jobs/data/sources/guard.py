"""An HTTP session that reaches public addresses only: the guard against requests forged through a spec (SSRF).

A host is resolved once, every address of it is checked, and the connection goes to the checked address itself, so a name
server that answers differently the second time (DNS rebinding) gains nothing; TLS still verifies the name. Each redirect is
checked the same way. Proxies out of the environment are not used: with one, the proxy would resolve the name, and nothing
could be checked here. It knows nothing of sources, credentials and retries.
"""

from __future__ import annotations

import functools
import ipaddress
import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import requote_uri
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from stellwerk.errors import UserError

REDIRECTS = 5
PLAIN_HEADERS = ("accept", "accept-encoding", "user-agent", "if-none-match", "if-modified-since")  # may go to another host
INSIDE_CLOUDS = ipaddress.ip_address("168.63.129.16")  # a public address at which Azure answers from inside
RELAYS = ipaddress.ip_network("192.88.99.0/24")
PUBLIC_6 = ipaddress.ip_network("2000::/3")
TUNNELS = (ipaddress.ip_network("2002::/16"), ipaddress.ip_network("2001::/32"))  # 6to4 and Teredo carry an IPv4 address
NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]
Dial = Callable[[str, int], Sequence[str]]


def session(allow: Sequence[str], resolve: Resolve | None = None) -> GuardedSession:
    """A session that reaches public addresses, and those that are allowed.

    Args:
        allow: networks and hosts that may be reached though they are not public, as `network: {allow: [...]}` names them.
        resolve: gives the addresses of a host and port; None asks the system.

    Returns:
        The session. It raises `UserError` where an address may not be reached. `REQUESTS_CA_BUNDLE` and `SSL_CERT_FILE` name
        further certificates as elsewhere; nothing else is taken from the environment, and no `.netrc`.
    """
    return GuardedSession(functools.partial(checked, allow=allow, resolve=resolve or system_resolve))


def system_resolve(host: str, port: int) -> list[str]:
    """The addresses of a host as this machine finds them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def checked(host: str, port: int, *, allow: Sequence[str], resolve: Resolve) -> list[str]:
    """Resolve a host and see that each of its addresses may be reached.

    Raises:
        UserError: one of them may not; the sentence names the host and what to write.
        OSError: the host has no address.
    """
    name = host.strip("[]").rstrip(".")
    addresses = list(resolve(name, port))
    if named(name, allow):
        return addresses
    networks = [network for entry in allow if (network := _network(entry)) is not None]
    for text in addresses:
        address = ipaddress.ip_address(text)
        inner = _unwrapped(address)
        if not is_public(inner) and not any(part in network for network in networks for part in (address, inner)):
            raise UserError(
                f"{name} is at an address that is not public, and sources may not reach such; if it is meant, "
                f"write into stellwerk.yaml: network: {{allow: [{name}]}}"
            )
    return addresses


def named(host: str, allow: Sequence[str]) -> bool:
    """Whether `allow` names a host, or the network of an address that stands for one."""
    name = host.strip("[]").rstrip(".").casefold()
    if any(entry.casefold().rstrip(".") == name for entry in allow):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return any((network := _network(entry)) is not None and address in network for entry in allow)


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet."""
    address = _unwrapped(address)
    if isinstance(address, ipaddress.IPv6Address) and (
        address not in PUBLIC_6 or any(address in network for network in TUNNELS)
    ):
        return False
    if address == INSIDE_CLOUDS or address in RELAYS:
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _unwrapped(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one, for that is what is reached."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


class GuardedSession(requests.Session):
    """A session whose connections go to checked addresses, and whose redirects carry no credentials to another place."""

    def __init__(self, dial: Dial) -> None:
        super().__init__()
        keep_queries_out_of_logs()
        self.trust_env = False
        self.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or True
        self.adapters.clear()
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter(dial))

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send a request, and follow up to five redirects of a GET; of each the host is checked.

        Raises:
            UserError: the address may not be reached, or holds a password.
        """
        check_url(str(request.url))
        return super().send(request, **{**kwargs, "proxies": {}, "stream": True})

    def resolve_redirects(  # type: ignore[override]
        self,
        resp: requests.Response,
        req: requests.PreparedRequest,
        yield_requests: bool = False,
        **kwargs: Any,
    ) -> Iterator[requests.Response]:
        """Follow redirects without reading their bodies, which may be endless."""
        if yield_requests:
            return
        for _ in range(REDIRECTS):
            target = self.get_redirect_target(resp)
            if target is None:
                return
            resp.close()
            if req.method not in ("GET", "HEAD"):
                host = host_of(str(req.url))
                raise UserError(f"{host} sends a {req.method} elsewhere, which is not followed; give the address that it names")
            req = self._redirected(req, urljoin(str(req.url), requote_uri(target)))
            resp = self.send(req, **{**kwargs, "allow_redirects": False})
            yield resp
        if resp.is_redirect:
            resp.close()
            raise UserError(f"{host_of(str(req.url))} redirects more than {REDIRECTS} times; give the address that it ends at")

    def _redirected(self, before: requests.PreparedRequest, url: str) -> requests.PreparedRequest:
        keep = same_place(str(before.url), url)
        headers = {name: value for name, value in before.headers.items() if keep or name.lower() in PLAIN_HEADERS}
        headers.pop("Cookie", None)
        return self.prepare_request(requests.Request(before.method, url, headers=headers))


def check_url(url: str) -> None:
    """See that an address is one of the web, and holds neither user nor password.

    Raises:
        UserError: it is not; the sentence names its host at most.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise UserError("an address of the web cannot be read; expected one such as https://kb.example.com/api") from None
    if parts.scheme not in ("http", "https") or not host:
        raise UserError("an address begins neither with https:// nor with http:// and a host; others are not reached")
    if "@" in parts.netloc:
        raise UserError(
            f"the address at {host} holds a user or password; leave them out and give them as 'auth: {{basic: ...}}'"
        )


def same_place(first: str, second: str) -> bool:
    """Whether what one address may know, such as a password, may be sent to the other: same host, and never less safe.

    From http to https on the usual ports counts as the same.
    """
    one, other = urlsplit(first), urlsplit(second)
    if one.hostname != other.hostname:
        return False
    ports = [part.port or {"http": 80, "https": 443}.get(part.scheme) for part in (one, other)]
    upgrade = (one.scheme, other.scheme, *ports) == ("http", "https", 80, 443)
    return upgrade or (one.scheme == other.scheme and ports[0] == ports[1])


def host_of(url: str) -> str:
    """The host of an address, as it may be shown."""
    try:
        return urlsplit(url).hostname or "the address"
    except ValueError:
        return "the address"


class _Adapter(HTTPAdapter):
    """Makes the pools of connections that dial checked addresses; it never tries again by itself."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        pools: Any = {
            "http": functools.partial(_pool, HTTPConnectionPool, _Plain, self._dial),
            "https": functools.partial(_pool, HTTPSConnectionPool, _Secure, self._dial),
        }
        self.poolmanager.pool_classes_by_scheme = pools


def _pool(kind: Any, connection: Any, dial: Dial, *args: Any, **kwargs: Any) -> Any:
    pool = kind(*args, **kwargs)
    pool.ConnectionCls = functools.partial(connection, dial=dial)
    return pool


class _Plain(HTTPConnection):
    def __init__(self, *args: Any, dial: Dial, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._dial = dial

    def _new_conn(self) -> socket.socket:
        return _connected(self, self._dial)


class _Secure(HTTPSConnection):
    def __init__(self, *args: Any, dial: Dial, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._dial = dial

    def _new_conn(self) -> socket.socket:
        return _connected(self, self._dial)


def _connected(connection: HTTPConnection, dial: Dial) -> socket.socket:
    """Connect to the first checked address that answers; what is dialled is the address, not the name."""
    try:
        addresses = dial(connection._dns_host, connection.port)
    except (socket.gaierror, UnicodeError) as error:
        raise NameResolutionError(connection.host, connection, socket.gaierror(str(error))) from None
    problem: OSError = OSError("the host has no address")
    for address in addresses:
        try:
            return socket.create_connection((address, connection.port), connection.timeout)
        except OSError as error:
            problem = error
    if isinstance(problem, TimeoutError):
        raise ConnectTimeoutError(connection, "no connection in time")
    raise NewConnectionError(connection, "no connection")


class _NoQueries(logging.Filter):
    """Cuts the queries off the addresses that urllib3 logs, for they may hold keys."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_shown(value) for value in record.args)
        record.exc_info = None
        return True


def _shown(value: object) -> object:
    if isinstance(value, int | float | None):
        return value
    return value.partition("?")[0] if isinstance(value, str) else type(value).__name__


_FILTER = _NoQueries()


def keep_queries_out_of_logs() -> None:
    """Let urllib3's loggers show no query, whatever their level."""
    for name in ("connection", "connectionpool", "poolmanager", "response", "util.retry"):
        logging.getLogger(f"urllib3.{name}").addFilter(_FILTER)  # adding the same one again changes nothing
