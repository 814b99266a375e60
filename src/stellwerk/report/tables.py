"""Tables to take along: the rows of a result as CSV and xlsx that a spreadsheet opens as what they are.

Knows how a result becomes tables of plain values, and how a text stays a text there: none is ever run as a formula. Does not
know what a result means; headings are the names of its fields.
"""

from __future__ import annotations

import csv as text_tables
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from pydantic import BaseModel

from stellwerk.errors import UserError
from stellwerk.report.words import Language

Cell = str | int | float | bool | date | datetime | None

ROWS: Final = 1_048_575  # of a sheet, below its head
COLUMNS: Final = 16_384
_LETTERS: Final = 32_767  # of a cell
_EXACT: Final = 10**15  # a spreadsheet keeps 15 digits
_FORMULA: Final = re.compile(r"\s*[=+\-@\t\r＝＋－＠]")
_NUMBER: Final = re.compile(r"[+-]?\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?")
_NOT_XML: Final = re.compile("[\ud800-\udfff\ufffe\uffff]")
_NOT_A_SHEET: Final = re.compile(r"[\[\]:*?/\\\x00-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class TableOf:
    """A table of plain values.

    Attributes:
        name: of the field that it was made of.
        columns: headings, each once.
        rows: as many values as there are columns.
    """

    name: str
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]]


def tables_of(result: BaseModel | Sequence[Any], name: str = "result") -> list[TableOf]:
    """Take a result apart into tables.

    Lists become a table each; single values stand together in a first one of `field` and `value`. Within a row a nested model
    gives columns `outer.inner`, a list one text of its parts.

    Args:
        result: what an operation gave.
        name: of the table of single values, or of the list where the result is one.
    """
    if not isinstance(result, BaseModel):
        return [_listed(name, result)]
    single: list[tuple[Cell, ...]] = []
    tables: list[TableOf] = []
    _collect(result, "", single, tables)
    return ([TableOf(name, ("field", "value"), single)] if single else []) + tables


def csv(table: TableOf, language: Language = "en") -> bytes:
    """Write a table as CSV that a spreadsheet set to that language opens right away.

    Args:
        table: its values; a text that a spreadsheet would take for a formula gets an apostrophe before it.
        language: en (comma, decimal point) or de (semicolon, decimal comma).

    Returns:
        UTF-8 with a byte order mark; lines end in CR LF.
    """
    out = io.StringIO(newline="")
    writer = text_tables.writer(out, delimiter=";" if language == "de" else ",", lineterminator="\r\n")
    writer.writerow([_harmless(column) for column in table.columns])
    writer.writerows([_written(value, language) for value in row] for row in table.rows)
    return out.getvalue().encode("utf-8-sig", "replace")


def xlsx(tables: Sequence[TableOf], language: Language = "en") -> bytes:
    """Write tables as an Excel workbook, a sheet each.

    Args:
        tables: their texts stay texts, never formulas or links; numbers and dates are real ones.
        language: of the format of dates.

    Returns:
        The workbook; equal tables give equal bytes.

    Raises:
        UserError: a table has more rows or columns than a sheet can hold.
    """
    import xlsxwriter

    for table in tables:
        if len(table.rows) > ROWS or len(table.columns) > COLUMNS:
            raise UserError(
                f"the table {table.name} has {len(table.rows):,} rows and {len(table.columns):,} columns; a sheet of Excel "
                f"holds {ROWS:,} rows below its head and {COLUMNS:,} columns: take CSV, or select fewer"
            )
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True, "default_date_format": _day(language), "remove_timezone": True})
    book.set_properties({"created": datetime(2000, 1, 1), "author": "Stellwerk"})
    names = _sheet_names([table.name for table in tables])
    for name, table in zip(names, tables, strict=True):
        _sheet(book, book.add_worksheet(name), table, language)
    book.close()
    return out.getvalue()


def _collect(result: BaseModel, prefix: str, single: list[tuple[Cell, ...]], tables: list[TableOf]) -> None:
    """Sort the fields of a result into single values and tables."""
    for field in type(result).model_fields:
        value, name = getattr(result, field), prefix + field
        if isinstance(value, BaseModel):
            _collect(value, name + ".", single, tables)
        elif _is_list(value) and any(isinstance(part, BaseModel | Mapping) for part in value):
            tables.append(_listed(name, value))
        elif isinstance(value, Mapping) and value and all(isinstance(part, BaseModel) for part in value.values()):
            tables.append(_keyed(name, value))
        else:
            single += [(key, cell) for key, cell in _flat(value, name).items()]


def _listed(name: str, parts: Iterable[Any]) -> TableOf:
    """A list as a table; a part that is no model and no mapping stands in the column `value`."""
    return _table(name, [_flat(part, "") for part in parts])


def _keyed(name: str, parts: Mapping[Any, BaseModel]) -> TableOf:
    return _table(name, [{"name": str(key), **_flat(part, "")} for key, part in parts.items()])


