"""A prompt is written for another tool, and read again before it is kept: what comes back has to mean the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stellwerk.errors import UserError
from stellwerk.jobs.prompts.exchange import importing
from stellwerk.jobs.prompts.exchange.foreign import meaning
from stellwerk.jobs.prompts.exchange.pieces import CannotSay
from stellwerk.jobs.prompts.reports import PromptExported
from stellwerk.llm.prompts import Prompt, versions
from stellwerk.workspace import write_text

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace


def export_prompt(workspace: Workspace, reference: str, file: Path, format: str, *, overwrite: bool = False) -> PromptExported:
    """Write a prompt for another tool.

    Args:
        workspace: that holds it.
        reference: of the prompt.
        file: where to.
        format: prompty, dotprompt, promptfoo, langfuse or mlflow.
        overwrite: replace a file that is there.

    Raises:
        UserError: the format cannot say it, or the file is there.
    """
    prompt, _, called = versions.find(workspace, reference)
    if file.exists() and not overwrite:
        raise UserError(f"{file} is already there; give another name, or --overwrite")
    text, left_out = write(prompt, file, format)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, text)
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}; give another place, or make room there") from None
    return PromptExported(prompt=called, file=str(file), format=format, left_out=sorted(set(left_out)))


def write(prompt: Prompt, file: Path, format: str) -> tuple[str, list[str]]:
    """The text of a prompt for another tool, and what it leaves out.

    Raises:
        UserError: the format cannot say it.
    """
    from stellwerk.jobs.prompts.exchange import chats, dotprompt, othersprompty

    try:
        match format:
            case "prompty":
                return othersprompty.write_ours(prompt)
            case "dotprompt":
                text, left_out = dotprompt.write(prompt)
            case "promptfoo":
                text, left_out = chats.write_promptfoo(prompt, file.suffix.lower() == ".json")
            case "langfuse":
                text, left_out = chats.write_langfuse(prompt)
            case _:
                text, left_out = chats.write_mlflow(prompt)
        (back,) = importing.read(text, file, format, prompt.name)
        if meaning(back.prompt) != meaning(prompt):
            raise CannotSay("a text that would be read as something else there")
    except CannotSay as error:
        raise UserError(
            f"prompt {prompt.name} holds what {format} cannot say: {error}; take it out, or export it as prompty"
        ) from None
    return text, left_out
