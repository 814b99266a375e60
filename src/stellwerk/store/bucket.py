"""One bucket of an object store that speaks S3: put, get, head, list and delete, and what goes wrong in one sentence.

It knows addresses, credentials and errors. It does not know what the objects mean. What the library says of an error is never
passed on, since it quotes addresses, headers and what the server answered; known signs in it choose the sentence.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stellwerk.errors import MissingExtra, StellwerkError, UserError

try:
    import obstore
    from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
    from obstore.store import S3Store
except ModuleNotFoundError:
    raise MissingExtra("s3", "obstore") from None

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config, S3Credential, S3CredentialProvider

PART_BYTES = 16 * 2**20  # larger objects are sent in parts of this size
CHUNK_BYTES = 2**20
_BUCKET = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{1,62}")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_CLIENT: ClientConfig = {
    "connect_timeout": timedelta(seconds=10),
    "timeout": timedelta(minutes=10),
    "read_timeout": timedelta(minutes=1),
}
_RETRY: RetryConfig = {"max_retries": 8, "retry_timeout": timedelta(minutes=2)}
_DENIED = ("PermissionDenied", "Unauthenticated", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "status: 403")
_ELSEWHERE = ("BareRedirect", "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraint")
_NOBODY = ("169.254.169.254", "fd00:ec2::254", "169.254.170.2", "latest/api/token")  # where clouds hand out credentials


class Absent(StellwerkError):
    """There is no object with that key."""


class Changed(StellwerkError):
    """The object is no longer the one that was asked for."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object: its key below the bucket's prefix, bytes, etag without quotes, and when it was written (Unix seconds)."""

    key: str
    size: int
    etag: str
    modified: float


@dataclass(frozen=True)
class Access:
    """How a bucket is reached: values, not references. What is left out comes from the environment as AWS tools read it."""

    endpoint: str | None = None
    region: str | None = None
    access_key: str | None = None
    secret_key: str | None = None
    anonymous: bool = False
    allow: Sequence[str] = ()  # hosts and networks that may be reached without TLS

    def __repr__(self) -> str:
        return f"Access({self.endpoint})"


