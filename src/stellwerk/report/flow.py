"""The way of documents through the steps of a build, as a Sankey picture in inline SVG.

Knows its own small layout: sources on the left, a trunk that thins at each step, what a step drops running below to
"dropped", kept and changed at the end; and the same turned by 90 degrees for a narrow screen. Colours are CSS variables
with a fallback. Does not know what a step or a rule means.
"""

from __future__ import annotations

from html import escape
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, NonNegativeInt, model_validator

from stellwerk.report.words import Language, number, share, visible, word

_COLOURS: Final = {
    "source": "var(--source, #3d5a98)",
    "kept": "var(--kept, #1d7a5f)",
    "changed": "var(--changed, #a86a00)",
    "dropped": "var(--dropped, #b3364a)",
    "ink": "var(--ink, #16202e)",
    "muted": "var(--muted, #5a6675)",
}
_NODE: Final = 9.0
_LEAST: Final = 1.5  # px: a band of one document among millions can still be seen


class Amount(BaseModel):
    """A number of documents with its name."""

    model_config = ConfigDict(frozen=True)

    label: str
    count: NonNegativeInt


class FlowStep(BaseModel):
    """A step and what it dropped, by rule."""

    model_config = ConfigDict(frozen=True)

    label: str
    drops: tuple[Amount, ...] = ()

    @property
    def dropped(self) -> int:
        """Documents that the step dropped."""
        return sum(drop.count for drop in self.drops)


class Flow(BaseModel):
    """The whole way: what the sources gave equals what was kept unchanged, changed and dropped."""

    model_config = ConfigDict(frozen=True)

    sources: tuple[Amount, ...]
    steps: tuple[FlowStep, ...]
    kept: NonNegativeInt
    changed: NonNegativeInt

    @property
    def read(self) -> int:
        """Documents that came in."""
        return sum(source.count for source in self.sources)

    @property
    def dropped(self) -> int:
        """Documents that all steps dropped."""
        return sum(step.dropped for step in self.steps)

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.read != self.kept + self.changed + self.dropped:
            raise ValueError(
                f"the flow does not add up: {self.read} read, {self.kept} kept, {self.changed} changed, {self.dropped} dropped"
            )
        return self

    def remaining(self) -> list[int]:
        """Count the documents that are left after each step."""
        left, counts = self.read, []
        for step in self.steps:
            left -= step.dropped
            counts.append(left)
        return counts


def flow_svg(flow: Flow, language: Language = "en", *, vertical: bool = False) -> str:
    """Draw the flow.

    Args:
        flow: the amounts.
        language: of the labels that are ours and of the numbers.
        vertical: from top to bottom, 340 px wide, for a narrow screen.

    Returns:
        One <svg> element, with role, label and a <title> on every band. All text is escaped.
    """
    drawing = (_Vertical if vertical else _Horizontal)(flow, language)
    drawing.draw()
    label = word(
        "flow_label",
        language,
        read=number(flow.read, language),
        unit=word("documents", language),
        kept=number(flow.kept, language),
        changed=number(flow.changed, language),
        dropped=number(flow.dropped, language),
    )
    width, height = drawing.width, drawing.height
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="flow" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" aria-label="{escape(visible(label))}" '
        f'font-family="system-ui, sans-serif" font-size="12.5">{"".join(drawing.parts)}</svg>'
    )


def flow_rows(flow: Flow) -> list[tuple[str, str, int, int]]:
    """List the same numbers for a table.

    Args:
        flow: the amounts.

    Returns:
        Rows of step, rule, documents dropped, documents remaining after the rule.
    """
    rows, left = [], flow.read
    for step in flow.steps:
        for drop in step.drops or (Amount(label="", count=0),):
            left -= drop.count
            rows.append((step.label, drop.label, drop.count, left))
    return rows


class _Drawing:
    """What both directions share: scale, text, bars and bands."""

    width = 0.0
    height = 0.0
    thickness = 190.0

    def __init__(self, flow: Flow, language: Language) -> None:
        self.flow = flow
        self.language = language
        self.parts: list[str] = []
        self._scale = self.thickness / max(flow.read, 1)

    def size(self, count: int) -> float:
        return max(count * self._scale, _LEAST) if count else 0.0

    def number(self, count: int) -> str:
        return number(count, self.language)

    def share(self, count: int) -> str:
        return share(count, self.flow.read, self.language)

    def bar(self, x: float, y: float, width: float, height: float, colour: str, title: str) -> None:
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2" '
            f'fill="{_COLOURS[colour]}"><title>{escape(visible(title))}</title></rect>'
        )

    def band(self, path: str, colour: str, title: str) -> None:
        self.parts.append(
            f'<path d="{path}" fill="{_COLOURS[colour]}" fill-opacity="0.3"><title>{escape(visible(title))}</title></path>'
        )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        colour: str = "ink",
        anchor: str = "start",
        bold: bool = False,
        room: int = 99,
    ) -> None:
        shown = text if len(text) <= room else text[: room - 1] + "…"
        title = f"<title>{escape(visible(text))}</title>" if shown != text else ""
        weight = ' font-weight="650"' if bold else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" fill="{_COLOURS[colour]}" text-anchor="{anchor}"{weight}>'
            f"{title}{escape(visible(shown))}</text>"
        )

    def ends(self) -> list[tuple[str, str, int]]:
        return [
            (colour, word(colour, self.language), count)
            for colour, count in (("kept", self.flow.kept), ("changed", self.flow.changed))
        ]


