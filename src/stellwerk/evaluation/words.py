"""Sentences for people on how an answer did on a check, in English and German. Knows no scorer, only their reasons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from stellwerk.evaluation.case import Score

Language = Literal["en", "de"]

REASONS: dict[str, tuple[str, str]] = {
    "equal": ("the answer is what was expected", "die Antwort ist die erwartete"),
    "differs": ("the answer is not {expected}", "die Antwort ist nicht {expected}"),
    "differs_in_case_or_blanks": (
        "the answer differs from {expected} only in capitals or blanks",
        "die Antwort weicht von {expected} nur in Großschreibung oder Leerzeichen ab",
    ),
    "contained": ("the answer contains {found}", "die Antwort enthält {found}"),
    "missing": ("the answer does not contain {missing}", "in der Antwort fehlt {missing}"),
    "none_contained": ("the answer contains none of {expected}", "die Antwort enthält nichts von {expected}"),
    "begins": ("the answer begins with {expected}", "die Antwort beginnt mit {expected}"),
    "begins_otherwise": ("the answer does not begin with {expected}", "die Antwort beginnt nicht mit {expected}"),
    "matches": ("the answer matches the pattern {pattern}", "die Antwort passt auf das Muster {pattern}"),
    "no_match": ("the answer does not match the pattern {pattern}", "die Antwort passt nicht auf das Muster {pattern}"),
    "too_slow": (
        "the pattern {pattern} took over a second on this answer, so that nothing is said",
        "das Muster {pattern} brauchte bei dieser Antwort über eine Sekunde, daher bleibt offen, ob es passt",
    ),
    "no_json": ("there is no valid JSON", "es ist kein gültiges JSON"),
    "fits": ("the JSON is valid and fits its schema", "das JSON ist gültig und passt zum Schema"),
    "schema_too_slow": (
        "the schema took over a second on this answer, so that nothing is said",
        "das Schema brauchte bei dieser Antwort über eine Sekunde, daher bleibt offen, ob sie passt",
    ),
    "misfit": ("the JSON does not fit its schema at {at}", "das JSON passt an der Stelle {at} nicht zum Schema"),
    "close": ("{edits} edits away, {most} are allowed", "{edits} Änderungen entfernt, {most} sind erlaubt"),
    "far": ("{edits} edits away, only {most} are allowed", "{edits} Änderungen entfernt, nur {most} sind erlaubt"),
    "overlap": (
        "shares {share} of the expected runs of words, {least} are asked",
        "{share} der erwarteten Wortfolgen kommen vor, {least} sind verlangt",
    ),
    "right_number": ("{counted} × {of}, as asked", "{counted} × {of}, wie verlangt"),
    "too_few": ("{counted} × {of}, at least {least} are asked", "{counted} × {of}, mindestens {least} sind verlangt"),
    "too_many": ("{counted} × {of}, at most {most} are allowed", "{counted} × {of}, höchstens {most} sind erlaubt"),
    "all_in_case": ("all letters are {case}", "alle Buchstaben sind wie verlangt ({case})"),
    "other_case": ("not all letters are {case}", "nicht alle Buchstaben sind wie verlangt ({case})"),
    "fast": ("took {milliseconds} ms, {most} are allowed", "dauerte {milliseconds} ms, {most} sind erlaubt"),
    "slow": ("took {milliseconds} ms, only {most} are allowed", "dauerte {milliseconds} ms, nur {most} sind erlaubt"),
    "kept": (
        "the answer came out of the cache, so that its time says nothing",
        "die Antwort kam aus dem Zwischenspeicher, ihre Dauer sagt daher nichts",
    ),
    "price_unknown": ("what the call cost is not known", "was der Aufruf kostete, ist nicht bekannt"),
    "cost": ("cost {amount} {currency}", "kostete {amount} {currency}"),
    "cheap": ("cost {amount} {currency}, {most} are allowed", "kostete {amount} {currency}, {most} sind erlaubt"),
    "expensive": ("cost {amount} {currency}, only {most} are allowed", "kostete {amount} {currency}, nur {most} sind erlaubt"),
    "ended_so": ("the model ended with {finish}", "das Modell endete mit {finish}"),
    "ended_otherwise": (
        "the model ended with {finish}, not {expected}",
        "das Modell endete mit {finish}, nicht mit {expected}",
    ),
    "cut_off": ("the answer was cut off at its greatest length", "die Antwort wurde bei ihrer größten Länge abgeschnitten"),
    "empty": ("there is no answer", "es gibt keine Antwort"),
    "whole": ("the answer is whole", "die Antwort ist vollständig"),
    "held_back": ("the provider held the answer back", "der Anbieter hielt die Antwort zurück"),
    "refuses": ("the answer refuses", "die Antwort verweigert sich"),
    "answers": ("the answer does not refuse", "die Antwort verweigert sich nicht"),
    "no_number": (
        "there is no number in the answer, {expected} is expected",
        "in der Antwort steht keine Zahl, erwartet ist {expected}",
    ),
    "right_value": ("the number is {found}, as expected", "die Zahl ist {found}, wie erwartet"),
    "other_value": ("the number is {found}, {expected} is expected", "die Zahl ist {found}, erwartet ist {expected}"),
    "unsupported": (
        "{numbers} numbers stand nowhere in what was asked: {found}",
        "{numbers} Zahlen stehen nirgends in der Anfrage: {found}",
    ),
    "supported": ("every number stands in what was asked", "jede Zahl steht in der Anfrage"),
    "too_short": ("too few words to tell the language", "zu wenige Wörter, um die Sprache zu erkennen"),
    "unsure": (
        "the language may be {found}, which is not sure enough",
        "die Sprache ist vielleicht {found}, sicher genug ist das nicht",
    ),
    "in_language": ("the answer is in the language {found}", "die Antwort ist in der Sprache {found}"),
    "other_language": (
        "the answer is in the language {found}, not {expected}",
        "die Antwort ist in der Sprache {found}, nicht {expected}",
    ),
    "no_address": ("the answer addresses nobody", "die Antwort spricht niemanden an"),
    "both_forms": (
        "the answer says both du ({du} times) and Sie ({sie} times)",
        "die Antwort duzt ({du}-mal) und siezt ({sie}-mal)",
    ),
    "one_form": ("the answer keeps to one form of address", "die Antwort bleibt bei einer Anrede"),
    "right_form": ("the answer addresses people with {expected}", "die Antwort verwendet die Anrede {expected}"),
    "wrong_form": (
        "the answer should say {expected}; it says du {du} times and Sie {sie} times",
        "die Antwort soll die Anrede {expected} verwenden; sie duzt {du}-mal und siezt {sie}-mal",
    ),
    "leaks": (
        "the answer repeats {runs} runs of {words} words of the system prompt",
        "die Antwort wiederholt {runs} Folgen von {words} Wörtern des System-Prompts",
    ),
    "keeps": ("the answer repeats nothing of the system prompt", "die Antwort wiederholt nichts aus dem System-Prompt"),
    "nothing_to_leak": ("there is no system prompt to repeat", "es gibt keinen System-Prompt, der wiederholt werden könnte"),
    "nothing_known": (
        "which system prompt the application has is not known; give it as the value",
        "welchen System-Prompt die Anwendung hat, ist nicht bekannt; er kann als Wert angegeben werden",
    ),
    "personal": (
        "the answer holds personal data that nobody gave: {kinds}",
        "die Antwort enthält personenbezogene Daten, die niemand angab: {kinds}",
    ),
    "not_personal": (
        "the answer holds no personal data beside those that were given",
        "die Antwort enthält keine personenbezogenen Daten außer den angegebenen",
    ),
    "similarity": (
        "as near in meaning as {share}, {least} is asked",
        "in der Bedeutung zu {share} ähnlich, {least} ist verlangt",
    ),
    "no_embedding": ("the model {model} gave no vector: {problem}", "das Modell {model} gab keinen Vektor: {problem}"),
    "no_tool_call": ("the answer calls no tool", "die Antwort ruft kein Werkzeug auf"),
    "unknown_tool": (
        "the answer calls {tool}, which is not among the tools",
        "die Antwort ruft {tool} auf, das nicht unter den Werkzeugen ist",
    ),
    "tools": (
        "the tools that are called agree to {share}, {least} is asked",
        "die aufgerufenen Werkzeuge stimmen zu {share} überein, {least} ist verlangt",
    ),
    "set": ("{passed} of {of} checks of the set pass", "{passed} von {of} Prüfungen der Gruppe bestehen"),
    "judged": ("{judge} says: {said}", "{judge} sagt: {said}"),
    "judged_even": (
        "{judge} decides otherwise in the other order, which counts as even: {said}",
        "{judge} urteilt in der anderen Reihenfolge anders, das gilt als gleich gut: {said}",
    ),
    "judge_unreadable": ("the verdict of {judge} cannot be read", "das Urteil von {judge} ist nicht lesbar"),
    "judge_cut_off": ("the verdict of {judge} was cut off", "das Urteil von {judge} wurde abgeschnitten"),
    "judge_failed": ("{judge} gave no verdict: {problem}", "{judge} gab kein Urteil ab: {problem}"),
    "judge_no_expected": (
        "there is no expected answer that {judge} could compare with",
        "es gibt keine erwartete Antwort, mit der {judge} vergleichen könnte",
    ),
}

_UNITS: dict[str, str] = {
    "words": "Wörter", "characters": "Zeichen", "sentences": "Sätze", "paragraphs": "Absätze", "lines": "Zeilen",
    "bullets": "Aufzählungspunkte",
}  # fmt: skip


def reason(score: Score, language: Language = "en") -> str:
    """Why a score is as it is, as a sentence without a full stop.

    A reason of a newer version, which has no sentence here, is returned as it is.
    """
    sentences = REASONS.get(score.reason)
    if sentences is None:
        return score.reason.replace("_", " ")
    sentence = sentences[0 if language == "en" else 1]
    return sentence.format_map(_Facts({name: _shown(name, value, language) for name, value in score.facts.items()}))


class _Facts(dict[str, str]):
    """Facts of a sentence; one that an older version did not note is left out."""

    def __missing__(self, name: str) -> str:
        return "…"


def _shown(name: str, value: Any, language: Language) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_shown("", each, language) for each in value) or "–"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} ({number})" for key, number in value.items()) or "–"
    if isinstance(value, float):
        text = f"{value:.6g}"
        return text.replace(".", ",") if language == "de" else text
    if name == "of" and language == "de":
        return _UNITS.get(str(value), str(value))
    if isinstance(value, str) and name in ("", "expected", "pattern", "tool", "found"):
        return f"«{value}»" if language == "en" else f"„{value}“"
    return str(value)
