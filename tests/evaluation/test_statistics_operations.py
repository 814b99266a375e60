"""The operations power and rank, on real tests of simulated models in a real workspace."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import yaml

from stellwerk.errors import UserError
from stellwerk.evaluation.statistics import power
from stellwerk.operation import find
from stellwerk.runs import execution
from stellwerk.workspace import Workspace

PROMPT = """---
name: sums
inputs:
  - name: a
    kind: integer
---
user:
Add: {{a}} + 7
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Three models of known accuracy, tested on the same 120 cases in clusters of four."""
    root = tmp_path_factory.mktemp("ranks")
    workspace = Workspace.init(root)
    for folder in ("prompts", "models", "suites"):
        (root / folder).mkdir(exist_ok=True)
    (root / "prompts/sums.prompty").write_text(PROMPT)
    for seed, (name, accuracy) in enumerate({"weak": 0.4, "good": 0.85, "fine": 0.85}.items()):
        plan = {"simulated": {"plan": "sums", "seed": seed, "options": {"accuracy": accuracy}}}
        (root / f"models/{name}.yaml").write_text(yaml.safe_dump(plan))
    for suite, number in (("sums", 120), ("others", 10)):
        tests = [
            {"vars": {"a": i, "page": f"p{i // 4}"}, "assert": [{"type": "equals", "value": str(i + 7)}]} for i in range(number)
        ]
        spec = {"tests": tests, "cluster": "page", "splits": {"test": 1.0}}
        (root / f"suites/{suite}.yaml").write_text(yaml.safe_dump(spec))
    return workspace


def call(workspace: Workspace, operation: str, **values: Any) -> Any:
    return execution.call(workspace, find(operation), values)


@pytest.fixture(scope="module")
def runs(place: Workspace) -> list[str]:
    reports = [call(place, "prompts.test", prompt="sums", suite="sums", model=name) for name in ("weak", "good", "fine")]
    return [report.run for report in reports]


def test_tests_are_ranked_and_equal_ones_share_their_ranks(place: Workspace, runs: list[str]) -> None:
    found = call(place, "evaluation.rank", runs=runs, metric="passed")
    assert found.cases == 120
    assert [one.rank for one in found.places] == [1, 2, 3]
    assert (found.places[2].best, found.places[2].worst, found.places[2].run) == (3, 3, runs[0])
    assert {(one.best, one.worst) for one in found.places[:2]} == {(1, 2)}
    assert found.simulated
    assert "simulated" in found.notes[0]
    assert "1 more may be first" in found.message
    for one in found.places:
        assert one.wins + one.ties + one.losses == 240
        assert one.low < one.strength < one.high
    assert call(place, "evaluation.rank", runs=[runs[0], runs[1]], metric="equals").places[0].run == runs[1]


def test_what_cannot_be_ranked_is_said_in_a_sentence(place: Workspace, runs: list[str]) -> None:
    other = call(place, "prompts.test", prompt="sums", suite="others", model="weak").run
    for chosen, metric, words in (
        ([runs[0]], "passed", "at least two"),
        ([runs[0], runs[0]], "passed", "at least two"),
        ([runs[0], other], "passed", "different suites"),
        (runs, "tone", "no metric 'tone'"),
        (["ffff0000"], "passed", "no run begins"),
    ):
        with pytest.raises(UserError, match=words):
            call(place, "evaluation.rank", runs=chosen, metric=metric)


def test_power_without_a_run(place: Workspace) -> None:
    found = call(place, "evaluation.power", difference=0.05, rate=0.8)
    assert found.discordant == pytest.approx(power.independent(0.8, 0.05)) == pytest.approx(0.29)
    assert power.power_of(found.cases, 0.05, found.discordant) >= 0.8
    assert power.power_of(found.cases - 40, 0.05, found.discordant) < 0.8
    assert "worst to be expected" in found.notes[0]
    likely = call(place, "evaluation.power", difference=0.05, rate=0.8, discordant=0.1)
    assert likely.cases < found.cases / 2
    assert likely.cases_unpaired == found.cases_unpaired > likely.cases
    clustered = call(place, "evaluation.power", difference=0.05, discordant=0.1, cluster_size=5, correlation=0.5)
    assert clustered.cases == pytest.approx(3 * likely.cases, abs=3)
    assert clustered.clusters == math.ceil(clustered.cases / 5)
    shown = [row.difference for row in found.detectable if row.difference is not None]
    assert shown == sorted(shown, reverse=True)
    for field, value, words in (("discordant", 0.02, "below the difference"), ("difference", 0.7, "smaller difference")):
        with pytest.raises(UserError, match=words):
            call(place, "evaluation.power", **{"difference": 0.05, "rate": 0.5, field: value})
    with pytest.raises(UserError, match="ten million"):
        call(place, "evaluation.power", difference=0.0001)


def test_power_from_a_run(place: Workspace, runs: list[str]) -> None:
    found = call(place, "evaluation.power", difference=0.1, of=runs[1])
    assert 0.75 < found.rate < 0.95
    assert found.cluster_size == 4
    assert 0 <= found.correlation < 0.2
    assert 120 in [row.cases for row in found.detectable]
    assert "120 cases" in found.notes[0]
    assert "simulated" in found.notes[1]


def test_the_exact_power_is_that_of_a_simulation() -> None:
    generator = np.random.default_rng(1)
    for n, difference, discordant in ((60, 0.15, 0.25), (400, 0.05, 0.12)):
        better, worse = (discordant + difference) / 2, (discordant - difference) / 2
        tables = generator.multinomial(n, [better, worse, 1 - discordant], size=20000)
        least = {}
        for b, w, _ in tables:
            least.setdefault((int(b), int(w)), 0)
            least[int(b), int(w)] += 1
        from stellwerk.evaluation.statistics.paired import mcnemar

        found = sum(count for (b, w), count in least.items() if b > w and mcnemar(b, w) <= 0.05) / 20000
        assert power.power_of(n, difference, discordant) == pytest.approx(found, abs=0.012)
    n = power.cases(0.05, 0.12)
    smallest = power.detectable(n, 0.12)
    assert smallest is not None
    assert smallest <= 0.05
    assert power.detectable(10, 0.1) is None
    with pytest.raises(ValueError, match="discordant"):
        power.power_of(10, 0.5, 0.2)


def test_cases_for_scores_are_enough() -> None:
    from stellwerk.evaluation.statistics import intervals

    n = power.cases_for_scores(0.05, 0.2)
    rows = np.random.default_rng(2).normal(0.05, 0.2, size=(2000, n))
    found = sum(intervals.mean(row).low > 0 for row in rows) / 2000
    assert 0.775 < found < 0.835
