"""What a scorer is given and what it says of one answer. Knows no type of check and no suite."""

from __future__ import annotations

import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stellwerk.evaluation.case import Answer, Case, Check
from stellwerk.llm.prompts.rendering import clean

if TYPE_CHECKING:
    from stellwerk.evaluation.scorers.tools import Tools


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one check says of one answer, before `not-` and weights.

    Attributes:
        value: from 0 to 1; None where it could not be scored.
        passed: None where it could not be scored.
        reason: a word for machines; `words.py` has a sentence for each.
        facts: what the sentence names.
        cost: of judging, in `currency`.
    """

    value: float | None
    passed: bool | None
    reason: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    cost: float | None = None
    currency: str | None = None


def yes_no(passed: bool, reason: str, **facts: Any) -> Outcome:
    """An outcome without degrees."""
    return Outcome(1.0 if passed else 0.0, passed, reason, facts)


def unscored(reason: str, **facts: Any) -> Outcome:
    """Nothing can be said."""
    return Outcome(None, None, reason, facts)


@dataclass(frozen=True, slots=True)
class Asked:
    """One answer with its case, as a scorer sees it.

    Attributes:
        text: of the answer, in NFC, so that a combined umlaut equals a plain one.
    """

    case: Case
    answer: Answer
    text: str
    tools: Tools


Scorer = Callable[[Check, Asked], Outcome | Awaitable[Outcome]]
Problem = Callable[[Check], str | None]  # what is wrong with a check as it is written; None where nothing is


def nfc(text: str) -> str:
    """Text in Unicode's NFC; halves of surrogate pairs, which no encoding has, become the sign for what cannot be shown."""
    return text if text.isascii() else unicodedata.normalize("NFC", clean(text))


def inputs_text(case: Case) -> str:
    """All texts and numbers among the inputs of a case, one a line."""
    found: list[str] = []
    todo: list[Any] = list(case.inputs.values())
    while todo:
        value = todo.pop(0)
        if isinstance(value, Mapping):
            todo += list(value.values())
        elif isinstance(value, list | tuple):
            todo += list(value)
        elif value is not None:
            found.append(str(value))
    return nfc("\n".join(found))
