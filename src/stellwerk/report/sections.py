"""The sections that reports on data share, with their headings in both languages, ready for a page.

Knows which columns a reader needs of a ledger, a list of sources, a scan for personal data, a table of planted defects.
Does not measure: the numbers are given to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from pydantic import BaseModel, ConfigDict, NonNegativeInt

from stellwerk.gates import Signal as GateSignal
from stellwerk.report import words
from stellwerk.report.interval import Reading
from stellwerk.report.page import Column, Command, Number, Numbers, Prose, Signal, SignalLine, Table
from stellwerk.report.words import Language, number, word


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DefectLine(_Line):
    """A kind of planted defect. `falsely_removed`: sound documents that its rule dropped, None where it drops none."""

    kind: str
    planted: NonNegativeInt
    found: NonNegativeInt
    missed: NonNegativeInt
    falsely_removed: NonNegativeInt | None = None


class LedgerLine(_Line):
    """What one rule of one step did to how many documents, and the bound that it used."""

    step: str
    rule: str
    changed: NonNegativeInt = 0
    dropped: NonNegativeInt = 0
    bound: str | None = None


class SourceLine(_Line):
    """One source of the dataset."""

    name: str
    origin: str | None = None
    licence: str | None = None
    legal_basis: str | None = None
    retrieved: date | None = None
    files: NonNegativeInt | None = None
    rows: NonNegativeInt | None = None


def defects(lines: Sequence[DefectLine], language: Language = "en", note: str = "") -> Table:
    """Build the table planted, found, missed, falsely removed.

    Args:
        lines: one for each kind.
        language: of the headings.
        note: a sentence below the table.

    Returns:
        A table; its share is found / planted.
    """
    kinds = (("kind", "text"), ("planted", "number"), ("found", "number"), ("missed", "number"))
    columns = (*kinds, ("falsely_removed", "number"), ("found_share", "share"))
    rows = tuple(
        (x.kind, x.planted, x.found, x.missed, x.falsely_removed, x.found / x.planted if x.planted else None) for x in lines
    )
    return _table("defects", columns, rows, language, note)


def ledger(lines: Sequence[LedgerLine], language: Language = "en", note: str = "") -> Table:
    """Build the table of what each rule of each step changed and dropped."""
    columns = (("step", "text"), ("rule", "text"), ("bounds", "text"), ("changed", "number"), ("dropped", "number"))
    rows = tuple((x.step, x.rule, x.bound, x.changed, x.dropped) for x in lines)
    return _table("ledger", columns, rows, language, note)


def sources(lines: Sequence[SourceLine], language: Language = "en") -> Table:
    """Build the table of sources; a fact that is missing reads "not yet known"."""
    columns: list[tuple[str, str]] = [
        ("name", "text"),
        ("origin", "text"),
        ("licence", "text"),
        ("legal_basis", "text"),
    ]
    columns += [("retrieved", "text"), ("files", "number"), ("rows", "number")]
    unknown = word("unknown", language)
    rows = tuple(
        (
            x.name,
            *(v or unknown for v in (x.origin, x.licence, x.legal_basis)),
            str(x.retrieved or unknown),
            x.files,
            x.rows,
        )
        for x in lines
    )
    return _table("sources", columns, rows, language)


def personal(
    counts: Mapping[str, int],
    not_searched: Sequence[str],
    action: str | None = None,
    language: Language = "en",
    explanations: Mapping[str, str] | None = None,
) -> Table:
    """Build the summary of a scan for personal data: kinds searched with findings, and kinds that were not searched.

    Args:
        counts: kind -> findings, with a zero for each kind that was searched and not found.
        not_searched: kinds that no rule looked for.
        action: what was done to the findings, such as masked.
        language: of the headings.
        explanations: kind -> what is meant by it.

    Returns:
        A table with a line for each kind; kinds not searched are dark.
    """
    said = explanations or {}
    rows: list[tuple[Any, ...]] = [
        (kind, said.get(kind, ""), count, action if count else None) for kind, count in counts.items()
    ]
    unsearched = Signal(state="dark", text=word("not_searched", language))
    rows += [(kind, said.get(kind, ""), None, unsearched) for kind in not_searched]
    columns = [("kind", "text"), ("meaning", "text"), ("findings", "number"), ("action", "text")]
    if not any(said.values()):
        columns, rows = [columns[0], *columns[2:]], [(row[0], *row[2:]) for row in rows]
    return _table("personal", columns, tuple(rows), language, word("zero", language))


def signal_line(
    signal: GateSignal,
    job: str,
    gate: str,
    reason: str,
    instruments: Sequence[str] = (),
    language: Language = "en",
) -> SignalLine:
    """Build the line of a gate's signal.

    Args:
        signal: as the gate gave it.
        job: whose gate it is, as the reader calls that job.
        gate: what it asks for, in words.
        reason: a sentence that says why it is so.
        instruments: references of what it was measured with.
        language: of dates.
    """
    found, asked = signal.measurement, signal.gate
    return SignalLine(
        job=job,
        gate=gate,
        state=signal.state,
        reason=reason,
        subject=signal.subject.ref if signal.subject else "",
        reading=Reading(
            value=found.value if found else None,
            low=found.low if found else None,
            high=found.high if found else None,
            minimum=asked.min,
            maximum=asked.max,
            unit=found.unit if found else "",
        ),
        n=found.n if found else None,
        attempts=signal.attempts,
        measured=words.date(found.created, language) if found else "",
        instruments=tuple(instruments),
    )


def weakest_point(sentence: str, commands: Sequence[Command] = (), language: Language = "en") -> Prose:
    """Build the message that names the weakest point and how to see it."""
    return Prose(title=word("weakest", language), paragraphs=(sentence,), commands=tuple(commands), state="caution")


def further(commands: Sequence[Command], language: Language = "en") -> Prose:
    """Build the list of commands with which the reader looks further."""
    return Prose(title=word("commands", language), commands=tuple(commands))


def footprint(seconds: float, disk_bytes: int, connections: int | None, language: Language = "en", note: str = "") -> Numbers:
    """Build the figures of time, disk and network.

    Args:
        seconds: wall time of the run.
        disk_bytes: what it left on the disk.
        connections: network connections that were opened, as counted; None where nobody counted: nothing is said then.
        language: of the headings.
        note: what is behind the time, such as the number of cores.

    Returns:
        A row of figures.
    """
    items = [
        Number(label=word("time", language), value=f"{number(seconds, language)} s", note=note),
        Number(label=word("disk", language), value=f"{number(disk_bytes / 1e6, language)} MB"),
    ]
    if connections is not None:
        said = "" if connections else word("nothing_left", language)
        items.append(Number(label=word("network", language), value=connections, note=said))
    return Numbers(title=word("footprint", language), items=tuple(items))


def _table(
    title: str,
    columns: Sequence[tuple[str, Any]],
    rows: tuple[tuple[Any, ...], ...],
    language: Language,
    note: str = "",
) -> Table:
    heads = tuple(Column(label=_capital(word(key, language)), kind=kind) for key, kind in columns)
    return Table(title=word(title, language), columns=heads, rows=rows, note=note)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
