"""Reads cases from files: CSV of any encoding and delimiter, JSON lines, YAML; each row with its line.

Streams CSV and JSON lines. Knows promptfoo's columns and test syntax; does not know what holds for all cases of a suite.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from stellwerk.errors import UserError
from stellwerk.evaluation.suites import csv_tests, templates
from stellwerk.evaluation.suites.loading import Files
from stellwerk.evaluation.suites.row import Row, refuse
from stellwerk.evaluation.suites.spec import SPLITS, CaseFile, Columns, TestCase
from stellwerk.specfile import Place, SpecFile, parse, read_text

_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_DELIMITERS = (",", ";", "\t", "|")
_MANY = 20_000  # places in a YAML file from which on looking for those of one case would take too long
_LONGEST_CELL = 10_000_000


def rows(files: Files, file: CaseFile, columns: Columns | None) -> Iterator[Row]:
    """The cases of a file.

    Args:
        files: finds it.
        file: which, and how it is written.
        columns: which columns are what; None where it is read as promptfoo reads it.

    Raises:
        UserError: one sentence, with its line, for the first thing that is wrong.
    """
    path = files.path(file.path)
    ending = Path(path.name.removesuffix(".gz")).suffix.lower()
    if ending in (".csv", ".tsv"):
        yield from _csv_rows(path, file, columns)
    elif ending in (".jsonl", ".ndjson"):
        yield from _json_lines(path, file.path, columns)
    elif ending in (".yaml", ".yml", ".json"):
        yield from _listed(path, file.path, columns)
    else:
        raise UserError(f"{file.path} is no file of cases; expected one that ends in .csv, .tsv, .jsonl, .yaml or .json")


def flat(place: str, row: Mapping[str, Any], columns: Columns) -> Row:
    """A case out of a row of columns.

    Raises:
        UserError: a column is missing, or holds what it may not.
    """
    for column in (*columns.inputs.values(), columns.expected, columns.cluster, columns.id, *columns.tags):
        if column is not None and column not in row:
            refuse(place, f"there is no column {column!r}; there are: {', '.join(map(str, row)) or 'none'}")
    given: dict[str, Any] = {"vars": {name: row[column] for name, column in columns.inputs.items()}}
    for name in ("expected", "cluster", "id", "language", "split", "description"):
        column = getattr(columns, name)
        if column is not None and row.get(column) not in (None, ""):
            given[name] = row[column]
    for name in ("cluster", "id", "language"):
        if name in given:
            given[name] = str(given[name])
    if given.get("split", "test") not in SPLITS:
        # What stands there may be a person's name, and mistakes are kept in the record.
        refuse(place, f"the column {columns.split!r} holds something else than {', '.join(SPLITS)}; name another for split")
    given["tags"] = [str(row[column]) for column in columns.tags if row[column] not in (None, "")]
    return Row(place, checked(place, given), columns.expected is not None, data=True)


def checked(place: str, value: Any, lines: dict[Place, int] | None = None) -> TestCase:
    """A case in promptfoo's syntax.

    Args:
        place: `FILE, line N`; where `lines` are given, the file.
        value: what was parsed.
        lines: of its parts.

    Raises:
        UserError: one sentence for each mistake.
    """
    if lines is not None:
        return SpecFile(place, value, lines).check(TestCase)
    try:
        return SpecFile(place, value, {}).check(TestCase)
    except UserError as error:
        # One row is one line: the row's own place stands for that of each of its parts.
        raise UserError(str(error).replace(f"{place}, line 1:", f"{place}:")) from None


def header(path: Path, name: str, delimiter: str | None = None) -> list[str]:
    """The columns of a CSV.

    Args:
        path: where it lies.
        name: as people know it.
        delimiter: told by the header itself if left out.

    Raises:
        UserError: it has none, or cannot be read.
    """
    with _text(path, name, None) as text:
        return _header(text, name, delimiter)[0]


def _csv_rows(path: Path, file: CaseFile, columns: Columns | None) -> Iterator[Row]:
    with _text(path, file.path, file.encoding) as text:
        names, delimiter = _header(text, file.path, file.delimiter)
        yield from _cells(file.path, names, csv.reader(text, delimiter=delimiter), columns)


@contextmanager
def _text(path: Path, name: str, encoding: str | None) -> Iterator[io.TextIOWrapper]:
    """A CSV's text; what goes wrong while it is read is told as one sentence."""
    csv.field_size_limit(_LONGEST_CELL)
    try:
        encoding = encoding or _encoding(path)
        with _opened(path) as raw, io.TextIOWrapper(cast(IO[bytes], raw), encoding, newline="") as text:
            yield text
    except UnicodeError:
        raise UserError(f"{name} is not {encoding}; save it as UTF-8, or say encoding: ... below file") from None
    except LookupError:
        raise UserError(f"{name}: there is no encoding {encoding!r}; such as utf-8 or cp1252") from None
    except csv.Error as error:
        raise UserError(f"{name} is no CSV: {error}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{name} cannot be read: {error}") from None


