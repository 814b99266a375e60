"""Reading Excel workbooks: rows of a sheet with their types, after a look whether they fit into memory.

It knows sheets, headers and the zip archive around them. A workbook is no stream: the reader below holds a whole
sheet, so its size is measured before it is opened.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa
import python_calamine as calamine

from stellwerk.jobs.data.files.columns import Batcher, column_of, no_collection, origins, table_of
from stellwerk.jobs.data.files.names import ColumnNames
from stellwerk.jobs.data.files.shapes import FileProblem, ReadOptions, Source, Unreadable
from stellwerk.jobs.data.files.unpack import CHUNK, check_limits

MAX_CELLS = 20_000_000  # the reader needs about 32 bytes for each cell of the rectangle around all cells, empty or not
MAX_UNPACKED = 2 * 2**30
ROWS = 4096
OFFICE = b"\xd0\xcf\x11\xe0"
_REFERENCE = re.compile(rb'\br="([A-Z]{0,3})(\d{1,7})"')
_TAIL = 32


def read_xlsx(source: Source, file: IO[bytes]) -> Iterator[pa.Table | Unreadable]:
    """Read a workbook.

    Args:
        source: name, options and facts; its chunks are not used.
        file: the file, which can be read from any place.

    Yields:
        Tables with `#Sheet1 row 5` as origin. Without `options.sheet` the first sheet that holds something is read and
        those with the same header; each other sheet is one `Unreadable`.

    Raises:
        FileProblem: the workbook is protected, damaged, too large, or lacks the sheet.
    """
    _check_archive(file, source.options)
    file.seek(0)
    try:
        workbook = calamine.CalamineWorkbook.from_filelike(file)
        names = list(workbook.sheet_names)
    except calamine.PasswordError:
        raise _protected() from None
    except (calamine.CalamineError, OSError, ValueError):
        raise _damaged() from None
    wanted = source.options.sheet
    if wanted is not None and wanted not in names:
        raise FileProblem("missing_sheet", f"has no sheet '{wanted}', only: {', '.join(names)}; correct the name")
    yield from _sheets(source, workbook, names if wanted is None else [wanted])


def _sheets(source: Source, workbook: Any, names: list[str]) -> Iterator[pa.Table | Unreadable]:
    header: list[str] | None = None
    columns: list[str] = []
    batcher = Batcher(source.options.batch_bytes, source.facts)
    for name in names:
        rows = _rows(workbook, name)
        found = next(((number, row) for number, row in rows if _filled(row)), None)
        if found is None:
            continue
        cells = [_heading(cell) for cell in found[1]]
        while cells and not cells[-1] and header is not None and len(cells) > len(header):
            cells.pop()
        if header is None:
            header, columns = cells, ColumnNames(source.facts).header(cells)
        elif cells != header:
            reason = f"the sheet '{name}' has other columns than the first; make it a source of its own (sheet: {name})"
            yield Unreadable(f"{source.name}#{name}", reason, "other_sheet")
            continue
        yield from _tables(source, name, rows, columns, batcher)
    if header is None:
        raise FileProblem("empty_file", "has no filled cell; export it again or remove it")
    yield from batcher.rest()


def _rows(workbook: Any, name: str) -> Iterator[tuple[int, list[Any]]]:
    try:
        sheet = workbook.get_sheet_by_name(name)
        first = sheet.start[0] + 1 if sheet.start else 1
        yield from enumerate(sheet.to_python(skip_empty_area=True) if sheet.height else [], first)
    except calamine.WorksheetNotFound:
        return  # a sheet that holds a chart only
    except (calamine.CalamineError, OSError, ValueError):
        raise _damaged() from None


def _tables(
    source: Source, sheet: str, rows: Iterator[tuple[int, list[Any]]], columns: list[str], batcher: Batcher
) -> Iterator[pa.Table]:
    missing = {"", *source.options.missing}
    numbers: list[int] = []
    kept: list[list[Any]] = []
    ended = False
    while not ended:
        number, row = next(rows, (0, []))
        ended = number == 0
        if _filled(row):
            numbers.append(number)
            kept.append(row)
        if len(kept) >= ROWS or ended:
            with no_collection():
                cells = [
                    _column([_value(row[index], missing) if index < len(row) else None for row in kept])
                    for index in range(len(columns))
                ]
            prefix = f"{source.name}#{sheet} row "
            yield from batcher.add(table_of(origins(prefix, numbers), dict(zip(columns, cells, strict=True))))
            numbers, kept = [], []


def _column(values: list[Any]) -> pa.Array:
    """A workbook knows no whole numbers: a column without fractions holds some."""
    floats = [value for value in values if type(value) is float]
    if floats and all(value.is_integer() for value in floats):
        values = [int(value) if type(value) is float else value for value in values]
    elif floats and set(map(type, values)) - {float, int, type(None)}:
        values = [int(value) if type(value) is float and value.is_integer() else value for value in values]
    return column_of(values)


def _value(cell: Any, missing: set[str]) -> Any:
    return None if isinstance(cell, str) and cell in missing else cell


def _filled(row: list[Any]) -> bool:
    return any(cell != "" for cell in row)


def _heading(cell: Any) -> str:
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return str(cell)


def _check_archive(file: IO[bytes], options: ReadOptions) -> None:
    file.seek(0)
    if file.read(4) == OFFICE:
        raise _protected()
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            packed = sum(member.compress_size for member in members)
            unpacked = sum(member.file_size for member in members)
            check_limits(unpacked, packed, options)
            if unpacked > MAX_UNPACKED:
                raise FileProblem("too_large", "unpacks to more than 2 GiB; save its sheets as csv")
            for member in members:
                if member.flag_bits & 1:
                    raise _protected()
                _check_member(archive, member)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError, ValueError):
        raise _damaged() from None


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Read a member once: its check sum must fit (its size is a claim only), and its cells must fit into memory."""
    sheet = "worksheets/" in member.filename
    rows = columns = 0
    tail = b""
    with archive.open(member) as stream:
        while piece := stream.read(CHUNK):
            if not sheet:
                continue
            text = tail + piece
            for letters, number in _REFERENCE.findall(text):
                rows = max(rows, int(number))
                columns = max(columns, _column_number(letters))
            tail = text[-_TAIL:]
            if rows * max(columns, 1) > MAX_CELLS:
                size = f"{rows} rows x {columns} columns"
                reason = f"has a sheet with cells as far apart as {size}; delete the stray cells or save it as csv"
                raise FileProblem("too_large", reason)


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _protected() -> FileProblem:
    reason = "is protected by a password or in the old .xls format; save it as .xlsx without a password"
    return FileProblem("encrypted_file", reason)


def _damaged() -> FileProblem:
    return FileProblem("corrupt_file", "is damaged or not an Excel workbook; open and save it again, or copy it again")
