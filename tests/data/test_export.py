"""Exports are complete, exact, repeatable, and readable by the tools that they are for."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path

import deltalake
import pyarrow as pa
import pyarrow.dataset as pds
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stellwerk.errors import UserError
from stellwerk.jobs.data.card import (
    UNKNOWN,
    Counts,
    DatasetFacts,
    FileFact,
    PersonalData,
    PreparationStep,
    SourceFact,
    TestSummary,
    front_matter,
    to_markdown,
)
from stellwerk.jobs.data.croissant import field_ids
from stellwerk.jobs.data.export import ChatFields, ExportResult, Format, export

SPLITS = ["train", "train", "train", "validation", "test", "train"]


def tickets() -> pa.Table:
    return pa.table(
        {
            "doc_id": [f"tickets:{n}" for n in range(6)],
            "text": pa.array(["Größe?", "Rechnung fehlt", "a|b\n<b>", "Maschine steht", "x", " "], pa.large_string()),
            "reply": ["90 cm", None, "", "Techniker kommt", "  ", "ja"],
            "tone": ["polite", None, "", "polite", "polite", "polite"],
            "hours": [1.5, None, 3.0, 4.0, 5.0, float("nan")],
            "count": pa.array([1, None, 3, 4, 5, 6], pa.int64()),
            "open": [True, None, False, True, True, False],
            "day": pa.array([date(2026, 1, n + 1) for n in range(5)] + [None], pa.date32()),
            "at": pa.array([datetime(2026, 1, 1, 12, n) for n in range(5)] + [None], pa.timestamp("us")),
            "Kunden Nr.": ["1", "2", "3", "4", "5", "6"],
            "split": SPLITS,
        }
    )


def facts(**changes: object) -> DatasetFacts:
    values: dict[str, object] = {
        "name": "tickets",
        "version": 3,
        "digest": "ab" * 32,
        "description": "Tickets of the support desk",
        "purpose": "train the intent classifier",
        "owner": "support-data@mueller.example",
        "licence": "CC-BY-4.0",
        "legal_basis": "GDPR Art. 6(1)(f)",
        "languages": ("de", "en"),
        "sources": (
            SourceFact(
                name="tickets",
                origin="export of the help desk",
                retrieved=date(2026, 11, 1),
                files=(FileFact(path="raw/a.csv", sha256="cd" * 32, bytes=1234, rows=8),),
                rows=8,
                columns={"subject": "string"},
            ),
        ),
        "preparation": (PreparationStep(step="normalise", what="repaired mojibake", parameters={"unicode": "NFC"}),),
        "counts": Counts(
            read=8, kept=4, changed=2, dropped=2, rules={"exact": 2}, splits={"train": 4, "validation": 1, "test": 1}
        ),
        "personal": PersonalData(searched=("EMAIL",), not_searched=("names",), counts={"EMAIL": 2}, action="mask"),
        "tests": TestSummary(passed=3, warned=1, failures=("column intent: 2 of 6 values are not in the list",)),
        "known_gaps": ("no phone calls",),
        "created": datetime(2026, 11, 2, tzinfo=UTC),
        "parents": ("dataset/tickets@2",),
    }
    return DatasetFacts.model_validate(values | changes)


def check_files(result: ExportResult) -> None:
    folder = Path(result.folder)
    on_disk = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {"export.json"}
    assert {file.path for file in result.files} == on_disk
    for file in result.files:
        content = (folder / file.path).read_bytes()
        assert (file.sha256, file.bytes) == (hashlib.sha256(content).hexdigest(), len(content))
    assert result.rows == sum(file.rows or 0 for file in result.files) == sum(result.splits.values())


def test_parquet_holds_every_row_once_and_in_order(tmp_path: Path) -> None:
    result = export(tickets(), facts(), tmp_path / "out", "parquet")
    check_files(result)
    assert result.splits == {"train": 4, "validation": 1, "test": 1}
    for split in result.splits:
        path = tmp_path / "out" / f"{split}.parquet"
        wanted = tickets().filter(pds.field("split") == split)
        assert pq.read_table(path).schema.equals(wanted.schema)
        assert repr(pq.read_table(path).to_pylist()) == repr(wanted.to_pylist())  # repr: NaN equals NaN
        assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"


def test_delta_table_of_several_files_keeps_its_order(tmp_path: Path) -> None:
    for part in range(4):
        rows = pa.table({"doc_id": [f"d{part}-{n}" for n in range(5)], "text": ["t"] * 5})
        deltalake.write_deltalake(tmp_path / "table", rows, mode="append")
    result = export(tmp_path / "table", facts(), tmp_path / "out", "jsonl")
    lines = (tmp_path / "out" / "data.jsonl").read_text().splitlines()
    assert [json.loads(line)["doc_id"] for line in lines] == [f"d{part}-{n}" for part in range(4) for n in range(5)]
    assert result.rows == 20


def test_delta_table_with_partitions_and_a_later_column(tmp_path: Path) -> None:
    old = pa.table({"text": ["a", "b", "c"], "split": ["train", "test", "train"]})
    deltalake.write_deltalake(tmp_path / "table", old, partition_by=["split"])
    new = pa.table({"text": ["d"], "split": ["train"], "hours": [2.5]})
    deltalake.write_deltalake(tmp_path / "table", new, mode="append", schema_mode="merge")
    result = export(tmp_path / "table", facts(), tmp_path / "out", "jsonl")
    assert result.splits == {"train": 3, "test": 1}
    rows = [json.loads(line) for s in result.splits for line in (tmp_path / f"out/{s}.jsonl").read_text().splitlines()]
    assert sorted((r["text"], r["split"], r["hours"]) for r in rows) == [
        ("a", "train", None),
        ("b", "test", None),
        ("c", "train", None),
        ("d", "train", 2.5),
    ]


def test_delta_table_without_rows_of_deleted_documents(tmp_path: Path) -> None:
    deltalake.write_deltalake(tmp_path / "table", pa.table({"text": ["a", "b", "c"]}))
    deltalake.DeltaTable(tmp_path / "table").delete("text = 'b'")
    export(tmp_path / "table", facts(), tmp_path / "out", "jsonl")
    assert (tmp_path / "out" / "data.jsonl").read_text() == '{"text":"a"}\n{"text":"c"}\n'


def test_jsonl_values(tmp_path: Path) -> None:
    export(tickets(), facts(), tmp_path / "out", "jsonl")
    first, second, third, last = map(json.loads, (tmp_path / "out" / "train.jsonl").read_text("utf-8").splitlines())
    assert first["text"] == "Größe?"
    assert first["day"] == "2026-01-01"
    assert first["at"].startswith("2026-01-01T12:00:00")
    assert second["count"] is None
    assert third["text"] == "a|b\n<b>"
    assert last["hours"] is None


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=20)),
            st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
            st.sampled_from(["train", "test", None]),
        ),
        max_size=40,
    )
)
def test_jsonl_gz_round_trip(rows: list[tuple[str | None, int | None, str | None]]) -> None:
    table = pa.table(
        {
            "text": pa.array([row[0] for row in rows], pa.large_string()),
            "n": pa.array([row[1] for row in rows], pa.int64()),
            "split": pa.array([row[2] for row in rows], pa.string()),
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        result = export(table, facts(), out, "jsonl", compress=True)
        check_files(result)
        for split in result.splits:
            with gzip.open(out / f"{split}.jsonl.gz", "rt", encoding="utf-8", newline="\n") as file:
                read = [json.loads(line) for line in file]
            wanted = None if split == "data" else split
            assert read == [r for r in table.to_pylist() if r["split"] == wanted]
        assert result.rows == len(rows)


def test_chat_counts_what_it_skips(tmp_path: Path) -> None:
    result = export(tickets(), facts(), tmp_path / "out", "chat", ChatFields(system="tone"))
    check_files(result)
    lines = [
        json.loads(line) for s in ("train", "validation") for line in (tmp_path / "out" / f"{s}.jsonl").read_text().splitlines()
    ]
    assert lines == [
        {
            "messages": [
                {"role": "system", "content": "polite"},
                {"role": "user", "content": "Größe?"},
                {"role": "assistant", "content": "90 cm"},
            ]
        },
        {
            "messages": [
                {"role": "system", "content": "polite"},
                {"role": "user", "content": "Maschine steht"},
                {"role": "assistant", "content": "Techniker kommt"},
            ]
        },
    ]
    assert result.skipped == {"no reply": 3, "no text": 1}
    assert result.rows + sum(result.skipped.values()) == tickets().num_rows


def test_chat_without_system_value_has_two_turns(tmp_path: Path) -> None:
    table = pa.table({"q": ["a"], "a": [7], "s": pa.array([None], pa.string())})
    export(table, facts(), tmp_path / "out", "chat", ChatFields(user="q", assistant="a", system="s"))
    line = json.loads((tmp_path / "out" / "data.jsonl").read_text())
    assert [(m["role"], m["content"]) for m in line["messages"]] == [("user", "a"), ("assistant", "7")]


def test_chat_column_that_is_absent(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no column answer for the assistant turn; name one of: doc_id, text"):
        export(tickets(), facts(), tmp_path / "out", "chat", ChatFields(assistant="answer"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("CC-BY-4.0", {"license": "cc-by-4.0"}),
        ("proprietary", {"license": "other", "license_name": "proprietary"}),
        (None, {"license": "unknown"}),
    ],
)
def test_huggingface_layout(tmp_path: Path, licence: str | None, expected: dict[str, str]) -> None:
    result = export(tickets(), facts(licence=licence), tmp_path / "out", "huggingface")
    check_files(result)
    _, head, body = (tmp_path / "out" / "README.md").read_text("utf-8").split("---\n", 2)
    meta = yaml.safe_load(head)
    assert meta.items() >= expected.items()
    assert meta["language"] == ["de", "en"]
    assert meta["size_categories"] == ["n<1K"]
    for entry in meta["configs"][0]["data_files"]:
        (path,) = (tmp_path / "out").glob(entry["path"])
        assert path.name == f"{entry['split']}-00000-of-00001.parquet"
        assert pq.read_metadata(path).num_rows == result.splits[entry["split"]]
    assert body.strip().startswith("# tickets, version 3")


def test_huggingface_calls_an_unsplit_dataset_train(tmp_path: Path) -> None:
    result = export(tickets().drop(["split"]), facts(), tmp_path / "out", "huggingface")
    assert result.splits == {"train": 6}


@pytest.mark.parametrize(("rows", "name"), [(999, "n<1K"), (1000, "1K<n<10K"), (20_000, "10K<n<100K"), (10**12, "n>1T")])
def test_size_categories(rows: int, name: str) -> None:
    assert yaml.safe_load(front_matter(facts(), {"train": rows}).split("---")[1])["size_categories"] == [name]


def test_croissant_is_valid_and_its_records_load_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a socket was opened"))
    result = export(tickets(), facts(), tmp_path / "out", "croissant")
    check_files(result)
    dataset = mlcroissant.Dataset(str(tmp_path / "out" / "croissant.json"))
    issues = dataset.metadata.ctx.issues
    assert (issues.errors, issues.warnings) == (set(), set())
    columns = tickets().schema.names
    for split, rows in result.splits.items():
        records = list(dataset.records(split))
        assert len(records) == rows
        assert len(records[0]) == len(columns)
    first = next(iter(dataset.records("train")))
    assert first["train/text"].decode("utf-8") == "Größe?"
    assert first["train/count"] == 1
    assert first["train/Kunden_Nr."] == b"1"
    assert [r["splits/name"] for r in dataset.records("splits")] == ["train", "validation", "test"]


def test_croissant_says_where_the_data_are_from(tmp_path: Path) -> None:
    result = export(tickets(), facts(), tmp_path / "out", "croissant")
    document = json.loads((tmp_path / "out" / "croissant.json").read_text())
    digests = {file.path: file.sha256 for file in result.files}
    assert document["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    assert {f["contentUrl"]: f["sha256"] for f in document["distribution"]} == {
        name: digests[name] for name in ("train.parquet", "validation.parquet", "test.parquet")
    }
    assert document["license"] == "https://spdx.org/licenses/CC-BY-4.0.html"
    assert document["rai:personalSensitiveInformation"] == ["EMAIL: 2 findings", "action: mask", "not searched: names"]
    assert document["rai:dataLimitations"] == ["no phone calls"]
    assert [e["@id"] for e in document["prov:wasDerivedFrom"]] == [
        "urn:stellwerk:dataset:tickets@2",
        "urn:stellwerk:source:1",
    ]
    assert document["prov:wasDerivedFrom"][1]["prov:value"] == [f"sha256:{'cd' * 32} raw/a.csv"]
    assert [a["prov:label"] for a in document["prov:wasGeneratedBy"]] == ["normalise"]


def test_croissant_with_few_facts_is_still_valid(tmp_path: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    bare = DatasetFacts(name="x", version=1, digest="00", counts=Counts(read=1, kept=1, changed=0, dropped=0))
    export(pa.table({"a": [1]}), bare, tmp_path / "out", "croissant")
    dataset = mlcroissant.Dataset(str(tmp_path / "out" / "croissant.json"))
    assert dataset.metadata.ctx.issues.errors == set()
    assert list(dataset.records("data")) == [{"data/a": 1}]


@given(st.lists(st.text(max_size=6), unique=True, max_size=20))
def test_field_ids_are_unique_and_safe(names: list[str]) -> None:
    ids = field_ids(names)
    assert list(ids) == names
    assert len(set(ids.values())) == len(names)
    assert all(ch.isascii() and (ch.isalnum() or ch in "_.-") for value in ids.values() for ch in value)


@pytest.mark.parametrize("format_", ["parquet", "jsonl", "chat", "huggingface", "croissant"])
def test_same_table_gives_the_same_bytes(tmp_path: Path, format_: Format) -> None:
    one = export(tickets(), facts(), tmp_path / "one", format_, compress=True)
    two = export(pds.dataset(tickets()), facts(), tmp_path / "two", format_, compress=True)
    assert one.files == two.files
    assert (tmp_path / "one/export.json").read_bytes() == (tmp_path / "two/export.json").read_bytes()


def test_refuses_a_folder_in_use(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    with pytest.raises(UserError, match="not empty"):
        export(tickets(), facts(), tmp_path / "out", "jsonl")
    with pytest.raises(UserError, match="no export wrote this folder"):
        export(tickets(), facts(), tmp_path / "out", "jsonl", overwrite=True)
    assert [p.name for p in tmp_path.rglob("*")] == ["out", "mine.txt"]


def test_overwrite_replaces_an_earlier_export_whole(tmp_path: Path) -> None:
    export(tickets(), facts(), tmp_path / "out", "jsonl")
    export(tickets(), facts(), tmp_path / "out", "parquet", overwrite=True)
    assert not list((tmp_path / "out").glob("*.jsonl"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    export(tickets(), facts(), tmp_path / "out", "jsonl")
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    bad = tickets().set_column(10, "split", pa.array([*SPLITS[:-1], "../../etc"]))
    with pytest.raises(UserError, match=r"the split '\.\./\.\./etc' cannot be the name of a file"):
        export(bad, facts(), tmp_path / "out", "parquet", overwrite=True)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before


def test_too_many_splits(tmp_path: Path) -> None:
    table = pa.table({"text": ["x"] * 40, "split": [f"s{n}" for n in range(40)]})
    with pytest.raises(UserError, match="more than 16 splits"):
        export(table, facts(), tmp_path / "out", "parquet")


def test_not_a_table(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not the folder of a dataset table"):
        export(tmp_path, facts(), tmp_path / "out", "parquet")


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    export(tickets(), facts(), tmp_path / "out", "jsonl")
    assert (tmp_path / "out").stat().st_mode & 0o077 == 0


def test_memory_does_not_grow_with_the_table(tmp_path: Path) -> None:
    """A table whose only row group decodes to 400 MB is exported with a fraction of that in Arrow buffers."""
    script = f"""
