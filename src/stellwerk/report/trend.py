"""Draws a measurement over versions: each value with its interval, against the threshold.

What the threshold forbids is shaded; a value on that side is a square, one inside a disc, so that colour alone tells nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import altair as alt
from pydantic import BaseModel, ConfigDict

from stellwerk.report.chart import DROPPED, INK, KEPT, Chart, finished, inline, named
from stellwerk.report.interval import Reading, threshold_text
from stellwerk.report.words import Language, interval, word

WIDTH: Final = 520
HEIGHT: Final = 190


class Point(BaseModel):
    """A value of one version; `label` names the version at the axis."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    label: str
    value: float
    low: float | None = None
    high: float | None = None


def trend(
    points: Sequence[Point],
    minimum: float | None = None,
    maximum: float | None = None,
    unit: str = "",
    title: str = "",
    language: Language = "en",
) -> Chart:
    """Draw values with their intervals over versions.

    Args:
        points: in the order of the axis; several of one label stand above each other.
        minimum: least value allowed, inclusive; None where there is none.
        maximum: most allowed, likewise.
        unit: of the values; `share` is written as per cent.
        title: what is measured, for the label of the picture.
        language: of words and numbers.
    """
    limits = Reading(minimum=minimum, maximum=maximum, unit=unit)
    seen = [v for p in points for v in (p.value, p.low, p.high) if v is not None]
    seen += [bound for bound in (minimum, maximum) if bound is not None]
    first, last = _domain(seen or [0.0], unit)
    keys = {label: f"{index:06}" for index, label in enumerate(dict.fromkeys(point.label for point in points))}
    rows = [{"key": keys[point.label], **_row(point, limits)} for point in points]
    below = alt.Axis(
        labelAngle=0, labelOverlap=True, grid=False, labelLimit=0, labelExpr=named({k: label for label, k in keys.items()}, 18)
    )
    x = alt.X("key:N", title=None, sort=None, axis=below)
    axis = alt.Axis(tickCount=4, domain=False, ticks=False, title=None if unit in ("", "share") else unit)
    if unit == "share":
        axis.labelExpr = "format(datum.value * 100, ',.3~r') + ' %'"
    y = alt.Y("value:Q", scale=alt.Scale(domain=[first, last], nice=False, zero=False), axis=axis)
    layers: list[Any] = []
    for bound, start, end in ((minimum, first, minimum), (maximum, maximum, last)):
        if bound is not None:
            area = inline([{"value": start, "end": end}])
            layers.append(area.mark_rect(color=DROPPED, opacity=0.1).encode(y=y, y2="end:Q"))
            rule = inline([{"value": bound, "text": threshold_text(_only(limits, bound), language)}])
            layers.append(rule.mark_rule(color=DROPPED, strokeWidth=1.5).encode(y=y))
            text = rule.mark_text(align="right", dx=-3, dy=-6 if bound == minimum else 10, color=INK, fontSize=11)
            layers.append(text.encode(x=alt.value(WIDTH), y=y, text="text:N"))
    drawn = inline(rows)
    layers.append(drawn.mark_rule(color=INK, strokeWidth=1.6).encode(x=x, y=alt.Y("low:Q"), y2="high:Q"))
    for side in ("low", "high"):
        layers.append(drawn.mark_tick(color=INK, thickness=1.4, size=9, orient="horizontal").encode(x=x, y=f"{side}:Q"))
    mark = drawn.mark_point(filled=True, size=80, opacity=1)
    shape = alt.Shape("shape:N", scale=None)
    layers.append(mark.encode(x=x, y=y, color=alt.Color("colour:N", scale=None), shape=shape))
    return finished(layers, WIDTH, HEIGHT, _label(points, limits, title, language), language)


def _row(point: Point, limits: Reading) -> dict[str, Any]:
    inside = (limits.minimum is None or point.value >= limits.minimum) and (
        limits.maximum is None or point.value <= limits.maximum
    )
    return {
        "value": point.value,
        "low": point.value if point.low is None else point.low,
        "high": point.value if point.high is None else point.high,
        "colour": KEPT if inside else DROPPED,
        "shape": "circle" if inside else "square",
    }


def _only(limits: Reading, bound: float) -> Reading:
    return limits.model_copy(update={"maximum": None} if bound == limits.minimum else {"minimum": None})


def _domain(seen: Sequence[float], unit: str) -> tuple[float, float]:
    """The ends of the axis: all that is to be seen with a margin, and none where no value can be."""
    first, last = min(seen), max(seen)
    margin = (last - first) * 0.18 or abs(last) * 0.2 or 1.0
    start = max(first - margin, 0.0) if first >= 0 else first - margin
    end = min(last + margin, 1.0) if unit == "share" and last <= 1 else last + margin
    return (start, end) if end > start else (start, start + 1.0)


def _label(points: Sequence[Point], limits: Reading, title: str, language: Language) -> str:
    said = [f"{p.label}: {interval(p.value, p.low, p.high, limits.unit, language)}" for p in points[-12:]]
    limit = threshold_text(limits, language)
    return "; ".join([title] * bool(title) + [word("threshold", language, bound=limit)] * bool(limit) + said)
