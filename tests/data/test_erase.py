"""Erasing: a version without the rows, marks on what was made from them, tombstones that tell nobody who it was."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stellwerk.errors import UserError
from stellwerk.operation import find
from stellwerk.record import tables
from stellwerk.runs import execution

if TYPE_CHECKING:
    from conftest import Place

PERSON = "Wilhelmine Ottensooser"


def erase(place: Place, where: str) -> Any:
    values = {"dataset": "set", "where": where, "reason": "request 12"}
    return execution.call(place.workspace, find("data.erase"), values)


@pytest.fixture
def built(place: Place) -> Place:
    """Twelve letters, two of one person; one of these is an exact copy and so was dropped."""
    rows = [
        {"id": f"k{n}", "name": f"customer {n}", "text": f"letter {n} about pump {n * 7} and valve {n * 3}"} for n in range(12)
    ]
    rows[3]["name"] = rows[8]["name"] = PERSON
    rows[8]["text"] = rows[2]["text"]
    place.rows("raw/letters.jsonl", rows)
    place.spec(sources=[{"name": "letters", "files": "raw/letters.jsonl", "key": "id"}], languages=["en"])
    place.build()
    return place


def test_the_rows_go_from_table_and_ledger_and_the_counts_still_add_up(built: Place) -> None:
    done = erase(built, f"name = '{PERSON}'")
    assert (done.dataset, done.erased, done.tainted) == ("dataset/set@2", 2, ["dataset/set@1"])
    version = built.version("dataset/set@2")
    assert "letters:k3" not in built.table("dataset/set@2")["doc_id"].to_pylist()
    ledger = built.read(version.content["ledger"]).to_pylist()
    assert len(ledger) == 12
    gone = [row for row in ledger if row["rule"] == "erased"]
    assert [(row["doc_id"], row["origin"], row["details"]) for row in gone] == [("erased", None, None)] * 2
    counts = version.facts["counts"]
    assert counts["read"] == 12 == counts["kept"] + counts["changed"] + counts["dropped"]
    assert {rule["rule"]: rule["documents"] for rule in counts["rules"]} == {"erased": 2}


def test_nothing_of_the_person_is_in_the_new_version_or_the_record(built: Place) -> None:
    erase(built, f"name = '{PERSON}'")
    content = built.version("dataset/set@2").content
    shards = [shard for part, found in content.items() if part != "table" for shard in found]
    told = str([built.read([shard]).to_pydict() for shard in shards]) + str(built.table("dataset/set@2").to_pydict())
    assert PERSON not in told
    assert "letters:k3" not in told
    assert "letters:k8" not in told
    for file in built.workspace.state.glob("record.db*"):
        assert PERSON.encode() not in file.read_bytes(), "the condition itself is not kept"
    logs = built.workspace.store.table(content["table"]) / "_delta_log"
    assert not any("customer" in file.read_text() for file in logs.glob("*.json"))


def test_a_later_build_leaves_the_rows_out_and_ends_in_the_same_version(built: Place) -> None:
    erase(built, f"name = '{PERSON}'")
    report = built.build()
    assert report.dataset == "dataset/set@2"
    assert {rule.rule: rule.documents for rule in report.counts.rules} == {"erased": 2}
    built.adds_up(report, "dataset/set@2")
    documents = built.read(built.version("dataset/set@2").content["documents"])
    assert PERSON not in str(documents.to_pydict())


def test_what_was_made_from_the_rows_is_tainted_and_what_was_not_is_clear(built: Place) -> None:
    built.spec("other", sources=[{"name": "letters", "files": "raw/letters.jsonl", "key": "id"}])
    built.build("other")
    built.rows("raw/letters.jsonl", [{"id": "new", "name": "else", "text": "another letter about a belt and a motor"}])
    built.build()
    with pytest.raises(UserError, match="no document of dataset/set@2 meets the condition"):
        erase(built, f"name = '{PERSON}'")
    values = {"dataset": "set@1", "where": f"name = '{PERSON}'"}
    done = execution.call(built.workspace, find("data.erase"), values)
    assert done.tainted == ["dataset/set@1"]
    assert built.version("dataset/set@2").tainted is None
    shown = find("show").function("dataset/set@1", workspace=built.workspace)
    assert shown.tainted.startswith("2 rows were erased on ")
    tokens = {row["token"] for row in built.workspace.record.rows(tables.tombstone)}
    assert tokens == {built.workspace.keyed(f"set\0letters:{key}") for key in ("k3", "k8")}


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ("nix = 1", "there is no column nix"),
        ("name = 'nobody'", "no document of dataset/set@1 meets the condition; nothing was erased"),
        ("1=1; DROP TABLE documents", "SQL|statement"),
        ("name =", "SQL"),
    ],
)
def test_a_condition_that_is_wrong_erases_nothing(built: Place, where: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        erase(built, where)
    assert [version.number for version in built.workspace.record.versions(tables.asset.c.kind == "dataset")] == [1]
    assert built.workspace.record.rows(tables.tombstone) == []


def test_statistics_of_a_table_name_no_personal_column(built: Place) -> None:
    logs = built.workspace.store.table(built.version("dataset/set").content["table"]) / "_delta_log"
    text = "".join(file.read_text() for file in sorted(Path(logs).glob("*.json")))
    assert '"words"' in text.replace("\\", "")
    assert PERSON not in text
    assert "customer 1" not in text
