"""A chart that can be shown and taken along: as SVG that follows light and dark mode, as PNG, as Vega-Lite.

Knows how drawn colours become those of the theme (vl-convert: no network, no browser). Does not know what is drawn. The first
chart of a process takes about half a second, for the converter starts; each further one some hundredths.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Final, Literal

import altair as alt
import vl_convert

from stellwerk.report.theme import colours
from stellwerk.report.words import Language, visible

# Vega knows no CSS: it draws in these colours, and each is then replaced by a colour of the theme.
_NAMES: Final = {
    "#010101": "kept",
    "#020202": "dropped",
    "#030303": "ink",
    "#040404": "muted",
    "#050505": "line",
    "#060606": "source",
}
KEPT, DROPPED, INK, MUTED, LINE, SOURCE = _NAMES


@dataclass(frozen=True)
class Chart:
    """A chart in one language.

    Attributes:
        drawn: Vega-Lite in the colours above.
        label: what a screen reader says in its place.
        language: of its texts and numbers.
    """

    drawn: dict[str, Any]
    label: str
    language: Language = "en"

    def svg(self) -> str:
        """One <svg> element that scales with its container, its colours CSS variables. All text is escaped."""
        svg = vl_convert.vegalite_to_svg(self.drawn, format_locale=self._locale(), allowed_base_urls=[])
        light = colours()
        for colour, name in _NAMES.items():
            svg = svg.replace(f'"{colour}"', f'"var(--{name}, {light[name]})"')
        # Vega still labels its own groups, in English only; the label of the whole stands for all.
        svg = re.sub(r' (?:aria-[a-z]+|role)="[^"]*"', "", svg)
        svg = svg.replace("sans-serif", "system-ui, sans-serif")
        head, _, rest = svg.partition(">")
        box = re.search(r'viewBox="[^"]*"', head)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" {box.group(0) if box else ""} role="img" '
            f'aria-label="{escape(visible(self.label))}">{rest}'
        )

    def png(self, dark: bool = False, scale: float = 2) -> bytes:
        """The chart as a picture file on the ground of a card, `scale` px for each of its own."""
        spec = self.spec(dark)
        image = vl_convert.vegalite_to_png(spec, scale=scale, format_locale=self._locale(), allowed_base_urls=[])
        return bytes(image)

    def spec(self, dark: bool = False) -> dict[str, Any]:
        """The chart as Vega-Lite with its data, in the colours of the theme."""
        known = colours(dark)
        text = json.dumps(self.drawn)
        for colour, name in _NAMES.items():
            text = text.replace(f'"{colour}"', f'"{known[name]}"')
        spec: dict[str, Any] = json.loads(text)
        spec["config"]["background"] = known["card"]
        return spec

    def _locale(self) -> Literal["de-DE"] | None:
        return "de-DE" if self.language == "de" else None


def finished(layers: list[Any], width: float, height: float, label: str, language: Language) -> Chart:
    """Put layers together in the look that all charts share.

    Args:
        layers: Altair charts.
        width: of the plot in px, or None where its steps decide.
        height: likewise.
        label: for screen readers.
        language: of texts and numbers.
    """
    chart = alt.layer(*layers).properties(width=width, height=height)
    chart = chart.configure(font="sans-serif", background="transparent", padding=4, aria=False)
    chart = chart.configure_view(stroke=None).configure_axis(
        labelColor=MUTED, titleColor=MUTED, titleFontWeight="normal", labelFontSize=11, titleFontSize=11,
        gridColor=LINE, domainColor=MUTED, tickColor=MUTED, tickSize=4,
    )  # fmt: skip
    return Chart(_lines(chart.to_dict()), label, language)


def _lines(value: Any) -> Any:
    """The same chart with each text as one line of signs that can be seen.

    A line break in the title of an axis is an error to Vega, and a control character ends the whole process in vl-convert.
    """
    if isinstance(value, str):
        return " ".join(visible(value).split())
    if isinstance(value, dict):
        return {key: _lines(part) for key, part in value.items()}
    return [_lines(part) for part in value] if isinstance(value, list) else value


def named(names: Mapping[str, str], letters: int) -> str:
    """An expression that gives an axis the name of a key, cut in its middle to so many letters.

    Vega's own limit is of no use: it cuts a sign in two that lies beyond the basic plane, and then fails.
    """
    cut = {key: n if len(n) <= letters else f"{n[: letters // 2]}…{n[len(n) - letters // 2 + 1 :]}" for key, n in names.items()}
    return f"{json.dumps(_lines(cut))}[datum.value]"


def inline(rows: list[dict[str, Any]]) -> Any:
    """Data that stand in the chart itself."""
    return alt.Chart(alt.InlineData(values=rows))
