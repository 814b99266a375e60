"""The words, numbers and dates of reports in English and German; German terms follow the table in the design."""

from __future__ import annotations

import datetime as times
import math
import re
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Final, Literal

from babel import dates, numbers, units

Language = Literal["en", "de"]

_LOCALES: Final[dict[Language, str]] = {"en": "en_GB", "de": "de_DE"}
_UNITS: Final = {"documents": "Dokumente", "rows": "Zeilen", "tests": "Prüfungen", "cases": "Fälle", "tokens": "Tokens"}
# Signs that move other signs or cannot be seen: a reader would not see what is there.
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\uffff\ud800-\udfff]"
)

_WORDS: Final[dict[str, tuple[str, str]]] = {
    "action": ("Action", "Maßnahme"),
    "attempt": ("1 attempt", "1 Versuch"),
    "attempts": ("{count} attempts", "{count} Versuche"),
    "beyond": (
        "{count} values lie beyond {value} and are counted in the outer bar.",
        "{count} Werte liegen jenseits von {value} und sind im äußeren Balken gezählt.",
    ),
    "bound_beyond": ("The bound {value} lies outside the picture.", "Die Grenze {value} liegt außerhalb des Bildes."),
    "bounds": ("Bounds", "Grenzen"),
    "cases": ("n = {count}", "n = {count}"),
    "caution": ("Caution", "Vorsicht"),
    "changed": ("changed", "geändert"),
    "clear": ("Clear", "Frei"),
    "commands": ("How to look further", "So geht es weiter"),
    "contents": ("Contents", "Inhalt"),
    "dark": ("No evidence", "Kein Nachweis"),
    "defects": ("Planted and found", "Eingebaut und gefunden"),
    "disk": ("Disk", "Speicherplatz"),
    "documents": ("documents", "Dokumente"),
    "dropped": ("dropped", "verworfen"),
    "evidence": ("Evidence", "Nachweis"),
    "falsely_removed": ("Falsely removed", "Zu Unrecht entfernt"),
    "files": ("Files", "Dateien"),
    "findings": ("Findings", "Befunde"),
    "flow": ("The flow of documents", "Der Weg der Dokumente"),
    "flow_label": (
        "Flow of {read} {unit}: {kept} kept unchanged, {changed} changed, {dropped} dropped",
        "Weg von {read} {unit}: {kept} unverändert behalten, {changed} geändert, {dropped} verworfen",
    ),
    "footprint": ("Time, disk, network", "Zeit, Speicher, Netz"),
    "found": ("Found", "Gefunden"),
    "found_share": ("Share found", "Anteil gefunden"),
    "gate": ("Gate", "Prüfpunkt"),
    "highlighted": ("highlighted", "hervorgehoben"),
    "kept": ("kept unchanged", "unverändert behalten"),
    "kept_short": ("kept", "behalten"),
    "kind": ("Kind", "Art"),
    "ledger": ("What each step did", "Was jeder Schritt tat"),
    "legal_basis": ("Legal basis", "Rechtsgrundlage"),
    "licence": ("Licence", "Lizenz"),
    "lineage_label": (
        "Lineage of {count} versions, older ones to the left",
        "Herkunft und Verwendung von {count} Versionen, ältere links",
    ),
    "lineage_lit": ("; highlighted: {names}", "; hervorgehoben: {names}"),
    "made": ("As of {date}", "Stand {date}"),
    "made_from": ("Made from", "Gemacht aus"),
    "made_with": (
        "Made with Stellwerk. One file, no scripts, nothing loaded from a network.",
        "Erstellt mit Stellwerk. Eine Datei, keine Skripte, nichts aus dem Netz geladen.",
    ),
    "meaning": ("What it is", "Was es ist"),
    "measured": ("measured {date}", "gemessen {date}"),
    "measured_with": ("with {names}", "mit {names}"),
    "missed": ("Missed", "Übersehen"),
    "more_versions": ("+ {count} more", "+ {count} weitere"),
    "name": ("Name", "Name"),
    "network": ("Connections opened", "Geöffnete Verbindungen"),
    "not_required": ("not required", "nicht verlangt"),
    "not_searched": ("not searched", "nicht gesucht"),
    "nothing_left": ("Nothing left this machine.", "Nichts hat diesen Rechner verlassen."),
    "origin": ("Origin", "Herkunft"),
    "outside": ("outside", "außerhalb"),
    "page": ("Page {page} of {pages}", "Seite {page} von {pages}"),
    "personal": ("Personal data", "Personenbezogene Daten"),
    "planted": ("Planted", "Eingebaut"),
    "remaining": ("remaining", "verbleiben"),
    "retrieved": ("Retrieved", "Abgerufen"),
    "rows": ("Rows", "Zeilen"),
    "rule": ("Rule", "Regel"),
    "same_numbers": ("The same numbers as a table", "Dieselben Zahlen als Tabelle"),
    "same_versions": ("The same versions as a table", "Dieselben Versionen als Tabelle"),
    "scores": ("Quality scores and their bounds", "Qualitätswerte und ihre Grenzen"),
    "signal": ("Signal", "Signal"),
    "skip": ("Skip to the content", "Zum Inhalt springen"),
    "source": ("Source", "Quelle"),
    "sources": ("Sources", "Quellen"),
    "step": ("Step", "Schritt"),
    "stop": ("Stop", "Halt"),
    "threshold": ("Threshold {bound}", "Schwelle {bound}"),
    "time": ("Time", "Zeit"),
    "to": ("to", "bis"),
    "unknown": ("not yet known", "noch nicht bekannt"),
    "value": ("Value", "Wert"),
    "version": ("Version", "Version"),
    "weakest": ("The weakest point", "Die schwächste Stelle"),
    "zero": (
        "A count of zero says that this search found nothing, not that there is nothing.",
        "Eine Null heißt, dass diese Suche nichts fand, nicht, dass nichts da ist.",
    ),
}


