"""What a judge's verdicts say once its known mistakes are taken out; a raw share of passes is the judge's opinion, no more.

By its audit: sensitivity and specificity, after Rogan and Gladen. By people's labels on some of the very cases that were
tested: prediction-powered inference, which holds whatever the judge is like. Both come with an interval that is wider than the
raw one, and rightly so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import select

from stellwerk.errors import UserError
from stellwerk.evaluation.judges import labelled, standing
from stellwerk.record import tables

if TYPE_CHECKING:
    from stellwerk.evaluation.statistics.intervals import Interval
    from stellwerk.record.record import Record, Version
    from stellwerk.store.store import Store

OF_ANSWERS = ("sensitivity", "specificity")


def by_audit(record: Record, judge: Version, verdicts: Sequence[bool]) -> Interval | None:
    """The true share of passes, from a judge's verdicts and the last audit of its version.

    Args:
        record: that holds the audit.
        judge: the version that judged.
        verdicts: that could be read.

    Returns:
        None where the audit says nothing of it: a judge of pairs, or one no better than chance.
    """
    from stellwerk.evaluation.statistics import correction

    audit = standing.last_audit(record, judge)
    if audit is None or not verdicts:
        return None
    counts = [_count(record, audit, judge, name) for name in OF_ANSWERS]
    right, wrong = counts
    if right is None or wrong is None or right[0] / right[1] + wrong[0] / wrong[1] <= 1:
        return None
    return correction.rogan_gladen(sum(verdicts), len(verdicts), right, wrong)


def by_people(store: Store, ratings: Version, judged: Mapping[str, float]) -> Interval:
    """The mean of what people would say of all cases, from a judge's scores of all and people's of some.

    Args:
        store: that holds the ratings.
        ratings: a version of kind `ratings` of a study on the same run, whose things were drawn by chance from its cases.
        judged: the judge's score of each case, 0 to 1; of a pair 1 where the second run's answer is better. NaN where there
            is none; such cases are left out.

    Raises:
        UserError: people have rated fewer than two of these cases.
    """
    from stellwerk.evaluation.statistics import correction

    labels = labelled.read(store, ratings)
    judged = {case: value for case, value in judged.items() if math.isfinite(value)}
    people = {item.case: labelled.share(labels, item) for item in labels.items if item.case in judged}
    if sum(value is not None for value in people.values()) < 2:
        raise UserError(
            f"{ratings.ref} says nothing of at least two of the cases that were judged; rate answers of this very run"
        )
    return correction.ppi_mean(list(judged.values()), [people.get(case) for case in judged])


def _count(record: Record, audit: Mapping[str, object], judge: Version, name: str) -> tuple[int, int] | None:
    """How many cases the judge got right of those of one kind, in the same audit."""
    link, row = tables.measured.c, tables.measurement.c
    on = select(link.measurement).where(link.version == judge.id, link.role == "subject")
    found = record.rows(tables.measurement, row.id.in_(on), row.metric == f"judge_{name}", row.step == audit["step"])
    if not found or found[0]["value"] is None or not found[0]["n"]:
        return None
    return round(found[0]["value"] * found[0]["n"]), int(found[0]["n"])
