"""What a search stands on: the versions that it was given, which cases do what, and the opened models.

Knows the record and the parts of an evaluation. It searches nothing.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stellwerk.errors import UserError
from stellwerk.evaluation.case import Case, Sample
from stellwerk.jobs.prompts.search.bench import Bench

if TYPE_CHECKING:
    from stellwerk.evaluation.scorers.tools import Tools
    from stellwerk.evaluation.suites.suite import Suite
    from stellwerk.evaluation.target import PromptTarget, Target
    from stellwerk.jobs.prompts.search.examples import Nearest
    from stellwerk.llm.chat import ChatClient
    from stellwerk.llm.prompts.promptfile import Prompt
    from stellwerk.llm.spec import ModelSpec
    from stellwerk.record.record import Version
    from stellwerk.run import Run

FEWEST = 10  # cases that choose, where the suite has as many
FEWEST_PROVE = 500  # cases held out that are always asked, where the suite has as many
LONGER = 1.5  # how much longer the prompt may become, where nobody says
ROOM = 120  # tokens that a prompt may always have on top, for a short one would have no room for a rule


@dataclass(frozen=True)
class Ground:
    """The versions that a search works on.

    Attributes:
        judges: that the suite asks.
    """

    prompt: Version
    suite: Version
    model: Version
    writer: Version
    judges: tuple[Version, ...]

    @property
    def inputs(self) -> list[Version]:
        """All of them, each once."""
        found = {v.id: v for v in (self.prompt, self.suite, self.model, self.writer, *self.judges)}
        return list(found.values())

    @property
    def named(self) -> dict[str, str]:
        """As JSON of references, for a step."""
        return {name: getattr(self, name).ref for name in ("prompt", "suite", "model", "writer")}


def take(run: Run, writer: bool) -> tuple[Ground, Suite]:
    """The versions that the parameters of a search name.

    Args:
        run: outside a step.
        writer: whether the parameter `writer` was given; else the model writes itself.
    """
    from stellwerk.evaluation import suites, testing
    from stellwerk.evaluation.judges import scorer
    from stellwerk.llm import models, prompts

    prompt, text = prompts.take(run, "prompt")
    suite, cases = suites.take(run, "suite")
    testing.refuse_unfit(cases, text)
    model = models.take(run, "model")[0]
    author = models.take(run, "writer")[0] if writer else model
    return Ground(prompt, suite, model, author, tuple(scorer.instruments(run, cases))), cases


def check_splits(suite: Suite, splits: Sequence[str]) -> None:
    """See that a suite has the cases that a search needs.

    Raises:
        UserError: a split has none.
    """
    uses = {"dev": "teach", "test": "choose", "held-out": "prove"}
    for split in splits:
        if not suite.count(split):
            raise UserError(
                f"suite {suite.name} has no cases of split {split}, which {uses[split]} in a search; give it a share with "
                "splits: {dev: …, test: …, held-out: …}"
            )


def choosing(suite: Suite, calls: int) -> int:
    """How many test cases choose: enough to tell wordings apart, few enough that many can be asked."""
    return min(suite.count("test"), max(FEWEST, calls // 16))


def proving(suite: Suite, calls: int) -> int | None:
    """How many of the cases held out prove: all of them, or of very many as many as the search may ask."""
    most = max(calls, FEWEST_PROVE)
    return most if suite.count("held-out") > most else None


def draw(suite: Suite, split: str, number: int, seed: int) -> list[Case]:
    """So many cases of a split, drawn by their ids and the seed alone."""

    def lot(case: Case) -> bytes:
        return hashlib.sha256(f"{seed}\0{case.id}".encode()).digest()

    return heapq.nsmallest(number, suite.cases(split), key=lot)


@dataclass
class Opened:
    """The models of a search, ready to be asked.

    Attributes:
        writer: the same client as `client` where the model writes itself.
        tools: models that judge answers.
    """

    bench: Bench
    tools: Tools
    client: ChatClient
    writer: ChatClient
    spec: ModelSpec
    writer_spec: ModelSpec

    def target(self, prompt: Prompt) -> PromptTarget:
        """A prompt with the model."""
        from stellwerk.evaluation import targets
        from stellwerk.evaluation.target import PromptTarget

        return PromptTarget(prompt, self.client, self.spec.params, targets.price(self.spec), self.spec.limits.at_once)

    def with_examples(self, prompt: Prompt, nearest: Nearest, shown: int) -> Target:
        """A prompt with the model, and examples before each question."""
        from stellwerk.evaluation import targets
        from stellwerk.jobs.prompts.search.examples import WithExamples

        return WithExamples(self.target(prompt), targets.price(self.spec), nearest, shown)


@contextmanager
def opened(run: Run, suite: Suite, named: dict[str, str], total: int, step: str = "search") -> Iterator[Opened]:
    """Open the models that a search asks.

    Args:
        run: at work, whose money calls cost.
        suite: whose checks score answers.
        named: references of model and writer.
        total: calls that are expected, for those who watch.
        step: what those see.
    """
    from stellwerk.evaluation.scorers import registry
    from stellwerk.evaluation.scorers.tools import Tools
    from stellwerk.llm import models
    from stellwerk.llm.opening import open_model

    def client(reference: str) -> tuple[ChatClient, ModelSpec]:
        version = run.record.resolve(reference, models.KIND)
        spec = models.spec_of(run.workspace, version)
        return open_model(run.workspace, version.name, spec, run=run, version=version.id), spec

    answers, spec = client(named["model"])
    writes, writer_spec = (answers, spec) if named["writer"] == named["model"] else client(named["writer"])
    tools = Tools(run.workspace, run, suite.embedder)
    entered: list[Any] = [tools, answers] + ([writes] if writes is not answers else [])
    bench = Bench(entered, registry.scoring(suite, tools), run.check, lambda used: run.progress(step, used, total, "calls"))
    with bench:
        yield Opened(bench, tools, answers, writes, spec, writer_spec)


def limit(now: int, tokens: int | None) -> int:
    """How many tokens a prompt may have."""
    return tokens if tokens is not None else max(round(now * LONGER), now + ROOM)


def explain(case: Case, sample: Sample) -> str:
    """What was wrong with an answer, in words for the writer."""
    if sample.passed:
        return "This answer is right."
    wrong = [_said(case, sample, place) for place, score in enumerate(sample.scores) if score.passed is False]
    expected = f"The right answer is: {case.expected}" if case.expected not in (None, "") else ""
    return "\n".join(filter(None, ["This answer is wrong.", expected, *wrong]))


def _said(case: Case, sample: Sample, place: int) -> str:
    from stellwerk.evaluation import words

    return words.reason(sample.scores[place], "de" if case.language == "de" else "en")
