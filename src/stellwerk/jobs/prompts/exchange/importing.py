"""Prompts of another tool become files of our own, and the tests of a promptfoo configuration a suite."""

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
from stellwerk.specfile import parse, read_text
from stellwerk.workspace import NAME, write_text

if TYPE_CHECKING:
    from stellwerk.evaluation.reports import Imported
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
    suite = _suite(workspace, file, name, overwrite=overwrite) if format == "promptfoo" else None
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
    left_out = [said for one in found for said in one.left_out] + (suite.left_out if suite else [])
    return PromptImported(
        prompts=done, suite=suite.suite if suite else None, cases=suite.cases if suite else None,
        left_out=list(dict.fromkeys(left_out)),
    )  # fmt: skip


def _suite(workspace: Workspace, file: Path, name: str | None, *, overwrite: bool) -> Imported | None:
    """The suite of a configuration's tests; None where the file is no configuration, or has none."""
    from stellwerk.evaluation.exchange import importing

    try:
        value = parse(read_text(file), file.name).value
    except UserError:
        return None  # a chat as another format has it, which was read before
    if not isinstance(value, dict) or not (value.get("tests") or value.get("scenarios")):
        return None
    return importing.import_suite(workspace, file, name or _stem(file), "promptfoo", overwrite=overwrite)


def _stem(file: Path) -> str:
    """A name that a file of another tool gives what it holds."""
    return re.sub(r"[^\w-]+", "-", file.name.split(".")[0]).strip("-") or "prompt"


def read(text: str, file: Path, format: str, name: str | None = None) -> list[Foreign]:
    """The prompts of a file's text.

    Raises:
        UserError: it holds none, or what ours cannot say.
    """
    from stellwerk.jobs.prompts.exchange import chats, dotprompt, othersprompty

    fallback = name or _stem(file)
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
