"""Audits of six real judges on LLMBar: those that are known to be biased are caught, and corrections hold what they promise."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from stellwerk.evaluation.judges import measuring
from stellwerk.evaluation.judges.measuring import Judged, Measure
from stellwerk.evaluation.judges.spec import Thresholds
from stellwerk.evaluation.judges.wording import Verdict
from stellwerk.evaluation.statistics import correction

SAID: dict[str, Verdict | None] = {"1": "A", "2": "B", "None": None}


@pytest.fixture(scope="module")
def verdicts(shared_data: Path) -> dict[str, list[Judged]]:
    """What each judge said with the plain prompt, by name."""
    found: dict[str, list[Judged]] = {}
    with gzip.open(shared_data / "evals/llmbar-judge-verdicts.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            if row["strategy"] == "Vanilla":
                gold = SAID[row["gold"]]
                assert gold is not None
                one = Judged(
                    gold, SAID[row["winner_unswapped"]], SAID[row["winner_swapped"]], (int(row["len_1"]), int(row["len_2"]))
                )
                found.setdefault(row["judge"], []).append(one)
    return found


def audited(judged: list[Judged]) -> dict[str, Measure]:
    return {one.name: one for one in measuring.measures("pairwise", judged, 0, (1, 5), Thresholds())}


@pytest.mark.parametrize("name", ["ChatGPT", "ChatGPT-0301", "Falcon", "LLaMA2", "PaLM2"])
def test_biased_judges_do_not_pass(verdicts: dict[str, list[Judged]], name: str) -> None:
    numbers = audited(verdicts[name])
    assert not measuring.passed(list(numbers.values()))
    missed = {one.name for one in numbers.values() if one.met is False}
    assert "consistency" in missed and "agreement" in missed


def test_gpt_4_passes_and_both_orders_make_it_better(verdicts: dict[str, list[Judged]]) -> None:
    judged = verdicts["GPT-4"]
    numbers = audited(judged)
    assert measuring.passed(list(numbers.values()))
    assert numbers["kept"].value == pytest.approx(0.928, abs=5e-4)
    assert numbers["accuracy_kept"].value == pytest.approx(0.871, abs=5e-4)
    single = np.mean([one.straight == one.human for one in judged])
    assert numbers["accuracy_kept"].value > single + 0.02
    for one in numbers.values():
        if one.low is not None and one.high is not None and one.value is not None:
            assert one.low <= one.value <= one.high


def test_known_biases_are_measured_as_they_are(verdicts: dict[str, list[Judged]]) -> None:
    falcon, chat, llama = (audited(verdicts[name]) for name in ("Falcon", "ChatGPT", "LLaMA2"))
    assert falcon["consistency"].value == pytest.approx(0.415, abs=5e-4)
    assert falcon["position"].value == pytest.approx(0.776, abs=5e-4)
    assert falcon["position_distance"].met is False
    assert chat["length"].value == pytest.approx(0.662 - 0.270, abs=1e-3)
    assert chat["length"].met is False
    assert llama["unscored"].value == pytest.approx(2 / 419)


def test_a_corrected_rate_covers_what_people_say(verdicts: dict[str, list[Judged]]) -> None:
    """50 labels of 419, 1,000 times: the raw share of a biased judge never holds the truth, the corrected one does."""
    for name in ("ChatGPT", "GPT-4"):
        judged = [one for one in verdicts[name] if one.read]
        people = np.array([float(one.human == "A") for one in judged])
        judge = np.array([{"A": 1.0, "B": 0.0, "tie": 0.5}[str(one.both)] for one in judged])
        chance, covered = np.random.default_rng(5), 0
        for _ in range(1000):
            drawn = set(chance.choice(len(judged), 50, replace=False).tolist())
            labels = [people[i] if i in drawn else None for i in range(len(judged))]
            found = correction.ppi_mean(judge, labels)
            covered += found.low <= people.mean() <= found.high
        assert covered >= 930, (name, covered)
