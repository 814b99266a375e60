"""Files of an object store: which ones a pattern such as `s3://bucket/manuals/**/*.pdf` names, and fetching one of them.

A pattern means what it means for files on disk: `*` stays within a folder, `**` does not, and hidden names are left out. It
knows keys, sizes and tags; it reads no format. A source's endpoint must be public, or allowed in `network: allow`.
"""

from __future__ import annotations

import difflib
import fnmatch
import hashlib
import itertools
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from stellwerk.errors import StellwerkError, UserError
from stellwerk.jobs.data.source_spec import Source
from stellwerk.jobs.data.sources import guard
from stellwerk.store.bucket import Absent, Access, Bucket, Changed, Stored, split

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace

_MAGIC = re.compile(r"[*?[]")
_TOKENS = re.compile(r"\*+|\[!?\]?[^\]]*\]|.", re.DOTALL)
_FOLDERS = r"(?:(?!\.)[^/]+/)*"
_MD5 = re.compile(r"[0-9a-f]{32}")
NEAR = 200  # keys that are looked at for one that was meant


@dataclass(frozen=True, slots=True)
class Found:
    """An object that a pattern matched: its bytes, etag without quotes, and when it was written (Unix seconds)."""

    bucket: str
    key: str
    size: int
    etag: str
    modified: float


def shown(found: Found) -> str:
    """An object's address as the user is shown it."""
    return f"s3://{found.bucket}/{found.key}"


def as_json(found: Found) -> dict[str, Any]:
    """An object's description as JSON."""
    return asdict(found)


def from_json(value: dict[str, Any]) -> Found:
    """The description that `as_json` wrote."""
    return Found(**value)


def list_objects(pattern: str, source: Source, workspace: Workspace) -> list[Found]:
    """Find the objects that match a pattern.

    Args:
        pattern: `s3://bucket/` and a glob such as `manuals/**/*.pdf`.
        source: its `s3` says how the store is reached.
        workspace: knows credentials, and which networks are allowed.

    Returns:
        Objects, sorted by key, without folder markers and hidden ones.

    Raises:
        UserError: nothing matches, there is no such bucket, access is denied, or the endpoint may not be reached.
        StellwerkError: the store cannot be reached, or fails.
    """
    name, glob = split(pattern)
    if not glob or ".." in glob.split("/"):
        raise UserError(f"the pattern s3://{name}/{glob} names no objects; give one such as s3://{name}/manuals/**/*.pdf")
    bucket = _open(name, source, workspace)
    parts = glob.split("/")
    folder = "/".join(itertools.takewhile(lambda part: not _MAGIC.search(part), parts[:-1]))
    if not _MAGIC.search(glob):
        known = bucket.head(glob)
        seen = [known] if known else list(itertools.islice(bucket.list(folder), NEAR))
        matches = [known] if known else []
    else:
        seen = list(bucket.list(folder))
        fits = re.compile(_regex(parts))
        matches = [entry for entry in seen if fits.fullmatch(entry.key)]
    matches = _files(bucket, matches, seen)
    if not matches:
        raise UserError(_nothing(bucket, name, glob, folder, [entry.key for entry in seen[:NEAR]]))
    found = (Found(name, entry.key, entry.size, entry.etag, entry.modified) for entry in matches)
    return sorted(found, key=lambda entry: entry.key)


def download(found: Found, into: Path, source: Source, workspace: Workspace, check: Callable[[], None]) -> None:
    """Fetch an object as it was found.

    Args:
        found: the object.
        into: the file to write; it is not there afterwards where this fails.
        source: its `s3` says how the store is reached.
        workspace: knows credentials, and which networks are allowed.
        check: called now and then; may raise to stop.

    Raises:
        StellwerkError: the object is another one now, is gone, arrived damaged, or the store fails.
    """
    bucket = _open(found.bucket, source, workspace)
    try:
        first = _fetch(bucket, found, into, check)
        # Where the store encrypts with keys of its own, a tag looks like an MD5 and is none: then two readings must agree.
        if _MD5.fullmatch(found.etag) and first != found.etag and _fetch(bucket, found, into, check) != first:
            raise StellwerkError(f"{shown(found)} arrived damaged, twice in different ways; start the command again")
    except BaseException:
        into.unlink(missing_ok=True)
        raise


