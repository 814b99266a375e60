"""Rows of a database or an API: read anew by each run, from the cursor on where there is one.

What is at the other end can only be known by reading it, so a reading step is remembered for its own run alone. Where reading
begins is pinned once a run, so that a resumed run goes on as it began. All later steps rest on the content of what was read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from stellwerk.engine.engine import write_shard
from stellwerk.jobs.data import shards as stored
from stellwerk.jobs.data.files.shapes import Unreadable
from stellwerk.jobs.data.source_spec import Source
from stellwerk.jobs.data.sources.part import Gathering, Part

if TYPE_CHECKING:
    from stellwerk.run import Run


@dataclass(frozen=True)
class Beginning:
    """Where a run begins to read a source.

    Attributes:
        base: the version that the rows read meet, None at the first time.
        since: the highest value of the cursor that was read before, None where all is read.
    """

    base: str | None
    since: str | None


def begin(run: Run, name: str, asked: dict[str, Any]) -> Beginning:
    """Where to begin; the first answer counts for the whole run.

    Args:
        run: the run at work.
        name: of the source's asset.
        asked: what is asked for, as recorded; when that changes, all is read again.
    """
    return Beginning(**run.step(f"begin {name.rpartition('.')[2]}", note_beginning, name=name, asked=asked, run_id=run.id))


def note_beginning(run: Run, *, name: str, asked: dict[str, Any], run_id: str) -> dict[str, Any]:
    """Step: keep the version that the rows will meet, and the value of the cursor from which they are read."""
    del run_id
    latest = run.record.latest("source", name)
    since = None
    if latest is not None and asked["cursor"] and latest.facts["made_from"].get("asked") == asked:
        since = latest.facts["made_from"]["to"]
    return {"base": latest.id if latest else None, "since": since}


def asked(run: Run, source: Source) -> dict[str, Any]:
    """What a source asks for: the place without credentials, and all that decides which rows and columns come."""
    given = source.database or source.api
    assert given is not None
    # Who asks, how often and how many rows a page decide nothing of what comes.
    apart = {"url", "password", "auth", "headers", "per_second", "seconds", "retries"}
    how = given.model_dump(mode="json", exclude=apart)
    if source.api is not None:
        how["pages"] = source.api.pages.model_dump(mode="json", exclude={"most", "size", "size_parameter"})
    return {
        "place": place(run, source),
        "how": how,
        "cursor": source.cursor.model_dump(mode="json", exclude={"overlap"}) if source.cursor else None,
        "key": source.key,
        "load": source.load,
    }


def place(run: Run, source: Source) -> str:
    """How the place is shown: an address without password and query."""
    return str(_reader(source).place(source, run.workspace))


def fetch(run: Run, *, source: dict[str, Any], since: str | None, run_id: str) -> Part:
    """Step: read the rows, and where asked the keys of all rows that there are."""
    del run_id
    spec = Source.model_validate(source)
    label, name = f"read {spec.name}", place(run, spec)
    # What an API writes as text stays text where only new rows are read: a few of them do not show what all may be.
    gathering = Gathering(run, look_at_texts=spec.api is not None and spec.cursor is None)
    highest = since
    for piece in _pieces(run, spec, since):
        gathering.add(piece, name)
        if isinstance(piece, pa.Table) and spec.cursor is not None:
            highest = _highest(spec, piece, highest)
        run.progress(label, gathering.rows, None, "rows")
    keys = _keys(run, spec) if spec.missing == "delete" and spec.cursor is not None else None
    run.progress(label, gathering.rows, gathering.rows, "rows")
    return gathering.part(rows=gathering.rows, to=highest, keys=keys)


def filled(schema: pa.Schema, earlier: list[str], run: Run) -> pa.Schema:
    """A schema whose columns without any value take the type that they have in earlier shards."""
    if not earlier or not any(pa.types.is_null(field.type) for field in schema):
        return schema
    known = stored.schema(run.store.paths(earlier))
    for number, field in enumerate(schema):
        if pa.types.is_null(field.type) and field.name in known.names:
            schema = schema.set(number, field.with_type(known.field(field.name).type))
    return schema


def _pieces(run: Run, source: Source, since: str | None) -> Iterator[pa.Table | Unreadable]:
    yield from _reader(source).read(source, run.workspace, since, run.check)


def _reader(source: Source) -> Any:
    if source.database is not None:
        from stellwerk.jobs.data.sources import database

        return database
    from stellwerk.jobs.data.sources import api

    return api


def _highest(source: Source, table: pa.Table, since: str | None) -> str | None:
    from stellwerk.jobs.data.sources import cursor

    assert source.cursor is not None
    return cursor.highest(table[source.cursor.column], since) if source.cursor.column in table.column_names else since


def _keys(run: Run, source: Source) -> list[str]:
    """The keys of all rows that are at the source now, as shards."""
    from stellwerk.jobs.data.sources import database

    return [write_shard(run.store, table) for table in database.keys(source, run.workspace, run.check)]
