"""The spec of a dataset: each mistake gives a sentence with its line, no text gives a traceback, and editors get a schema."""

from __future__ import annotations

import math
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from stellwerk.errors import UserError
from stellwerk.jobs.data.spec import DatasetSpec
from stellwerk.specfile import parse

TEN_MISTAKES = """\
purpose: Train the intent classifier
langauges: [de, en]
sources:
  - name: tickets
    files: raw/tickets.csv
    csv: {separator: ";;"}
  - name: labels
    files: raw/labels.jsonl
    format: xls
    key: ticket_id
    retrieved: yesterday
  - {name: agents, files: raw/agents.csv, load: merge}
personal: {action: hide}
select:
  words: {min: ten}
  chars: {min: 10, max: 5}
split: {train: 0.8, validation: 0.3}
tests:
  - {column: intent}
"""
TEN_SENTENCES = [
    "line 2: there is no field 'langauges'; did you mean 'languages'?",
    "line 6: 'sources[1].csv.separator': the separator is ';;', expected one character such as ';', or tab",
    "line 9: 'sources[2].format' is 'xls', expected one of 'csv', 'json', 'jsonl', 'parquet', 'xlsx', "
    "'md', 'txt', 'html', 'pdf', 'docx', 'pptx', 'odt', 'eml' or 'msg'",
    "line 11: 'sources[2].retrieved': 'yesterday' is no date, expected one such as 2026-11-01",
    "line 12: 'sources[3]': merge needs a key; add for example 'key: ticket_id'",
    "line 13: 'personal.action' is 'hide', expected one of 'mask', 'keep' or 'drop'",
    "line 15: 'select.words.min' is 'ten', expected a number",
    "line 16: 'select.chars': min 10 is above max 5: nothing could be kept",
    "line 17: 'split': train, validation and test add up to 1.2, expected 1",
    "line 19: 'tests[1]': the check of column intent asks nothing; add one of not_null, unique, min, max, in, matches, format, "
    "not_older_than",
]
SOURCE: dict[str, Any] = {"name": "tickets", "files": "raw/t.csv"}


def mistakes(text: str) -> list[str]:
    """The sentences on a spec file; none where it is right."""
    try:
        parse(text, "datasets/tickets.yaml").check(DatasetSpec)
    except UserError as error:
        return str(error).splitlines()
    return []


def check(**fields: Any) -> list[str]:
    return mistakes(yaml.safe_dump({"sources": [SOURCE], **fields}, sort_keys=False))


def test_ten_mistakes_give_ten_sentences() -> None:
    assert mistakes(TEN_MISTAKES) == [f"datasets/tickets.yaml, {sentence}" for sentence in TEN_SENTENCES]
    assert len(TEN_SENTENCES) == 10


def test_the_command_says_them_and_changes_nothing(place: Any, capsys: pytest.CaptureFixture[str]) -> None:
    place.write("datasets/tickets.yaml", TEN_MISTAKES)
    assert place.cli("data", "build", "tickets") == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", len(TEN_SENTENCES))
    assert not place.workspace.record.versions()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"sources": []}, "line 1: 'sources'"),
        ({"sources": [SOURCE, SOURCE]}, "two sources have the name 'tickets'"),
        (
            {"sources": [SOURCE, {**SOURCE, "name": "l", "joins": "x", "key": "id"}]},
            "which is no other source; there are: tickets",
        ),
        ({"sources": [SOURCE, {**SOURCE, "name": "l", "joins": "tickets"}]}, "joins needs a key"),
        ({"sources": [SOURCE, {**SOURCE, "name": "l", "joins": "tickets", "key": "id"}]}, "the key of 'tickets' is missing"),
        ({"sources": [{**SOURCE, "joins": "tickets", "key": "id"}]}, "which is no other source; there are: none"),
        ({"sources": [{**SOURCE, "missing": "delete"}]}, "missing: delete goes with load: merge only"),
        ({"sources": [{**SOURCE, "csv": {"encoding": "utf-9"}}]}, "there is no encoding 'utf-9'"),
        ({"sources": [{**SOURCE, "csv": {"quote": "ab"}}]}, "the quote is 'ab'"),
        ({"sources": [{**SOURCE, "name": "a b"}]}, "expected at most 60 letters, digits, - and _"),
        ({"sources": [{**SOURCE, "files": " "}]}, "the pattern is empty"),
        ({"sources": [{**SOURCE, "key": 5}]}, "expected a list such as [a, b]"),
        ({"sources": "raw/*.csv"}, "expected a list such as [a, b]"),
        ({"split": {"train": 2}}, "'split.train' is 2"),
        ({"duplicates": {"near": 80}}, "'duplicates.near' is 80"),
        ({"outliers": {"columns": "a", "bound": 0}}, "'outliers.bound' is 0"),
        ({"outliers": {"columns": "a", "bound": math.inf}}, "'outliers.bound' is inf: input should be a finite number"),
        ({"select": {"words": {"max": math.inf}}}, "'select.words.max' is inf: input should be a finite number"),
        ({"select": {"words": {"min": math.nan}}}, "'select.words.min' is nan: input should be a finite number"),
        ({"select": {"words": {"in": [1, math.nan]}}}, "'select.words.in': infinity and nan are no values"),
        ({"split": {"train": math.nan}}, "'split.train' is nan"),
        ({"select": {"words": {}}}, "the bound is empty"),
        ({"select": {"words": None}}, "expected names and values below it"),
        ({"normalise": {"unicode": "NFD"}}, "expected one of 'NFC', 'NFKC' or 'none'"),
        ({"normalise": {"mojibake": "maybe"}}, "expected true or false"),
        ({"description": ["a"]}, "expected a text"),
        ({"retention": 5}, "expected a text"),
        ({"delete_by": 2027}, "expected a date such as 2026-11-01"),
        ({"tests": [{"rows": {"min": 5, "max": 1}}]}, "min 5 is above max 1"),
    ],
)
def test_one_mistake_gives_one_sentence(fields: dict[str, Any], sentence: str) -> None:
    (found,) = check(**fields)
    assert sentence in found
    assert found.startswith("datasets/tickets.yaml, line ")


