"""A test of a prompt through the record: what is measured on what, what is kept, what is asked again and what is not."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from stellwerk.errors import UserError
from stellwerk.evaluation import evidence, testing
from stellwerk.operation import find
from stellwerk.record import tables
from stellwerk.runs import execution
from stellwerk.workspace import Workspace

PROMPT = """---
name: sums
inputs:
  - name: a
    kind: integer
  - name: b
    kind: integer
---
user:
Add: {{a}} + {{b}}
"""


class Bench:
    """A workspace with a prompt that adds, a simulated model that is right in some share of cases, and a suite."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.workspace = Workspace.init(root)
        self.write("prompts/sums.prompty", PROMPT)
        self.model(0.8)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def model(self, accuracy: float, name: str = "adder", **fields: Any) -> None:
        plan = {"simulated": {"plan": "sums", "seed": 1, "options": {"accuracy": accuracy}}}
        self.write(f"models/{name}.yaml", yaml.safe_dump({**plan, **fields}))

    def suite(self, number: int, name: str = "sums", /, **fields: Any) -> None:
        tests = [{"vars": {"a": i, "b": 7}, "assert": [{"type": "equals", "value": str(i + 7)}]} for i in range(number)]
        splits = {"splits": {"test": 1.0}} if "splits" not in fields else {}
        self.write(f"suites/{name}.yaml", yaml.safe_dump({"tests": tests, **splits, **fields}))

    def call(self, operation: str, **values: Any) -> Any:
        return execution.call(self.workspace, find(operation), values)

    def test(self, **values: Any) -> Any:
        return self.call("prompts.test", **{"prompt": "sums", "suite": "sums", "model": "adder", **values})

    def numbers(self, report: Any) -> dict[str, Any]:
        return {number.metric: number for number in report.numbers}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "bench")


def test_a_test_counts_and_measures_on_prompt_and_model_with_the_suite(bench: Bench) -> None:
    bench.suite(200)
    report = bench.test()
    assert report.samples == report.cases == 200 and report.errors == report.unscored == 0
    assert report.passed + report.failed == 200 and 0.7 < report.passed / 200 < 0.9
    assert report.simulated and "simulated" in report.notes[0] and report.complete
    rate = bench.numbers(report)["pass_rate"]
    assert rate.value == report.passed / 200 and rate.low < rate.value < rate.high and rate.n == 200
    record = bench.workspace.record
    (row,) = record.rows(tables.measurement, tables.measurement.c.metric == "pass_rate")
    links = record.rows(tables.measured, tables.measured.c.measurement == row["id"])
    names = {(link["role"], record.versions(tables.version.c.id == link["version"])[0].kind) for link in links}
    assert names == {("subject", "prompt"), ("subject", "model"), ("instrument", "suite")}
    assert row["complete"] == 1 and row["value"] == rate.value and row["details"]["simulated"] is True


def test_the_record_holds_no_text_of_a_case_or_answer(bench: Bench) -> None:
    check = {"type": "equals", "value": "Zauberwort"}
    tests = [{"vars": {"a": i, "b": 1}, "assert": [check], "description": "Zauberwort"} for i in range(3)]
    bench.write("suites/sums.yaml", yaml.safe_dump({"tests": tests, "splits": {"test": 1.0}}))
    report = bench.test()
    assert report.failed == 3 and report.problems[0].checks
    kept = bench.workspace.record.rows(tables.step) + bench.workspace.record.rows(tables.run)
    assert "Zauberwort" not in json.dumps([[row.get("outcome"), row.get("result")] for row in kept])
    (first, *_) = bench.call("evaluation.samples", of="latest").samples
    assert (
        first.description == "Zauberwort" and "Zauberwort" in first.scores[0].said and "Zauberwort" in first.scores[0].said_de
    )


