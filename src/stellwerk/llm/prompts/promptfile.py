"""A prompt's file, `prompts/NAME.prompty`: a YAML header and messages, each begun by a line such as `user:`.

The messages are split by the text of the file, before any value is put in; a template that would have to open a message is
therefore a mistake of the file. Knows no value, no model and no record; `templates.py` knows what a template may hold.
"""

from __future__ import annotations

import functools
import hashlib
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, Literal, cast

from stellwerk.errors import UserError
from stellwerk.llm.chat import Params
from stellwerk.llm.prompts.header import Header, Kind
from stellwerk.record.journal import canonical
from stellwerk.specfile import MAXIMUM_BYTES, SpecFile, parse

FOLDER = "prompts"
SUFFIX = ".prompty"
MAXIMUM_MESSAGES = 200

TemplateRole = Literal["system", "developer", "user", "assistant", "messages"]
ROLES = ("system", "developer", "user", "assistant")
ROLE_LINE = re.compile(rf"(?i)({'|'.join(ROLES)}|tool):[ \t]*")
LIST_LINE = re.compile(r"\{%-?\s*messages\s+([^\W\d]\w*)\s*-?%\}[ \t]*")
HEADER = re.compile(r"\A---[ \t]*\n(.*?)(?:\n|\A)---[ \t]*(?:\n|\Z)", re.DOTALL)


@dataclass(frozen=True)
class TemplateMessage:
    """A message before values are put in.

    Attributes:
        role: of the message; `messages` for a place where a list of turns is put in.
        template: Jinja text; for the role `messages` the name of the input that holds the turns.
        line: of the file where its text begins.
    """

    role: TemplateRole
    template: str
    line: int = field(default=1, compare=False)


@dataclass(frozen=True)
class Input:
    """A value that the prompt is rendered with; one without a default that is not required is nothing if left out."""

    name: str
    kind: Kind = "string"
    default: Any = None
    required: bool = True
    description: str | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Prompt:
    """A prompt as its file says.

    Attributes:
        name: of the file.
        messages: in order.
        inputs: in the order of the header, or of their first use where it names none.
        params: how a model is asked, with only what the file says; the JSON Schema of the answer is among them.
        facts: what describes it: owner, purpose, language, risk, tests and so on.
    """

    name: str
    messages: tuple[TemplateMessage, ...]
    inputs: tuple[Input, ...] = ()
    params: Params = field(default_factory=Params)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def outputs(self) -> dict[str, Any] | None:
        """The JSON Schema that answers have to fit."""
        return self.params.schema_

    @property
    def identity(self) -> dict[str, Any]:
        """What makes it this version: all that changes what a model is sent, and nothing else."""
        inputs = [
            {"name": i.name, "kind": i.kind, "required": i.required, "default": i.default}
            for i in sorted(self.inputs, key=lambda i: i.name)
        ]
        return {
            "messages": [{"role": message.role, "template": message.template} for message in self.messages],
            "inputs": inputs,
            "params": self.params.model_dump(mode="json", by_alias=True, exclude_unset=True),
        }

    @property
    def digest(self) -> str:
        """SHA-256 of the identity; that of the version that it becomes."""
        return hashlib.sha256(canonical(self.identity)).hexdigest()

    @property
    def text(self) -> str:
        """All templates as one text, as searches and counts of tokens read it."""
        return "\n".join(message.template for message in self.messages if message.role != "messages")

    def reworded(self, templates: Mapping[int, str]) -> Prompt:
        """The same prompt with other texts in some places, counted from 0.

        Raises:
            UserError: a text is no template, would begin another message, uses a value that the prompt does not have, or
                leaves one out.
        """
        for text in templates.values():
            if any(ROLE_LINE.fullmatch(line) or LIST_LINE.fullmatch(line) for line in plain(text).split("\n")):
                raise UserError(f"{self.name}: a line of the text would begin another message; write it as {{{{ 'user:' }}}}")
        changed = [replace(m, template=_trim(templates[i])) if i in templates else m for i, m in enumerate(self.messages)]
        made = replace(self, messages=tuple(changed))
        _check_templates(made.messages, made.inputs, self.name)
        return made


@functools.lru_cache(256)  # a library of hundreds is looked through again and again
def read(text: str, file: str) -> Prompt:
    """Read a prompt's file.

    Args:
        text: of the file.
        file: its name for people, such as `prompts/reply.prompty`; the prompt's name is its stem.

    Raises:
        UserError: one sentence, with its line, for what is wrong.
    """
    header, messages = split(text, file)
    spec = header.check(Header)
    inputs = _inputs(spec, messages, file)
    _check_templates(messages, inputs, file)
    return Prompt(PurePosixPath(file).name.removesuffix(SUFFIX), messages, inputs, spec.params, spec.facts)


