"""Proves on cases held out what a search found: each side is tested as any prompt is, to be paired case by case.

Knows tests and the record. A search never sees these cases before.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from stellwerk.errors import UserError
from stellwerk.evaluation import evidence, measuring
from stellwerk.evaluation.evidence import Evidence
from stellwerk.jobs.prompts.search.bench import Ledger
from stellwerk.jobs.prompts.search.examples import Nearest, teachers
from stellwerk.jobs.prompts.search.ground import Ground, opened

if TYPE_CHECKING:
    from stellwerk.record.record import Version
    from stellwerk.run import Run

SPLIT = "held-out"


def tested(run: Run, ground: Ground, prompt: Version, limit: int | None) -> Evidence:
    """The test of a version on cases held out, only the first ones with a limit; its calls must all have got through.

    Raises:
        UserError: some did not.
    """
    from stellwerk.evaluation import testing

    target = {"prompt": prompt.ref, "model": ground.model.ref}
    found = testing.judged(run, target, (prompt, ground.model), ground.suite, split=SPLIT, limit=limit).evidence
    if found.number("errors"):
        raise UserError(
            f"{found.number('errors')} of {len(found)} calls of the proof got no answer; go on with: "
            f"stellwerk runs resume {found.run[:8]}, which asks only what is missing"
        )
    return found


def tested_baseline(run: Run, ground: Ground, text: str, origin: str, shown: int, limit: int | None) -> Evidence:
    """The test of the best baseline, which is no version: nobody wants to keep it, only to beat it.

    Args:
        text: reference in the store of the prompt's file.
        origin: of the baseline.
        shown: examples that are shown with each case.
        limit: only the first cases.
    """
    about = {
        "target": f"baseline {origin}",
        "subjects": [ground.model.ref],
        "instruments": [ground.suite.ref, *(judge.ref for judge in ground.judges)],
        "suite": ground.suite.ref,
        "split": SPLIT,
        "repeats": 1,
        "limit": limit,
        "complete": False,
    }
    name = f"{evidence.STEP}baseline {origin}: {ground.suite.name}@{ground.suite.number} {SPLIT}"
    outcome = run.step(name, ask, inputs=ground.inputs, about=about, text=text, shown=shown, named=ground.named)
    return evidence.from_outcome(run.store, run.id, name.removeprefix(evidence.STEP), "", outcome)


def ask(run: Run, *, about: dict[str, Any], text: str, shown: int, named: dict[str, str]) -> dict[str, Any]:
    """Step: ask a baseline the cases that are held out."""
    from stellwerk.evaluation import suites
    from stellwerk.llm import prompts

    suite = suites.of(run.workspace, about["suite"])
    prompt = prompts.read(run.store.get(text).decode(), "the baseline")
    cases = list(islice(suite.cases(SPLIT), about["limit"]))
    writer = evidence.Writer(run.store)
    with opened(run, suite, named, len(cases), "ask") as ready:
        nearest = Nearest(teachers(list(suite.cases("dev")))) if shown else None
        target = ready.target(prompt) if nearest is None else ready.with_examples(prompt, nearest, shown)
        for case, sample in zip(cases, ready.bench.ask("", target, cases, Ledger(len(cases))), strict=True):
            writer.add(case, sample)
    counts = writer.close()
    told = {**about, "simulated": target.simulated}
    return {"about": told, "evidence": counts, "summary": measuring.summary(writer.columns), "again": False}
