"""Suites: what a file may say, what is refused in it, and which cases come of it."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stellwerk.errors import UserError
from stellwerk.evaluation import suites
from stellwerk.evaluation.case import Case, Check
from stellwerk.evaluation.suites import keeping
from stellwerk.evaluation.suites.making import part_of
from stellwerk.evaluation.suites.spec import Splits
from stellwerk.evaluation.suites.suite import Suite, refuse_unfit
from stellwerk.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    found = Workspace.init(tmp_path / "w")
    (found.root / "suites").mkdir()
    return found


def suite(workspace: Workspace, text: str, **files: str | bytes) -> Suite:
    for name, content in files.items():
        path = workspace.root / "suites" / name.replace("__", ".")
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    (workspace.root / "suites" / "s.yaml").write_text(text)
    return suites.of(workspace, "s")


def wrong(workspace: Workspace, text: str, **files: str | bytes) -> str:
    with pytest.raises(UserError) as caught:
        list(suite(workspace, text, **files).cases())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_test_of_promptfoo_becomes_a_case(workspace: Workspace) -> None:
    found = suite(
        workspace,
        """
description: Greetings
language: de
defaultTest:
  vars: {tone: kind}
  assert: [{type: not-contains, value: ERROR}]
  threshold: 0.5
tests:
  - description: first
    vars: {name: Anna}
    assert:
      - {type: icontains, value: "hallo {{name}}", weight: 2, metric: greeting}
      - type: assert-set
        threshold: 0.5
        assert: [{type: is-json}, {type: contains, value: "{{ tone }}"}]
    metadata: {cluster: people, tags: [short], id: anna}
""",
    )
    (case,) = found.cases()
    assert (case.id, case.inputs, case.cluster, case.tags) == ("anna", {"tone": "kind", "name": "Anna"}, "people", ("short",))
    assert (case.language, case.description, case.split) == ("de", "first", "test")
    assert [(c.type, c.negated, c.value, c.weight) for c in case.checks] == [
        ("contains", True, "ERROR", 1.0),
        ("icontains", False, "hallo Anna", 2.0),
        ("assert-set", False, None, 1.0),
        ("is-json", False, None, 1.0),
        ("contains", False, "kind", 1.0),
        ("case-threshold", False, None, 0.0),
    ]
    assert [c.config.get("set") for c in case.checks] == [None, None, None, 2, 2, None]
    assert case.checks[1].named == "greeting"
    assert found.inputs == {"name", "tone"}


def test_lists_among_variables_make_cases(workspace: Workspace) -> None:
    found = suite(
        workspace, "tests:\n  - vars: {a: [1, 2], b: [x, y, z]}\n  - {vars: {a: [1, 2]}, options: {disableVarExpansion: true}}"
    )
    inputs = [case.inputs for case in found.cases()]
    assert len(inputs) == 7 and inputs[:2] == [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}] and inputs[-1] == {"a": [1, 2]}


def test_templates_files_and_references(workspace: Workspace) -> None:
    found = suite(
        workspace,
        """
assertionTemplates:
  polite: {type: contains, value: "{{word}}"}
