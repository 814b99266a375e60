"""A simulated model as a judge: verdicts as JSON, from features of the answers, with planted faults of judges.

Known by a JSON Schema with a field `pass`, `score` or `better` (or `verdict`, `winner`), or by words for judging that ask for
such an object. The quality of an answer is what can be seen in it: greeting and closing, one form of address, the number that
the task names, no promise, no invented price, no refusal, no quoted instruction; where an expected answer is given, also its
words. Planted: `order_bias` (0.06), the share of pairs in which what stands first is named whatever it is; `length_bias`
(0.05), what each doubling of length adds to quality; `judge_noise` (0.05), the spread of quality; `unreadable` (0), the share
of verdicts that are no JSON. Draws follow from the texts in any order: both orders of a pair disagree by planted bias alone.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from stellwerk.llm.simulation import tickets
from stellwerk.llm.simulation.asked import Asked, number
from stellwerk.llm.simulation.drawing import draw

OPTIONS = frozenset({"order_bias", "length_bias", "judge_noise", "unreadable"})
TIE = 0.04  # difference of quality below which a pair is a tie
PASSES = 0.6
_FIELDS = {"pass": "one", "passed": "one", "score": "score", "better": "pair", "winner": "pair", "verdict": "any"}
_JUDGES = re.compile(
    r"\b(you judge|you compare|act as a judge|grade the|evaluate the (answer|response)"
    r"|sie beurteilen|sie vergleichen|bewerten sie|beurteile)",
    re.I,
)
_MARKED = re.compile(r"^\[(\w{6,})\] ([^\n]+)\n(.*?)\n\[/\1\]", re.S | re.M)
_TITLED = re.compile(
    r"^\W{0,4}((?:answer|antwort|response|output|task|aufgabe|question|frage)(?: [AB12])?)\W{0,4}:?\s*\n?(.*?)"
    r"(?=^\W{0,4}(?:answer|antwort|response|output)(?: [AB12])?\W{0,4}:|\Z)",
    re.I | re.S | re.M,
)
_ANSWER = re.compile(r"answer|antwort|response|output", re.I)
_EXPECTED = re.compile(r"known to be good|als gut bekannt|expected|reference|erwartet|referenz", re.I)
_DU = re.compile(r"\b(du|dir|dich|dein\w*)\b", re.I)
_SIE = re.compile(r"\b(Sie|Ihnen|Ihr\w*)\b")
_PROMISE = re.compile(r"verbindlich bis|definitely .* by|\bby \d|bis zum \d", re.I)
_PRICE = re.compile(r"\d+[,.]\d\d EUR|EUR \d", re.I)
_REFUSAL = re.compile(r"nicht helfen|can't help|cannot help|meine anweisungen lauten|my instructions are", re.I)
_POLITE = re.compile(r"guten tag|sehr geehrte|dear|hello|vielen dank|thank you", re.I)
_CLOSED = re.compile(r"grüße|gruß|regards|sincerely", re.I)


def check(options: dict[str, Any]) -> None:
    """Refuse options whose values make no sense.

    Raises:
        ValueError: a sentence about the first of them.
    """
    for name, default in (("order_bias", 0.06), ("length_bias", 0.05), ("judge_noise", 0.05), ("unreadable", 0.0)):
        number(options, name, default)


def judge(asked: Asked, options: dict[str, Any]) -> str | None:
    """A verdict as JSON, where one is asked for; None where the question is another."""
    schema = (asked.params.schema_ or {}).get("properties", {})
    key = next((name for name in _FIELDS if name in schema), None)
    if key is None:
        if schema or not _JUDGES.search(asked.whole):
            return None
        key = next(
            (
                name
                for name in ("better", "winner", "score", "pass", "verdict")
                if re.search(rf'"{name}"|`{name}`', asked.whole)
            ),
            None,
        )
    if key is None:
        return None
    question, expected, answers = parts(asked.question)
    luck = draw(asked.seed, asked.repeat, question, *sorted(answers))
    if draw(luck, "unreadable") < number(options, "unreadable", 0.0):
        return "Das lässt sich so nicht sagen."
    field = schema.get(key, {})
    if len(answers) >= 2 and _FIELDS[key] != "score":
        said: Any = _pair(question, answers, luck, options, field)
    else:
        found = quality(question, answers[0] if answers else asked.question, expected, luck, options)
        said = _graded(found, field, asked.instruction, draw(luck, "order") < number(options, "order_bias", 0.06))
    verdict = {
        name: "Nach Form, Ton und Inhalt geurteilt (simuliert)."
        for name in schema
        if name in ("reason", "reasoning", "explanation")
    }
    return json.dumps(
        {"reason": "Nach Form, Ton und Inhalt geurteilt (simuliert).", key: said} if not schema else verdict | {key: said},
        ensure_ascii=False,
    )


def parts(text: str) -> tuple[str, str | None, list[str]]:
    """The task, the answer that is known to be good, and the answers to judge, out of what a judge is asked."""
    found = [(name, body) for _, name, body in _MARKED.findall(text)] or _TITLED.findall(text)
    expected = next((body for name, body in found if _EXPECTED.search(name)), None)
    answers = [body.strip() for name, body in found if _ANSWER.search(name) and not _EXPECTED.search(name)]
    question = next((body.strip() for name, body in found if not _ANSWER.search(name)), "")
    return question, expected, answers


def quality(question: str, answer: str, expected: str | None, luck: float, options: dict[str, Any]) -> float:
    """How good an answer is to this judge, in [0, 1] before noise and the planted wish for length."""
    found = 0.35 + 0.1 * bool(_POLITE.search(answer)) + 0.1 * bool(_CLOSED.search(answer))
    du, sie = bool(_DU.search(answer)), bool(_SIE.search(answer))
    found += 0.1 if not du else -0.2 if sie else -0.1
    wanted = tickets.reference(question)
    found += (0.2 if wanted in answer else -0.1) if wanted else 0.1
    found -= 0.2 * bool(_PROMISE.search(answer)) + 0.15 * (bool(_PRICE.search(answer)) and not _PRICE.search(question))
    found -= 0.5 * bool(_REFUSAL.search(answer)) + 0.3 * (not answer.strip())
    if expected:
        words = set(re.findall(r"\w{4,}", expected.casefold()))
        share = len(words & set(re.findall(r"\w{4,}", answer.casefold()))) / max(1, len(words))
        found = (found + share) / 2
    found += number(options, "length_bias", 0.05) * math.log2(max(1, len(answer)) / 400)
    return found + number(options, "judge_noise", 0.05) * (2 * draw(luck, "noise", answer) - 1)


def _pair(question: str, answers: list[str], luck: float, options: dict[str, Any], field: dict[str, Any]) -> str:
    choices = [str(choice) for choice in field.get("enum", ("A", "B", "tie"))]
    if draw(luck, "order") < number(options, "order_bias", 0.06):
        return choices[0]
    first, second = (quality(question, answer, None, luck, options) for answer in answers[:2])
    if abs(first - second) < TIE and len(choices) > 2:
        return choices[2]
    return choices[0] if first >= second else choices[1]


def _graded(found: float, field: dict[str, Any], instruction: str, first: bool) -> Any:
    """A verdict or a whole number; biased by order, it takes the choice that is named first."""
    named_low = re.search(r"`?(pass|score)`?[^.]{0,40}?(false|worst|schlechtesten)[^.]{0,80}(true|best)", instruction)
    if field.get("type") in ("integer", "number") or ("minimum" in field and "maximum" in field):
        low, high = field.get("minimum", 1), field.get("maximum", 5)
        worth = min(1.0, max(0.0, found)) if not first else 0.25 if named_low else 0.75
        return round(low + worth * (high - low)) if field.get("type") == "integer" else round(low + worth * (high - low), 2)
    if field.get("type") == "string":
        choices = field.get("enum") or ["pass", "fail"]
        return choices[0] if found >= PASSES else choices[-1]
    return (not named_low) if first else found >= PASSES
