"""Searches a cheaper wording and proves it: pieces are left out and shorter wordings asked for; test cases choose, and on
cases held out it is shown that the result is not worse by a margin or more.

Knows the order of the work and the record; `heldout.py` tests, `pairs.py` compares.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from stellwerk.errors import UserError
from stellwerk.evaluation.case import Case
from stellwerk.evaluation.target import Target
from stellwerk.jobs.prompts.copying import CopyGuard
from stellwerk.jobs.prompts.search import ground, heldout, pairs, reporting
from stellwerk.jobs.prompts.search.bench import Bench, Ledger, quality, unwanted
from stellwerk.jobs.prompts.search.candidates import Candidate, Origin, marked
from stellwerk.jobs.prompts.search.pieces import droppable, pieces, without
from stellwerk.jobs.prompts.search.wording import Rules, Wording
from stellwerk.jobs.prompts.search.writer import Writer
from stellwerk.jobs.prompts.searching import Gain, Trimmed

if TYPE_CHECKING:
    from stellwerk.jobs.prompts.search.ground import Ground
    from stellwerk.record.record import Version
    from stellwerk.run import Run

LEAST = 2  # wordings that the calls must allow to look at, besides the beginning
SPARED = ("better", "equivalent", "not_worse")  # verdicts with which a shorter wording does no harm
REFUSED = 6  # proposals in a row that are of no use, after which the writer is not asked again


def trim(run: Run, *, margin: float, calls: int, save: str | None) -> Trimmed:
    """Search a cheaper wording of the parameter `prompt` on `suite`, asked with `model`, which also writes."""
    reporting.check_save(run, save)
    base, suite = ground.take(run, False)
    ground.check_splits(suite, ("test", "held-out"))
    need = (1 + LEAST) * ground.choosing(suite, calls)
    if calls < need:
        raise UserError(f"{calls} calls are too few to trim on {suite.name}; give at least calls: {need}")
    found = run.step("search", search, inputs=base.inputs, named=base.named, calls=calls, margin=margin)
    texts = json.loads(gzip.decompress(run.store.get(found["texts"])))
    candidates = [Candidate(**{**one, "text": texts[one["text"]]}) for one in found["candidates"]]
    chosen = next(one for one in candidates if one.number == found["chosen"])
    if chosen.number == 0:
        return _report(run, base, found, candidates, chosen, None, margin, save)
    result = reporting.kept(run, base, chosen.text, save or f"{base.prompt.name}-trimmed")
    limit = ground.proving(suite, calls)
    sides = [heldout.tested(run, base, one, limit) for one in (base.prompt, result)]
    proof = run.step(
        "prove",
        prove,
        inputs=[base.prompt, result, base.model, base.suite],
        sides=[reporting.plain(side) for side in sides],
        margin=margin,
    )
    return _report(run, base, found, candidates, chosen, (result, proof, sum(map(len, sides))), margin, save)


def search(run: Run, *, named: dict[str, str], calls: int, margin: float) -> dict[str, Any]:
    """Step: leave out what does no harm on the cases that choose. Texts are kept in the store alone."""
    from stellwerk.evaluation import suites
    from stellwerk.llm import prompts

    suite = suites.of(run.workspace, named["suite"])
    wording = Wording.of(prompts.of(run.workspace, named["prompt"]))
    val = ground.draw(suite, "test", ground.choosing(suite, calls), 0)
    now = wording.tokens(wording.text)
    rules = Rules(wording, CopyGuard(val, wording.prompt.text), max(now - 1, 1))
    with ground.opened(run, suite, named, calls) as ready:
        words = max(1, len(wording.text.split()) - 1)
        writer = Writer(ready.writer, ready.writer_spec.params, ready.bench, wording.names, words)
        work = Trimming(
            bench=ready.bench,
            rules=rules,
            writer=writer,
            target=lambda text: ready.target(wording.with_text(text)),
            val=val,
            ledger=Ledger(calls),
            margin=margin,
        )
        chosen = work.run()
        simulated = ready.client.simulated or ready.tools.simulated
        history = run.store.put(gzip.compress(ready.bench.history(), 3, mtime=0))
    texts = sorted({one.text for one in work.found})
    return {
        "candidates": [asdict(replace(one, text="")) | {"text": texts.index(one.text)} for one in marked(work.found)],
        "chosen": chosen.number,
        "texts": run.store.put(gzip.compress(json.dumps(texts, ensure_ascii=False).encode(), 3, mtime=0)),
        "history": history,
        "calls": work.ledger.used,
        "asked": writer.calls,
        "refused": dict(rules.refused),
        "choose": len(val),
        "simulated": simulated,
    }


@dataclass
class Trimming:
    """Makes a wording shorter for as long as it does no harm on the cases that choose.

    Attributes:
        target: makes of a wording what answers.
        margin: how much worse is still as good; the half of it may be lost here, for chance does the rest.
    """

    bench: Bench
    rules: Rules
    writer: Writer
    target: Callable[[str], Target]
    val: Sequence[Case]
    ledger: Ledger
    margin: float

    def run(self) -> Candidate:
        """The shortest wording that did no harm; the beginning where there is none."""
        self.found: list[Candidate] = []
        seed = chosen = self._asked("seed", self.rules.wording.text, None)
        chosen = self._without_pieces(seed, chosen)
        refused = 0
        while self._can_ask() and refused < REFUSED:
            text = self.writer.shorter(chosen.text)
            if self.rules.admit(text) is not None or self.rules.wording.tokens(text) >= chosen.tokens:
                refused += 1
                continue
            made = self._asked("shorter", text, chosen)
            refused = 0 if self._is_harmless(made, seed) else refused + 1
            chosen = made if self._is_harmless(made, seed) else chosen
        return chosen

    def _without_pieces(self, seed: Candidate, chosen: Candidate) -> Candidate:
        """Leave out piece after piece, the longest first; the calls suffice for as many as they do."""
        parts, gone = pieces(seed.text), set[int]()
        by_length = sorted((n for n, part in enumerate(parts) if droppable(part)), key=lambda n: (-len(parts[n]), n))
        for place in by_length:
            if not self._can_ask():
                break
            text = without(parts, {*gone, place})
            if self.rules.admit(text) is None:
                made = self._asked("trim", text, chosen)
                if self._is_harmless(made, seed):
                    gone.add(place)
                    chosen = made
        return chosen

    def _can_ask(self) -> bool:
        return self.ledger.left >= len(self.val)

    def _is_harmless(self, made: Candidate, seed: Candidate) -> bool:
        return made.score >= seed.score - self.margin / 2 and made.unwanted <= seed.unwanted

    def _asked(self, origin: Origin, text: str, parent: Candidate | None) -> Candidate:
        samples = self.bench.ask(text, self.target(text), self.val, self.ledger)
        self.rules.known.add(text)
        made = Candidate(
            number=len(self.found),
            origin=origin,
            parent=parent.number if parent else None,
            text=text,
            score=quality(samples) or 0.0,
            unwanted=unwanted(self.val, samples),
            tokens=self.rules.wording.tokens(text),
            calls=self.ledger.used,
        )
        self.found.append(made)
        return made


def prove(run: Run, *, sides: list[dict[str, Any]], margin: float) -> dict[str, Any]:
    """Step: what the result loses and saves on cases held out."""
    first, second = (reporting.evidence_of(run, side) for side in sides)
    scored = pairs.paired(first, second, "score")
    gain = pairs.gain(scored, margin)
    sent = pairs.tried(first, second, "input")
    cost = pairs.tried(first, second, "cost")
    run.measure(
        "loss_bound",
        None if gain.low is None else -gain.low,
        n=gain.n,
        unit="share",
        complete=second.about["limit"] is None,
        subjects=[run.record.resolve(reference) for reference in second.about["subjects"]],
        instruments=reporting.instruments(run, first, second),
        details={"margin": margin, "verdict": gain.verdict, "simulated": second.simulated},
    )
    return {
        "gain": gain.model_dump(),
        "harms": [harm.model_dump() for harm in pairs.harms(first, second, margin)],
        "left_out": scored.left_out,
        "needs": pairs.verdict(scored, margin).needs,
        "sent": -pairs.difference(sent).value if sent else None,
        "money": -1000 * pairs.difference(cost).value if cost else None,
        "currency": second.columns.currencies[0] if cost else None,
    }


def _report(
    run: Run,
    base: Ground,
    found: dict[str, Any],
    candidates: list[Candidate],
    chosen: Candidate,
    proven: tuple[Version, dict[str, Any], int] | None,
    margin: float,
    save: str | None,
) -> Trimmed:
    result, proof, calls = proven or (None, {}, 0)
    gain = Gain(**proof["gain"]) if proof else None
    harms = [Gain(**harm) for harm in proof.get("harms", ())]
    is_proven = gain is not None and all(one.verdict in SPARED for one in (gain, *harms))
    seed = candidates[0]
    file = reporting.save(run, base, chosen.text, save) if save and is_proven else None
    return Trimmed(
        message=_message(base, result, gain, seed, chosen, is_proven),
        prompt=base.prompt.ref,
        result=result.ref if result else None,
        file=file,
        proven=is_proven,
        verdict=gain.verdict if gain else None,
        margin=margin,
        needs=proof.get("needs"),
        gain=gain,
        unwanted=harms,
        tokens_before=seed.tokens,
        tokens_after=chosen.tokens if result else None,
        sent_saved=proof.get("sent"),
        money_saved=proof.get("money"),
        currency=proof.get("currency"),
        calls=found["calls"],
        calls_proof=calls,
        calls_writer=found["asked"],
        refused=found["refused"],
        cases={"choose": found["choose"], "prove": gain.n if gain else 0},
        simulated=found["simulated"],
        candidates=[reporting.line(one) for one in candidates],
        diff=reporting.diff(seed.text, chosen.text) if result else [],
        notes=list(_notes(found, gain, harms, is_proven, proof)),
        next=_next(run, base, result, file),
    )


def _message(base: Ground, result: Any, gain: Gain | None, seed: Candidate, chosen: Candidate, is_proven: bool) -> str:
    if result is None or gain is None:
        return f"nothing could be left out of {base.prompt.ref} without harm on the cases that choose"
    share = 1 - chosen.tokens / seed.tokens
    shorter = f"{result.ref} is {share:.0%} shorter than {base.prompt.ref}"
    return f"{shorter}, {'which is proven' if is_proven else 'but not proven'}: {reporting.said(result.ref, 'it', gain)}"


def _notes(found: dict[str, Any], gain: Gain | None, harms: Sequence[Gain], is_proven: bool, proof: dict[str, Any]) -> Any:
    if found["simulated"]:
        yield reporting.SIMULATED
    for harm in harms:
        if harm.verdict not in SPARED:
            yield (
                f"That {harm.metric} rises by less than the margin is not shown: {harm.first:.1%} -> {harm.second:.1%} on "
                f"{harm.n} cases held out."
            )
    if proof.get("left_out"):
        yield reporting.left_out(proof["left_out"])
    if gain is not None and not is_proven:
        more = f" About {proof['needs']} cases held out would tell." if proof.get("needs") else ""
        yield f"That it is as good within the margin is not proven, so no file was written.{more}"
    if gain is not None:
        yield "Test cases chose this wording, so a test on them flatters it; what counts are the cases held out."


def _next(run: Run, base: Ground, result: Any, file: str | None) -> list[str]:
    if result is None:
        return []
    commands = [
        f"stellwerk prompts diff {base.prompt.ref.partition('/')[2]} {result.ref.partition('/')[2]}",
        f"stellwerk evaluation compare {run.id[:8]}:1 {run.id[:8]}:2 --metric score",
    ]
    return [*commands, *([f"git add {file}"] if file else [])]