defaultTest: file://default.yaml
tests:
  - vars: {word: bitte, text: file://text.txt}
    assert: [{$ref: "#/assertionTemplates/polite"}, {type: is-json, value: file://schema.json}]
  - file://more.yaml
  - rows.csv
""",
        text__txt=" A text.\n",
        schema__json='{"type": "object", "required": ["a"]}',
        default__yaml="assert: [{type: starts-with, value: A}]",
        more__yaml="- vars: {word: danke}\n  assert: [{type: contains, value: '{{word}}'}]\n",
        rows__csv='word,__expected,__expected2\n"a, b","contains-any: x, ""y,z""",not-icontains:no\nplain,Yes\n'.replace(
            "plain,Yes", "plain,Yes,"
        ),
    )
    cases = list(found.cases())
    assert cases[0].inputs == {"word": "bitte", "text": "A text."}
    assert cases[0].checks[1].value == "bitte" and cases[0].checks[2].value == {"type": "object", "required": ["a"]}
    assert cases[1].checks[1].value == "danke"
    assert [(c.type, c.negated, c.value) for c in cases[2].checks[1:]] == [
        ("contains-any", False, ["x", "y,z"]),
        ("icontains", True, "no"),
    ]
    assert [(c.type, c.value) for c in cases[3].checks[1:]] == [("equals", "Yes")]


def test_values_of_variables_are_never_templates(workspace: Workspace) -> None:
    text = "tests:\n  - vars: {a: '{{ b }} {% raw %}'}\n    assert: [{type: contains, value: '{{a}}'}]"
    (case,) = suite(workspace, text).cases()
    assert case.checks[0].value == case.inputs["a"] == "{{ b }} {% raw %}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "tests:\n  - vars: {a: 1}\n    assert:\n      - {type: contain, value: x}",
            "line 4: 'tests[1].assert[1]': there is no type 'contain'; did you mean 'contains'?",
        ),
        (
            "tests:\n  - assert:\n      - {type: javascript, value: 'true'}",
            "line 3: 'tests[1].assert[1]': the type 'javascript' runs code",
        ),
        ("tests:\n  - assert: [{type: regex, value: '('}]", "no regular expression"),
        ("tests:\n  - assert: [{type: contains}]", "contains needs a value"),
        ("tests:\n  - assert: [{type: latency}]", "latency needs a threshold"),
        ("tests:\n  - assert: [{type: is-json, value: {type: nothing}}]", "no JSON Schema"),
        ("tests:\n  - assert: [{type: is-json, value: {$ref: 'http://x/y'}}]", "$ref to elsewhere"),
        ("tests:\n  - assert: [{type: contains, value: x, transform: output.x}]", "no field 'tests[1].assert[1].transform'"),
        ("tests:\n  - options: {transform: output.x}", "options.transform"),
        ("tests:\n  - vars: {a: 1}\n    asert: []", "line 3: there is no field 'tests[1].asert'; did you mean 'assert'?"),
        ("tests: []", "give one of tests, file and dataset"),
        ("tests: [{vars: {a: 1}}]\nfile: x.csv", "give one of tests, file and dataset, not tests file"),
        ("dataset: x", "need columns"),
        ("tests:\n  - {vars: {a: 1}}\nsplits: {dev: 0.5}", "add up to 0.5"),
        ("tests:\n  - {vars: {a: 1}}\nunwanted: [leak]", "unwanted"),
        ("tests:\n  - {vars: {a: 1}}\nunwanted: [forbidden]", "forbidden: icontains-any needs a value"),
        ("tests:\n  - {vars: {a: 1}}\nunwanted: [form, form]", "form stands here twice"),
        (
            "tests:\n  - vars: {a: 1}\n    assert: [{type: contains, value: '{{b}}'}]",
            "line 2: the value of contains needs what this case does not have: 'b' is undefined; there are: a",
        ),
        (
            "tests:\n  - {vars: {a: 1}, expected: x}\n  - {vars: {a: 1}, expected: y}",
            "line 3: it expects another answer than the case with the same inputs at suites/s.yaml, line 2",
        ),
        ("tests:\n  - {vars: {a: 1}}\n  - {vars: {a: 1}}", "line 3: the same case stands at suites/s.yaml, line 2"),
        (
            "tests:\n  - {id: x, vars: {a: 1}}\n  - {id: x, vars: {a: 2}}",
            "line 3: its id 'x' is that of the case at suites/s.yaml, line 2",
        ),
        ("cluster: c\ntests:\n  - {vars: {a: 1, c: k}}\n  - {vars: {a: 2}}", "line 4: the cluster 'c' is empty"),
        ("inputs: [a, b]\ntests:\n  - {vars: {a: 1}}", "line 3: the variable 'b' is missing"),
        ("inputs: [a]\ntests:\n  - {vars: {a: 1, b: 2}}", "line 3: there is a variable 'b'"),
        ("tests:\n  - {vars: {a: 1}, expected: ''}", "line 2: what is expected is empty"),
        (
            "tests:\n  - {vars: {a: 1}, cluster: k, split: dev}\n  - {vars: {a: 2}, cluster: k, split: test}",
            "a cluster stays together",
        ),
        ("tests:\n  - {vars: {a: file:///etc/passwd}}", "outside the workspace"),
        ("tests:\n  - {vars: {a: 'file://../../../../etc/passwd'}}", "no file"),
        ("tests:\n  - {vars: {a: 'file://make.py'}}", "code that a file brings along"),
        ("tests: [hello]", "'hello' is no test"),
        ("tests:\n  - assert: [{$ref: '#/nothing'}]", "names no template"),
    ],
)
def test_mistakes_are_one_sentence_with_a_line(workspace: Workspace, text: str, said: str) -> None:
    found = wrong(workspace, text)
    assert said in found
    assert found.startswith("suites/s.yaml, line ") or "file" in found or "code" in found


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "line 1: there is no header"),
        ("a,b\n1\n", "line 2: there are 1 values for 2 columns"),
        ("a,b\n1,2,3\n", "line 2: there are 3 values for 2 columns"),
        ("a,a\n1,2\n", "the column 'a' stands there twice"),
        ("a,_expected\n1,2\n", "one underscore too few: __expected"),
        ("a,__prefix\n1,2\n", "'__prefix' of promptfoo is not read"),
        ("a,__expected\n1,x\n2,\n", "line 3: what is expected is empty"),
        ("a,__expected\n1,similr(0.8):x\n", ""),
        ("a,__expected\n1,javascript: output > 1\n", "line 2: 'assert[1]': the type 'javascript'"),
        ("a,__threshold\n1,lots\n", "line 2: 'threshold' is 'lots', expected a number"),
        ("a\n", "the suite has no cases"),
        ('a,__expected\n"1\n2",x\n"1\n2",y\n', "line 4"),
    ],
)
def test_mistakes_in_a_csv_name_their_line(workspace: Workspace, content: str, said: str) -> None:
    if said:
        assert said in wrong(workspace, "file: c.csv", c__csv=content)
    else:
        (case,) = suite(workspace, "file: c.csv", c__csv=content).cases()
        assert case.checks[0] == Check("equals", "similr(0.8):x")


