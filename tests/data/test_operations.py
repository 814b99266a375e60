"""What people ask of a dataset: the way of one document, a first look at a file, its data tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from stellwerk.errors import UserError
from stellwerk.jobs.data import versions
from stellwerk.jobs.data.spec import DatasetSpec
from stellwerk.operation import find
from stellwerk.record import tables
from stellwerk.runs import execution

if TYPE_CHECKING:
    from conftest import Place

MAIL = "erika.musterfrau@example.org"
LONG = "The spindle of the milling centre makes a loud noise since Monday and the operator has stopped it twice already."


def call(place: Place, path: str, **values: Any) -> Any:
    return execution.call(place.workspace, find(path), values)


@pytest.fixture
def built(place: Place) -> Place:
    rows = [
        {"id": "sound", "intent": "repair", "text": LONG},
        {"id": "mail", "intent": "invoice", "text": f"Grüße an\u00a0{MAIL} wegen der Rechnung über die Pumpe, bitte rasch."},
        {"id": "copy", "intent": "repair", "text": LONG.replace("twice", "often")},
        {"id": "short", "intent": "repair", "text": "test"},
        {"id": "same", "intent": "repair", "text": LONG.upper()},
    ]
    place.rows("raw/letters.jsonl", rows)
    with (place.root / "raw/letters.jsonl").open("a") as file:
        file.write("{broken\n")
    place.spec(
        sources=[{"name": "letters", "files": "raw/letters.jsonl", "key": "id"}],
        languages=["de", "en"],
        duplicates={"near": 0.5},
        select={"words": {"min": 3}, "language": {"in": ["de", "en"]}},
        tests=[
            {"column": "intent", "in": ["repair"]},
            {"column": "intent", "not_null": True},
            {"rows": {"min": 100}, "severity": "warn"},
        ],
    )
    place.build()
    return place


def test_a_kept_document_is_explained_with_its_edits_and_hits_at_their_place_in_the_original(built: Place) -> None:
    told = call(built, "data.explain", document="letters:mail")
    assert told.verdict.decision == "changed"
    assert told.edits == {"spaces": 1}
    (hit,) = told.personal_data
    original = f"Grüße an\u00a0{MAIL} wegen"
    assert (hit.kind, original[hit.start : hit.end]) == ("EMAIL", MAIL)
    assert MAIL not in told.model_dump_json()
    assert "[EMAIL]" in told.excerpt
    assert {(line.score, line.bound, line.passed) for line in told.scores if line.bound} == {
        ("words", "words >= 3", True),
        ("language", "language in de, en", True),
    }


@pytest.mark.parametrize(
    ("document", "summary"),
    [
        ("short", "dropped by select, rule words: it is 1, asked was words >= 3"),
        ("letters:same", "dropped by duplicates, rule exact_duplicate: it is 1.0000, asked was no equal text before it"),
        ("letters:sound", "kept for "),
        ("letters:raw/letters.jsonl#line 6", "line 6 cannot be read: "),
    ],
)
def test_every_document_has_its_reason(built: Place, document: str, summary: str) -> None:
    told = call(built, "data.explain", document=document, dataset="set")
    assert told.summary.startswith(summary)


def test_a_near_copy_names_the_one_that_stays(built: Place) -> None:
    told = call(built, "data.explain", document="copy")
    assert told.copy_of is not None
    assert (told.copy_of.kind, told.copy_of.kept) == ("near", "letters:sound")
    assert 0.5 <= told.copy_of.jaccard < 1


def test_an_unknown_document_is_one_sentence_with_the_way_to_look(built: Place) -> None:
    with pytest.raises(UserError, match="there is no document 'nix' in any dataset; list some with: stellwerk data query"):
        call(built, "data.explain", document="nix")


def test_data_tests_are_measured_with_n_and_a_failure_ends_with_one(built: Place) -> None:
    report = call(built, "data.test", dataset="set")
    assert (report.passed, report.failed, report.warned) == (1, 1, 1)
    rows = built.workspace.record.rows(tables.measurement, tables.measurement.c.metric.startswith("data_test."))
    assert {row["metric"]: (row["value"], row["n"]) for row in rows} == {
        "data_test.intent in": (0.5, 2),
        "data_test.intent not_null": (0.0, 2),
        "data_test.rows": (2.0, 2),
    }
    assert built.cli("data", "test", "set") == 1


def test_an_export_carries_the_record_of_its_dataset(built: Place) -> None:
    call(built, "data.test", dataset="set")
    call(built, "data.export", dataset="set", folder=built.root / "out", format="jsonl")
    card = (built.root / "out" / "README.md").read_text()
    assert "dataset/set@1" in card
    assert r"near\_duplicate" in card
    assert "not yet known" in card
    rows = [json.loads(line) for file in (built.root / "out").glob("*.jsonl") for line in file.read_text().splitlines()]
    assert {row["doc_id"] for row in rows} == {"letters:sound", "letters:mail"}
    assert MAIL not in str(rows)


def test_a_file_is_tried_without_a_spec_and_nothing_is_changed(tmp_path: Path) -> None:
    path = tmp_path / "letters.csv"
    lines = ["nr;mail;betrag;text", *(f"00{n};p{n}@example.org;{n},5;{LONG} Number {n}." for n in range(10, 30))]
    path.write_bytes("\n".join([*lines, "too;few"]).encode("cp1252"))
    told = find("data.try").function(path, workspace=None)
    assert list(tmp_path.iterdir()) == [path]
    assert (told.rows, told.key, told.text) == (20, "nr", "text")
    assert {column.column: column.type for column in told.columns} == {
        "nr": "string", "mail": "string", "betrag": "double", "text": "string",
    }  # fmt: skip
    assert next(column for column in told.columns if column.column == "mail").personal_data == {"EMAIL": 20}
    assert "@example.org" not in told.model_dump_json()
    assert len(told.unreadable) == 1
    assert "line 22" in told.unreadable[0]
    DatasetSpec.model_validate(yaml.safe_load(told.spec))


def test_a_saved_spec_builds_and_is_never_written_over(built: Place) -> None:
    told = call(built, "data.try", file=built.root / "raw/letters.jsonl", save=True, name="again")
    assert told.saved == "datasets/again.yaml"
    assert built.build("again").counts.read == 6
    with pytest.raises(UserError, match=r"datasets/again.yaml is already there; give another --name"):
        call(built, "data.try", file=built.root / "raw/letters.jsonl", save=True, name="again")
    for name in ("../x", "a@2", "a b", "a\nb"):
        with pytest.raises(UserError, match="is no name for a spec"):
            call(built, "data.try", file=built.root / "raw/letters.jsonl", save=True, name=name)


def test_the_schema_for_editors_accepts_what_the_product_accepts(built: Place) -> None:
    import jsonschema

    schema = call(built, "data.schema").json_schema
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load((built.root / "datasets/set.yaml").read_text()), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"sources": [{"name": "x", "files": "y", "lod": "merge"}]}, schema)


def test_the_facts_of_a_dataset_name_the_state_of_a_source_that_it_was_made_from(place: Place) -> None:
    """Not the states before, nor a state that gave an equal dataset in an earlier build; also where rows were erased."""
    source = {"name": "s", "files": "raw/*", "key": "id", "load": "merge", "licence": "CC-BY-4.0", "origin": "the help desk"}
    place.spec(sources=[source], duplicates={"near": None})
    for number in (1, 2, 3):
        place.rows("raw/a.jsonl", [{"id": number, "text": f"{LONG} It is machine {number * 7}."}])
        place.build()
    for reference, rows in (("dataset/set@3", 3), ("dataset/set@2", 2)):
        (fact,) = versions.facts_of(place.workspace, place.version(reference)).sources
        assert (fact.name, fact.rows, fact.licence, fact.origin) == ("s", rows, "CC-BY-4.0", "the help desk")
    call(place, "data.erase", dataset="set", where="doc_id = 's:1'")
    (fact,) = versions.facts_of(place.workspace, place.version("dataset/set")).sources
    assert (fact.name, fact.rows) == ("s", 3)


def test_an_equal_dataset_names_the_sources_that_gave_it_last(place: Place) -> None:
    place.spec(sources=[{"name": "s", "files": "raw/*", "key": "id"}], select={"id": {"max": 1}})
    for rows in (1, 2, 3):
        place.rows("raw/a.jsonl", [{"id": number + 1, "text": f"letter {number}"} for number in range(rows)])
        assert place.build().dataset == "dataset/set@1"
        (fact,) = versions.facts_of(place.workspace, place.version("dataset/set")).sources
        assert fact.rows == rows
