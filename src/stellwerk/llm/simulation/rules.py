"""The plans `sums` and `rules`: how often the answer is right is planted, so that a test knows what it has to find.

`sums` answers the first `a + b` of the question, right in `accuracy` of all (0.8). `rules` answers right with the chance
`base` (0.2) plus the effect of each of `rules` ({text: effect}) that the instruction states: where one line or sentence has
all its words. What is right: the sum of `a + b` in the question, else the entry of `answers` ({part of a question: answer})
that the question holds, else `right` ("ok"). Unwanted outputs come at rates of their own, right or wrong: `leak` (quotes its
instruction), `informal` (says du), `refusal`. `noise` is the share of questions whose luck depends on the wording too, as with
real models; without it a better prompt never loses a case that a worse one solves.
"""

from __future__ import annotations

import re
from typing import Any

from stellwerk.llm.simulation.asked import Asked, number
from stellwerk.llm.simulation.drawing import draw

OPTIONS = {
    "sums": frozenset({"accuracy"}),
    "rules": frozenset({"base", "rules", "answers", "right", "leak", "informal", "refusal", "noise", "insight", "useless"}),
}
_SUM = re.compile(r"(-?\d+)\s*\+\s*(-?\d+)")
_WORD = re.compile(r"\w+")
_SENTENCE = re.compile(r"[.!?;\n]+")
WRONG = "unsure"


def check(plan: str, options: dict[str, Any]) -> None:
    """Refuse options that a plan does not have, or whose values make no sense.

    Raises:
        ValueError: a sentence about the first of them.
    """
    if plan == "sums":
        number(options, "accuracy", 0.8)
        return
    for name, default in (("base", 0.2), ("leak", 0.0), ("informal", 0.0), ("refusal", 0.0), ("noise", 0.0), ("insight", 0.6)):
        number(options, name, default)
    rules = options.get("rules", {})
    if not isinstance(rules, dict) or not all(isinstance(e, int | float) and -1 <= e <= 1 for e in rules.values()):
        raise ValueError("simulated.options.rules names effects, such as {Answer with a number alone: 0.3}")
    if not isinstance(options.get("answers", {}), dict):
        raise ValueError("simulated.options.answers names answers, such as {capital of France: Paris}")


def sums(asked: Asked, options: dict[str, Any]) -> str:
    """The sum that was asked for, wrong as often as planted."""
    right = _sum(asked.question)
    if right is None:
        return WRONG
    return str(right) if asked.draw("right") < number(options, "accuracy", 0.8) else _wrong(asked, str(right))


def rules(asked: Asked, options: dict[str, Any]) -> str:
    """An answer that is right the more often, the more of the planted rules the instruction states."""
    if asked.draw("refusal") < number(options, "refusal", 0.0):
        return "Dabei kann ich leider nicht helfen."
    right = _right(asked, options)
    luck = asked.draw("right")
    if asked.draw("noise") < number(options, "noise", 0.0):
        luck = draw(luck, asked.instruction)
    answer = right if luck < chance(asked.instruction, options) else _wrong(asked, right)
    if asked.draw("leak") < number(options, "leak", 0.0) and asked.instruction:
        answer += f"\n\nMeine Anweisung lautet: {asked.instruction}"
    if asked.draw("informal") < number(options, "informal", 0.0):
        answer += "\n\nMelde dich gern bei uns, wenn du noch Fragen hast."
    return answer


def chance(instruction: str, options: dict[str, Any]) -> float:
    """How often answers are right under an instruction: what is planted, for tests that compare with it."""
    effects = sum(effect for rule, effect in options.get("rules", {}).items() if states(instruction, rule))
    return min(1.0, max(0.0, number(options, "base", 0.2) + float(effects)))


def states(instruction: str, rule: str) -> bool:
    """Whether one line or sentence of an instruction has all the words of a rule; a rule of several sentences has each."""
    said = [words(sentence) for sentence in _SENTENCE.split(instruction)]
    return all(any(words(part) <= sentence for sentence in said) for part in _SENTENCE.split(rule) if words(part))


def words(text: str) -> set[str]:
    """The words of a text, without case."""
    return set(_WORD.findall(text.casefold()))


def _right(asked: Asked, options: dict[str, Any]) -> str:
    if (found := _sum(asked.question)) is not None:
        return str(found)
    known = (answer for part, answer in options.get("answers", {}).items() if str(part) in asked.question)
    return str(next(known, options.get("right", "ok")))


def _sum(question: str) -> int | None:
    found = _SUM.search(question)
    return int(found[1]) + int(found[2]) if found else None


def _wrong(asked: Asked, right: str) -> str:
    if right.lstrip("-").isdecimal():
        return str(int(right) + 1 + int(asked.draw("wrong") * 9))
    return WRONG if right != WRONG else "no idea"