_GERMAN = "frage;__expected\nWie groß ist die Höhe?;fünf Äpfel\n"


@pytest.mark.parametrize(
    "content",
    [
        _GERMAN.encode(),
        b"\xef\xbb\xbf" + _GERMAN.encode(),
        _GERMAN.encode("cp1252"),
        _GERMAN.encode("utf-16"),
        _GERMAN.replace("\n", "\r\n").encode(),
        _GERMAN.replace(";", "\t").encode(),
        _GERMAN.replace(";", ",").encode(),
    ],
)
def test_a_csv_of_any_encoding_and_delimiter(workspace: Workspace, content: bytes) -> None:
    (case,) = suite(workspace, "file: c.csv", c__csv=content).cases()
    assert case.inputs == {"frage": "Wie groß ist die Höhe?"} and case.checks[0].value == "fünf Äpfel"


def test_columns_say_what_is_what_and_gz_is_read(workspace: Workspace) -> None:
    rows = [{"q": f"Frage {n}", "a": f"{n}", "p": f"p{n // 2}", "l": "de", "k": n} for n in range(6)]
    packed = gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode())
    text = """
file: {path: c.jsonl.gz}
columns: {inputs: {question: q}, expected: a, cluster: p, language: l, id: k}
splits: {dev: 0.5, test: 0.5}
"""
    cases = list(suite(workspace, text, c__jsonl__gz=packed).cases())
    assert [case.id for case in cases] == list("012345")
    assert cases[3].inputs == {"question": "Frage 3"} and cases[3].checks == (Check("equals", "3"),)
    parts = {case.cluster: case.split for case in cases}
    assert all(parts[case.cluster] == case.split for case in cases) and len(parts) == 3
    assert "no column 'x'" in wrong(workspace, "file: c.jsonl.gz\ncolumns: {inputs: [q], expected: x}")


