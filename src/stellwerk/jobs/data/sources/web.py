"""One file at an address of the web: fetched through the guard, and not again while it is as it was.

Only addresses that a spec names are fetched; nothing is crawled. It knows answers and files, not what is in them.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import requests

from stellwerk.credentials import without_password
from stellwerk.jobs.data.files.reading import format_of
from stellwerk.jobs.data.source_spec import Source
from stellwerk.jobs.data.sources import guard
from stellwerk.jobs.data.sources.client import CHUNK, Client, Failure, Patience
from stellwerk.jobs.data.sources.retries import Check
from stellwerk.jobs.data.sources.signing import Signed, who_asks

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace

MOST_BYTES = 2 * 2**30
PATIENCE = Patience(seconds=3600, stall=60)
DOCUMENTS = {".pdf": "pdf", ".docx": "docx", ".pptx": "pptx", ".odt": "odt", ".eml": "eml", ".msg": "msg"}
TYPES = {
    "text/csv": "csv",
    "text/tab-separated-values": "csv",
    "application/json": "json",
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
    "application/vnd.apache.parquet": "parquet",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.ms-outlook": "msg",
    "application/pdf": "pdf",
    "message/rfc822": "eml",
    "text/markdown": "md",
    "text/html": "html",
    "application/xhtml+xml": "html",
    "text/plain": "txt",
}
_TAG = re.compile(r'(W/)?"[\x21\x23-\x7e]{0,200}"')  # an entity tag as HTTP has it
_RESERVED = re.compile(r"\b(noai|noimageai|tdm-reservation:\s*1)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Fetched:
    """What came of asking for a file.

    Attributes:
        url: the address as shown.
        sha256: of the content, in hex.
        bytes: of the content.
        etag: what the server calls this state, for the next time; None where it does not.
        last_modified: when it says that the file was changed, as it writes it.
        content_type: without parameters, in lower case; None where the server does not say.
        changed: whether the content is another than the known one; if not, nothing may have been written.
        format: guessed from the name, else from the content type; None where neither tells.
        notes: sentences on what a reader should know, such as that the file is reserved.
    """

    url: str
    sha256: str
    bytes: int
    etag: str | None
    last_modified: str | None
    content_type: str | None
    changed: bool
    format: str | None
    notes: tuple[str, ...] = ()


def shown(url: str) -> str:
    """An address as it may be shown: without password, and with the first signs of its query's SHA-256 in place of the query.

    So two addresses that differ in their query only do not share a name, and a token in a query is not given away.
    """
    place = url.partition("#")[0]
    query = place.partition("?")[2]
    mark = f"?{hashlib.sha256(query.encode()).hexdigest()[:8]}" if query else ""
    return f"{without_password(place)}{mark}"


def fetch(
    url: str,
    source: Source,
    workspace: Workspace,
    known: Mapping[str, Any] | None,
    into: Path,
    check: Callable[[], None],
    patience: Patience = PATIENCE,
    most: int = MOST_BYTES,
) -> Fetched:
    """Fetch a file, unless it is as it was.

    Args:
        url: its address.
        source: its `auth` says who asks.
        workspace: resolves credentials, and says what may be reached beside public addresses.
        known: of the last time: `etag`, `last_modified`, `sha256`, `bytes`, `format`; None fetches in any case.
        into: the file that the content is written to.
        check: raises where the run was stopped.
        patience: how long and how often.
        most: bytes that a file may have.

    Returns:
        What came of it.

    Raises:
        UserError: the address may not be reached, is not there, or the credential is not the right one.
        StellwerkError: it could not be fetched whole; one sentence.
    """
    name = shown(url)
    said = f"source {source.name}: {name}"
    guard.check_url(url)
    session = guard.session(workspace.settings.network.allow)
    client = Client(said, session, patience, check)
    tokens = Client(f"source {source.name}: the token's address", session, patience, check)
    who = Signed(url, {}, who_asks(source.auth, workspace.credential, tokens))
    headers = {"Accept": "*/*", "Accept-Encoding": "identity", **_conditions(known)}
    request = session.prepare_request(requests.Request("GET", url, headers=headers, auth=who))

    def read(response: requests.Response, going_on: Check) -> Fetched:
        if response.status_code == 304:
            if not known:
                raise Failure("says that nothing changed (304), though nothing is known of it; try later", False)
            return _unchanged(name, known, response)
        digest, size = _written(response, into, most, going_on)
        return _fetched(name, url, response, digest, size, known)

    return client.ask(request, read)


def _conditions(known: Mapping[str, Any] | None) -> dict[str, str]:
    """The headers that ask for the file only if it changed."""
    if not known or not known.get("sha256"):
        return {}
    asked = {"If-None-Match": known.get("etag"), "If-Modified-Since": known.get("last_modified")}
    return {name: value for name, value in asked.items() if value}


def _written(response: requests.Response, into: Path, most: int, going_on: Check) -> tuple[str, int]:
    """Write the body to a file, which is there once it is whole; an attempt that was given up may still be at work beside."""
    digest, size = hashlib.sha256(), 0
    number, name = tempfile.mkstemp(dir=into.parent, prefix=f".{into.name}.")
    try:
        with os.fdopen(number, "wb") as file:
            for part in response.iter_content(CHUNK):
                going_on()
                size += len(part)
                if size > most:
                    raise Failure(f"is larger than {most >> 20} MiB; fetch it by hand and name the file on disk", False)
                digest.update(part)
                file.write(part)
        going_on()
        Path(name).replace(into)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return digest.hexdigest(), size


def _unchanged(name: str, known: Mapping[str, Any], response: requests.Response) -> Fetched:
    return Fetched(
        url=name,
        sha256=str(known["sha256"]),
        bytes=int(known.get("bytes") or 0),
        etag=_tag(response) or known.get("etag"),
        last_modified=_moment(response) or known.get("last_modified"),
        content_type=known.get("content_type"),
        changed=False,
        format=known.get("format"),
        notes=tuple(known.get("notes") or ()),
    )


def _fetched(
    name: str, url: str, response: requests.Response, digest: str, size: int, known: Mapping[str, Any] | None
) -> Fetched:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower() or None
    path = Path(unquote(urlsplit(url).path))
    by_name = format_of(path) or DOCUMENTS.get(path.suffix.lower())
    return Fetched(
        url=name,
        sha256=digest,
        bytes=size,
        etag=_tag(response),
        last_modified=_moment(response),
        content_type=kind if kind in TYPES else None,
        changed=known is None or known.get("sha256") != digest,
        format=by_name or TYPES.get(kind or ""),
        notes=tuple(_notes(name, url, response, by_name, kind)),
    )


def _notes(name: str, url: str, response: requests.Response, by_name: str | None, kind: str | None) -> list[str]:
    notes = []
    if str(response.url).startswith("http://") or url.lower().startswith("http://"):
        notes.append(f"{name} was fetched without TLS, so nobody vouches that it is what its owner wrote")
    if response.headers.get("tdm-reservation", "").strip() == "1":
        notes.append(f"{name} is reserved for text and data mining (TDMRep): it may be used with its owner's permission only")
    elif _RESERVED.search(response.headers.get("X-Robots-Tag", "")):
        notes.append(f"{name} is marked as not for AI (X-Robots-Tag): see its terms before you use it")
    if by_name not in (None, "html") and kind in ("text/html", "application/xhtml+xml"):
        notes.append(f"{name} came as HTML though its name says {by_name}; see that it is no log-in page")
    return notes


def _tag(response: requests.Response) -> str | None:
    tag = response.headers.get("ETag", "").strip()
    return tag if _TAG.fullmatch(tag) else None


def _moment(response: requests.Response) -> str | None:
    from email.utils import parsedate_to_datetime

    text = response.headers.get("Last-Modified", "").strip()
    try:
        parsedate_to_datetime(text)
    except ValueError:
        return None
    return text if len(text) < 60 else None
