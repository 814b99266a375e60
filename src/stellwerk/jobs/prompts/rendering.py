"""The messages that a prompt becomes, for people: with values given, or those of a case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from stellwerk.errors import UserError
from stellwerk.jobs.prompts.reports import MessageText, Rendered
from stellwerk.llm.prompts import versions
from stellwerk.llm.prompts.rendering import check_values
from stellwerk.llm.prompts.rendering import render as put_in
from stellwerk.llm.prompts.tokens import estimate

if TYPE_CHECKING:
    from stellwerk.llm.chat import Message, Params
    from stellwerk.llm.prompts.promptfile import Prompt
    from stellwerk.workspace import Workspace


def render(
    workspace: Workspace, reference: str, values: Mapping[str, Any] | None, suite: str | None, case: int = 1
) -> Rendered:
    """Render a prompt.

    Args:
        workspace: that holds it.
        reference: of the prompt.
        values: by the names of its inputs; they stand over those of the case.
        suite: whose case gives values.
        case: which one, counted from 1.

    Raises:
        UserError: there is no such prompt, suite or case, or a value is missing.
    """
    prompt, _, called = versions.find(workspace, reference)
    check_values(prompt, values or {})
    name, given = _of_case(workspace, suite, case) if suite else (None, {})
    return rendered(prompt, called, {**given, **(values or {})}, name)


def rendered(prompt: Prompt, called: str, values: Mapping[str, Any], case: str | None = None) -> Rendered:
    """What a prompt becomes with values, be it a file's or one that is being written.

    Args:
        prompt: with its templates.
        called: its name for people.
        values: by the names of its inputs.
        case: whose values these are.

    Raises:
        UserError: a value is missing or does not fit.
    """
    messages = texts(put_in(prompt, values))
    return Rendered(
        prompt=called, case=case, messages=messages, tokens=sum(message.tokens for message in messages),
        fixed_tokens=estimate(prompt.text), parameters=parameters(prompt.params),
    )  # fmt: skip


def texts(messages: Sequence[Message]) -> list[MessageText]:
    """Messages as they are shown."""
    return [MessageText(role=m.role, text=m.content, tokens=estimate(m.content)) for m in messages]


def parameters(params: Params) -> dict[str, str]:
    """How a model is asked, as it is shown: only what the prompt says."""
    import json

    said = params.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return {name: json.dumps(value, ensure_ascii=False) for name, value in said.items()}


def _of_case(workspace: Workspace, suite: str, number: int) -> tuple[str, dict[str, Any]]:
    """The name and the values of a case."""
    from stellwerk.evaluation import suites

    found = next(islice(suites.of(workspace, suite).cases("all"), number - 1, number), None)
    if found is None:
        raise UserError(f"suite {suite} has no case {number}; see what it has: stellwerk evaluation cases {suite}")
    return found.id, dict(found.inputs)
