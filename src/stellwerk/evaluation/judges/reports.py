"""What an audit of a judge returns."""

from __future__ import annotations

from pydantic import BaseModel


class AuditMeasure(BaseModel):
    """One number of an audit.

    Attributes:
        low: lower bound of the 95 % interval.
        high: upper bound of the 95 % interval.
        n: cases that it rests on.
        bound: what is asked of it, such as `at least 0.8`; None for one that is only shown.
        met: whether it is.
    """

    measure: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    bound: str | None
    met: bool | None


class JudgeAudit(BaseModel):
    """An audit: the judge's version, whether it may judge, and every number with its interval.

    Attributes:
        labels: the version of what people said.
        calls: to the judge's model, or to what was kept of it.
        cost: by currency; None where it is unknown.
        warnings: that a reader should know, a sentence each.
    """

    judge: str
    model: str
    form: str
    labels: str
    passed: bool
    simulated: bool
    measures: list[AuditMeasure]
    calls: int
    failed_calls: int
    cost: dict[str, float] | None
    warnings: list[str]
    message: str
