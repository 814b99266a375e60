"""What the simulated support desk reads in a ticket: its language, what it is about, which numbers it names.

The words in topics.yaml were gathered from the letters of the demo's company; recognition is by words alone and so is wrong in
every seventh letter, before any planted mistake.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import yaml

# Where a prompt names none of its names, and what it is taken for by mistake.
GERMAN = {
    "invoice": "Rechnung", "repair": "Reparatur", "spare_part": "Ersatzteil", "delivery": "Lieferung",
    "complaint": "Beschwerde", "technical": "Technik", "contract": "Vertrag", "training": "Schulung",
    "cancellation": "Kündigung",
}  # fmt: skip
CONFUSED = {
    "repair": "technical", "spare_part": "delivery", "technical": "repair", "invoice": "complaint", "delivery": "complaint",
    "complaint": "repair", "contract": "cancellation", "cancellation": "contract", "training": "technical",
}  # fmt: skip
OTHER = ("other", "sonstiges", "andere", "anderes", "misc")
_SENTENCE = re.compile(r"[.!?]\s|\n+")
_GERMAN = re.compile(r"\b(der|die|das|und|ist|nicht|wir|für|bitte|uns|ein|eine|von|mit|auf|im|zu|wo|unsere)\b", re.I)
_ENGLISH = re.compile(r"\b(the|and|is|not|we|for|please|us|our|of|with|on|in|to|where|your)\b", re.I)
_NUMBERS = (
    re.compile(r"\b(?:A\d{6}|AB-20\d\d-\d{5}|4[5-9]00\d{6}|[789]\d{10,15})\b"),
    re.compile(r"\b(?:RE20\d{7}|WV-\d{5}|DE\d{18})\b"),
    re.compile(r"\b[A-Z]{0,4}-?\d[\d.-]{4,}\d(?:-[A-H])?\b"),
)
_INFORMAL = re.compile(r"\b(du|dir|dich|dein\w*|ihr lieben|euch|eure\w*|könnt ihr|habt ihr)\b", re.I)
_ATTACK = re.compile(
    r"(ignorier\w*|vergiss|missachte|ignore|disregard|forget)\b.{0,60}(anweisung|vorgabe|regel|instruction|rule|prompt)"
    r"|system ?-?prompt|systemanweisung|(deine|ihre|your) (anweisungen|instructions)",
    re.I | re.S,
)
_MAIL = re.compile(r"\b[\w.+-]+@[\w-]+\.[\w.-]*\w|\+49[\d /-]{7,}\d")


@cache
def _words() -> dict[str, Any]:
    text = files("stellwerk.llm.simulation").joinpath("topics.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


@cache
def _aside() -> re.Pattern[str]:
    """Found in a sentence that is beside what a letter is about."""
    return re.compile("|".join(_words()["aside"]))


@cache
def names() -> dict[str, tuple[str, ...]]:
    """By category: what it may be called in a prompt."""
    return {category: tuple(parts["names"]) for category, parts in _words()["topics"].items()}


@cache
def _speaking() -> dict[str, tuple[list[str], list[re.Pattern[str]]]]:
    """By category: plain words, which are counted fast, and patterns."""
    found = {}
    for category, parts in _words()["topics"].items():
        plain = [word for word in parts["speaks"] if word == re.escape(word).replace("\\ ", " ").replace("\\-", "-")]
        found[category] = (plain, [re.compile(word) for word in parts["speaks"] if word not in plain])
    return found


@lru_cache(4096)
def topic(text: str) -> str:
    """The category that most words speak for; `technical` where none does."""
    core = "\n".join(part for part in _SENTENCE.split(text.lower()) if not _aside().search(part))
    votes = {
        category: sum(map(core.count, plain)) + sum(1 for pattern in patterns for _ in pattern.finditer(core))
        for category, (plain, patterns) in _speaking().items()
    }
    best = max(votes, key=lambda name: votes[name])
    return best if votes[best] else "technical"


def language(text: str) -> str:
    """`de` or `en`, by its small words."""
    return "en" if len(_ENGLISH.findall(text)) > len(_GERMAN.findall(text)) else "de"


def reference(text: str) -> str | None:
    """The number that an answer should name: of the order, else of invoice or contract, else of a part or machine."""
    found = (pattern.search(text) for pattern in _NUMBERS)
    return next((match[0] for match in found if match), None)


def is_informal(text: str) -> bool:
    """Whether its writer says du or ihr."""
    return _INFORMAL.search(text) is not None


def is_attack(text: str) -> bool:
    """Whether it asks for the instructions, or to leave them."""
    return _ATTACK.search(text) is not None


def contact(text: str) -> str | None:
    """An e-mail address or telephone number in it."""
    found = _MAIL.search(text)
    return found[0] if found else None


def label(instruction: str, category: str) -> str | None:
    """A category as an instruction spells it; None where it does not name it."""
    for name in names().get(category, OTHER):
        if found := re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", instruction, re.I):
            return found[0]
    return None
