"""A prompt's file becomes a version: the state that is measured, compared, bound and released."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

if TYPE_CHECKING:
    from stellwerk.run import Run


class Registered(BaseModel):
    """The version of a prompt's file."""

    prompt: str = Field(description="such as prompt/reply@3")
    digest: str
    new: bool = Field(description="whether there was no such version before")


def register(run: Run) -> Registered:
    """Note the version that the file is now.

    Args:
        run: of the operation `prompts register`.
    """
    from stellwerk.llm import prompts

    version, _ = prompts.take(run, "prompt")
    return Registered(prompt=version.ref, digest=version.digest, new=version.run == run.id)
