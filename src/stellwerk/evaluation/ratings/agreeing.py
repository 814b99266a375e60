"""How far people agree, and their ratings as a version that judges are audited with. People are numbered, never named."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from stellwerk.errors import UserError
from stellwerk.evaluation.judges import labelled
from stellwerk.evaluation.judges.labelled import Item, Labels
from stellwerk.evaluation.ratings import drawing, rating
from stellwerk.evaluation.ratings.reports import Agreement, PairAgreement, ValueCount
from stellwerk.record.journal import canonical

if TYPE_CHECKING:
    from stellwerk.evaluation.ratings.drawing import Things
    from stellwerk.evaluation.statistics.intervals import Interval
    from stellwerk.record.record import Record, Version
    from stellwerk.run import Run

TOLD = {"id", "question", "answers", "expected", "families", "case", "turned"}
FEWEST = 2  # things that two people have both rated, before anything is said of them
Rows = list[tuple[str, int, str]]  # item, number of the person, value


def agreement(run: Run, study: str) -> Agreement:
    """Gather a study's ratings and measure agreement.

    Raises:
        UserError: there is no such study, or nobody has rated.
    """
    version = rating.find(run.workspace, study)
    rows = gathered(run.record, version)
    if not rows:
        raise UserError(f"nobody has rated {version.ref} yet; people rate on the page /rate/{version.name}")
    kept = run.store.put(canonical(rows))
    name = f"gather {version.name}"
    outcome = run.step(name, gather, inputs=[version], study=version.ref, rows=kept)
    return Agreement.model_validate({**outcome["report"], "ratings": run.version(outcome["version"]).ref})


def gather(run: Run, *, study: str, rows: str) -> dict[str, Any]:
    """Step: the version of a study's ratings, with what was measured on it."""
    version = run.record.resolve(study, drawing.KIND)
    things = drawing.read(run.store, version)
    found: Rows = [(item, person, value) for item, person, value in _json(run.store.get(rows))]
    labels = keep(things, found)
    report = told(version, things, found)
    content = labelled.keep(run.store, labels)
    facts = {"items": report.rated, "raters": report.raters, "ratings": len(found), "source": version.ref}
    identity = {"study": version.id, "items": content}
    key = run.output(labelled.KIND, version.name, identity=identity, facts=facts, content={"items": content})
    run.measure("rater_alpha", report.alpha, n=report.several, low=report.alpha_low, high=report.alpha_high)
    run.measure("human_good", report.good, n=report.rated, low=report.good_low, high=report.good_high, unit="share")
    return {"version": key, "report": report.model_dump(mode="json", exclude={"ratings"})}


def gathered(record: Record, version: Version) -> Rows:
    """The ratings that count, with people as numbers in the order of their random ids."""
    latest = rating.ratings(record, version)
    people = {person: number for number, person in enumerate(sorted({person for _, person in latest}), 1)}
    return sorted((item, people[person], str(row["value"])) for (item, person), row in latest.items())


def keep(things: Things, rows: Rows) -> Labels:
    """The ratings with what was rated, in the one shape that audits read."""
    values: dict[str, list[str]] = defaultdict(list)
    for item, _, value in rows:
        values[item].append(value)
    items = tuple(Item(**t.model_dump(include=TOLD), values=tuple(values[t.id])) for t in things.things if t.id in values)
    return Labels(scale=things.study.scale, passes=things.study.passes, items=items)


