"""What the sample company has, where it lies, how each of it is read, and how much of it was read.

Counts what there is from the demo's note, and what was read from the record. Does not read the company's files itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import pyarrow.compute as pc
from pydantic import BaseModel, Field

from stellwerk.engine.engine import read_shard

if TYPE_CHECKING:
    from stellwerk.record.record import Record, Version
    from stellwerk.store.store import Store

# Thing -> where it lies, how it is read, and by which dataset's source; without one no job reads it yet.
_HOLDINGS: Final[dict[str, tuple[str, str, str | None]]] = {
    "letters": ("raw/tickets/*.csv", "csv", "tickets.tickets"),
    "labels": ("raw/labels.jsonl", "jsonl", "tickets.labels"),
    "replies": ("raw/replies.jsonl", "jsonl", "tickets.replies"),
    "tickets": ("raw/crm.db", "query", "tickets.crm"),
    "customers": ("raw/crm.db", "joined", None),
    "machines": ("raw/crm.db", "joined", None),
    "orders": ("raw/crm.db", "unread", None),
    "pages": ("raw/knowledge/*.html", "web", "knowledge.help"),
    "sheets": ("127.0.0.1", "api", "knowledge.handbook"),
    "manuals": ("raw/manuals/**", "documents", "knowledge.manuals"),
    "bulletins": ("raw/crm.db", "table", "knowledge.bulletins"),
    "mails": ("raw/mails/*.eml", "mail", "mails.mails"),
    "events": ("raw/events.csv", "strategy", None),
}


class Holding(BaseModel):
    """One thing that the company has."""

    thing: str
    place: str
    how: str = Field(description="how it is read; unread and strategy: no job reads it yet")
    count: int = Field(description="what there is: rows, pages, sheets, files or events")
    source: str | None = Field(description="the dataset's source that reads it")
    read: int | None = Field(description="rows and documents that were read of it; null where nobody reads it")
    pages: int | None = Field(description="of the PDF files that were read; null where there are none")


def inventory(held: Mapping[str, int], versions: Sequence[Version], record: Record, store: Store) -> list[Holding]:
    """All that the company has, in the order of telling.

    Args:
        held: how many of each thing there are.
        versions: the datasets.
        record: knows the versions of their sources.
        store: holds their documents, which know their pages.
    """
    rows: dict[str, int] = {}
    pages: dict[str, int] = {}
    for version in versions:
        for source in version.facts["spec"]["sources"]:
            name = f"{version.name}.{source['name']}"
            rows[name] = int(record.resolve(f"source/{name}").facts["rows"])
        pages |= _pages(version, store)
    return [
        Holding(
            thing=thing,
            place=place,
            how=how,
            count=held[thing],
            source=source,
            read=rows.get(source or ""),
            pages=pages.get(source or ""),
        )
        for thing, (place, how, source) in _HOLDINGS.items()
        if thing in held
    ]


def _pages(version: Version, store: Store) -> dict[str, int]:
    """The pages of a dataset's PDF files, by source."""
    found: dict[str, int] = {}
    for place in version.content["documents"]:
        table = read_shard(store.path(place))
        if "pages" not in table.column_names:
            continue
        summed = table.filter(pc.ends_with(table["origin"], ".pdf")).group_by("source").aggregate([("pages", "sum")])
        for source, count in zip(summed["source"].to_pylist(), summed["pages_sum"].to_pylist(), strict=True):
            if count:
                name = f"{version.name}.{source}"
                found[name] = found.get(name, 0) + int(count)
    return found
