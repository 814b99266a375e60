"""Suites in the record: what makes a version, out of files and datasets, and how large ones stream."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import yaml

from stellwerk.errors import UserError
from stellwerk.evaluation import suites
from stellwerk.operation import find
from stellwerk.runs import execution
from stellwerk.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.init(tmp_path / "w")


def write(workspace: Workspace, name: str, content: str) -> None:
    path = workspace.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def call(workspace: Workspace, operation: str, **values: Any) -> Any:
    return execution.call(workspace, find(operation), values)


def test_a_version_is_its_cases_and_checks(workspace: Workspace) -> None:
    write(
        workspace,
        "suites/s.yaml",
        "description: one\nfile: data/c.csv\ncolumns: {inputs: [q], expected: a}\nsplits: {dev: 0.5, test: 0.5}",
    )
    write(workspace, "data/c.csv", "q,a\n" + "".join(f"Frage {n},{n}\n" for n in range(40)))
    first = call(workspace, "evaluation.register", suite="s")
    assert (first.suite, first.cases, first.inputs) == ("suite/s@1", 40, ["q"])
    assert sum(line.cases for line in first.splits) == 40 and [m.metric for m in first.metrics] == ["equals"]
    # Another description is no other suite, another answer is.
    write(workspace, "suites/s.yaml", (workspace.root / "suites/s.yaml").read_text().replace("one", "two"))
    assert call(workspace, "evaluation.register", suite="s").suite == "suite/s@1"
    write(workspace, "data/c.csv", (workspace.root / "data/c.csv").read_text().replace("7,7", "7,8"))
    assert call(workspace, "evaluation.register", suite="s").suite == "suite/s@2"
    assert call(workspace, "evaluation.register", suite="s@1").suite == "suite/s@1"
    old, now = suites.of(workspace, "s@1"), suites.of(workspace, "suite/s@2")
    differing = [b.inputs["q"] for a, b in zip(old.cases(), now.cases(), strict=True) if a.expected != b.expected]
    assert differing == ["Frage 7"]
    assert list(now.cases()) == list(suites.of(workspace, "s").cases())
    assert now.count("dev") == len(list(now.cases("dev"))) and now.count() == 40
    assert now.checks == suites.of(workspace, "s").checks
    texts = json.dumps([dict(now.version.facts), dict(now.version.identity)]) if now.version else ""
    assert "Frage" not in texts


def test_pages_of_cases(workspace: Workspace) -> None:
    rows = [{"vars": {"q": f"Straße {n}"}, "expected": str(n), "split": "dev" if n < 3 else "test"} for n in range(9)]
    write(workspace, "suites/s.yaml", yaml.safe_dump({"tests": rows}, allow_unicode=True))
    page = call(workspace, "evaluation.cases", suite="s", split="test", offset=2, limit=2)
    assert [case.number for case in page.cases] == [6, 7] and page.total == 6 and page.more
    page = call(workspace, "evaluation.cases", suite="s", search="STRASSE 8".lower().replace("ss", "ß"))
    assert [case.number for case in page.cases] == [9] and page.cases[0].checks[0].type == "equals" and not page.more
    with pytest.raises(UserError, match=r"there is no suites/x\.yaml; there are: s"):
        call(workspace, "evaluation.cases", suite="x")


def test_what_weakens_a_suite_is_told(workspace: Workspace) -> None:
    write(
        workspace,
        "suites/s.yaml",
        "tests:\n  - {vars: {a: 1}, cluster: k}\n  - {vars: {a: 2, b: 1}, expected: x, assert: [{type: contains, value: z}]}",
    )
    notes = "\n".join(call(workspace, "evaluation.register", suite="s").notes)
    for said in (
        "Nothing is asked of 1 cases",
        "expected answer of 1 cases",
        "With 2 cases",
        "1 cases have no cluster",
        "lack the variables b",
    ):
        assert said in notes


def test_cases_out_of_a_dataset(workspace: Workspace) -> None:
    rows = [
        {"id": n, "text": f"Ticket {n} über die Rechnung und das Gerät Nummer {n * 7919}", "queue": f"q{n % 3}"}
        for n in range(60)
    ]
    write(workspace, "data/t.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    source = [{"name": "s", "files": "data/t.jsonl", "key": "id"}]
    spec = {"sources": source, "languages": ["de"], "duplicates": {"near": None}}
    write(workspace, "datasets/t.yaml", yaml.safe_dump(spec))
    call(workspace, "data.build", dataset="t")
    text = (
        "dataset: t\nlanguage: de\ncolumns: {inputs: {ticket: text}, expected: queue, split: split, id: doc_id, cluster: queue}"
    )
    write(workspace, "suites/s.yaml", text.replace(", split: split", "").replace(", cluster: queue", ""))
    report = call(workspace, "evaluation.register", suite="s")
    assert report.cases == 60 and report.dataset == "dataset/t@1"
    case = next(suites.of(workspace, "s@1").cases())
    assert case.inputs["ticket"].startswith("Ticket") and case.expected in ("q0", "q1", "q2")
    from stellwerk.record import lineage

    version = workspace.record.resolve("suite/s")
    assert "dataset/t@1" in [other.ref for _, other in lineage.walk(workspace.record, version, "up")]
    # The parts of a built dataset become those of a suite.
    write(workspace, "suites/s.yaml", text.replace(", cluster: queue", ""))
    assert {line.split for line in call(workspace, "evaluation.register", suite="s").splits} == {"dev", "test", "held-out"}
    write(workspace, "suites/s.yaml", text.replace("expected: queue", "expected: kind").replace(", cluster: queue", ""))
    with pytest.raises(UserError, match=r"dataset/t@1 has no column 'kind'; there are: .*queue"):
        call(workspace, "evaluation.register", suite="s")


@pytest.mark.slow
def test_many_cases_stream(workspace: Workspace) -> None:
    write(
        workspace,
        "suites/s.yaml",
        "file: data/c.csv\ncolumns: {inputs: [q], expected: a, cluster: c}\nsplits: {dev: 0.5, test: 0.5}",
    )
    with (workspace.root / "data.csv").open("w") as file:
        file.write("q,a,c\n")
        file.writelines(f"Was ist {n} plus {n % 97}? {'Text ' * 40},{n + n % 97},p{n // 5}\n" for n in range(200_000))
    (workspace.root / "data").mkdir()
    (workspace.root / "data.csv").rename(workspace.root / "data" / "c.csv")
    report = call(workspace, "evaluation.register", suite="s")
    assert report.cases == 200_000 and report.clusters == 40_000
    suite = suites.of(workspace, "s@1")
    tracemalloc.start()
    assert sum(1 for _ in suite.cases("dev")) == suite.count("dev")
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()
