"""What the operations on ratings return."""

from __future__ import annotations

from pydantic import BaseModel


class StudyReport(BaseModel):
    """A study."""


class NextItem(BaseModel):
    """The next thing to rate."""


class Rated(BaseModel):
    """A rating that was noted."""


class Agreement(BaseModel):
    """How far people agree."""
