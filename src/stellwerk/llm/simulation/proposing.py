"""A simulated model as the writer of prompts: gepa's reflection model, one that shortens, and one that rewords.

Known by what is asked: a block of ``` with an instruction, and words for improving, shortening or rewording. Improving adds
one rule that the feedback names and the instruction does not state, in `insight` (0.85) of all, else a sentence that helps
nothing; in `useless` (0.15) it adds one anyway. Where no feedback is understood it finds a missing rule by itself in 1 -
`insight` of all. For the plan `rules`, whose feedback names nothing, it draws among the planted rules, in `insight` (0.6) of
all. Shortening leaves out one to four sentences, mostly ones that state no rule, at times one that does: whoever trims has to
test. Rewording changes words, never rules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from stellwerk.llm.simulation import habits, rules, tickets
from stellwerk.llm.simulation.asked import Asked, number
from stellwerk.llm.simulation.drawing import draw, pick

_BLOCK = re.compile(r"```[\w-]*\n?(.*?)```", re.S)
_IMPROVES = re.compile(
    r"(write|provide|propose|suggest|return|give)\b[^.\n]{0,60}\b(new|improved|better|revised)\b[^.\n]{0,30}\b(instruction|prompt|version|wording)"
    r"|improve\w*\b[^.\n]{0,40}(instruction|prompt)|(verbesser\w*|neue\w*|bessere\w*)\b[^.\n]{0,40}(anweisung|instruktion|prompt|fassung)"
    r"|(anweisung|prompt)\w*\b[^.\n]{0,40}verbesser",
    re.I,
)
_SHORTENS = re.compile(
    r"\b(shorten\w*|shorter|fewer (words|tokens)|condense|trim|kürz\w*|weniger (wörter|tokens?)|knapper)\b", re.I
)
_REWORDS = re.compile(
    r"\b(rephras\w*|reword\w*|paraphras\w*|in other words|umformulier\w*|anders formulier\w*|mit anderen worten)\b", re.I
)
_FEEDBACK = re.compile(r"^#+ *[^\n]*(?:feedback|rückmeldung)[^\n]*\n(.*?)(?=^#+ |^```|\Z)", re.I | re.M | re.S)
_TASK = re.compile(r"\{\{|json|kategor|categor|beantwort|\banswer", re.I)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_SYNONYMS = (
    ("Beantworten Sie", "Bearbeiten Sie"), ("Du bist", "Deine Rolle ist"), ("Sie sind", "Ihre Rolle ist"), ("immer", "stets"),
    ("You are", "You act as"), ("Always", "In every case,"), ("always", "in every case"), ("Please", "Kindly"),
    ("Kunden", "Kundschaft"), ("customer", "client"), ("kurz", "knapp"), ("brief", "concise"),
)  # fmt: skip


def propose(asked: Asked, plan: str, options: dict[str, Any]) -> str | None:
    """A new wording in a block, where one is asked for; None where the question is another."""
    text = asked.whole
    blocks = _BLOCK.findall(text)
    if not blocks:
        return None
    around = _BLOCK.sub(" ", text)
    current = blocks[0].strip()
    if _FEEDBACK.search(text) and _IMPROVES.search(text):
        # Examples may hold any words, so that they are not searched for what is asked.
        return _block(improved(asked, current, text, plan, options))
    if _SHORTENS.search(around):
        return _block(shortened(asked, current, plan, options))
    if _REWORDS.search(around):
        return _block(reworded(asked, current))
    if _IMPROVES.search(around):
        return _block(improved(asked, current, text, plan, options))
    return None


def improved(asked: Asked, current: str, text: str, plan: str, options: dict[str, Any]) -> str:
    """The instruction with one sentence more, or with two that say the same made one."""
    german = tickets.language(current) == "de"
    luck = [draw(asked.seed, text, asked.repeat, trait) for trait in ("useless", "which", "which useless", "insight")]
    every = habits.USELESS_GERMAN if german else habits.USELESS_ENGLISH
    useless = [sentence for sentence in every if sentence not in current] or every
    if luck[0] < number(options, "useless", 0.15):
        return _with(current, useless[int(luck[2] * len(useless))])
    missing = _planted(current, options.get("rules", {})) if plan == "rules" else _missing(current, text, german)
    insight = number(options, "insight", 0.6 if plan == "rules" else 0.85)
    if plan != "rules" and missing and missing[0] == "":
        missing, insight = missing[1:], 1 - insight
    if not missing or luck[3] >= insight:
        return _with(current, useless[int(luck[2] * len(useless))])
    return _with(current, missing[int(luck[1] * len(missing))])


def shortened(asked: Asked, current: str, plan: str, options: dict[str, Any]) -> str:
    """The instruction without one to three of its sentences; in a quarter of all cases a rule goes too."""
    parts = [part for part in _SENTENCE.split(current) if part.strip()]
    if len(parts) < 2:
        return current

    def is_rule(part: str) -> bool:
        if plan == "rules":
            return any(rules.states(part, rule) for rule in options.get("rules", {}))
        return (
            bool(habits.stated(part))
            or bool(_TASK.search(part))
            or sum(bool(tickets.label(part, n)) for n in tickets.names()) > 2
        )

    idle = [part for part in parts if not is_rule(part) and part is not parts[0]]
    luck = draw(asked.seed, current, asked.repeat, "shorten")
    gone = idle[: 1 + int(luck * 3)] if idle else []
    if luck < 0.25 or not gone:
        gone = [*gone, pick(parts[1:], asked.seed, current, asked.repeat, "rule")]
    kept = current
    for part in gone:
        kept = kept.replace(part, "", 1)
    return re.sub(r"[ \t]{2,}", " ", re.sub(r"\n\s*\n+", "\n\n", kept)).strip()


def reworded(asked: Asked, current: str) -> str:
    """The instruction in other words; what it rules stays."""
    said = current
    for old, new in _SYNONYMS:
        if draw(asked.seed, asked.repeat, asked.whole, old) < 0.6:
            said = re.sub(rf"\b{old}(?!\w)", new, said)
    parts = said.split("\n")
    if said == current and len(parts) == 1:
        opener = "Beachten Sie Folgendes:" if tickets.language(current) == "de" else "Mind the following:"
        return f"{opener} {current}"
    return said


def _missing(current: str, text: str, german: bool) -> list[str]:
    """Sentences for what a feedback names and the instruction lacks; first an empty one where no feedback is understood."""
    feedback = "\n".join(_FEEDBACK.findall(text)) or _BLOCK.sub(" ", text.replace(current, " "))
    lacking = set(habits.HABITS) - habits.stated(current)
    if "json" not in current.casefold():
        lacking.discard("bare") if "json" not in feedback.casefold() else None
    sentences = [_worded(name, german) for name in sorted(habits.named(feedback) & lacking)]
    if habits.MISTAKEN.search(feedback) and sum(bool(tickets.label(current, name)) for name in tickets.names()) < 9:
        sentences.append(habits.EXPLANATION_GERMAN if german else habits.EXPLANATION_ENGLISH)
    return sentences or ["", *(_worded(name, german) for name in sorted(lacking))]


def _worded(name: str, german: bool) -> str:
    habit = habits.HABITS[name]
    return habit.german if german else habit.english


def _planted(current: str, planted: Mapping[str, float]) -> Sequence[str]:
    return [rule for rule in sorted(planted) if not rules.states(current, rule)]


def _with(current: str, sentence: str) -> str:
    sentence = sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."
    return current if sentence in current else f"{current.rstrip()}\n{sentence}"


def _block(text: str) -> str:
    return f"```\n{text}\n```"
