"""The words and number formats of reports in English and German; German terms follow the table in the design."""

from __future__ import annotations

from typing import Final, Literal

Language = Literal["en", "de"]

_WORDS: Final[dict[str, tuple[str, str]]] = {
    "action": ("Action", "Maßnahme"),
    "beyond": (
        "{count} values lie beyond {value} and are counted in the outer bar.",
        "{count} Werte liegen jenseits von {value} und sind im äußeren Balken gezählt.",
    ),
    "bound_beyond": ("The bound {value} lies outside the picture.", "Die Grenze {value} liegt außerhalb des Bildes."),
    "bounds": ("Bounds", "Grenzen"),
    "changed": ("changed", "geändert"),
    "clear": ("Clear", "Frei"),
    "caution": ("Caution", "Vorsicht"),
    "commands": ("How to look further", "So geht es weiter"),
    "contents": ("Contents", "Inhalt"),
    "dark": ("No evidence", "Kein Nachweis"),
    "defects": ("Planted and found", "Eingebaut und gefunden"),
    "disk": ("Disk", "Speicherplatz"),
    "documents": ("documents", "Dokumente"),
    "dropped": ("dropped", "verworfen"),
    "falsely_removed": ("Falsely removed", "Zu Unrecht entfernt"),
    "files": ("Files", "Dateien"),
    "findings": ("Findings", "Befunde"),
    "flow": ("The flow of documents", "Der Weg der Dokumente"),
    "flow_label": (
        "Flow of {read} {unit}: {kept} kept unchanged, {changed} changed, {dropped} dropped",
        "Weg von {read} {unit}: {kept} unverändert behalten, {changed} geändert, {dropped} verworfen",
    ),
    "footprint": ("Time, disk, network", "Zeit, Speicher, Netz"),
    "found_share": ("Share found", "Anteil gefunden"),
    "found": ("Found", "Gefunden"),
    "kept": ("kept unchanged", "unverändert behalten"),
    "kept_short": ("kept", "behalten"),
    "kind": ("Kind", "Art"),
    "ledger": ("What each step did", "Was jeder Schritt tat"),
    "legal_basis": ("Legal basis", "Rechtsgrundlage"),
    "licence": ("Licence", "Lizenz"),
    "made_with": (
        "Made with Stellwerk. One file, no scripts, nothing loaded from a network.",
        "Erstellt mit Stellwerk. Eine Datei, keine Skripte, nichts aus dem Netz geladen.",
    ),
    "meaning": ("What it is", "Was es ist"),
    "missed": ("Missed", "Übersehen"),
    "name": ("Name", "Name"),
    "network": ("Connections opened", "Geöffnete Verbindungen"),
    "not_searched": ("not searched", "nicht gesucht"),
    "nothing_left": ("Nothing left this machine.", "Nichts hat diesen Rechner verlassen."),
    "origin": ("Origin", "Herkunft"),
    "outside": ("outside", "außerhalb"),
    "personal": ("Personal data", "Personenbezogene Daten"),
    "planted": ("Planted", "Eingebaut"),
    "remaining": ("remaining", "verbleiben"),
    "retrieved": ("Retrieved", "Abgerufen"),
    "rows": ("Rows", "Zeilen"),
    "rule": ("Rule", "Regel"),
    "same_numbers": ("The same numbers as a table", "Dieselben Zahlen als Tabelle"),
    "scores": ("Quality scores and their bounds", "Qualitätswerte und ihre Grenzen"),
    "skip": ("Skip to the content", "Zum Inhalt springen"),
    "source": ("Source", "Quelle"),
    "sources": ("Sources", "Quellen"),
    "step": ("Step", "Schritt"),
    "stop": ("Stop", "Halt"),
    "time": ("Time", "Zeit"),
    "unknown": ("not yet known", "noch nicht bekannt"),
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


def number(value: float, language: Language = "en", digits: int = 3) -> str:
    """Format a number for a reader.

    Args:
        value: the number; whole numbers are written in full.
        language: en (1,234.5) or de (1.234,5).
        digits: significant digits of a number that is not whole.

    Returns:
        The number with thousands separators.
    """
    if value == int(value) if abs(value) < 1e15 else False:
        text = f"{int(value):,}"
    elif abs(value) >= 10 ** (digits - 1):
        text = f"{value:,.0f}"
    else:
        text = f"{value:,.{digits}g}"
    return text.translate(str.maketrans(",.", ".,")) if language == "de" else text


def share(part: float, whole: float, language: Language = "en") -> str:
    """Format a part of a whole as per cent; a part that is neither 0 nor 1 never reads 0 % or 100 %."""
    if not whole:
        return ""
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        text = "< 0.1"
    elif 99.9 < percent < 100:
        text = "> 99.9"
    else:
        text = f"{percent:.1f}".removesuffix(".0")
    text = text.replace(".", ",") if language == "de" else text
    return f"{text} %"
