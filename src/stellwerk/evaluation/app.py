"""What a person writes in `apps/NAME.yaml`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from stellwerk.specfile import parse

FOLDER = "apps"


class AppSpec(BaseModel):
    """The file as a whole."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def read(text: str, file: str) -> AppSpec:
    """Check a file.

    Raises:
        UserError: one sentence, with its line, for each mistake.
    """
    return parse(text, file).check(AppSpec)
