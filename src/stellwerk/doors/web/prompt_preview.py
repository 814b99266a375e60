"""What a prompt that is being written becomes: its mistakes with their lines, its messages with the values in them, its length.

The rendering is that of `prompts render`; here it is told which pieces of a message stand in the prompt and which are values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stellwerk.doors.web import specfiles
from stellwerk.doors.web.specfiles import Mistake
from stellwerk.errors import UserError
from stellwerk.jobs.prompts.rendering import parameters, rendered
from stellwerk.llm.prompts import FOLDER, SUFFIX, Input, Prompt, TemplateMessage, read
from stellwerk.llm.prompts.tokens import estimate

if TYPE_CHECKING:
    from stellwerk.jobs.prompts.reports import MessageText

Pieces = Sequence[tuple[str, bool]]
_EXAMPLES = {
    "array": '["a", "b"]',
    "object": '{"a": 1}',
    "messages": '[{"role": "user", "content": "…"}]',
    "boolean": "true",
}
_PLACE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)


@dataclass(frozen=True)
class Shown:
    """A message; `pieces` are its parts, each with whether it is a value, or the place of one."""

    role: str
    pieces: Pieces
    tokens: int


@dataclass(frozen=True)
class Preview:
    """What a text becomes.

    Attributes:
        mistakes: why it is no prompt.
        fault: why the values do not fit it.
        prompt: that it is.
        messages: with values, or as templates where some are missing.
        fixed: tokens that stand in the prompt itself.
        tokens: of all messages, values included; None while some are missing.
        missing: inputs that still need a value.
    """

    mistakes: Sequence[Mistake] = ()
    fault: str = ""
    prompt: Prompt | None = None
    messages: Sequence[Shown] = ()
    fixed: int = 0
    tokens: int | None = None
    missing: Sequence[str] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def inputs(self) -> Sequence[Input]:
        """What the prompt is rendered with."""
        return self.prompt.inputs if self.prompt else ()

    @property
    def share(self) -> float:
        """The part of the whole that stands in the prompt itself, in per cent."""
        return min(100.0, 100 * self.fixed / self.tokens) if self.tokens else 100.0


def preview(name: str, text: str, typed: Mapping[str, str]) -> Preview:
    """Look at a text.

    Args:
        name: of the prompt.
        text: of its file.
        typed: the values as they were typed, by the names of inputs.
    """
    wrong = specfiles.mistakes(FOLDER, name, text)
    if wrong:
        return Preview(wrong)
    prompt = read(text, f"{FOLDER}/{name}{SUFFIX}")
    fixed, params = estimate(prompt.text), parameters(prompt.params)
    missing = [one.name for one in prompt.inputs if one.required and one.default is None and not typed.get(one.name)]
    if missing:
        return Preview((), "", prompt, templates(prompt), fixed, None, missing, params)
    try:
        found = rendered(prompt, name, values(prompt.inputs, typed))
    except UserError as error:
        return Preview((), str(error), prompt, templates(prompt), fixed, None, (), params)
    return Preview((), "", prompt, _shown(prompt, found.messages), fixed, found.tokens, (), params)


def values(inputs: Sequence[Input], typed: Mapping[str, str]) -> dict[str, Any]:
    """What was typed, as values; what is empty is left out.

    Raises:
        UserError: a value that is no text is no JSON.
    """
    found: dict[str, Any] = {}
    for one in inputs:
        text = typed.get(one.name, "")
        if not text:
            continue
        try:
            found[one.name] = text if one.kind == "string" else json.loads(text)
        except (ValueError, RecursionError):
            raise UserError(f"the value for {one.name!r} has to be JSON, such as {_EXAMPLES.get(one.kind, '3')}") from None
    return found


def templates(prompt: Prompt) -> list[Shown]:
    """The messages before values are put in, with the places of values."""
    return [Shown(one.role, _places(one), 0 if one.role == "messages" else estimate(one.template)) for one in prompt.messages]


def _places(message: TemplateMessage) -> Pieces:
    if message.role == "messages":
        return [(f"{{% messages {message.template} %}}", True)]
    found: list[tuple[str, bool]] = []
    end = 0
    for place in _PLACE.finditer(message.template):
        found += [(message.template[end : place.start()], False), (place[0], True)]
        end = place.end()
    return [piece for piece in (*found, (message.template[end:], False)) if piece[0]]


def _shown(prompt: Prompt, messages: Sequence[MessageText]) -> list[Shown]:
    """Rendered messages; where the file says for each which one it is, with what was put in."""
    plain = len(messages) == len(prompt.messages) and all(one.role != "messages" for one in prompt.messages)
    return [
        Shown(one.role, _put_in(prompt.messages[place].template, one.text) if plain else [(one.text, False)], one.tokens)
        for place, one in enumerate(messages)
    ]


def _put_in(template: str, text: str) -> Pieces:
    """The pieces of a rendered message; a single one where the template has conditions or loops."""
    if "{%" in template or "{#" in template or "{{-" in template or "-}}" in template:
        return [(text, False)]
    fixed = re.split(r"\{\{.*?\}\}", template, flags=re.DOTALL)
    found: list[tuple[str, bool]] = []
    end = 0
    for place, part in enumerate(fixed):
        last = place == len(fixed) - 1
        start = len(text) - len(part) if last else text.find(part, end)
        if start < end or text[start : start + len(part)] != part:
            return [(text, False)]
        found += [(text[end:start], True), (part, False)]
        end = start + len(part)
    return [piece for piece in found if piece[0]]
