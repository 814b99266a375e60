"""Reading one file of any known format: the front that chooses the reader and lets no problem become a traceback.

It knows formats by their ending; what is inside a format is known to the reader of that format.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

import pyarrow as pa

from stellwerk.errors import UserError
from stellwerk.jobs.data.files import unpack
from stellwerk.jobs.data.files.csvfile import read_csv
from stellwerk.jobs.data.files.documentfile import read_office
from stellwerk.jobs.data.files.jsonfile import read_json, read_jsonl
from stellwerk.jobs.data.files.mailfile import read_mail
from stellwerk.jobs.data.files.outlookfile import read_outlook
from stellwerk.jobs.data.files.parquetfile import read_parquet
from stellwerk.jobs.data.files.shapes import DOCUMENTS, FORMATS, Facts, FileProblem, ReadOptions, Source, Unreadable
from stellwerk.jobs.data.files.textfile import read_document
from stellwerk.jobs.data.files.xlsxfile import read_xlsx
from stellwerk.text import personal

__all__ = ["Facts", "ReadOptions", "Unreadable", "format_of", "read"]

ENDINGS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".md": "md",
    ".markdown": "md",
    ".txt": "txt",
    ".text": "txt",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
    ".docx": "docx",
    ".docm": "docx",
    ".pptx": "pptx",
    ".pptm": "pptx",
    ".odt": "odt",
    ".msg": "msg",
    ".eml": "eml",
}
_STREAMED: dict[str, Callable[[Source], Iterator[pa.Table | Unreadable]]] = {
    "csv": read_csv,
    "json": read_json,
    "jsonl": read_jsonl,
    "md": read_document,
    "txt": read_document,
    "html": read_document,
    "eml": lambda source: read_mail(source, _read_attached(source.options)),
    **dict.fromkeys(DOCUMENTS, read_office),
    "msg": read_outlook,
}
_FROM_ANY_PLACE: dict[str, Callable[[Source, IO[bytes]], Iterator[pa.Table | Unreadable]]] = {
    "parquet": read_parquet,
    "xlsx": read_xlsx,
}


WITH_HEADER = ("csv", "xlsx")  # formats whose first line names the columns


def format_of(path: Path) -> str | None:
    """Tell the format of a file by its ending, compressed or not; None when it is not a known one."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    while suffixes and suffixes[-1] in unpack.EXTENSIONS:
        suffixes.pop()
    return ENDINGS.get(suffixes[-1]) if suffixes else None


def read(path: Path, name: str, options: ReadOptions | None = None) -> Iterator[pa.Table | Unreadable]:
    """Read a file into tables of about `options.batch_bytes`.

    Args:
        path: the file.
        name: the path as shown to the user; begins every origin.
        options: how to read; None for the defaults.

    Yields:
        Tables with the column `origin` first and then the file's own columns (csv: all strings; `infer` finds their
        types; others typed as the format types them; types may differ from table to table: `schema.unify` and
        `schema.cast` join them), and one `Unreadable` for each row, or file, that could not be read.
        `schema.facts_of` reads what was guessed out of the last table.

    Raises:
        UserError: an option is impossible, such as an unknown encoding; or names of columns hold personal data, as they
            do where a table begins without a header.
    """
    options = options or ReadOptions()
    wanted = options.format or format_of(Path(name))
    if options.format is not None and options.format not in FORMATS:
        raise UserError(f"Unknown format '{options.format}'; give one of {', '.join(FORMATS)}.")
    try:
        if wanted is None:
            path.lstat()
            endings = ", ".join(sorted(ENDINGS))
            reason = f"has no ending that is known ({endings}, also with .gz, .xz, .zst); rename it or name its format"
            raise FileProblem("unknown_format", reason)
        for piece in _read(path, name, wanted, options):
            if isinstance(piece, pa.Table):
                _check_names(name, wanted, tuple(piece.schema.names))
            yield piece
    except FileProblem as problem:
        yield Unreadable(name, f"{name} {problem.reason}", problem.rule)
    except OSError as error:
        reason = f"{name} could not be read ({os.strerror(error.errno or 0)}); check the path and the disk"
        yield Unreadable(name, reason, "unreadable_file")


def _check_names(name: str, wanted: str, columns: tuple[str, ...]) -> None:
    """Names of columns go where no value may go, such as the record, so they must hold no personal data."""
    kinds = ", ".join(_kinds_in(columns))
    if kinds and wanted in WITH_HEADER:
        raise UserError(
            f"the first line of {name} looks like data, not like names of columns: it holds personal data ({kinds}); "
            "add a header"
        )
    if kinds:
        raise UserError(
            f"{name} has a column whose name holds personal data ({kinds}); write such values below a name of theirs"
        )


@functools.lru_cache(maxsize=64)
def _kinds_in(columns: tuple[str, ...]) -> list[str]:
    return sorted(set(personal.scan(columns, list(personal.KINDS))["kind"].to_pylist()))


def _read_attached(options: ReadOptions) -> Callable[[bytes, str, str], Iterator[pa.Table | Unreadable]]:
    """What reads a document that is attached to an e-mail, out of its bytes, its origin and its ending."""

    def read(data: bytes, origin: str, ending: str) -> Iterator[pa.Table | Unreadable]:
        wanted = ENDINGS[ending]
        told = replace(options, format=wanted)
        if not data:
            raise FileProblem("empty_file", "has 0 bytes; ask for it again or leave it out")
        yield from _STREAMED[wanted](Source(origin, data[: unpack.HEAD], iter([data]), told, Facts(wanted)))

    return read


def _read(path: Path, name: str, wanted: str, options: ReadOptions) -> Iterator[pa.Table | Unreadable]:
    with unpack.open_regular(path) as file:
        compression, chunks = unpack.unpacked(file, path, options)
        facts = Facts(wanted, compression)
        if compression and Path(name).suffix.lower() not in unpack.EXTENSIONS:
            facts.note(f"is compressed with {compression} though its ending does not say so")
        if wanted in _FROM_ANY_PLACE:
            source = Source(name, b"", iter(()), options, facts)
            if compression is None:
                yield from _FROM_ANY_PLACE[wanted](source, file)
            else:
                with unpack.seekable(chunks) as copy:
                    yield from _FROM_ANY_PLACE[wanted](source, copy)
            return
        head, chunks = unpack.with_head(chunks)
        if not head:
            # The stream tells whether it is damaged or only empty.
            for _ in chunks:
                pass
            raise FileProblem("empty_file", "unpacks to 0 bytes; export it again or remove it")
        yield from _STREAMED[wanted](Source(name, head, chunks, options, facts))
