"""Evidence of a test that nobody had to run: made of given answers by the real scorers, in a real store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stellwerk.evaluation import evidence, measuring
from stellwerk.evaluation.case import Answer, Case
from stellwerk.evaluation.scorers.registry import scoring
from stellwerk.store.store import Store

ABOUT = {
    "target": "sums@2 with writer@1",
    "simulated": False,
    "suite": "suite/sums@3",
    "split": "test",
    "repeats": 1,
    "limit": None,
    "subjects": ["prompt/sums@2", "model/writer@1"],
    "instruments": ["suite/sums@3"],
    "complete": True,
}


def evidence_of(folder: Path, asked: Sequence[tuple[Case, int, Answer]], **about: Any) -> evidence.Evidence:
    """What a test with these answers has kept."""
    store = Store(folder)
    store.create()
    writer = evidence.Writer(store)
    for case, repeat, answer in asked:
        judge = scoring(case.checks)
        scores = judge.score(case, answer)
        assert isinstance(scores, tuple)
        writer.add(case, judge.sample(case, repeat, answer, scores))
    counts = writer.close()
    outcome = {"about": {**ABOUT, **about}, "evidence": counts, "summary": measuring.summary(writer.columns)}
    return evidence.from_outcome(store, "3f2a91c0" * 8, "sums", "2026-11-22T10:00:00+00:00", outcome)
