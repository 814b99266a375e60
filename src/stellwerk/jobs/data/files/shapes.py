"""What the readers of files share: options, what could not be read, and facts about a file.

It knows the shapes only; no format, no file and no Arrow type is known here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

# Documents of office programs, and how people call them.
DOCUMENTS = {
    "pdf": "PDF",
    "docx": "Word document (.docx)",
    "pptx": "PowerPoint presentation (.pptx)",
    "odt": "OpenDocument text (.odt)",
    "msg": "Outlook message (.msg)",
}
FORMATS = ("csv", "json", "jsonl", "parquet", "xlsx", "md", "txt", "html", "eml", *DOCUMENTS)
MAX_COLUMNS = 2000  # more keys than this in one file mean that values were used as keys


@dataclass(frozen=True)
class ReadOptions:
    """How files are read; what is None is worked out from the file.

    Attributes:
        format: one of `FORMATS`, or None to take it from the name.
        separator: one character, or `tab`, between the cells of a csv row.
        encoding: any Python codec; None takes a BOM, else UTF-8, else Windows-1252 line by line.
        decimal: `.` or `,`; used by `infer`, the readers themselves keep csv cells as text.
        quote: the character around csv cells; an empty string for none.
        sheet: the sheet of a workbook; None takes the first and those with the same header.
        missing: further cell texts that mean "no value", beside the empty cell.
        max_bytes_unpacked: a compressed file may unpack to so many bytes.
        max_ratio: unpacked bytes per packed byte, looked at beyond 100 MiB unpacked.
        max_document_bytes: limit of one document (md, txt, html) and of one line.
        max_office_bytes: limit of one document of an office program or one e-mail.
        pages: `joined` for a row a document, `each` for a row a page.
        ocr: whether pages that are pictures are read as such.
        ocr_languages: as tesseract names them.
        attachments: whether documents in an e-mail become rows.
        seconds: that the text of one document may take.
        megabytes: of memory that the text of one document may take.
        batch_bytes: a table is handed on when it holds about so many bytes.
    """

    format: str | None = None
    separator: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    quote: str = '"'
    sheet: str | None = None
    missing: tuple[str, ...] = ()
    max_bytes_unpacked: int = 20 * 2**30
    max_ratio: int = 1000
    max_document_bytes: int = 32 * 2**20
    max_office_bytes: int = 256 * 2**20
    pages: str = "joined"
    ocr: bool = False
    ocr_languages: tuple[str, ...] = ("deu", "eng")
    attachments: bool = True
    seconds: float = 120
    megabytes: float = 1024
    batch_bytes: int = 16 * 2**20


@dataclass(frozen=True)
class Unreadable:
    """One row or one file that could not be read.

    Attributes:
        origin: where it stands, as `raw/x.csv#line 17` or `raw/x.csv`.
        reason: a sentence that says what was found and what to do; never a value of the file.
        rule: the short name of the reason, such as `row_shape`.
    """

    origin: str
    reason: str
    rule: str


class FileProblem(Exception):
    """The rest of a file cannot be read; the front turns it into one `Unreadable`."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule
        self.reason = reason


@dataclass
class Facts:
    """What a reader worked out about a file; it grows while the file is read.

    Attributes:
        format: one of `FORMATS`.
        compression: `gzip`, `xz`, `zstandard` or None.
        encoding: name of the codec, or `utf-8 and windows-1252` for a mixed file.
        separator: of a csv file; None where it has one column.
        notes: sentences on what was guessed, renamed or left out.
    """

    format: str
    compression: str | None = None
    encoding: str | None = None
    separator: str | None = None
    notes: list[str] = field(default_factory=list)

    def note(self, sentence: str) -> None:
        """Add a sentence once."""
        if sentence not in self.notes:
            self.notes.append(sentence)


@dataclass
class Source:
    """An opened file as a format's reader takes it.

    Attributes:
        name: the path as shown to the user.
        head: the first unpacked bytes, up to 64 KiB.
        chunks: all unpacked bytes, the head included; to be gone through once.
        options: how to read.
        facts: filled in by the reader.
    """

    name: str
    head: bytes
    chunks: Iterator[bytes]
    options: ReadOptions
    facts: Facts
