"""Erasing: a version without the rows, marks on what was made from them, tombstones that tell nobody who it was."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from databases import record_bytes
from stellwerk.errors import StellwerkError, UserError
from stellwerk.jobs.data import erase as erasing
from stellwerk.jobs.data import ids
from stellwerk.operation import find
from stellwerk.record import tables
from stellwerk.runs import execution

if TYPE_CHECKING:
    from conftest import Place

PERSON = "Wilhelmine Ottensooser"


def erase(place: Place, where: str, dataset: str = "set") -> Any:
    values = {"dataset": dataset, "where": where, "reason": "request 12"}
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
    for kept in record_bytes(built.workspace).values():
        assert PERSON.encode() not in kept, "the condition itself is not kept"
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
    done = erase(built, f"name = '{PERSON}'", "set@1")
    assert (done.dataset, done.erased, done.tainted) == ("dataset/set@2", 2, ["dataset/set@1"])
    assert done.message == "no new version was made, since dataset/set@2, the latest, holds none of them"
    assert built.version("dataset/set@2").tainted is None
    assert built.version("dataset/set").ref == "dataset/set@2"
    shown = find("show").function("dataset/set@1", workspace=built.workspace)
    assert shown.tainted.startswith("2 rows were erased on ")
    pepper = ids.pepper(built.workspace)
    tokens = {row["token"] for row in built.workspace.record.rows(tables.tombstone)}
    assert tokens == {built.workspace.keyed(f"set\0{ids.unchanging(pepper, f'letters:{key}')}") for key in ("k3", "k8")}


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ("nix = 1", "there is no column nix"),
        ("name = 'nobody'", "no document of dataset/set meets the condition, in no version; nothing was erased"),
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


def texts(place: Place, reference: str = "dataset/set") -> dict[str, str]:
    table = place.table(reference)
    return dict(zip(table["doc_id"].to_pylist(), table["text"].to_pylist(), strict=True))


ONE, TWO, THREE = "hello world this is one", "another quite different text", "the third text about pumps"


def test_a_place_in_a_file_is_erased_by_what_stood_there(place: Place) -> None:
    place.write("raw/a.csv", f"text,n\n{ONE},1\n{TWO},2\n")
    place.spec(sources=[{"name": "m", "files": "raw/*.csv", "text": ["text"]}])
    place.build()
    assert erase(place, "text LIKE 'hello%'").erased == 1
    place.write("raw/a.csv", f"text,n\n{TWO},2\n{THREE},3\n")
    place.build()
    assert texts(place) == {"m:raw/a.csv#line 2": TWO, "m:raw/a.csv#line 3": THREE}
    place.write("raw/a.csv", f"n,text,new\n0.5,{THREE},\n2,{TWO},x\n1,{ONE},\n")
    report = place.build()
    assert texts(place) == {"m:raw/a.csv#line 2": THREE, "m:raw/a.csv#line 3": TWO}, "at another place, with other columns"
    assert {rule.rule: rule.documents for rule in report.counts.rules} == {"erased": 1}


def test_rows_that_say_the_same_at_several_places_are_one_for_an_erasure(place: Place) -> None:
    place.write("raw/a.csv", f"text\n{ONE}\n{TWO}\n{ONE}\n")
    place.spec(sources=[{"name": "m", "files": "raw/*.csv", "text": ["text"]}])
    place.build()
    assert erase(place, "doc_id = 'm:raw/a.csv#line 2'").erased == 2
    assert list(texts(place).values()) == [TWO]
    assert place.build().dataset == "dataset/set@2"


def test_a_key_that_repeats_is_erased_by_content(place: Place) -> None:
    place.write("raw/a.csv", f"id,text\n5,{ONE}\n5,{TWO}\n6,{THREE}\n")
    place.spec(sources=[{"name": "m", "files": "raw/*.csv", "key": "id", "text": ["text"]}])
    place.build()
    erase(place, "doc_id = 'm:5'")
    assert texts(place) == {"m:5~2": TWO, "m:6": THREE}
    place.write("raw/a.csv", f"id,text\n5,{TWO}\n6,{THREE}\n")
    place.build()
    assert texts(place) == {"m:5": TWO, "m:6": THREE}
    place.write("raw/a.csv", f"id,text\n5,{TWO}\n5,{ONE}\n6,{THREE}\n")
    place.build()
    assert texts(place) == {"m:5": TWO, "m:6": THREE}


def test_a_corrected_row_of_a_key_stays_away_also_where_the_key_now_repeats(place: Place) -> None:
    place.write("raw/a.csv", f"id,text\n5,{ONE}\n5~2,{TWO}\n")
    place.spec(sources=[{"name": "m", "files": "raw/*.csv", "key": "id", "text": ["text"]}])
    place.build()
    erase(place, "doc_id = 'm:5'")
    place.write("raw/a.csv", f"id,text\n5,{ONE} corrected\n5~2,{TWO}\n5,{THREE}\n")
    place.build()
    assert texts(place) == {"m:5~~2": TWO}, "a tilde of the key itself is no number of a copy"


def test_an_erasure_outlasts_that_keys_are_hidden(place: Place) -> None:
    place.write("raw/a.csv", f"mail,text\nanna@firma.example,{ONE}\nbernd@firma.example,{TWO}\n")
    spec: dict[str, Any] = {"sources": [{"name": "m", "files": "raw/*.csv", "key": "mail", "text": ["text"]}]}
    place.spec(**spec, personal={"action": "keep", "kinds": ["EMAIL"]})
    place.build()
    erase(place, "mail = 'anna@firma.example'")
    place.spec(**spec, personal={"action": "mask", "kinds": ["EMAIL"]})
    place.build()
    assert list(texts(place).values()) == [TWO]
    assert "m:bernd@firma.example" not in texts(place)


def test_a_file_that_is_one_document_is_erased_by_its_name(place: Place) -> None:
    place.write("raw/a.md", ONE)
    place.write("raw/b~2.md", TWO)
    place.spec(sources=[{"name": "m", "files": "raw/*.md"}])
    place.build()
    erase(place, "doc_id = 'm:raw/a.md'")
    place.write("raw/a.md", THREE)
    place.build()
    assert texts(place) == {"m:raw/b~2.md": TWO}


@pytest.mark.parametrize("changed", [True, False])
def test_a_build_during_an_erasure_does_not_undo_it(built: Place, changed: bool) -> None:
    if changed:
        rows = [{"id": "k3", "name": PERSON, "text": "a letter that came late"}, {"id": "n", "name": "x", "text": "all new"}]
        built.rows("raw/letters.jsonl", rows)
    done = []

    def listener(step: str, *_: Any) -> None:
        if step == "write" and not done:
            done.append(erase(built, f"name = '{PERSON}'").dataset)

    run = execution.submit(built.workspace, find("data.build"), {"dataset": "set"})
    with pytest.raises(StellwerkError, match="an erasure came in between; start the command again"):
        execution.execute(built.workspace, run, listener=listener)
    assert built.version("dataset/set").ref == "dataset/set@2" == done[0]
    report = execution.resume(built.workspace, run)
    assert not {"letters:k3", "letters:k8"} & texts(built).keys()
    assert {rule.rule: rule.documents for rule in report.counts.rules} == {"erased": 1 if changed else 2}


def test_an_erasure_during_a_build_does_not_undo_it(built: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    original = erasing.write_table

    def after_a_build(*arguments: Any) -> Any:
        monkeypatch.undo()
        built.rows("raw/letters.jsonl", [{"id": "k3", "name": PERSON, "text": "more"}, {"id": "n", "name": "x", "text": "new"}])
        built.build()
        return original(*arguments)

    monkeypatch.setattr(erasing, "write_table", after_a_build)
    with pytest.raises(StellwerkError, match="a build came in between; start the command again"):
        erase(built, f"name = '{PERSON}'")
    assert built.workspace.record.rows(tables.tombstone) == []
    assert built.version("dataset/set").ref == "dataset/set@2"
    assert erase(built, f"name = '{PERSON}'").tainted == ["dataset/set@1", "dataset/set@2"]
    assert texts(built) == {"letters:n": "new"}


def test_all_versions_are_searched_and_one_without_the_columns_is_named(built: Place) -> None:
    rows = [{"id": f"k{n}", "customer": "somebody", "text": f"letter {n} about motor {n * 11}"} for n in range(3, 6)]
    built.rows("raw/letters.jsonl", rows)
    built.build()
    done = erase(built, f"name = '{PERSON}'")
    assert (done.dataset, done.erased, done.tainted) == ("dataset/set@3", 2, ["dataset/set@1", "dataset/set@2"])
    assert [line.split(":")[0] for line in done.not_searched] == ["dataset/set@2"]
    assert texts(built).keys() == {"letters:k4", "letters:k5"}, "made from the latest, which holds one of them by its key"
    with pytest.raises(UserError, match="were erased before; nothing is left to do"):
        erase(built, f"name = '{PERSON}'", "set@1")
    assert [version.number for version in built.workspace.record.versions(tables.asset.c.kind == "dataset")] == [1, 2, 3]


def test_a_name_of_another_shard_goes_from_copies_clusters_and_details(place: Place) -> None:
    text = "the machine stands still since monday and nobody knows why it does"
    place.write("raw/a.csv", f"id,text\nMüller,{text} und auch sonst nichts\nB,something else entirely about pumps\n")
    place.write("raw2/b.csv", f"id,text\nC,{text} und auch sonst nichts\nD,{text} und auch sonst nichts mehr\nE,valves\n")
    sources = [{"name": n, "files": f"{f}/*.csv", "key": "id", "text": ["text"]} for n, f in (("m", "raw"), ("n", "raw2"))]
    place.spec(sources=sources, duplicates={"exact": True, "near": None})
    place.build()
    before = place.version("dataset/set@1")
    assert len(before.content["documents"]) == 2
    assert "m:Müller" in place.read(before.content["copies"])["kept"].to_pylist()
    assert "u00fcller" in str(place.read(before.content["ledger"])["details"].to_pylist()), "escaped"
    erase(place, "doc_id = 'm:Müller'")
    after = place.version("dataset/set@2")
    copies = place.read(after.content["copies"]).to_pylist()
    assert [(row["kept"], row["cluster"]) for row in copies][1:3] == [("erased", "n:C"), ("n:D", "n:C")]
    told = str([place.read(after.content[part]).to_pydict() for part in ("copies", "ledger")]) + str(place.table().to_pydict())
    assert "ller" not in told
    assert sum(after.facts["languages"].values()) == after.facts["rows"] == place.table().num_rows
    assert sum(before.facts["languages"].values()) == before.facts["rows"] == after.facts["rows"] + 1


def test_a_tainted_version_is_exported_only_where_that_is_asked_for_and_its_record_says_so(built: Place) -> None:
    erase(built, f"name = '{PERSON}'")
    values: dict[str, Any] = {"dataset": "set@1", "folder": str(built.root / "out")}
    with pytest.raises(UserError, match=r"dataset/set@1 is tainted .* give --tainted"):
        execution.call(built.workspace, find("data.export"), values)
    assert not (built.root / "out").exists()
    assert built.cli("data", "export", "set@1", values["folder"], "--tainted") == 0
    assert "**Tainted.**" in (built.root / "out" / "README.md").read_text()
    execution.call(built.workspace, find("data.export"), {"dataset": "set", "folder": str(built.root / "clean")})
    assert "Tainted" not in (built.root / "clean" / "README.md").read_text()
    assert built.cli("data", "query", "set@1", "SELECT count(*) FROM documents") == 0


def test_an_imported_erasure_taints_and_says_that_it_is_not_applied(
    places: Any, built: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    other, file = places(), str(built.root / "record.gz")
    assert built.cli("record", "export", file) == 0
    assert other.cli("record", "import", file) == 0
    erase(built, f"name = '{PERSON}'")
    assert built.cli("record", "export", file, "--overwrite") == 0
    capsys.readouterr()
    assert other.cli("record", "import", file) == 0
    assert "1 erasures came with it that builds here cannot apply" in " ".join(capsys.readouterr().out.split())
    assert other.version("dataset/set@1").tainted == built.version("dataset/set@1").tainted is not None
    assert find("record.verify").function(workspace=other.workspace).intact
