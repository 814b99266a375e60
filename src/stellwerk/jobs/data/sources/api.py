"""Rows of a REST API that answers in JSON: page after page, from the cursor on where there is one.

It knows what a run over all pages must add up to: an API that repeats itself, never ends, or changes while its pages are
counted off is not believed. How an answer is got is known to `client`, how pages are told to `pages`.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import requests

from stellwerk.credentials import is_reference, without_password
from stellwerk.errors import StellwerkError, UserError
from stellwerk.jobs.data.files.columns import as_text
from stellwerk.jobs.data.files.schema import cast, unify
from stellwerk.jobs.data.files.shapes import FileProblem, Unreadable
from stellwerk.jobs.data.source_spec import Api, Source
from stellwerk.jobs.data.sources import cursor, guard
from stellwerk.jobs.data.sources.answers import Tables, parsed
from stellwerk.jobs.data.sources.client import Client, Patience
from stellwerk.jobs.data.sources.pages import (
    Walker,
    document_of,
    keep_document,
    only_page,
    paginator,
    size_parameters,
    value_at,
)
from stellwerk.jobs.data.sources.signing import Signed, who_asks, written_out

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace

READINGS = 3  # an API that changes while it is read is read so often
COUNTED = ("page", "offset")  # styles in which rows move to other pages when some come or go


class Changed(Exception):
    """The rows changed while their pages were counted off; what it says ends a sentence."""


def place(source: Source, workspace: Workspace) -> str:
    """The address as it may be shown: without password and query; a reference as it stands in the spec."""
    del workspace
    assert source.api is not None
    url = source.api.url
    return url if is_reference(url) else without_password(url).partition("#")[0]


def read(source: Source, workspace: Workspace, since: str | None, check: Callable[[], None]) -> Iterator[pa.Table | Unreadable]:
    """Read the rows of an API.

    Args:
        source: its `api` says where and how, its `cursor` by which column new rows are known.
        workspace: resolves credentials, and says what may be reached beside public addresses.
        since: the highest value of the cursor that was read before; None reads all.
        check: raises where the run was stopped; it is called between answers and while waiting.

    Yields:
        Tables of about 8 MB, typed as JSON types them, with notes as their facts, and `Unreadable` for a row that is no object.

    Raises:
        UserError: the spec and the API do not fit; one sentence.
        StellwerkError: the API does not answer, never ends, or changed each time that it was read.
    """
    assert source.api is not None
    reading = _Reading(source, workspace, _floor(source, since), check)
    try:
        if source.api.pages.style not in COUNTED:
            yield from reading.once()
            return
        for left in reversed(range(READINGS)):
            with tempfile.TemporaryDirectory(dir=workspace.state, prefix="reading-") as folder:
                try:
                    pieces = _set_down(reading.once(), Path(folder))
                except Changed:
                    if not left:
                        raise
                    continue
                for piece in pieces:
                    yield piece if isinstance(piece, Unreadable) else _taken_up(piece)
                return
    except Changed as change:
        said = f"{reading.name} {change}; it changed while it was read, so read it at a quieter time, or with a cursor"
    except FileProblem as problem:
        said = f"{reading.name} {problem.reason}"
    raise StellwerkError(said)


def _floor(source: Source, since: str | None) -> str | None:
    """The value of the cursor from which rows are read."""
    if source.cursor is None:
        return None
    if since is not None:
        return cursor.lower(since, source.cursor.overlap)
    return None if source.cursor.start is None else str(source.cursor.start)


def _set_down(pieces: Iterator[pa.Table | Unreadable], folder: Path) -> list[Path | Unreadable]:
    """Keep pieces on disk until it is known that they are whole."""
    kept: list[Path | Unreadable] = []
    for piece in pieces:
        if isinstance(piece, Unreadable):
            kept.append(piece)
            continue
        path = folder / f"{len(kept)}.arrow"
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, piece.schema) as writer:
            writer.write_table(piece)
        kept.append(path)
    return kept


def _taken_up(path: Path) -> pa.Table:
    with pa.OSFile(str(path), "rb") as file:
        return pa.ipc.open_file(file).read_all()


class _Reading:
    """One source's reading: who asks, and for what."""

    def __init__(self, source: Source, workspace: Workspace, floor: str | None, check: Callable[[], None]) -> None:
        api = source.api
        assert api is not None
        self.place = place(source, workspace)
        self.name = f"source {source.name}: {self.place}"
        self._source, self._api, self._floor, self._check = source, api, floor, check
        written_out(source.name, api.headers, "header")
        written_out(source.name, api.parameters, "parameter")
        self._url = workspace.credential(api.url)
        guard.check_url(self._url)
        self._client = self._client_of(workspace, self.name)
        headers = {name: workspace.credential(value) for name, value in api.headers.items()}
        tokens = self._client_of(workspace, f"source {source.name}: the token's address")
        self._signed = Signed(self._url, headers, who_asks(api.auth, workspace.credential, tokens))

    def _client_of(self, workspace: Workspace, name: str) -> Client:
        api = self._api
        patience = Patience(api.seconds, api.seconds, api.retries, api.per_second)
        return Client(name, guard.session(workspace.settings.network.allow), patience, self._check)

    def once(self) -> Iterator[pa.Table | Unreadable]:
        """Read all pages.

        Raises:
            Changed: the rows changed in between.
        """
        tables = Tables(self._source, self.place, self._floor)
        try:
            yield from self._pages(tables, _Adding(self._source), Walks(self._api, self.name))
            return
        except UserError as mistake:
            said = str(mistake)
        raise UserError(said if said.startswith("source ") else f"{self.name}: {said}")

    def _pages(self, tables: Tables, run: _Adding, walked: Walks) -> Iterator[pa.Table | Unreadable]:
        pages, parameters = self._api.pages, self._parameters()
        walker = Walker(self._url, _Session(self._client, tables), self._api.rows, pages, self._signed)
        walked.next(self._url, parameters, 0)
        walk = walker.paginate(params=parameters, paginator=paginator(pages), hooks={"response": [_leave]})
        for number, page in enumerate(walk, 1):
            self._check()
            rows = list(page)
            run.page(rows, document_of(page.response))
            walked.rows(rows, number)
            for piece in tables.page(number, rows):
                run.piece(piece)
                yield from tables.batched(piece)
            if page.paginator.has_next_page:
                walked.next(str(page.request.url), page.request.params, number)
            elif number == 1:
                only_page(pages, document_of(page.response), len(rows), tables.facts.note)
        run.finish(tables.facts.note)
        yield from tables.rest()

    def _parameters(self) -> dict[str, Any]:
        api = self._api
        given = {name: _parameter(value) for name, value in api.parameters.items()}
        since = {api.since: self._floor} if api.since and self._floor is not None else {}
        return {**given, **size_parameters(api.pages), **since}


