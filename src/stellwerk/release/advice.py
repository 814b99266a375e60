"""What only a person can do about a signal, in English and German: a sentence for each case, with its command.

Knows the signal and the system's name. Whether a run would help is told elsewhere.
"""

from __future__ import annotations

from typing import Final

from stellwerk.gates import Signal
from stellwerk.report.words import Language
from stellwerk.standing import words
from stellwerk.standing.derived import FACTS, FINDINGS, TAINTED
from stellwerk.standing.standing import Standing

_SAID: Final[dict[str, tuple[str, str]]] = {
    "facts": (
        "write {missing} into {file}, then: {command}",
        "{missing} in {file} eintragen, dann: {command}",
    ),
    "findings": (
        "look at the findings and decide about them: stellwerk findings list --status open --asset {asset}",
        "die Befunde ansehen und darüber entscheiden: stellwerk findings list --status open --asset {asset}",
    ),
    "tainted": (
        "bind a version that was made without the erased rows, or make {tainted} again from one",
        "eine Version ohne die gelöschten Zeilen verwenden, oder {tainted} daraus neu herstellen",
    ),
    "stop": (
        "change what was measured on {subject} so that it is {threshold}; measuring the same again gives the same",
        "ändern, was an {subject} gemessen wurde: {threshold}; erneutes Messen ergibt dasselbe",
    ),
    "more": (
        "measure it on more cases",
        "an mehr Fällen messen",
    ),
    "fewer": (
        "measure it on as many cases as when it failed: n = {more}",
        "an so vielen Fällen messen wie damals, als es nicht genügte: n = {more}",
    ),
    "probe": (
        "have the fixed probes of {subject} answered again, or bind a model whose weights are fixed",
        "die festen Proben von {subject} erneut beantworten lassen oder ein Modell mit festen Gewichten verwenden",
    ),
    "nothing": (
        "bind {kind} under binds in systems/{system}.yaml, or take the gate out there",
        "unter binds in systems/{system}.yaml einen Baustein der Art {kind} aufnehmen, oder den Prüfpunkt dort streichen",
    ),
    "instrument": (
        "make {instrument}, or name another one under with in the gate",
        "{instrument} herstellen, oder im Prüfpunkt unter with etwas anderes nennen",
    ),
    "value": (
        "look why the measurement gave no value: stellwerk show {subject}",
        "nachsehen, warum die Messung keinen Wert ergab: stellwerk show {subject}",
    ),
    "unknown": (
        "no operation is known that measures {metric}; measure it, and name the operation under by in the gate",
        "kein Vorgang ist bekannt, der {metric} misst; messen und den Vorgang im Prüfpunkt unter by nennen",
    ),
    "by_hand": (
        "measure it with: stellwerk {by}; what it needs does not follow from the system's file",
        "messen mit: stellwerk {by}; was es dafür braucht, geht aus der Datei des KI-Systems nicht hervor",
    ),
    "bind": (
        "make {reference}, or change it under binds in the system's file",
        "{reference} herstellen, oder in der Datei des KI-Systems unter binds ändern",
    ),
    "waive": (
        "stellwerk release waive {system} {gate} --asset {asset} --reason REASON --until DATE",
        "stellwerk release waive {system} {gate} --asset {asset} --reason GRUND --until DATUM",
    ),
    "sign": (
        "sign in the role {role}: stellwerk release sign {system} {role!r} --reason REASON --until DATE",
        "in der Rolle {role} unterschreiben: stellwerk release sign {system} {role!r} --reason GRUND --until DATUM",
    ),
    "ungated": (
        "write gates into systems/{system}.yaml, or bind what has default gates; see: stellwerk signals {system}",
        "in systems/{system}.yaml Prüfpunkte eintragen oder binden, was vorgegebene hat; siehe: stellwerk signals {system}",
    ),
    "unsigned": ("{role} has not signed these versions", "{role} hat diese Versionen nicht unterschrieben"),
}  # fmt: skip


def of(standing: Standing, signal: Signal, by: str, file: str, language: Language = "en") -> str:
    """What a person has to do about a signal that no run clears.

    Args:
        standing: of the system.
        signal: of one of its gates.
        by: the operation that measures what the gate asks for; empty where none is known.
        file: of the asset, that this operation reads; empty where there is none.
        language: of the sentence.
    """
    gate, m = signal.gate, signal.measurement
    details = m.details if m is not None else {}
    known = {
        "system": standing.name,
        "gate": gate.name,
        "metric": gate.metric,
        "by": by.replace(".", " "),
        "threshold": words.threshold(gate, language, m.unit if m else ""),
        **{name: str(fact) for name, fact in signal.facts.items()},
    }
    if signal.why == "nothing":
        known["kind"] = words.kind_word(known["kind"], language)
    if signal.subject is not None:
        kind, name = signal.subject.kind, signal.subject.name
        known |= {"subject": signal.subject.ref, "asset": f"{kind}/{name}", "reference": signal.subject.ref}
        known["file"] = file or name
        known["command"] = f"stellwerk {known['by']} {name}" if by else "…"
    known["missing"] = words.listed((words.fact_word(fact, language) for fact in details.get("missing", ())), language)
    known["tainted"] = words.listed(details.get("tainted", ()), language)
    return _say(_case(signal), language, **known)


def waive(system: str, signal: Signal, language: Language = "en") -> str:
    """The command that lets a caution or stop pass until a date."""
    asset = f"{signal.subject.kind}/{signal.subject.name}" if signal.subject else ""
    return _say("waive", language, system=system, gate=signal.gate.name, asset=asset)


def bind(reference: str, language: Language = "en") -> str:
    """What to do about a binding that has no version."""
    return _say("bind", language, reference=reference)


def gates(system: str, language: Language = "en") -> str:
    """What to do about a system that no gate can stop."""
    return _say("ungated", language, system=system)


def sign(system: str, role: str, language: Language = "en") -> str:
    """How to sign."""
    return _say("sign", language, system=system, role=role)


def unsigned(role: str, language: Language = "en") -> str:
    """That a signature is missing."""
    return _say("unsigned", language, role=role)


def _case(signal: Signal) -> str:
    """Which sentence is right."""
    metric = signal.gate.metric
    if signal.state == "stop":
        if metric.startswith(FACTS):
            return "facts"
        return {FINDINGS: "findings", TAINTED: "tainted"}.get(metric, "stop")
    cases = {
        "interval": "more", "few": "more", "fewer": "fewer", "unpinned": "probe", "nothing": "nothing",
        "unresolved": "instrument", "no_value": "value", "unbound": "bind",
    }  # fmt: skip
    return cases.get(signal.why) or ("by_hand" if signal.gate.by else "unknown")


def _say(case: str, language: Language, **known: str) -> str:
    return _SAID[case][language == "de"].format(**known)
