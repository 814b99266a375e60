"""Reading csv files: any separator and encoding, every row with its line, all cells as text.

It knows header, rows and their shape; types are found later over the whole source (`infer`).
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from stellwerk.errors import UserError
from stellwerk.jobs.data.files.columns import Batcher, no_collection, origins, table_of
from stellwerk.jobs.data.files.encoding import LineDecoder, check_text, detect, to_lines_of_bytes
from stellwerk.jobs.data.files.lines import LongLine, line_blocks
from stellwerk.jobs.data.files.names import ColumnNames
from stellwerk.jobs.data.files.records import Records, RecordSplitter
from stellwerk.jobs.data.files.separator import NONE, excel_separator, separator_of, sniff
from stellwerk.jobs.data.files.shapes import Facts, FileProblem, ReadOptions, Source, Unreadable

SNIFFED_LINES = 1000


def read_csv(source: Source) -> Iterator[pa.Table | Unreadable]:
    """Read a csv file.

    Args:
        source: the opened file.

    Yields:
        Tables of text columns (an empty cell is null), and one `Unreadable` per broken row. Blank lines are no rows.

    Raises:
        FileProblem: the file as a whole, or the rest of it, cannot be read.
    """
    options = source.options
    if len(options.quote) > 1:
        raise UserError(f"The quote '{options.quote}' is not possible; give one character, or an empty text for none.")
    encoding = detect(source.head, options.encoding)
    if not encoding.wide:
        check_text(source.head, "csv")
    decoder = LineDecoder(encoding, source.facts)
    chunks = to_lines_of_bytes(source.chunks, encoding, source.facts)
    reader = _CsvReader(source.name, options, source.facts)
    line = 1
    try:
        for block in line_blocks(chunks, options.max_document_bytes):
            if isinstance(block, LongLine):
                yield from reader.long_line(line, block, options.max_document_bytes)
                line += 1
                continue
            lines, bad = decoder.lines(block, line)
            for index in bad:
                reason = f"line {line + index} is not {encoding.name}; name the right encoding or leave it out"
                yield Unreadable(f"{source.name}#line {line + index}", reason, "encoding")
            line += len(lines)
            yield from reader.block(lines, left_out=len(bad))
    except FileProblem as problem:
        yield from reader.end(cut=True)
        raise FileProblem(problem.rule, f"{problem.reason} (the file was read up to line {line - 1})") from None
    finally:
        decoder.finish()
    yield from reader.end()


class _CsvReader:
    """Keeps what is known of one csv file between its blocks."""

    def __init__(self, name: str, options: ReadOptions, facts: Facts) -> None:
        self._name = name
        self._options = options
        self._facts = facts
        self._batcher = Batcher(options.batch_bytes, facts)
        self._missing = pa.array(["", *options.missing], pa.string())
        self._splitter: RecordSplitter | None = None
        self._header: list[str] | None = None
        self._blank = 0
        self._trailing = 0

    def block(self, lines: list[str], left_out: int) -> Iterator[pa.Table | Unreadable]:
        """Take the next lines; some of the empty ones stand for lines that were reported already."""
        self._blank -= left_out
        if self._splitter is None:
            lines = self._begin(lines)
        yield from self._records(lines, final=False)

    def long_line(self, line: int, found: LongLine, limit: int) -> Iterator[pa.Table | Unreadable]:
        """Report a line that is too long, after closing what was open before it."""
        if self._splitter is None or self._header is None:
            reason = f"has a first line of {found.size} bytes, more than {limit}; is it csv, and are its line ends in place?"
            raise FileProblem("too_large", reason)
        yield from self._records([], final=True)
        self._splitter.skip(1)
        reason = f"line {line} has {found.size} bytes, more than {limit}; is a quote or a line end missing before it?"
        yield Unreadable(f"{self._name}#line {line}", reason, "too_large")

    def end(self, cut: bool = False) -> Iterator[pa.Table | Unreadable]:
        """Close the file; `cut` says that its rest cannot be read."""
        if self._splitter is not None:
            yield from self._records([], final=True)
        if self._header is None:
            if cut:
                return
            raise FileProblem("empty_file", "has no header and no rows; export it again or remove it")
        if self._blank:
            self._facts.note(f"{self._blank} blank lines were skipped")
        if self._trailing:
            self._facts.note(f"{self._trailing} rows end with further separators and nothing behind them, which was ignored")
        yield from self._batcher.rest()

    def _begin(self, lines: list[str]) -> list[str]:
        quote = self._options.quote
        declared = excel_separator(lines[0]) if lines else None
        if declared:
            lines = lines[1:]
        if self._options.separator is not None:
            separator = separator_of(self._options.separator)
        elif declared:
            separator = declared
        else:
            separator = sniff(lines[:SNIFFED_LINES], quote)
        self._facts.separator = None if separator == NONE else separator
        self._splitter = RecordSplitter(separator, quote)
        self._splitter.skip(1 if declared else 0)
        return lines

    def _records(self, lines: list[str], final: bool) -> Iterator[pa.Table | Unreadable]:
        if self._splitter is None:
            return
        with no_collection():
            records = self._splitter.feed(lines, len(self._header) if self._header else None, final)
        if self._header is None:
            records = self._take_header(records)
            if self._header is None:
                return
        for line in records.broken:
            reason = f"the quotes in line {line} are broken: a quoted cell must end before a separator; correct it"
            yield Unreadable(f"{self._name}#line {line}", reason, "broken_quote")
        rows, starts = records.rows, records.starts
        if set(map(len, rows)) - {len(self._header)}:
            rows, starts, problems = self._shaped(records)
            yield from problems
        if rows or not records.broken:
            yield from self._batcher.add(self._table(rows, starts))

    def _take_header(self, records: Records) -> Records:
        place = next((index for index, row in enumerate(records.rows) if any(map(str.strip, row))), None)
        start = records.starts[place] if place is not None else None
        if records.broken and (start is None or records.broken[0] < start):
            line = records.broken[0]
            reason = f"has no header that can be read: the quotes in line {line} are broken; correct the line"
            raise FileProblem("broken_quote", reason)
        if place is None:
            self._blank += len(records.rows)
            return records
        self._blank += place
        self._header = ColumnNames(self._facts).header(records.rows[place])
        after = place + 1
        return Records(records.rows[after:], records.starts[after:], records.ends[after:], records.broken)

    def _shaped(self, records: Records) -> tuple[list[list[str]], list[int], list[Unreadable]]:
        expected = len(self._header or [])
        rows: list[list[str]] = []
        starts: list[int] = []
        problems: list[Unreadable] = []
        for row, start, end in zip(records.rows, records.starts, records.ends, strict=True):
            if len(row) > expected and not any(row[expected:]):
                row = row[:expected]
                self._trailing += 1
            if len(row) == expected:
                rows.append(row)
                starts.append(start)
            elif not row or (len(row) == 1 and not row[0].strip()):
                self._blank += 1
            else:
                lines = f"line {start}" if start == end else f"the row of lines {start} to {end}"
                reason = f"{lines} has {len(row)} fields where the header has {expected}; correct the row or quote its cells"
                problems.append(Unreadable(f"{self._name}#line {start}", reason, "row_shape"))
        return rows, starts, problems

    def _table(self, rows: list[list[str]], starts: object) -> pa.Table:
        names = self._header or []
        with no_collection():
            cells = list(zip(*rows, strict=True)) if rows else [()] * len(names)
            columns = {name: self._column(column) for name, column in zip(names, cells, strict=True)}
        if isinstance(starts, range):
            starts = pa.arange(starts.start, starts.stop)
        return table_of(origins(f"{self._name}#line ", starts), columns)

    def _column(self, cells: tuple[str, ...]) -> pa.Array:
        texts = pa.array(cells, pa.string())
        missing = pc.is_in(texts, value_set=self._missing)
        if not pc.any(missing).as_py():
            return texts
        return pc.if_else(missing, pa.scalar(None, pa.string()), texts)
