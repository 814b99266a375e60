"""What the operations on ratings return."""

from __future__ import annotations

from pydantic import BaseModel


class StudyReport(BaseModel):
    """A study that was drawn.

    Attributes:
        found: things that could have been drawn.
        alike: pairs that were left out, since both answers were the same.
        address: of the page where people rate.
    """

    study: str
    form: str
    items: int
    found: int
    alike: int
    raters: int | None
    address: str
    message: str


class NextItem(BaseModel):
    """The next thing to rate; without an item there is nothing left.

    Attributes:
        item: its number in the study.
        asked: what was asked for.
        answers: one, or A and B.
        words: to choose from.
        rated: what you said of it before.
        comment: what you wrote beside it before.
        place: of this item in your order, from 1.
    """

    study: str
    item: str | None
    question: str
    criteria: str | None
    asked: str | None
    expected: str | None
    answers: list[str]
    words: list[str]
    rated: str | None = None
    comment: str | None = None
    place: int | None = None
    before: str | None = None
    after: str | None = None
    done: int
    total: int
    message: str


class Rated(BaseModel):
    """A rating that was noted."""

    study: str
    item: str
    value: str
    replaced: bool
    done: int
    total: int
    message: str


class ValueCount(BaseModel):
    """How often something was said."""

    value: str
    ratings: int
    share: float


class PairAgreement(BaseModel):
    """How far two raters agree; they are numbered, not named."""

    first: int
    second: int
    n: int
    same: float
    ac1: float | None
    ac1_low: float | None
    ac1_high: float | None
    kappa: float | None
    kappa_low: float | None
    kappa_high: float | None


class Agreement(BaseModel):
    """How far people agree.

    Attributes:
        ratings: the version that judges are audited with.
        several: things that two people or more have rated.
        alpha: Krippendorff's alpha, 1 for full agreement, 0 for none beyond chance; None where it cannot be said.
        good: share of things that most people call good; of pairs, those in which the second run's answer is better, a tie
            being half. Pairs that were alike are not among them.
    """

    study: str
    ratings: str
    items: int
    rated: int
    several: int
    raters: int
    alpha: float | None
    alpha_low: float | None
    alpha_high: float | None
    good: float | None
    good_low: float | None
    good_high: float | None
    values: list[ValueCount]
    pairs: list[PairAgreement]
    message: str
