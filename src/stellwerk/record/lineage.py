"""Lineage: what a version was made from, and what was made from it.

A step that outputs a version derives it from that step's inputs; walking these edges up gives origins, down gives uses.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from sqlalchemy import select

from stellwerk.record import tables
from stellwerk.record.record import Record, Version


def neighbours(record: Record, versions: Iterable[str], direction: Literal["up", "down"]) -> dict[str, set[str]]:
    """The versions one edge away: for each given id, the ids that it was made from (`up`) or that were made from it."""
    near, far = ("output", "input") if direction == "up" else ("input", "output")
    here, there = tables.edge.alias(), tables.edge.alias()
    query = (
        select(here.c.version, there.c.version)
        .join(there, here.c.step == there.c.step)
        .where(here.c.version.in_(list(versions)), here.c.direction == near, there.c.direction == far)
    )
    found: dict[str, set[str]] = {}
    with record.database.reading() as connection:
        for start, end in connection.execute(query):
            if start != end:
                found.setdefault(start, set()).add(end)
    return found


def walk(record: Record, version: Version, direction: Literal["up", "down"]) -> list[tuple[int, Version]]:
    """All ancestors or descendants with their distance, nearest first."""
    distance, frontier, step = {version.id: 0}, {version.id}, 0
    while frontier:
        step += 1
        reached = set().union(*neighbours(record, frontier, direction).values())
        frontier = reached - distance.keys()
        distance.update(dict.fromkeys(frontier, step))
    del distance[version.id]
    found = record.versions(tables.version.c.id.in_(list(distance)))
    return sorted(((distance[other.id], other) for other in found), key=lambda pair: (pair[0], pair[1].ref))