def word(key: str, language: Language = "en", **values: str) -> str:
    """Look up a label.

    Args:
        key: one of the keys of the dictionary above.
        language: en or de.
        values: texts for the placeholders of the label.

    Returns:
        The label in that language.
    """
    return _WORDS[key][language == "de"].format(**values)


@lru_cache(4096)
def number(value: float, language: Language = "en", digits: int = 3) -> str:
    """Format a number for a reader.

    Args:
        value: the number; whole numbers are written in full.
        language: en (1,234.5) or de (1.234,5).
        digits: significant digits of a number that is not whole.

    Returns:
        The number with thousands separators.
    """
    if not math.isfinite(value):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e15:
        return numbers.format_decimal(int(value), "#,##0", _LOCALES[language])
    if abs(value) >= 1e15 or 0 < abs(value) < 1e-6:
        return numbers.format_scientific(value, "0.##E0", _LOCALES[language])
    places = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    return numbers.format_decimal(value, "#,##0." + "#" * places, _LOCALES[language])


@lru_cache(4096)
def share(part: float, whole: float, language: Language = "en") -> str:
    """Format a part of a whole as per cent; a part that is neither 0 nor 1 never reads 0 % or 100 %."""
    if not whole:
        return ""
    percent = 100 * part / whole
    sign, percent = ("< ", 0.1) if 0 < percent < 0.1 else ("> ", 99.9) if 99.9 < percent < 100 else ("", percent)
    if not abs(percent) < 1e12:
        return f"{number(percent, language)} %"
    return f"{sign}{numbers.format_decimal(percent, '#,##0.#', _LOCALES[language])} %"


def quantity(value: float, unit: str = "", language: Language = "en") -> str:
    """Format a value with its unit: a share as per cent, seconds as a duration, anything else with the unit behind it."""
    if unit == "share":
        return share(value, 1, language)
    if unit == "s":
        return duration(value, language)
    return f"{number(value, language)} {_UNITS.get(unit, unit) if language == 'de' else unit}".strip()


def interval(value: float, low: float | None, high: float | None, unit: str = "", language: Language = "en") -> str:
    """Format a value with the interval around it, such as `91.2 % (88.4 % to 93.5 %)`.

    Args:
        value: that was measured.
        low: lower bound; without both bounds the value stands alone.
        high: upper bound.
        unit: of the value; `share` is written as per cent, `s` as a duration.
        language: of numbers and words.
    """
    said = quantity(value, unit, language)
    if low is None or high is None or low == high:
        return said
    return f"{said} ({quantity(low, unit, language)} {word('to', language)} {quantity(high, unit, language)})"


def duration(seconds: float, language: Language = "en") -> str:
    """Format a time span in its two largest units, such as `2 hrs 5 mins`."""
    if not math.isfinite(seconds):
        return str(seconds)
    if abs(seconds) < 60 or abs(seconds) > 1e12:
        return f"{number(seconds, language)} s"
    whole = round(abs(seconds))
    whole = round(whole, -1) if whole >= 86400 else whole
    sizes = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
    first = next(index for index, (_, size) in enumerate(sizes) if whole >= size)
    parts = []
    for name, size in sizes[first : first + 2]:
        count, whole = divmod(whole, size)
        if count:
            parts.append(units.format_unit(count, f"duration-{name}", "short", locale=_LOCALES[language]))
    return ("-" if seconds < 0 else "") + " ".join(parts)


def date(value: times.date | datetime | str | float, language: Language = "en", zone: tzinfo = UTC) -> str:
    """Format a day, or a moment with its time.

    Args:
        value: a day, a moment, either as ISO 8601 text, or seconds since 1970; a moment without a zone is UTC.
        language: en (4 Mar 2026, 15:05) or de (04.03.2026, 15:05).
        zone: that the reader lives in; its name stands behind the time.

    Returns:
        The day, with the time where there is one.
    """
    if isinstance(value, str):
        value = times.date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
    elif isinstance(value, int | float):
        value = datetime.fromtimestamp(value, UTC)
    if not isinstance(value, datetime):
        return dates.format_date(value, "medium", _LOCALES[language])
    moment = (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(zone)
    day = dates.format_date(moment, "medium", _LOCALES[language])
    return f"{day}, {moment:%H:%M} {moment.tzname() or ''}".rstrip()


def visible(text: str) -> str:
    """Show signs that cannot be seen, or that turn the direction of others, as their code point: `[U+202E]`."""
    return _UNSEEN.sub(lambda found: f"[U+{ord(found[0]):04X}]", text)
