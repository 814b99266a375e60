"""Draws the distribution of a quality score with its bounds, as SVG that follows light and dark mode.

Knows how values become bars and what a bound drops (Altair to Vega-Lite, vl-convert to SVG, no network, no browser).
Does not decide bounds: it draws those that it is given.
"""

from __future__ import annotations

import math
import re
from html import escape
from typing import Any, Final

import altair as alt
import numpy as np
import numpy.typing as npt
import vl_convert
from pydantic import BaseModel, ConfigDict, NonNegativeInt

from stellwerk.report.words import Language, number, word

Bounds = tuple[float | None, float | None]

WIDTH: Final = 340
HEIGHT: Final = 150

# Vega knows no CSS: it draws in these colours, and each is then replaced by a variable with a fallback.
_COLOURS: Final = {
    "#010101": "var(--kept, #1d7a5f)",
    "#020202": "var(--dropped, #b3364a)",
    "#030303": "var(--ink, #16202e)",
    "#040404": "var(--muted, #5a6675)",
    "#050505": "var(--line, #d9dfe7)",
}
_KEPT, _DROPPED, _INK, _MUTED, _LINE = _COLOURS


class Histogram(BaseModel):
    """Counted values: bar i reaches from edges[i] to edges[i + 1]; values beyond them are in the outer bars."""

    model_config = ConfigDict(frozen=True)

    edges: tuple[float, ...]
    inside: tuple[NonNegativeInt, ...]
    outside: tuple[NonNegativeInt, ...]
    below: NonNegativeInt = 0
    above: NonNegativeInt = 0
    missing: NonNegativeInt = 0


def histogram(values: npt.ArrayLike, bounds: Bounds = (None, None), bins: int = 36) -> Histogram:
    """Count values into bars of equal width, apart for those inside and outside the bounds.

    Bars span the 0.5 % to 99.5 % quantiles and any bound near them, so that a few extremes do not flatten the rest.

    Args:
        values: numbers; NaN is counted as missing.
        bounds: lower and upper, both inclusive; None where there is none.
        bins: the most bars to make.

    Returns:
        The counts. With no finite value, no bars.
    """
    array = np.asarray(values, dtype=np.float64).ravel()
    finite = array[np.isfinite(array)]
    missing = int(array.size - finite.size)
    if not finite.size:
        return Histogram(edges=(0.0, 1.0), inside=(0,), outside=(0,), missing=missing)
    edges = _edges(finite, bounds, bins)
    low, high = bounds
    keep = np.ones(finite.size, dtype=bool)
    if low is not None:
        keep &= finite >= low
    if high is not None:
        keep &= finite <= high
    place = np.clip(np.searchsorted(edges, finite, side="right") - 1, 0, len(edges) - 2)
    inside = np.bincount(place[keep], minlength=len(edges) - 1)
    outside = np.bincount(place[~keep], minlength=len(edges) - 1)
    return Histogram(
        edges=tuple(edges.tolist()),
        inside=tuple(inside.tolist()),
        outside=tuple(outside.tolist()),
        below=int((finite < edges[0]).sum()),
        above=int((finite > edges[-1]).sum()),
        missing=missing,
    )


def distribution_svg(
    values: Histogram | npt.ArrayLike,
    bounds: Bounds = (None, None),
    title: str = "",
    unit: str = "",
    language: Language = "en",
) -> str:
    """Draw a histogram with its bounds and with the dropped part shaded.

    Args:
        values: the values, or a histogram made with the same bounds.
        bounds: lower and upper, both inclusive; None where there is none.
        title: what is measured, for the label of the picture.
        unit: of the values, such as words; it stands at the axis.
        language: of our own words and of the numbers.

    Returns:
        One <svg> element that scales with its container. All text is escaped.
    """
    bars = values if isinstance(values, Histogram) else histogram(values, bounds)
    svg = vl_convert.vegalite_to_svg(
        _spec(bars, bounds, unit, language),
        format_locale="de-DE" if language == "de" else None,
        allowed_base_urls=[],
    )
    return _themed(svg, _label(bars, bounds, title, unit, language))


def notes(bars: Histogram, bounds: Bounds, language: Language = "en") -> list[str]:
    """Say what the picture leaves out: values in the outer bars, bounds that lie outside it."""
    said = [
        word("beyond", language, count=number(count, language), value=number(edge, language))
        for count, edge in ((bars.below, bars.edges[0]), (bars.above, bars.edges[-1]))
        if count
    ]
    said += [
        word("bound_beyond", language, value=number(bound, language))
        for bound in bounds
        if bound is not None and not bars.edges[0] <= bound <= bars.edges[-1]
    ]
    return said


def _edges(finite: npt.NDArray[np.float64], bounds: Bounds, bins: int) -> npt.NDArray[np.float64]:
    low, high = (float(q) for q in np.quantile(finite, (0.005, 0.995)))
    least, most = float(finite.min()), float(finite.max())
    span = high - low or max(abs(high), 1.0)
    # A tail that adds little to the width is shown rather than cut off.
    low, high = least if least >= low - span / 4 else low, most if most <= high + span / 4 else high
    for bound in bounds:
        if bound is not None and low - span <= bound <= high + span:
            low, high = min(low, bound - span / 12), max(high, bound + span / 12)
    low = max(low, 0.0) if least >= 0 else low
    if np.array_equal(finite, np.round(finite)):
        low = math.floor(low)
        width = max(1, math.ceil((high - low + 1) / bins))
        return low + width * np.arange(math.ceil((high - low + 1) / width) + 1, dtype=np.float64)
    return np.linspace(low, high if high > low else low + span / bins, bins + 1)


