"""What the operations of the prompt engineer return."""

from __future__ import annotations

from pydantic import BaseModel


class TryReport(BaseModel):
    """One answer, nothing measured."""


class Rendered(BaseModel):
    """The messages of a prompt."""


class PromptDiff(BaseModel):
    """What differs between two versions."""


class Library(BaseModel):
    """The prompts of a workspace."""


class PromptImported(BaseModel):
    """What was imported."""


class PromptExported(BaseModel):
    """What was written."""


class Saved(BaseModel):
    """A prompt's file that was written."""


class Promotion(BaseModel):
    """An alias that was moved, or why not."""
