"""Searches a better wording and proves it: dev cases teach, test cases choose, cases held out prove, each in a step.

Knows the order of the work and the record. gepa and the baselines search, `heldout.py` tests, `pairs.py` compares.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from stellwerk.errors import UserError
from stellwerk.jobs.prompts.baselines import Baselines
from stellwerk.jobs.prompts.copying import CopyGuard
from stellwerk.jobs.prompts.gepa_adapter import Search, floor
from stellwerk.jobs.prompts.search import ground, heldout, pairs, reporting
from stellwerk.jobs.prompts.search.bench import Ledger
from stellwerk.jobs.prompts.search.candidates import Candidate, best, marked
from stellwerk.jobs.prompts.search.examples import Nearest, teachers
from stellwerk.jobs.prompts.search.wording import Rules, Wording
from stellwerk.jobs.prompts.search.writer import Writer
from stellwerk.jobs.prompts.searching import Gain, Optimisation

if TYPE_CHECKING:
    from stellwerk.jobs.prompts.search.ground import Ground
    from stellwerk.run import Run

TAUGHT = 10  # of so many calls one goes to a case that teaches, so that a lesson's proof is not paid anew each round
LEAST_TAUGHT = 12
WORDS = 0.6  # words to a token, for a writer counts words


def optimise(run: Run, *, calls: int, tokens: int | None, seed: int, save: str | None, writer: bool) -> Optimisation:
    """Search a better wording of the parameter `prompt` on `suite`, asked with `model`; `writer` proposes where given."""
    reporting.check_save(run, save)
    base, suite = ground.take(run, writer)
    ground.check_splits(suite, ("dev", "test", "held-out"))
    need = floor(ground.choosing(suite, calls), min(3, suite.count("dev")))
    if calls < need:
        raise UserError(f"{calls} calls are too few for a search on {suite.name}; give at least calls: {need}")
    found = run.step("search", search, inputs=base.inputs, named=base.named, calls=calls, tokens=tokens, seed=seed)
    if not found["proposals"] and found["taught"]:
        raise UserError(_no_proposal(base, found))
    texts = json.loads(gzip.decompress(run.store.get(found["texts"])))
    candidates = [Candidate(**{**one, "text": texts[one["text"]]}) for one in found["candidates"]]
    baselines = [Candidate(**{**one, "text": texts[one["text"]]}) for one in found["baselines"]]
    chosen = best(candidates, candidates[0])
    if chosen.number == 0:
        return _report(run, base, found, candidates, baselines, None)
    return _proven(run, base, found, candidates, baselines, save, ground.proving(suite, calls))


def search(run: Run, *, named: dict[str, str], calls: int, tokens: int | None, seed: int) -> dict[str, Any]:
    """Step: look for wordings, by gepa and by the baselines with as many calls. Texts are kept in the store alone."""
    from stellwerk.evaluation import suites
    from stellwerk.llm import prompts

    suite = suites.of(run.workspace, named["suite"])
    wording = Wording.of(prompts.of(run.workspace, named["prompt"]))
    dev = ground.draw(suite, "dev", max(LEAST_TAUGHT, calls // TAUGHT), seed)
    val = ground.draw(suite, "test", ground.choosing(suite, calls), seed)
    limit = ground.limit(wording.tokens(wording.text), tokens)
    guard = CopyGuard([*dev, *val], wording.prompt.text)
    rules = Rules(wording, guard, limit)
    with ground.opened(run, suite, named, 2 * calls) as ready:
        writer = Writer(ready.writer, ready.writer_spec.params, ready.bench, wording.names, max(1, round(limit * WORDS)))
        gepa = Search(
            bench=ready.bench,
            rules=rules,
            writer=writer,
            target=lambda text: ready.target(wording.with_text(text)),
            explain=ground.explain,
            dev=dev,
            val=val,
            ledger=Ledger(calls),
            seed=seed,
        )
        candidates = gepa.run()
        proposals, refused, taught = len(rules.usable), dict(rules.refused), writer.calls
        nearest = Nearest(teachers(dev))
        cheap = Baselines(
            bench=ready.bench,
            rules=Rules(wording, guard, limit),
            writer=writer,
            plain=lambda text: ready.target(wording.with_text(text)),
            with_examples=lambda shown: ready.with_examples(wording.prompt, nearest, shown),
            teachers=len(teachers(dev)),
            val=val,
            ledger=Ledger(calls),
            seed=candidates[0],
        )
        baselines = cheap.run() if proposals else []
        simulated = ready.client.simulated or ready.writer.simulated or ready.tools.simulated
        history = run.store.put(gzip.compress(ready.bench.history(), 3, mtime=0))
    texts = sorted({one.text for one in (*candidates, *baselines)})
    return {
        "candidates": [_plain(one, texts) for one in marked(candidates)],
        "baselines": [_plain(one, texts) for one in baselines],
        "texts": run.store.put(gzip.compress(json.dumps(texts, ensure_ascii=False).encode(), 3, mtime=0)),
        "history": history,
        "calls": gepa.ledger.used,
        "calls_baselines": cheap.ledger.used,
        "proposals": proposals,
        "refused": refused,
        "taught": taught,
        "asked": writer.calls,
        "limit": limit,
        "cases": {"teach": len(dev), "choose": len(val)},
        "simulated": simulated,
        # A writer that was of no use may do better the next time.
        "again": not proposals,
    }


def _proven(
    run: Run,
    base: Ground,
    found: dict[str, Any],
    candidates: list[Candidate],
    baselines: list[Candidate],
    save: str | None,
    limit: int | None,
) -> Optimisation:
    """Test the beginning, the result and the best baseline on cases held out, and pair them."""
    chosen = best(candidates, candidates[0])
    result = reporting.kept(run, base, chosen.text, save or f"{base.prompt.name}-optimised")
    rival = best([one for one in baselines if one.unwanted <= candidates[0].unwanted], candidates[0])
    sides = [heldout.tested(run, base, one, limit) for one in (base.prompt, result)]
    if rival.origin != "seed":
        content = reporting.file_of(run, base, rival.text)
        sides.append(heldout.tested_baseline(run, base, content, rival.origin, rival.examples, limit))
    inputs = [base.prompt, result, base.model, base.suite]
    proof = run.step("prove", prove, inputs=inputs, sides=[reporting.plain(side) for side in sides])
    return _report(run, base, found, candidates, baselines, (result, chosen, rival, sides, proof, save))


def prove(run: Run, *, sides: list[dict[str, Any]]) -> dict[str, Any]:
    """Step: the gain on cases held out, against the beginning and against the best baseline, adjusted together."""
    first, second, *rest = [reporting.evidence_of(run, side) for side in sides]
    others = [first, *rest]
    gains = pairs.family([pairs.paired(other, second, "score") for other in others])
    gains = [g.model_copy(update={"against": o.about["target"]}) for g, o in zip(gains, others, strict=True)]
    subjects = [run.record.resolve(reference) for reference in second.about["subjects"]]
    for name, gain in zip(("gain", "gain_over_baseline"), gains, strict=False):
        run.measure(
            name,
            gain.difference,
            n=gain.n,
            low=gain.low,
            high=gain.high,
            unit="share",
            complete=second.about["limit"] is None and gain.low is not None,
            subjects=subjects,
            instruments=reporting.instruments(run, first, second),
            details={"p": gain.p, "verdict": gain.verdict, "simulated": second.simulated},
        )
    spent = [pairs.gain(p) for name in ("input", "cost") if (p := pairs.tried(first, second, name))]
    left_out = pairs.paired(first, second, "score").left_out
    return {
        "gains": [gain.model_dump() for gain in gains],
        "harms": [harm.model_dump() for harm in pairs.harms(first, second)],
        "spent": [gain.model_dump() for gain in spent],
        "left_out": left_out,
    }


def _plain(one: Candidate, texts: list[str]) -> dict[str, Any]:
    return asdict(replace(one, text="")) | {"text": texts.index(one.text)}


def _no_proposal(base: Ground, found: dict[str, Any]) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(found["refused"].items()))
    return (
        f"{base.writer.ref} made {found['taught']} proposals and none could be used ({reasons}), so nothing was searched; "
        "take another writer, or allow more tokens"
    )


def _report(
    run: Run, base: Ground, found: dict[str, Any], candidates: list[Candidate], baselines: list[Candidate], proven: Any
) -> Optimisation:
    nothing: dict[str, Any] = {"gains": [], "harms": [], "spent": [], "left_out": 0}
    result, chosen, rival, sides, proof, save = proven or (None, None, None, [], nothing, None)
    gains, harms = ([Gain(**gain) for gain in proof[name]] for name in ("gains", "harms"))
    seed = candidates[0]
    is_worse = any(one.verdict == "worse" for one in (*gains[:1], *harms))
    file = reporting.save(run, base, chosen.text, save) if chosen and save and not is_worse else None
    baseline = rival.origin if rival is not None and rival.origin != "seed" else None
    return Optimisation(
        message=_message(base, seed, result, gains, baseline, found),
        prompt=base.prompt.ref,
        result=result.ref if result else None,
        file=file,
        verdict=gains[0].verdict if gains else None,
        verdict_baseline=gains[1].verdict if len(gains) > 1 else None,
        baseline=baseline,
        gains=gains + harms + [Gain(**gain) for gain in proof["spent"]],
        calls=found["calls"],
        calls_baselines=found["calls_baselines"],
        calls_proof=sum(len(side) for side in sides),
        calls_writer=found["asked"],
        proposals=found["proposals"],
        refused=found["refused"],
        tokens_before=seed.tokens,
        tokens_after=chosen.tokens if chosen else None,
        tokens_limit=found["limit"],
        cases={**found["cases"], "prove": len(sides[0]) if sides else 0},
        simulated=found["simulated"],
        candidates=[reporting.line(one) for one in candidates],
        baselines=[reporting.line(one, number) for number, one in enumerate(baselines, 1)],
        diff=reporting.diff(seed.text, chosen.text) if chosen else [],
        notes=list(_notes(found, gains, harms, baseline, proof["left_out"])),
        next=_next(run, base, result, file),
    )


def _message(base: Ground, seed: Candidate, result: Any, gains: list[Gain], baseline: str | None, found: dict[str, Any]) -> str:
    if result is None and not found["taught"]:
        return f"{base.prompt.ref} makes no mistake on the dev cases, so there is nothing to learn ({seed.score:.1%} on test)"
    if result is None:
        return f"no wording was better than {base.prompt.ref} on the cases that choose ({seed.score:.1%})"
    told = reporting.said(result.ref, base.prompt.ref, gains[0])
    if baseline is None:
        return told
    return f"{told}; {reporting.SAID[gains[1].verdict or 'undecided']} against the best baseline ({baseline})"


def _notes(found: dict[str, Any], gains: list[Gain], harms: list[Gain], baseline: str | None, left_out: int) -> Any:
    if found["simulated"]:
        yield reporting.SIMULATED
    for harm in harms:
        if harm.verdict == "worse":
            yield f"{harm.metric} rises on cases held out: {harm.first:.1%} -> {harm.second:.1%}; so no file was written."
    if left_out:
        yield reporting.left_out(left_out)
    if gains and gains[0].verdict == "undecided":
        yield "The gain is not proven: the cases held out do not tell. See how many it needs with stellwerk evaluation power."
    if baseline is not None and gains[1].difference <= 0:
        yield f"The cheap way ({baseline}) did as well on the cases held out; it may be the better choice."
    if baseline == "few_shot":
        yield "Examples of similar cases are shown with each question there, which one prompt alone cannot do."
    if gains:
        yield "Test cases chose this wording, so a test on them flatters it; what counts is the gain on cases held out."


def _next(run: Run, base: Ground, result: Any, file: str | None) -> list[str]:
    if result is None:
        return [f"stellwerk prompts test {base.prompt.name} {base.suite.name} {base.model.name}"]
    commands = [f"stellwerk prompts diff {base.prompt.ref.partition('/')[2]} {result.ref.partition('/')[2]}"]
    tests = f"stellwerk evaluation compare {run.id[:8]}:1 {run.id[:8]}:2 --metric score"
    return [*commands, tests, *([f"git add {file}"] if file else [])]
