"""A mistake in a spec file is a sentence with its line; a hostile file is refused at once."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, model_validator

from stellwerk import specfile
from stellwerk.errors import UserError
from stellwerk.specfile import MAXIMUM_BYTES, parse, read_text


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    load: Literal["append", "merge"] = "append"
    key: list[str] = []
    share: Annotated[float, Field(ge=0, le=1)] = 0.5

    @model_validator(mode="after")
    def _needs_key(self) -> Part:
        if self.load == "merge" and not self.key:
            raise ValueError("merge needs a key")
        return self


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")
    purpose: str
    seed: int = 1
    mask: bool = True
    retrieved: date | None = None
    languages: list[str] = []
    parts: list[Part] = []
    select: dict[str, Part] = {}


def mistakes(text: str) -> list[str]:
    with pytest.raises(UserError) as error:
        parse(text, "datasets/x.yaml").check(Whole)
    return str(error.value).splitlines()


TEN = """\
purpsoe: train
seed: many
mask: perhaps
retrieved: soon
languages: [de, no]
parts:
  - name: tickets
    load: upsert
    share: 2
  - load: merge
    nmae: labels
  - name: pages
    load: merge
  - just a text
select:
  words: 5
"""


def test_ten_mistakes_are_ten_sentences_with_their_lines() -> None:
    found = mistakes(TEN)
    wanted = [
        ("line 1", "'purpose' is missing"),
        ("line 1", "no field 'purpsoe'", "did you mean 'purpose'?"),
        ("line 2", "'seed' is 'many', expected a number"),
        ("line 3", "'mask' is 'perhaps', expected true or false"),
        ("line 4", "'retrieved' is 'soon'"),
        ("line 5", "'languages[2]' is False, expected a text", "quotes"),
        ("line 8", "'parts[1].load' is 'upsert', expected one of 'append' or 'merge'"),
        ("line 9", "'parts[1].share' is 2", "less than or equal to 1"),
        ("line 10", "'parts[2].name' is missing"),
        ("line 11", "no field 'parts[2].nmae'", "did you mean 'name'?"),
        ("line 12", "'parts[3]'", "merge needs a key"),
        ("line 14", "'parts[4]' is 'just a text', expected names and values"),
        ("line 16", "'select.words' is 5, expected names and values"),
    ]
    assert len(found) == len(wanted), found
    for sentence, parts in zip(found, wanted, strict=True):
        assert sentence.startswith("datasets/x.yaml, line "), sentence
        for part in parts:
            assert part in sentence, (sentence, part)


def test_a_good_file_becomes_its_model() -> None:
    whole = parse("purpose: é\nparts:\n  - {name: a, load: merge, key: [b]}\n", "x").check(Whole)
    assert (whole.purpose, whole.parts[0].key) == ("é", ["b"])


@pytest.mark.parametrize("text", ["", "# only a comment\n", "null\n"])
def test_an_empty_file_lacks_what_is_needed(text: str) -> None:
    assert mistakes(text) == ["datasets/x.yaml, line 1: 'purpose' is missing; add it"]


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words\n", "5\n"])
def test_a_file_that_is_no_mapping_is_said(text: str) -> None:
    (sentence,) = mistakes(text)
    assert "the file is" in sentence
    assert "expected names and values" in sentence


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("purpose: a\nseed: 1\npurpose: b\n", 3, "'purpose' stands here a second time"),
        ("parts:\n  - name: a\n    key: [x]\n    name: b\n", 4, "'name' stands here a second time"),
        ("purpose: a\n\tseed: 1\n", 2, "not valid YAML"),
        ("purpose:\n\t- a\n", 2, "not valid YAML"),
        ("purpose: [a, b\nseed: 1\n", 2, "not valid YAML"),
        ("purpose: 'open\nseed: 1\n", 3, "not valid YAML"),
        ("purpose: a: b\n", 1, "not valid YAML"),
        ("a: *nowhere\n", 1, "not valid YAML"),
        ("a: !!python/object/apply:os.system [ls]\n", 1, "not valid YAML"),
        ("a: 1\n--- \nb: 2\n", 2, "not valid YAML"),
        ("purpose: {{ name }}\n", 1, "not valid YAML"),
        ("a: 1\n? [b, c]\n: 2\n", 2, "not valid YAML"),
        ("%BAD\n", 2, "not valid YAML"),
    ],
)
def test_what_is_no_yaml_is_one_sentence_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(UserError) as error:
        parse(text, "datasets/x.yaml")
    assert str(error.value).startswith(f"datasets/x.yaml, line {line}: ")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["a: \0\n", "a: \x07\n", "a: \ud800\n", "a: 2026-13-45\n", "a: " + "9" * 5000 + "\n"])
def test_characters_and_values_that_yaml_does_not_know_are_one_sentence(text: str) -> None:
    with pytest.raises(UserError, match=r"^datasets/x\.yaml.*not valid YAML") as error:
        parse(text, "datasets/x.yaml")
    assert "\n" not in str(error.value)


def laughs(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        laughs(30),
        "a: &a [*a]\n",
        "a: &a\n  b: *a\n",
        "[" * 100_000,
        "{a: " * 50_000,
        "- " * 50_000 + "a",
        "a: &a [*a, *a, *a]\n",
    ],
    ids=["laughs", "circle", "circle of fields", "brackets", "braces", "dashes", "circles"],
)
def test_bombs_are_refused_quickly(text: str) -> None:
    began = time.process_time()
    with pytest.raises(UserError) as error:
        parse(text, "datasets/x.yaml")
    assert time.process_time() - began < 5
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


def test_aliases_in_reason_are_welcome() -> None:
    text = "base: &base {name: a}\nparts:\n  - <<: *base\n    share: 0.2\n  - *base\n"
    assert parse(text, "x").value["parts"] == [{"share": 0.2, "name": "a"}, {"name": "a"}]


def test_lines_are_those_of_the_fields() -> None:
    found = parse("a: 1\nb:\n  - c: 2\n    d: 3\n  - e\n'f': {g: 4,\n  h: 5}\n", "x")
    for place, line in {
        ("a",): 1, ("b",): 2, ("b", 0): 3, ("b", 0, "c"): 3, ("b", 0, "d"): 4, ("b", 1): 5, ("f", "g"): 6, ("f", "h"): 7,
        ("b", 0, "unknown"): 3, ("nowhere", "at", "all"): 1,
    }.items():  # fmt: skip
        assert found.line(place) == line, place


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=60) | st.text(alphabet=" \t\n-:{}[]&*!|>'\"%@`#?,ab1<", max_size=60))
def test_any_text_is_a_spec_or_a_sentence(text: str) -> None:
    try:
        parse(text, "x.yaml").check(Whole)
    except UserError as error:
        assert str(error).startswith("x.yaml")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("purpose: Müller".encode("latin-1"), "not UTF-8"),
        ("purpose: a".encode("utf-16"), "not UTF-8"),
        (b"a" * (MAXIMUM_BYTES + 1), "over 4 MiB"),
    ],
)
def test_files_that_are_no_text_are_one_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=words) as error:
        read_text(path)
    assert str(path) in str(error.value)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"\xef\xbb\xbfpurpose: a\n")
    assert parse(read_text(tmp_path / "x.yaml"), "x").value == {"purpose": "a"}


def test_a_file_that_is_not_there_or_a_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no file"):
        read_text(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="cannot be read"):
        read_text(tmp_path)


PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.dates()


@given(st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)))
def test_both_loaders_read_the_same_with_the_same_lines(value: object) -> None:
    text = yaml.safe_dump(value)
    found = [specfile._read(loader, text, "a.yaml") for loader in specfile.LOADERS]
    assert len(found) == 2, "libyaml is missing in this build of PyYAML"
    assert found[0] == found[1] and found[0].value == value
