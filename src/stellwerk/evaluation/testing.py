"""A test as a step of a run: asks a target the cases of a suite, keeps what it saw, and notes what was measured.

`judged` is what every search and comparison builds on. The step is taken from the record when nothing it depends on has
changed, and asked again while calls had failed; replies that a killed run had paid for are found in the cache of replies.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from stellwerk.errors import UserError
from stellwerk.evaluation import engine, evidence, measuring, targets
from stellwerk.evaluation.case import Case
from stellwerk.evaluation.evidence import Evidence
from stellwerk.evaluation.reports import TestReport
from stellwerk.evaluation.target import PromptTarget, Target
from stellwerk.llm import prices
from stellwerk.record import lineage, tables
from stellwerk.record.record import Version

if TYPE_CHECKING:
    from stellwerk.evaluation.suites.suite import Suite
    from stellwerk.llm.prompts.promptfile import Prompt
    from stellwerk.run import Run

COUNTED = ("test", "all")  # splits whose measurements may count for a gate
AT_ONCE = 1024  # calls in flight at most; each target says how many it can take
NAME = 100  # characters of a step's name in the record

_suites: WeakKeyDictionary[Run, dict[str, Suite]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Judged:
    """A test that was done, or taken from the record.

    Attributes:
        evidence: its samples and numbers.
        report: for people.
    """

    evidence: Evidence
    report: TestReport


def test_prompt(run: Run, *, split: str, repeats: int, limit: int | None) -> TestReport:
    """Test the prompt of the parameter `prompt` with the model of `model` on the suite of `suite`."""
    from stellwerk.evaluation import suites
    from stellwerk.llm import models, prompts

    prompt, text = prompts.take(run, "prompt")
    suite, cases = suites.take(run, "suite")
    refuse_unfit(cases, text)
    model, _ = models.take(run, "model")
    _suites.setdefault(run, {})[suite.ref] = cases
    target = {"prompt": prompt.ref, "model": model.ref}
    return judged(run, target, (prompt, model), suite, split=split, repeats=repeats, limit=limit).report


def test_app(run: Run, *, split: str, repeats: int, limit: int | None) -> TestReport:
    """Test the application of the parameter `app` on the suite of `suite`."""
    from stellwerk.evaluation import apptarget, suites

    app, _ = apptarget.take(run, "app")
    suite, cases = suites.take(run, "suite")
    _suites.setdefault(run, {})[suite.ref] = cases
    return judged(run, {"app": app.ref}, (app,), suite, split=split, repeats=repeats, limit=limit).report


def refuse_unfit(suite: Suite, prompt: Prompt) -> None:
    """See before the first call that the cases have what a prompt needs.

    Raises:
        UserError: a variable is missing, or none of them is shown.
    """
    from stellwerk.evaluation.suites.suite import refuse_unfit

    refuse_unfit(suite, [one.name for one in prompt.inputs if one.required], [one.name for one in prompt.inputs])


def judged(
    run: Run,
    target: Mapping[str, Any],
    subjects: Sequence[Version],
    suite: Version,
    *,
    split: str = "test",
    repeats: int = 1,
    limit: int | None = None,
) -> Judged:
    """Judge a target on the cases of a suite, in one step.

    Args:
        run: at work, outside a step.
        target: what is asked, as JSON of references: `{"prompt": ref, "model": ref}` or `{"app": ref}`.
        subjects: the versions that are measured: prompt and model, or app.
        suite: the version whose cases are asked.
        split: dev, test, held-out or all.
        repeats: how often each case is asked; as often as the suite's file says at least.
        limit: only the first cases.

    Raises:
        UserError: the split has no cases, a case cannot be asked, or a judge may not judge.
        Unreachable: nothing answered.
    """
    from stellwerk.evaluation import reporting

    judges = _judges(run, suite)
    instruments = [suite, *judges]
    about = {
        "target": dict(target),
        "subjects": [version.ref for version in subjects],
        "instruments": [version.ref for version in instruments],
        "suite": suite.ref,
        "split": split,
        "repeats": max(repeats, _suite(run, suite.ref).epochs),
        "limit": limit,
        "depends": _depends(run, subjects, suite),
        "chosen": _is_chosen(run, subjects, suite),
    }
    name = _shortened(f"{evidence.STEP}{_called(subjects)}: {suite.name}@{suite.number} {split}")
    outcome = run.step(name, ask, inputs=[*subjects, *instruments], about=about)
    found = evidence.from_outcome(run.store, run.id, name.removeprefix(evidence.STEP), "", outcome)
    return Judged(found, reporting.report(found))


def ask(run: Run, *, about: Mapping[str, Any]) -> dict[str, Any]:
    """The step of a test: ask, keep, measure."""
    from stellwerk.evaluation.scorers import registry
    from stellwerk.evaluation.scorers.tools import Tools

    suite = _suite(run, about["suite"])
    total = _number(suite, about)
    target = targets.opened(run, about["target"])
    if isinstance(target, PromptTarget):
        refuse_unfit(suite, target.prompt)
    writer = evidence.Writer(run.store)
    tools = Tools(run.workspace, run, suite.embedder)
    cases = _cases(suite, about["split"], about["limit"])
    asyncio.run(_asking(run, cases, target, registry.scoring(suite, tools), tools, writer, about["repeats"], total))
    counts = writer.close()
    summary = measuring.summary(writer.columns)
    told = {**about, "target": target.name, "simulated": target.simulated or tools.simulated}
    told["complete"] = _is_complete(about, counts)
    _measure(run, summary, told)
    return {"about": told, "evidence": counts, "summary": summary, "again": counts["errors"] + counts["unjudged"] > 0}


async def _asking(
    run: Run,
    cases: Iterable[Case],
    target: Target,
    scoring: engine.Scoring,
    tools: Any,
    writer: evidence.Writer,
    repeats: int,
    total: int,
) -> None:
    """Ask all cases and keep each sample; tells the run how far it is."""
    done = 0
    async with (
        target,
        tools,
        aclosing(engine.judged(cases, target, scoring, repeats=repeats, at_once=AT_ONCE, check=run.check)) as asked,
    ):
        async for case, sample in asked:
            writer.add(case, sample)
            done += 1
            if done % 16 == 0 or done == total:
                run.progress("ask", done, total, "calls")


def _shortened(name: str) -> str:
    """A name that a step can have; two that begin alike stay two."""
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return name if len(name) <= NAME else f"{name[: NAME - 9]}~{digest}"


def _depends(run: Run, subjects: Sequence[Version], suite: Version) -> dict[str, Any]:
    """What a test depends on beside its versions: the models that embed, and the price of the day.

    Evidence has an age and gates may ask for a young one, so that a test of another day is done anew. What its provider may
    change unseen, and what does not say which build answers, is asked anew by each run; replies of the same day are found in
    the cache.
    """
    from stellwerk.llm import models

    today = dt.datetime.now(dt.UTC).date()
    found: dict[str, Any] = {"embedders": _embedders(run, _suite(run, suite.ref)), "day": today.isoformat()}
    for version in subjects:
        if version.kind == models.KIND:
            price = prices.price(models.spec_of(run.workspace, version), today)
            found["price"] = price.model_dump(mode="json") if price is not None else None
    if any(version.facts.get("hosted") for version in subjects):
        found["run"] = run.id
    return found


def _is_chosen(run: Run, subjects: Sequence[Version], suite: Version) -> bool:
    """Whether a search has chosen this wording by cases of this suite, under whatever name it was found."""
    found = []
    for prompt in (version for version in subjects if version.kind == "prompt"):
        found += run.record.versions(tables.version.c.digest == prompt.digest)
    above = lineage.neighbours(run.record, [version.id for version in found if version.kind == "prompt"], "up")
    made_from = run.record.versions_of({key for keys in above.values() for key in keys})
    return any((version.kind, version.name) == (suite.kind, suite.name) for version in made_from)


def _embedders(run: Run, suite: Suite) -> dict[str, Any]:
    """What the models are that `similar` asks, by name; they are no versions, so that what identifies them is told."""
    from stellwerk.llm import models

    found = {}
    for check in suite.checks:
        name = check.config.get("provider") or suite.embedder
        if check.type.startswith("similar") and name:
            spec = models.of(run.workspace, str(name))[1]
            folder = {"weights": models.digest(models.folder_of(run.workspace, spec))} if spec.weights is not None else {}
            found[str(name)] = models.place(spec) | folder
    return found


def _cases(suite: Suite, split: str, limit: int | None) -> Iterable[Case]:
    from itertools import islice

    return islice(suite.cases(None if split == "all" else split), limit)


def _number(suite: Suite, about: Mapping[str, Any]) -> int:
    """How many calls a test makes.

    Raises:
        UserError: none, for the split has no cases.
    """
    cases = suite.count(None if about["split"] == "all" else about["split"])
    if not cases:
        raise UserError(f"{about['suite']} has no cases of split {about['split']}; choose another split, or all")
    return min(cases, about["limit"] or cases) * int(about["repeats"])


def _judges(run: Run, suite: Version) -> list[Version]:
    """The versions of the judges that a suite asks, each a step of its own."""
    from stellwerk.evaluation.judges import scorer

    return list(scorer.instruments(run, _suite(run, suite.ref)))


def _suite(run: Run, reference: str) -> Suite:
    """The suite of a version; read once for a run, since its file may hold thousands of cases."""
    from stellwerk.evaluation import suites

    known = _suites.setdefault(run, {})
    if reference not in known:
        known[reference] = suites.of(run.workspace, reference)
    return known[reference]


def _is_complete(about: Mapping[str, Any], counts: Mapping[str, Any]) -> bool:
    reached = not counts["errors"] and not counts["unjudged"] and counts["samples"] > 0
    return about["limit"] is None and about["split"] in COUNTED and reached


def _measure(run: Run, summary: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> None:
    """Note what was measured; that calls did not get through is known whole even then."""
    subjects = [run.record.resolve(reference) for reference in about["subjects"]]
    instruments = [run.record.resolve(reference) for reference in about["instruments"]]
    whole = about["limit"] is None and about["split"] in COUNTED
    details = {name: about[name] for name in ("split", "repeats", "simulated", "chosen")}
    if about["depends"]["embedders"]:
        details["embedders"] = about["depends"]["embedders"]
    for one in summary:
        # Too few cases for an upper bound; a gate would take it for a count of all there is.
        known = one["high"] is not None or one["value"] is None
        run.measure(
            one["metric"],
            one["value"],
            n=one["n"],
            low=one["low"],
            high=one["high"],
            unit=one["unit"],
            subjects=subjects,
            instruments=instruments,
            complete=known and (whole if one["metric"] == "error_rate" else about["complete"]),
            details={**details, "method": one["method"]},
        )


def _called(subjects: Sequence[Version]) -> str:
    return " with ".join(f"{version.name}@{version.number}" for version in subjects)
