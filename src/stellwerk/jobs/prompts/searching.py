"""What the searches for better or cheaper wordings, and the comparisons, return."""

from __future__ import annotations

from pydantic import BaseModel


class PromptComparison(BaseModel):
    """Two wordings or models on the same cases."""


class Optimisation(BaseModel):
    """A search for a better wording."""


class Trimmed(BaseModel):
    """A search for a cheaper wording."""