class _Horizontal(_Drawing):
    """From left to right; drops bend down into a lane that ends in "dropped"."""

    top = 58.0
    left = 132.0
    right = 190.0
    fall = 62.0

    def draw(self) -> None:
        flow = self.flow
        gap = max(112.0, (1060 - self.left - self.right) / (len(flow.steps) + 1))
        xs = [self.left + gap * (index + 1) for index in range(len(flow.steps))]
        end = self.left + gap * (len(flow.steps) + 1)
        self.width = end + self.right
        lane = sum(self.size(step.dropped) for step in flow.steps)
        trunk = max(self.size(flow.read), sum(self.size(s.count) + 26 for s in flow.sources) - 26)
        floor = self.top + trunk + self.fall + lane
        self.height = floor + 30 + 17 * max((len(step.drops) for step in flow.steps), default=0)
        self._sources(xs[0] if xs else end)
        self._steps(xs, end, floor)
        self._ends(xs[-1] + _NODE if xs else self.left, end)
        if flow.dropped:
            self.bar(end, floor - lane, _NODE, lane, "dropped", f"{word('dropped', self.language)}: {flow.dropped}")
            self._end_label(end, floor - lane / 2, "dropped", word("dropped", self.language), flow.dropped)

    def _sources(self, target: float) -> None:
        y, into = self.top, self.top
        for source in self.flow.sources:
            height = self.size(source.count)
            title = f"{source.label}: {self.number(source.count)}"
            self.bar(self.left, y, _NODE, height, "source", title)
            self.band(_across(self.left + _NODE, y, target, into, height), "source", title)
            middle = y + height / 2
            self.text(self.left - 10, middle - 2, source.label, anchor="end", bold=True, room=17)
            self.text(self.left - 10, middle + 14, self.number(source.count), "muted", "end")
            y += height + 26
            into += height

    def _steps(self, xs: list[float], end: float, floor: float) -> None:
        before = self.flow.read
        under = floor
        for index, (x, step, left) in enumerate(zip(xs, self.flow.steps, self.flow.remaining(), strict=True)):
            stays, falls = self.size(left), self.size(step.dropped)
            self.bar(
                x,
                self.top,
                _NODE,
                max(self.size(before), stays + falls),
                "source",
                f"{step.label}: {self.number(before)}",
            )
            self.text(x + _NODE / 2, self.top - 28, step.label, anchor="middle", bold=True, room=16)
            self.text(x + _NODE / 2, self.top - 11, self.number(before), "muted", "middle")
            if left and index + 1 < len(xs):
                path = _across(x + _NODE, self.top, xs[index + 1], self.top, stays)
                self.band(path, "source", f"{self.number(left)} {word('remaining', self.language)}")
            if step.dropped:
                under -= falls
                path = _fall(x + _NODE, self.top + stays, under, falls, end)
                self.band(path, "dropped", f"{step.label}: {self.number(step.dropped)} {word('dropped', self.language)}")
            later = [x2 for x2, other in zip(xs[index + 1 :], self.flow.steps[index + 1 :], strict=True) if other.drops]
            room = (later[0] if later else self.width) - x
            for line, drop in enumerate(step.drops):
                self._drop(x, floor + 24 + 17 * line, drop, room)
            before = left

    def _drop(self, x: float, y: float, drop: Amount, width: float) -> None:
        count = self.number(drop.count)
        room = int(width / 7.4) - len(count) - 2
        label = drop.label if len(drop.label) <= room else drop.label[: room - 1] + "…"
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="12" fill="{_COLOURS["dropped"]}" font-weight="650">'
            f"<title>{escape(visible(drop.label))}: {count}</title>{count}"
            f'<tspan dx="5" fill="{_COLOURS["muted"]}" font-weight="400">{escape(visible(label))}</tspan></text>'
        )

    def _ends(self, start: float, end: float) -> None:
        y, from_y = self.top, self.top
        for colour, label, count in self.ends():
            height = self.size(count)
            if count:
                self.band(_across(start, from_y, end, y, height), colour, f"{label}: {self.number(count)}")
                self.bar(end, y, _NODE, height, colour, f"{label}: {self.number(count)}")
            self._end_label(end, y + height / 2, colour, label, count)
            from_y += height
            y += max(height, 18) + 18

    def _end_label(self, end: float, middle: float, colour: str, label: str, count: int) -> None:
        self.text(end + 18, middle - 2, label, colour, bold=True, room=24)
        self.text(end + 18, middle + 14, f"{self.number(count)}  ({self.share(count)})", "muted")


