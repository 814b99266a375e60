"""A corpus of hostile files: no traceback, no hang, no memory eaten, and no row lost without a word."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import struct
import threading
import time
import tracemalloc
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stellwerk.jobs.data.files.reading import ReadOptions, Unreadable, format_of, read

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4


def outcome(path: Path, **options: Any) -> tuple[list[dict[str, Any]], list[Unreadable]]:
    """Read a file into rows and what could not be read."""
    rows: list[dict[str, Any]] = []
    bad: list[Unreadable] = []
    for result in read(path, path.name, ReadOptions(**options)):
        if isinstance(result, Unreadable):
            bad.append(result)
        else:
            rows += result.to_pylist()
    return rows, bad


def only_problem(path: Path, **options: Any) -> Unreadable:
    """Read a file that gives no row and exactly one problem."""
    rows, bad = outcome(path, **options)
    assert not rows
    assert len(bad) == 1, bad
    assert bad[0].origin == path.name
    assert bad[0].reason.startswith(path.name)
    return bad[0]


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


FORMATS = ["csv", "json", "jsonl", "parquet", "xlsx", "md", "txt", "html", "csv.gz", "jsonl.xz", "csv.zst"]


@pytest.mark.parametrize("ending", FORMATS)
def test_no_bytes(tmp_path: Path, ending: str) -> None:
    assert only_problem(write(tmp_path / f"x.{ending}", b"")).rule == "empty_file"


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "md", "txt", "html"])
@pytest.mark.parametrize("content", [b"\n", b"\xef\xbb\xbf", b"  \r\n \n", b"\xff\xfe"])
def test_blanks_only(tmp_path: Path, ending: str, content: bytes) -> None:
    assert only_problem(write(tmp_path / f"x.{ending}", content)).rule in {"empty_file", "broken_json"}


@pytest.mark.parametrize("ending", FORMATS)
def test_image_under_another_name(tmp_path: Path, ending: str) -> None:
    problem = only_problem(write(tmp_path / f"x.{ending}", PNG))
    assert problem.rule in {"not_text", "corrupt_file"}
    if ending in {"csv", "md"}:
        assert "a PNG image" in problem.reason


@pytest.mark.parametrize("ending", FORMATS)
def test_random_bytes(tmp_path: Path, ending: str) -> None:
    import random

    problem = only_problem(write(tmp_path / f"x.{ending}", random.Random(7).randbytes(50_000)))
    assert problem.rule in {"not_text", "corrupt_file"}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200), ending=st.sampled_from(FORMATS))
def test_any_bytes_give_an_answer(tmp_path: Path, content: bytes, ending: str) -> None:
    rows, bad = outcome(write(tmp_path / f"x.{ending}", content))
    assert rows or bad or ending in {"csv", "csv.gz", "csv.zst"}  # one line of csv is a header without rows


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.sampled_from('a1";,\n\r\t "'), max_size=60))
def test_no_csv_line_is_lost(tmp_path: Path, text: str) -> None:
    """Every letter of the body comes back in a row, or its line is named."""
    marked = "".join(chr(0x4E00 + index) if character == "a" else character for index, character in enumerate(text))
    path = write(tmp_path / "x.csv", ("h;k\n" + marked).encode())
    rows, bad = outcome(path, separator=";")
    got = "".join(value for row in rows for value in row.values() if value)
    lost = [character for character in marked if ord(character) >= 0x4E00 and character not in got]
    if lost:
        assert bad
        named = [int(row.origin.rpartition(" ")[2]) for row in bad]
        lines = io.StringIO("h;k\n" + marked, newline="").readlines()
        for character in lost:
            line = next(number for number, content in enumerate(lines, 1) if character in content)
            assert any(number <= line for number in named)


def test_nul_bytes_are_kept(tmp_path: Path) -> None:
    rows, bad = outcome(write(tmp_path / "x.csv", b"a,b\n1,x\x00y\n2,z\n"))
    assert not bad
    assert [row["b"] for row in rows] == ["x\0y", "z"]
    rows, bad = outcome(write(tmp_path / "x.jsonl", b'{"a":"x\\u0000y"}\n{"a":"\x00"}\n'))
    assert [row["a"] for row in rows] == ["x\0y"]
    assert [row.origin for row in bad] == ["x.jsonl#line 2"]


def test_zero_filled_file(tmp_path: Path) -> None:
    assert only_problem(write(tmp_path / "x.csv", bytes(100_000))).rule == "not_text"


def test_lone_surrogates(tmp_path: Path) -> None:
    content = b'{"a":"x\\ud800y","b":{"\\udfff":["\\ud83d"]}}\n{"a":"\\ud83d\\ude00"}\n'
    for ending, data in (("jsonl", content), ("json", b"[" + content.replace(b"}\n{", b"},{") + b"]")):
        rows, bad = outcome(write(tmp_path / f"x.{ending}", data))
        assert not bad
        assert [row["a"] for row in rows] == ["x\ufffdy", "😀"]
        assert json.loads(rows[0]["b"]) == {"\ufffd": ["\ufffd"]}
    rows, bad = outcome(
        write(tmp_path / "x.csv", "\ufeffa;b\nx".encode("utf-16-le") + b"\x00\xd8" + ";1\n".encode("utf-16-le"))
    )
    assert not bad
    assert rows[0]["a"].startswith("x\ufffd") or rows[0]["a"] == "x\ufffd"


def test_json_that_is_not_utf8(tmp_path: Path) -> None:
    rows, bad = outcome(write(tmp_path / "x.jsonl", '{"a":"größe"}\n'.encode("latin-1") + '{"a":"größe"}\n'.encode()))
    assert not bad
    assert [row["a"] for row in rows] == ["größe", "größe"]
    rows, bad = outcome(write(tmp_path / "x.json", '[{"a":"größe"}]'.encode("utf-16")))
    assert not bad
    assert rows[0]["a"] == "größe"


def test_deep_nesting(tmp_path: Path) -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    middle = b"[" * 600 + b"]" * 600
    rows, bad = outcome(write(tmp_path / "x.jsonl", b'{"a":1}\n{"a":' + deep + b'}\n{"a":' + middle + b"}\n"))
    assert len(rows) + len(bad) == 3
    assert [row.origin for row in bad] == ["x.jsonl#line 2"]
    assert rows[1]["a"] == middle.decode()
    assert only_problem(write(tmp_path / "x.json", deep)).rule == "broken_json"
    rows, bad = outcome(write(tmp_path / "x.html", b"<div>" * 50_000 + b"Text" + b"</div>" * 50_000))
    assert len(rows) + len(bad) == 1


def test_texts_that_make_patterns_slow(tmp_path: Path) -> None:
    started = time.process_time()
    for number, text in enumerate((b"# " + b" " * 3_000_000 + b"\nx", b"```\n" * 300_000, b"---\n" + b"title :" * 500_000)):
        rows, bad = outcome(write(tmp_path / f"{number}.md", text))
        assert len(rows) == 1
        assert not bad
    entities = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><p>' + b"&b;" * 1000 + b"</p>"
    for number, text in enumerate((entities, b"<a " + b"x=1 " * 500_000 + b">hi", b"<!--" * 300_000 + b"x")):
        rows, bad = outcome(write(tmp_path / f"{number}.html", text))
        assert len(rows) + len(bad) == 1
    assert time.process_time() - started < 20


def test_values_as_keys(tmp_path: Path) -> None:
    lines = b"".join(b'{"k%d":1}\n' % number for number in range(50_000))
    _, bad = outcome(write(tmp_path / "x.jsonl", lines))
    assert bad[-1].rule == "too_many_columns"
    assert only_problem(write(tmp_path / "x.csv", b",".join(b"c%d" % n for n in range(5000)))).rule == "too_many_columns"


def test_line_of_ten_megabytes(tmp_path: Path) -> None:
    long = b"x" * 10_000_000
    rows, bad = outcome(write(tmp_path / "x.csv", b"a,b\n1," + long + b'\n2,"' + long + b'"\n3,y\n'))
    assert not bad
    assert [len(row["b"]) for row in rows] == [10_000_000, 10_000_000, 1]
    rows, bad = outcome(write(tmp_path / "x.csv", b"a,b\n1," + long + b"\n3,y\n"), max_document_bytes=2**20)
    assert [(row["a"], row["origin"]) for row in rows] == [("3", "x.csv#line 3")]
    assert [(row.origin, row.rule) for row in bad] == [("x.csv#line 2", "too_large")]
    rows, bad = outcome(write(tmp_path / "x.jsonl", b'{"a":"' + long + b'"}\n{"a":"y"}'), max_document_bytes=2**20)
    assert [(row["a"], row["origin"]) for row in rows] == [("y", "x.jsonl#line 2")]
    assert [(row.origin, row.rule) for row in bad] == [("x.jsonl#line 1", "too_large")]
    assert only_problem(write(tmp_path / "x.txt", long), max_document_bytes=2**20).rule == "too_large"


def test_quote_that_never_ends_costs_one_line(tmp_path: Path) -> None:
    body = b"".join(b"%d,text without quotes\n" % number for number in range(500_000))
    path = write(tmp_path / "x.csv", b'a,b\n0,"open\n' + body)
    rows, bad = outcome(path)
    assert [(row.origin, row.rule) for row in bad] == [("x.csv#line 2", "broken_quote")]
    assert len(rows) == 500_000
    assert rows[-1]["origin"] == "x.csv#line 500002"


def test_quotes_everywhere(tmp_path: Path) -> None:
    rows, bad = outcome(write(tmp_path / "x.csv", b"a,b\n" + b'"x"y,"z\n' * 2000))
    assert len(rows) + len(bad) == 2000


def test_bombs(tmp_path: Path) -> None:
    zeros = bytes(2**20)
    for ending, opened in (("gz", gzip.open), ("xz", partial(lzma.open, preset=0))):
        path = tmp_path / f"x.csv.{ending}"
        with opened(path, "wb") as target:
            target.write(b"a,b\n")
            for _ in range(130):
                target.write(zeros.replace(b"\0", b" "))
        tracemalloc.start()
        rows, bad = outcome(path, max_ratio=500)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert not rows
        assert {row.rule for row in bad} == {"too_large"}
        assert "decompression bomb" in bad[-1].reason
        assert peak < 150 * 2**20
    path = tmp_path / "small.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 2_000_000))
    _, bad = outcome(path, max_bytes_unpacked=2**20)
    assert [row.rule for row in bad] == ["too_large"]


def test_workbook_bomb(tmp_path: Path) -> None:
    path = tmp_path / "x.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/worksheets/sheet1.xml", "w") as target:
        for _ in range(160):
            target.write(bytes(2**20))
    assert only_problem(path).rule == "too_large"


def test_workbook_that_lies_about_its_size(tmp_path: Path) -> None:
    path = tmp_path / "x.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", bytes(10 * 2**20))
    data = bytearray(path.read_bytes())
    size = struct.pack("<I", 10 * 2**20)
    path.write_bytes(bytes(data).replace(size, struct.pack("<I", 100)))
    assert only_problem(path).rule == "corrupt_file"


def test_workbook_with_far_cells(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active["A1"] = "a"
    book.active["XFD1048576"] = 1
    book.save(tmp_path / "x.xlsx")
    problem = only_problem(tmp_path / "x.xlsx")
    assert problem.rule == "too_large"
    assert "1048576 rows x 16384 columns" in problem.reason


def test_workbook_with_password(tmp_path: Path) -> None:
    content = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + "EncryptedPackage".encode("utf-16-le") + bytes(2000)
    problem = only_problem(write(tmp_path / "x.xlsx", content))
    assert problem.rule == "encrypted_file"
    assert "password" in problem.reason


def test_damaged_and_cut_files(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for number in range(500):
        book.active.append([number, f"text {number}"])
    book.save(tmp_path / "x.xlsx")
    pq.write_table(pa.table({"a": list(range(1000)), "b": [f"text {n}" for n in range(1000)]}), tmp_path / "x.parquet")
    for name in ("x.xlsx", "x.parquet"):
        whole = (tmp_path / name).read_bytes()
        for size in (len(whole) // 2, len(whole) - 1, 10):
            assert only_problem(write(tmp_path / name, whole[:size])).rule == "corrupt_file"
        middle = len(whole) // 3
        rows, bad = outcome(write(tmp_path / name, whole[:middle] + bytes(64) + whole[middle + 64 :]))
        assert bad or rows


TAGS = st.sampled_from(
    [
        "<p>",
        "</p>",
        "<table>",
        "<tr>",
        "<td>x",
        "</table>",
        "<!--",
        "-->",
        "<script>",
        "</script>",
        "<h1>",
        "text",
        "<svg>",
        "&#0;",
        "&#xd800;",
        "<title>",
        "</title>",
        "<head>",
        "<frameset>",
        "<![CDATA[",
        "]]>",
        "<template>",
        "<style>",
        "\x00",
        "\x0b",
        "Größe",
        "<ul><li>",
        "<body>",
        "</html>",
        "<!DOCTYPE",
        "<x:y>",
        "<?pi",
    ]
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tags=st.lists(TAGS, min_size=1, max_size=40))
def test_any_page_is_one_row_or_one_problem(tmp_path: Path, tags: list[str]) -> None:
    rows, bad = outcome(write(tmp_path / "x.html", " ".join(tags).encode()))
    assert len(rows) + len(bad) == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=5), kind=st.sampled_from("xp")
)
def test_flipped_bytes(tmp_path: Path, flips: list[tuple[int, int]], kind: str) -> None:
    path = tmp_path / {"x": "x.xlsx", "p": "x.parquet"}[kind]
    if kind == "p":
        pq.write_table(pa.table({"a": list(range(500)), "c": [{"x": [n]} for n in range(500)]}), path, write_page_checksum=True)
    else:
        book = openpyxl.Workbook()
        for number in range(20):
            book.active.append([number, "x", 1.5])
        book.save(path)
    data = bytearray(path.read_bytes())
    for place, value in flips:
        data[place % len(data)] = value
    rows, bad = outcome(write(path, bytes(data)))
    assert rows or bad


@pytest.mark.parametrize("ending", ["gz", "xz", "zst"])
def test_cut_compression_gives_the_rows_before_it(tmp_path: Path, ending: str) -> None:
    import random

    import zstandard

    numbers = random.Random(3)
    data = b"a,b\n" + b"".join(b"%d,%d\n" % (n, numbers.randrange(10**9)) for n in range(100_000))
    pack = {
        "gz": gzip.compress,
        "xz": lambda content: lzma.compress(content, preset=0),
        "zst": zstandard.ZstdCompressor(write_checksum=True).compress,
    }[ending]
    packed = pack(data)
    rows, bad = outcome(write(tmp_path / f"x.csv.{ending}", packed[: len(packed) // 2]))
    assert [row.rule for row in bad] == ["corrupt_file"]
    assert 10_000 < len(rows) < 90_000
    assert rows[-1]["a"] == str(len(rows) - 1), "no half row, no gap"
    assert f"up to line {len(rows) + 1}" in bad[0].reason
    damaged = bytearray(packed)
    damaged[len(packed) // 2 : len(packed) // 2 + 50] = bytes(50)
    _, bad = outcome(write(tmp_path / f"x.csv.{ending}", bytes(damaged)))
    assert "corrupt_file" in {row.rule for row in bad}
    assert only_problem(write(tmp_path / f"y.csv.{ending}", b"a,b\n1,2\n")).rule == "corrupt_file"


def test_things_that_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "broken.csv").symlink_to(tmp_path / "nowhere")
    (tmp_path / "circle.csv").symlink_to(tmp_path / "circle.csv")
    for name in ("folder.csv", "broken.csv", "circle.csv", "absent.csv", "absent.xlsx"):
        assert only_problem(tmp_path / name).rule == "unreadable_file"
    assert only_problem(write(tmp_path / "x.dox", b"abc")).rule == "unknown_format"
    assert only_problem(write(tmp_path / "noending", b"abc")).rule == "unknown_format"
    assert format_of(Path("a.CSV.GZ")) == "csv"


def test_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.csv")
    found: list[Unreadable] = []
    worker = threading.Thread(target=lambda: found.append(only_problem(tmp_path / "x.csv")), daemon=True)
    worker.start()
    worker.join(10)
    assert not worker.is_alive()
    assert found[0].rule == "unreadable_file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", b"a,b\n1,2\n")
    path.chmod(0)
    assert only_problem(path).rule == "unreadable_file"


def test_no_file_stays_open(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", b"a,b\n" + b"1,2\n" * 100)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        outcome(path)
        reader = read(path, "x.csv")
        next(reader)
        reader.close()  # type: ignore[attr-defined]
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
