"""Prompts of another tool become files of our own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from stellwerk.errors import UserError, where
from stellwerk.jobs.prompts.exchange.foreign import Foreign
from stellwerk.jobs.prompts.exchange.pieces import CannotSay
from stellwerk.jobs.prompts.reports import ImportedPrompt, PromptImported
from stellwerk.llm.prompts import FOLDER, SUFFIX
from stellwerk.llm.prompts.writing import write
from stellwerk.specfile import read_text
from stellwerk.workspace import NAME, write_text

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace


def import_prompts(
    workspace: Workspace, file: Path, format: str, name: str | None = None, *, overwrite: bool = False
) -> PromptImported:
    """Write the prompts of a file below prompts/.

    Args:
        workspace: that gets them.
        file: of the other tool.
        format: prompty, dotprompt, promptfoo, langfuse or mlflow.
        name: of the prompt; its own or that of the file if left out.
        overwrite: replace prompts of that name.

    Raises:
        UserError: the file holds no such prompt, or what ours cannot say, or a prompt of the name is there.
    """
    found = read(read_text(file), file, format, name)
    names = [one.prompt.name for one in found]
    for one in names:
        if not NAME.fullmatch(one):
            raise UserError(f"{file.name}: {one[:60]!r} is no name of a prompt; give another with name")
        if names.count(one) > 1:
            raise UserError(f"{file.name} holds several prompts of the name {one!r}; import them from files of their own")
        if (workspace.root / FOLDER / f"{one}{SUFFIX}").exists() and not overwrite:
            raise UserError(f"{FOLDER}/{one}{SUFFIX} is already there; give another name, or --overwrite")
    (workspace.root / FOLDER).mkdir(exist_ok=True)
    done = []
    for foreign in found:
        place = workspace.root / FOLDER / f"{foreign.prompt.name}{SUFFIX}"
        write_text(place, write(foreign.prompt))
        done.append(
            ImportedPrompt(
                prompt=f"prompt/{foreign.prompt.name}", file=f"{FOLDER}/{place.name}", messages=len(foreign.prompt.messages),
                inputs=[one.name for one in foreign.prompt.inputs],
            )
        )  # fmt: skip
    return PromptImported(prompts=done, left_out=list(dict.fromkeys(said for one in found for said in one.left_out)))


def read(text: str, file: Path, format: str, name: str | None = None) -> list[Foreign]:
    """The prompts of a file's text.

    Raises:
        UserError: it holds none, or what ours cannot say.
    """
    from stellwerk.jobs.prompts.exchange import chats, dotprompt, othersprompty

    fallback = name or re.sub(r"[^\w-]+", "-", file.name.split(".")[0]).strip("-") or "prompt"
    try:
        match format:
            case "prompty":
                return othersprompty.read_other(text, file.name, fallback)
            case "dotprompt":
                return dotprompt.read(text, file.name, fallback)
            case "promptfoo":
                return chats.read_promptfoo(text, file.name, fallback, file.parent)
            case "langfuse":
                return chats.read_langfuse(text, file.name, name, fallback)
            case _:
                return chats.read_mlflow(text, file.name, name, fallback)
    except CannotSay as error:
        raise UserError(f"{file.name} holds what our prompts do not: {error}; write that part anew") from None
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        # What other tools write may be cut, changed by hand or made to do harm: its parts can be of any kind.
        raise UserError(f"{file.name} is not as {format} writes it ({where(error)}); export it anew") from None
