"""Suites of real data: banking77 as CSV, IFEval's instructions as checks, GermEval's tweets, XQuAD's paragraphs as clusters."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from stellwerk.evaluation import suites
from stellwerk.evaluation.case import Answer, Case
from stellwerk.evaluation.scorers import registry
from stellwerk.evaluation.scorers.languages import detected
from stellwerk.evaluation.scorers.refusal import refuses
from stellwerk.evaluation.suites.suite import Suite
from stellwerk.operation import find
from stellwerk.runs import execution
from stellwerk.workspace import Workspace

pytestmark = pytest.mark.shared


@pytest.fixture
def evals(shared_data: Path) -> Path:
    return shared_data / "evals"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    found = Workspace.init(tmp_path / "w")
    (found.root / "suites").mkdir()
    return found


def suite(workspace: Workspace, spec: dict[str, Any], rows: list[dict[str, Any]]) -> Suite:
    (workspace.root / "suites" / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (workspace.root / "suites" / "s.yaml").write_text(yaml.safe_dump({"file": "c.jsonl", **spec}))
    return suites.of(workspace, "s")


def passed(case: Case, text: str, scoring: registry.Scoring) -> bool | None:
    answer = Answer(text)
    return scoring.sample(case, 0, answer, scoring.score(case, answer)).passed  # type: ignore[arg-type]


def test_banking77_is_taken_as_it_is(workspace: Workspace, evals: Path) -> None:
    values = {"file": str(evals / "banking77-test.csv.gz"), "name": "banking", "format": "csv"}
    assert execution.call(workspace, find("evaluation.import"), values).cases == 3080
    found = suites.of(workspace, "banking")
    scoring, counts = registry.scoring(found), Counter[str]()
    for case in found.cases():
        assert set(case.inputs) == {"text"}
        counts[case.expected] += 1
        assert passed(case, case.expected, scoring) is True and passed(case, f"{case.expected}.", scoring) is False
    assert len(counts) == 77 and set(counts.values()) == {40}
    assert sorted(counts) == sorted(json.loads((evals / "banking77-categories.json").read_text()))


CHECKS: dict[str, Any] = {
    "punctuation:no_comma": lambda k: {"type": "not-contains", "value": ","},
    "length_constraints:number_words": lambda k: {"type": "word-count", "value": bound(k, "num_words")},
    "keywords:forbidden_words": lambda k: {"type": "not-icontains-any", "value": k["forbidden_words"]},
    "keywords:existence": lambda k: {"type": "icontains-all", "value": k["keywords"]},
    "keywords:frequency": lambda k: {"type": "count", "config": {"of": k["keyword"]}, "value": bound(k, "frequency")},
    "change_case:english_lowercase": lambda k: {"type": "letter-case", "value": "lower"},
    "change_case:english_capital": lambda k: {"type": "letter-case", "value": "upper"},
    "detectable_format:json_format": lambda k: {"type": "contains-json"},
    "detectable_format:title": lambda k: {"type": "regex", "value": "<<[^\\n]+>>"},
    "detectable_content:number_placeholders": lambda k: {
        "type": "regex",
        "value": rf"(?s)(\[.*?\].*?){{{k['num_placeholders']}}}",
    },
    "startend:quotation": lambda k: {"type": "regex", "value": r'(?s)^\s*".*"\s*$'},
    "detectable_content:postscript": lambda k: {"type": "icontains", "value": k["postscript_marker"]},
    "startend:end_checker": lambda k: {"type": "icontains", "value": k["end_phrase"]},
}

ORACLES: dict[str, Any] = {
    "punctuation:no_comma": lambda t, k: "," not in t,
    "keywords:forbidden_words": lambda t, k: not any(word.lower() in t.lower() for word in k["forbidden_words"]),
    "keywords:existence": lambda t, k: all(word.lower() in t.lower() for word in k["keywords"]),
    "change_case:english_lowercase": lambda t, k: t == t.lower(),
    "change_case:english_capital": lambda t, k: t == t.upper(),
    "detectable_format:title": lambda t, k: re.search(r"<<[^\n]+>>", t) is not None,
    "detectable_content:number_placeholders": lambda t, k: len(re.findall(r"\[.*?\]", t, re.S)) >= k["num_placeholders"],
    "length_constraints:number_words": lambda t, k: (
        len(t.split()) >= k["num_words"] if k["relation"] == "at least" else len(t.split()) < k["num_words"]
    ),
}


def bound(kwargs: dict[str, Any], name: str) -> dict[str, int]:
    return {"min": kwargs[name]} if kwargs["relation"] == "at least" else {"max": kwargs[name] - 1}


def test_instructions_of_ifeval_are_checks(workspace: Workspace, evals: Path) -> None:
    with gzip.open(evals / "ifeval-input-data.jsonl.gz", "rt") as file:
        prompts = [json.loads(line) for line in file]
    rows = []
    for prompt in prompts:
        asked = [
            {**CHECKS[name](kwargs), "metric": f"{name}#{number}"}
            for number, (name, kwargs) in enumerate(zip(prompt["instruction_id_list"], prompt["kwargs"], strict=True))
            if name in CHECKS
        ]
        rows.append({"id": prompt["key"], "vars": {"prompt": prompt["prompt"]}, "assert": asked})
    found = suite(workspace, {"language": "en"}, rows)
    assert found.count() == 541
    scoring, compared = registry.scoring(found), Counter[str]()
    given = {str(p["key"]): p["kwargs"] for p in prompts}
    # Any text will do as an answer; that of the prompt keeps some of its instructions and breaks others.
    for case in found.cases():
        text = case.inputs["prompt"]
        for score in scoring.score(case, Answer(text)):  # type: ignore[union-attr]
            name, _, number = score.metric.partition("#")
            if name in ORACLES:
                assert score.passed is ORACLES[name](text, given[case.id][int(number)]), (score, text)
                compared[f"{name} {score.passed}"] += 1
    assert sum(compared.values()) > 300 and sum("True" in name for name in compared) >= 4


def test_germeval(workspace: Workspace, evals: Path) -> None:
    with gzip.open(evals / "germeval2018-test.tsv.gz", "rt", encoding="utf-8") as file:
        tweets = [line.rstrip("\n").split("\t") for line in file]
    text = io.StringIO()
    csv.writer(text, delimiter=";").writerows([["tweet", "label", "fine"], *tweets])
    (workspace.root / "suites" / "t.csv").write_text(text.getvalue(), encoding="cp1252", errors="replace")
    spec = {
        "file": "t.csv",
        "language": "de",
        "duplicates": "drop",
        "columns": {"inputs": ["tweet"], "expected": "label", "tags": ["fine"]},
    }
    (workspace.root / "suites" / "t.yaml").write_text(yaml.safe_dump(spec))
    cases = list(suites.of(workspace, "t").cases())
    assert 3500 <= len(cases) <= 3532
    assert Counter(case.expected for case in cases)["OFFENSE"] == pytest.approx(1202, abs=5)
    assert any("ü" in case.inputs["tweet"] for case in cases)
    # Angry people refuse little: what they write is seldom taken for a refusal to answer.
    assert sum(refuses(case.inputs["tweet"]) for case in cases) / len(cases) < 0.01
    languages = Counter(detected(case.inputs["tweet"])[0] for case in cases[:300])
    assert languages["de"] / 300 > 0.95


def test_xquad_in_two_languages_has_the_same_clusters_and_parts(workspace: Workspace, evals: Path) -> None:
    found: dict[str, dict[str, Case]] = {}
    for language in ("de", "en"):
        articles = json.loads(gzip.decompress((evals / f"xquad-{language}.json.gz").read_bytes()))["data"]
        rows = [
            {
                "key": qa["id"],
                "paragraph": f"{a}-{p}",
                "context": paragraph["context"],
                "question": qa["question"],
                "answer": qa["answers"][0]["text"],
            }
            for a, article in enumerate(articles)
            for p, paragraph in enumerate(article["paragraphs"])
            for qa in paragraph["qas"]
        ]
        spec = {
            "language": language,
            "columns": {"inputs": ["context", "question"], "expected": "answer", "cluster": "paragraph", "id": "key"},
            "checks": [{"type": "icontains", "value": "{{expected}}"}],
            "duplicates": "keep",  # a few questions stand there twice, with two answers
            "splits": {"dev": 0.3, "test": 0.4, "held-out": 0.3},
        }
        made = suite(workspace, spec, rows)
        assert made.count() == 1190 and made.facts["clusters"] == 240
        found[language] = {case.id: case for case in made.cases()}
        parts: dict[str | None, set[str]] = {}
        for case in found[language].values():
            parts.setdefault(case.cluster, set()).add(case.split)
        assert all(len(part) == 1 for part in parts.values())
        scoring = registry.scoring(made)
        assert all(passed(case, f"Die Antwort: {case.expected}.", scoring) for case in found[language].values())
    # The two can be paired: same ids, same clusters, same parts.
    assert found["de"].keys() == found["en"].keys()
    for key, case in found["de"].items():
        assert (case.cluster, case.split) == (found["en"][key].cluster, found["en"][key].split)
