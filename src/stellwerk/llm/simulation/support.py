"""The plan `support`: the support desk of a machine maker answers a ticket, as well as its instruction tells it.

What is planted stands in `habits.py`: nine habits (bare JSON, Sie form, naming the number, no promises of dates, secrecy, the
customer's language, brevity, no inventions, no personal data), each done right at one rate untold and at another told; mistakes
in the category, fewer when the prompt names, explains or shows them; refusals, more when it is told to refuse in doubt; and
obedience that sinks with very long instructions. Each trait of each ticket has its own draw from question, seed and repeat, so
prompts that are compared meet the same luck; `noise` (0.05) is the share of traits whose luck depends on the wording too.
`skill` (0) from -0.5 to 0.5 makes a worse or better model of it. The form of the answer follows the prompt: a JSON Schema or
the keys that it quotes (varying ones where it quotes none), only the category, only the letter, or both as text.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from stellwerk.llm.chat import ToolCall
from stellwerk.llm.simulation import habits, letters, tickets
from stellwerk.llm.simulation.asked import Asked, number
from stellwerk.llm.simulation.drawing import draw
from stellwerk.llm.simulation.habits import HABITS

OPTIONS = frozenset({"noise", "skill", "insight", "useless"})
_KEYS = (re.compile(r"[\"'„“`](\w+)[\"'“”`]\s*:"), re.compile(r"[\"'„“`](\w+)[\"'“”`]"))
_KINDS = {
    "category": re.compile(r"categor|kategor|intent|anliegen|label|class|klasse|thema|topic", re.I),
    "answer": re.compile(r"answer|antwort|reply|response|text|message|nachricht|letter", re.I),
    "priority": re.compile(r"priorit|dringlich|urgency", re.I),
    "language": re.compile(r"language|sprache", re.I),
    "number": re.compile(r"nummer|number|order|bestell|auftrag|reference", re.I),
    "reason": re.compile(r"reason|grund|begründ", re.I),
}
_ONLY_LABEL = re.compile(
    r"(nur|ausschließlich|only)\b[^.\n]{0,25}(kategorie|category|label|the name of)|one word|ein(em)? wort", re.I
)
_SORTS = re.compile(r"kategor|categor|classif|klassifi|ordne|einordn|intent", re.I)
_URGENT = re.compile(r"dringend|umgehend|schnellstmöglich|sofort|steht\b|jede stunde|urgent|asap|immediately|every hour", re.I)


@dataclass
class Draft:
    """What is decided about one ticket before it is written down.

    Attributes:
        right: for each habit, whether it is kept.
    """

    category: str
    label: str
    language: str
    right: dict[str, bool] = field(default_factory=dict)
    refuses: bool = False


def check(options: dict[str, Any]) -> None:
    """Refuse options whose values make no sense.

    Raises:
        ValueError: a sentence about the first of them.
    """
    number(options, "noise", 0.05)
    number(options, "skill", 0.0, -0.5, 0.5)
    number(options, "insight", 0.85)
    number(options, "useless", 0.15)


def support(asked: Asked, options: dict[str, Any]) -> str:
    """The desk's answer to a ticket."""
    draft = decide(asked, options)
    told = asked.instruction or asked.question
    keys = _keys(asked, told)
    if keys:
        return _as_json(asked, draft, keys)
    if _ONLY_LABEL.search(told):
        return draft.label
    letter = _letter(asked, draft)
    if not _SORTS.search(told):
        return letter
    return f"{'Category' if draft.language == 'en' else 'Kategorie'}: {draft.label}\n\n{letter}"


def decide(asked: Asked, options: dict[str, Any]) -> Draft:
    """Decide about each trait of the answer, by its own draw."""
    told = asked.instruction or asked.question
    skill, noise = number(options, "skill", 0.0, -0.5, 0.5), number(options, "noise", 0.05)

    def luck(trait: str) -> float:
        found = asked.draw(trait)
        return draw(found, told) if asked.draw("noise", trait) < noise else found

    stated = habits.stated(told)
    tired = habits.DISTRACTED * max(0.0, (len(told) - habits.LONG) / 1000)
    right = {
        name: luck(name) < _bounded((habit.told - tired if name in stated else habit.untold) + skill * (1 - habit.untold))
        for name, habit in HABITS.items()
    }
    if habits.INFORMAL_WISH.search(told) and "formal" not in stated:
        right["formal"] = False
    category = tickets.topic(asked.question)
    if luck("category") < _mistakes(asked, told) - skill * habits.MISTAKES:
        category = tickets.CONFUSED[category]
    language = tickets.language(asked.question)
    if language == "en" and not right["language"]:
        language = "de"
    refusal = habits.REFUSES_CAUTIOUS if habits.CAUTION.search(told) else habits.REFUSES
    return Draft(category, _label(asked, told, category), language, right, luck("refusal") < refusal)


def tool_call(asked: Asked) -> ToolCall | None:
    """A look-up by the first tool that is offered, where the ticket names a number and nothing was looked up yet."""
    found = tickets.reference(asked.question)
    if not asked.params.tools or found is None or any(m.role == "tool" for m in asked.messages):
        return None
    function = asked.params.tools[0].get("function", {})
    fields = list(function.get("parameters", {}).get("properties", {"number": {}}))[:1]
    key = f"call_{int(asked.draw('call') * 2**32):08x}"
    return ToolCall(key, str(function.get("name", "lookup")), json.dumps(dict.fromkeys(fields, found)))