def test_joins_must_lead_to_a_source_of_documents() -> None:
    chain = [{**SOURCE, "key": "id"}, {**SOURCE, "name": "a", "key": "id", "joins": "tickets"}]
    assert not check(sources=chain)
    (found,) = check(sources=[*chain, {**SOURCE, "name": "b", "key": "id", "joins": "a"}])
    assert "source 'b' joins 'a', which joins another one itself" in found
    circle = [{**SOURCE, "key": "id", "joins": "a"}, {**SOURCE, "name": "a", "key": "id", "joins": "tickets"}]
    assert check(sources=circle)


WORDS = st.sampled_from(
    [
        *DatasetSpec.model_fields,
        "name",
        "files",
        "csv",
        "load",
        "key",
        "joins",
        "min",
        "max",
        "in",
        "near",
        "a",
        "merge",
        "delete",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS | st.dates(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.integers() | st.none(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES | st.dictionaries(WORDS, VALUES, max_size=8))
@settings(max_examples=300, deadline=None)
def test_any_value_gives_sentences(value: Any) -> None:
    for sentence in mistakes(yaml.safe_dump(value)):
        assert sentence.startswith("datasets/tickets.yaml, line "), sentence


@given(st.text(max_size=200) | st.text(alphabet="[]{}:-*&!|>'\"#%@`, \n\tab0.~?", max_size=80))
@settings(max_examples=400, deadline=None)
def test_any_text_gives_sentences(text: str) -> None:
    assert all("datasets/tickets.yaml" in sentence for sentence in mistakes(text)[:1])


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_any_change_of_a_right_spec_gives_sentences(data: st.DataObject) -> None:
    """Values of the wrong kind, deep inside a spec that is right elsewhere."""
    spec = yaml.safe_load(TEN_MISTAKES.replace("langauges", "languages"))
    place = spec
    while isinstance(place, dict | list) and place:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or data.draw(st.booleans()):
            place[key] = data.draw(VALUES)
            break
        place = place[key]
    text = yaml.safe_dump(spec, sort_keys=False)
    for sentence in mistakes(text):
        number = int(sentence.removeprefix("datasets/tickets.yaml, line ").partition(":")[0])
        assert 1 <= number <= len(text.splitlines())


def demo_specs() -> list[Path]:
    return [Path(str(path)) for path in files("stellwerk.demo").joinpath("datasets").iterdir() if path.name.endswith(".yaml")]


def test_the_schema_for_editors_accepts_what_the_model_accepts() -> None:
    schema = DatasetSpec.model_json_schema(by_alias=True)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    specs = demo_specs()
    assert specs
    for path in specs:
        # JSON has no dates, so an editor sees what stands in the file.
        plain = yaml.load(path.read_text(), _PlainDates)
        assert [error.message for error in validator.iter_errors(plain)] == []
        parse(path.read_text(), path.name).check(DatasetSpec)
    assert list(validator.iter_errors(yaml.load(TEN_MISTAKES, _PlainDates)))


class _PlainDates(yaml.SafeLoader):
    """YAML in which a date stays a text."""


_PlainDates.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
