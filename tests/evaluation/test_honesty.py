"""Evidence cannot be had too cheaply, concerns exactly what ran, and what is unknown is never shown as known."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_testing import PROMPT, Bench, counting

from stellwerk.errors import UserError
from stellwerk.evaluation import measuring
from stellwerk.evaluation.columns import Columns
from stellwerk.evaluation.operations import failed
from stellwerk.record import tables

PRICE = [{"input": 1000, "output": 2000, "currency": "EUR", "since": "2024-01-01"}]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "bench")
    yield made
    made.workspace.record.database.close()


def measured(bench: Bench, metric: str) -> list[dict[str, Any]]:
    table = tables.measurement
    return bench.workspace.record.rows(table, table.c.metric == metric, order=table.c.created)


def linked(bench: Bench, measurement: str, role: str) -> set[str]:
    rows = bench.workspace.record.rows(tables.measured, tables.measured.c.measurement == measurement)
    return {one.ref for one in bench.workspace.record.versions_of({row["version"] for row in rows if row["role"] == role})}


def test_asking_twice_does_not_lower_the_bound_of_what_was_never_seen(bench: Bench) -> None:
    bench.model(1.0)
    bench.suite(50, unwanted=[{"forbidden": ["Garantie"]}])
    once, twice = (bench.numbers(bench.test(repeats=n))["unwanted.forbidden"].high for n in (1, 2))
    assert once == twice == pytest.approx(0.0711, abs=1e-4)


def test_one_unwanted_answer_among_repeats_is_no_better_than_none() -> None:
    columns = Columns(case=[str(n // 4) for n in range(200)], repeat=[n % 4 for n in range(200)], cluster=[None] * 200)
    for name in ("passed", "score", "error", "seconds", "cost", "judging", "input", "output", "attempts", "kept"):
        getattr(columns, name).extend([1.0] * 200)
    bounds = []
    for found in (0, 1):
        columns.unwanted["form"] = columns.passed.__class__("d", [1.0] * found + [0.0] * (200 - found))
        bounds.append(next(one.high for one in measuring.measures(columns) if one.metric == "unwanted.form"))
    assert bounds[0] <= bounds[1]


def test_cases_are_asked_as_often_as_the_suite_says_whoever_asks(bench: Bench) -> None:
    bench.suite(12, epochs=5)
    bench.model(0.5, "other")
    assert [bench.test(repeats=n).repeats for n in (1, 2, 7)] == [5, 5, 7]
    bench.call("prompts.compare", first="sums", second="sums", suite="sums", model="adder", second_model="other")
    assert {row["details"]["repeats"] for row in measured(bench, "pass_rate")} == {5, 7}


def test_a_number_without_an_upper_bound_never_counts(bench: Bench) -> None:
    bench.model(1.0, price=PRICE)
    bench.suite(1)
    bench.test()
    rows = {row["metric"]: row for row in bench.workspace.record.rows(tables.measurement)}
    assert all(row["high"] is not None or row["value"] is None for row in rows.values() if row["complete"])
    assert not any(rows[metric]["complete"] for metric in ("latency_p95", "tokens", "cost_per_case"))
    assert rows["pass_rate"]["complete"] and rows["pass_rate"]["low"] < 0.1


def test_a_score_of_one_cluster_may_be_anything() -> None:
    columns = Columns(case=[str(n) for n in range(10)], repeat=[0] * 10, cluster=["p"] * 10)
    for name in ("passed", "error", "seconds", "cost", "judging", "input", "output", "attempts", "kept"):
        getattr(columns, name).extend([1.0] * 10)
    columns.score.extend([0.9, 0.8] * 5)
    score = next(one for one in measuring.measures(columns) if one.metric == "score")
    assert (score.value, score.low, score.high) == (pytest.approx(0.85), 0.0, 1.0)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_all_and_none_have_intervals_and_no_cost_per_solved_of_nothing(bench: Bench, share: float) -> None:
    bench.model(share, price=PRICE)
    bench.suite(20)
    numbers = bench.numbers(bench.test())
    rate = numbers["pass_rate"]
    assert rate.value == share and rate.high - rate.low == pytest.approx(0.139, abs=0.01)
    solved = numbers["cost_per_solved"]
    assert (solved.value is None) == (share == 0.0) and numbers["cost_per_case"].value > 0


def test_a_suite_cannot_measure_what_another_job_proves(bench: Bench) -> None:
    names = ["probe_passed", "judge_passed", "unwanted.prompt_leak", "difference", "tone"]
    checks = [{"type": "regex", "value": "[0-9]", "metric": name} for name in names]
    bench.suite(3, checks=checks)
    bench.test()
    known = {row["metric"] for row in bench.workspace.record.rows(tables.measurement)}
    assert known.isdisjoint(names[:-1]) and known >= {*(f"metric.{name}" for name in names[:-1]), "tone"}


def test_another_model_that_embeds_is_another_measurement(bench: Bench) -> None:
    tests = [{"vars": {"a": i, "b": 1}, "assert": [{"type": "similar", "value": "hallo"}]} for i in range(3)]
    for name in ("one", "two"):
        bench.model(0.1, name)
    suites = []
    for embedder in ("one", "two"):
        bench.write("suites/sums.yaml", yaml.safe_dump({"tests": tests, "embedder": embedder}))
        suites.append(bench.test().suite)
    assert suites == ["suite/sums@1", "suite/sums@2"]
    before = len(measured(bench, "pass_rate"))
    bench.model(0.7, "two")  # the same name, and another model behind it
    bench.test()
    rows = measured(bench, "pass_rate")
    assert len(rows) == before + 1
    assert rows[-1]["details"]["embedders"]["two"]["simulated"]["options"] == {"accuracy": 0.7}


def test_a_price_that_is_written_down_later_is_heeded(bench: Bench) -> None:
    bench.suite(5)
    unknown = bench.numbers(bench.test())["cost_per_case"]
    bench.model(0.8, price=PRICE)
    known = bench.numbers(bench.test())["cost_per_case"]
    assert unknown.value is None and known.value > 0 and known.unit == "EUR"


def test_a_rate_says_of_how_many_cases_it_is(bench: Bench) -> None:
    bench.suite(40)
    plan = {"plan": "sums", "seed": 1, "options": {"accuracy": 0.8, "failures": 0.5}}
    bench.write("models/adder.yaml", yaml.safe_dump({"simulated": plan}))
    report = bench.test()
    scored = report.passed + report.failed
    assert 0 < scored < 40 and f" of {scored} cases pass" in report.message and not report.complete


def test_more_of_what_should_be_little_is_worse(bench: Bench) -> None:
    # What the second answers is right, and must not be said.
    checks = [{"type": "contains", "value": "{{right}}"}, {"type": "not-contains", "value": "{{right}}", "family": "forbidden"}]
    tests = [{"vars": {"a": i, "b": 1, "right": i + 1}} for i in range(40)]
    bench.write("suites/sums.yaml", yaml.safe_dump({"tests": tests, "checks": checks}))
    dear = [{**PRICE[0], "input": 9000, "output": 9000}]
    bench.model(0.0, price=PRICE)
    bench.model(1.0, "right", price=dear)
    first, second = bench.test(), bench.test(model="right")
    for metric in ("unwanted.forbidden", "cost"):
        found = bench.call("evaluation.compare", first=first.run, second=second.run, metric=metric)
        assert found.difference > 0 and found.verdict == "worse" and found.better == 0 < found.worse
    named = {"first": "sums", "second": "sums", "suite": "sums", "model": "adder", "second_model": "right", "metric": "cost"}
    report = bench.call("prompts.compare", **named)
    assert report.verdict == report.gain.verdict == "worse" and report.gain.p is not None
    ranks = bench.call("evaluation.rank", runs=[first.run, second.run], metric="cost")
    assert [place.run for place in ranks.places] == [first.run, second.run]
    assert not measured(bench, "difference")  # of money, which is no difference of what passes
    (row,) = measured(bench, "difference.cost")
    assert linked(bench, row["id"], "instrument") == {"suite/sums@1", "model/adder@1"}


def test_a_family_is_no_metric_and_that_is_said_before_anything_is_asked(bench: Bench) -> None:
    bench.suite(5, unwanted=[{"forbidden": ["Garantie"]}])
    bench.model(0.5, "other")
    named = {"first": "sums", "second": "sums", "suite": "sums", "model": "adder", "second_model": "other"}
    with pytest.raises(UserError, match=r"no metric 'forbidden'; there are: .*unwanted\.forbidden"):
        bench.call("prompts.compare", **named, metric="forbidden")
    assert not measured(bench, "pass_rate")


@pytest.mark.parametrize("operation", ["test", "compare", "optimise", "trim"])
def test_cases_that_lack_what_a_prompt_needs_are_refused_before_the_first_call(
    bench: Bench, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = counting(monkeypatch)
    bench.suite(60, splits={"dev": 0.3, "test": 0.4, "held-out": 0.3})
    bench.write("prompts/more.prompty", PROMPT.replace("name: b\n", "name: c\n").replace("{{b}}", "{{c}}"))
    prompts = {"first": "sums", "second": "more"} if operation == "compare" else {"prompt": "more"}
    with pytest.raises(UserError, match="needs the variable 'c', which the cases of suite/sums@1 lack; they have: a, b"):
        bench.call(f"prompts.{operation}", **prompts, suite="sums", model="adder")
    assert not calls


def test_a_case_that_lacks_what_a_prompt_needs_is_not_rendered(bench: Bench) -> None:
    bench.suite(3)
    bench.write("prompts/more.prompty", PROMPT.replace("name: b\n", "name: c\n").replace("{{b}}", "{{c}}"))
    with pytest.raises(UserError, match="'c'"):
        bench.call("prompts.render", prompt="more", suite="sums")
    assert bench.call("prompts.render", prompt="more", suite="sums", values={"c": 3}).messages[0].text.endswith("Add: 0 + 3")


class Judge:
    """An endpoint that judges, may fall silent, and counts what it was asked."""

    def __init__(self) -> None:
        judge = self
        self.silent = False
        self.calls = 0

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                judge.calls += 1
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["messages"][-1]["content"]
                said = json.dumps({"reason": "seen", "pass": "good" in asked or "Add:" in asked})
                reply = {"message": {"role": "assistant", "content": said}, "finish_reason": "stop", "index": 0}
                content = json.dumps({"model": "judge", "choices": [reply]}).encode()
                self.send_response(503 if judge.silent else 200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}/v1"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def judge(bench: Bench) -> Iterator[Judge]:
    made = Judge()
    limits = {"attempts": 2, "timeout": 5, "at_once": 4}
    bench.write("models/small.yaml", yaml.safe_dump({"endpoint": made.address, "model": "judge", "limits": limits}))
    lines = [
        {"question": f"q{n}", "answer": "good" if n % 2 else "bad", "human": "pass" if n % 2 else "fail"} for n in range(60)
    ]
    bench.write("labels.jsonl", "\n".join(map(json.dumps, lines)))
    bench.write("judges/kind.yaml", yaml.safe_dump({"model": "small", "criteria": "kind", "labels": {"file": "labels.jsonl"}}))
    assert bench.call("evaluation.audit", judge="kind").passed
    yield made
    made.close()


def judged_by(bench: Bench, number: int = 6, **check: Any) -> None:
    asked = {"type": "llm-rubric", "value": "It is right.", **check}
    tests = [{"vars": {"a": i, "b": 1}, "assert": [asked]} for i in range(number)]
    bench.write("suites/sums.yaml", yaml.safe_dump({"tests": tests}))


def test_a_judge_that_did_not_answer_is_asked_again_and_nothing_counts_until_then(bench: Bench, judge: Judge) -> None:
    judged_by(bench)
    judge.silent = True
    mute = bench.test()
    assert failed(mute) == 1  # and what runs it is not told that all is well
    assert mute.unscored == 6 and not mute.complete and any("run again" in note for note in mute.notes)
    assert not any(row["complete"] for row in measured(bench, "pass_rate"))
    judge.silent = False
    told = bench.test()
    assert told.complete and told.unscored == 0 and told.passed == 6


def test_a_judge_of_a_version_is_asked_with_the_model_that_was_audited(bench: Bench, judge: Judge) -> None:
    judged_by(bench, provider="kind@1")
    other = Judge()
    bench.write("models/small.yaml", yaml.safe_dump({"endpoint": other.address, "model": "other"}))
    before = judge.calls
    report = bench.test()
    other.close()
    assert "judge/kind@1" in report.instruments
    assert (judge.calls - before, other.calls) == (6, 0)


def test_the_judge_that_a_check_names_is_the_instrument(bench: Bench, judge: Judge) -> None:
    spec = {"model": "small", "criteria": "brief", "labels": {"file": "labels.jsonl"}}
    bench.write("judges/brief.yaml", yaml.safe_dump(spec))
    assert bench.call("evaluation.audit", judge="brief").passed
    judged_by(bench, config={"judge": "brief"})
    assert bench.test().instruments == ["suite/sums@1", "judge/brief@1"]


def test_what_a_simulated_judge_decides_is_simulated(bench: Bench, judge: Judge) -> None:
    bench.write("models/small.yaml", yaml.safe_dump({"simulated": {"plan": "support", "options": {"judge_noise": 0.0}}}))
    limits = {"agreement": -1, "kappa": -1, "sensitivity": 0, "specificity": 0, "labels": 10}
    spec = {"model": "small", "criteria": "kind", "labels": {"file": "labels.jsonl"}, "thresholds": limits}
    bench.write("judges/kind.yaml", yaml.safe_dump(spec))
    assert bench.call("evaluation.audit", judge="kind").passed
    judged_by(bench)
    bench.write("models/adder.yaml", yaml.safe_dump({"endpoint": judge.address, "model": "judge", "limits": {"at_once": 4}}))
    report = bench.test()
    assert report.simulated and "simulated" in report.notes[0]
    assert all(row["details"]["simulated"] for row in measured(bench, "pass_rate"))


def test_a_model_that_its_provider_may_change_is_measured_by_each_run_and_asked_once_a_day(bench: Bench, judge: Judge) -> None:
    bench.write("models/adder.yaml", yaml.safe_dump({"endpoint": judge.address, "model": "judge", "hosted": True}))
    bench.suite(4)
    bench.test()
    before = judge.calls
    report = bench.test()
    assert judge.calls == before and len(measured(bench, "pass_rate")) == 2
    assert any("4 of 4 answers were kept from earlier calls" in note for note in report.notes)
