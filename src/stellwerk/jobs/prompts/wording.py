"""The text of a prompt that a search may change, and what a proposal for it must keep.

Knows the prompt's file format and the copy guard. It asks no model.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from stellwerk.errors import UserError
from stellwerk.jobs.prompts.copying import CopyGuard
from stellwerk.llm.prompts.promptfile import Prompt

Reason = Literal["empty", "known", "variables", "syntax", "too_long", "copies"]


@dataclass(frozen=True)
class Wording:
    """The message of a prompt that is searched: its system message, and where there is none its first one."""

    prompt: Prompt
    place: int

    @classmethod
    def of(cls, prompt: Prompt) -> Wording:
        """The wording of a prompt."""
        roles = [getattr(message, "role", None) for message in prompt.messages]
        places = [place for place, role in enumerate(roles) if role in ("system", "developer")]
        return cls(prompt, places[0] if places else next(place for place, role in enumerate(roles) if role is not None))

    @property
    def text(self) -> str:
        """As it is now."""
        return str(self.prompt.messages[self.place].template)

    def with_text(self, text: str) -> Prompt:
        """The prompt with another wording."""
        messages = list(self.prompt.messages)
        messages[self.place] = dataclasses.replace(messages[self.place], template=text)
        return dataclasses.replace(self.prompt, messages=tuple(messages))

    def tokens(self, text: str) -> int:
        """How long the whole prompt is with another wording, before values are put in."""
        from stellwerk.llm.prompts.tokens import estimate

        return estimate("".join(str(getattr(m, "template", "")) for m in self.with_text(text).messages))


@dataclass
class Rules:
    """What a proposal must keep; counts those that do not, by reason.

    Attributes:
        wording: that the search began with.
        guard: against copies of cases.
        tokens: that the prompt may have at most.
    """

    wording: Wording
    guard: CopyGuard
    tokens: int
    known: set[str] = field(default_factory=set)
    refused: Counter[Reason] = field(default_factory=Counter)
    valid: int = 0

    def admit(self, text: str) -> Reason | None:
        """Why a proposal cannot be used; None where it can, and from then on it is known."""
        reason = self._reason(text)
        if reason is None:
            self.valid += 1
            self.known.add(text)
        else:
            self.refused[reason] += 1
        return reason

    def _reason(self, text: str) -> Reason | None:
        if not text.strip():
            return "empty"
        if text in self.known or text == self.wording.text:
            return "known"
        if not reads_back(self.wording.with_text(text)):
            return "syntax"
        if placeholders(text) != placeholders(self.wording.text):
            return "variables"
        if self.wording.tokens(text) > self.tokens:
            return "too_long"
        return "copies" if self.guard.copies(text) else None


def placeholders(text: str) -> set[str]:
    """The values that are put into a text.

    Raises:
        ValueError: it is no template.
    """
    from jinja2 import TemplateSyntaxError, meta
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    try:
        return set(meta.find_undeclared_variables(ImmutableSandboxedEnvironment().parse(text)))
    except TemplateSyntaxError as error:
        raise ValueError(str(error)) from error


def reads_back(prompt: Prompt) -> bool:
    """Whether the prompt's file gives the same messages when it is read; a line `user:` in a wording would open a message."""
    from stellwerk.llm.prompts.promptfile import read, write

    try:
        return read(write(prompt), prompt.name).messages == prompt.messages
    except UserError:
        return False
