"""A prompt of another tool, read as one of our own. Knows no format."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stellwerk.errors import UserError
from stellwerk.jobs.prompts.exchange.pieces import CannotSay, Piece, of_template, template, used_as
from stellwerk.llm.chat import Params
from stellwerk.llm.prompts.header import Kind
from stellwerk.llm.prompts.promptfile import Input, Prompt, TemplateMessage, TemplateRole, read
from stellwerk.llm.prompts.writing import write

ROLES: dict[str, TemplateRole] = {
    "system": "system", "developer": "developer", "user": "user", "human": "user", "assistant": "assistant",
    "model": "assistant", "ai": "assistant",
}  # fmt: skip


@dataclass
class Foreign:
    """A prompt that was read.

    Attributes:
        left_out: what the other tool says and our file does not.
    """

    prompt: Prompt
    left_out: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Said:
    """A message as another tool says it: pieces, or a place where a list of turns is put in."""

    role: TemplateRole
    pieces: Sequence[Piece]


def make(
    name: str, messages: Sequence[Said], where: str, *, inputs: Mapping[str, Input] | None = None, params: Params | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Prompt:  # fmt: skip
    """A prompt of messages; inputs that nothing is known of are texts.

    Raises:
        UserError: it cannot be one of our prompts.
    """
    if not messages:
        raise UserError(f"{where} holds no message")
    used: dict[str, Kind] = {}
    made = []
    for message in messages:
        if message.role == "messages":
            used[str(message.pieces[0])] = "messages"
            made.append(TemplateMessage("messages", str(message.pieces[0])))
        else:
            for one, kind in used_as(message.pieces).items():
                if used.get(one, "string") == "string":
                    used[one] = kind
            made.append(TemplateMessage(message.role, template(message.pieces)))
    known = inputs or {}
    chosen = [known.get(one) or Input(one, kind) for one, kind in used.items()]
    prompt = Prompt(name, tuple(made), tuple(chosen), params or Params(), facts or {})
    return read(write(prompt), f"{name}.prompty")


def role(value: Any, where: str) -> TemplateRole:
    """The role of a message.

    Raises:
        UserError: there is none of that name.
    """
    found = ROLES.get(str(value).lower())
    if found is None:
        raise UserError(f"{where} has a message of the role {str(value)[:40]!r}; there are: {', '.join(ROLES)}")
    return found


def meaning(prompt: Prompt) -> list[Any]:
    """What the messages of a prompt mean, however they are written: roles with pieces.

    Raises:
        CannotSay: a template holds what no other tool says.
    """
    return [(m.role, m.template if m.role == "messages" else of_template(m.template)) for m in prompt.messages]


_VARIABLE = re.compile(r"\{\{\s*([^\W\d]\w*)\s*\}\}")


def of_variables(text: str) -> list[Piece]:
    """The pieces of a text in which only `{{name}}` means anything."""
    from stellwerk.jobs.prompts.exchange.pieces import Value

    found: list[Piece] = []
    end = 0
    for match in _VARIABLE.finditer(text):
        found += [text[end : match.start()], Value((match.group(1),))]
        end = match.end()
    return [piece for piece in (*found, text[end:]) if piece != ""]


def as_variables(pieces: Sequence[Piece], tool: str) -> str:
    """Pieces as a text in which only `{{name}}` means anything.

    Raises:
        CannotSay: there is more than texts and values.
    """
    from stellwerk.jobs.prompts.exchange.pieces import Value

    said = []
    for piece in pieces:
        match piece:
            case str() if _VARIABLE.search(piece):
                raise CannotSay(f"a text such as {{{{name}}}} that {tool} would take for a value")
            case str():
                said.append(piece)
            case Value((name,), False):
                said.append(f"{{{{{name}}}}}")
            case _:
                raise CannotSay("a condition, a loop or a field of a value")
    return "".join(said)


def trimmed(text: str) -> str:
    """A text without the empty lines around it."""
    return re.sub(r"\A(?:[ \t]*\n)+|(?:\n[ \t]*)+\Z", "", text)
