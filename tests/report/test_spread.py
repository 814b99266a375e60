"""Intervals on a shared scale: where they are drawn, and that whatever is written is escaped."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from stellwerk.report.spread import WIDTH, around, difference_svg, spread_svg

FINITE = st.floats(-1e9, 1e9)


def at(svg: str) -> float:
    found = re.search(r'<circle cx="([\d.]+)"', svg)
    assert found
    return float(found[1])


def test_equal_values_stand_below_each_other_whatever_their_intervals() -> None:
    assert at(spread_svg(0.5, 0.1, 0.9)) == at(spread_svg(0.5, 0.49, 0.51)) == WIDTH / 2
    assert at(spread_svg(0.0, None, 0.1)) < at(spread_svg(0.2, 0.1, 0.3)) < at(spread_svg(1.0, 0.9, 1.0))
    assert "circle" not in spread_svg(None, None, None)


@given(value=FINITE, low=st.none() | FINITE, high=st.none() | FINITE)
def test_whatever_is_drawn_stays_within_the_picture(value: float, low: float | None, high: float | None) -> None:
    svg = spread_svg(value, low, high, around([value, low, high]), zero=0.0)
    for number in re.findall(r"[MH]([-\d.]+)", svg):
        assert 0 <= float(number) <= WIDTH
    first, last = around([value, low, high])
    assert first < last
    assert all(first <= one <= last for one in (value, low, high, 0.0) if one is not None and math.isfinite(one))


def test_a_difference_has_its_margin_its_sides_and_a_label_that_is_escaped() -> None:
    svg = difference_svg(
        0.1, -0.05, 0.2, 0.08, [(-0.3, "−30"), (0.0, "0"), (0.3, "30")], ("first < better", "second"), '"<script>\u202e', "de"
    )
    root = ElementTree.fromstring(svg)
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == '"<script>[U+202E]'
    assert "<script>" not in svg
    assert 'style="' not in svg  # the content policy of the pages forbids it
    assert svg.count("stroke-dasharray") == 2
    assert difference_svg(0.1, 0, 0.2, 0, [(-1, ""), (0.0, "0"), (1, "")], ("a", "b"), "x").count("stroke-dasharray") == 0
