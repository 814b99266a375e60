"""The text of a prompt that a search may change, and what a proposal for it must keep.

Knows the prompt's file format and the copy guard. It asks no model.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from stellwerk.errors import UserError
from stellwerk.jobs.prompts.copying import CopyGuard
from stellwerk.llm.prompts import templates
from stellwerk.llm.prompts.promptfile import LIST_LINE, ROLE_LINE, Prompt

Reason = Literal["empty", "known", "variables", "syntax", "too_long", "copies"]


@dataclass(frozen=True)
class Wording:
    """The message of a prompt that is searched: its system message, and where there is none its first one."""

    prompt: Prompt
    place: int

    @classmethod
    def of(cls, prompt: Prompt) -> Wording:
        """The wording of a prompt."""
        roles = [message.role for message in prompt.messages]
        told = [place for place, role in enumerate(roles) if role in ("system", "developer")]
        return cls(prompt, told[0] if told else next(place for place, role in enumerate(roles) if role != "messages"))

    @property
    def text(self) -> str:
        """As it is now."""
        return self.prompt.messages[self.place].template

    @property
    def names(self) -> tuple[str, ...]:
        """The values that are put into it."""
        return templates.check(self.text, self.prompt.name).names

    def with_text(self, text: str) -> Prompt:
        """The prompt with another wording.

        Raises:
            UserError: it is no template, or uses a value that the prompt does not have, or leaves one out.
        """
        return self.prompt.reworded({self.place: text})

    def tokens(self, text: str) -> int:
        """How long the whole prompt is with another wording, before values are put in."""
        from stellwerk.llm.prompts.tokens import estimate

        rest = (message.template for place, message in enumerate(self.prompt.messages) if place != self.place)
        return estimate(text) + sum(estimate(template) for template in rest)


@dataclass
class Rules:
    """What a proposal must keep; counts those that do not, by reason.

    Attributes:
        wording: that the search began with.
        guard: against copies of cases.
        tokens: that the prompt may have at most.
        known: wordings that need not be looked at again.
        usable: wordings that were admitted, each once however often it was proposed.
    """

    wording: Wording
    guard: CopyGuard
    tokens: int
    # Wordings that were asked on all cases that choose. One that only failed on a few cases that teach may have had bad luck.
    known: set[str] = field(default_factory=set)
    refused: Counter[Reason] = field(default_factory=Counter)
    usable: set[str] = field(default_factory=set)

    def admit(self, text: str) -> Reason | None:
        """Why a proposal cannot be used; None where it can."""
        reason = self._reason(text)
        if reason is None:
            self.usable.add(text)
        else:
            self.refused[reason] += 1
        return reason

    def _reason(self, text: str) -> Reason | None:
        if not text.strip():
            return "empty"
        if text in self.known or text == self.wording.text:
            return "known"
        if opens_message(text):
            return "syntax"
        try:
            names = templates.check(text, "the proposal").names
        except UserError:
            return "syntax"
        if set(names) != set(self.wording.names):
            return "variables"
        if self.wording.tokens(text) > self.tokens:
            return "too_long"
        return "copies" if self.guard.copies(text) else None


def opens_message(text: str) -> bool:
    """Whether a wording would be several messages in a prompt's file, as one with a line `user:` would."""
    return any(ROLE_LINE.fullmatch(line) or LIST_LINE.fullmatch(line) for line in text.split("\n"))
