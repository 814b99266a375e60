"""Several systems in order: Bradley-Terry strengths from who beat whom, with an interval for each rank.

Knows arrays only. Ties are half a win for both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stellwerk.evaluation.statistics.bootstrap import merged, redrawn
from stellwerk.evaluation.statistics.clusters import Clusters, Floats, codes
from stellwerk.evaluation.statistics.intervals import normal, student

DRAWS = 1000
PRIOR = 0.5
"""A tie of this weight between all that met: it keeps a system that always won from being infinitely strong."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a system stands.

    Attributes:
        system: its column.
        strength: log odds against the average of all; low, high: its interval, valid for all systems at once;
            infinite for a single case or cluster.
        rank: from 1; best, worst: the ranks that it may have, so that all are right together in 95 % of all tests.
        wins, ties, losses: over all other systems and cases.
    """

    system: int
    strength: float
    low: float
    high: float
    rank: int
    best: int
    worst: int
    wins: int
    ties: int
    losses: int


def ranked(
    scores: Floats,
    clusters: Clusters | None = None,
    *,
    draws: int = DRAWS,
    level: float = 0.95,
    seed: int = 0,
    prior: float = PRIOR,
) -> list[Place]:
    """Rank systems by Bradley-Terry, the best first.

    On each case each pair of systems that both have a score is a match. Cases (or clusters) are drawn again for the
    intervals; the differences of all pairs are bounded at once (the largest studentised one), and a rank counts the
    systems that are surely better or worse (Mogstad, Romano, Shaikh and Wilhelm 2024).

    Args:
        scores: shape (cases, systems); `nan` where a system has none.
        clusters: of each case.

    Raises:
        ValueError: if there are less than two systems, or two groups of systems never met.
    """
    if scores.ndim != 2 or scores.shape[1] < 2:
        raise ValueError("expected the scores of at least two systems")
    won = matches(scores, clusters)
    met = _met(won.sum(axis=0))
    # One more win of half weight on either side, drawn as cases are: who always won has not won surely.
    rows = np.concatenate([won, [np.triu(met) / 2, np.tril(met) / 2]])
    total = rows.sum(axis=0)
    theta = fit(total, prior)
    drawn = redrawn(merged(rows.reshape(len(rows), -1)), draws, seed)
    again = _fit_all(drawn.reshape(draws, *total.shape), prior, met)
    # Drawing again says too little of the spread of few cases; Student's t against the normal distribution makes up for it.
    few = student(level, max(1, len(won) - 1)) / normal(level)
    sure, reach = _surely(theta, again, level, few)
    if len(won) < 2:
        sure, reach = np.zeros_like(sure), np.full_like(reach, np.inf)
    order = np.argsort(-theta, kind="stable")
    rank = np.empty(len(theta), dtype=int)
    rank[order] = np.arange(1, len(theta) + 1)
    tally = _tally(scores)
    return [
        Place(
            int(i), float(theta[i]), float(theta[i] - reach[i]), float(theta[i] + reach[i]), int(rank[i]),
            1 + int(sure[:, i].sum()), len(theta) - int(sure[i].sum()), *tally[int(i)],
        )
        for i in order
    ]  # fmt: skip


def matches(scores: Floats, clusters: Clusters | None = None) -> Floats:
    """Wins by cluster: [g, i, j] is how often i beat j in cluster g, ties as half; shape (clusters, systems, systems)."""
    groups = codes(clusters, len(scores))
    count, systems = int(groups.max()) + 1, scores.shape[1]
    out = np.zeros((count, systems, systems))
    for i in range(systems):
        for j in range(systems):
            if i != j:
                points = (scores[:, i] > scores[:, j]) + 0.5 * (scores[:, i] == scores[:, j])
                out[:, i, j] = np.bincount(groups, weights=points, minlength=count)
    return out


def fit(wins: Floats, prior: float = PRIOR) -> Floats:
    """Bradley-Terry strengths, mean 0: P(i beats j) = 1 / (1 + exp(strength j - strength i)), by Newton's method.

    Args:
        wins: [i, j] how often i beat j, ties as half, shape (systems, systems).
        prior: weight of a tie between all that met; 0 for the likelihood alone.

    Raises:
        ValueError: if two groups of systems never met, or without a prior one group was never beaten by the other.
    """
    met = _met(wins)
    edges = met if prior > 0 else wins > 0
    for links in (edges, edges.T):
        if not _reaches_all(links):
            raise ValueError("two groups of systems never met, or one always won: they cannot be ranked together")
    return np.asarray(_fit_all(wins[None], prior, met)[0])


def _met(wins: Floats) -> NDArray[np.bool_]:
    return np.asarray(wins + wins.T > 0)


def _reaches_all(links: NDArray[np.bool_]) -> bool:
    seen = np.zeros(len(links), dtype=bool)
    seen[0] = True
    for _ in range(len(links)):
        seen = seen | (links & seen[:, None]).any(axis=0)
    return bool(seen.all())


def _fit_all(wins: Floats, prior: float, met: NDArray[np.bool_]) -> Floats:
    """Many fits at once, shape (fits, systems, systems) to (fits, systems)."""
    points = wins + prior / 2 * met
    played = points + points.transpose(0, 2, 1)
    systems = wins.shape[1]
    theta = np.zeros(wins.shape[:2])
    for _ in range(100):
        chance = 1 / (1 + np.exp(np.clip(theta[:, None, :] - theta[:, :, None], -500, 500)))
        slope = (points - played * chance).sum(axis=2)
        weight = played * chance * (1 - chance)
        bend = -weight
        diagonal = np.arange(systems)
        bend[:, diagonal, diagonal] = weight.sum(axis=2) - weight[:, diagonal, diagonal]
        step = np.linalg.solve(bend + 1 / systems, slope[..., None])[..., 0]
        step = np.clip(step, -2, 2)
        theta = theta + step - step.mean(axis=1, keepdims=True)
        if np.abs(step).max() < 1e-11:
            break
    return theta


def _surely(theta: Floats, again: Floats, level: float, few: float) -> tuple[NDArray[np.bool_], Floats]:
    """[i, j]: whether i is surely stronger than j, all pairs at once; and the reach of each strength's own interval."""
    gaps = theta[:, None] - theta[None, :]
    moved = again[:, :, None] - again[:, None, :] - gaps
    spread = moved.std(axis=0)
    ratio = np.abs(moved) / np.where(spread > 0, spread, np.inf)
    bar = few * float(np.quantile(ratio.max(axis=(1, 2)), level))
    own = again - theta
    error = own.std(axis=0)
    most = few * float(np.quantile((np.abs(own) / np.where(error > 0, error, np.inf)).max(axis=1), level))
    return np.asarray((gaps > bar * spread) & (spread > 0)), np.asarray(most * error)


def _tally(scores: Floats) -> list[tuple[int, int, int]]:
    """Wins, ties and losses of each system."""
    out = []
    for i in range(scores.shape[1]):
        others = np.delete(scores, i, axis=1)
        mine = scores[:, i : i + 1]
        out.append((int((mine > others).sum()), int((mine == others).sum()), int((mine < others).sum())))
    return out
