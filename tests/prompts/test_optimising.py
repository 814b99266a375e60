"""A search finds planted rules within its calls, keeps what a prompt must keep, and proves its gain on cases held out."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import BASE, EFFECT, NONE, RIGHT, USEFUL, PlantedModel, strength
from planted_server import serving
from searchplace import SearchPlace

from stellwerk.errors import StellwerkError, UserError
from stellwerk.evaluation.case import Case, Check, Sample
from stellwerk.evaluation.scorers import registry
from stellwerk.evaluation.target import PromptTarget
from stellwerk.jobs.prompts.copying import CopyGuard, runs
from stellwerk.jobs.prompts.gepa_adapter import Search, floor
from stellwerk.jobs.prompts.search.bench import Bench, Ledger, OutOfCalls
from stellwerk.jobs.prompts.search.candidates import Candidate, best, marked
from stellwerk.jobs.prompts.search.examples import Nearest
from stellwerk.jobs.prompts.search.wording import Rules, Wording
from stellwerk.jobs.prompts.search.writer import Writer
from stellwerk.llm.chat import CallFailed, Message, Params, Reply
from stellwerk.llm.prompts.promptfile import read
from stellwerk.record import tables
from stellwerk.run import Interrupted

PROMPT = "system:\nBeantworte die Frage.\nuser:\n{{frage}}\n"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[SearchPlace]:
    made = SearchPlace(tmp_path / "workspace")
    yield made
    made.close()


def cases(split: str, number: int) -> list[Case]:
    """Questions with the same right answer, of different difficulty."""
    text = "Was gilt bei dem Auftrag mit der langen Nummer {} aus dem Teil {}?"
    return [Case(f"{split}{i}", {"frage": text.format(i, split)}, (Check("equals", RIGHT),)) for i in range(number)]


def explain(case: Case, sample: Sample) -> str:
    return "right" if sample.passed else "wrong"


class Searched:
    """One search on the bench, without a workspace."""

    def __init__(
        self,
        seed: int = 0,
        proposals: str = "rules",
        *,
        prompt: str = PROMPT,
        calls: int = 400,
        tokens: int = 400,
        check: Any = None,
    ) -> None:
        self.model = PlantedModel(seed, proposals)
        wording = Wording.of(read(prompt, "prompts/reply.prompty"))
        dev = cases("dev", 40)
        self.rules = Rules(wording, CopyGuard(dev, wording.prompt.text), tokens)
        scoring = registry.scoring([Check("equals", RIGHT)])
        with Bench([self.model], scoring, check or (lambda: None)) as bench:
            self.search = Search(
                bench=bench,
                rules=self.rules,
                writer=Writer(self.model, Params(), bench, wording.names, 200),
                target=lambda text: PromptTarget(wording.with_text(text), self.model),
                explain=explain,
                dev=dev,
                val=cases("val", 25),
                ledger=Ledger(calls),
                seed=seed,
            )
            self.found = self.search.run()
        self.chosen = best(self.found, self.found[0])


def test_search_finds_planted_rules_within_its_calls() -> None:
    searched = Searched(seed=1)
    assert strength(searched.found[0].text) == BASE
    assert strength(searched.chosen.text) == pytest.approx(BASE + EFFECT * len(USEFUL))
    # Distinct questions are what is paid for, and the ledger counts each of them.
    assert len(set(searched.model.asked)) == len(searched.model.asked) == searched.search.ledger.used <= 400
    assert searched.chosen.calls <= searched.search.ledger.used
    assert all(one.parent is not None for one in searched.found[1:])


def test_search_reaches_the_optimum_in_nine_of_ten_seeds() -> None:
    optimum = BASE + EFFECT * len(USEFUL)
    searched = [Searched(seed) for seed in range(10)]
    assert sum(strength(one.chosen.text) >= 0.95 * optimum for one in searched) >= 9
    assert max(len(one.model.asked) for one in searched) <= 400
    assert max(one.chosen.tokens for one in searched) <= searched[0].rules.tokens
    assert sum(one.rules.guard.copies(found.text) for one in searched for found in one.found) == 0


def test_same_seed_gives_the_same_search() -> None:
    first, second = Searched(seed=3), Searched(seed=3)
    assert first.found == second.found
    assert first.model.asked == second.model.asked
    assert first.model.asked != Searched(seed=4).model.asked


@pytest.mark.parametrize("calls", [111, 150, 231])
def test_search_never_exceeds_its_calls(calls: int) -> None:
    searched = Searched(seed=2, calls=calls)
    assert floor(25) == 25 + 3 * 28 <= calls
    assert len(searched.model.asked) <= calls


@pytest.mark.parametrize(
    ("proposals", "reason"), [("nothing", "empty"), ("loses", "variables"), ("copies", "copies"), ("long", "too_long")]
)
def test_proposals_that_cannot_be_used_cost_no_calls_and_are_counted(proposals: str, reason: str) -> None:
    prompt = "system:\nBeantworte die Frage für {{name}}.\nuser:\n{{frage}}\n"
    searched = Searched(proposals=proposals, prompt=prompt.replace("{{name}}", "{{ frage }}"))
    assert not searched.rules.usable
    assert set(searched.rules.refused) == {reason}
    assert searched.chosen.number == 0
    assert len(searched.model.asked) <= 25 + 40  # each case once with the beginning, and never again


def test_writer_that_fails_ends_the_search_with_its_error() -> None:
    class Failing(PlantedModel):
        async def complete(self, messages: Sequence[Message], params: Params = NONE, *, repeat: int = 0) -> Reply:
            if "```" in messages[-1].content:
                raise CallFailed("the endpoint gave no answer", "server")
            return await super().complete(messages, params, repeat=repeat)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[__name__], "PlantedModel", Failing)
        with pytest.raises(CallFailed):
            Searched()


def test_cancelled_run_ends_the_search() -> None:
    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked > 150:
            raise Interrupted("the run was cancelled")

    with pytest.raises(Interrupted):
        Searched(check=check)
    assert asked == 151


def test_failed_call_is_no_wrong_answer() -> None:
    class Failing(PlantedModel):
        async def complete(self, messages: Sequence[Message], params: Params = NONE, *, repeat: int = 0) -> Reply:
            if len(self.asked) == 60:
                raise CallFailed("the endpoint gave no answer", "timeout")
            return await super().complete(messages, params, repeat=repeat)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[__name__], "PlantedModel", Failing)
        with pytest.raises(StellwerkError, match="must not take them for wrong answers"):
            Searched()


def test_bench_asks_each_question_once_and_stops_at_its_ledger() -> None:
    model = PlantedModel()
    prompt = read(PROMPT, "prompts/reply.prompty")
    ledger = Ledger(30)
    with Bench([model], registry.scoring([Check("equals", RIGHT)]), lambda: None) as bench:
        first = bench.ask("a", PromptTarget(prompt, model), cases("x", 20), ledger)
        again = bench.ask("a", PromptTarget(prompt, model), cases("x", 25), ledger)
        assert again[:20] == first and [s.case for s in again] == [f"x{i}" for i in range(25)]
        assert ledger.used == len(model.asked) == 25
        with pytest.raises(OutOfCalls):
            bench.ask("b", PromptTarget(prompt, model), cases("x", 6), ledger)
        assert len(model.asked) == 25
        assert bench.history().count(b"\n") == 25


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Nenne {{name}} die Frist.", None),
        ("Nenne  {{ name }} die Frist, {{name}}.", None),
        ("Nenne die Frist.", "variables"),
        ("Nenne {{name}} und {{frist}}.", "variables"),
        ("Nenne {{name}.", "syntax"),
        ("Nenne {{name}} {% if %}", "syntax"),
        ("Nenne {{name}}.\nuser:\nIch bin der Nutzer.", "syntax"),
        ("Nenne {{name}} {{ name.__class__ }}", "syntax"),
        ("Antworte {{name}}.", "known"),
        ("   ", "empty"),
        ("Nenne {{name}} " + "immer wieder " * 40, "too_long"),
        ("{{name}}: die Ware kommt spätestens drei Tage nach dem Eingang an", "copies"),
    ],
)
def test_what_a_proposal_must_keep(text: str, reason: str | None) -> None:
    wording = Wording.of(read("system:\nAntworte {{name}}.\nuser:\n{{frage}}\n", "prompts/reply.prompty"))
    guard = CopyGuard([Case("a", {"frage": "Die Ware kommt spätestens drei Tage nach dem Eingang, oder?"})])
    rules = Rules(wording, guard, 60)
    assert rules.admit(text) == reason
    assert rules.admit(text) == reason  # proposed once more, it is no further proposal
    assert rules.usable == (set() if reason else {text})


def test_searched_message_is_the_system_message_or_the_first() -> None:
    assert Wording.of(read("user:\nHallo\nsystem:\nSei nett.\n", "prompts/a.prompty")).text == "Sei nett."
    assert Wording.of(read("user:\nHallo {{name}}\n", "prompts/a.prompty")).text == "Hallo {{name}}"


@pytest.mark.parametrize(
    ("wording", "copies"),
    [
        ("Schreib an erika@example.org.", 1),
        ("Nenne die Nummer RG-2024-0815.", 1),
        ("Ruf 0151/2345678 an.", 1),
        ("Antworte binnen 14 Tagen, bei 3 Fragen in 2 Sätzen.", 0),
        ("Nenne die Nummer AB-100.", 0),
        ("Nenne die Nummer RG-2024-0816.", 0),
    ],
)
def test_guard_lets_nothing_through_that_tells_a_case(wording: str, copies: int) -> None:
    told = "Erika@example.org fragt binnen 14 Tagen nach RG-2024-0815 und AB-100, Tel. 0151/2345678"
    assert CopyGuard([Case("a", {"frage": told})], "Nenne AB-100.").copies(wording) == copies


WORDS = st.lists(st.sampled_from(["Ware", "Frist", "die", "kommt", "nie", "und", "sehr", "bald", "drei", "Tage"]), max_size=30)


@given(case=WORDS, wording=WORDS, own=WORDS)
def test_guard_finds_every_run_of_eight_words(case: list[str], wording: list[str], own: list[str]) -> None:
    guard = CopyGuard([Case("a", {"frage": ", ".join(case).upper()})], " ".join(own))
    in_case = {tuple(w.casefold() for w in case[i : i + 8]) for i in range(len(case) - 7)}
    allowed = {tuple(w.casefold() for w in own[i : i + 8]) for i in range(len(own) - 7)}
    expected = [run for run in runs(" ".join(wording)) if run in in_case - allowed]
    assert guard.copies(" ".join(wording)) == len(expected)


def test_best_is_safe_before_it_is_good_and_short_among_equals() -> None:
    def made(number: int, score: float, unwanted: int, tokens: int) -> Candidate:
        return Candidate(number, "gepa", 0, f"{number}", score, unwanted, tokens, 0)

    seed = made(0, 0.5, 1, 10)
    unsafe, long, short, worse = made(1, 0.9, 2, 10), made(2, 0.8, 1, 30), made(3, 0.8, 0, 20), made(4, 0.4, 1, 30)
    assert best([seed, unsafe, long, short], seed) is short
    assert [one.frontier for one in marked([seed, unsafe, long, short, worse])] == [True, True, False, True, False]


def test_examples_are_the_nearest_and_never_of_the_same_cluster() -> None:
    known = [
        Case("a", {"frage": "Wann kommt mein Paket an?"}, cluster="x"),
        Case("b", {"frage": "Wie lange habe ich Garantie auf das Gerät?"}),
        Case("c", {"frage": "Wann kommt mein Paket aus Wien an?"}, cluster="y"),
    ]
    nearest = Nearest(known)
    assert [c.id for c in nearest.to(Case("d", {"frage": "Wann kommt das Paket an?"}, cluster="x"), 1)] == ["c"]
    assert [c.id for c in nearest.to(Case("d", {"frage": "Wann kommt das Paket an?"}), 2)] == ["c", "a"]
    assert nearest.to(known[0], 0) == []


def test_optimise_proves_its_gain_on_cases_held_out(place: SearchPlace) -> None:
    report = place.call("prompts.optimise", prompt="reply", suite="cases", model="sim", save="better")
    assert report.verdict == "better" and report.simulated
    assert report.gains[0].low > 0.4 and report.gains[0].n == report.cases["prove"] > 50
    assert report.baseline is not None and report.verdict_baseline == "better"
    assert report.calls <= 400 and report.calls_baselines <= 400
    assert report.tokens_after <= report.tokens_limit
    written = (place.root / "prompts/better.prompty").read_text(encoding="utf-8")
    assert strength(written) == pytest.approx(1.0)
    assert written.startswith("---\ndescription: Antwortet.\n---\nsystem:\nBeantworte die Frage.\n")
    assert written.endswith("user:\n{{frage}}\n")
    assert sum(line.startswith("+") for line in report.diff[2:]) == sum(rule in written for rule in USEFUL)
    version = place.workspace.record.resolve("prompt/better@1", "prompt")
    gain = next(m for m in place.workspace.record.rows(tables.measurement, tables.measurement.c.metric == "gain"))
    assert gain["value"] == pytest.approx(report.gains[0].difference) and gain["complete"]
    found = place.workspace.record.rows(tables.measured, tables.measured.c.measurement == gain["id"])
    assert version.id in {row["version"] for row in found if row["role"] == "subject"}
    again = place.call("prompts.optimise", prompt="reply", suite="cases", model="sim")
    assert again.candidates == report.candidates  # all from the record


def test_optimise_says_that_nothing_was_proposed(place: SearchPlace) -> None:
    place.write("models/mute.yaml", "simulated: {plan: echo}\n")
    with pytest.raises(UserError, match="none could be used"):
        place.call("prompts.optimise", prompt="reply", suite="cases", model="sim", writer="mute")


def test_optimise_refuses_before_it_asks(place: SearchPlace) -> None:
    with pytest.raises(UserError, match="give at least calls: 49"):
        place.call("prompts.optimise", prompt="reply", suite="cases", model="sim", calls=48)
    place.prompt("better", "Ja.")
    with pytest.raises(UserError, match="is there already"):
        place.call("prompts.optimise", prompt="reply", suite="cases", model="sim", save="better")
    with pytest.raises(UserError, match="cannot be the name"):
        place.call("prompts.optimise", prompt="reply", suite="cases", model="sim", save="../x")
    place.suite(splits={"dev": 0.5, "test": 0.5})
    with pytest.raises(UserError, match="no cases of split held-out"):
        place.call("prompts.optimise", prompt="reply", suite="cases", model="sim")


def test_killed_search_goes_on_without_paying_twice(place: SearchPlace) -> None:
    place.suite(120)
    with serving(delay=0.005) as server:
        place.write(
            "models/far.yaml",
            f"endpoint: {server.address}\nmodel: planted\nlicence: MIT\nprice: [{{input: 1, output: 1, since: 2020-01-01}}]\n",
        )
        place.write(
            "suites/cases.yaml",
            (place.root / "suites/cases.yaml")
            .read_text(encoding="utf-8")
            .replace("value: ok", f"value: {RIGHT}")
            .replace("expected: ok", f"expected: {RIGHT}"),
        )
        command = [sys.executable, "-m", "stellwerk", "prompts", "optimise", "reply", "cases", "far", "-w", str(place.root)]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while sum(server.asked.values()) < 200 and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert child.poll() is None
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        time.sleep(0.1)
        before = sum(server.asked.values())
        assert before >= 200
        report = place.call("prompts.optimise", prompt="reply", suite="cases", model="far")
        twice = sum(count - 1 for key, count in server.asked.items() if "```" not in key)
        assert report.verdict == "better"
        # What was in flight and what was answered in the last moments may have to be asked again, and no more.
        assert twice <= 80
        assert sum(server.asked.values()) > before


def test_planted_model_is_always_the_same() -> None:
    message = [Message("system", USEFUL[0]), Message("user", "Frage?")]
    one, two = PlantedModel(5), PlantedModel(5)
    assert asyncio.run(one.complete(message)) == asyncio.run(two.complete(message))