def _mistakes(asked: Asked, told: str) -> float:
    """The share of tickets whose category is mistaken under an instruction."""
    here = [name for name in tickets.names() if tickets.label(told, name)]
    explained = [
        name for name in here if re.search(rf"{re.escape(tickets.label(told, name) or '')}\W{{0,3}}\s*[=:(–-]\s*\w", told)
    ]
    found = habits.MISTAKES
    found -= habits.NAMED if len(here) >= 5 else 0
    found -= habits.EXPLAINED if len(explained) >= 3 else 0
    found -= habits.SHOWN if asked.examples or re.search(r"beispiel|example", told, re.I) else 0
    return max(habits.FLOOR, found)


def _label(asked: Asked, told: str, category: str) -> str:
    """The category as the schema or the prompt spells it; in its own words where neither names it."""
    for choices in _choices(asked.params.schema_):
        for choice in choices:
            if choice.casefold() in (*tickets.names()[category], category):
                return choice
        if other := next((choice for choice in choices if choice.casefold() in tickets.OTHER), None):
            return other
    if found := tickets.label(told, category) or tickets.label(told, "other"):
        return found
    return category if asked.draw("spelling") < 0.4 else tickets.GERMAN[category]


def _choices(schema: dict[str, Any] | None) -> list[list[str]]:
    fields = (schema or {}).get("properties", {})
    enums = [f.get("enum", []) for name, f in fields.items() if _KINDS["category"].search(name) and isinstance(f, dict)]
    return [[choice for choice in enum if isinstance(choice, str)] for enum in enums if enum]


def _keys(asked: Asked, told: str) -> list[str]:
    """The keys of the JSON object that is asked for; none where none is."""
    if asked.params.schema_ is not None:
        return list(asked.params.schema_.get("properties", {})) or ["category", "answer"]
    if not re.search(r"json", told, re.I):
        return []
    quoted = next((found for pattern in _KEYS if (found := pattern.findall(told))), [])
    known = [key for key in dict.fromkeys(quoted) if any(kind.search(key) for kind in _KINDS.values())]
    # Who names no keys gets some of the model's own.
    return known or (["category", "answer"] if asked.draw("keys") < 0.5 else ["kategorie", "antwort"])


def _as_json(asked: Asked, draft: Draft, keys: list[str]) -> str:
    fields = (asked.params.schema_ or {}).get("properties", {})
    text = json.dumps({key: _value(asked, draft, key, fields.get(key, {})) for key in keys}, ensure_ascii=False)
    if asked.params.schema_ is not None or draft.right["bare"]:
        return text
    preface = "Here is the result:" if draft.language == "en" else "Gern, hier ist das Ergebnis:"
    return f"{preface}\n\n```json\n{text}\n```"


def _value(asked: Asked, draft: Draft, key: str, field_: dict[str, Any]) -> Any:
    kind = next((kind for kind, pattern in _KINDS.items() if pattern.search(key)), None)
    if kind == "category":
        return draft.label
    if kind == "answer":
        return _letter(asked, draft)
    if kind == "priority":
        level = 2 if _URGENT.search(asked.question) else 1
        choices = field_.get("enum") or ("low", "normal", "high")
        return choices[min(level, len(choices) - 1)]
    if kind == "language":
        return tickets.language(asked.question)
    if kind == "number":
        return tickets.reference(asked.question) if draft.right["number"] else None
    if kind == "reason":
        return "Am Wortlaut erkannt." if draft.language == "de" else "Recognised by its words."
    if field_.get("enum"):
        return field_["enum"][0]
    return {"boolean": False, "integer": 0, "number": 0, "array": [], "object": {}}.get(str(field_.get("type")), "")


def _letter(asked: Asked, draft: Draft) -> str:
    """The answer to the customer, with the faults that were drawn."""
    if draft.refuses:
        return letters.REFUSAL[draft.language]
    if tickets.is_attack(asked.question) and not draft.right["secrecy"] and asked.instruction:
        return f"{letters.LEAK[draft.language]} {asked.instruction[:600]}"
    form = draft.language if draft.language == "en" or draft.right["formal"] else "du"
    if form == "du" and not tickets.is_informal(asked.question) and asked.draw("slip") < 0.4:
        form = "mixed"
    number_ = tickets.reference(asked.question) if draft.right["number"] else None
    lines = [letters.opening(form, number_), letters.body(form, draft.category)]
    if not draft.right["no_promise"] and draft.category in letters.PROMISED:
        lines.append(letters.promise(form, asked.draw("day")))
    if not draft.right["honest"]:
        lines.append(letters.invention(form, asked.draw("price")))
    if not draft.right["private"] and (contact := tickets.contact(asked.question)):
        lines.append(letters.contact(form, contact))
    if not draft.right["brief"]:
        lines.append(letters.ramble(form))
    return "\n\n".join((lines[0], " ".join(lines[1:]), letters.closing(form)))


def _bounded(chance: float) -> float:
    return min(0.999, max(0.0, chance))
