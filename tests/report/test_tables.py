"""Results become tables that a spreadsheet opens as what they are, and no text in them is ever run."""

from __future__ import annotations

import csv as text_tables
import io
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import openpyxl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape
from pydantic import BaseModel

from stellwerk.errors import UserError
from stellwerk.report.tables import ROWS, TableOf, csv, tables_of, xlsx

ANY = settings(max_examples=80, deadline=None, phases=[Phase.explicit, Phase.generate])


class Place(BaseModel):
    file: str
    line: int


class Found(BaseModel):
    rule: str
    place: Place
    tags: list[str] = []
    counts: dict[str, int] = {}
    examples: list[Place] = []


class Result(BaseModel):
    name: str
    share: float
    place: Place
    found: list[Found]
    reasons: list[str] = []
    none: list[Found] = []


def read_csv(data: bytes, language: str = "en") -> list[list[str]]:
    text = data.decode("utf-8-sig")
    return list(text_tables.reader(io.StringIO(text, newline=""), delimiter=";" if language == "de" else ","))


def read_xlsx(data: bytes) -> Any:
    return openpyxl.load_workbook(io.BytesIO(data))


def test_a_result_is_taken_apart_into_readable_tables() -> None:
    place = Place(file="a.csv", line=3)
    rows = [
        Found(rule="r1", place=place, tags=["x", "y"], counts={"read": 5}),
        Found(rule="r2", place=place, examples=[place, Place(file="b", line=1)]),
    ]
    first, found = tables_of(Result(name="n", share=0.5, place=place, found=rows, reasons=["one", "two"]))
    assert first == TableOf(
        "result",
        ("field", "value"),
        [("name", "n"), ("share", 0.5), ("place.file", "a.csv"), ("place.line", 3), ("reasons", "one; two"), ("none", "")],
    )
    assert found.name == "found"
    assert found.columns == ("rule", "place.file", "place.line", "tags", "counts.read", "examples")
    assert found.rows == [
        ("r1", "a.csv", 3, "x; y", 5, ""),
        ("r2", "a.csv", 3, "", None, "file: a.csv, line: 3; file: b, line: 1"),
    ]
    assert tables_of([place], "places") == [TableOf("places", ("file", "line"), [("a.csv", 3)])]


def test_csv_is_what_a_spreadsheet_of_that_language_opens() -> None:
    table = TableOf(
        "t", ("größe", "n"), [(1.5, 1234), (None, True), (datetime(2026, 3, 4, 15, 5, tzinfo=UTC), date(2026, 3, 4))]
    )
    assert csv(table) == "\ufeffgröße,n\r\n1.5,1234\r\n,yes\r\n2026-03-04 15:05:00,2026-03-04\r\n".encode()
    assert csv(table, "de") == "\ufeffgröße;n\r\n1,5;1234\r\n;ja\r\n2026-03-04 15:05:00;2026-03-04\r\n".encode()


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://x")', "  =1", "＝1"]
)
def test_a_formula_stays_text(text: str) -> None:
    table = TableOf(text, (text, "b"), [(text, 1)])
    rows = read_csv(csv(table))
    assert rows[0][0] == rows[1][0] == "'" + text
    cell = read_xlsx(xlsx([table])).worksheets[0]["A2"]
    assert (cell.data_type, cell.hyperlink) == ("s", None)


@pytest.mark.parametrize("text", ["-5", "+3.5", "-1,25", "5", "a=b", "x@y.example"])
def test_what_is_no_formula_is_left_alone(text: str) -> None:
    assert read_csv(csv(TableOf("t", ("a",), [(text,)])))[1] == [text]


@ANY
@given(
    st.lists(st.one_of(st.text(), st.sampled_from(["=", "+", "-", "@", "\t", "\r", "\n", '"', "'", ";", ","])), min_size=1).map(
        "".join
    )
)
def test_no_text_begins_like_a_formula_in_csv(text: str) -> None:
    for language in ("en", "de"):
        cell = read_csv(csv(TableOf("t", ("a", "b"), [(text, 1)]), language), language)[1][0]
        assert cell.removeprefix("'") == text.encode("utf-8", "replace").decode().removeprefix("'")
        assert not re.match(r"\s*[=+\-@\t\r]", cell) or re.fullmatch(r"[+-][\d.,eE+-]+", cell)


@ANY
@given(
    st.text(),
    st.text(max_size=50),
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.decimals(allow_nan=False).map(float)),
)
def test_xlsx_gives_back_what_was_written(text: str, name: str, value: Any) -> None:
    sheet = read_xlsx(xlsx([TableOf(name, ("text", "value"), [(text, value)])])).worksheets[0]
    found, back = sheet["A2"].value, sheet["B2"].value
    assert sheet.freeze_panes == "A2"
    assert sheet["A1"].font.bold
    # XML itself turns a carriage return into a line feed.
    assert sheet["A2"].data_type != "f"
    assert _as_xml(unescape(found or "")) == _as_xml(text)
    if isinstance(value, float) and abs(value) < float("inf") and value == value:
        assert back == pytest.approx(value, rel=1e-14)
    elif isinstance(value, int) and abs(value) < 10**15:
        assert back == value
    elif value is not None:
        assert back == str(value)


def _as_xml(text: str) -> str:
    return re.sub("[\ud800-\udfff\ufffe\uffff]", "�", text).replace("\r\n", "\n").replace("\r", "\n")


def test_xlsx_holds_real_numbers_and_days() -> None:
    when = datetime(2026, 3, 4, 15, 5, tzinfo=UTC)
    book = read_xlsx(
        xlsx([TableOf("t", tuple("abcde"), [(1.5, date(2026, 3, 4), when, 12345678901234567890, "http://x.example")])], "de")
    )
    row = [cell.value for cell in book.active[2]]
    assert row == [1.5, datetime(2026, 3, 4), datetime(2026, 3, 4, 15, 5), "12345678901234567890", "http://x.example"]
    assert book.active["B2"].number_format == "dd.mm.yyyy"
    assert book.active["E2"].hyperlink is None


def test_equal_tables_give_equal_files() -> None:
    tables = [TableOf("t", ("a",), [("x",)])]
    assert xlsx(tables) == xlsx(tables)


@ANY
@given(st.lists(st.text(max_size=40), max_size=6))
def test_sheets_have_legal_names_of_their_own(names: list[str]) -> None:
    sheets = read_xlsx(
        xlsx([TableOf(name, ("a",), []) for name in [*names, "History", "data", "Data", "'x'", "a/b", "y" * 60, "Y" * 60]])
    ).sheetnames
    assert len(sheets) == len(names) + 7 == len({name.lower() for name in sheets})
    assert all(0 < len(name) <= 31 and not re.search(r"[\[\]:*?/\\]", name) and name.strip("'") == name for name in sheets)


def test_more_rows_than_a_sheet_holds_are_refused() -> None:
    with pytest.raises(UserError, match=r"the table big has 1,048,576 rows .* take CSV, or select fewer"):
        xlsx([TableOf("big", ("a",), [(1,)] * (ROWS + 1))])


def test_decimals_and_long_texts_have_a_place() -> None:
    class Price(BaseModel):
        price: Decimal

    assert tables_of([Price(price=Decimal("1.5"))])[0].rows == [(1.5,)]
    cell = read_xlsx(xlsx([TableOf("t", ("a",), [("x" * 40_000,)])])).active["A2"].value
    assert len(cell) == 32_767
    assert cell.endswith("x…")
