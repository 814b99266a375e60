"""A report is one file that loads nothing, escapes everything, adds up, and can be read in both modes and languages."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stellwerk.report import words
from stellwerk.report.charts import Histogram, distribution_svg, histogram, notes
from stellwerk.report.flow import Amount, Flow, FlowStep, flow_rows, flow_svg
from stellwerk.report.interval import Reading
from stellwerk.report.lineage import Edge, Lineage, Node
from stellwerk.report.page import (
    Charts,
    Column,
    Command,
    Distribution,
    FlowPicture,
    LineagePicture,
    Number,
    Numbers,
    Prose,
    Report,
    Signal,
    SignalLine,
    Signals,
    Table,
    render,
)
from stellwerk.report.sections import (
    DefectLine,
    LedgerLine,
    SourceLine,
    defects,
    footprint,
    further,
    ledger,
    personal,
    sources,
    weakest_point,
)

STYLE = Path(words.__file__).parent / "templates" / "style.css"
EVIL = "<script>alert('x')</script>\"><img src=http://evil.example/x onerror=y>&{{ 7*7 }}"


def small_flow(label: str = "tickets") -> Flow:
    return Flow(
        sources=(Amount(label=label, count=1000), Amount(label="kb", count=234)),
        steps=(
            FlowStep(label=label),
            FlowStep(label="duplicates", drops=(Amount(label=label, count=30), Amount(label="near", count=4))),
        ),
        kept=1100,
        changed=100,
    )


def small_lineage(text: str) -> Lineage:
    nodes = (Node(id="a", label=text, kind=text, ref=text, state="stop"), Node(id="b", label=text, lit=True))
    return Lineage(nodes=nodes, edges=(Edge(made="a", source="b", by=text),))


def signal_line(text: str) -> SignalLine:
    reading = Reading(value=0.87, low=0.83, high=0.9, minimum=0.9, unit="share")
    return SignalLine(
        job=text,
        gate=text,
        state="stop",
        reason=text,
        subject=text,
        reading=reading,
        n=412,
        attempts=3,
        measured=text,
        instruments=(text,),
    )


def full_report(text: str = "Größe", language: words.Language = "en") -> Report:
    scores = histogram(np.arange(100) / 10, (3, None))
    return Report(
        title=text,
        subtitle=text,
        headline=(Number(label=text, value=text, note=text, state="caution"), Number(label="n", value=1234567)),
        sections=(
            weakest_point(text, (Command(text=text, says=text),), language),
            FlowPicture(title=text, intro=text, flow=small_flow(text)),
            defects((DefectLine(kind=text, planted=10, found=9, missed=1, falsely_removed=2),), language, text),
            ledger((LedgerLine(step=text, rule=text, bound=text, dropped=5),), language),
            Charts(title=text, charts=(Distribution(title=text, histogram=scores, lower=3, unit=text, note=text),)),
            personal({text: 3}, [text], text, language, {text: text}),
            sources((SourceLine(name=text, origin=text, retrieved=date(2026, 1, 2), rows=5),), language),
            Table(
                title=text,
                columns=(Column(label=text), Column(label=text, kind="code")),
                rows=((Signal(state="stop", text=text), text), (None, text)),
            ),
            Numbers(title=text, items=(Number(label=text, value=0.5),)),
            Signals(title=text, lines=(signal_line(text), SignalLine(job=text, gate=text, state=None)), note=text),
            LineagePicture(title=text, lineage=small_lineage(text)),
            footprint(61.5, 10**8, 0, language),
            Prose(title=text, paragraphs=(text,), points=(text,)),
            further((Command(text=text, says=text),), language),
        ),
        footer=(text,),
    )


class _Page(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.parametrize("text", [EVIL, "Größe", "]]></style></svg>", "a' b\" c`"])
def test_page_loads_nothing_and_escapes_everything(text: str) -> None:
    html = render(full_report(text))
    page = _Page(html)
    assert {name for name, _ in page.tags}.isdisjoint({"script", "img", "link", "iframe", "object", "base", "form"})
    for _, attributes in page.tags:
        assert not any(name.startswith("on") or name in ("src", "srcset", "xlink:href") for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")
    assert len(page.all("style")) == 1
    assert "url(" not in STYLE.read_text()
    assert "@import" not in html
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert page.text.count(text) > 30


@pytest.mark.parametrize("language", ["en", "de"])
def test_page_is_accessible(language: words.Language) -> None:
    html = render(full_report("Größe", language), language)
    page = _Page(html)
    assert page.all("html") == [{"lang": language}]
    assert any(m.get("name") == "viewport" for m in page.all("meta"))
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {(a["href"] or "")[1:] for a in page.all("a")} <= set(ids)
    assert {a["aria-labelledby"] for _, a in page.tags if "aria-labelledby" in a} <= set(ids)
    for svg in page.all("svg"):
        assert svg.get("aria-hidden") == "true" or (svg.get("role") == "img" and svg.get("aria-label"))
    headings = [name for name, _ in page.tags if re.fullmatch("h[1-6]", name)]
    assert headings == ["h1"] + ["h2"] * 14
    assert words.word("stop", language) in page.text
    assert ("1.234.567" if language == "de" else "1,234,567") in page.text


def test_german_words_follow_the_design() -> None:
    said = {state: words.word(state, "de") for state in ("clear", "stop", "caution", "dark")}
    assert said == {"clear": "Frei", "stop": "Halt", "caution": "Vorsicht", "dark": "Kein Nachweis"}
    assert words.word("findings", "de") == "Befunde"
    assert words.word("scores", "de").startswith("Qualitätswerte")


@pytest.mark.parametrize(("connections", "figures", "said"), [(0, 3, True), (2, 3, False), (None, 2, False)])
def test_nothing_left_is_said_only_when_counted(connections: int | None, figures: int, said: bool) -> None:
    section = footprint(1, 1, connections)
    assert len(section.items) == figures
    assert any(item.note == words.word("nothing_left") for item in section.items) == said


def test_same_report_gives_the_same_page() -> None:
    assert render(full_report(), "de") == render(full_report(), "de")


def test_a_table_with_a_missing_cell_is_refused() -> None:
    with pytest.raises(ValidationError, match="row 1 has 1 cells for 2 columns"):
        Table(title="t", columns=(Column(label="a"), Column(label="b")), rows=((1, 2), (1,)))


@pytest.mark.parametrize(
    ("value", "en", "de"),
    [
        (1234567, "1,234,567", "1.234.567"),
        (0, "0", "0"),
        (-1500, "-1,500", "-1.500"),
        (0.12345, "0.123", "0,123"),
        (1234.56, "1,235", "1.235"),
        (2.5, "2.5", "2,5"),
        (float("inf"), "inf", "inf"),
    ],
)
def test_numbers(value: float, en: str, de: str) -> None:
    assert (words.number(value), words.number(value, "de")) == (en, de)


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [(0, 10, "0 %"), (10, 10, "100 %"), (1, 10**6, "< 0.1 %"), (10**6 - 1, 10**6, "> 99.9 %"), (1, 8, "12.5 %")],
)
def test_a_share_is_never_rounded_to_nothing_or_all(part: int, whole: int, said: str) -> None:
    assert words.share(part, whole) == said


# --- flow ------------------------------------------------------------------------------------------------------------

amounts = st.lists(st.builds(Amount, label=st.text(max_size=30), count=st.integers(0, 10**7)), max_size=4)


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    steps = tuple(FlowStep(label=draw(st.text(max_size=30)), drops=tuple(d)) for d in draw(st.lists(amounts, max_size=6)))
    kept, changed = draw(st.integers(0, 10**8)), draw(st.integers(0, 10**5))
    total = kept + changed + sum(step.dropped for step in steps)
    first = draw(st.integers(0, total))
    given_sources = (Amount(label=draw(st.text(max_size=30)), count=first), Amount(label="b", count=total - first))
    return Flow(sources=given_sources, steps=steps, kept=kept, changed=changed)


@settings(max_examples=60, deadline=None)
@given(flow=flows(), vertical=st.booleans())
def test_flow_draws_inside_its_box_in_proportion(flow: Flow, vertical: bool) -> None:
    root = ET.fromstring(flow_svg(flow, vertical=vertical))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    thick = {}
    for bar in root.iter("{http://www.w3.org/2000/svg}rect"):
        x, y, w, h = (float(bar.attrib[k]) for k in ("x", "y", "width", "height"))
        assert min(x, y, w, h) >= 0
        assert x + w <= width + 1
        assert y + h <= height + 1
        thick[bar.attrib["fill"].split(",")[0]] = w if vertical else h
    if min(flow.kept, flow.changed) > flow.read / 20 and not vertical:
        assert thick["var(--kept"] / thick["var(--changed"] == pytest.approx(flow.kept / flow.changed, rel=0.05)


@given(flows())
def test_flow_table_has_the_same_numbers(flow: Flow) -> None:
    rows = flow_rows(flow)
    assert sum(row[2] for row in rows) == flow.dropped
    if rows:
        assert rows[-1][3] == flow.kept + flow.changed
    assert [row[0] for row in rows if row[1] or row[2]] == [s.label for s in flow.steps for d in s.drops if d.label or d.count]


def test_flow_that_does_not_add_up_is_refused() -> None:
    with pytest.raises(ValidationError, match="10 read, 8 kept, 0 changed, 1 dropped"):
        Flow(
            sources=(Amount(label="a", count=10),),
            steps=(FlowStep(label="s", drops=(Amount(label="r", count=1),)),),
            kept=8,
            changed=0,
        )


def test_a_single_document_can_be_seen() -> None:
    flow = Flow(
        sources=(Amount(label="a", count=10**9),),
        steps=(FlowStep(label="s", drops=(Amount(label="r", count=1),)),),
        kept=10**9 - 1,
        changed=0,
    )
    bars = [b for b in ET.fromstring(flow_svg(flow)).iter("{http://www.w3.org/2000/svg}rect") if "dropped" in b.attrib["fill"]]
    assert [float(bar.attrib["height"]) for bar in bars] == [1.5]


# --- distributions ---------------------------------------------------------------------------------------------------

finite = st.floats(-1e9, 1e9, allow_nan=False)


@settings(max_examples=150, deadline=None)
@given(
    values=st.one_of(st.lists(st.one_of(finite, st.just(float("nan")))), st.lists(st.integers(-(10**6), 10**6))),
    low=st.one_of(st.none(), finite),
    high=st.one_of(st.none(), finite),
)
def test_histogram_counts_every_value_once_on_its_side(values: list[float], low: float | None, high: float | None) -> None:
    bars = histogram(values, (low, high))
    real = [v for v in values if v == v]
    kept = [v for v in real if (low is None or v >= low) and (high is None or v <= high)]
    assert sum(bars.inside) == len(kept)
    assert sum(bars.outside) == len(real) - len(kept)
    assert bars.missing == len(values) - len(real)
    assert len(bars.inside) == len(bars.outside) == len(bars.edges) - 1 <= 40
    assert list(bars.edges) == sorted(set(bars.edges))


def test_histogram_keeps_a_few_extremes_from_flattening_the_rest() -> None:
    bars = histogram([*range(1000), 10**9])
    assert bars.edges[-1] < 2000
    assert bars.above == 1
    assert notes(bars, (None, 10**8)) == [
        f"1 values lie beyond {words.number(bars.edges[-1])} and are counted in the outer bar.",
        "The bound 100,000,000 lies outside the picture.",
    ]


def test_distribution_follows_light_and_dark_mode() -> None:
    svg = distribution_svg(np.linspace(0, 10, 500), (2, 8), title="<b>", unit="<i> & words")
    root = ET.fromstring(svg)
    assert root.attrib["aria-label"].startswith("<b> <i> & words, ≥ 2 ≤ 8, ")
    painted = {
        value
        for element in root.iter()
        for name, value in element.attrib.items()
        if name in ("fill", "stroke") and value not in ("none", "transparent")
    }
    assert painted
    assert all(value.startswith("var(--") for value in painted), painted
    text = "".join(root.itertext())
    assert "≥ 2" in text
    assert "≤ 8" in text
    assert "<i> & words" in text


def test_distribution_shades_only_what_is_dropped() -> None:
    def reds(bounds: tuple[float | None, float | None]) -> int:
        root = ET.fromstring(distribution_svg(np.linspace(0, 10, 500), bounds))
        return sum("--dropped" in e.attrib.get("fill", "") for e in root.iter())

    assert reds((None, None)) == 0
    assert reds((2, None)) > 3


def test_distribution_of_nothing() -> None:
    bars = histogram([float("nan")] * 3)
    assert bars == Histogram(edges=(0.0, 1.0), inside=(0,), outside=(0,), missing=3)
    ET.fromstring(distribution_svg(bars, (1, None)))


# --- looks -----------------------------------------------------------------------------------------------------------


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_text_has_contrast(mode: int) -> None:
    """WCAG 2.2, 1.4.3: at least 4.5 to 1 for text, on the page and on cards."""
    block = STYLE.read_text().split(":root {")[mode + 1].split("}")[0]
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))
    for name in set(colours) - {"paper", "card", "line"}:
        for ground in ("paper", "card"):
            light, dark = sorted((_luminance(colours[name]), _luminance(colours[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (name, ground)


@pytest.mark.parametrize("width", [360, 800, 1280])
def test_page_fits_the_screen_and_opens_no_connection(tmp_path: Path, width: int) -> None:
    chromium = Path("/usr/bin/chromium")
    if not chromium.is_file():
        pytest.skip("no /usr/bin/chromium to look at the page with")
    sync_api = pytest.importorskip("playwright.sync_api")
    path = tmp_path / "report.html"
    path.write_text(render(full_report("Größe und ein-sehr-langes-Wort-ohne-Leerzeichen_" * 2, "de"), "de"), "utf-8")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=flags)
        page = browser.new_page(viewport={"width": width, "height": 800})
        seen: list[str] = []
        said: list[Any] = []
        page.on("request", lambda request: seen.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.goto(path.as_uri())
        needed = page.evaluate("document.documentElement.scrollWidth")
        flow_shown = [page.locator(s).is_visible() for s in (".wide", ".narrow")]
        browser.close()
    assert needed <= width
    assert seen == [path.as_uri()]
    assert said == []
    assert flow_shown == ([False, True] if width <= 720 else [True, False])
