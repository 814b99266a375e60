"""Why a signal is what it is, in English and German: a sentence for each reason that `gates.py` gives.

Knows only the signal. German terms follow the table in the design.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from stellwerk.gates import Gate, Measured, Signal
from stellwerk.report.words import Language, number, share

STATES: Final = {"clear": "clear", "stop": "stopped", "caution": "at caution", "dark": "without evidence"}

_KINDS: Final = {
    "source": ("source", "Quelle"),
    "dataset": ("dataset", "Datensatz"),
    "index": ("index", "Index"),
    "prompt": ("prompt", "Prompt"),
    "suite": ("suite", "Testsuite"),
    "model": ("model", "Modell"),
    "adapter": ("adapter", "Adapter"),
    "settings": ("settings", "Einstellungen"),
    "tool": ("tool", "Werkzeug"),
    "app": ("app", "Anwendung"),
    "service": ("service", "Dienst"),
    "system": ("AI system", "KI-System"),
    "policy": ("policy", "Richtlinie"),
    "architecture": ("architecture", "Architektur"),
    "event-log": ("event log", "Ereignisprotokoll"),
    "use-case": ("use case", "Anwendungsfall"),
}

_FACTS: Final = {
    "licence": ("licence", "Lizenz"),
    "legal_basis": ("legal basis", "Rechtsgrundlage"),
    "purpose": ("purpose", "Zweck"),
    "provider": ("provider", "Anbieter"),
    "product": ("product", "Produkt"),
    "region": ("region", "Region"),
    "retention": ("retention", "Speicherdauer"),
    "processor_agreement": ("processor agreement", "Vertrag zur Auftragsverarbeitung"),
    "terms": ("terms", "Bedingungen"),
    "owner": ("owner", "Verantwortliche"),
    "language": ("language", "Sprache"),
}

_REASONS: Final[dict[str, tuple[str, str]]] = {
    "inside": ("measured {value}, required is {threshold}", "gemessen: {value}; verlangt: {threshold}"),
    "outside": ("measured {value}, but required is {threshold}", "gemessen: {value}; verlangt ist aber: {threshold}"),
    "found": ("found {value} in the record, required is {threshold}", "im Nachweisspeicher: {value}; verlangt: {threshold}"),
    "found_outside": (
        "found {value} in the record, but required is {threshold}",
        "im Nachweisspeicher: {value}; verlangt ist aber: {threshold}",
    ),
    "missing": ("not yet known: {missing}", "noch nicht bekannt: {missing}"),
    "tainted": ("rows were erased underneath {tainted}", "darunter wurden Zeilen gelöscht: {tainted}"),
    "interval": (
        "measured {value}, but its 95 % interval, {low} to {high}, reaches beyond what is required: {threshold}",
        "gemessen: {value}; das 95-%-Intervall von {low} bis {high} reicht aber über das Verlangte hinaus: {threshold}",
    ),
    "few": (
        "measured {value} on {n} cases, but required are at least {wanted} cases",
        "gemessen: {value} an {n} Fällen; verlangt sind aber mindestens {wanted} Fälle",
    ),
    "fewer": (
        "measured {value} with n = {n}, but with n = {more} it was not what is required: {threshold}",
        "gemessen: {value} mit n = {n}; mit n = {more} war es aber nicht, was verlangt ist: {threshold}",
    ),
    "expired": (
        "measured {value} on {measured}, which holds for {days} days only",
        "gemessen am {measured}: {value}; das gilt nur {days} Tage",
    ),
    "unpinned": (
        "measured {value}, but its provider can change {subject}, and no probe of the last 7 days shows that it is the same",
        "gemessen: {value}; der Anbieter kann {subject} aber ändern, und keine Probe der letzten 7 Tage zeigt, "
        "dass es unverändert ist",
    ),
    "waived": (
        "{instead}; {person} lets it pass until {until}: {reason}",
        "{instead}; {person} hat bis {until} eine befristete Ausnahme erteilt: {reason}",
    ),
    "never": ("never measured on {now}", "an {now} nie gemessen"),
    "older": ("measured on {measured}, now {now}", "gemessen an {measured}, jetzt {now}"),
    "instrument": (
        "measured with {measured}, but required is a measurement with {now}",
        "gemessen mit {measured}; verlangt ist aber eine Messung mit {now}",
    ),
    "definition": (
        "measured by version {measured} of the metric's definition, now version {now}",
        "gemessen nach Fassung {measured} der Kennzahl, jetzt Fassung {now}",
    ),
    "others": ("measured together with {measured}, now {now}", "gemessen zusammen mit {measured}, jetzt {now}"),
    "incomplete": (
        "measured on part of the cases only, which never counts",
        "nur an einem Teil der Fälle gemessen; das zählt nicht",
    ),
    "no_value": ("the measurement gave no value", "die Messung ergab keinen Wert"),
    "nothing": (
        "the system binds no {kind}{asset}, and nothing that it binds descends from one",
        "das KI-System verwendet keinen Baustein der Art {kind}{asset}, auch nicht über die Herkunft",
    ),
    "unresolved": ("there is no {instrument} to measure it with", "es gibt {instrument} nicht, womit zu messen wäre"),
    "unbound": ("{reference} is not in the record", "{reference} steht nicht im Nachweisspeicher"),
}  # fmt: skip

_FOUND: Final = {"inside": "found", "outside": "found_outside"}  # of what is read from the record, so that nothing measured it

_THRESHOLDS: Final = {
    "min": ("at least {min}", "mindestens {min}"),
    "max": ("at most {max}", "höchstens {max}"),
    "both": ("between {min} and {max}", "zwischen {min} und {max}"),
    "exactly": ("exactly {min}", "genau {min}"),
}

UNGATED: Final[dict[Language, str]] = {
    "en": "no gate could stop it, so a release would prove nothing",
    "de": "kein Prüfpunkt könnte es anhalten, eine Freigabe bewiese also nichts",
}


def reason(signal: Signal, language: Language = "en") -> str:
    """Why a signal is in its state, as a clause that stands after a colon."""
    if signal.why == "waived" and signal.waiver is not None:
        known = {
            "instead": _clause(signal.facts["reason"], signal, language),
            "person": signal.waiver.person,
            "until": day(signal.waiver.until, language),
            "reason": signal.waiver.reason,
        }
        return _pick(_REASONS["waived"], language).format(**known)
    return _clause(signal.why, signal, language)


def threshold(gate: Gate, language: Language = "en", unit: str = "") -> str:
    """What a gate requires, such as `at least 0.5`."""
    if gate.min is not None and gate.min == gate.max:
        kind = "exactly"
    else:
        kind = "both" if gate.min is not None and gate.max is not None else "min" if gate.min is not None else "max"
    low, high = (value(bound, unit, language) for bound in (gate.min, gate.max))
    return _pick(_THRESHOLDS[kind], language).format(min=low, max=high)


def gate_title(gate: Gate, language: Language = "en") -> str:
    """What a gate asks for, in words; of one without a title, its metric and threshold."""
    return gate.title.get(language) or gate.title.get("en") or f"{gate.metric}: {threshold(gate, language)}"


def kind_word(kind: str, language: Language = "en") -> str:
    """The word for a kind of asset."""
    return _pick(_KINDS.get(kind, (kind, kind)), language)


def fact_word(fact: str, language: Language = "en") -> str:
    """The word for a fact that has to be known."""
    return _pick(_FACTS.get(fact, (fact.replace("_", " "),) * 2), language)


def value(found: float | None, unit: str, language: Language = "en") -> str:
    """A value with its unit; a share as per cent."""
    if found is None:
        return "–"
    if unit == "share":
        return share(found, 1.0, language)
    return f"{number(found, language)} {unit}".strip() if language == "en" else number(found, language)


def day(moment: str, language: Language = "en") -> str:
    """The day of a time of the record, in UTC."""
    found = datetime.fromisoformat(moment)
    return f"{found:%d.%m.%Y}" if language == "de" else f"{found:%Y-%m-%d}"


def _clause(why: str, signal: Signal, language: Language) -> str:
    m, facts = signal.measurement, dict(signal.facts)
    said = dict(m.details) if m is not None and why == "outside" else {}
    if said.get("missing"):
        why, facts["missing"] = "missing", [fact_word(name, language) for name in said["missing"]]
    elif said.get("tainted"):
        why, facts["tainted"] = "tainted", said["tainted"]
    elif m is not None and not m.run and why in _FOUND:
        why = _FOUND[why]
    facts = {name: _told(name, fact, language) for name, fact in facts.items()}
    if why == "nothing":
        facts["kind"] = kind_word(str(signal.facts["kind"]), language)
        asset = signal.facts.get("asset")
        facts["asset"] = "" if not asset else f" named {asset}" if language == "en" else f" mit dem Namen {asset}"
    return _pick(_REASONS[why], language).format(**{**_measured(signal.gate, m, language), **facts})


def _measured(gate: Gate, m: Measured | None, language: Language) -> dict[str, str]:
    if m is None:
        return {}
    return {
        "value": value(m.value, m.unit, language),
        "low": value(m.low, m.unit, language),
        "high": value(m.high, m.unit, language),
        "threshold": threshold(gate, language, m.unit),
    }


def _told(name: str, fact: Any, language: Language) -> str:
    """A fact as it stands in a sentence."""
    if isinstance(fact, list | tuple):
        return listed(map(str, fact), language)
    if name == "measured" and isinstance(fact, str) and fact[:2].isdigit() and "T" in fact:
        return day(fact, language)
    if isinstance(fact, float):
        return number(fact, language)
    return str(fact)


def listed(parts: Iterable[str], language: Language = "en") -> str:
    """Several as one phrase; a word for none."""
    found = list(parts)
    if not found:
        return "nothing" if language == "en" else "nichts"
    last = " and " if language == "en" else " und "
    return last.join([", ".join(found[:-1]), found[-1]]) if len(found) > 1 else found[0]


def _pick(pair: tuple[str, ...], language: Language) -> str:
    return pair[language == "de"]
