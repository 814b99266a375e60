"""What the operations on suites and samples return."""

from __future__ import annotations

from pydantic import BaseModel


class SuiteReport(BaseModel):
    """A suite version."""


class CasePage(BaseModel):
    """Some cases of a suite."""


class TestReport(BaseModel):
    """A test."""

    failed: int = 0


class SamplePage(BaseModel):
    """Some samples of a test."""


class Compared(BaseModel):
    """Two tests, case by case."""


class Power(BaseModel):
    """How many cases it needs."""


class Ranking(BaseModel):
    """Several tests in order."""


class Imported(BaseModel):
    """What was imported."""


class Exported(BaseModel):
    """What was written."""
