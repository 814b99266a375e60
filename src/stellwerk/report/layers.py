"""Places the nodes of a graph in columns from left to right: a small layered layout, the same for equal input.

Knows ids, edges and heights. Does not know what a node is or how it is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

Edge = tuple[str, str]  # from, to


def columns(ids: Sequence[str], edges: Iterable[Edge]) -> dict[str, int]:
    """Give each node its column: right of all that lead to it, and those that nothing leads to beside what they lead to.

    Args:
        ids: in order of preference, each once.
        edges: between them; a circle is cut where its first node stands.

    Returns:
        The column of each node, from 0.
    """
    above: dict[str, set[str]] = {key: set() for key in ids}
    below: dict[str, set[str]] = {key: set() for key in ids}
    for start, end in edges:
        if start != end:
            above[end].add(start)
            below[start].add(end)
    column: dict[str, int] = {}
    left = dict.fromkeys(ids)
    level = 0
    while left:
        ready = [key for key in left if above[key] <= column.keys()] or [next(iter(left))]
        for key in ready:
            del left[key]
        column.update(dict.fromkeys(ready, level))
        level += 1
    for key in ids:
        if not above[key] and below[key]:
            column[key] = max(0, min(column[other] for other in below[key]) - 1)
    return column


def ordered(rows: Sequence[Sequence[str]], edges: Iterable[Edge], rounds: int = 6) -> list[list[str]]:
    """Order the nodes within their columns so that few edges cross: each moves to the middle of its neighbours.

    Args:
        rows: the nodes of each column.
        edges: between neighbouring columns.
        rounds: sweeps to the right and back.
    """
    order = [list(row) for row in rows]
    beside = _neighbours(edges)
    for turn in range(rounds):
        there = range(1, len(order)) if turn % 2 == 0 else range(len(order) - 2, -1, -1)
        for index in there:
            other = order[index - 1 if turn % 2 == 0 else index + 1]
            place = {key: position / max(len(other), 1) for position, key in enumerate(other)}
            own = {key: position / max(len(order[index]), 1) for position, key in enumerate(order[index])}
            order[index].sort(key=lambda key: _mean([place[k] for k in beside.get(key, ()) if k in place], own[key]))
    return order


def placed(order: Sequence[Sequence[str]], edges: Iterable[Edge], heights: Mapping[str, float]) -> dict[str, float]:
    """Give each node the height of its middle: near its neighbours, in order, and none over another.

    Args:
        order: the nodes of each column, from top to bottom.
        edges: between neighbouring columns.
        heights: of each node, with the gap below it.

    Returns:
        The middle of each node; the topmost edge is at 0.
    """
    middle: dict[str, float] = {}
    for row in order:
        middle.update(_stacked(row, dict.fromkeys(row, 0.0), heights))
    beside = _neighbours(edges)
    for turn in range(8):
        for row in order if turn % 2 == 0 else reversed(order):
            wanted = {key: _mean([middle[k] for k in beside.get(key, ())], middle[key]) for key in row}
            middle.update(_stacked(row, wanted, heights))
    return _squeezed(middle, heights)


def _squeezed(middle: Mapping[str, float], heights: Mapping[str, float]) -> dict[str, float]:
    """Take out the height at which no column has anything."""
    squeezed: dict[str, float] = {}
    taken = float("-inf")
    shift = 0.0
    for key in sorted(middle, key=lambda key: middle[key] - heights[key] / 2):
        top = middle[key] - heights[key] / 2
        shift += max(top - taken, 0.0) if squeezed else top
        squeezed[key] = middle[key] - shift
        taken = max(taken, middle[key] + heights[key] / 2)
    return squeezed


def _stacked(row: Sequence[str], wanted: Mapping[str, float], heights: Mapping[str, float]) -> dict[str, float]:
    """As near to the wanted places as the order and the heights allow."""
    middle: dict[str, float] = {}
    free = float("-inf")
    for key in row:
        middle[key] = max(wanted[key], free + heights[key] / 2)
        free = middle[key] + heights[key] / 2
    shift = _mean([wanted[key] - middle[key] for key in row], 0.0)
    return {key: y + shift for key, y in middle.items()}


def _neighbours(edges: Iterable[Edge]) -> dict[str, list[str]]:
    beside: dict[str, list[str]] = {}
    for start, end in edges:
        beside.setdefault(start, []).append(end)
        beside.setdefault(end, []).append(start)
    return beside


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
