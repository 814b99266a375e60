"""What the operations on models return."""

from __future__ import annotations

from pydantic import BaseModel


class ChatReport(BaseModel):
    """An answer."""


class ProbeReport(BaseModel):
    """What fixed questions showed."""


class Served(BaseModel):
    """How a server ended."""


class ModelList(BaseModel):
    """The models of a workspace."""
