"""Draws the wordings that a search has looked at: how good each is over what it took, and which were no worse in anything.

Each role has a shape of its own, so that colour alone tells nothing. Does not choose: it draws what it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import altair as alt
from pydantic import BaseModel, ConfigDict

from stellwerk.report.chart import DROPPED, INK, KEPT, LINE, MUTED, SOURCE, Chart, finished, inline
from stellwerk.report.words import Language, visible

WIDTH: Final = 500
HEIGHT: Final = 240
Role = Literal["seed", "chosen", "frontier", "other", "baseline"]
# Shape, size, colour, whether it is filled.
LOOKS: Final[dict[Role, tuple[str, int, str, bool]]] = {
    "other": ("circle", 60, MUTED, False),
    "baseline": ("triangle-up", 90, SOURCE, True),
    "frontier": ("circle", 90, KEPT, True),
    "seed": ("square", 110, INK, True),
    "chosen": ("diamond", 190, KEPT, True),
}


class Mark(BaseModel):
    """A wording in the picture; `start` is the place of the one that it was made from."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    x: float
    y: float
    label: str
    role: Role
    start: tuple[float, float] | None = None


def searched(
    marks: Sequence[Mark],
    x_title: str,
    y_title: str,
    *,
    line: Sequence[tuple[float, float]] = (),
    limit: float | None = None,
    limit_text: str = "",
    label: str = "",
    language: Language = "en",
) -> Chart:
    """Draw wordings.

    Args:
        marks: each with a share as its height.
        x_title: what lies to the right, such as calls.
        y_title: what lies above.
        line: places that a stepped line joins, such as the best one so far.
        limit: how far it could go, to the right.
        limit_text: that stands at the limit.
        label: for screen readers.
        language: of numbers.
    """
    ends = [*(mark.x for mark in marks), *([limit] if limit is not None else [])] or [1.0]
    margin = (max(ends) - min(ends) or max(ends) or 1.0) * 0.08
    heights = [mark.y for mark in marks] or [0.0, 1.0]
    room = max((max(heights) - min(heights)) * 0.2, 0.05)
    across = alt.Scale(domain=[max(min(ends) - margin, 0.0), max(ends) + margin], nice=False, zero=False)
    up = alt.Scale(domain=[max(min(heights) - room, 0.0), min(max(heights) + room, 1.08)], nice=False, zero=False)
    axis = alt.Axis(
        tickCount=4, domain=False, ticks=False, titlePadding=14, labelExpr="format(datum.value * 100, ',.3~r') + ' %'"
    )
    x = alt.X("x:Q", scale=across, title=x_title, axis=alt.Axis(tickCount=6, grid=False))
    y = alt.Y("y:Q", scale=up, title=y_title, axis=axis)
    layers: list[Any] = []
    if limit is not None:
        rule = inline([{"x": limit, "text": visible(limit_text)}])
        layers.append(rule.mark_rule(color=DROPPED, strokeDash=[4, 3]).encode(x=x))
        text = rule.mark_text(align="right", dx=-5, baseline="top", color=INK, fontSize=11)
        layers.append(text.encode(x=x, y=alt.value(2), text="text:N"))
    roots = [{"x": m.start[0], "y": m.start[1], "x2": m.x, "y2": m.y} for m in marks if m.start]
    if roots:
        layers.append(inline(roots).mark_rule(color=LINE, strokeWidth=1.3).encode(x=x, y=y, x2="x2:Q", y2="y2:Q"))
    if len(line) > 1:
        steps = inline([{"x": a, "y": b} for a, b in line])
        layers.append(steps.mark_line(color=KEPT, strokeWidth=2, interpolate="step-after").encode(x=x, y=y))
    for role, (shape, size, colour, filled) in LOOKS.items():
        rows = [{"x": mark.x, "y": mark.y, "text": visible(mark.label)} for mark in marks if mark.role == role]
        if rows:
            points = inline(rows).mark_point(shape=shape, size=size, color=colour, filled=filled, opacity=1, strokeWidth=1.6)
            layers.append(points.encode(x=x, y=y))
            text = inline(rows).mark_text(dy=15 if role == "seed" else -12, color=INK, fontSize=11)
            layers.append(text.encode(x=x, y=y, text="text:N"))
    return finished(layers, WIDTH, HEIGHT, label, language)
