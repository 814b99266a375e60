"""Suites of what other tools have: configurations of promptfoo, exports of Langfuse, CSV files, logs of inspect_ai."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stellwerk.errors import UserError
from stellwerk.evaluation import suites
from stellwerk.evaluation.case import Answer, Case
from stellwerk.evaluation.scorers import registry
from stellwerk.operation import find
from stellwerk.runs import execution
from stellwerk.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.init(tmp_path / "w")


def take(workspace: Workspace, file: Path, format: str = "promptfoo", **more: Any) -> Any:
    values = {"file": str(file), "name": "taken", "format": format, **more}
    return execution.call(workspace, find("evaluation.import"), values)


def cases(workspace: Workspace) -> list[Case]:
    return list(suites.of(workspace, "taken").cases())


CONFIG = """
# yaml-language-server: $schema=https://promptfoo.dev/config-schema.json
description: Support desk
prompts: [file://prompt.txt]
providers:
  - openai:gpt-5-mini
  - id: anthropic:messages:claude
    config: {temperature: 0}
assertionTemplates:
  noApology: {type: not-icontains, value: sorry}
defaultTest:
  assert:
    - $ref: "#/assertionTemplates/noApology"
    - {type: cost, threshold: 0.01}
  options:
    provider: openai:gpt-5
tests:
  - description: greets
    vars: {name: [Anna, Ben], language: German}
    assert:
      - {type: icontains, value: "{{name}}"}
      - {type: javascript, value: output.length < 100}
      - {type: llm-rubric, value: is polite, provider: openai:gpt-5}
  - vars: {name: file://names/name.txt}
    assert: [{type: is-json, value: file://schema.json}, {type: python, value: file://check.py}]
    threshold: 0.5
  - vars: {name: file://make.py}
  - {vars: {name: x}, options: {transform: output.trim()}, assert: [{type: equals, value: x}]}
  - file://more.csv
  - file://tests/*.yaml
  - https://docs.google.com/spreadsheets/d/1
scenarios:
  - config: [{vars: {language: Spanish}}, {vars: {language: French}}]
    tests: [{vars: {name: Eva}, assert: [{type: contains, value: "{{language}}"}]}]
evaluateOptions: {maxConcurrency: 4}
"""


def test_a_configuration_of_promptfoo(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "foo"
    (folder / "names").mkdir(parents=True)
    (folder / "tests").mkdir()
    (folder / "promptfooconfig.yaml").write_text(CONFIG)
    (folder / "names" / "name.txt").write_text("Carla\n")
    (folder / "schema.json").write_text('{"type": "object"}')
    (folder / "make.py").write_text("raise SystemExit")
    (folder / "check.py").write_text("raise SystemExit")
    (folder / "more.csv").write_text("name,__expected,__description\nDora,starts-with:Hallo Dora,from a table\n")
    (folder / "tests" / "b.yaml").write_text("- vars: {name: Emil}\n  assert: [{type: contains, value: Emil}]\n")
    report = take(workspace, folder / "promptfooconfig.yaml")
    found = cases(workspace)
    assert report.cases == len(found) == 8
    assert [case.inputs["name"] for case in found] == ["Anna", "Ben", "Carla", "x", "Dora", "Emil", "Eva", "Eva"]
    assert [check.type for check in found[0].checks] == ["icontains", "cost", "icontains", "llm-rubric"]
    assert found[0].checks[0].negated and found[0].checks[2].value == "Anna"
    assert found[2].checks[2].value == {"type": "object"} and found[2].checks[-1].threshold == 0.5
    assert (found[4].checks[2].type, found[4].checks[2].value, found[4].description) == (
        "starts-with",
        "Hallo Dora",
        "from a table",
    )
    assert [case.checks[2].value for case in found[6:]] == ["Spanish", "French"]
    told = "\n".join(report.left_out)
    for said in (
        "test 1, check 2 (javascript): the type 'javascript' runs code",
        "test 1, check 3: its provider",
        "file://check.py is code",
        "test 3: file://make.py is code",
        "test 4: options.transform",
        "docs.google.com",
        "defaultTest: options.provider",
        "evaluateOptions",
    ):
        assert said in told
    assert "raise SystemExit" not in "".join(path.read_text() for path in (workspace.root / "suites").rglob("*.*"))


def test_a_configuration_runs_as_it_is(workspace: Workspace) -> None:
    """The named subset needs no import: promptfoo's file is a suite, and its prompts and providers are left to promptfoo."""
    text = """
prompts: ["Translate {{text}} to {{language}}"]
providers: [openai:gpt-5]
defaultTest: {assert: [{type: latency, threshold: 5000}]}
tests:
  - vars: {text: Guten Tag, language: English}
    assert:
      - {type: contains-any, value: [Good day, Hello], weight: 2}
      - {type: not-contains, value: "{{text}}"}
      - {type: regex, value: "^[A-Z]"}
      - {type: word-count, value: {max: 5}, metric: brevity}
"""
    (workspace.root / "suites").mkdir()
    (workspace.root / "suites" / "taken.yaml").write_text(text)
    (case,) = cases(workspace)
    scoring = registry.scoring(suites.of(workspace, "taken"))
    for answer, passed, value in (
        ("Good day", True, 1.0),
        ("good day, dear Sir or Madam", False, 2 / 6),
        ("Guten Tag", False, 3 / 6),
    ):
        given = Answer(answer, seconds=1.0)
        sample = scoring.sample(case, 0, given, scoring.score(case, given))  # type: ignore[arg-type]
        assert sample.passed is passed
        assert sample.score == pytest.approx(value)


def test_a_failed_import_leaves_all_as_it_was(workspace: Workspace, tmp_path: Path) -> None:
    good = tmp_path / "good.csv"
    good.write_text("frage;erwartet\nWas?;Das\n", encoding="cp1252")
    take(workspace, good, "csv")
    before = {path: path.read_bytes() for path in (workspace.root / "suites").rglob("*") if path.is_file()}
    with pytest.raises(UserError, match="there is a suite taken already"):
        take(workspace, good, "csv")
    bad = tmp_path / "bad.csv"
    bad.write_text("q,expected\na,b\na\n")
    with pytest.raises(UserError, match="line 3: there are 1 values for 2 columns"):
        take(workspace, bad, "csv", overwrite=True)
    config = tmp_path / "c.yaml"
    config.write_text("tests: [{vars: {a: 'file://../../secret.txt'}}]")
    with pytest.raises(UserError, match="outside its folder"):
        take(workspace, config, overwrite=True)
    config.write_text("prompts: [x]")
    with pytest.raises(UserError, match="expected one with tests"):
        take(workspace, config, overwrite=True)
    config.write_text("tests: [{vars: {a: 1}, assert: [{type: contains, value: '{{b}}'}]}]")
    with pytest.raises(UserError, match="'b' is undefined"):
        take(workspace, config, overwrite=True)
    assert before == {path: path.read_bytes() for path in (workspace.root / "suites").rglob("*") if path.is_file()}
    assert take(workspace, good, "csv", overwrite=True).cases == 1


def test_a_csv_by_its_usual_names(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes("\ufeffFrage;Antwort;Gruppe\nWo?;hier;g1\nWo?;hier;g1\nWann?;jetzt;g2\n".encode())
    take(workspace, file, "csv")
    first, second = cases(workspace)
    assert (first.inputs, first.expected, first.cluster) == ({"Frage": "Wo?"}, "hier", "g1") and second.expected == "jetzt"


ITEMS = [
    {
        "id": "1",
        "input": {"question": "Wo?", "context": "Im Haus"},
        "expectedOutput": "hier",
        "metadata": {"language": "de"},
        "status": "ACTIVE",
    },
    {"id": "2", "input": "Wann?", "expectedOutput": {"answer": "jetzt"}, "status": "ACTIVE"},
    {"id": "3", "input": "Wer?", "status": "ARCHIVED"},
]
TRACES = [
    {
        "id": "t1",
        "sessionId": "s1",
        "name": "chat",
        "tags": ["prod"],
        "output": {"role": "assistant", "content": "Hallo"},
        "input": {
            "messages": [
                {"role": "system", "content": "Sei nett"},
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "Ja?"},
                {"role": "user", "content": [{"type": "text", "text": "Wo ist mein Paket?"}]},
            ]
        },
    },
    {"id": "t2", "input": None, "output": "x"},
]


def test_exports_of_langfuse(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "items.json"
    file.write_text(json.dumps({"data": ITEMS}))
    report = take(workspace, file, "langfuse")
    first, second = cases(workspace)
    assert first.inputs == {"question": "Wo?", "context": "Im Haus"} and first.expected == "hier" and first.language == "de"
    assert second.inputs == {"input": "Wann?"} and second.expected == {"answer": "jetzt"}
    assert report.left_out == ["entry 3 is archived"]

    file = tmp_path / "traces.jsonl"
    file.write_text("".join(json.dumps(trace) + "\n" for trace in TRACES))
    report = take(workspace, file, "langfuse", overwrite=True)
    (case,) = cases(workspace)
    assert case.inputs == {"input": "Wo ist mein Paket?", "history": "user: Hi\nassistant: Ja?"}
    assert (case.expected, case.cluster, case.tags, case.checks) == (None, "s1", ("prod",), ())
    assert any("what a model said" in text for text in report.left_out) and "entry 2 has no input" in report.left_out

    file = tmp_path / "traces.csv"
    file.write_text('id,input,sessionId\n1,"{""messages"": [{""role"": ""user"", ""content"": ""Wo?""}]}",s\n')
    take(workspace, file, "langfuse", overwrite=True)
    assert cases(workspace)[0].inputs == {"input": "Wo?"}
    for content in ("[1]", "{", '"x"'):
        file = tmp_path / "bad.json"
        file.write_text(content)
        with pytest.raises(UserError, match="no export of Langfuse"):
            take(workspace, file, "langfuse", overwrite=True)


def test_a_log_of_inspect(workspace: Workspace, tmp_path: Path) -> None:
    samples = [
        {
            "id": n,
            "epoch": epoch,
            "input": f"{n} + 1?",
            "target": [str(n + 1), "many"] if n else "1",
            "output": {"choices": []},
            "messages": [],
        }
        for n in range(3)
        for epoch in (1, 2)
    ]
    file = tmp_path / "log.json"
    file.write_text(json.dumps({"version": 2, "status": "success", "eval": {}, "samples": samples}))
    report = take(workspace, file, "inspect")
    found = cases(workspace)
    assert report.cases == 3 and found[0].expected == "1" and found[2].id == "2"
    scoring = registry.scoring(suites.of(workspace, "taken"))
    passed = [
        scoring.sample(found[2], 0, Answer(text), scoring.score(found[2], Answer(text))).passed for text in ("3", "many", "4")
    ]  # type: ignore[arg-type]
    assert passed == [True, True, False]
