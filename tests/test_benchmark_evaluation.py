"""The benchmark of evaluation runs, its endpoint knows what it answers, and it sees who disagrees or misses a target."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))

from benchmarks import evaluation  # noqa: E402
from benchmarks.evaluating import contenders, task  # noqa: E402
from benchmarks.evaluating.server import Endpoint, Seen, served  # noqa: E402

LINE = evaluation.Line("stellwerk", case=2.0, doubt=0.1, start=1.0, quick=900, pss=1e8, slow=250, flying=64, whole=5.0)


def asked(endpoint: Endpoint, content: object) -> str:
    body = json.dumps({"messages": [{"role": "user", "content": content}]}).encode()
    with urllib.request.urlopen(f"{endpoint.base}/chat/completions", data=body) as reply:
        return str(json.load(reply)["choices"][0]["message"]["content"])


@pytest.mark.parametrize("count", [evaluation.FEW, evaluation.SLOW_CASES, evaluation.MANY])
def test_four_of_five_answers_are_right(count: int) -> None:
    cases = task.cases(count)
    answers = [task.answered(task.question(a, b)) for a, b in cases]
    right = [text == str(a + b) for (a, b), (text, _) in zip(cases, answers, strict=True)]
    assert right == [known for _, known in answers]
    assert sum(right) / count == pytest.approx(0.8, abs=0.02)
    assert len(set(cases)) == count


def test_the_endpoint_counts_what_it_answers_and_lets_nobody_out() -> None:
    with served(0.0) as endpoint:
        pairs = task.cases(12)
        texts = [asked(endpoint, task.question(a, b)) for a, b in pairs]
        assert asked(endpoint, [{"type": "text", "text": "Add: 1 + 7"}]) in ("8", "9")
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"http://127.0.0.1:{endpoint.port}/elsewhere")
        seen = endpoint.seen()
    right = sum(text == str(a + b) for text, (a, b) in zip(texts, pairs, strict=True))
    assert (seen.calls, seen.most, seen.refused) == (13, 1, ["GET /elsewhere"])
    assert 0 < right <= seen.right <= right + 1
    assert seen.seconds > 0


def test_stellwerk_says_what_the_endpoint_knows(tmp_path: Path) -> None:
    ours = contenders.stellwerk()[0]
    done = evaluation.run(ours, tmp_path, cases=20, at_once=10, delay=0.05)
    assert (done.seen.calls, done.seen.most, done.seen.refused) == (20, 10, [])
    assert 0 < done.seen.right < 20
    assert done.used.cpu > 0 < done.rate


def test_who_counts_otherwise_than_the_endpoint_fails(tmp_path: Path) -> None:
    floor = contenders.floor()
    right = evaluation.run(floor, tmp_path, cases=20, at_once=4, delay=0.0).seen.right
    wrong = replace(floor, share=lambda given, said: floor.share(given, said) + 1 / given.cases)
    with pytest.raises(evaluation.Disagreement, match=f"answered {right} of 20 calls right"):
        evaluation.run(wrong, tmp_path, cases=20, at_once=4, delay=0.0)


def test_a_line_takes_the_start_from_what_a_case_costs() -> None:
    def tested(cases: int, cpu: float, seconds: float) -> evaluation.Tested:
        return evaluation.Tested(cases, evaluation.Usage(9.0, cpu, 10, 20, 1), Seen(cases, cases, 7, 1.0, 1.0 + seconds))

    few, many = [1.3, 1.2, 1.2], [3.3, 3.3, 3.1]
    parts = {
        "few": [tested(100, cpu, 1) for cpu in few],
        "many": [tested(1100, cpu, seconds) for cpu, seconds in zip(many, (4, 2, 3), strict=True)],
        "slow": [tested(600, 2, 3)],
    }
    line = evaluation.line("ours", {("ours", part): done for part, done in parts.items()})
    assert (line.case, line.doubt, line.start) == (pytest.approx(2.0), pytest.approx(0.1), pytest.approx(1.0))
    assert (line.quick, line.slow, line.flying, line.whole) == (550, 200, 7, 9.0)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, []),
        ({"case": 3.1}, ["CPU a case is 3.10 ms", "promptfoo needs 4.8", "inspect_ai needs 7.7"]),
        ({"slow": 219.0, "flying": 63}, ["cases a second at 200 ms are 219", "in flight are 63"]),
        ({"whole": 6.1}, ["take 6.1 s"]),
    ],
)
def test_targets_that_are_missed_are_said(changed: dict[str, float], said: list[str]) -> None:
    lines = [
        replace(LINE, **changed),
        replace(LINE, name="promptfoo", case=15.0, slow=33),
        replace(LINE, name="inspect_ai", case=24.0),
    ]
    found = evaluation.missed(lines, help_cpu=0.2)
    assert [any(part in each for each in found) for part in said] == [True] * len(said)
    assert len(found) == len(said)
    assert len(evaluation.missed(lines, help_cpu=0.3)) == len(said) + 1
