"""Reading files of each format, finding types, joining schemas, finding files."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stellwerk.errors import UserError
from stellwerk.jobs.data.files.find import find_files, shown
from stellwerk.jobs.data.files.infer import apply_types, collect, infer_types, merge
from stellwerk.jobs.data.files.reading import ReadOptions, Unreadable, read
from stellwerk.jobs.data.files.schema import cast, facts_of, settle, unify

Read = tuple[pa.Table, list[Unreadable]]


def read_all(path: Path, **options: Any) -> Read:
    """Read a file into one table and the list of what could not be read."""
    results = list(read(path, f"raw/{path.name}", ReadOptions(**options)))
    tables = [result for result in results if isinstance(result, pa.Table)]
    schema = unify([table.schema for table in tables])
    joined = pa.concat_tables([cast(table, schema) for table in tables]) if tables else pa.table({})
    if tables:
        joined = joined.replace_schema_metadata(tables[-1].schema.metadata)
    return joined, [result for result in results if isinstance(result, Unreadable)]


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# csv


def test_csv_has_origin_and_text_columns(tmp_path: Path) -> None:
    table, bad = read_all(write(tmp_path / "x.csv", "id;plz\n1;01067\n2;\n"))
    assert not bad
    assert table.to_pydict() == {
        "origin": ["raw/x.csv#line 2", "raw/x.csv#line 3"],
        "id": ["1", "2"],
        "plz": ["01067", None],
    }
    assert facts_of(table).separator == ";"


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separator_is_sniffed_despite_others_in_cells(tmp_path: Path, separator: str) -> None:
    others = "".join({",", ";", "\t", "|"} - {separator})
    rows = [["name", "text", "n"]] + [[f"a{i}", f"x{others}y", "1,5" if separator != "," else "1.5"] for i in range(9)]
    path = write(tmp_path / "x.csv", "\n".join(separator.join(row) for row in rows))
    table, bad = read_all(path)
    assert not bad
    assert facts_of(table).separator == separator
    assert table.column("text").to_pylist() == [f"x{others}y"] * 9


def test_one_column_keeps_commas(tmp_path: Path) -> None:
    table, bad = read_all(write(tmp_path / "x.csv", 'text\nHallo, Welt\n"quoted; too"\n'))
    assert not bad
    assert table.column("text").to_pylist() == ["Hallo, Welt", "quoted; too"]


def test_rows_of_wrong_shape_are_reported_and_the_rest_read(tmp_path: Path) -> None:
    table, bad = read_all(write(tmp_path / "x.csv", 'a,b\n1,2\n3\n4,5,6\n"x\ny",7\n8,9,,\n"p\nq"\n'))
    assert table.column("a").to_pylist() == ["1", "x\ny", "8"]
    assert table.column("origin").to_pylist() == [f"raw/x.csv#line {n}" for n in (2, 5, 7)]
    assert [(row.origin, row.rule) for row in bad] == [
        ("raw/x.csv#line 3", "row_shape"),
        ("raw/x.csv#line 4", "row_shape"),
        ("raw/x.csv#line 8", "row_shape"),
    ]
    assert "line 4 has 3 fields where the header has 2" in bad[1].reason


def test_broken_quotes_cost_one_line_each(tmp_path: Path) -> None:
    lines = ["a;b;c", "1;x;y", '2;"Er sagte "ja" und ging";y', "3;x;y", '4;"nie zu;y', *[f"{n};x;y" for n in range(5, 50)]]
    table, bad = read_all(write(tmp_path / "x.csv", "\n".join(lines) + "\n"))
    assert [row.origin for row in bad] == ["raw/x.csv#line 3", "raw/x.csv#line 5"]
    assert {row.rule for row in bad} == {"broken_quote"}
    assert table.column("a").to_pylist() == ["1", "3", *map(str, range(5, 50))]
    assert not any("ja" in row.reason for row in bad), "values of the file never stand in a reason"


def test_unclosed_quote_that_a_later_quote_closes(tmp_path: Path) -> None:
    lines = ["a;b;c", '1;"nie zu;y', *[f"{n};x;y" for n in range(2, 30)], '30;x";y', "31;x;y"]
    table, bad = read_all(write(tmp_path / "x.csv", "\n".join(lines)))
    assert [row.origin for row in bad] == ["raw/x.csv#line 2"]
    assert table.column("a").to_pylist() == [*map(str, range(2, 30)), "30", "31"]


def test_cell_of_several_lines_is_no_swallowed_row(tmp_path: Path) -> None:
    cell = "Guten Tag,\nPumpe; defekt; seit gestern\nbitte; schnell; kommen\nDanke; Gruß; Hans\nMüller; Maschinenbau"
    table, bad = read_all(write(tmp_path / "x.csv", f'a;b;c\n1;"{cell}";y\n2;x;y\n3;x;"{cell}"\n'))
    assert not bad
    assert table.column("a").to_pylist() == ["1", "2", "3"]
    assert table.column("b").to_pylist() == [cell, "x", "x"]


def test_duplicate_and_empty_header_names(tmp_path: Path) -> None:
    table, bad = read_all(write(tmp_path / "x.csv", "id,Name,name,,origin\n1,2,3,4,5\n"))
    assert not bad
    assert table.column_names == ["origin", "id", "Name", "name_2", "column_4", "origin_2"]
    assert len(facts_of(table).notes) == 3


def test_header_only_gives_the_columns_and_no_rows(tmp_path: Path) -> None:
    table, bad = read_all(write(tmp_path / "x.csv", "a;b\n"))
    assert not bad
    assert table.num_rows == 0
    assert table.column_names == ["origin", "a", "b"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(tmp_path: Path, end: str) -> None:
    table, bad = read_all(write(tmp_path / "x.csv", end.join(["a,b", "1,2", "3,4", ""])))
    assert not bad
    assert table.column("origin").to_pylist() == ["raw/x.csv#line 2", "raw/x.csv#line 3"]
    assert table.column("b").to_pylist() == ["2", "4"]


def test_excel_line_that_names_the_separator(tmp_path: Path) -> None:
    table, bad = read_all(write(tmp_path / "x.csv", "\ufeffsep=|\na|b\n1|2;3\n"))
    assert not bad
    assert table.to_pydict() == {"origin": ["raw/x.csv#line 3"], "a": ["1"], "b": ["2;3"]}


@pytest.mark.parametrize(
    ("codec", "found"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-32", "utf-32-le"),
        ("latin-1", "windows-1252"),
    ],
)
def test_encodings_are_found(tmp_path: Path, codec: str, found: str) -> None:
    rows = "name;wert\n" + "".join(f"Größe {n};1,5\n" for n in range(100))
    table, bad = read_all(write(tmp_path / "x.csv", rows.encode(codec)))
    assert not bad
    assert facts_of(table).encoding == found
    assert table.column("name").to_pylist() == [f"Größe {n}" for n in range(100)]
    assert bool(facts_of(table).notes) is (codec == "latin-1"), "a guess is said"


def test_mixed_encodings_are_decoded_line_by_line(tmp_path: Path) -> None:
    content = "a;b\nÄ;„Spaß“\n".encode() + "Ö;„Spaß“\n".encode("cp1252") + "Ü;€\n".encode()
    table, bad = read_all(write(tmp_path / "x.csv", content))
    assert not bad
    assert table.column("a").to_pylist() == ["Ä", "Ö", "Ü"]
    assert table.column("b").to_pylist() == ["„Spaß“", "„Spaß“", "€"]
    assert facts_of(table).encoding == "utf-8 and windows-1252"
    assert "1 line is not UTF-8 (first: line 3)" in facts_of(table).notes[0]


def test_given_encoding_that_does_not_fit_is_reported_by_line(tmp_path: Path) -> None:
    table, bad = read_all(write(tmp_path / "x.csv", b"a;b\n1;2\n\xe4;3\n4;5\n"), encoding="utf-8")
    assert [(row.origin, row.rule) for row in bad] == [("raw/x.csv#line 3", "encoding")]
    assert table.column("a").to_pylist() == ["1", "4"]


@pytest.mark.parametrize("options", [{"encoding": "klingon"}, {"separator": ";;"}, {"format": "docs"}, {"quote": "''"}])
def test_impossible_options_are_the_users_mistake(tmp_path: Path, options: dict[str, str]) -> None:
    with pytest.raises(UserError) as error:
        read_all(write(tmp_path / "x.csv", "a;b\n1;2\n"), **options)
    assert next(iter(options.values())) in str(error.value)


def test_missing_words(tmp_path: Path) -> None:
    table, _ = read_all(write(tmp_path / "x.csv", "a,b\n.,1\nx,.\n"), missing=(".",))
    assert table.to_pydict() == {
        "origin": ["raw/x.csv#line 2", "raw/x.csv#line 3"],
        "a": [None, "x"],
        "b": ["1", None],
    }


def test_records_over_block_borders(tmp_path: Path) -> None:
    cell = "Zeile\n" * 30_000
    rows = "".join(f'{n};"{cell}";z\n' for n in range(40))
    table, bad = read_all(write(tmp_path / "x.csv", "n;text;z\n" + rows))
    assert not bad
    assert table.column("n").to_pylist() == [str(n) for n in range(40)]
    assert table.column("text").to_pylist() == [cell] * 40
    assert table.column("origin")[39].as_py() == f"raw/x.csv#line {2 + 39 * 30_001}"


def test_batches_have_about_the_wanted_size(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "a,b\n" + "abcdefghij,klmnopqrst\n" * 300_000)
    tables = [table for table in read(path, "x.csv", ReadOptions(batch_bytes=2**21)) if isinstance(table, pa.Table)]
    assert len(tables) > 3
    assert max(table.nbytes for table in tables) < 2**23
    assert sum(table.num_rows for table in tables) == 300_000


CELL = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ['"', '""', "\n", "\r\n", ";", ",", 'a"b', " "]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=12), separator=st.sampled_from(",;\t|"))
def test_any_cell_text_comes_back_from_csv(tmp_path: Path, rows: list[list[str]], separator: str) -> None:
    target = io.StringIO(newline="")
    writer = csv.writer(target, delimiter=separator, quoting=csv.QUOTE_ALL)
    writer.writerow(["a", "b", "c"])
    writer.writerows(rows)
    table, bad = read_all(write(tmp_path / "x.csv", target.getvalue()), separator=separator, encoding="utf-8")
    assert not bad
    got = list(zip(*(table.column(name).to_pylist() for name in "abc"), strict=True))
    assert got == [tuple(cell or None for cell in row) for row in rows]


# json


def test_jsonl_types_and_lines(tmp_path: Path) -> None:
    lines = ['{"a": 1, "b": true, "c": "x", "d": {"k": [1, "ä"]}}', "", "{broken", '{"a": 2, "e": 1.5}', "[1]"]
    table, bad = read_all(write(tmp_path / "x.jsonl", "\n".join(lines)))
    assert table.to_pydict() == {
        "origin": ["raw/x.jsonl#line 1", "raw/x.jsonl#line 4"],
        "a": [1, 2],
        "b": [True, None],
        "c": ["x", None],
        "d": ['{"k":[1,"ä"]}', None],
        "e": [None, 1.5],
    }
    assert [(row.origin, row.rule) for row in bad] == [
        ("raw/x.jsonl#line 3", "broken_json"),
        ("raw/x.jsonl#line 5", "broken_json"),
    ]


def test_jsonl_types_that_change_become_text(tmp_path: Path) -> None:
    table, bad = read_all(write(tmp_path / "x.jsonl", '{"a":1}\n{"a":"zwei"}\n{"a":null}\n{"a":2.5}\n{"a":true}\n{"a":[1]}\n'))
    assert not bad
    assert table.column("a").to_pylist() == ["1", "zwei", None, "2.5", "true", "[1]"]


def test_json_array_and_object(tmp_path: Path) -> None:
    table, bad = read_all(write(tmp_path / "x.json", '[{"a": 1}, 5, {"a": 2}]'))
    assert table.to_pydict() == {"origin": ["raw/x.json#item 1", "raw/x.json#item 3"], "a": [1, 2]}
    assert [row.origin for row in bad] == ["raw/x.json#item 2"]
    table, bad = read_all(write(tmp_path / "y.json", '{"a": "b"}'))
    assert table.to_pydict() == {"origin": ["raw/y.json#item 1"], "a": ["b"]}
    assert not bad


def test_json_lines_and_arrays_under_each_others_ending(tmp_path: Path) -> None:
    table, bad = read_all(write(tmp_path / "x.json", '{"a":1}\n{"a":2}\n'))
    assert not bad
    assert table.column("a").to_pylist() == [1, 2]
    table, bad = read_all(write(tmp_path / "x.jsonl", '[{"a":1},\n {"a":2}]\n'))
    assert not bad
    assert table.column("a").to_pylist() == [1, 2]


def test_huge_numbers_keep_every_digit(tmp_path: Path) -> None:
    big = "123456789012345678901234567890"
    long = "9" * 5000
    table, bad = read_all(
        write(tmp_path / "x.jsonl", f'{{"a":{big},"b":1}}\n{{"a":1,"b":{{"n":[{big}]}}}}\n{{"a":1e999}}\n{{"a":{long}}}')
    )
    assert not bad
    assert table.column("a").to_pylist() == [big, "1", "1e999", long]
    assert table.column("b").to_pylist()[1] == f'{{"n":[{big}]}}'


def test_duplicate_keys_are_said(tmp_path: Path) -> None:
    table, bad = read_all(write(tmp_path / "x.jsonl", '{"a":1,"b":"\\":"}\n{"a":2,"a":3}\n'))
    assert not bad
    assert table.column("a").to_pylist() == [1, 3]
    assert any("first: line 2" in note and "twice" in note for note in facts_of(table).notes)


JSON_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.dictionaries(st.sampled_from(["k", "wert", "x"]), JSON_VALUE, min_size=1), min_size=1, max_size=8))
def test_any_json_value_comes_back_from_jsonl(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    path = write(tmp_path / "x.jsonl", "\n".join(json.dumps(row) for row in rows))
    table, bad = read_all(path)
    assert not bad
    assert table.num_rows == len(rows)
    for key in {key for row in rows for key in row}:
        for got, row in zip(table.column(key).to_pylist(), rows, strict=True):
            value = row.get(key)
            if isinstance(got, str) and not isinstance(value, str):
                got = json.loads(got)
            assert got == value


# parquet and workbooks


def test_parquet_types(tmp_path: Path) -> None:
    moment = datetime.datetime(2024, 1, 2, 3, 4, 5)
    table = pa.table(
        {
            "i": pa.array([1, None], pa.int8()),
            "f": pa.array([1.5, None], pa.float32()),
            "s": pa.array(["x", "y"]).dictionary_encode(),
            "t": pa.array([moment, None], pa.timestamp("ns")),
            "n": pa.array([{"a": [1, 2]}, None]),
            "d": pa.array([datetime.date(2024, 1, 2), None]),
            "b": pa.array([b"abc", b"\xff"]),
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")
    got, bad = read_all(tmp_path / "x.parquet")
    assert not bad
    assert got.to_pydict() == {
        "origin": ["raw/x.parquet#row 1", "raw/x.parquet#row 2"],
        "i": [1, None],
        "f": [1.5, None],
        "s": ["x", "y"],
        "t": [moment, None],
        "n": ['{"a":[1,2]}', None],
        "d": [datetime.date(2024, 1, 2), None],
        "b": ["abc", "/w=="],
    }
    assert got.schema.field("i").type == pa.int64()


def workbook(path: Path, sheets: dict[str, list[list[Any]]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_workbook_types_and_rows(tmp_path: Path) -> None:
    day = datetime.datetime(2024, 1, 2)
    rows = [[], ["id", "plz", "wert", "tag", "mixed"], [1, "01067", 1.5, day, 1], [], [2, None, 2, None, "x"]]
    table, bad = read_all(workbook(tmp_path / "x.xlsx", {"Leer": [], "Daten": rows}))
    assert not bad
    tag = table.column("tag")[0].as_py()
    assert (tag.year, tag.month, tag.day) == (2024, 1, 2)
    assert table.drop_columns(["tag"]).to_pydict() == {
        "origin": ["raw/x.xlsx#Daten row 3", "raw/x.xlsx#Daten row 5"],
        "id": [1, 2],
        "plz": ["01067", None],
        "wert": [1.5, 2.0],
        "mixed": ["1", "x"],
    }


def test_workbook_sheets(tmp_path: Path) -> None:
    path = workbook(tmp_path / "x.xlsx", {"A": [["k"], [1]], "B": [["k"], [2]], "C": [["other"], [3]]})
    table, bad = read_all(path)
    assert table.column("k").to_pylist() == [1, 2]
    assert [(row.origin, row.rule) for row in bad] == [("raw/x.xlsx#C", "other_sheet")]
    table, bad = read_all(path, sheet="C")
    assert table.column("other").to_pylist() == [3]
    assert not bad
    _, bad = read_all(path, sheet="D")
    assert bad[0].rule == "missing_sheet"
    assert "A, B, C" in bad[0].reason


# documents


def test_markdown_titles(tmp_path: Path) -> None:
    text = '---\ntitle: "Die Pumpe"\n---\n# Anders\n\nText\n'
    table, _ = read_all(write(tmp_path / "x.md", text))
    assert table.to_pydict() == {"origin": ["raw/x.md"], "title": ["Die Pumpe"], "text": [text]}
    table, _ = read_all(write(tmp_path / "y.md", "```\n# comment\n```\n\n## Wartung ##\nText"))
    assert table.column("title").to_pylist() == ["Wartung"]
    table, _ = read_all(write(tmp_path / "u.md", "Text\r\n\r\nDie Presse\r\n==========\r\n# Anders"))
    assert table.column("title").to_pylist() == ["Die Presse"]
    table, _ = read_all(write(tmp_path / "z.txt", "# nur Text"))
    assert table.column("title").to_pylist() == [None]


PAGE = """<html><head><title>Wartung der Presse</title><script>var geheim = 1;</script></head><body>
<nav><a href="/">Start</a></nav>
<main><article><h1>Wartung</h1><p>{}</p><h2>Teile</h2><table><tr><th>Teil</th><th>Zahl</th></tr><tr><td>Ventil</td><td>4</td></tr>
</table></article></main><footer>Impressum</footer></body></html>"""


def test_page_gives_its_main_text(tmp_path: Path) -> None:
    body = "Die Presse wird alle 500 Stunden gewartet, und das Öl wird dabei gewechselt. " * 5
    table, bad = read_all(write(tmp_path / "x.html", PAGE.format(body)))
    assert not bad
    assert table.column("title").to_pylist() == ["Wartung der Presse"]
    text = table.column("text")[0].as_py()
    assert "500 Stunden" in text
    assert "Ventil" in text and "| " in text, "tables are kept as Markdown"
    assert "## Teile" in text, "headings are kept as Markdown"
    assert "geheim" not in text


def test_page_without_main_text_gives_all_text(tmp_path: Path) -> None:
    table, bad = read_all(write(tmp_path / "x.html", "<html><body><script>x()</script><ul><li>a</li></ul></body></html>"))
    assert not bad
    assert "a" in table.column("text")[0].as_py()
    assert "x()" not in table.column("text")[0].as_py()


def test_page_says_its_encoding(tmp_path: Path) -> None:
    page = '<html><head><meta charset="iso-8859-2"></head><body><p>Łódź leży w Polsce</p></body></html>'
    table, _ = read_all(write(tmp_path / "x.html", page.encode("iso-8859-2")))
    assert "Łódź" in table.column("text")[0].as_py()


# compression


@pytest.mark.parametrize(
    ("ending", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress), (".zst", zstandard.ZstdCompressor().compress)]
)
def test_compressed_files(tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]) -> None:
    parts = [b"a,b\n" + b"1,2\n" * 100_000, b"3,4\n" * 10]
    table, bad = read_all(write(tmp_path / f"x.csv{ending}", b"".join(map(pack, parts))))
    assert not bad
    assert table.num_rows == 100_010, "a file may hold several compressed parts"
    workbook(tmp_path / "w.xlsx", {"A": [["k"], [1]]})
    table, bad = read_all(write(tmp_path / f"w.xlsx{ending}", pack((tmp_path / "w.xlsx").read_bytes())))
    assert not bad
    assert table.column("k").to_pylist() == [1]


# types


def types_of(decimal: str | None = None, **columns: list[str | None]) -> dict[str, str]:
    length = max(map(len, columns.values()))
    table = pa.table(
        {name: pa.array([*cells, *[None] * (length - len(cells))], pa.string()) for name, cells in columns.items()}
    )
    types = infer_types(collect([table]), decimal)
    apply_types(table, types)
    return types


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        (["1", "-20", None], "int64"),
        (["01067", "80331"], "string"),
        (["+49301234567"], "string"),
        (["1234567890123456"], "string"),
        (["1.5", "2", "-0.25"], "float64"),
        (["0.10426738298752193"], "float64"),
        (["1e5"], "string"),
        (["1.5e-7"], "float64"),
        (["1,5", "2"], "float64_comma"),
        (["1.234,50"], "float64_comma"),
        (["1,234"], "string"),
        (["1", "NA", "-", "n/a"], "int64"),
        (["a", "NA"], "string"),
        (["NA", "-"], "string"),
        (["true", "FALSE"], "bool"),
        (["true", "NA"], "string"),
        (["ja", "nein"], "string"),
        (["2024-02-29", "-"], "date32"),
        (["2023-02-29"], "string"),
        (["1.2.2024", "31.12.2024"], "date32_german"),
        (["31.02.2024"], "string"),
        (["2024-01-02 03:04", "2024-01-02T03:04:05.5"], "timestamp"),
        (["2024-01-02T03:04:05Z", "2024-01-02T03:04:05+02:00"], "timestamp_utc"),
        (["02.01.2024 03:04"], "timestamp_german"),
        (["2024-01-02", "1"], "string"),
        ([None], "string"),
    ],
)
def test_types_of_columns(cells: list[str | None], wanted: str) -> None:
    assert types_of(a=cells)["a"] == wanted


def test_thousands_are_settled_by_the_option_or_another_column() -> None:
    assert types_of(a=["1,234"], decimal=",") == {"a": "float64_comma"}
    assert types_of(a=["1,234"], b=["2,5"]) == {"a": "float64_comma", "b": "float64_comma"}
    assert types_of(a=["1.234"], b=["2.5"]) == {"a": "float64", "b": "float64"}
    assert types_of(a=["1.234"], b=["2,5"]) == {"a": "float64_comma", "b": "float64_comma"}


def test_types_are_applied() -> None:
    table = pa.table({"d": ["1.2.2024", "-"], "x": ["1.234,5", " 7 "], "b": ["wahr", "FALSE"]})
    typed = apply_types(table, infer_types(collect([table])))
    assert typed.to_pydict() == {"d": [datetime.date(2024, 2, 1), None], "x": [1234.5, 7.0], "b": [True, False]}


def test_types_hold_over_all_batches_and_workers() -> None:
    first, second = pa.table({"a": ["1"] * 5000, "b": ["1"] * 5000}), pa.table({"a": ["x"], "b": ["2.5"]})
    assert infer_types(collect([first, second])) == {"a": "string", "b": "float64"}
    assert infer_types(merge(collect([first]), collect([second]))) == {"a": "string", "b": "float64"}


# one schema


def test_unify_and_cast() -> None:
    tables = [
        pa.table({"a": [1], "b": [1], "c": pa.nulls(1), "d": [True], "w": [1.5]}),
        pa.table({"b": [2.5], "a": [2], "c": ["x"], "d": ["y"], "e": pa.nulls(1), "w": [2.0]}),
    ]
    schema = settle(unify([table.schema for table in tables]))
    joined = pa.concat_tables([cast(table, schema) for table in tables])
    assert joined.to_pydict() == {
        "a": [1, 2],
        "b": [1.0, 2.5],
        "c": [None, "x"],
        "d": ["true", "y"],
        "w": [1.5, 2.0],
        "e": [None, None],
    }


def test_whole_numbers_that_a_float_cannot_hold_become_text(tmp_path: Path) -> None:
    first, _ = read_all(write(tmp_path / "x.jsonl", '{"a":9007199254740993}'))
    second, _ = read_all(write(tmp_path / "y.jsonl", '{"a":0.5}'))
    schema = unify([first.schema, second.schema])
    assert [cast(table, schema).column("a")[0].as_py() for table in (first, second)] == ["9007199254740993", "0.5"]


# finding files


def test_find_files(tmp_path: Path) -> None:
    for name in ("raw/b.csv", "raw/a.csv", "raw/deep/c.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [shown(path, tmp_path) for path in find_files(tmp_path, "raw/*.csv")] == ["raw/a.csv", "raw/b.csv"]
    assert [shown(path, tmp_path) for path in find_files(tmp_path, "raw/**/*.csv")] == [
        "raw/a.csv",
        "raw/b.csv",
        "raw/deep/c.csv",
    ]
    absolute = str(tmp_path / "raw" / "a.csv")
    assert find_files(tmp_path / "elsewhere", absolute) == [tmp_path / "raw" / "a.csv"]


def test_find_files_says_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "tickets.json").touch()
    with pytest.raises(UserError, match=r"'raw/old/\*\.csv'.*/raw, which holds tickets\.json"):
        find_files(tmp_path, "raw/old/*.csv")


def test_find_files_stays_inside(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    write(tmp_path / "secret.csv", "a\n1\n")
    (root / "link.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(UserError, match="climbs out"):
        find_files(root, "../*.csv")
    with pytest.raises(UserError, match="link out of the workspace"):
        find_files(root, "*.csv")


# real data


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("eips_en.jsonl.xz", 504),
        ("gesetze_de.jsonl.xz", 1095),
        ("mdn_de.jsonl.xz", 1414),
        ("peps_en.jsonl.xz", 330),
        ("planted_duplicates.jsonl.xz", 200),
        ("powershell_versions_en.jsonl.xz", 574),
        ("langid_lines_de_en.jsonl.gz", 3000),
        ("rki_grippeweb_2024-04-11.tsv.xz", 16104),
        ("rki_grippeweb_2025-06-19.tsv.xz", 17592),
        ("rki_grippeweb_2026-08-20.tsv.xz", 19056),
        ("rki_amelag_aggregiert_2024-03-13.tsv.xz", 645),
        ("rki_amelag_aggregiert_2026-07-22.tsv.xz", 1158),
    ],
)
def test_real_files_have_the_right_counts(shared_data: Path, name: str, rows: int) -> None:
    table, bad = read_all(shared_data / "text" / name)
    assert not bad
    assert table.num_rows == rows
    assert not facts_of(table).notes


@pytest.mark.shared
def test_types_of_real_tables(shared_data: Path) -> None:
    table, _ = read_all(shared_data / "text" / "rki_amelag_aggregiert_2026-07-22.tsv.xz")
    types = infer_types(collect([table]))
    assert types["datum"] == "date32"
    assert types["typ"] == "string"
    assert types["anteil_bev"] == types["vorhersage"] == "float64"
    typed = apply_types(table, types)
    assert typed.num_rows == table.num_rows
    assert typed.column("datum")[0].as_py() == datetime.date(2023, 10, 18)


def test_a_page_in_the_wrong_encoding_keeps_what_its_repair_needs(tmp_path: Path) -> None:
    good = "Die regelmäßige Pflege des Ölfilters verlängert die Lebensdauer der Anlage um einige Jahre."
    page = f"<html><head><title>Ölfilter</title></head><body><article><p>{good}</p></article></body></html>"
    path = tmp_path / "page.html"
    path.write_text(page.encode().decode("latin-1"), encoding="utf-8")
    table = next(iter(read(path, "page.html", ReadOptions())))
    assert isinstance(table, pa.Table)
    assert table["text"][0].as_py().strip().encode("latin-1").decode() == good
    assert table["title"][0].as_py().encode("latin-1").decode() == "Ölfilter"


def test_what_the_workspace_keeps_for_itself_is_no_source(tmp_path: Path) -> None:
    (tmp_path / ".stellwerk").mkdir()
    (tmp_path / ".stellwerk" / "signing-key").write_text("secret")
    for pattern in (".stellwerk/signing-key", str(tmp_path / ".stellwerk" / "*"), ".stellwerk/**"):
        with pytest.raises(UserError, match="the keys and the record of the workspace; they are no source"):
            find_files(tmp_path, pattern)
