"""Reading JSON Lines and JSON files: one row per object, its values typed as JSON types them.

It knows lines, items and what to report when one is broken; how a single text is parsed is known to `jsonvalues`,
which type holds a column to `columns`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import orjson
import pyarrow as pa

from stellwerk.jobs.data.files.columns import Batcher, column_of, no_collection, origins, table_of
from stellwerk.jobs.data.files.encoding import LineDecoder, check_text, decode_document, detect, to_lines_of_bytes
from stellwerk.jobs.data.files.jsonvalues import (
    LONG_NUMBER,
    ExactParser,
    JsonProblem,
    colons_after_keys,
    fast,
    keys_within,
    may_be_inexact,
)
from stellwerk.jobs.data.files.lines import LongLine, line_blocks
from stellwerk.jobs.data.files.names import ColumnNames
from stellwerk.jobs.data.files.shapes import FileProblem, Source, Unreadable
from stellwerk.jobs.data.files.unpack import whole

MAX_JSON = 256 * 2**20
MAX_CELLS = 2_000_000  # rows times columns of one piece: bounds memory when every row has keys of its own
PIECE = 8192
SPACE = b" \t\r\n"

Row = dict[str, Any]


def read_jsonl(source: Source) -> Iterator[pa.Table | Unreadable]:
    """Read JSON Lines: one object a line; a broken line is reported and the rest is read.

    Args:
        source: the opened file.

    Yields:
        Tables and `Unreadable` rows. Blank lines are no rows.

    Raises:
        FileProblem: the file as a whole, or the rest of it, cannot be read.
    """
    encoding = detect(source.head, source.options.encoding)
    if not encoding.wide:
        check_text(source.head, "JSON")
        if source.head[encoding.bom :].lstrip(SPACE).startswith((b"[{", b"[\n", b"[\r")):
            source.facts.note("is one JSON array, not JSON Lines, and was read as such")
            yield from read_json(source)
            return
    parser = _LineParser(source, LineDecoder(encoding, source.facts), encoding.given and not encoding.wide)
    rows = _Rows(source, "line")
    line = 1
    try:
        for block in line_blocks(to_lines_of_bytes(source.chunks, encoding, source.facts), source.options.max_document_bytes):
            if isinstance(block, LongLine):
                reason = f"line {line} has {block.size} bytes, more than {source.options.max_document_bytes}; split it"
                yield Unreadable(f"{source.name}#line {line}", reason, "too_large")
                line += 1
                continue
            lines = block.splitlines()
            with no_collection():
                numbers, objects, problems = parser.block(block, lines, line)
            line += len(lines)
            yield from problems
            yield from rows.add(numbers, objects)
    except FileProblem as problem:
        parser.finish()
        yield from rows.rest()
        raise FileProblem(problem.rule, f"{problem.reason} (the file was read up to line {line - 1})") from None
    parser.finish()
    if not parser.met:
        raise FileProblem("empty_file", "has no rows, only blank lines; export it again or remove it")
    yield from rows.rest()


class _LineParser:
    """Parses blocks of lines and keeps count of what was odd."""

    def __init__(self, source: Source, decoder: LineDecoder, given: bool) -> None:
        self._source = source
        self._decoder = decoder
        self._given = given
        self._exact = ExactParser()
        self._twice = 0
        self._twice_at = 0
        self.met = False

    def block(self, data: bytes, lines: list[bytes], first: int) -> tuple[list[int], list[Row], list[Unreadable]]:
        """Parse the lines of one block.

        Args:
            data: the block.
            lines: its lines.
            first: number of the first line.

        Returns:
            Line numbers and objects of the good lines, and the bad lines.
        """
        suspicious = bool(LONG_NUMBER.search(data))
        if not suspicious and not self._given:
            rows = _all_objects(lines)
            # As many colons after quotes as keys: no key can stand twice.
            if rows is not None and colons_after_keys(data) in (sum(map(len, rows)), sum(map(keys_within, rows))):
                self.met = self.met or bool(rows)
                return list(range(first, first + len(lines))), rows, []
        numbers: list[int] = []
        objects: list[Row] = []
        problems: list[Unreadable] = []
        for number, line in enumerate(lines, first):
            if not line.strip(SPACE):
                continue
            self.met = True
            try:
                objects.append(self._line(line, number, suspicious))
                numbers.append(number)
            except JsonProblem as problem:
                reason = f"line {number} cannot be read: {problem}; correct the line"
                problems.append(Unreadable(f"{self._source.name}#line {number}", reason, "broken_json"))
        return numbers, objects, problems

    def _line(self, line: bytes, number: int, suspicious: bool) -> Row:
        try:
            value = None if self._given else fast(line)
        except orjson.JSONDecodeError:
            value = None
        if isinstance(value, dict):
            colons = colons_after_keys(line)
            repeated = colons != len(value) and colons != keys_within(value)
            if not repeated and not (suspicious and may_be_inexact(value)):
                return value
        value = self._exact.parse(self._text(line, number))
        if not isinstance(value, dict):
            raise JsonProblem("it holds no object in braces")
        if self._exact.twice is not None:
            self._twice += 1
            self._twice_at = self._twice_at or number
        return value

    def _text(self, line: bytes, number: int) -> str:
        if self._given:
            texts, bad = self._decoder.lines(line, number)
            if bad:
                raise JsonProblem("it is not in the encoding that was named")
            return "".join(texts)
        try:
            return line.decode()
        except UnicodeDecodeError:
            return self._decoder.odd(line, number)

    def finish(self) -> None:
        """Write what was odd into the facts."""
        self._decoder.finish()
        if self._twice:
            where = f"{self._twice} lines (first: line {self._twice_at})"
            self._source.facts.note(f"in {where} a key stands twice; its last value was taken")


def _all_objects(lines: list[bytes]) -> list[Row] | None:
    try:
        rows = list(map(fast, lines))
    except orjson.JSONDecodeError:
        return None
    return rows if set(map(type, rows)) <= {dict} else None


class _Rows:
    """Makes tables from objects."""

    def __init__(self, source: Source, unit: str) -> None:
        self._prefix = f"{source.name}#{unit} "
        self._names = ColumnNames(source.facts)
        self._batcher = Batcher(source.options.batch_bytes, source.facts)
        self._missing = frozenset(source.options.missing)

    def add(self, numbers: list[int], rows: list[Row]) -> Iterator[pa.Table]:
        """Take objects with their numbers; yields a table when there is enough."""
        place = 0
        while place < len(rows):
            keys = dict.fromkeys(chain.from_iterable(rows[place : place + PIECE]))
            names = {key: self._names.key(key) for key in keys}
            step = max(1, min(PIECE, MAX_CELLS // max(len(keys), 1)))
            piece = rows[place : place + step]
            with no_collection():
                columns = {name: self._column(piece, key) for key, name in names.items()}
            yield from self._batcher.add(table_of(origins(self._prefix, numbers[place : place + step]), columns))
            place += step

    def rest(self) -> Iterator[pa.Table]:
        """Yield what is left."""
        yield from self._batcher.rest()

    def _column(self, rows: list[Row], key: str) -> pa.Array:
        values = [row.get(key) for row in rows]
        if self._missing:
            values = [None if isinstance(value, str) and value in self._missing else value for value in values]
        return column_of(values)


def read_json(source: Source) -> Iterator[pa.Table | Unreadable]:
    """Read a JSON file: an array of objects, or one object, which is one row.

    Args:
        source: the opened file.

    Yields:
        Tables with `#item N` as origin, and one `Unreadable` per item that is no object.

    Raises:
        FileProblem: the file is not JSON, or larger than 256 MiB.
    """
    check_text_unless_wide(source)
    sentence = f"is larger than {MAX_JSON >> 20} MiB as one JSON document; save it as JSON Lines (one object a line)"
    data = whole(source.chunks, MAX_JSON, sentence)
    try:
        value = _document(source, data)
    except JsonProblem as problem:
        if _looks_like_lines(data):
            source.facts.note("is JSON Lines, not one JSON document, and was read as such")
            yield from read_jsonl(Source(source.name, source.head, iter([data]), source.options, source.facts))
            return
        reason = f"is not JSON: {problem}; correct the file or export it again"
        raise FileProblem("broken_json", reason) from None
    items = value if isinstance(value, list) else [value]
    if not items:
        raise FileProblem("empty_file", "holds an empty array; export it again or remove it")
    numbers: list[int] = []
    objects: list[Row] = []
    for number, item in enumerate(items, 1):
        if isinstance(item, dict):
            numbers.append(number)
            objects.append(item)
        else:
            reason = f"item {number} is no object in braces; each row must be one"
            yield Unreadable(f"{source.name}#item {number}", reason, "broken_json")
    rows = _Rows(source, "item")
    yield from rows.add(numbers, objects)
    yield from rows.rest()


def check_text_unless_wide(source: Source) -> None:
    """Refuse a binary file, unless its many zero bytes are those of UTF-16 or UTF-32."""
    if not detect(source.head, source.options.encoding).wide:
        check_text(source.head, "JSON")


def _document(source: Source, data: bytes) -> Any:
    suspicious = LONG_NUMBER.search(data) is not None
    if source.options.encoding is None and not suspicious:
        try:
            value = fast(data)
        except orjson.JSONDecodeError:
            pass
        else:
            source.facts.encoding = "utf-8"
            if colons_after_keys(data) == keys_within(value):
                return value
    text = decode_document(data, source.options.encoding, source.facts)
    if not text.strip():
        raise FileProblem("empty_file", "holds only blanks; export it again or remove it")
    exact = ExactParser()
    value = exact.parse(text)
    if exact.twice is not None:
        source.facts.note("a key stands twice in one object; its last value was taken")
    return value


def _looks_like_lines(data: bytes) -> bool:
    lines = data.lstrip(SPACE).split(b"\n", 2)[:2]
    if len(lines) < 2:
        return False
    try:
        return isinstance(fast(lines[0]), dict)
    except orjson.JSONDecodeError:
        return False