def _fetch(bucket: Bucket, found: Found, into: Path, check: Callable[[], None]) -> str:
    """Write an object to a file; returns the MD5 of what arrived."""
    digest, size = hashlib.md5(usedforsecurity=False), 0
    try:
        with into.open("wb") as file:
            for chunk in bucket.get(found.key, found.etag):
                check()
                digest.update(chunk)
                size += file.write(chunk)
    except (Absent, Changed):
        raise _changed(found) from None
    if size != found.size:
        raise _changed(found)
    return digest.hexdigest()


def _changed(found: Found) -> StellwerkError:
    return StellwerkError(f"{shown(found)} was changed while it was read; start the command again")


def _open(name: str, source: Source, workspace: Workspace) -> Bucket:
    """The bucket of a source, once its endpoint is found to be one that may be asked."""
    s3, allow = source.s3, workspace.settings.network.allow
    key, secret = (reference and workspace.credential(reference) for reference in (s3.access_key, s3.secret_key))
    bucket = Bucket(f"s3://{name}", Access(s3.endpoint, s3.region, key, secret, s3.anonymous, allow))
    if s3.endpoint is not None:
        parts = urlsplit(s3.endpoint)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        if not guard.named(host, allow):
            # The client of buckets follows redirects, so an endpoint must be one that somebody answers for.
            raise UserError(f"the endpoint {host} is not Amazon's; name it in stellwerk.yaml: network: {{allow: [{host}]}}")
        try:
            guard.checked(host, port, allow=allow, resolve=guard.system_resolve)
        except (OSError, UnicodeError):
            raise StellwerkError(f"the endpoint {host} is not known by name here; check it and the network") from None
    return bucket


def _files(bucket: Bucket, matches: list[Stored], seen: list[Stored]) -> list[Stored]:
    """What is no marker of a folder: an empty object whose key ends with a slash, which the listing has without it."""
    folders = {entry.key[:place] for entry in seen for place, sign in enumerate(entry.key) if sign == "/"}
    return [entry for entry in matches if entry.size or (entry.key not in folders and bucket.head(entry.key) is not None)]


def _regex(parts: list[str]) -> str:
    """A glob as a regular expression over keys."""
    *folders, last = (part for part, before in zip(parts, ["", *parts], strict=False) if not part == before == "**")
    found = [_FOLDERS if part == "**" else _segment(part) + "/" for part in folders]
    return "".join([*found, _FOLDERS + _segment("*") if last == "**" else _segment(last)])


def _segment(part: str) -> str:
    """One part of a glob; where it begins with a sign that stands for others it matches no hidden name."""
    signs = {"*": "[^/]*", "?": "[^/]"}
    found = []
    for token in _TOKENS.findall(part):
        if token[0] == "[" and len(token) > 1:
            found.append("(?!/)" + fnmatch.translate(token)[len("(?s:") : -len(")\\Z")])
        else:
            found.append(signs.get(token[0], re.escape(token)))
    return (r"(?!\.)" if _MAGIC.match(part) else "") + "".join(found)


def _nothing(bucket: Bucket, name: str, glob: str, folder: str, keys: list[str]) -> str:
    while not keys and folder:
        folder = folder.rpartition("/")[0]
        keys = [entry.key for entry in itertools.islice(bucket.list(folder), NEAR)]
    near = difflib.get_close_matches(glob, keys, n=3, cutoff=0.4) or sorted(keys)[:3]
    place = f"s3://{name}/{folder}".rstrip("/")
    holds = f"{place} holds {', '.join(near)}" if near else f"{place} is empty"
    return f"no object matches 's3://{name}/{glob}'; {holds}. Correct the pattern or put the objects there."
