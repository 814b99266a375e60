"""The audit of a judge: it judges what people have judged, each case in both orders, and is measured against them.

What it says is measured as it stands; nothing is tuned here, and the thresholds are part of the judge's version.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from stellwerk.errors import UserError
from stellwerk.evaluation.judges import asking, labelled, measuring, standing
from stellwerk.evaluation.judges.asking import Both
from stellwerk.evaluation.judges.measuring import Judged, Measure
from stellwerk.evaluation.judges.reports import AuditMeasure, JudgeAudit

if TYPE_CHECKING:
    from stellwerk.evaluation.judges.labelled import Case
    from stellwerk.evaluation.judges.standing import Judge
    from stellwerk.llm.chat import ChatClient
    from stellwerk.record.record import Version
    from stellwerk.run import Run


@dataclass(frozen=True)
class Answers:
    """What the judge said, with the cases that it was asked."""

    cases: Sequence[Case]
    said: Sequence[Both]

    @property
    def failed(self) -> int:
        """Calls that got no answer."""
        return sum(one.first.failed + one.second.failed for one in self.said)


def audit(run: Run, parameter: str) -> JudgeAudit:
    """Audit the judge that a parameter names.

    Raises:
        UserError: it names no labels, or they do not fit it.
    """
    version, judge = standing.take(run, parameter)
    labels = _labels(run, judge)
    cases = labelled.in_terms_of(labelled.read(run.store, labels), judge.spec, labels.ref)
    if not cases:
        raise UserError(f"{labels.ref} holds no case on which people agree, so {judge.name} cannot be compared with them")
    outcome = run.step(f"audit {judge.name}", ask, inputs=[version, labels], judge=version.ref, labels=labels.ref)
    return report(version, judge, labels, outcome)


def ask(run: Run, *, judge: str, labels: str) -> dict[str, Any]:
    """Step: ask the judge about every case in both orders, and measure."""
    version, people = run.record.resolve(judge, standing.KIND), run.record.resolve(labels, labelled.KIND)
    found = standing.of_version(run.workspace, version)
    cases = labelled.in_terms_of(labelled.read(run.store, people), found.spec, people.ref)
    before = run.money
    answers = Answers(cases, asyncio.run(_asked(run, found, cases)))
    judged = [_judged(found, case, both) for case, both in zip(cases, answers.said, strict=True)]
    numbers = measuring.measures(found.spec.form, judged, found.spec.bar, found.spec.scale, found.spec.thresholds)
    whole = answers.failed == 0
    missed = [_missed(one) for one in numbers if one.met is False]
    details = {"simulated": found.model_spec.simulated is not None, "missed": missed}
    passed = Measure("passed", float(measuring.passed(numbers)), None, None, len(cases))
    for one in (passed, *numbers):
        if one.name != "labels":
            run.measure(
                f"judge_{one.name}", one.value, n=one.n, low=one.low, high=one.high, unit="" if one is passed else "share",
                subjects=[version], instruments=[people], complete=whole, details=details if one is passed else None,
            )  # fmt: skip
    kept = run.store.put(json.dumps(_kept(found, cases, judged)).encode())
    spent = {currency: amount - before.get(currency, 0.0) for currency, amount in run.money.items()}
    return {
        "numbers": [[one.name, one.value, one.low, one.high, one.n, one.threshold, one.bound, one.met] for one in numbers],
        "passed": measuring.passed(numbers) and whole, "calls": 2 * len(cases), "failed": answers.failed, "verdicts": kept,
        "spent": spent if found.model_spec.price or found.model_spec.simulated is not None else None, "again": not whole,
    }  # fmt: skip


def report(version: Version, judge: Judge, labels: Version, outcome: dict[str, Any]) -> JudgeAudit:
    """The outcome of an audit, for people."""
    rows = [Measure(*row[:7]) for row in outcome["numbers"]]
    measures = [
        AuditMeasure(measure=m.name, value=m.value, low=m.low, high=m.high, n=m.n, bound=_bound(m), met=m.met) for m in rows
    ]
    missed = [_missed(one) for one in rows if one.met is False]
    if outcome["failed"]:
        said = f"{outcome['failed']} of {outcome['calls']} calls got no answer, so the audit is not whole; run it again"
    elif outcome["passed"]:
        said = f"{version.ref} passed and may judge"
    else:
        said = f"{version.ref} did not pass and may not judge: {'; '.join(missed)}"
    simulated = judge.model_spec.simulated is not None
    return JudgeAudit(
        judge=version.ref, model=judge.model, form=judge.spec.form, labels=labels.ref, passed=outcome["passed"],
        simulated=simulated, measures=measures, calls=outcome["calls"], failed_calls=outcome["failed"],
        cost=outcome["spent"], warnings=_warnings(judge, rows, simulated), message=said,
    )  # fmt: skip


def _labels(run: Run, judge: Judge) -> Version:
    """The version of what people said; a file of labels becomes one."""
    where = judge.spec.labels
    if where is None:
        raise UserError(
            f"judges/{judge.name}.yaml has no labels, so there is nothing to compare the judge with; add labels: with a study "
            "or a file"
        )
    if where.study is not None:
        name = where.study.removeprefix(f"{labelled.KIND}/").removeprefix("study/")
        if run.record.latest(labelled.KIND, name.partition("@")[0]) is None:
            raise UserError(f"the ratings of study {name} were not gathered yet; run: stellwerk evaluation agreement {name}")
        return run.record.resolve(name, labelled.KIND)
    assert where.file is not None
    content = labelled.keep(run.store, labelled.of_file(run.workspace, where.file, judge.spec))
    name = re.sub(r"[^\w-]+", "-", PurePath(where.file).name.partition(".")[0])[:80] or "labels"
    outcome = run.step(f"note labels {name}", note_file, name=f"{name}-file", content=content, file=PurePath(where.file).name)
    return run.version(outcome["version"])


def note_file(run: Run, *, name: str, content: str, file: str) -> dict[str, Any]:
    """Step: the version of a file of labels."""
    items = len(labelled.Labels.model_validate_json(run.store.get(content)).items)
    facts = {"items": items, "raters": None, "source": file}
    return {"version": run.output(labelled.KIND, name, identity={"items": content}, facts=facts, content={"items": content})}


async def _asked(run: Run, judge: Judge, cases: Sequence[Case]) -> list[Both]:
    """Ask about all cases, some at once; the answers come back in their order."""
    from stellwerk.llm.opening import open_model

    client = open_model(run.workspace, judge.model, judge.model_spec, run=run)
    room = asyncio.Semaphore(max(1, judge.model_spec.limits.at_once // 2))
    done = 0
    step = f"audit {judge.name}"

    async def one(case: Case) -> Both:
        nonlocal done
        async with room:
            found = await _both(client, judge, case)
        done += 1
        if done % 8 == 0 or done == len(cases):
            run.progress(step, done, len(cases), "cases")
        return found

    async with client, asyncio.TaskGroup() as group:
        waiting = [group.create_task(one(case)) for case in cases]
    return [task.result() for task in waiting]


async def _both(client: ChatClient, judge: Judge, case: Case) -> Both:
    item = case.item
    if judge.spec.form == "pairwise":
        return await asking.pair(client, judge.task, judge.params, item.question, *item.answers)
    return await asking.answer_twice(client, judge.task, judge.params, item.question, item.answers[0], item.expected)


def _judged(judge: Judge, case: Case, both: Both) -> Judged:
    own, families = judge.model_spec.family, [family.casefold() for family in case.item.families]
    mine = None if own is None or not families else families[0] == own.casefold()
    if mine and len(families) == 2 and families[1] == families[0]:
        mine = None  # both answers of a pair are of the judge's own family
    return Judged(case.human, both.first.verdict, both.second.verdict, tuple(len(text) for text in case.item.answers), mine)


def _kept(judge: Judge, cases: Sequence[Case], judged: Sequence[Judged]) -> dict[str, Any]:
    """The verdicts without any text, for corrections and for whoever wants to count again."""
    rows = [[case.item.id, one.human, one.straight, one.turned] for case, one in zip(cases, judged, strict=True)]
    return {"form": judge.spec.form, "bar": judge.spec.bar, "scale": list(judge.spec.scale), "verdicts": rows}


def _warnings(judge: Judge, rows: Sequence[Measure], simulated: bool) -> list[str]:
    found = [f"the model {judge.model} is simulated: its verdicts are made up by a plan and prove nothing"] if simulated else []
    own = next((one for one in rows if one.name == "own_family"), None)
    if own is not None and own.low is not None and own.low > 0:
        found.append(
            f"it likes answers of its own family {judge.model_spec.family} better than people do, by {own.value:.2f}; take a "
            "judge of another family"
        )
    return found


def _bound(one: Measure) -> str | None:
    return None if one.threshold is None else f"{one.bound} {one.threshold:g}"


def _missed(one: Measure) -> str:
    value = "not measured" if one.value is None else f"{one.value:.3g}"
    return f"{one.name} is {value}, {_bound(one)}"
