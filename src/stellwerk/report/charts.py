"""Draws the distribution of a quality score with its bounds, as SVG that follows light and dark mode.

Knows how values become bars and what a bound drops.
Does not decide bounds: it draws those that it is given.
"""

from __future__ import annotations

import math
from typing import Any, Final

import altair as alt
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, NonNegativeInt

from stellwerk.report.chart import DROPPED, INK, KEPT, Chart, finished, inline
from stellwerk.report.words import Language, number, word

Bounds = tuple[float | None, float | None]

WIDTH: Final = 340
HEIGHT: Final = 150


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
    return distribution(values, bounds, title, unit, language).svg()


def distribution(
    values: Histogram | npt.ArrayLike,
    bounds: Bounds = (None, None),
    title: str = "",
    unit: str = "",
    language: Language = "en",
) -> Chart:
    """Draw a histogram with its bounds, to be shown or taken along; arguments as above."""
    bars = values if isinstance(values, Histogram) else histogram(values, bounds)
    label = _label(bars, bounds, title, unit, language)
    return finished(_layers(bars, bounds, unit, language), WIDTH - 50, HEIGHT - 40, label, language)


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


def _layers(bars: Histogram, bounds: Bounds, axis: str, language: Language) -> list[Any]:
    first, last = bars.edges[0], bars.edges[-1]
    least = 0.012 * max(map(sum, zip(bars.inside, bars.outside, strict=True)))  # a single value can still be seen
    rows = [
        {"from": start, "to": stop, "low": low, "high": low + max(count, least), "colour": colour}
        for start, stop, kept, dropped in zip(bars.edges, bars.edges[1:], bars.inside, bars.outside, strict=False)
        for low, count, colour in ((0, kept, KEPT), (kept, dropped, DROPPED))
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
        inline(rows)
        .mark_rect(stroke=None, xOffset=0.5)
        .encode(x=x, x2="to:Q", y=y, y2="high:Q", color=alt.Color("colour:N", scale=None))
    )
    return [*_shades(bars, bounds), drawn, *_rules(bars, bounds, language)]


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
    return [inline(rows).mark_rect(color=DROPPED, opacity=0.1).encode(x="from:Q", x2="to:Q")]


def _rules(bars: Histogram, bounds: Bounds, language: Language) -> list[Any]:
    found = _within(bars, bounds)
    if not found:
        return []
    rows = [{"at": bound, "text": ("≤ " if upper else "≥ ") + number(bound, language)} for bound, upper in found]
    layers: list[Any] = [inline(rows).mark_rule(color=INK, strokeWidth=1.5).encode(x="at:Q")]
    for row in rows:
        # The label stands on the side of the rule that has more room.
        right = (row["at"] - bars.edges[0]) < (bars.edges[-1] - bars.edges[0]) / 2  # type: ignore[operator]
        mark = inline([row]).mark_text(
            align="left" if right else "right", dx=5 if right else -5, dy=-4, baseline="bottom", color=INK,
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