def _table(name: str, rows: list[dict[str, Cell]]) -> TableOf:
    columns = tuple(dict.fromkeys(key for row in rows for key in row))
    return TableOf(name, columns, [tuple(row.get(key) for key in columns) for row in rows])


def _flat(value: Any, name: str) -> dict[str, Cell]:
    """A value as columns: nested models and mappings by the names of their parts, anything else as one."""
    if isinstance(value, BaseModel):
        parts: Iterable[tuple[Any, Any]] = ((field, getattr(value, field)) for field in type(value).model_fields)
    elif isinstance(value, Mapping):
        parts = value.items()
    else:
        return {name or "value": _cell(value)}
    flat: dict[str, Cell] = {}
    for key, part in parts:
        flat |= _flat(part, f"{name}.{key}" if name else str(key))
    return flat


def _cell(value: Any) -> Cell:
    """A value that a cell can hold."""
    if isinstance(value, Enum):
        return _cell(value.value)
    if isinstance(value, Decimal):
        return float(value)
    if value is None or isinstance(value, str | bool | int | float | date):
        return value
    if _is_list(value):
        return "; ".join(_said(part) for part in value)
    return str(value)


def _said(part: Any) -> str:
    """A part of a list as text."""
    if isinstance(part, BaseModel | Mapping):
        return ", ".join(f"{key}: {'' if cell is None else cell}" for key, cell in _flat(part, "").items())
    return f"({_cell(part)})" if _is_list(part) else str(_cell(part))


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes | bytearray)


def _harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return "'" + text if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def _written(value: Cell, language: Language) -> str:
    """A value as text of a CSV."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return (("no", "yes"), ("nein", "ja"))[language == "de"][value]
    if isinstance(value, float):
        return repr(value).replace(".", ",") if language == "de" else repr(value)
    if isinstance(value, datetime):
        return _utc(value).isoformat(" ", "seconds")
    return _harmless(value) if isinstance(value, str) else str(value)


def _utc(value: datetime) -> datetime:
    """The moment in UTC without a zone: a spreadsheet knows none."""
    return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value


def _day(language: Language) -> str:
    return "dd.mm.yyyy" if language == "de" else "yyyy-mm-dd"


def _sheet(book: Any, sheet: Any, table: TableOf, language: Language) -> None:
    """Fill a sheet: a frozen bold head, widths by what stands in the first rows, each value as what it is."""
    head = book.add_format({"bold": True, "bottom": 1, "valign": "top"})
    formats: dict[type, Any] = {date: book.add_format({"num_format": _day(language)})}
    formats[datetime] = book.add_format({"num_format": _day(language) + " hh:mm"})
    sheet.freeze_panes(1, 0)
    for x, column in enumerate(table.columns):
        sheet.write_string(0, x, _legal(column), head)
        longest = max([len(column), *(len(_written(row[x], language)) for row in table.rows[:200])])
        sheet.set_column(x, x, min(max(longest, 8), 60) + 2)
    for y, row in enumerate(table.rows, start=1):
        for x, value in enumerate(row):
            _write(sheet, y, x, value, formats)


def _write(sheet: Any, y: int, x: int, value: Cell, formats: Mapping[type, Any]) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(y, x, value)
    elif isinstance(value, datetime) and value.year >= 1900:
        sheet.write_datetime(y, x, _utc(value), formats[datetime])
    elif isinstance(value, date) and value.year >= 1900:
        sheet.write_datetime(y, x, value, formats[date])
    elif (isinstance(value, int | float) and abs(value) < _EXACT) or (isinstance(value, float) and abs(value) < float("inf")):
        sheet.write_number(y, x, value)
    else:
        sheet.write_string(y, x, _legal(str(value)))


def _legal(text: str) -> str:
    """A text that a cell can hold."""
    text = _NOT_XML.sub("�", text)
    return text if _cut(text, _LETTERS) == text else _cut(text, _LETTERS - 1) + "…"


def _cut(text: str, units: int) -> str:
    """As much of a text as Excel counts as so many letters: those beyond the basic plane count twice."""
    return text if 2 * len(text) <= units else text.encode("utf-16-le")[: 2 * units].decode("utf-16-le", "ignore")


def _sheet_names(names: Iterable[str]) -> list[str]:
    """Names that Excel allows: at most 31 letters, some signs left out, each once whatever the case."""
    found: list[str] = []
    taken = {"history"}
    for number, name in enumerate(names, start=1):
        legal = _NOT_A_SHEET.sub("_", name).strip("' ")
        legal = _cut(legal, 31).strip("' ") or f"table {number}"
        tries = (legal if turn == 1 else f"{_cut(legal, 30 - len(str(turn)))} {turn}" for turn in range(1, 10_000))
        found.append(next(text for text in tries if text.lower() not in taken))
        taken.add(found[-1].lower())
    return found
