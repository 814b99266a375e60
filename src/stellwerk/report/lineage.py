"""What versions were made from, as a picture in inline SVG: what is older stands left, what was made of it right.

Knows how much fits: what is wider or older is summed up in a box "+ 12 more". A lit version and the ways that lead on from it
are told by thicker lines and a mark, not by colour alone. Does not read the record: nodes and edges are given.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stellwerk.report import layers
from stellwerk.report.signs import sign_shape
from stellwerk.report.words import Language, number, visible, word

BOX: Final = 172.0
HEIGHT: Final = 46.0
COLUMNS: Final = 7
ROWS: Final = 9
_GAP: Final = 44.0
_BETWEEN: Final = 14.0
_BEND: Final = 12.0  # px of height that an edge takes where it passes a column
_EDGE: Final = 18.0
_LINE, _INK, _MUTED, _LIT = "var(--line, #d9dfe7)", "var(--ink, #16202e)", "var(--muted, #556170)", "var(--link, #2c4f9e)"


class Node(BaseModel):
    """A version in the picture.

    Attributes:
        label: what it is called there.
        kind: of its asset, as the reader calls it.
        ref: `kind/name@number`.
        state: of its signals.
        href: a page of this server, or a place on this page; makes the node a link.
        lit: what the picture is about, such as the version that changed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    label: str
    kind: str = ""
    ref: str = ""
    state: Literal["clear", "stop", "caution", "dark"] | None = None
    href: str | None = Field(None, pattern=r"^(?:/(?:[^/\\].*)?|[#?].*)$")
    lit: bool = False


class Edge(BaseModel):
    """One version was made from another; `by` names how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    made: str
    source: str
    by: str = ""


class Lineage(BaseModel):
    """Versions, nearest to what the picture is about first, and how they were made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...] = ()

    @model_validator(mode="after")
    def _joins_up(self) -> Self:
        ids = {node.id for node in self.nodes}
        if len(ids) != len(self.nodes):
            raise ValueError("a lineage names a version twice")
        for edge in self.edges:
            if not {edge.made, edge.source} <= ids:
                raise ValueError(f"the edge {edge.source} -> {edge.made} names a version that is not among the nodes")
        return self


@dataclass(frozen=True)
class _Box:
    """What is drawn: one version, or several that are summed up."""

    id: str
    nodes: tuple[Node, ...]

    @property
    def lit(self) -> bool:
        return any(node.lit for node in self.nodes)


def lineage_rows(lineage: Lineage) -> list[tuple[Node, str]]:
    """List the versions for a table, each with the labels of those that it was made from."""
    labels = {node.id: node.label for node in lineage.nodes}
    sources: dict[str, list[str]] = {}
    for edge in lineage.edges:
        sources.setdefault(edge.made, []).append(labels[edge.source])
    return [(node, ", ".join(sources.get(node.id, ()))) for node in lineage.nodes]


def lineage_svg(lineage: Lineage, language: Language = "en", columns: int = COLUMNS, rows: int = ROWS) -> str:
    """Draw the lineage.

    Args:
        lineage: the versions and how they were made.
        language: of our own words.
        columns: the most columns; what is older stands summed up in the first.
        rows: the most boxes in a column; further versions stand summed up in the last.

    Returns:
        One <svg> element with a label. All text is escaped; nodes with a href are links that the keyboard reaches.
    """
    boxes, column = _folded(lineage, columns, rows)
    home = {node.id: box.id for box in boxes for node in box.nodes}
    edges: dict[layers.Edge, list[Edge]] = {}
    for edge in lineage.edges:
        start, end = home[edge.source], home[edge.made]
        if start != end:
            edges.setdefault((start, end), []).append(edge)
    bends, links = _bends(edges, column)
    middle = _places(boxes, column, bends, links)
    ways = _lit_ways(lineage)
    drawn = [_way(key, made, column, middle, bends[key], not ways.isdisjoint(made)) for key, made in edges.items()]
    drawn.sort(key=lambda way: 'class="edge lit"' in way)  # lit ones lie on top
    drawn += [_box(box, column[box.id] * (BOX + _GAP), middle[box.id] - HEIGHT / 2, language) for box in boxes]
    width = (max(column.values(), default=0) + 1) * (BOX + _GAP) - _GAP + 2 * _EDGE
    height = max((middle[box.id] for box in boxes), default=0) + HEIGHT / 2 + 2 * _EDGE
    height = max([height, *(middle[key] + _BEND + _EDGE for way in bends.values() for key in way)])
    role = "group" if any(node.href for node in lineage.nodes) else "img"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="lineage" viewBox="{-_EDGE:g} {-_EDGE:g} {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="{role}" aria-label="{escape(visible(_label(lineage, language)))}" '
        f'font-family="system-ui, sans-serif" font-size="12.5">{"".join(drawn)}</svg>'
    )


