"""Charts can be shown in both modes and taken along, and tell what is forbidden by shape, not by colour alone."""

from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ET

import altair as alt
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

from stellwerk.report.bars import bars
from stellwerk.report.chart import Chart
from stellwerk.report.charts import distribution
from stellwerk.report.interval import Reading, reading_svg, reading_text, threshold_text
from stellwerk.report.theme import colours, resolved
from stellwerk.report.trend import Point, trend

SVG = "{http://www.w3.org/2000/svg}"
SHOWN = [
    trend(
        (Point(label="reply@1", value=0.8, low=0.75, high=0.86), Point(label="reply@2", value=0.93)), minimum=0.9, unit="share"
    ),
    bars((("Rechnung", 1234.5), ("Reparatur", -3)), language="de"),
    distribution([1, 2, 3, 4], (2, None), title="words"),
]


def painted(svg: str) -> set[str]:
    return {
        value
        for element in ET.fromstring(svg).iter()
        for name, value in element.attrib.items()
        if name in ("fill", "stroke") and value not in ("none", "transparent")
    }


@pytest.mark.parametrize("chart", SHOWN)
def test_a_chart_follows_the_theme(chart: Chart) -> None:
    assert painted(chart.svg())
    assert all(re.fullmatch(r"var\(--[a-z]+, #[0-9a-f]{6}\)", colour) for colour in painted(chart.svg()))
    assert painted(resolved(chart.svg(), dark=True)) <= set(colours(dark=True).values())


@pytest.mark.parametrize("chart", SHOWN)
def test_a_chart_can_be_taken_along(chart: Chart) -> None:
    for dark in (False, True):
        picture = Image.open(io.BytesIO(chart.png(dark)))
        ground = "#{:02x}{:02x}{:02x}".format(*picture.convert("RGB").getpixel((0, 0)))  # type: ignore[misc]
        assert ground == colours(dark)["card"]
        assert picture.width > 600
    spec = json.loads(json.dumps(chart.spec()))
    assert alt.LayerChart.from_dict(spec).to_dict()["layer"]
    assert "#01010" not in json.dumps(spec)
    assert Image.open(io.BytesIO(chart.png(scale=1))).width * 2 == pytest.approx(picture.width, abs=2)


def test_a_value_on_the_forbidden_side_has_another_shape() -> None:
    svg = SHOWN[0].svg()
    marks = {path.get("fill", "").split(",")[0]: path.get("d", "") for path in ET.fromstring(svg).iter(f"{SVG}path")}
    assert "A" in marks["var(--kept"]
    assert "A" not in marks["var(--dropped"]
    text = "".join(ET.fromstring(svg).itertext())
    assert "≥ 90 %" in text
    assert SHOWN[0].label == "Threshold ≥ 90 %; reply@1: 80 % (75 % to 86 %); reply@2: 93 %"


def test_bars_write_their_numbers() -> None:
    text = "".join(ET.fromstring(SHOWN[1].svg()).itertext())
    assert "1.235" in text or "1.234" in text
    assert "Reparatur" in text


@settings(max_examples=15, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(st.text(max_size=40), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_any_text_and_value_can_be_drawn(text: str, value: float, bound: float) -> None:
    allowed = {"svg", "g", "path", "text", "rect", "line", "defs", "clipPath", "circle"}
    for chart in (
        trend((Point(label=text, value=value),), maximum=bound, unit=text, title=text),
        bars(((text, value), (text, bound)), unit=text, title=text),
    ):
        assert {element.tag.removeprefix(SVG) for element in ET.fromstring(chart.svg()).iter()} <= allowed


numbers = st.one_of(st.none(), st.floats())


@settings(max_examples=60, deadline=None)
@given(numbers, numbers, numbers, numbers, numbers, st.sampled_from(["", "share", "s"]))
def test_a_reading_stays_in_its_line(
    value: float | None, low: float | None, high: float | None, minimum: float | None, maximum: float | None, unit: str
) -> None:
    reading = Reading(value=value, low=low, high=high, minimum=minimum, maximum=maximum, unit=unit)
    root = ET.fromstring(reading_svg(reading))
    for element in root.iter():
        for name in ("x", "cx"):
            assert -0.01 <= float(element.get(name, 0)) <= 132.01
        assert float(element.get("width", 0)) >= 0
    assert (reading_text(reading) == "") == (value is None)
    assert threshold_text(reading).count("≥") == (minimum is not None)
