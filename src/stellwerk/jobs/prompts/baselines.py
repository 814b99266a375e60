"""What a search has to beat with as many calls: examples of similar cases, a shorter instruction, other words for the same.

Knows no statistics. Every baseline is chosen on the cases that the search chooses on, and pays from one ledger of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from stellwerk.evaluation.case import Case
from stellwerk.evaluation.target import Target
from stellwerk.jobs.prompts.search.bench import Bench, Ledger, quality, unwanted
from stellwerk.jobs.prompts.search.candidates import Candidate, Origin
from stellwerk.jobs.prompts.search.pieces import droppable, pieces, without
from stellwerk.jobs.prompts.search.wording import Rules
from stellwerk.jobs.prompts.search.writer import Writer

SHOWN = (1, 3, 5)  # examples that are tried
PATIENCE = 12  # proposals in a row that cannot be used, after which the writer is not asked again


@dataclass
class Baselines:
    """Looks for the best of the cheap ways.

    Attributes:
        plain: makes of a wording what answers.
        with_examples: makes of a number of examples what answers with the wording of the beginning.
        teachers: how many cases may be shown as examples; those without an expected answer may not.
        ledger: calls for all baselines together.
    """

    bench: Bench
    rules: Rules
    writer: Writer
    plain: Callable[[str], Target]
    with_examples: Callable[[int], Target]
    teachers: int
    val: Sequence[Case]
    ledger: Ledger
    seed: Candidate

    def run(self) -> list[Candidate]:
        """The baselines that were asked on all cases that choose; each kind has its share of the calls."""
        share = self.ledger.calls // 3
        found = list(self._examples())
        found += self._shortened(self.ledger.used + share)
        found += self._paraphrases()
        return found

    def _examples(self) -> Iterator[Candidate]:
        for shown in SHOWN:
            if self.teachers >= shown and self.ledger.left >= len(self.val):
                yield self._asked("few_shot", self.seed.text, shown)

    def _shortened(self, until: int) -> Iterator[Candidate]:
        """Leave out piece after piece, each for good where that does no harm on the cases that choose."""
        parts, gone, score = pieces(self.seed.text), set[int](), self.seed.score
        for place in [number for number, part in enumerate(parts) if droppable(part)]:
            text = without(parts, {*gone, place})
            if self.ledger.used + len(self.val) > min(until, self.ledger.calls):
                return
            if self.rules.admit(text) is None:
                made = self._asked("trim", text)
                if made.score >= score:
                    gone.add(place)
                    score = made.score
                yield made

    def _paraphrases(self) -> Iterator[Candidate]:
        refused, seen = 0, set[str]()
        while self.ledger.left >= len(self.val) and refused < PATIENCE:
            text = self.writer.another(self.seed.text)
            if text in seen or self.rules.admit(text) is not None:
                refused += 1
                continue
            refused = 0
            seen.add(text)
            yield self._asked("paraphrase", text)

    def _asked(self, origin: Origin, text: str, shown: int = 0) -> Candidate:
        target = self.with_examples(shown) if shown else self.plain(text)
        samples = self.bench.ask(f"{shown}\0{text}" if shown else text, target, self.val, self.ledger)
        return Candidate(
            number=0,
            origin=origin,
            parent=0,
            text=text,
            score=quality(samples) or 0.0,
            unwanted=unwanted(self.val, samples),
            tokens=self.rules.wording.tokens(text),
            calls=self.ledger.used,
            examples=shown,
        )