def _header(text: io.TextIOWrapper, name: str, delimiter: str | None) -> tuple[list[str], str]:
    """The columns, and what stands between them."""
    first = text.readline()
    if not first.strip():
        raise UserError(f"{name}, line 1: there is no header; write the names of the columns there")
    delimiter = delimiter or max(_DELIMITERS, key=first.count)
    return [column.strip() for column in next(csv.reader([first], delimiter=delimiter))], delimiter


def _cells(name: str, header: list[str], reader: Any, columns: Columns | None) -> Iterator[Row]:
    twice = [column for column in header if header.count(column) > 1]
    if twice:
        refuse(f"{name}, line 1", f"the column {twice[0]!r} stands there twice")
    if "" in header:
        refuse(f"{name}, line 1", f"column {header.index('') + 1} has no name")
    line = 2
    for cells in reader:
        place, line = f"{name}, line {line}", reader.line_num + 2
        if not any(cells):
            continue
        if len(cells) != len(header):
            refuse(place, f"there are {len(cells)} values for {len(header)} columns; is the delimiter right?")
        row = dict(zip(header, cells, strict=True))
        yield flat(place, row, columns) if columns else csv_tests.row(place, row)


def _json_lines(path: Path, name: str, columns: Columns | None) -> Iterator[Row]:
    for number, line in _raw_lines(path, name):
        place = f"{name}, line {number}"
        if not line.strip():
            continue
        try:
            value = json.loads(line.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            refuse(place, "this is no JSON; expected one object on each line")
        if not isinstance(value, dict):
            refuse(place, 'this is no object; expected one such as {"vars": {...}, "assert": [...]}')
        yield flat(place, value, columns) if columns else Row(place, checked(place, value), data=True)


def _raw_lines(path: Path, name: str) -> Iterator[tuple[int, bytes]]:
    try:
        with _opened(path) as raw:
            yield from enumerate(raw, 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{name} cannot be read: {error}") from None


def _listed(path: Path, name: str, columns: Columns | None) -> Iterator[Row]:
    if path.suffix == ".gz":
        raise UserError(f"{name} is packed; unpack it, or use JSON lines for many cases")
    spec = parse(read_text(path), name)
    value = spec.value.get("tests") if isinstance(spec.value, dict) else spec.value
    within: Place = ("tests",) if isinstance(spec.value, dict) else ()
    if not isinstance(value, list):
        raise UserError(f"{name} holds no list of cases; expected one such as: - vars: {{...}}")
    if isinstance(spec.value, list):
        spec = templates.resolved(SpecFile(name, {"tests": value}, {("tests", *place): n for place, n in spec.lines.items()}))
        within = ("tests",)
    else:
        spec = templates.resolved(spec)
    for index, each in enumerate(spec.value["tests"]):
        place: Place = (*within, index)
        line = spec.line(place)
        if columns is not None:
            if not isinstance(each, dict):
                refuse(f"{name}, line {line}", "this is no group of fields")
            yield flat(f"{name}, line {line}", each, columns)
        else:
            yield Row(f"{name}, line {line}", checked(name, each, _lines_below(spec.lines, place, line)))


def _lines_below(lines: dict[Place, int], place: Place, line: int) -> dict[Place, int]:
    """The lines of a case's parts; of a very long file only that of the case."""
    if len(lines) > _MANY:
        return {(): line}
    depth = len(place)
    return {key[depth:]: number for key, number in lines.items() if key[:depth] == place} or {(): line}


def _opened(path: Path) -> Any:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _encoding(path: Path) -> str:
    """The encoding of a text by its mark, else UTF-8 where all of it is, else Windows-1252 as Excel writes it."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with _opened(path) as raw:
        first = raw.read(4)
        for mark, name in _BOMS:
            if first.startswith(mark):
                return name
        try:
            decoder.decode(first)
            while block := raw.read(1 << 20):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8"
