"""Hostile files through a whole build: a sentence or a dataset, never a traceback; the ledger knows every row and file."""

from __future__ import annotations

import gzip
import json
import os
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GOOD = '{"text": "a good row of text"}\n'
FILES: dict[str, Any] = {"name": "a", "files": "raw/*"}
Rules = dict[tuple[str, str], int]


def bomb_xlsx(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<x/>")
        archive.writestr("xl/workbook.xml", "<x/>")
        with archive.open("xl/worksheets/sheet1.xml", "w") as sheet:
            for _ in range(160):
                sheet.write(bytes(1_000_000))


def bomb_gz(path: Path) -> None:
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b'{"text": "')
        for _ in range(300):
            file.write(b"0" * 1_000_000)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inner.csv").write_text("text\ninside\n")


def loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def csv(*rows: str) -> str:
    return "".join(f"{row}\n" for row in rows)


def filled(place: Any, files: dict[str, Any]) -> Any:
    for name, content in files.items():
        path = place.write(name, b"" if callable(content) else content)
        if callable(content):
            content(path)
    return place


def dropped(ledger: list[dict[str, Any]]) -> Rules:
    return dict(Counter((row["step"], row["rule"]) for row in ledger if row["decision"] == "dropped"))


HOSTILE: dict[str, tuple[dict[str, str | bytes | Callable[[Path], None]], int, Rules]] = {
    "no bytes": ({"raw/a.csv": b"", "raw/b.jsonl": GOOD}, 1, {("read", "empty_file"): 1}),
    "nul": ({"raw/a.csv": b"id,text\n1,he\x00llo\n2,other\n"}, 2, {}),
    "lone surrogates": ({"raw/a.jsonl": b'{"text":"one \\ud800"}\n{"text":"two \\udc00","\\ud800":1}\n'}, 2, {}),
    "utf-16": ({"raw/a.csv": "id,text\n1,Gr\u00f6\u00dfe\n".encode("utf-16")}, 1, {}),
    "broken quotes": ({"raw/a.csv": csv("id,text", '1,"broken', "2,ok", '3,x"y')}, 2, {("read", "broken_quote"): 1}),
    "row too long": ({"raw/a.csv": csv("id,text", "1,a,b,c", "2,ok")}, 1, {("read", "row_shape"): 1}),
    "broken json": ({"raw/a.jsonl": GOOD + "{oops\n[1]\n"}, 1, {("read", "broken_json"): 2}),
    "zip bomb": ({"raw/a.xlsx": bomb_xlsx, "raw/b.jsonl": GOOD}, 1, {("read", "too_large"): 1}),
    "pipe": ({"raw/a.csv": pipe, "raw/b.jsonl": GOOD}, 1, {("read", "unreadable_file"): 1}),
    "link to itself": ({"raw/a.csv": loop, "raw/b.jsonl": GOOD}, 1, {("read", "unreadable_file"): 1}),
    "folder named as a file": ({"raw/x.csv": folder, "raw/b.jsonl": GOOD}, 1, {}),
    "image": ({"raw/a.csv": b"\x89PNG\r\n\x1a\n" + bytes(99), "raw/b.jsonl": GOOD}, 1, {("read", "not_text"): 1}),
    "unknown ending": ({"raw/a.pages": b"x", "raw/b.jsonl": GOOD}, 1, {("read", "unknown_format"): 1}),
    "header only": ({"raw/a.csv": "id,text\n"}, 0, {}),
    "header only beside rows": ({"raw/a.csv": "id,text\n", "raw/b.jsonl": GOOD}, 1, {}),
    "only unreadable": ({"raw/a.csv": b"", "raw/b.md": b""}, 0, {("read", "empty_file"): 2}),
    "one row": ({"raw/a.csv": "text\nhello\n"}, 1, {}),
    "more columns than 2,000": (
        {"raw/a.csv": csv(",".join(f"c{i}" for i in range(2001)), ",".join("1" * 2001)), "raw/b.jsonl": GOOD},
        1,
        {("read", "too_many_columns"): 1},
    ),
    "types that change": (
        {
            "raw/a.jsonl": '{"v":1,"text":"one"}\n{"v":"x","text":"two"}\n{"v":true,"text":"three"}\n',
            "raw/b.jsonl": '{"v":1.5,"text":"four"}\n{"v":{"k":[1,{"l":2}]},"text":"five"}\n{"v":null,"text":"six"}\n',
            "raw/c.csv": "v,text\n7,seven\n",
        },
        7,
        {},
    ),
    "huge whole numbers": (
        {
            "raw/a.jsonl": '{"v":123456789012345678901234567890,"text":"one"}\n{"v":9007199254740993,"text":"two"}\n',
            "raw/b.csv": "v,text\n99999999999999999999,three\n1.5,four\n",
        },
        4,
        {},
    ),
    "dates": (
        {"raw/a.csv": csv("d,text", "2024-02-30,one", "2024-01-01,two"), "raw/b.csv": csv("d,text", "31.12.2024,three")},
        3,
        {},
    ),
    "columns of one file only": ({"raw/a.csv": "a,text\n1,one\n", "raw/b.csv": "b,text\n2,two\n"}, 2, {}),
    "names in other scripts": ({"raw/a.csv": 'Größe,наименование,text,"a""b",\n1,2,three,4,5\n'}, 1, {}),
    "formulas": ({"raw/a.csv": 'a,text\n=1+1,"=HYPERLINK(""http://x"",""y"")"\n'}, 1, {}),
    "no text at all": ({"raw/a.csv": "a,b\n1,2\n3,4\n"}, 2, {}),
    "text that is none": ({"raw/a.jsonl": '{"text":5}\n{"text":null}\n{"text":["a"]}\n'}, 3, {}),
    "names of files": (
        {"raw/a#line 3.csv": "text\none\n", "raw/b;c'd\"e.csv": "text\ntwo\n", "raw/\u202e.csv": "text\nthree\n"},
        3,
        {},
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_every_row_and_file_is_accounted_for(place: Any, name: str) -> None:
    files, kept, rules = HOSTILE[name]
    filled(place, files).spec(sources=[FILES])
    report = place.build()
    ledger = place.adds_up(report)
    assert (report.counts.kept + report.counts.changed, dropped(ledger)) == (kept, rules)


def test_a_bomb_behind_gzip_is_dropped_with_its_reason(place: Any) -> None:
    filled(place, {"raw/a.jsonl.gz": bomb_gz, "raw/b.jsonl": GOOD}).spec(sources=[FILES])
    ledger = place.adds_up(place.build())
    assert {row["origin"].partition("#")[0] for row in ledger if row["decision"] == "dropped"} == {"raw/a.jsonl.gz"}
    assert ("read", "too_large") in dropped(ledger)


@pytest.mark.slow
def test_a_line_of_ten_megabytes(place: Any) -> None:
    long = json.dumps({"text": "word " * 2_000_000}) + "\n"
    files = {"raw/a.jsonl": long, "raw/b.csv": f"id,text\n1,{'x' * 10_000_000}\n", "raw/c.jsonl": GOOD}
    filled(place, files).spec(sources=[FILES])
    report = place.build()
    assert report.counts.kept + report.counts.changed == 3
    place.adds_up(report)


@pytest.mark.parametrize("columns", [["text", *(f"c{i}" for i in range(1999))]], ids=["2,000"])
def test_many_columns(place: Any, columns: list[str]) -> None:
    place.write("raw/a.csv", csv(",".join(columns), ",".join(["some text", *map(str, range(1999))])))
    place.spec(sources=[FILES])
    place.adds_up(place.build())
    assert place.table()["c1998"].to_pylist() == [1998]


OURS = ["doc_id", "doc_id_", "source", "split", "cluster", "copy", "file", "place", "filename", "file_row_number", "__index",
        "language", "language_score", "words", "filename_1", "exact", "chars", "kind"]  # fmt: skip


@pytest.mark.parametrize("how", [{}, {"key": "id"}, {"key": "id", "load": "merge"}, {"key": "id", "load": "append"}], ids=str)
def test_no_column_is_lost_whatever_its_name(place: Any, how: dict[str, Any]) -> None:
    """Names that the product or its libraries use themselves; the values of each must come through."""
    rows = [[str(n), *(f"{name}{n}" for name in OURS), f"t{n}"] for n in (1, 2)]
    place.write("raw/a.csv", csv(*map(",".join, [["id", *OURS, "text"], *rows])))
    place.spec(sources=[{**FILES, **how}])
    place.adds_up(place.build())
    place.write("raw/b.csv", csv("id,text", "3,three"))
    place.adds_up(place.build())
    found = {value for column in place.table().columns for value in column.to_pylist()}
    assert {f"{name}{n}" for name in OURS for n in (1, 2)} <= found


KEYS: dict[str, tuple[str, list[str], int, int]] = {
    # what stands in the file, the key, rows that stay by load: replace, and by load: merge
    "twice": (csv("id,text", "1,one", "1,two", "2,three"), ["id"], 3, 2),
    "missing": (csv("id,text", ",one", ",two", "2,three"), ["id"], 3, 1),
    "like the number of a copy": (csv("id,text", "1,one", "1,two", "1~2,three"), ["id"], 3, 2),
    "with the sign between parts": (csv("id,part,text", "x|y,z,one", "x,y|z,two"), ["id", "part"], 2, 2),
    "in part missing": (csv("id,part,text", "1,,one", "1,x,two", ",x,three", ",,four"), ["id", "part"], 4, 3),
    "in other cases": (csv("id,ID,Id,text", "1,a,b,one", "1,a,c,two"), ["id"], 2, 1),
    "with line ends": (csv("id,text", '"a\nb",one', "\u202e,two"), ["id"], 2, 2),
    "as dates": (csv("id,text", "2024-01-01,one", "2024-01-02,two"), ["id"], 2, 2),
    "as numbers": (csv("id,text", "1.50,one", "1.5,two", "-0.0,three", "0.0,four"), ["id"], 4, 2),
    "no rows": ("id,text\n", ["id"], 0, 0),
}


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("load", ["replace", "merge"])
def test_keys_of_any_kind_give_ids_of_their_own(place: Any, name: str, load: str) -> None:
    content, key, replaced, merged = KEYS[name]
    place.write("raw/a.csv", content)
    place.spec(sources=[{**FILES, "key": key, "load": load}])
    report = place.build()
    ledger = place.adds_up(report)
    assert report.counts.kept == (replaced if load == "replace" else merged)
    assert len(ledger) == replaced
    assert set(dropped(ledger)) <= {("load", "superseded"), ("load", "no_key")}


TWO = csv("id,text", "1,one two", "2,two three")
JOINS: dict[str, tuple[str, Any]] = {
    "numbers and texts": ('{"id":"1","intent":"x"}\n{"id":"T-9","intent":"y"}\n', ["x", None]),
    "floats": ('{"id":1.0,"intent":"x"}\n{"id":2.5,"intent":"y"}\n', ["x", None]),
    "the last one counts": ('{"id":1,"intent":"x"}\n{"id":1,"intent":"y"}\n', ["y", None]),
    "empty": ("", None),
}


@pytest.mark.parametrize("name", JOINS)
def test_joins_of_any_kind(place: Any, name: str) -> None:
    content, wanted = JOINS[name]
    filled(place, {"raw/t.csv": TWO, "raw/l.jsonl": content})
    sources = [
        {"name": "t", "files": "raw/t.csv", "key": "id"},
        {"name": "l", "files": "raw/l.jsonl", "key": "id", "joins": "t"},
    ]
    place.spec(sources=sources)
    place.adds_up(place.build())
    table = place.table()
    assert table["doc_id"].to_pylist() == ["t:1", "t:2"]
    assert ("intent" in table.column_names) == (wanted is not None)
    assert wanted is None or table["intent"].to_pylist() == wanted


def test_joined_columns_with_names_that_are_taken(place: Any) -> None:
    filled(place, {"raw/t.csv": TWO, "raw/l.csv": csv("id,text,Text_l,origin,file,place", "1,a,b,c,d,e")})
    sources = [
        {"name": "t", "files": "raw/t.csv", "key": "id"},
        {"name": "l", "files": "raw/l.csv", "key": "id", "joins": "t"},
    ]
    place.spec(sources=sources)
    place.adds_up(place.build())
    (row,) = place.table().filter([True, False]).to_pylist()
    assert {"a", "b", "c", "d", "e", "one two"} <= set(row.values())


SENTENCES: list[tuple[dict[str, str], dict[str, Any], str]] = [
    ({"raw/a.csv": TWO}, {"select": {"wrods": {"min": 1}}}, "did you mean 'words'?"),
    ({"raw/a.csv": TWO}, {"select": {"text": {"min": 1}}}, "holds text"),
    ({"raw/a.csv": csv("d,text", "2024-01-01,x")}, {"select": {"d": {"min": 1}}}, "holds dates"),
    ({"raw/a.csv": TWO}, {"outliers": {"columns": "x"}}, "there is no column 'x'"),
    ({"raw/a.csv": TWO}, {"outliers": {"columns": "text"}}, "expected numbers"),
    ({"raw/a.csv": TWO}, {"drop_columns": "adress"}, "there is no column 'adress'"),
    ({"raw/a.csv": TWO}, {"languages": ["klingon"]}, "klingon"),
    ({"raw/a.csv": TWO}, {"sources": [{**FILES, "key": "nr"}]}, "which its rows do not have; they have: id, text"),
    ({"raw/a.csv": TWO}, {"sources": [{**FILES, "text": "body"}]}, "which its rows do not have; they have: id, text"),
    (
        {"raw/a.csv": csv("id,V", "1,2"), "raw/b.csv": csv("id,v", "1,2")},
        {"sources": [{**FILES, "key": "id"}]},
        "spell a column",
    ),
    ({"raw/a.csv": csv("id,V", "1,2"), "raw/b.csv": csv("id,v", "1,2")}, {}, "differ only in case"),
    ({}, {}, "No file matches 'raw/*'"),
    ({}, {"sources": [{"name": "a", "files": "../*.csv"}]}, "climbs out of the workspace"),
    ({"raw/a.csv": TWO}, {"sources": [{**FILES, "csv": {"encoding": "idna"}}]}, "Unknown encoding 'idna'"),
]


@pytest.mark.parametrize(("files", "fields", "words"), SENTENCES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_mistake_gives_one_sentence(
    place: Any, capsys: pytest.CaptureFixture[str], files: dict[str, str], fields: dict[str, Any], words: str
) -> None:
    filled(place, files).spec(**{"sources": [FILES], **fields})
    assert place.cli("data", "build", "set") == 2
    _, err = capsys.readouterr()
    sentence = err.splitlines()[-1]
    assert words in sentence
    assert not any("Traceback" in line or "Error:" in line for line in err.splitlines())


def test_nothing_kept_is_a_version_too(place: Any) -> None:
    filled(place, {"raw/a.csv": TWO}).spec(sources=[FILES], select={"words": {"min": 99}})
    report = place.build()
    assert dropped(place.adds_up(report)) == {("select", "words"): 2}
    assert place.table().num_rows == 0
    place.spec(sources=[FILES])
    assert place.build().counts.kept == 2


def test_outliers_of_columns_without_values(place: Any) -> None:
    filled(place, {"raw/a.csv": csv("v,w,text", ",1,one", ",1,two")}).spec(sources=[FILES], outliers={"columns": ["v", "w"]})
    assert place.build().counts.kept == 2


def test_numbers_of_two_sources_stay_exact(place: Any) -> None:
    """A float would not hold the one, so the column of both becomes text."""
    filled(place, {"raw/a.csv": csv("v,text", "5.5,one"), "raw/b.jsonl": '{"v":9007199254740993,"text":"two"}\n'})
    place.spec(sources=[{"name": "a", "files": "raw/a.csv"}, {"name": "b", "files": "raw/b.jsonl"}])
    place.adds_up(place.build())
    assert place.table()["v"].to_pylist() == ["5.5", "9007199254740993"]