def _parameter(value: str | int | float | bool) -> str | int | float:
    return str(value).lower() if isinstance(value, bool) else value


def _leave(response: requests.Response, *_: Any, **__: Any) -> None:
    """dlt would raise here, with the address and the body; the client has looked at the status already."""


class _Session(requests.Session):
    """What dlt's client sends with: each request goes through our client, and comes back with its body parsed."""

    def __init__(self, client: Client, tables: Tables) -> None:
        super().__init__()
        self.trust_env = False
        self._client = client
        self._tables = tables

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:
        """Send a request until it is answered."""
        return self._client.ask(request, self._read)

    def _read(self, response: requests.Response, going_on: Callable[[], None]) -> requests.Response:
        return keep_document(response, parsed(response, self._tables.facts, going_on))


class Walks:
    """Sees that a run over pages goes on and comes to an end."""

    def __init__(self, api: Api, name: str) -> None:
        self._api = api
        self._name = name
        self._first = ""
        self._addresses: set[bytes] = set()
        self._pages: dict[bytes, int] = {}

    def next(self, url: str, parameters: Any, number: int) -> None:
        """Look at the address that comes after a page, before it is asked for.

        Raises:
            StellwerkError: it was asked before, is elsewhere, or would be one too many.
        """
        address = str(requests.Request("GET", url, params=parameters).prepare().url)
        digest = _digest(address)
        if digest in self._addresses:
            raise StellwerkError(
                f"{self._name} names after page {number} a page that was read before; correct 'pages', or tell who runs it"
            )
        if self._addresses and not guard.same_place(self._first, address):
            raise StellwerkError(
                f"{self._name} names after page {number} a page on another host, or without TLS, which is not followed; "
                "use the style page or offset, or give the address that it names"
            )
        if number >= self._api.pages.most:
            raise StellwerkError(
                f"{self._name} did not end after {number} pages; raise pages.most if it has more, or correct 'pages'"
            )
        if not self._addresses:
            self._first = address
        self._addresses.add(digest)

    def rows(self, rows: list[Any], number: int) -> None:
        """Look at the rows of a page.

        Raises:
            StellwerkError: an earlier page had exactly the same.
        """
        if not rows:
            return
        before = self._pages.setdefault(_digest(as_text(rows)), number)
        if before != number:
            raise StellwerkError(
                f"{self._name} gave the same rows as page {number} that page {before} had, as one does that does not know "
                "its paging parameter; correct 'pages'"
            )


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()


@dataclass
class _Adding:
    """What a run over all pages adds up to."""

    source: Source
    came: int = 0
    totals: list[int] = field(default_factory=list)
    keys: list[pa.Table] = field(default_factory=list)

    def page(self, rows: list[Any], document: Any) -> None:
        """Count a page."""
        assert self.source.api is not None
        self.came += len(rows)
        path = self.source.api.pages.total
        if path is not None:
            total = value_at(document, path)
            if isinstance(total, bool) or not isinstance(total, int | str) or not str(total).isdecimal():
                raise UserError(f"the answer holds no whole number at {path!r}; correct pages.total")
            self.totals.append(int(total))

    def piece(self, table: pa.Table | Unreadable) -> None:
        """Keep the keys of a table."""
        names = self.source.key
        if names and isinstance(table, pa.Table) and set(names) <= set(table.column_names):
            self.keys.append(table.select(names))

    def finish(self, note: Callable[[str], None]) -> None:
        """See that what came is what there is.

        Raises:
            Changed: it is not.
        """
        assert self.source.api is not None
        twice = self._twice()
        counted = self.source.api.pages.style in COUNTED
        if twice:
            note(f"gave {twice} rows more than once by their key; the later one of each counts")
        if not self.totals:
            return
        first, last = self.totals[0], self.totals[-1]
        came = self.came - (twice if self.source.load == "merge" else 0)
        if (counted and first != last) or came < min(first, last) or (counted and came != last):
            raise Changed(f"said that it has {first} rows at first and {last} at last, and {came} came")

    def _twice(self) -> int:
        if not self.keys:
            return 0
        schema = unify([table.schema for table in self.keys])
        rows = pa.concat_tables([cast(table, schema) for table in self.keys])
        return int(rows.num_rows - rows.group_by(self.source.key).aggregate([]).num_rows)