class Bucket:
    """A bucket, or what lies below a prefix in it."""

    def __init__(self, url: str, access: Access) -> None:
        """Open a bucket; nothing is sent yet.

        Args:
            url: `s3://bucket` or `s3://bucket/prefix`.
            access: how it is reached.

        Raises:
            UserError: the address, the endpoint or the credentials cannot be.
        """
        self.name, prefix = split(url)
        self.url = f"s3://{self.name}/{prefix}".rstrip("/")
        self.endpoint = access.endpoint or next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), None)
        http = _checked(self.endpoint, access.allow) if self.endpoint else False
        if (access.access_key is None) != (access.secret_key is None):
            raise UserError(f"{self.url}: give both access_key and secret_key, or none of them")
        config: S3Config = {}
        if self.endpoint:
            config["aws_endpoint_url_s3"] = self.endpoint  # the name that wins over the environment
        if access.region:
            config["region"] = access.region
        if access.anonymous:
            config["skip_signature"] = True
        with self._telling(""):
            self._store = S3Store(
                self.name,
                prefix=prefix or None,
                config=config,
                client_options={**_CLIENT, "allow_http": http},
                retry_config=_RETRY,
                credential_provider=_provider(access),
            )

    def shown(self, key: str) -> str:
        """An object's address as it may be shown."""
        return f"{self.url}/{key}"

    def put(self, key: str, content: bytes | Path) -> None:
        """Write an object; it appears whole or not at all."""
        with self._telling(key):
            obstore.put(self._store, key, content, chunk_size=PART_BYTES, max_concurrency=4)

    def create(self, key: str, content: bytes) -> bool:
        """Write an object unless there is one; False where there was. A store that knows no such condition overwrites."""
        try:
            with self._telling(key):
                obstore.put(self._store, key, content, mode="create")
        except _Exists:
            return False
        except _Unknown:
            self.put(key, content)
        return True

    def head(self, key: str) -> Stored | None:
        """What the bucket says of an object; None where there is none."""
        try:
            with self._telling(key):
                return _stored(obstore.head(self._store, key))
        except Absent:
            return None

    def get(self, key: str, etag: str | None = None) -> Iterator[memoryview]:
        """Read an object in pieces.

        Args:
            key: of the object.
            etag: the state that is meant; any if left out.

        Yields:
            Its bytes, about a MiB at a time. A broken connection is taken up where it broke.

        Raises:
            Absent: there is no such object.
            Changed: it is no longer the state that is meant.
        """
        with self._telling(key):
            answer = obstore.get(self._store, key, options={"if_match": f'"{etag}"'} if etag else None)
            if etag and _stored(answer.meta).etag != etag:
                raise Changed(f"{self.shown(key)} was changed while it was read; start the command again")
            chunks = iter(answer.stream(min_chunk_size=CHUNK_BYTES))
        while True:
            with self._telling(key):
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield memoryview(chunk)

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """The objects below a folder, in the order of their keys as the server has it."""
        chunks = iter(obstore.list(self._store, prefix or None, chunk_size=1000))
        while True:
            with self._telling(prefix):
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield from (_stored(entry) for entry in chunk if entry["path"])

    def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; those that are not there are no mistake."""
        if keys:
            with self._telling(keys[0]):
                obstore.delete(self._store, list(keys))

    @contextmanager
    def _telling(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise UserError(self._no_bucket()) from None
            raise Absent(f"{self.shown(key)} is not there") from None
        except PreconditionError:
            raise Changed(f"{self.shown(key)} was changed while it was read; start the command again") from None
        except AlreadyExistsError:
            raise _Exists(f"{self.shown(key)} is there already") from None
        except (BaseError, ValueError, OSError) as error:
            raise self._failure(key, f"{type(error).__name__} {error}") from None

    def _no_bucket(self) -> str:
        at = f" at {self.endpoint}" if self.endpoint else ""
        return f"there is no bucket {self.name!r}{at}; correct its name in {self.url}, or make it"

    def _failure(self, key: str, said: str) -> StellwerkError:
        place = self.endpoint or "Amazon S3"
        if "NoSuchBucket" in said:
            return UserError(self._no_bucket())
        if odd := re.search(r"(?:InvalidPath|Could not parse path).*?[Pp]ath \"([^\"]*)\"", said, re.DOTALL):
            return UserError(
                f"{self.url} holds the key {odd[1][:200]!r}, which is no path (an empty part, . or .., or a control "
                "character); rename that object, or name a folder that does not hold it"
            )
        if any(sign in said for sign in _NOBODY):
            return UserError(
                f"there are no credentials for {self.url}; give access_key and secret_key as references such as env:NAME, "
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or, where anybody may read it, anonymous: true"
            )
        if any(sign in said for sign in _DENIED):
            return UserError(f"{place} denies access to {self.shown(key)}; check the keys, and what they may do there")
        if any(sign in said for sign in _ELSEWHERE):
            return UserError(f"the bucket {self.name!r} is in another region or at another endpoint; give its region")
        if status := re.search(r"status: (\d{3})", said):
            kind = _Unknown if status[1] in ("501", "400") else StellwerkError
            return kind(f"{place} answered with the error {status[1]} for {self.shown(key)}; start the command again later")
        return StellwerkError(
            f"{place} cannot be reached for {self.shown(key)}; check the endpoint and the network, then try again"
        )


class _Exists(StellwerkError):
    """An object to be created is there already."""


class _Unknown(StellwerkError):
    """The server does not know what was asked."""


def split(url: str) -> tuple[str, str]:
    """The bucket's name, and what follows it without slashes at its ends.

    Raises:
        UserError: there is no name that a bucket can have; what was written is not repeated, for it may hold a key.
    """
    scheme, _, rest = url.partition("://")
    name, _, prefix = rest.partition("/")
    if scheme.lower() != "s3" or not _BUCKET.fullmatch(name):
        raise UserError("the address of a bucket is no s3://bucket/… with a name of 2 to 63 letters, digits, '.', '-' and '_'")
    return name, prefix.strip("/")


def _checked(endpoint: str, allow: Sequence[str]) -> bool:
    """See that an endpoint can be one; returns whether it is spoken to without TLS.

    Raises:
        UserError: it cannot; the sentence does not repeat what may hold a password.
    """
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if not host or parts.scheme not in ("http", "https") or "@" in parts.netloc or parts.query or parts.fragment:
        raise UserError(
            "the endpoint of an object store is no plain address such as https://minio.example.com:9000; credentials stand "
            "in access_key and secret_key"
        )
    if parts.scheme == "http" and not _may_be_plain(host.rstrip("."), allow):
        raise UserError(
            f"the endpoint http://{parts.netloc} has no TLS, so keys and data would travel in the open; give one with "
            f"https://, or allow the host in stellwerk.yaml under network: allow: [{host}]"
        )
    return parts.scheme == "http"


def _may_be_plain(host: str, allow: Iterable[str]) -> bool:
    """Whether a host is this machine, or is allowed as it is written. What a name server answers decides nothing here."""
    if host == "localhost" or any(host == entry.rstrip(".").lower() for entry in allow):
        return True
    with suppress(ValueError):
        address = ipaddress.ip_address(host)
        return address.is_loopback or any(address in network for network in map(_network, allow) if network)
    return False


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None


def _provider(access: Access) -> S3CredentialProvider | None:
    """Keys that were given, without what the environment holds for others; None where it is to be asked."""
    key, secret = access.access_key, access.secret_key
    if key is None or secret is None:
        return None
    found: S3Credential = {"access_key_id": key, "secret_access_key": secret, "token": None, "expires_at": None}
    return lambda: found


def _stored(meta: obstore.ObjectMeta) -> Stored:
    return Stored(meta["path"], meta["size"], (meta["e_tag"] or "").strip('"'), meta["last_modified"].timestamp())