def test_nothing_changed_is_nothing_asked_and_what_changed_is_asked(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.suite(20)
    calls = counting(monkeypatch)
    first, again = bench.test(), bench.test()
    assert len(calls) == 20 and again.numbers == first.numbers and again.run != first.run
    assert evidence.of(bench.workspace, again.run).counts == evidence.of(bench.workspace, first.run).counts
    bench.write("prompts/sums.prompty", PROMPT.replace("user:", "system:\nBe brief.\n\nuser:"))
    bench.test()
    assert len(calls) == 40


def counting(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls to simulated models."""
    from stellwerk.llm.simulated import SimulatedClient

    calls: list[str] = []
    whole = SimulatedClient.complete

    async def complete(self: Any, messages: Any, *rest: Any, **options: Any) -> Any:
        calls.append(messages[-1].content)
        return await whole(self, messages, *rest, **options)

    monkeypatch.setattr(SimulatedClient, "complete", complete)
    return calls


def test_a_limit_or_the_cases_that_teach_never_count(bench: Bench) -> None:
    bench.suite(60, splits={"dev": 0.5, "test": 0.5})
    limited, dev = bench.test(limit=3), bench.test(split="dev")
    assert limited.samples == 3 and not limited.complete and "does not count" in " ".join(limited.notes)
    assert not dev.complete and 10 < dev.samples < 50
    rows = bench.workspace.record.rows(tables.measurement, tables.measurement.c.metric == "pass_rate")
    assert [row["complete"] for row in rows] == [0, 0]
    assert bench.test(split="all").complete


def test_repeats_of_a_case_are_no_further_cases(bench: Bench) -> None:
    bench.suite(40)
    once, often = bench.test(), bench.test(repeats=5)
    assert (often.cases, often.samples) == (40, 200)
    few, many = (bench.numbers(report)["pass_rate"] for report in (once, often))
    assert many.n == 40 and many.high - many.low > 0.4 * (few.high - few.low)


def test_a_hundred_answers_to_ten_cases_do_not_rule_out_what_ten_cases_cannot(bench: Bench) -> None:
    bench.model(1.0)
    bench.suite(10, unwanted=[{"forbidden": ["Garantie"]}])
    numbers = bench.numbers(bench.test(repeats=10))
    assert numbers["pass_rate"].value == 1 and numbers["pass_rate"].low < 0.75
    assert numbers["unwanted.forbidden"].value == 0 and numbers["unwanted.forbidden"].high > 0.25


def test_clusters_widen_the_interval(bench: Bench) -> None:
    def tests(cluster: Callable[[int], str]) -> str:
        cases = [
            {
                "vars": {"a": i, "b": 1, "paragraph": cluster(i)},
                "assert": [{"type": "equals", "value": str(i + 1) if i // 20 % 2 else "never"}],
            }
            for i in range(200)
        ]
        return yaml.safe_dump({"tests": cases, "cluster": "paragraph", "splits": {"test": 1.0}})

    bench.model(1.0)
    bench.write("suites/sums.yaml", tests(lambda i: f"p{i}"))
    alone = bench.numbers(bench.test())["pass_rate"]
    bench.write("suites/sums.yaml", tests(lambda i: f"p{i // 20}"))
    together = bench.numbers(bench.test())["pass_rate"]
    assert alone.value == together.value == 0.5
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_costs_are_unknown_without_a_price_and_counted_with_one(bench: Bench) -> None:
    bench.suite(30)
    unknown = bench.numbers(bench.test())
    assert unknown["cost_per_case"].value is None and unknown["cost_per_solved"].value is None
    bench.model(0.5, price=[{"input": 1000, "output": 2000, "currency": "EUR", "since": "2024-01-01"}])
    bench.write("prompts/sums.prompty", PROMPT.replace("Add:", "Bitte. Add:"))
    known = bench.numbers(bench.test())
    assert known["cost_per_case"].unit == "EUR" and known["cost_per_case"].value > 0
    passed = known["pass_rate"].value
    assert known["cost_per_solved"].value == pytest.approx(known["cost_per_case"].value / passed)
    low, high = known["cost_per_solved"].low, known["cost_per_solved"].high
    assert low < known["cost_per_solved"].value < high


def test_a_split_without_cases_and_a_missing_variable_are_said_before_anything_is_asked(bench: Bench) -> None:
    bench.suite(5)
    with pytest.raises(UserError, match="has no cases of split dev"):
        bench.test(split="dev")
    bench.write("suites/sums.yaml", yaml.safe_dump({"tests": [{"vars": {"a": 1}}], "splits": {"test": 1.0}}))
    with pytest.raises(UserError, match="variable 'b'"):
        bench.test()


def test_samples_are_paged_filtered_and_searched(bench: Bench) -> None:
    bench.suite(620)
    report = bench.test()
    page = bench.call("evaluation.samples", of=report.run, offset=495, limit=10)
    assert [sample.number for sample in page.samples] == list(range(496, 506)) and page.total == 620
    failed = bench.call("evaluation.samples", of="latest", only="failed", limit=1000)
    assert failed.total == len(failed.samples) == report.failed and all(s.state == "failed" for s in failed.samples)
    found = bench.call("evaluation.samples", of="latest", search="Add: 619 +")
    assert [sample.number for sample in found.samples] == [620] and found.samples[0].messages[0].role == "user"
    kept = evidence.of(bench.workspace, report.run)
    assert kept.at(611).inputs["a"] == 611 and kept.of_case(kept.at(77).case).inputs["a"] == 77  # type: ignore[union-attr]
    with pytest.raises(UserError, match="no run begins"):
        bench.call("evaluation.samples", of="zzz")
    with pytest.raises(UserError, match="there is no 2"):
        evidence.of(bench.workspace, "latest:2")


def test_two_tests_are_compared_case_by_case(bench: Bench) -> None:
    bench.suite(300)
    good, bad = bench.test(), None
    bench.model(0.5, "worse")
    bad = bench.test(model="worse")
    found = bench.call("evaluation.compare", first=good.run, second=bad.run)
    assert found.verdict == "worse" and found.cases == 300 and found.better + found.worse + found.equal == 300
    assert found.difference == pytest.approx(found.value_second - found.value_first)
    assert found.low < found.difference < found.high < 0
    assert found.differing and found.differing[0].answer_first != found.differing[0].answer_second
    same = bench.call("evaluation.compare", first=good.run, second=good.run)
    assert same.verdict == "undecided" and same.difference == 0 and same.p == 1
    with pytest.raises(UserError, match="has no metric 'tone'; there are: passed, score, equals"):
        bench.call("evaluation.compare", first=good.run, second=bad.run, metric="tone")


def test_unwanted_outputs_are_measured_with_what_they_may_be_at_most(bench: Bench) -> None:
    bench.suite(50, unwanted=[{"forbidden": ["Garantie"]}])
    numbers = bench.numbers(bench.test())
    found = numbers["unwanted.forbidden"]
    assert found.value == 0 and found.low is None and 0.05 < found.high < 0.08
    assert numbers["unwanted_rate"].value == 0


KILLED = """
import sys
from stellwerk.operation import find
from stellwerk.runs import execution
from stellwerk.workspace import Workspace
execution.call(Workspace(__import__("pathlib").Path(sys.argv[1])), find("prompts.test"),
               {"prompt": "sums", "suite": "sums", "model": "slow"})
"""


def test_a_killed_test_pays_for_no_call_twice(bench: Bench) -> None:
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["messages"][-1]["content"]
            seen.append(asked)
            time.sleep(0.02)
            a, b = asked.removeprefix("Add: ").split(" + ")
            choice = {"index": 0, "message": {"role": "assistant", "content": str(int(a) + int(b))}, "finish_reason": "stop"}
            content = json.dumps({"model": "m", "choices": [choice]}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = {"endpoint": f"http://127.0.0.1:{server.server_port}/v1", "model": "m", "limits": {"at_once": 4}}
    bench.write("models/slow.yaml", yaml.safe_dump({**endpoint, "hosted": False}))
    bench.suite(120)
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(bench.root)])
    wait_until(lambda: len(seen) > 50)
    process.kill()
    process.wait()
    killed = len(set(seen))
    assert killed < 120
    report = bench.test(model="slow")
    server.shutdown()
    server.server_close()
    assert (report.passed, report.errors) == (120, 0)
    # Those of the last tenth of a second may be lost: at most what 4 calls at once of 20 ms are in that time, and in flight.
    assert len(seen) - 120 <= 4 * 5 + 4 and len(seen) - 120 < killed
    assert sum(sample.answer.kept for sample in evidence.of(bench.workspace, report.run).samples()) >= killed - 24


def wait_until(there: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not there():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_two_tests_with_long_names_in_one_run_stay_two() -> None:
    names = [testing._shortened(f"ask {'long-' * 30}{n} with model@1: suite@1 test") for n in range(2)]
    assert all(len(name) == 100 for name in names) and names[0] != names[1]
    assert testing._shortened("ask reply@1: support@1 test") == "ask reply@1: support@1 test"