def _folded(lineage: Lineage, columns: int, rows: int) -> tuple[list[_Box], dict[str, int]]:
    """What is drawn, and in which column; lit versions always have a box of their own."""
    column = layers.columns([n.id for n in lineage.nodes], [(e.source, e.made) for e in lineage.edges])
    last = max(column.values(), default=-1)
    cut = last - columns + 2 if last >= columns else 0  # what stands left of it is summed up in one column
    boxes: list[_Box] = []
    where: dict[str, int] = {}
    for index in range(min(last + 1, columns)):
        here = [n for n in lineage.nodes if (max(column[n.id] - cut + 1, 0) if cut else column[n.id]) == index]
        whole = [n for n in here if n.lit or column[n.id] >= cut]
        whole.sort(key=lambda n: not n.lit)
        if len(whole) > rows:
            whole = whole[: max(rows - 1, sum(n.lit for n in whole))]
        kept = {n.id for n in whole}
        rest = tuple(n for n in here if n.id not in kept)
        found = [_Box(node.id, (node,)) for node in here if node.id in kept]
        if rest:
            found.append(_Box(f"\x00more {index}" if len(rest) > 1 else rest[0].id, rest))
        boxes += found
        where |= dict.fromkeys((box.id for box in found), index)
    return boxes, where


def _bends(
    edges: Iterable[layers.Edge], column: dict[str, int]
) -> tuple[dict[layers.Edge, list[str]], list[layers.Edge]]:  # fmt: skip
    """For each edge the places where it passes a column, and the pieces between neighbouring columns."""
    bends: dict[layers.Edge, list[str]] = {}
    links: list[layers.Edge] = []
    for number_, (start, end) in enumerate(edges):
        passed = range(column[start] + 1, column[end])
        way = [f"\x00bend {number_} {index}" for index in passed]
        bends[start, end] = way
        column.update(zip(way, passed, strict=True))
        if column[start] < column[end]:
            links += zip([start, *way], [*way, end], strict=True)
    return bends, links


def _places(
    boxes: list[_Box], column: dict[str, int], bends: dict[layers.Edge, list[str]], links: list[layers.Edge]
) -> dict[str, float]:  # fmt: skip
    """The middle of each box and bend."""
    rows: list[list[str]] = [[] for _ in range(max(column.values(), default=-1) + 1)]
    for key in [box.id for box in boxes] + [bend for way in bends.values() for bend in way]:
        rows[column[key]].append(key)
    heights = dict.fromkeys(column, _BEND) | {box.id: HEIGHT + _BETWEEN for box in boxes}
    middle = layers.placed(layers.ordered(rows, links), links, heights)
    return {key: y - _BETWEEN / 2 for key, y in middle.items()}


def _lit_ways(lineage: Lineage) -> set[Edge]:
    """The edges on the ways that lead on from what is lit."""
    onward: dict[str, list[Edge]] = {}
    for edge in lineage.edges:
        onward.setdefault(edge.source, []).append(edge)
    todo = [node.id for node in lineage.nodes if node.lit]
    seen: set[str] = set()
    ways: set[Edge] = set()
    while todo:
        key = todo.pop()
        if key not in seen:
            seen.add(key)
            ways.update(onward.get(key, ()))
            todo += [edge.made for edge in onward.get(key, ())]
    return ways


