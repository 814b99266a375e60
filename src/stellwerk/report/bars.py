"""Draws amounts as bars beside each other, each with its name and its number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import altair as alt

from stellwerk.report.chart import INK, SOURCE, Chart, finished, inline, named
from stellwerk.report.words import Language, quantity, visible

WIDTH: Final = 340
STEP: Final = 24


def bars(amounts: Sequence[tuple[str, float]], unit: str = "", title: str = "", language: Language = "en") -> Chart:
    """Draw named amounts as lying bars, in the order given.

    Args:
        amounts: name and amount; of amounts below zero the bar lies to the left.
        unit: of the amounts; `share` is written as per cent.
        title: what is counted, for the label of the picture.
        language: of numbers.
    """
    said = [(visible(name), value, quantity(value, unit, language)) for name, value in amounts]
    # A key for each bar keeps two of the same name apart.
    rows: list[dict[str, Any]] = [{"key": f"{i:06}", "value": v, "text": text} for i, (_, v, text) in enumerate(said)]
    names = {row["key"]: name for row, (name, _, _) in zip(rows, said, strict=True)}
    axis = alt.Axis(
        domain=False, ticks=False, labelLimit=0, labelColor=INK, grid=False, labelPadding=8,
        labelExpr=named(names, 26),
    )  # fmt: skip
    y = alt.Y("key:N", title=None, sort=None, axis=axis)
    ends = [0.0, *(value for _, value in amounts)]
    room = (max(ends) - min(ends) or 1.0) * 0.3
    domain = [min(ends) - (room if min(ends) < 0 else 0), max(ends) + (room if max(ends) > 0 or min(ends) == 0 else 0)]
    x = alt.X("value:Q", axis=None, scale=alt.Scale(domain=domain, nice=False))
    drawn = inline(rows)
    layers = [drawn.mark_bar(color=SOURCE, height=STEP - 10, cornerRadius=2).encode(x=x, y=y)]
    for align, less in (("left", False), ("right", True)):
        part = inline([row for row in rows if (row["value"] < 0) == less])
        mark = part.mark_text(align=align, dx=-6 if less else 6, color=INK, fontSize=11.5)
        layers.append(mark.encode(x=x, y=y, text="text:N"))
    label = "; ".join([title] * bool(title) + [f"{name}: {text}" for name, _, text in said])
    return finished(layers, WIDTH, max(len(rows), 1) * STEP, label, language)
