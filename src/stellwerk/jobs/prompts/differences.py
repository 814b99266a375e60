"""What differs between two prompts: messages line by line, inputs, parameters, and what only describes them."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from stellwerk.jobs.prompts.rendering import parameters
from stellwerk.jobs.prompts.reports import Change, DiffLine, MessageDiff, PromptDiff
from stellwerk.llm.prompts import versions
from stellwerk.llm.prompts.promptfile import Prompt, TemplateMessage
from stellwerk.llm.prompts.tokens import estimate

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace


def diff(workspace: Workspace, first: str, second: str) -> PromptDiff:
    """Compare two prompts or versions.

    Raises:
        UserError: there is no such prompt, or its file is wrong.
    """
    old, old_text, old_name = versions.find(workspace, first)
    new, new_text, new_name = versions.find(workspace, second)
    return between(old, new, old_name, new_name, old_text, new_text)


def between(old: Prompt, new: Prompt, first: str, second: str, old_text: str, new_text: str) -> PromptDiff:
    """What differs between two prompts with the texts of their files."""
    messages = _messages(old, new)
    inputs = _changes(
        {one.name: f"{one.kind}{'' if one.required else f', {_shown(one.default)} if left out'}" for one in old.inputs},
        {one.name: f"{one.kind}{'' if one.required else f', {_shown(one.default)} if left out'}" for one in new.inputs},
    )
    params = _changes(parameters(old.params), parameters(new.params))
    facts = _changes({n: _shown(v) for n, v in old.facts.items()}, {n: _shown(v) for n, v in new.facts.items()})
    lines = difflib.unified_diff(old_text.splitlines(), new_text.splitlines(), first, second, lineterm="")
    return PromptDiff(
        first=first, second=second, same=old.identity == new.identity,
        summary=_summary(old, new, messages, inputs, params, facts),
        messages=messages, inputs=inputs, parameters=params, facts=facts, tokens=estimate(new.text) - estimate(old.text),
        text="\n".join(lines),
    )  # fmt: skip


def _messages(old: Prompt, new: Prompt) -> list[MessageDiff]:
    """The messages that differ; those that only moved are not paired with others."""
    found = []
    matcher = difflib.SequenceMatcher(None, _keys(old), _keys(new), autojunk=False)
    for kind, low, high, start, end in matcher.get_opcodes():
        if kind != "equal":
            pairs = zip_longest(old.messages[low:high], new.messages[start:end])
            found += [_message(max(low, start) + offset + 1, a, b) for offset, (a, b) in enumerate(pairs)]
    return found


def _keys(prompt: Prompt) -> list[tuple[str, str]]:
    return [(message.role, message.template) for message in prompt.messages]


def _message(place: int, old: TemplateMessage | None, new: TemplateMessage | None) -> MessageDiff:
    before = old.template.split("\n") if old else []
    after = new.template.split("\n") if new else []
    lines = [
        DiffLine(sign=line[0].strip(), text=line[2:])
        for line in difflib.ndiff(before, after, linejunk=None, charjunk=None)
        if not line.startswith("?")
    ]
    change = "added" if old is None else "removed" if new is None else "role" if old.role != new.role else "changed"
    role = (
        f"{old.role} → {new.role}" if old and new and old.role != new.role else (new or old or TemplateMessage("user", "")).role
    )
    return MessageDiff(place=place, role=role, change=change, lines=lines)


def _changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[Change]:
    names = [*old, *(name for name in new if name not in old)]
    return [Change(field=n, before=old.get(n), after=new.get(n)) for n in names if old.get(n) != new.get(n)]


def _summary(
    old: Prompt, new: Prompt, messages: list[MessageDiff], inputs: list[Change], params: list[Change], facts: list[Change]
) -> str:
    if old.identity == new.identity:
        return "A model is sent the same by both" + ("; only what describes them differs." if facts else ".")
    parts = [(len(messages), "message"), (len(inputs), "input"), (len(params), "parameter")]
    said = [f"{count} {word}{'s' if count > 1 else ''}" for count, word in parts if count]
    return f"They differ in {' and '.join(said)}."


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
