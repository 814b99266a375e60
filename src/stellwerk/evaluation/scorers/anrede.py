"""The scorer for the German form of address: Sie or du, and not both in one answer.

Knows the pronouns, possessives and imperatives that tell. Capital Sie within a sentence is the polite form; at the
beginning of one it can be «they» and says nothing. Quoted text is not the answer's own.
"""

from __future__ import annotations

import re

from stellwerk.evaluation.case import Check
from stellwerk.evaluation.scorers.outcome import Asked, Outcome, unscored, yes_no
from stellwerk.evaluation.scorers.spoken import spoken

_QUOTED = re.compile(r"```.*?```|„[^“„\n]*“|»[^«»\n]*«|\"[^\"\n]*\"|`[^`\n]*`|^>[^\n]*$", re.S | re.M)
_DU = re.compile(
    r"\b(?:du|dich|dir|dein|deine|deinem|deinen|deiner|deines|euch|euer|eure|eurem|euren|eurer|eures)\b"
    r"|\b(?:hast|bist|kannst|willst|musst|darfst|sollst|möchtest|würdest|könntest|wirst)\s+du\b",
    re.I,
)
_INFORMAL_IMPERATIVE = re.compile(
    r"(?:^|[.!?:]\s+|\n[ \t]*(?:[-*•]|\d+[.)])\s*)(?:Bitte\s+)?(?:Klick|Klicke|Öffne|Wähle|Gib|Geh|Gehe|Schau|Prüfe|Versuche"
    r"|Starte|Melde|Sende|Schick|Schicke|Drücke|Lies|Nimm|Achte|Warte|Kontaktiere|Ruf|Logge|Folge|Stelle)\s+(?!Sie\b)(?=\w)",
)
_SIE = re.compile(
    r"(?<![.!?:\n\"„»*•-] )(?<![.!?:\n\"„»*•-])(?<!\A)\b(?:Sie|Ihnen|Ihr|Ihre|Ihrem|Ihren|Ihrer|Ihres)\b(?!\s+seid\b)"
)
_SIE_FORM = re.compile(
    r"(?:^|[.!?]\s+)(?:Sie (?:haben|sind|können|müssen|dürfen|sollten|möchten|erhalten|finden|erreichen|werden)\b"
    r"|Ihre? [A-ZÄÖÜ]\w+\b)",
    re.M,
)
_YOU_PLURAL = re.compile(r"\b(?:ihr|Ihr)\s+(?:seid|habt|könnt|müsst|dürft|sollt|wollt|möchtet|werdet)\b")


def anrede(check: Check, asked: Asked) -> Outcome:
    """The answer says Sie, or du, as the value asks; without a value it does not say both."""
    du, sie = forms("\n".join(spoken(asked.text)))
    facts = {"du": du, "sie": sie}
    wanted = str(check.value).lower() if check.value is not None else None
    if not du and not sie:
        return yes_no(True, "no_address", **facts) if wanted is None else unscored("no_address", **facts)
    if wanted is None:
        mixed = bool(du and sie)
        return yes_no(not mixed, "both_forms" if mixed else "one_form", **facts)
    wrong = sie if wanted == "du" else du
    return yes_no(not wrong, "wrong_form" if wrong else "right_form", expected=wanted, **facts)


def forms(text: str) -> tuple[int, int]:
    """How often a text says du (or ihr), and how often Sie."""
    text = _QUOTED.sub(" ", text)
    du = len(_DU.findall(text)) + len(_INFORMAL_IMPERATIVE.findall(text)) + len(_YOU_PLURAL.findall(text))
    return du, len(_SIE_FORM.findall(text)) + len(_SIE.findall(text))


def problem(check: Check) -> str | None:
    """The value is Sie, du or left out."""
    if check.value is None or (isinstance(check.value, str) and check.value.lower() in ("du", "sie")):
        return None
    return "needs a value: Sie or du; without one, that an answer does not say both"