def _spec(bars: Histogram, bounds: Bounds, axis: str, language: Language) -> dict[str, Any]:
    first, last = bars.edges[0], bars.edges[-1]
    least = 0.012 * max(map(sum, zip(bars.inside, bars.outside, strict=True)))  # a single value can still be seen
    rows = [
        {"from": start, "to": stop, "low": low, "high": low + max(count, least), "colour": colour}
        for start, stop, kept, dropped in zip(bars.edges, bars.edges[1:], bars.inside, bars.outside, strict=False)
        for low, count, colour in ((0, kept, _KEPT), (kept, dropped, _DROPPED))
        if count
    ]
    x = alt.X(
        "from:Q",
        title=axis or None,
        scale=alt.Scale(domain=[first, last], nice=False, zero=False),
        axis=alt.Axis(tickCount=5, grid=False),
    )
    y = alt.Y("low:Q", title=None, axis=alt.Axis(tickCount=3, domain=False, ticks=False))
    drawn = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_rect(stroke=None, xOffset=0.5)
        .encode(x=x, x2="to:Q", y=y, y2="high:Q", color=alt.Color("colour:N", scale=None))
    )
    layers: list[Any] = [*_shades(bars, bounds), drawn, *_rules(bars, bounds, language)]
    chart = alt.layer(*layers).properties(width=WIDTH - 50, height=HEIGHT - 40)
    chart = chart.configure(font="sans-serif", background="transparent", padding=4)
    chart = chart.configure_view(stroke=None).configure_axis(
        labelColor=_MUTED, titleColor=_MUTED, titleFontWeight="normal", labelFontSize=11, titleFontSize=11,
        gridColor=_LINE, domainColor=_MUTED, tickColor=_MUTED, tickSize=4,
    )  # fmt: skip
    return dict(chart.to_dict())


def _within(bars: Histogram, bounds: Bounds) -> list[tuple[float, bool]]:
    """The bounds that lie in the picture, each with whether it is the upper one."""
    first, last = bars.edges[0], bars.edges[-1]
    return [(b, upper) for b, upper in zip(bounds, (False, True), strict=True) if b is not None and first <= b <= last]


def _shades(bars: Histogram, bounds: Bounds) -> list[Any]:
    rows = [
        {"from": bound if upper else bars.edges[0], "to": bars.edges[-1] if upper else bound}
        for bound, upper in _within(bars, bounds)
    ]
    if not rows:
        return []
    return [alt.Chart(alt.InlineData(values=rows)).mark_rect(color=_DROPPED, opacity=0.1).encode(x="from:Q", x2="to:Q")]


def _rules(bars: Histogram, bounds: Bounds, language: Language) -> list[Any]:
    found = _within(bars, bounds)
    if not found:
        return []
    rows = [{"at": bound, "text": ("≤ " if upper else "≥ ") + number(bound, language)} for bound, upper in found]
    layers: list[Any] = [alt.Chart(alt.InlineData(values=rows)).mark_rule(color=_INK, strokeWidth=1.5).encode(x="at:Q")]
    for row in rows:
        # The label stands on the side of the rule that has more room.
        right = (row["at"] - bars.edges[0]) < (bars.edges[-1] - bars.edges[0]) / 2  # type: ignore[operator]
        mark = alt.Chart(alt.InlineData(values=[row])).mark_text(
            align="left" if right else "right", dx=5 if right else -5, dy=-4, baseline="bottom", color=_INK,
            fontSize=11.5, fontWeight="bold",
        )  # fmt: skip
        layers.append(mark.encode(x="at:Q", y=alt.value(0), text="text:N"))
    return layers


def _label(bars: Histogram, bounds: Bounds, title: str, unit: str, language: Language) -> str:
    low, high = bounds
    limits = [f"{sign} {number(b, language)}" for sign, b in (("≥", low), ("≤", high)) if b is not None]
    return ", ".join(
        part
        for part in (
            f"{title} {unit}".strip(),
            " ".join(limits),
            f"{number(sum(bars.inside), language)} {word('kept_short', language)}",
            f"{number(sum(bars.outside), language)} {word('dropped', language)}",
        )
        if part
    )


def _themed(svg: str, label: str) -> str:
    for colour, variable in _COLOURS.items():
        svg = svg.replace(f'"{colour}"', f'"{variable}"')
    # The label of the whole replaces the many that Vega writes on its groups, in English only.
    svg = re.sub(r' (?:aria-[a-z]+|role)="[^"]*"', "", svg)
    svg = svg.replace("sans-serif", "system-ui, sans-serif")
    head, _, rest = svg.partition(">")
    box = re.search(r'viewBox="[^"]*"', head)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" {box.group(0) if box else ""} role="img" '
        f'aria-label="{escape(label)}">{rest}'
    )
