"""Renders a report as one HTML file that needs nothing else: no network, no script, no other file.

Knows kinds of sections (numbers, table, signals, lineage, flow, charts, prose) and how they look. Does not know what a
report is about: headings and sentences come from the caller, in the language that the caller names.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from pydantic import BaseModel, ConfigDict, Field, model_validator

from stellwerk.report.charts import Histogram, distribution_svg, notes
from stellwerk.report.flow import Flow, flow_rows, flow_svg
from stellwerk.report.interval import Reading, reading_svg, reading_text, threshold_text
from stellwerk.report.lineage import Lineage, lineage_rows, lineage_svg
from stellwerk.report.signs import sign_svg
from stellwerk.report.words import Language, number, share, visible, word

State = Literal["clear", "stop", "caution", "dark"]

_TEMPLATES: Final = Path(__file__).parent / "templates"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Signal(_Part):
    """The state of something; shown by shape, colour and word."""

    state: State
    text: str = ""


Value = Signal | int | float | str | None


class Number(_Part):
    """One figure to be seen at a glance."""

    label: str
    value: Value
    note: str = ""
    state: State | None = None


class Column(_Part):
    """A column of a table; `share` shows values from 0 to 1 as per cent with a bar, `code` in a fixed width."""

    label: str
    kind: Literal["text", "number", "share", "code"] = "text"


class Command(_Part):
    """A command that the reader may copy, and what it shows."""

    text: str
    says: str = ""


class _Section(_Part):
    title: str
    intro: str = ""


class Numbers(_Section):
    """A row of figures."""

    kind: Literal["numbers"] = "numbers"
    items: tuple[Number, ...]


class Table(_Section):
    """A table; None is printed as a dash."""

    kind: Literal["table"] = "table"
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    note: str = ""

    @model_validator(mode="after")
    def _rectangular(self) -> Self:
        for index, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ValueError(f"{self.title}: row {index} has {len(row)} cells for {len(self.columns)} columns")
        return self


class FlowPicture(_Section):
    """The way of the documents, as a picture and as a table."""

    kind: Literal["flow"] = "flow"
    flow: Flow


class Distribution(_Part):
    """One score with its bounds."""

    title: str
    histogram: Histogram
    lower: float | None = None
    upper: float | None = None
    unit: str = ""
    note: str = ""


class Charts(_Section):
    """Distributions side by side."""

    kind: Literal["charts"] = "charts"
    charts: tuple[Distribution, ...]


class SignalLine(_Part):
    """The signal of a gate for what it concerns, with what it rests on.

    Attributes:
        job: whose gate it is, as the reader calls that job; lines of a job stand together.
        gate: what the gate asks for, in words.
        state: None where no gate is required.
        reason: a sentence that says why.
        subject: reference of the version that is measured.
        reading: the value with its interval and threshold; None where nothing counts.
        attempts: how many complete measurements there are.
        measured: when, as text in the reader's language.
        instruments: references of what it was measured with.
    """

    job: str
    gate: str
    state: State | None
    reason: str = ""
    subject: str = ""
    reading: Reading | None = None
    n: int | None = None
    attempts: int = 0
    measured: str = ""
    instruments: tuple[str, ...] = ()


class Signals(_Section):
    """Signals with their reasons and evidence, job after job."""

    kind: Literal["signals"] = "signals"
    lines: tuple[SignalLine, ...]
    note: str = ""


class LineagePicture(_Section):
    """What versions were made from, as a picture and as a table."""

    kind: Literal["lineage"] = "lineage"
    lineage: Lineage


class Prose(_Section):
    """Paragraphs, points and commands; with a state it is set apart as a message."""

    kind: Literal["prose"] = "prose"
    paragraphs: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()
    state: State | None = None


Section = Annotated[Numbers | Table | FlowPicture | Charts | Signals | LineagePicture | Prose, Field(discriminator="kind")]


class Report(_Part):
    """A report: what it says at a glance, then its sections in order.

    Attributes:
        summary: sections before the contents; in print they have the first page to themselves.
    """

    title: str
    subtitle: str = ""
    headline: tuple[Number, ...] = ()
    summary: tuple[Section, ...] = ()
    sections: tuple[Section, ...] = ()
    footer: tuple[str, ...] = ()


def render(report: Report, language: Language = "en") -> str:
    """Write a report as HTML.

    Args:
        report: its content; every text in it is escaped.
        language: of labels and number formats that are ours; it is also the lang attribute.

    Returns:
        One HTML document, UTF-8, that loads nothing: its content security policy forbids scripts and network.
    """
    template = _environment().get_template("report.html.j2")
    every = (*report.summary, *report.sections)
    sections = list(zip(_anchors([section.title for section in every]), every, strict=True))
    return template.render(
        report=report,
        summary=sections[: len(report.summary)],
        sections=sections[len(report.summary) :],
        language=language,
        word=lambda key, **values: word(key, language, **values),
        show=lambda value: number(value, language) if isinstance(value, int | float) else value,
        percent=lambda value: share(value, 1, language),
        flow_svg=lambda flow, vertical: Markup(flow_svg(flow, language, vertical=vertical)),  # noqa: S704  (escaped there)
        flow_rows=flow_rows,
        lineage_svg=lambda lineage: Markup(lineage_svg(lineage, language)),  # noqa: S704  (escaped there)
        lineage_rows=lineage_rows,
        reading_svg=lambda reading: Markup(reading_svg(reading)),  # noqa: S704  (numbers only)
        reading_text=lambda reading: reading_text(reading, language),
        threshold_text=lambda reading: threshold_text(reading, language),
        sign=lambda state: Markup(sign_svg(state)),  # noqa: S704  (a constant)
        evidence=lambda line: evidence(line, language),
        chart_svg=lambda chart: _chart(chart, language),
        chart_notes=lambda chart: notes(chart.histogram, (chart.lower, chart.upper), language),
    )


def evidence(line: SignalLine, language: Language = "en") -> list[str]:
    """What a signal rests on, in short lines: cases, attempts, day, instruments."""
    said = [word("cases", language, count=number(line.n, language))] if line.n is not None else []
    if line.attempts:
        said.append(word("attempts" if line.attempts > 1 else "attempt", language, count=number(line.attempts, language)))
    said += [word("measured", language, date=line.measured)] if line.measured else []
    return said + ([word("measured_with", language, names=", ".join(line.instruments))] if line.instruments else [])


def _chart(chart: Distribution, language: Language) -> Markup:
    bounds = (chart.lower, chart.upper)
    svg = distribution_svg(chart.histogram, bounds, title=chart.title, unit=chart.unit, language=language)
    return Markup(svg)  # noqa: S704  (escaped by Vega)


def _anchors(titles: list[str]) -> list[str]:
    """A short id for each section, unique in the page."""
    anchors: list[str] = []
    for index, title in enumerate(titles, start=1):
        slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
        anchors.append(slug if slug and slug not in anchors else f"section-{index}")
    return anchors


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    environment.tests["signal"] = _is_signal
    return environment


def _is_signal(value: Any) -> bool:
    return isinstance(value, Signal)
