"""The errors that a person sees: one sentence, and the exit code of the command line."""

from __future__ import annotations

import traceback
from pathlib import Path


class StellwerkError(Exception):
    """Something went wrong that is said in one sentence, without a traceback."""

    exit_code = 3


class UserError(StellwerkError):
    """The user's mistake: the sentence names the file, line or field, what was expected and the way out."""

    exit_code = 2


class MissingExtra(UserError):
    """An operation needs packages that the base install leaves out."""

    def __init__(self, extra: str, package: str) -> None:
        super().__init__(
            f"This needs the package {package}, which is not installed; install it with: pip install 'stellwerk[{extra}]'"
        )


def where(error: BaseException) -> str:
    """An unexpected error without what it says, which may quote the data: its type and the place in our code."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = next((frame for frame in reversed(frames) if "stellwerk" in frame.filename), None)
    place = f" in {Path(ours.filename).name}, line {ours.lineno}" if ours else ""
    return f"{type(error).__name__}{place}"