def told(version: Version, things: Things, rows: Rows) -> Agreement:
    """The numbers, for people and for the record."""
    by_item: dict[str, dict[int, str]] = defaultdict(dict)
    for item, person, value in rows:
        by_item[item][person] = value
    people = sorted({person for _, person, _ in rows})
    several = [values for values in by_item.values() if len(values) > 1]
    alpha, good = _alpha(things, several), _good(things, by_item)
    counted = Counter(value for _, _, value in rows)
    return Agreement(
        study=version.ref, ratings="", items=len(things.things), rated=len(by_item), several=len(several), raters=len(people),
        alpha=_number(alpha, "value"), alpha_low=_number(alpha, "low"), alpha_high=_number(alpha, "high"),
        good=_number(good, "value"), good_low=_number(good, "low"), good_high=_number(good, "high"),
        values=[ValueCount(value=word, ratings=counted[word], share=counted[word] / len(rows)) for word in things.study.words],
        pairs=[pair for one, two in itertools.combinations(people, 2) if (pair := _pair(things, by_item, one, two))],
        message=_said(len(by_item), len(things.things), len(people), alpha),
    )  # fmt: skip


def _said(rated: int, total: int, people: int, alpha: Interval | None) -> str:
    who = "one person has" if people == 1 else f"{people} people have"
    begun = f"{who} rated {rated} of {total} things"
    if alpha is None or not math.isfinite(alpha.value):
        return f"{begun}; how far people agree cannot be said until two have rated the same things"
    return f"{begun}; agreement beyond chance is {alpha.value:.2f} (Krippendorff's alpha, 1 is full)"


def _alpha(things: Things, several: list[dict[int, str]]) -> Interval | None:
    if len(several) < FEWEST:
        return None
    from stellwerk.evaluation.statistics import agreement as measures

    people = sorted({person for values in several for person in values})
    places = {word: place for place, word in enumerate(things.study.words)}
    table = [[places[values[person]] if person in values else None for person in people] for values in several]
    graded = things.study.form == "scale" and len(places) > 2
    return measures.krippendorff(table, scale="ordinal" if graded else "nominal")


def _good(things: Things, by_item: dict[str, dict[int, str]]) -> Interval | None:
    """The share of things that most people call good; of pairs in which the second run's answer is better, a tie being half."""
    from stellwerk.evaluation.statistics import intervals

    study, shares = things.study, []
    for thing in things.things:
        values = list(by_item.get(thing.id, {}).values())
        if not values:
            continue
        if study.form == "pairs":
            second = "A" if thing.turned else "B"
            shares.append(sum(0.5 if value == "tie" else float(value == second) for value in values) / len(values))
        else:
            bar = study.scale.index(study.passes) if study.passes else (len(study.scale) + 1) // 2
            share = sum(study.scale.index(value) >= bar for value in values) / len(values)
            shares.append(float(share > 0.5) if share != 0.5 else 0.5)
    if not shares:
        return None
    return intervals.rate(shares) if set(shares) <= {0.0, 1.0} else intervals.mean(shares)


def _pair(things: Things, by_item: dict[str, dict[int, str]], one: int, two: int) -> PairAgreement | None:
    """How far two people agree on what both have rated; None where that is too little."""
    both = [(values[one], values[two]) for values in by_item.values() if one in values and two in values]
    if len(both) < FEWEST:
        return None
    from stellwerk.evaluation.statistics import agreement as measures

    places = {word: place for place, word in enumerate(things.study.words)}
    left, right = [places[a] for a, _ in both], [places[b] for _, b in both]
    graded = things.study.form == "scale" and len(places) > 2
    ac1 = measures.gwet(list(zip(left, right, strict=True)))
    kappa = measures.kappa(left, right, weighting="quadratic" if graded else None)
    return PairAgreement(
        first=one, second=two, n=len(both), same=sum(a == b for a, b in both) / len(both),
        ac1=_number(ac1, "value"), ac1_low=_number(ac1, "low"), ac1_high=_number(ac1, "high"),
        kappa=_number(kappa, "value"), kappa_low=_number(kappa, "low"), kappa_high=_number(kappa, "high"),
    )  # fmt: skip


def _number(found: Interval | None, name: str) -> float | None:
    value = None if found is None else float(getattr(found, name))
    return value if value is not None and math.isfinite(value) else None


def _json(raw: bytes) -> Any:
    import orjson

    return orjson.loads(raw)