def test_duplicates_can_be_dropped(workspace: Workspace) -> None:
    found = suite(
        workspace, "file: c.csv\nduplicates: drop\ncolumns: {inputs: [a], expected: b}", c__csv="a,b\n1,x\n1,x\n2,y\n"
    )
    assert [case.inputs["a"] for case in found.cases()] == ["1", "2"]

    rows = "id,a,b\nk1,1,x\nk2,1,y\nk3,1,x\n"
    columns = "columns: {inputs: [a], expected: b, id: id}"
    assert "expects another answer" in wrong(workspace, f"file: c.csv\nduplicates: drop\n{columns}", c__csv=rows)
    kept = suite(workspace, f"file: c.csv\nduplicates: keep\n{columns}", c__csv=rows)
    assert [case.id for case in kept.cases()] == ["k1", "k2", "k3"]


def test_ids_stay_when_the_suite_asks_more(workspace: Workspace) -> None:
    first = [
        case.id for case in suite(workspace, "tests:\n  - {vars: {a: 1}, expected: x}\n  - {vars: {a: 2}, expected: y}").cases()
    ]
    more = "checks: [{type: word-count, value: {max: 3}}]\nunwanted: [over_refusal]\nlanguage: de\n"
    second = suite(workspace, more + "tests:\n  - {vars: {a: 2}, expected: y}\n  - {vars: {a: 1}, expected: x}")
    assert first == [case.id for case in second.cases()][::-1]


def test_unwanted_families_are_asked_apart(workspace: Workspace) -> None:
    text = """
unwanted: [prompt_leak, personal_data, refusal, over_refusal, form, language, anrede, unsupported_numbers,
  {forbidden: [Garantie]}, {length: {max: 9}}]
tests:
  - {vars: {a: 1}, expected: x}
  - {vars: {a: 2}, tags: [refuse]}
"""
    first, second = suite(workspace, text).cases()
    assert first.checks[0] == Check("equals", "x")
    families = {check.family for check in first.checks} - {None}
    assert len(families) == 9 and "refusal" not in families and all(c.weight == 0 for c in first.checks if c.family)
    assert {check.family for check in second.checks} == families - {"over_refusal"} | {"refusal"}


def test_a_prompt_that_does_not_fit_is_refused(workspace: Workspace) -> None:
    found = suite(workspace, "tests:\n  - {vars: {a: 1, b: 1}}\n  - {vars: {a: 2}}")
    refuse_unfit(found, ["a"], ["a", "b"])
    for required, known, said in (
        (["b"], ["b"], "some of the cases"),
        (["c"], ["c"], "the cases of"),
        ([], ["z"], "shows none"),
    ):
        with pytest.raises(UserError, match=said):
            refuse_unfit(found, required, known)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(min_size=1), min_size=1, max_size=30, unique=True), st.integers(0, 9))
def test_parts_depend_on_the_key_alone(keys: list[str], seed: int) -> None:
    splits = Splits(dev=0.3, test=0.4, held_out=0.3, seed=seed)
    assert [part_of(key, splits) for key in keys] == [part_of(key, splits) for key in reversed(keys)][::-1]


def test_parts_have_their_shares() -> None:
    counted = Counter(part_of(str(n), Splits(dev=0.2, test=0.5, held_out=0.3)) for n in range(20_000))
    assert counted["dev"] == pytest.approx(4000, abs=250) and counted["held-out"] == pytest.approx(6000, abs=300)


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(min_size=1), _json, max_size=4), _json, st.text(), st.booleans())
def test_a_case_comes_back_as_it_was(inputs: dict[str, object], value: object, name: str, negated: bool) -> None:
    check = Check("equals", value, 0.5, 2.0, name or None, negated, "form", {"n": 3})
    case = Case("x", inputs, (check, Check("is-json")), value, name or None, (name,), "de", "dev", None)
    line = keeping.case_line(case)
    assert line.count(b"\n") == 1
    assert keeping.case_of(json.loads(line)) == case
