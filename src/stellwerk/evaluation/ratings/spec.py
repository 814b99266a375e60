"""What a person writes in `studies/NAME.yaml`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from stellwerk.specfile import parse

FOLDER = "studies"


class StudySpec(BaseModel):
    """The file as a whole."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def read(text: str, file: str) -> StudySpec:
    """Check a file.

    Raises:
        UserError: one sentence, with its line, for each mistake.
    """
    return parse(text, file).check(StudySpec)
