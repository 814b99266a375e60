"""Prompts in the record: a version is made of a file's text, and read from one.

The version's identity is the prompt's; its text, with all that only describes it, lies in the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stellwerk.llm.prompts.promptfile import FOLDER, SUFFIX, Prompt, read
from stellwerk.specfile import read_text

if TYPE_CHECKING:
    from stellwerk.record.record import Version
    from stellwerk.run import Run
    from stellwerk.workspace import Workspace

KIND = "prompt"


def take(run: Run, parameter: str) -> tuple[Version, Prompt]:
    """The prompt that a parameter of a run names, as a version: of its file as it was when the run was submitted.

    Args:
        run: at work, outside a step.
        parameter: its name, such as `prompt`.

    Raises:
        UserError: there is none, or its file is wrong.
    """
    version = run.asset(parameter, KIND, note)
    return version, prompt_of(run.workspace, version)


def note(run: Run, *, name: str, file: str, content: str) -> dict[str, str]:
    """Step: make a version of a file's text."""
    prompt = read(run.store.get(content).decode(), file)
    facts = {**prompt.facts, "inputs": [one.name for one in prompt.inputs], "file": file}
    return {"version": run.output(KIND, name, identity=prompt.identity, content={"text": content}, facts=facts)}


def prompt_of(workspace: Workspace, version: Version) -> Prompt:
    """The prompt of a version."""
    return read(text_of(workspace, version), f"{FOLDER}/{version.name}{SUFFIX}")


def text_of(workspace: Workspace, version: Version) -> str:
    """The file's text of a version."""
    return workspace.store.get(version.content["text"]).decode()


def of(workspace: Workspace, reference: str) -> Prompt:
    """The prompt that a reference names: `reply` is the file as it is now, `reply@3` a version, `reply@production` an alias.

    Raises:
        UserError: there is none, or its file is wrong.
    """
    return find(workspace, reference)[0]


def find(workspace: Workspace, reference: str) -> tuple[Prompt, str, str]:
    """The prompt that a reference names, the text of its file, and what it is called: the file's or the version's name.

    Raises:
        UserError: there is none, or its file is wrong.
    """
    name = reference.removeprefix(f"{KIND}/")
    known = workspace.specs(FOLDER, SUFFIX)
    if "@" not in name and (name in known or workspace.record.latest(KIND, name) is None):
        path = workspace.spec_path(FOLDER, name, SUFFIX)
        text, called = read_text(path), f"{FOLDER}/{path.name}"
        return read(text, called), text, called
    version = workspace.record.resolve(reference, KIND)
    text = text_of(workspace, version)
    return read(text, f"{FOLDER}/{version.name}{SUFFIX}"), text, version.ref
