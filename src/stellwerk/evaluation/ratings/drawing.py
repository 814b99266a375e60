"""Draws what people are to rate, blind: which run an answer comes from is nowhere to be seen, and each person has an order.

Which things are drawn follows from the seed and their names alone, so that the same study draws the same again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from stellwerk.errors import UserError
from stellwerk.evaluation.ratings.reports import StudyReport
from stellwerk.evaluation.ratings.spec import StudySpec
from stellwerk.record.journal import canonical

if TYPE_CHECKING:
    from stellwerk.record.record import Version
    from stellwerk.run import Run
    from stellwerk.store.store import Store
    from stellwerk.workspace import Workspace

KIND = "study"


class Thing(BaseModel):
    """One thing to rate, as it lies in the store.

    Attributes:
        id: its number in the study.
        case: that it is about.
        answers: one, or those that are shown as A and B.
        turned: whether A is the answer of the second run.
        families: of the models that answered, in the order of the answers.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    case: str
    question: str
    answers: tuple[str, ...]
    expected: str | None = None
    turned: bool = False
    families: tuple[str, ...] = ()


class Things(BaseModel):
    """All that is rated in a study, in the words of its file."""

    model_config = ConfigDict(frozen=True)

    study: StudySpec
    things: tuple[Thing, ...]


@dataclass(frozen=True)
class _Found:
    """What can be drawn: case, question, expected, answers."""

    case: str
    question: str
    expected: str | None
    answers: tuple[str, ...]
    families: tuple[str, ...] = ()


def draw(run: Run, parameter: str) -> StudyReport:
    """Draw a study's things.

    Raises:
        UserError: there is nothing to draw.
    """
    try:
        spec = run.spec(parameter).check(StudySpec)
    except KeyError:  # it names a version, which was drawn before
        version = run.asset(parameter, KIND, note)
        return _report(run, version, read(run.store, version), 0, 0)
    found = list(_candidates(run.workspace, spec))
    different = [one for one in found if len(one.answers) == 1 or one.answers[0] != one.answers[1]]
    if not different:
        where = spec.file or " and ".join(spec.of)
        how = "answered differently" if found else "answered"
        raise UserError(f"{where} holds nothing to rate; name runs whose calls were {how}")
    drawn = sorted(different, key=lambda one: _lot(spec.seed, one.case))[: spec.items]
    sides = sorted(drawn, key=lambda one: _lot(spec.seed, "side", one.case))
    turned = {one.case for one in sides[: len(sides) // 2]}  # half of them, and no rater can tell which
    things = Things(
        study=spec, things=tuple(_thing(spec, place, one, one.case in turned) for place, one in enumerate(drawn, 1))
    )
    kept = run.store.put(canonical(things.model_dump(mode="json")))
    version = run.asset(parameter, KIND, note, inputs=_subjects(run, spec), things=kept)
    return _report(run, version, things, len(found), len(found) - len(different))


def note(run: Run, *, name: str, file: str, content: str, things: str = "") -> dict[str, Any]:
    """Step: the version of a study: its words, and what was drawn."""
    found = Things.model_validate_json(run.store.get(things))
    facts = {"items": len(found.things), "form": found.study.form, "words": list(found.study.words)}
    return {
        "version": run.output(KIND, name, identity={"things": things}, facts=facts, content={"text": content, "things": things})
    }


def read(store: Store, version: Version) -> Things:
    """What is rated in a study."""
    return Things.model_validate_json(store.get(version.content["things"]))


def order(version: Version, person: str, things: Sequence[Thing]) -> list[Thing]:
    """The order in which a person rates, another one for each, so that no thing is always the last."""
    return sorted(things, key=lambda thing: _lot(version.id, person, thing.id))


def _thing(spec: StudySpec, place: int, found: _Found, turned: bool) -> Thing:
    turned = turned and len(found.answers) == 2
    shown, families = (found.answers[::-1], found.families[::-1]) if turned else (found.answers, found.families)
    expected = found.expected if spec.expected else None
    return Thing(
        id=str(place),
        case=found.case,
        question=found.question,
        answers=shown,
        expected=expected,
        turned=turned,
        families=families,
    )


def _lot(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode(errors="replace")).hexdigest()


def _candidates(workspace: Workspace, spec: StudySpec) -> Iterator[_Found]:
    if spec.file is not None:
        yield from _of_file(workspace, spec, spec.file)
        return
    from stellwerk.evaluation import evidence

    tests = [evidence.of(workspace, reference) for reference in spec.of]
    families = tuple(family for test in tests if (family := _family(workspace, test.about["subjects"])))
    families = families if len(families) == len(tests) else ()
    others = [{s.case: s for s in test.samples() if s.repeat == 0 and not s.answer.is_error} for test in tests[1:]]
    for sample in tests[0].samples():
        if sample.repeat != 0 or sample.answer.is_error or any(sample.case not in other for other in others):
            continue
        answers = (sample.answer.text, *(other[sample.case].answer.text for other in others))
        expected = None if sample.expected is None else str(sample.expected)
        yield _Found(sample.case, _question(sample), expected, answers, families)


def _question(sample: Any) -> str:
    """What was asked: the inputs, for the prompt around them may differ between two runs and tell them apart."""
    lines = [f"{name}: {value}" if len(sample.inputs) > 1 else str(value) for name, value in sample.inputs.items()]
    return "\n\n".join(lines) or sample.description or sample.case


def _of_file(workspace: Workspace, spec: StudySpec, name: str) -> Iterator[_Found]:
    from stellwerk.evaluation.judges.labelled import keyed_rows

    wanted = ("question", "first", "second") if spec.form == "pairs" else ("question", "answer")
    for _, key, row in keyed_rows(workspace, name, wanted):
        yield _Found(key, str(row["question"]), row.get("expected") or None, tuple(str(row[column]) for column in wanted[1:]))


def _family(workspace: Workspace, subjects: Sequence[str]) -> str | None:
    versions = [workspace.record.resolve(reference) for reference in subjects]
    return next((v.facts["family"] for v in versions if v.kind == "model" and v.facts.get("family")), None)


def _subjects(run: Run, spec: StudySpec) -> list[Version]:
    """The versions whose answers are rated."""
    from stellwerk.evaluation import evidence

    names = [name for reference in spec.of for name in evidence.of(run.workspace, reference).about["subjects"]]
    return [run.record.resolve(name) for name in dict.fromkeys(names)]


def _report(run: Run, version: Version, things: Things, found: int, alike: int) -> StudyReport:
    raters, number = things.study.raters, len(things.things)
    said = f"{version.ref}: {number} things to rate; people rate at /rate/{version.name}"
    return StudyReport(
        study=version.ref, form=things.study.form, items=number, found=found or number, alike=alike,
        raters=len(raters) if raters is not None else None, address=f"/rate/{version.name}", message=said,
    )  # fmt: skip
