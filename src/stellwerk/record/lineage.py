"""Lineage: what a version was made from, and what was made from it.

A step that outputs a version derives it from that step's inputs; walking these edges up gives origins, down gives uses.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, select

from stellwerk.record import tables
from stellwerk.record.record import Record, Version

PAGE = 500  # ids in one query
Direction = Literal["up", "down"]


@dataclass(frozen=True)
class Family:
    """A version with its ancestors and descendants.

    Attributes:
        versions: nearest first, the version itself at the head.
        edges: among them: the version that was made, and the one that it was made from.
        whole: False where there are more than were asked for.
    """

    versions: list[Version]
    edges: set[tuple[str, str]]
    whole: bool


def neighbours(record: Record, versions: Iterable[str], direction: Direction) -> dict[str, set[str]]:
    """The versions one edge away: for each given id, the ids that it was made from (`up`) or that were made from it."""
    with record.database.reading() as connection:
        return _beside(connection, list(versions), direction)


def walk(record: Record, version: Version, direction: Direction) -> list[tuple[int, Version]]:
    """All ancestors or descendants with their distance, nearest first."""
    with record.database.reading() as connection:
        distance, _ = _reach(connection, [version.id], direction)
    del distance[version.id]
    found = record.versions_of(distance)
    return sorted(((distance[other.id], other) for other in found), key=lambda pair: (pair[0], pair[1].ref))


def ancestors(record: Record, versions: Iterable[str]) -> set[str]:
    """The ids of some versions and of all that they were made from."""
    with record.database.reading() as connection:
        return set(_reach(connection, list(versions), "up")[0])


def family(record: Record, version: Version, most: int = 400) -> Family:
    """The ancestors and descendants of a version, with the edges among them, as a picture needs them.

    Args:
        record: where they are.
        version: that it is about.
        most: where there are more in a direction, those that are further away are left out.
    """
    with record.database.reading() as connection:
        up, above = _reach(connection, [version.id], "up", most)
        down, below = _reach(connection, [version.id], "down", most)
    distance = {**up, **down}
    edges = {(made, source) for made, sources in above.items() for source in sources}
    edges |= {(made, source) for source, made_from in below.items() for made in made_from}
    chosen = record.versions_of(distance)
    chosen.sort(key=lambda other: (distance[other.id], other.ref))
    edges = {(made, source) for made, source in edges if made in distance and source in distance}
    return Family(chosen, edges, whole=max(len(up), len(down)) <= most)


def _reach(
    connection: Connection, start: list[str], direction: Direction, most: int | None = None
) -> tuple[dict[str, int], dict[str, set[str]]]:
    """How far away each version is that can be reached, and the neighbours of each."""
    distance, frontier, far = dict.fromkeys(start, 0), list(start), 0
    edges: dict[str, set[str]] = {}
    while frontier and (most is None or len(distance) <= most):
        far += 1
        found = _beside(connection, frontier, direction)
        edges |= found
        frontier = sorted(set().union(*found.values()) - distance.keys())
        distance.update(dict.fromkeys(frontier, far))
    return distance, edges


def _beside(connection: Connection, versions: list[str], direction: Direction) -> dict[str, set[str]]:
    near, far = ("output", "input") if direction == "up" else ("input", "output")
    here, there = tables.edge.alias(), tables.edge.alias()
    joined = select(here.c.version, there.c.version).join(there, here.c.step == there.c.step).distinct()
    found: dict[str, set[str]] = {}
    for begin in range(0, len(versions), PAGE):
        page = versions[begin : begin + PAGE]
        query = joined.where(here.c.version.in_(page), here.c.direction == near, there.c.direction == far)
        for start, end in connection.execute(query):
            if start != end:
                found.setdefault(start, set()).add(end)
    return found
