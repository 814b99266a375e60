"""Runs gepa's search over the wording of one message, on our own bench and within a strict bound of calls.

Knows gepa. Dev cases teach, val cases choose; which cases those are is for the caller to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from stellwerk.evaluation.case import Case, Sample
from stellwerk.evaluation.target import Target
from stellwerk.jobs.prompts.search.bench import Bench, Ledger, quality, unwanted
from stellwerk.jobs.prompts.search.candidates import Candidate
from stellwerk.jobs.prompts.search.wording import Rules
from stellwerk.jobs.prompts.search.writer import Writer

if TYPE_CHECKING:
    from gepa.core.adapter import ProposalFn

PART = "wording"
T = TypeVar("T")
MINIBATCH = 3
TRIES = 3  # proposals that may be refused before another lesson is drawn
IDLE = 12  # rounds in a row without a new call, beyond one pass over the dev cases, after which nothing is to be learnt


def floor(val: int, minibatch: int = MINIBATCH) -> int:
    """The fewest calls with which a search makes sense: the seed, and three wordings that are taken up."""
    return val + 3 * (minibatch + val)


@dataclass
class Search:
    """A search by gepa. `run` gives the candidates that were asked on all val cases, the seed first.

    Attributes:
        target: makes of a wording what answers.
        explain: says in words what was wrong with an answer.
    """

    bench: Bench
    rules: Rules
    writer: Writer
    target: Callable[[str], Target]
    explain: Callable[[Case, Sample], str]
    dev: Sequence[Case]
    val: Sequence[Case]
    ledger: Ledger
    seed: int = 0
    rounds: int = 0
    _idle: int = 0
    _used: int = 0
    _failure: BaseException | None = None
    _found: list[Candidate] = field(default_factory=list)

    def run(self) -> list[Candidate]:
        """Search until the calls are used up, or nothing is to be learnt any more.

        Raises:
            StellwerkError: a call did not get through.
        """
        from gepa.api import optimize

        optimize(
            seed_candidate={PART: self.rules.wording.text},
            trainset=list(self.dev),
            valset=list(self.val),
            adapter=_Adapter(self),
            custom_candidate_proposer=self._propose,
            reflection_minibatch_size=self.minibatch,
            stop_callbacks=self._stop,
            callbacks=[self],  # type: ignore[list-item]
            logger=_Quiet(),
            seed=self.seed,
            track_best_outputs=False,
        )
        if self._failure is not None:
            raise self._failure
        return self._found

    @property
    def minibatch(self) -> int:
        """Dev cases that a lesson is drawn from."""
        return min(MINIBATCH, len(self.dev))

    def ask(self, text: str, cases: Sequence[Case]) -> list[Sample]:
        """The samples of a wording."""
        return self.bench.ask(text, self.target(text), cases, self.ledger)

    def on_valset_evaluated(self, event: Mapping[str, Any]) -> None:
        """Note a candidate; gepa calls this when it has asked one on all val cases."""
        text = event["candidate"][PART]
        samples = self.ask(text, self.val)
        number = int(event["candidate_idx"])
        self.rules.known.add(text)
        self._found.append(
            Candidate(
                number=number,
                origin="gepa" if number else "seed",
                parent=next(iter(event["parent_ids"]), None),
                text=text,
                score=quality(samples) or 0.0,
                unwanted=unwanted(self.val, samples),
                tokens=self.rules.wording.tokens(text),
                calls=self.ledger.used,
            )
        )

    def _propose(
        self,
        candidate: dict[str, str],
        reflective_dataset: Mapping[str, Sequence[Mapping[str, Any]]],
        components_to_update: list[str],
    ) -> dict[str, str]:
        def proposed() -> dict[str, str] | None:
            for _try in range(TRIES):
                text = self.writer.teach(candidate[PART], reflective_dataset[PART])
                if self.rules.admit(text) is None:
                    return {PART: text}
            return None

        return self.guarded(proposed) or {}

    def guarded(self, work: Callable[[], T]) -> T | None:
        """Do this; gepa swallows what is raised here, and would go on after a cancelled run, so that it is raised later."""
        if self._failure is not None:
            return None
        try:
            return work()
        except BaseException as error:  # noqa: BLE001
            self._failure = error
            return None

    def _stop(self, gepa_state: Any) -> bool:
        self.rounds = int(gepa_state.i) + 1
        self._idle = 0 if self.ledger.used > self._used else self._idle + 1
        self._used = self.ledger.used
        nothing_new = self._idle > IDLE + len(self.dev) // self.minibatch
        # One more round may cost a lesson, its proof, and all val cases.
        return self._failure is not None or nothing_new or self.ledger.left < 2 * self.minibatch + len(self.val)


class _Adapter:
    """What gepa asks of a system that it searches for."""

    propose_new_texts: ProposalFn | None = None

    def __init__(self, search: Search) -> None:
        self._search = search

    def evaluate(self, batch: list[Case], candidate: dict[str, str], capture_traces: bool = False) -> Any:
        """Ask a candidate on cases."""
        from gepa.core.adapter import EvaluationBatch

        text, before = candidate[PART], self._search.ledger.used
        samples = self._search.ask(text, batch)
        # What could not be scored is no wrong answer: it counts as the others do on average.
        usual = quality(samples) or 0.0
        return EvaluationBatch(
            outputs=[sample.answer.text for sample in samples],
            scores=[usual if sample.score is None else sample.score for sample in samples],
            trajectories=list(zip(batch, samples, strict=True)) if capture_traces else None,
            num_metric_calls=self._search.ledger.used - before,
        )

    def make_reflective_dataset(
        self, candidate: dict[str, str], eval_batch: Any, components_to_update: list[str]
    ) -> dict[str, list[dict[str, Any]]]:
        """What the writer is shown: what went in, what came out, and what is wrong with it."""
        pairs: list[tuple[Case, Sample]] = eval_batch.trajectories
        return {PART: self._search.guarded(lambda: [self._lesson(case, sample) for case, sample in pairs]) or []}

    def _lesson(self, case: Case, sample: Sample) -> dict[str, Any]:
        return {
            "Inputs": {name: str(value) for name, value in case.inputs.items()},
            "Generated Outputs": sample.answer.text,
            "Feedback": self._search.explain(case, sample),
        }


class _Quiet:
    """gepa tells all that it does; the record has what counts."""

    def log(self, message: str) -> None:
        """Nothing."""