import sys
import numpy as np, pyarrow as pa, pyarrow.dataset as pds, pyarrow.parquet as pq
from stellwerk.jobs.data.card import Counts, DatasetFacts
from stellwerk.jobs.data.export import export
if sys.argv[1] == "make":
    letters = np.random.default_rng(0).integers(97, 123, 4_000_000, dtype=np.uint8).tobytes().decode()
    texts = [letters[n * 37 : n * 37 + 4000] for n in range(100_000)]
    pq.write_table(pa.table({{"text": texts}}), {str(tmp_path / "big.parquet")!r}, row_group_size=100_000)
else:
    facts = DatasetFacts(name="x", version=1, digest="0", counts=Counts(read=0, kept=0, changed=0, dropped=0))
    result = export(pds.dataset({str(tmp_path / "big.parquet")!r}), facts, {str(tmp_path / "out")!r}, "parquet")
    print(result.rows, pa.default_memory_pool().max_memory() // 2**20)
"""
    for step in ("make", "export"):
        done = subprocess.run([sys.executable, "-c", script, step], capture_output=True, text=True, check=True)
    rows, peak = map(int, done.stdout.split())
    assert rows == 100_000
    assert peak < 200


def test_card_covers_the_topics_and_hides_no_gap() -> None:
    bare = DatasetFacts(name="x", version=1, digest="00", counts=Counts(read=0, kept=0, changed=0, dropped=0))
    text = to_markdown(bare)
    for topic in (
        "design choices",
        "Collection and origin",
        "Preparation operations",
        "Assumptions",
        "Availability, quantity and suitability",
        "Examination of bias",
        "Measures against bias",
        "Gaps",
    ):
        assert topic in text
    assert text.count(UNKNOWN) >= 12
    assert "compl" not in text.lower()


def test_card_text_brings_no_markup() -> None:
    evil = 'a | b\n# head <script>alert("x")</script> [link](javascript:x) `code`'
    text = to_markdown(facts(description=evil, known_gaps=(evil,), owner=evil))
    assert "<script" not in text
    assert "[link](" not in text
    assert "\n# head" not in text
    rows = [line for line in text.splitlines() if line.startswith("| Owner")]
    assert rows[0].replace("\\|", "").count("|") == 3


@pytest.mark.parametrize(
    "changes", [{"read": 9}, {"rules": {"exact": 1}}, {"splits": {"train": 5}}], ids=["read", "rules", "splits"]
)
def test_counts_must_add_up(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=r"add up|documents"):
        Counts.model_validate({"read": 8, "kept": 4, "changed": 2, "dropped": 2} | changes)
