"""The wordings that a search has looked at, which of them none beats in everything, and which one it takes.

Knows numbers and texts. It asks nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

Origin = Literal["seed", "gepa", "paraphrase", "trim", "few_shot", "shorter"]


@dataclass(frozen=True)
class Candidate:
    """A wording that was asked on all cases that choose.

    Attributes:
        number: from 0, the seed, on.
        parent: the number of the wording that it was made from.
        score: mean score on the cases that choose, from 0 to 1.
        unwanted: cases of these with an unwanted output.
        tokens: of the prompt before values are put in, without examples.
        calls: that had been made when it was found.
        examples: how many examples are shown with it.
    """

    number: int
    origin: Origin
    parent: int | None
    text: str
    score: float
    unwanted: int
    tokens: int
    calls: int
    examples: int = 0
    frontier: bool = False


def marked(found: Sequence[Candidate]) -> list[Candidate]:
    """The candidates, those marked that no other one beats in score, unwanted outputs and tokens together."""
    return [replace(c, frontier=not any(_beats(other, c) for other in found)) for c in found]


def best(found: Sequence[Candidate], seed: Candidate) -> Candidate:
    """The one with the highest score that has no more unwanted outputs than the seed; of equal ones the shortest."""
    allowed = [c for c in found if c.unwanted <= seed.unwanted]
    return max(allowed, key=lambda c: (c.score, -c.tokens, -c.number), default=seed)


def _beats(first: Candidate, second: Candidate) -> bool:
    ours = (first.score, -first.unwanted, -first.tokens)
    theirs = (second.score, -second.unwanted, -second.tokens)
    return ours != theirs and all(a >= b for a, b in zip(ours, theirs, strict=True))
