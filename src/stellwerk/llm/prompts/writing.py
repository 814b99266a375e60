"""Prompts written as files: a whole one, or new texts in a file whose header stays as a person wrote it.

Also how a text of another origin is written so that nothing in it is read as a tag or a role. Asks no model, touches no disk.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from stellwerk.errors import UserError
from stellwerk.llm.prompts.promptfile import (
    LIST_LINE,
    ROLE_LINE,
    SUFFIX,
    Input,
    Prompt,
    TemplateMessage,
    plain,
    read,
    split,
)

_OPTIONS = {"top_p": "topP", "max_tokens": "maxOutputTokens", "stop": "stopSequences", "extra": "additionalProperties"}
_OWN = ("owner", "purpose", "language", "risk", "tests", "budget", "forbidden", "notes", "source", "gates")
# With the braces before it, which would become a part of the output that is written in its place.
_TAG = re.compile(r"\{*(?:\{(?=[{%#])|\{\Z|\r\n?)")


def write(prompt: Prompt) -> str:
    """The text of a prompt's file, from which `read` reads the same prompt.

    Raises:
        UserError: a message cannot stand in a file, for a line of it would begin another.
    """
    text = body(prompt.messages)
    header = _header(prompt)
    whole = f"---\n{_yaml(header)}---\n{text}" if header else text
    if read(whole, f"{prompt.name}{SUFFIX}").messages != prompt.messages:
        raise UserError(f"prompt {prompt.name}: a line of a message would begin another message; write it as {{{{ 'user:' }}}}")
    return whole


def reworded(text: str, templates: Mapping[int, str]) -> str:
    """A file with other texts of some messages, counted from 0; the header and the other messages stay as they are.

    Args:
        text: of the file.
        templates: by the message's place.

    Raises:
        UserError: a text would begin another message.
    """
    _, messages = split(text, "the prompt")
    text = plain(text)
    lines = text.split("\n")
    for index in sorted(templates, reverse=True):
        new = templates[index].strip("\n")
        if any(ROLE_LINE.fullmatch(line) or LIST_LINE.fullmatch(line) for line in new.split("\n")):
            raise UserError("a line of the new text would begin another message; write it as {{ 'user:' }}")
        start, end = messages[index].line - 1, len(lines)
        if index + 1 < len(messages):
            end = messages[index + 1].line - (1 if messages[index + 1].role == "messages" else 2)
        old = lines[start:end]
        first = next((i for i, line in enumerate(old) if line.strip()), 0)
        last = next((i for i in range(len(old), 0, -1) if old[i - 1].strip()), first)
        lines[start + first : start + last] = new.split("\n")
    return "\n".join(lines)


def body(messages: Sequence[TemplateMessage]) -> str:
    """Messages as they stand below the header."""
    parts = [
        f"{{% messages {message.template} %}}\n" if message.role == "messages" else f"{message.role}:\n{message.template}\n"
        for message in messages
    ]
    return "\n".join(parts)


def literal(text: str) -> str:
    """A template that becomes just this text, whatever is in it: tags, roles, spaces around it."""
    text = unicodedata.normalize("NFC", text)
    inner = text.strip()
    if not inner:
        return _quoted(text) if text else ""
    before, _, after = text.partition(inner)
    written = _TAG.sub(lambda found: _quoted(found.group()), inner)
    lines = [_quoted(line) if ROLE_LINE.fullmatch(line) else line for line in written.split("\n")]
    return (_quoted(before) if before else "") + "\n".join(lines) + (_quoted(after) if after else "")


def _quoted(text: str) -> str:
    return f"{{{{ {json.dumps(text, ensure_ascii=False)} }}}}"


def _header(prompt: Prompt) -> dict[str, Any]:
    facts = dict(prompt.facts)
    said = prompt.params.model_dump(mode="json", exclude_unset=True, exclude={"schema_", "tools"})
    model = {"id": facts.get("written_for"), "options": {_OPTIONS.get(name, name): value for name, value in said.items()}}
    own = {name: facts[name] for name in _OWN if name in facts}
    known = {
        "displayName": facts.get("title"),
        "description": facts.get("description"),
        "authors": facts.get("authors"),
        "tags": facts.get("tags"),
        "metadata": {"stellwerk": own} if own else None,
        "model": {name: value for name, value in model.items() if value},
        "inputs": [_input(one) for one in prompt.inputs],
        "outputs": prompt.outputs,
        "tools": [dict(tool) for tool in prompt.params.tools],
    }
    return {name: value for name, value in known.items() if value}


def _input(one: Input) -> dict[str, Any]:
    found: dict[str, Any] = {"name": one.name, "kind": one.kind}
    if one.description:
        found["description"] = one.description
    if one.default is not None:
        found["default"] = one.default
    if one.required != (one.default is None):
        found["required"] = one.required
    return found


def _yaml(value: dict[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110)