class _Vertical(_Drawing):
    """From top to bottom; what a step drops leaves to the right, towards its label."""

    width = 340.0
    thickness = 100.0
    column = 134.0

    def draw(self) -> None:
        flow = self.flow
        y = 16.0
        for source in flow.sources:
            self.text(self.column, y, source.label, bold=True, room=18)
            self.text(self.width - 6, y, self.number(source.count), "muted", "end")
            y += 19
        x = 8.0
        for source in flow.sources:
            width = self.size(source.count)
            self.bar(x, 8, max(width - 1, 1), _NODE, "source", f"{source.label}: {self.number(source.count)}")
            self.band(_down(x, 8 + _NODE, y + 8, width), "source", source.label)
            x += width
        y += 8
        before = flow.read
        for step, left in zip(flow.steps, flow.remaining(), strict=True):
            y = self._step(step, y, before, left)
            before = left
        self._ends(y)

    def _step(self, step: FlowStep, y: float, before: int, left: int) -> float:
        stays, falls = self.size(left), self.size(step.dropped)
        below = y + 40 + 18 * len(step.drops)
        self.bar(8, y, max(self.size(before), stays + falls), _NODE, "source", f"{step.label}: {self.number(before)}")
        self.text(self.column, y + 9, step.label, bold=True, room=18)
        self.text(self.width - 6, y + 9, self.number(before), "muted", "end")
        self.band(_down(8, y + _NODE, below, stays), "source", f"{self.number(left)} {word('remaining', self.language)}")
        if step.dropped:
            x, start, turn = 8 + stays, y + _NODE, y + 24
            path = (
                f"M{x:.1f},{start:.1f} C{x:.1f},{turn:.1f} {x + 8:.1f},{turn + falls:.1f} {self.column - 8:.1f},"
                f"{turn + falls:.1f} V{turn:.1f} C{x + falls + 8:.1f},{turn:.1f} {x + falls:.1f},{turn:.1f} "
                f"{x + falls:.1f},{start:.1f}Z"
            )
            self.band(path, "dropped", f"{step.label}: {self.number(step.dropped)} {word('dropped', self.language)}")
        for line, drop in enumerate(step.drops):
            self.text(self.column, y + 29 + 18 * line, drop.label, "muted", room=18)
            self.text(self.width - 6, y + 29 + 18 * line, f"− {self.number(drop.count)}", "dropped", "end", bold=True)
        return below

    def _ends(self, y: float) -> None:
        x = 8.0
        for line, (colour, label, count) in enumerate(self.ends()):
            label = word("kept_short", self.language) if colour == "kept" else label
            width = self.size(count)
            if count:
                self.band(_down(x, y, y + 20, width), colour, label)
                self.bar(x, y + 20, max(width - 1, 1), _NODE, colour, f"{label}: {self.number(count)}")
            self.text(self.column, y + 18 + 19 * line, label, colour, bold=True, room=20)
            self.text(self.width - 6, y + 18 + 19 * line, self.number(count), "muted", "end")
            x += width
        self.text(self.column, y + 56, word("dropped", self.language), "dropped", bold=True)
        self.text(self.width - 6, y + 56, self.number(self.flow.dropped), "muted", "end")
        self.height = y + 68


def _across(x0: float, y0: float, x1: float, y1: float, height: float) -> str:
    middle = (x0 + x1) / 2
    return (
        f"M{x0:.1f},{y0:.1f} C{middle:.1f},{y0:.1f} {middle:.1f},{y1:.1f} {x1:.1f},{y1:.1f} v{height:.1f} "
        f"C{middle:.1f},{y1 + height:.1f} {middle:.1f},{y0 + height:.1f} {x0:.1f},{y0 + height:.1f}Z"
    )


def _down(x: float, y0: float, y1: float, width: float) -> str:
    return f"M{x:.1f},{y0:.1f} h{width:.1f} V{y1:.1f} h{-width:.1f}Z"


def _fall(x: float, y0: float, y1: float, height: float, end: float) -> str:
    landing = x + 74
    return (
        f"M{x:.1f},{y0:.1f} C{x + 40:.1f},{y0:.1f} {landing - 40:.1f},{y1:.1f} {landing:.1f},{y1:.1f} H{end:.1f} "
        f"v{height:.1f} H{landing:.1f} C{landing - 40:.1f},{y1 + height:.1f} {x + 40:.1f},{y0 + height:.1f} "
        f"{x:.1f},{y0 + height:.1f}Z"
    )
