"""From an answer in JSON to tables: parsed exactly, one row an object, its columns typed as JSON types them.

It knows bodies and rows; it does not know how pages are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import requests

from stellwerk.errors import UserError
from stellwerk.jobs.data.files.columns import Batcher, column_of, no_collection, origins, table_of
from stellwerk.jobs.data.files.encoding import decode_document
from stellwerk.jobs.data.files.jsonvalues import (
    LONG_NUMBER,
    ExactParser,
    JsonProblem,
    colons_after_keys,
    fast,
    keys_within,
)
from stellwerk.jobs.data.files.names import ColumnNames
from stellwerk.jobs.data.files.shapes import Facts, Unreadable
from stellwerk.jobs.data.source_spec import Source
from stellwerk.jobs.data.sources import cursor
from stellwerk.jobs.data.sources.client import Failure, body
from stellwerk.jobs.data.sources.retries import Check
from stellwerk.text import personal

MOST_BYTES = 64 * 2**20
BATCH_BYTES = 8 * 2**20
PIECE = 8192


def parsed(response: requests.Response, facts: Facts, going_on: Check) -> Any:
    """Read and parse the body of an answer.

    Raises:
        Failure: it is too large, or no JSON.
    """
    data = body(response, MOST_BYTES, going_on)
    if response.status_code == 204:
        return []
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not data.strip():
        raise Failure("gave an empty answer, where JSON was expected; see that the address is right", False)
    try:
        return _document(data, facts, response.encoding if "charset" in response.headers.get("Content-Type", "") else None)
    except JsonProblem as problem:
        if "html" in kind or data.lstrip()[:1] == b"<":
            reason = (
                "gave a page of HTML or XML, where JSON was expected; is it a log-in page, or the address of pages for people?"
            )
        else:
            reason = f"gave an answer that is no JSON: {problem}; see that the address is right"
    raise Failure(reason, False)


def _document(data: bytes, facts: Facts, charset: str | None) -> Any:
    if not LONG_NUMBER.search(data):
        try:
            value = fast(data)
        except orjson.JSONDecodeError:
            pass
        else:
            if colons_after_keys(data) == keys_within(value):
                return value
    exact = ExactParser()
    value = exact.parse(decode_document(data, None, facts, charset))
    if exact.twice is not None:
        facts.note("has an object in which a key stands twice; its last value was taken")
    return value


class Tables:
    """Makes tables of about 8 MB from the rows of many pages, and leaves out those below the cursor."""

    def __init__(self, source: Source, place: str, floor: str | None) -> None:
        """Make it.

        Args:
            source: its cursor names a column.
            place: begins every origin.
            floor: rows whose cursor is below are left out; None keeps all.
        """
        self.facts = Facts("json")
        self._place = place
        self._floor = floor
        self._column = source.cursor.column if source.cursor else None
        self._met: dict[str, None] = {}
        self._names = ColumnNames(self.facts)
        self._batcher = Batcher(BATCH_BYTES, self.facts)

    def page(self, number: int, rows: list[Any]) -> Iterator[pa.Table | Unreadable]:
        """Make pieces of the rows of a page.

        Args:
            number: of the page, from 1.
            rows: as JSON has them; one that is no object is `Unreadable`.
        """
        prefix = f"{self._place}#page {number} row "
        good = [(place, row) for place, row in enumerate(rows, 1) if isinstance(row, dict)]
        if len(good) < len(rows):
            for place, row in enumerate(rows, 1):
                if not isinstance(row, dict):
                    yield Unreadable(f"{prefix}{place}", f"row {place} of page {number} is no object in braces", "broken_json")
        for start in range(0, len(good), PIECE):
            yield self._piece(prefix, good[start : start + PIECE])

    def _piece(self, prefix: str, numbered: list[tuple[int, dict[str, Any]]]) -> pa.Table:
        rows = [row for _, row in numbered]
        keys = dict.fromkeys(chain.from_iterable(rows))
        names = {key: self._names.key(key) for key in keys}
        self._look_at_names([name for name in names.values() if name not in self._met])
        self._met.update(dict.fromkeys(names.values()))
        with no_collection():
            columns = {name: column_of([row.get(key) for row in rows]) for key, name in names.items()}
        return table_of(origins(prefix, [number for number, _ in numbered]), columns)

    def _look_at_names(self, names: list[str]) -> None:
        """Names of columns go where no value may go, such as the record, so they must hold no personal data."""
        kinds = sorted(set(personal.scan(names, list(personal.KINDS))["kind"].to_pylist())) if names else []
        if kinds:
            raise UserError(
                f"its rows have a key whose name holds personal data ({', '.join(kinds)}); have values as values, not as names"
            )

    def batched(self, piece: pa.Table | Unreadable) -> Iterator[pa.Table | Unreadable]:
        """Hand on what could not be read at once, and rows when there are enough."""
        if isinstance(piece, Unreadable):
            yield piece
            return
        yield from self._batcher.add(self._from_floor(piece))

    def rest(self) -> Iterator[pa.Table]:
        """Hand on what is left.

        Raises:
            UserError: no row has the column of the cursor.
        """
        if self._column is not None and self._met and self._column not in self._met:
            raise UserError(
                f"no row has the column {self._column!r} of the cursor; they have: {', '.join(list(self._met)[:20])}"
            )
        yield from self._batcher.rest()

    def _from_floor(self, piece: pa.Table) -> pa.Table:
        # Rows without a value of the cursor are read each time, as those of a database are.
        if self._floor is None or self._column is None or self._column not in piece.column_names:
            return piece
        return piece.filter(pc.fill_null(pc.invert(cursor.below(piece[self._column], self._floor)), True))
