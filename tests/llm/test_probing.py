"""Versions of models, and probes: what makes another version, how a changed model is found, and that chance raises no alarm."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from test_serving import running

from stellwerk.errors import UserError
from stellwerk.llm import listing, models, probing
from stellwerk.llm.chat import Message, Params, Reply
from stellwerk.llm.probing import Taken
from stellwerk.llm.reports import ChatReport, ProbeReport
from stellwerk.llm.simulated import SimulatedClient
from stellwerk.llm.spec import Simulation, read
from stellwerk.operation import find
from stellwerk.record import tables
from stellwerk.runs import execution
from stellwerk.workspace import Workspace


class Provider:
    """A client that its provider can change: another seed answers otherwise. Counts its calls."""

    simulated = True
    name = "hosted"

    def __init__(self) -> None:
        self.calls = 0
        self.change(1)

    def change(self, seed: int, accuracy: float = 0.5) -> None:
        plan = {
            "plan": "rules",
            "seed": seed,
            "options": {"base": accuracy, "answers": dict.fromkeys(probing.questions(), "ja")},
        }
        self._inner = SimulatedClient("hosted", Simulation.model_validate(plan))

    async def complete(self, messages: Sequence[Message], params: Params, *, repeat: int = 0) -> Reply:
        self.calls += 1
        return await self._inner.complete(messages, params, repeat=repeat)


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    (tmp_path / "models").mkdir()
    return Workspace.init(tmp_path)


def write(place: Workspace, name: str, text: str) -> None:
    (place.root / "models" / f"{name}.yaml").write_text(text)


def probe(place: Workspace, name: str) -> ProbeReport:
    report = execution.call(place, find("llm.probe"), {"model": name})
    assert isinstance(report, ProbeReport)
    return report


@contextmanager
def hosted(place: Workspace, **fields: Any) -> Iterator[Provider]:
    provider = Provider()
    with running(provider) as (address, _):
        more = "".join(f"{name}: {value}\n" for name, value in fields.items())
        write(place, "writer", f"endpoint: {address}\nhosted: true\n{more}")
        yield provider


def test_the_questions_are_as_many_as_is_said_and_all_different() -> None:
    assert len(set(probing.questions())) == probing.QUESTIONS == 24


def test_a_model_that_stays_passes_and_one_that_changes_gets_a_new_version(place: Workspace) -> None:
    with hosted(place) as provider:
        first = probe(place, "writer")
        assert (first.passed, first.version) == (True, "model/writer@1")
        assert probe(place, "writer").passed
        provider.change(2, accuracy=0.0)
        changed = probe(place, "writer")
        assert not changed.passed
        assert changed.p < probing.LEVEL
        assert (changed.model, changed.version) == ("model/writer@1", "model/writer@2")
        assert "was changed by its provider" in changed.sentence
        assert any(not question.same for question in changed.questions)
        after = probe(place, "writer")
        assert (after.passed, after.version) == (True, "model/writer@2")
    values = [[row["value"] for row in models.probes(place.record, place.record.resolve(f"model/writer@{n}"))] for n in (1, 2)]
    assert values == [[1, 1, 1, 0], [1, 1]]


def test_the_first_registration_is_compared_with_itself_only_once(place: Workspace) -> None:
    with hosted(place) as provider:
        probe(place, "writer")
        # Registered, and then probed at once, since that was asked for.
        assert provider.calls == 2 * probing.CALLS


def take(place: Workspace, reference: str = "writer") -> str:
    """What an operation does that uses a model."""
    seen: list[str] = []
    inner = probing.probe

    def only_take(run: Any, parameter: str) -> ProbeReport:
        version, spec = models.take(run, parameter)
        seen.append(version.ref)
        return ProbeReport(
            model=version.ref, passed=True, sentence="", simulated=spec.simulated is not None, hosted=False,
            version=version.ref, p=1, asked=0, differing=0, reported=[], fingerprints=[], compared_with=None, questions=[],
        )  # fmt: skip

    probing.probe = only_take
    try:
        execution.call(place, find("llm.probe"), {"model": reference})
    finally:
        probing.probe = inner
    return seen[0]


def age(place: Workspace) -> None:
    """Let all probes be eight days old."""
    long_ago = (dt.datetime.now(dt.UTC) - dt.timedelta(days=8)).isoformat()
    with place.record.database.writing() as connection:
        connection.execute(update(tables.measurement).values(created=long_ago))


def test_use_probes_only_what_is_new_or_long_unprobed(place: Workspace) -> None:
    with hosted(place) as provider:
        assert take(place) == take(place) == "model/writer@1"
        assert provider.calls == probing.CALLS
        age(place)
        assert take(place) == "model/writer@1"
        assert provider.calls == 2 * probing.CALLS
        assert take(place) == "model/writer@1"
        assert provider.calls == 2 * probing.CALLS
        age(place)
        provider.change(9, accuracy=0.0)
        assert take(place) == "model/writer@2"
        assert take(place) == "model/writer@2"
        assert provider.calls == 3 * probing.CALLS


def test_an_old_version_of_a_changed_model_is_refused(place: Workspace) -> None:
    with hosted(place) as provider:
        take(place)
        age(place)
        provider.change(9, accuracy=0.0)
        with pytest.raises(UserError, match="no longer what answers"):
            take(place, "writer@1")


def test_a_price_makes_no_new_version_and_a_parameter_does(place: Workspace) -> None:
    with hosted(place) as provider:
        assert take(place) == "model/writer@1"
        file = place.root / "models" / "writer.yaml"
        file.write_text(file.read_text() + "price: [{input: 1, output: 2, since: 2026-01-01}]\nregion: EU\n")
        assert take(place) == "model/writer@1"
        assert provider.calls == probing.CALLS
        facts = place.record.resolve("model/writer@1").facts
        assert (facts["hosted"], facts["region"], facts["price"][0]["output"]) == (True, "EU", 2)
        assert facts["reported"] == "simulated"
        file.write_text(file.read_text() + "params: {temperature: 0.3}\n")
        assert take(place) == "model/writer@2"


def test_a_simulated_model_is_its_plan_and_asks_nothing(place: Workspace) -> None:
    write(place, "sim", "simulated: {plan: sums, seed: 1}\n")
    assert take(place, "sim") == take(place, "sim") == "model/sim@1"
    write(place, "sim", "simulated: {plan: sums, seed: 1}\ndescription: more words\n")
    assert take(place, "sim") == "model/sim@1"
    write(place, "sim", "simulated: {plan: sums, seed: 2}\n")
    assert take(place, "sim") == "model/sim@2"
    version = place.record.resolve("model/sim@1")
    assert (version.facts["simulated"], version.facts["hosted"]) == (True, False)
    assert models.spec_of(place, version).description == "more words"
    assert models.of(place, "sim@2")[1].simulated.seed == 2  # type: ignore[union-attr]
    assert models.of(place, "model/sim")[0] == "sim"


def test_a_simulated_model_can_be_probed_too(place: Workspace) -> None:
    write(place, "sim", "simulated: {plan: support}\n")
    first, second = probe(place, "sim"), probe(place, "sim")
    assert "first time" in first.sentence
    assert (second.passed, second.p, second.differing) == (True, 1, 0)
    assert second.simulated
    assert second.compared_with is not None


def test_weights_are_their_bytes(place: Workspace) -> None:
    (place.root / "w").mkdir()
    for name in ("config.json", "model.safetensors", "README.md"):
        (place.root / "w" / name).write_text(name)
    write(place, "local", "weights: w\nlicence: Apache-2.0\n")
    assert take(place, "local") == "model/local@1"
    (place.root / "w" / "README.md").write_text("other words")
    assert take(place, "local") == "model/local@1"
    (place.root / "w" / "model.safetensors").write_text("other weights")
    assert take(place, "local") == "model/local@2"
    write(place, "gone", "weights: nowhere\n")
    with pytest.raises(UserError, match="no such folder"):
        take(place, "gone")


def test_a_bought_model_without_a_file_cannot_be_called(place: Workspace) -> None:
    (place.root / "services").mkdir()
    (place.root / "services" / "llm.yaml").write_text("provider: P\nproduct: Q\nkind: model\nmodel: m\n")
    execution.call(place, find("release.register"), {"service": "llm"})
    with pytest.raises(UserError, match=r"write models/llm\.yaml"):
        models.of(place, "llm@1")


def test_chat_shows_answer_tokens_and_cost(place: Workspace) -> None:
    write(place, "sim", "simulated: {plan: echo}\nprice: [{input: 1000000, output: 2000000, since: 2020-01-01}]\n")
    report = execution.call(place, find("llm.chat"), {"model": "sim", "text": "eins zwei drei", "max_tokens": 2})
    assert isinstance(report, ChatReport)
    assert (report.answer, report.finish, report.sent, report.answered) == ("eins zwei", "length", 3, 2)
    assert (report.cost, report.currency, report.simulated, report.reported) == (7, "EUR", True, "simulated")
    with pytest.raises(UserError, match="text is empty"):
        execution.call(place, find("llm.chat"), {"model": "sim", "text": " "})


def test_the_list_says_what_is_known_and_what_is_not(place: Workspace) -> None:
    write(place, "sim", "simulated: {plan: support}\n")
    write(place, "far", "endpoint: https://api.example.eu/v1\nmodel: m\nregion: US\n")
    write(place, "wrong", "endpoint: ftp://x\n")
    with (place.root / "stellwerk.yaml").open("a") as file:
        file.write("models: {regions: [EU, local]}\n")
    probe(place, "sim")
    found = listing.models(Workspace(place.root))
    far, sim = found.models
    assert (far.name, far.kind, far.allowed, far.hosted, far.input, far.version) == ("far", "endpoint", False, True, None, None)
    assert far.why_not is not None
    assert "US" in far.why_not
    assert (sim.place, sim.allowed, sim.simulated, sim.version, sim.passed) == ("support", True, True, "model/sim@1", True)
    assert len(found.problems) == 1
    assert "wrong" in found.problems[0]


def taken(rng: random.Random, spread: float, shift: int = 0, **said: Any) -> Taken:
    """Answers that vary by chance: one of three, the first of which with 1 - spread."""
    words = [[f"answer {n + shift} {w}" for w in ("same", "other", "third word")] for n in range(24)]
    answers = [[row[0] if rng.random() > spread else rng.choice(row) for _ in range(3)] for row in words]
    return Taken(answers, said.get("models", ["m"]), said.get("fingerprints", []), "2026-01-01T00:00:00+00:00")


def test_a_model_that_varies_raises_alarm_as_rarely_as_planned() -> None:
    rng = random.Random(5)
    alarms = sum(not probing.compare(taken(rng, 0.6), taken(rng, 0.6))["passed"] for _ in range(80))
    assert alarms <= 5  # level 0.01: more than 5 of 80 have a chance of 0.0002


def test_a_small_shift_in_a_model_that_varies_is_found() -> None:
    rng = random.Random(6)
    found = [probing.compare(taken(rng, 0.2), taken(rng, 0.95))["passed"] for _ in range(20)]
    assert sum(found) <= 2


def test_another_id_or_fingerprint_is_another_model_whatever_it_answers() -> None:
    rng = random.Random(7)
    base = taken(rng, 0.0, models=["m-2026-01"], fingerprints=["fp_1", "fp_2"])

    def passed(**said: Any) -> bool:
        return bool(probing.compare(base, taken(rng, 0.0, **said))["passed"])

    assert passed(models=["m-2026-01"], fingerprints=["fp_2", "fp_3"])
    assert passed(models=["m-2026-01"])
    assert not passed(models=["m-2026-01"], fingerprints=["fp_3"])
    assert not passed(models=["m-2026-05"], fingerprints=["fp_1"])


def test_files_with_mistakes_are_one_sentence() -> None:
    with pytest.raises(UserError, match="line 1"):
        read("simulated: {plan: magic}\n", "models/x.yaml")