def _way(
    key: layers.Edge, made: list[Edge], column: dict[str, int], middle: dict[str, float], bends: list[str], lit: bool
) -> str:  # fmt: skip
    """An edge as a curve through its bends, with an arrow's head."""
    start, end = key
    x, y = column[start] * (BOX + _GAP) + BOX, middle[start]
    path = f"M{x:.1f},{y:.1f}"
    stops = [*bends, end]
    if column[start] == column[end]:
        stops = []
        x, to_y = x - BOX, middle[end]
        path = f"M{x:.1f},{y:.1f} C{x - 22:.1f},{y:.1f} {x - 22:.1f},{to_y:.1f} {x:.1f},{to_y:.1f}"
        y = to_y
    for stop in stops:
        to_x, to_y = column[stop] * (BOX + _GAP), middle[stop]
        reach = _GAP / 2 if to_x > x else _GAP * 1.6
        path += f" C{x + reach:.1f},{y:.1f} {to_x - reach:.1f},{to_y:.1f} {to_x:.1f},{to_y:.1f}"
        x, y = to_x, to_y
        if stop != end:
            x += BOX
            path += f" H{x:.1f}"
    colour, width, name = (_LIT, 2.6, "edge lit") if lit else (_MUTED, 1.1, "edge")
    by = ", ".join(dict.fromkeys(edge.by for edge in made if edge.by))
    title = f"<title>{escape(visible(by))}</title>" if by else ""
    return (
        f'<g class="{name}">{title}<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>'
        f'<path d="M{x:.1f},{y:.1f} l-7,-3.6 v7.2Z" fill="{colour}"/></g>'
    )


def _box(box: _Box, x: float, y: float, language: Language) -> str:
    """A box with its texts; several versions in one are a stack."""
    node = box.nodes[0]
    if box.id.startswith("\x00"):
        first, second = word("more_versions", language, count=number(len(box.nodes), language)), ""
        title = "\n".join([n.label for n in box.nodes[:40]] + ["…"] * (len(box.nodes) > 40))
    else:
        first, second = node.label, _second(node)
        title = " · ".join(
            part for part in (node.label, node.kind, node.ref, word(node.state, language) if node.state else "") if part
        )
    border, width = (_LIT, 2.6) if box.lit else (_LINE, 1.2)
    dashes = ' stroke-dasharray="4 3"' if len(box.nodes) > 1 else ""
    parts = [
        f"<title>{escape(visible(title))}</title>",
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{BOX:g}" height="{HEIGHT:g}" rx="7" fill="var(--card, #ffffff)" '
        f'stroke="{border}" stroke-width="{width}"{dashes}/>',
    ]
    room = BOX - 22
    if node.state and len(box.nodes) == 1:
        parts.append(f'<g transform="translate({x + BOX - 24:.1f} {y + 8:.1f})">{sign_shape(node.state)}</g>')
        room -= 18
    if box.lit:
        parts.append(f'<path d="M{x + 1:.1f},{y + 7:.1f} v{HEIGHT - 14:g}" fill="none" stroke="{_LIT}" stroke-width="6"/>')
    lines = [(first, 19.5, _INK, ' font-weight="650"', 12.5), (second, 35.5, _MUTED, "", 11.5)] if second else []
    for text, down, colour, weight, size in lines or [(first, 27.5, _INK if not title.startswith("+") else _MUTED, "", 12.5)]:
        parts.append(
            f'<text x="{x + 12:.1f}" y="{y + down:.1f}" fill="{colour}" font-size="{size}"{weight}>'
            f"{escape(_fitted(visible(text), room if down < 30 else BOX - 22, size))}</text>"
        )
    drawn = f'<g class="node{" lit" if box.lit else ""}">{"".join(parts)}</g>'
    if node.href and len(box.nodes) == 1:
        return f'<a href="{escape(node.href)}" aria-label="{escape(visible(title))}">{drawn}</a>'
    return drawn


def _second(node: Node) -> str:
    """The kind, and the number of the version where the label does not end with it."""
    mark = "@" + node.ref.rpartition("@")[2] if "@" in node.ref else ""
    return " ".join(part for part in (node.kind, "" if node.label.endswith(mark) else mark) if part)


def _fitted(text: str, room: float, size: float) -> str:
    """As much of a text as fits into that many px, estimated on the wide side."""
    wide = [size * (1.0 if unicodedata.east_asian_width(c) in "WF" else 0.64) for c in text]
    if sum(wide) <= room:
        return text
    used, kept = size * 0.8, ""
    for letter, width in zip(text, wide, strict=True):
        used += width
        if used > room:
            break
        kept += letter
    return kept.rstrip() + "…"


def _label(lineage: Lineage, language: Language) -> str:
    lit = [node.label for node in lineage.nodes if node.lit]
    label = word("lineage_label", language, count=number(len(lineage.nodes), language))
    return label + (word("lineage_lit", language, names=", ".join(lit[:5])) if lit else "")
