"""A picture of lineage shows every version once and every edge, nothing over another, whatever the graph."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stellwerk.report.lineage import BOX, HEIGHT, Edge, Lineage, Node, lineage_rows, lineage_svg

SVG = "{http://www.w3.org/2000/svg}"
Box = tuple[float, float, float, float]


@st.composite
def lineages(draw: st.DrawFn, most: int = 40) -> Lineage:
    count = draw(st.integers(0, most))
    places = st.integers(0, max(count - 1, 0))
    pairs = draw(st.sets(st.tuples(places, places), max_size=count * 2)) if count else set()
    lit = draw(st.sets(places, max_size=3)) if count else set()
    nodes = tuple(Node(id=str(i), label=f"n{i}", ref=f"dataset/n{i}@1", lit=i in lit) for i in range(count))
    return Lineage(nodes=nodes, edges=tuple(Edge(made=str(a), source=str(b)) for a, b in sorted(pairs)))


def chain(count: int, lit: int | None = None) -> Lineage:
    nodes = tuple(Node(id=str(i), label=f"n{i}", lit=i == lit) for i in range(count))
    return Lineage(nodes=nodes, edges=tuple(Edge(made=str(i + 1), source=str(i)) for i in range(count - 1)))


def boxes(root: ET.Element) -> dict[str, Box]:
    """Each box by its first text."""
    found = {}
    for group in root.iter(f"{SVG}g"):
        rect = group.find(f"{SVG}rect")
        if rect is not None:
            x, y, width, height = (float(rect.attrib[k]) for k in ("x", "y", "width", "height"))
            name = (group.findtext(f"{SVG}title") or "").replace("\n", "+").split(" · ")[0]
            assert name not in found
            found[name] = (x, y, width, height)
    return found


def ends(root: ET.Element) -> list[tuple[float, float, float, float]]:
    """Where each edge begins and ends."""
    found = []
    for group in root.iter(f"{SVG}g"):
        if (group.get("class") or "").startswith("edge"):
            numbers = [float(n) for n in re.findall(r"-?[\d.]+", group.find(f"{SVG}path").attrib["d"])]  # type: ignore[union-attr]
            head = [float(n) for n in re.findall(r"-?[\d.]+", group.findall(f"{SVG}path")[1].attrib["d"])]
            found.append((numbers[0], numbers[1], head[0], head[1]))
    return found


@settings(max_examples=120, deadline=None)
@given(lineages())
def test_every_version_stands_once_and_no_box_lies_over_another(lineage: Lineage) -> None:
    root = ET.fromstring(lineage_svg(lineage))
    found = boxes(root)
    shown = [name for box in found for name in box.split("+")]
    assert sorted(shown) == sorted(node.label for node in lineage.nodes)
    for (ax, ay, aw, ah), (bx, by, bw, bh) in combinations(found.values(), 2):
        assert ax + aw <= bx or bx + bw <= ax or ay + ah <= by + 0.11 or by + bh <= ay + 0.11
    left, top, width, height = (float(n) for n in root.attrib["viewBox"].split())
    for x, y, w, h in found.values():
        assert left <= x <= x + w <= left + width
        assert top <= y <= y + h <= top + height


@settings(max_examples=120, deadline=None)
@given(lineages(12))
def test_every_edge_leads_from_what_a_version_was_made_of_to_it(lineage: Lineage) -> None:
    root = ET.fromstring(lineage_svg(lineage, columns=99, rows=99))
    found = boxes(root)

    def at(x: float, y: float) -> str:
        hits = [
            name
            for name, (bx, by, _, _) in found.items()
            if min(abs(x - bx), abs(x - bx - BOX)) < 0.2 and abs(y - by - HEIGHT / 2) < 0.2
        ]
        assert len(hits) == 1
        return hits[0]

    drawn = sorted((at(x0, y0), at(x1, y1)) for x0, y0, x1, y1 in ends(root))
    assert drawn == sorted((f"n{e.source}", f"n{e.made}") for e in lineage.edges if e.source != e.made)


def test_older_and_wider_parts_are_summed_up_and_what_is_lit_stays() -> None:
    deep = lineage_svg(chain(30, lit=2))
    assert len(boxes(ET.fromstring(deep))) == 8  # six columns, the lit one and the sum of the older ones
    assert ">n2<" in deep
    assert "+ 23 weitere" in lineage_svg(chain(30, lit=2), "de")
    wide = Lineage(nodes=tuple(Node(id=str(i), label=f"n{i}", lit=i == 49) for i in range(50)))
    assert ">n49<" in lineage_svg(wide)
    assert "+ 42 more" in lineage_svg(wide)


def test_ways_from_what_is_lit_are_told_by_thickness() -> None:
    fork = Lineage(
        nodes=tuple(Node(id=key, label=key, lit=key == "a") for key in "abcd"),
        edges=(Edge(made="b", source="a", by="data.build"), Edge(made="c", source="b"), Edge(made="c", source="d")),
    )
    root = ET.fromstring(lineage_svg(fork))
    widths = sorted(
        group.find(f"{SVG}path").attrib["stroke-width"]  # type: ignore[union-attr]
        for group in root.iter(f"{SVG}g")
        if (group.get("class") or "").startswith("edge")
    )
    assert widths == ["1.1", "2.6", "2.6"]
    assert "data.build" in ET.tostring(root, "unicode")
    assert root.attrib["aria-label"] == "Lineage of 4 versions, older ones to the left; highlighted: a"


def test_links_are_reached_by_keyboard_and_lead_nowhere_else() -> None:
    linked = Lineage(nodes=(Node(id="a", label="<b>", href="/assets/a?x=1&y=2"), Node(id="b", label="b")))
    root = ET.fromstring(lineage_svg(linked))
    assert root.attrib["role"] == "group"
    assert [a.attrib for a in root.iter(f"{SVG}a")] == [{"href": "/assets/a?x=1&y=2", "aria-label": "<b>"}]
    assert ET.fromstring(lineage_svg(chain(2))).attrib["role"] == "img"
    for href in ("javascript:alert(1)", "//evil.example", "https://evil.example", "/\\evil.example", ""):
        with pytest.raises(ValidationError):
            Node(id="a", label="a", href=href)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_any_text_stays_text(text: str) -> None:
    node = Node(id="a", label=text, kind=text, ref=text, state="stop")
    root = ET.fromstring(
        lineage_svg(Lineage(nodes=(node, Node(id="b", label="b")), edges=(Edge(made="b", source="a", by=text),)))
    )
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {"svg", "g", "title", "path", "rect", "text", "circle"}


def test_a_lineage_that_does_not_join_up_is_refused() -> None:
    with pytest.raises(ValidationError, match="names a version twice"):
        Lineage(nodes=(Node(id="a", label="a"), Node(id="a", label="b")))
    with pytest.raises(ValidationError, match="not among the nodes"):
        Lineage(nodes=(Node(id="a", label="a"),), edges=(Edge(made="a", source="x"),))


def test_the_table_names_what_each_version_was_made_of() -> None:
    assert [(node.label, sources) for node, sources in lineage_rows(chain(3))] == [("n0", ""), ("n1", "n0"), ("n2", "n1")]