def split(text: str, file: str) -> tuple[SpecFile, tuple[TemplateMessage, ...]]:
    """The header, unchecked and with the lines of the file, and the messages of a prompt's file.

    Raises:
        UserError: it is too large, or not begun by a role, or its header is no YAML.
    """
    if len(text.encode(errors="replace")) > MAXIMUM_BYTES:
        raise UserError(f"{file} has over {MAXIMUM_BYTES // 2**20} MiB; a prompt is a short text")
    text = plain(text)
    found = HEADER.match(text)
    if found is None and text.startswith("---\n"):
        raise UserError(f"{file}, line 1: the header is not ended; put a line --- after it")
    body, before = (text[found.end() :], text[: found.end()].count("\n")) if found else (text, 0)
    yaml = "\n" + found.group(1) if found else ""  # the line --- counts, so that lines are those of the file
    header = parse(yaml, file)
    if header.value is not None and not isinstance(header.value, dict):
        raise UserError(f"{file}, line 2: the header is no list of names and values, such as description: …")
    _check_data(header)
    return header, _messages(body, before, file)


def _check_data(header: SpecFile) -> None:
    """Refuse what YAML reads as something that is no JSON, such as a date."""
    todo: list[tuple[tuple[str | int, ...], Any]] = [((), header.value)]
    while todo:
        where, value = todo.pop()
        if isinstance(value, dict):
            todo.extend(((*where, name), inner) for name, inner in value.items())
        elif isinstance(value, list):
            todo.extend(((*where, index), inner) for index, inner in enumerate(value))
        elif not (value is None or isinstance(value, str | int | float)) or value != value or value in (math.inf, -math.inf):
            raise UserError(
                f"{header.name}, line {header.line(where)}: this is read as a {type(value).__name__}; put it into quotes"
            )


def plain(text: str) -> str:
    """A text as it is compared: composed characters (NFC), lines ended by a line feed, no mark of byte order."""
    return unicodedata.normalize("NFC", text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"))


def _messages(body: str, before: int, file: str) -> tuple[TemplateMessage, ...]:
    """Split a body at its lines of roles."""
    found: list[TemplateMessage] = []
    gathered: list[str] = []
    opened: tuple[TemplateRole, int] | None = None

    def close() -> None:
        if opened is None and "".join(gathered).strip():
            line = before + 1 + next(i for i, text in enumerate(gathered) if text.strip())
            raise UserError(f"{file}, line {line}: this text is in no message; begin one with a line system: or user:")
        if opened is not None:
            found.append(TemplateMessage(opened[0], _trim("\n".join(gathered)), opened[1]))
        gathered.clear()

    for number, line in enumerate(body.split("\n"), before + 1):
        if role := ROLE_LINE.fullmatch(line):
            close()
            if role.group(1).lower() == "tool":
                raise UserError(f"{file}, line {number}: tool: begins no message of a prompt; there are: {', '.join(ROLES)}")
            opened = (cast(TemplateRole, role.group(1).lower()), number + 1)
        elif turns := LIST_LINE.fullmatch(line):
            close()
            found.append(TemplateMessage("messages", turns.group(1), number))
            opened = None
        else:
            gathered.append(line)
    close()
    if not any(message.role != "messages" for message in found):
        raise UserError(f"{file}: there is no message; begin one with a line system: or user:")
    if len(found) > MAXIMUM_MESSAGES:
        raise UserError(f"{file} has over {MAXIMUM_MESSAGES} messages; give examples as an input of kind messages")
    return tuple(found)


def _trim(text: str) -> str:
    """A message's text without the empty lines around it."""
    return re.sub(r"\A(?:[ \t]*\n)+|(?:\n[ \t]*)+\Z", "", plain(text)) if text.strip() else ""


def _inputs(spec: Header, messages: Sequence[TemplateMessage], file: str) -> tuple[Input, ...]:
    """What the header names, or what the templates use where it names nothing."""
    if spec.inputs is None:
        from stellwerk.llm.prompts import templates

        used: dict[str, Kind] = {}
        for message in messages:
            if message.role == "messages":
                used[message.template] = "messages"
            else:
                for name in templates.check(message.template, place(file, message)).names:
                    used.setdefault(name, "string")
        return tuple(Input(name, kind) for name, kind in used.items())
    return tuple(
        Input(
            given.name, given.kind, given.default, given.required if given.required is not None else not given.has_default,
            given.description,
        )
        for given in spec.inputs
    )  # fmt: skip


def _check_templates(messages: Sequence[TemplateMessage], inputs: Sequence[Input], file: str) -> None:
    """Refuse templates that use what is no input, and inputs that no template uses."""
    from stellwerk.llm.prompts import templates

    known = {given.name: given for given in inputs}
    used: set[str] = set()
    for message in messages:
        if message.role == "messages":
            if message.template in known and known[message.template].kind != "messages":
                raise UserError(f"{place(file, message)}: the input {message.template!r} has to be of kind messages")
            names: Sequence[str] = [message.template]
        else:
            names = templates.check(message.template, place(file, message)).names
        for name in names:
            if name not in known:
                there = ", ".join(known) or "none"
                raise UserError(f"{place(file, message)}: {name!r} is no input; add it to inputs, or use one of: {there}")
        used |= set(names)
    for name in known:
        if name not in used:
            raise UserError(f"{file}: the input {name!r} is used in no message; use it, or take it out of inputs")


def place(file: str, message: TemplateMessage) -> str:
    """Where a message stands, for a sentence."""
    return f"{file}, line {message.line}"
