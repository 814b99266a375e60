"""A prompt with values becomes messages: each template for itself, so that a value stays where it was put.

The roles are those of the file. Only where the file says `{% messages NAME %}` does a value bring turns of its own, and those
can be of the user and of the assistant alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stellwerk.errors import UserError
from stellwerk.llm.chat import Message
from stellwerk.llm.prompts.promptfile import Input, Prompt, TemplateMessage

TURN_ROLES = ("user", "assistant")
MAXIMUM_TURNS = 10_000  # in a list of them


def render(prompt: Prompt, values: Mapping[str, Any]) -> list[Message]:
    """The messages of a prompt.

    Args:
        prompt: whose templates were checked when it was read.
        values: JSON by the names of its inputs; others are passed over.

    Raises:
        UserError: a value is missing or of another kind, or a template uses what its values do not have, or too much of it.
            The sentence holds no value.
    """
    given = {one.name: _value(prompt, one, values) for one in prompt.inputs}
    found: list[Message] = []
    for number, message in enumerate(prompt.messages, 1):
        if message.role == "messages":
            found.extend(turns(given[message.template], f"prompt {prompt.name}, input {message.template!r}"))
        else:
            found.append(Message(message.role, _rendered(prompt, message, number, given)))
    return found


def check_values(prompt: Prompt, values: Mapping[str, Any]) -> None:
    """Refuse values that the prompt has no input for, which are mostly misspelt.

    Raises:
        UserError: there is one.
    """
    known = [one.name for one in prompt.inputs]
    for name in values:
        if name not in known:
            import difflib

            near = difflib.get_close_matches(str(name), known, 1, 0.6)
            there = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known) or 'none'}"
            raise UserError(f"prompt {prompt.name} has no input {str(name)[:60]!r}; {there}")


def turns(value: Any, where: str) -> list[Message]:
    """The messages of a list of turns, such as examples.

    Raises:
        UserError: it is no such list, or a turn has another role than user and assistant.
    """
    if value is None:
        return []
    if not isinstance(value, list | tuple) or len(value) > MAXIMUM_TURNS:
        raise UserError(f"{where}: expected a list of turns such as {{role: user, content: …}}, {MAXIMUM_TURNS:,} at most")
    found = []
    for number, turn in enumerate(value, 1):
        role = turn.get("role") if isinstance(turn, Mapping) else None
        content = turn.get("content") if isinstance(turn, Mapping) else None
        if role not in TURN_ROLES or not isinstance(content, str):
            raise UserError(f"{where}: turn {number} needs a role, user or assistant, and its content as text")
        found.append(Message(role, clean(content)))
    return found


def clean(text: str) -> str:
    """A text that can be sent: halves of surrogate pairs, which no encoding has, become the sign for what cannot be shown."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _value(prompt: Prompt, one: Input, values: Mapping[str, Any]) -> Any:
    """The value of an input, as plain data."""
    if one.name not in values:
        if one.required and one.default is None:
            raise UserError(f"prompt {prompt.name} needs a value for {one.name!r}; give it in values or as the case's variable")
        return one.default
    value = values[one.name]
    wrong = (one.kind == "array" and not isinstance(value, list | tuple)) or (
        one.kind == "object" and not isinstance(value, Mapping)
    )
    if wrong and value is not None:
        said = "a list" if one.kind == "array" else "a group of names and values"
        raise UserError(f"prompt {prompt.name}: the value for {one.name!r} has to be {said}")
    return _plain(value, prompt, one) if one.kind != "messages" else value


def _plain(value: Any, prompt: Prompt, one: Input) -> Any:
    """A value copied as plain data, however deep, so that nothing of it can do anything."""
    if isinstance(value, str):
        return clean(str(value))
    if value is None or type(value) in (bool, int, float):
        return value
    root: list[Any] = [None]
    todo: list[tuple[Any, Any, Any]] = [(value, root, 0)]
    seen = 0
    while todo:
        item, into, key = todo.pop()
        seen += 1
        if seen > 2_000_000:
            raise UserError(f"prompt {prompt.name}: the value for {one.name!r} has over two million parts; give less of it")
        if isinstance(item, Mapping):
            into[key] = {clean(str(name)): None for name in item}
            todo.extend((field, into[key], clean(str(name))) for name, field in item.items())
        elif isinstance(item, list | tuple):
            into[key] = [None] * len(item)
            todo.extend((field, into[key], index) for index, field in enumerate(item))
        elif isinstance(item, str):
            into[key] = clean(str(item))
        elif item is None or isinstance(item, bool | int | float):
            into[key] = item
        else:
            raise UserError(
                f"prompt {prompt.name}: the value for {one.name!r} holds a {type(item).__name__}; give texts, numbers, lists "
                "and groups of them"
            )
    return root[0]


def _rendered(prompt: Prompt, message: TemplateMessage, number: int, values: Mapping[str, Any]) -> str:
    from jinja2 import TemplateError

    from stellwerk.llm.prompts import sandbox, templates

    where = f"prompt {prompt.name}, message {number} ({message.role})"
    try:
        return sandbox.run(templates.compiled(message.template), values)
    except sandbox.TooMuch as error:
        raise UserError(f"{where}: the template cannot be rendered, for {error}") from None
    except TemplateError:
        raise UserError(
            f"{where}: the template uses a field that its value does not have; give it, or write such as |default('none')"
        ) from None
    except (TypeError, ValueError, RecursionError, OverflowError):
        raise UserError(f"{where}: the template compares or counts what cannot be compared or counted") from None


def shown(messages: Sequence[Message]) -> str:
    """Messages as one text for people."""
    return "\n\n".join(f"{message.role}:\n{message.content}" for message in messages)
