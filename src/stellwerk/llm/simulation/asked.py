"""What a simulated model was asked: the instruction apart from the question, and the draws of this one call."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stellwerk.llm.chat import Message, Params
from stellwerk.llm.simulation.drawing import draw

# Where a prompt has no system message, the line that parts its instruction from the question.
_BORDER = re.compile(
    r"^\W{0,4}(ticket|anfrage|nachricht|kundenanfrage|frage|eingabe|question|request|message|input|customer)\b[^\n:]{0,40}:",
    re.I | re.M,
)


@dataclass(frozen=True)
class Asked:
    """One call.

    Attributes:
        instruction: what the model is told, without the question.
        question: what is asked of it.
        examples: answers that the prompt shows it.
        seed: of the plan.
        repeat: of the same question.
    """

    instruction: str
    question: str
    examples: tuple[str, ...]
    params: Params
    seed: int
    repeat: int
    messages: tuple[Message, ...]

    @classmethod
    def of(cls, messages: Sequence[Message], params: Params, seed: int, repeat: int) -> Asked:
        """Part a conversation into instruction and question."""
        told = [m.content for m in messages if m.role in ("system", "developer")]
        users = [m.content for m in messages if m.role == "user"]
        question = users[-1] if users else ""
        if not told and (border := _BORDER.search(question)):
            told, question = [question[: border.start()]], question[border.start() :]
        answers = tuple(m.content for m in messages if m.role == "assistant")
        return cls("\n".join(told).strip(), question.strip(), answers, params, seed, repeat, tuple(messages))

    def draw(self, *of: str) -> float:
        """A number in [0, 1) for one trait of this question; the wording of the instruction does not change it.

        So two prompts that are compared meet the same luck, and a better one is better on the same cases.
        """
        return draw(self.seed, self.question, self.repeat, *of)

    @property
    def whole(self) -> str:
        """Everything that was said."""
        return "\n\n".join(message.content for message in self.messages)


def number(options: dict[str, Any], name: str, default: float, low: float = 0.0, high: float = 1.0) -> float:
    """An option that is a number.

    Raises:
        ValueError: it is none, or out of bounds.
    """
    value = options.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"simulated.options.{name} is {value!r}, expected a number from {low:g} to {high:g}")
    return float(value)
