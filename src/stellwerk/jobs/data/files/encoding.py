"""From bytes to text: which encoding, is it text at all, and what to do with bytes that do not fit.

It works on streams and blocks of lines; it does not know csv or JSON. Without an encoding from the user a file is
UTF-8, and each line that is not is read as Windows-1252: so one file may mix both, as exports that were joined by
hand do.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

from stellwerk.errors import UserError
from stellwerk.jobs.data.files.shapes import Facts, FileProblem

BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
BINARY = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a zip archive (perhaps an Excel or Word file)",
    b"\xd0\xcf\x11\xe0": "an old or encrypted Office file",
    b"PAR1": "a Parquet file",
    b"\x7fELF": "a program",
    b"MZ\x90": "a program",
    b"SQLite format 3": "an SQLite database",
    b"BZh": "a bzip2 archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"RIFF": "a sound, image or video file",
}
_CONTROL = bytes([*range(9), *range(14, 27), *range(28, 32)])
_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xf4][\x80-\xbf]{2}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True)
class Encoding:
    """The encoding of a file.

    Attributes:
        name: a Python codec.
        given: the user named it, so no other is tried.
        bom: number of bytes of the byte order mark.
        wide: line ends are not single bytes, so the stream is turned into UTF-8 first.
    """

    name: str
    given: bool = False
    bom: int = 0
    wide: bool = False


def clean_surrogates(text: str) -> str:
    """Replace lone surrogates, which no UTF-8 file can hold, by U+FFFD."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def check_text(head: bytes, wanted: str) -> None:
    """Raise FileProblem `not_text` when the first bytes are those of a binary file.

    Args:
        head: up to 64 KiB.
        wanted: the format that was expected, for the sentence.
    """
    for magic, kind in BINARY.items():
        if head.startswith(magic):
            reason = f"was to be read as {wanted} but is {kind}; give it the right ending or leave it out of the pattern"
            raise FileProblem("not_text", reason)
    control = (len(head) - len(head.translate(None, _CONTROL))) / max(len(head), 1)
    if control > 0.3 or (control > 0.05 and not _is_utf8(head)):
        reason = f"was to be read as {wanted} but holds binary data; give it the right ending or leave it out"
        raise FileProblem("not_text", reason)


def detect(head: bytes, given: str | None) -> Encoding:
    """Work out the encoding from the first bytes.

    Args:
        head: up to 64 KiB.
        given: the user's encoding, if any; a byte order mark of the same family is still skipped.

    Returns:
        The encoding; UTF-8 (not given) where nothing speaks against it.

    Raises:
        UserError: the user's encoding is unknown.
    """
    marked = next(((len(bom), name) for bom, name in BOMS if head.startswith(bom)), None)
    if given is not None:
        return _given(given, marked)
    if marked:
        bom, name = marked
        return Encoding(name, bom=bom, wide=name != "utf-8")
    even, odd = head[0::2], head[1::2]
    if len(head) >= 4 and odd.count(0) > 0.6 * len(odd) and even.count(0) < 0.05 * len(even):
        return Encoding("utf-16-le", wide=True)
    if len(head) >= 4 and even.count(0) > 0.6 * len(even) and odd.count(0) < 0.05 * len(odd):
        return Encoding("utf-16-be", wide=True)
    return Encoding("utf-8")


def _given(given: str, marked: tuple[int, str] | None) -> Encoding:
    try:
        name = codecs.lookup(given).name
        wide = '\r\n;,"{}'.encode(name) != b'\r\n;,"{}'
        b"a".decode(name)
    except (LookupError, UnicodeError):
        wide, name = True, codecs.lookup(given).name if _known(given) else ""
    if not name or name in ("utf-7", "idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape"):
        raise UserError(f"Unknown encoding '{given}'; use a name such as utf-8, latin-1, cp1252 or utf-16.")
    family = name.replace("-sig", "")
    if marked and marked[1].startswith(family):
        return Encoding(marked[1], given=True, bom=marked[0], wide=wide and marked[1] != "utf-8")
    if family in ("utf-16", "utf-32"):
        family += "-le"
    return Encoding(family if name != "utf-8-sig" else "utf-8", given=True, wide=wide and name != "utf-8-sig")


def _known(name: str) -> bool:
    try:
        return bool(codecs.lookup(name)._is_text_encoding)
    except LookupError:
        return False


def to_lines_of_bytes(chunks: Iterator[bytes], encoding: Encoding, facts: Facts) -> Iterator[bytes]:
    """Take off the byte order mark and turn wide encodings into UTF-8.

    Args:
        chunks: the stream as it stands in the file.
        encoding: from `detect`.
        facts: gets the encoding, and a note where characters were broken.

    Yields:
        Bytes in which every line end is a single byte or CR LF.
    """
    facts.encoding = encoding.name
    skip = encoding.bom
    decoder = codecs.getincrementaldecoder(encoding.name)("replace") if encoding.wide else None
    for chunk in chunks:
        if skip:
            skip, chunk = skip - min(skip, len(chunk)), chunk[skip:]
        if decoder is not None:
            chunk = clean_surrogates(decoder.decode(chunk)).encode()
        if chunk:
            yield chunk
    if decoder is not None and (rest := decoder.decode(b"", True)):
        facts.note("the last character is cut off and became U+FFFD")
        yield rest.encode()


class LineDecoder:
    """Turns blocks of whole lines into text, and counts the lines that were not in the expected encoding."""

    def __init__(self, encoding: Encoding, facts: Facts) -> None:
        self._codec = "utf-8" if encoding.wide else encoding.name
        self._strict = encoding.given and not encoding.wide
        self._facts = facts
        self._odd = 0
        self._first = 0
        self._proper = False

    def lines(self, block: bytes, first_line: int) -> tuple[list[str], list[int]]:
        """Decode a block.

        Args:
            block: whole lines.
            first_line: number of its first line, counted from 1.

        Returns:
            The lines with their ends, and the indexes of those that the user's encoding cannot read (they are empty).
        """
        try:
            text = block.decode(self._codec)
        except UnicodeDecodeError:
            lines = self._all_odd(block, first_line)
            return (lines, []) if lines else self._one_by_one(block.splitlines(keepends=True), first_line)
        self._proper = self._proper or not text.isascii()
        return list(io.StringIO(text, newline="")), []

    def _all_odd(self, block: bytes, first_line: int) -> list[str]:
        """Decode a block at once in which nothing is UTF-8; empty when its lines must be looked at one by one."""
        if self._strict or self._codec != "utf-8" or _MULTIBYTE.search(block):
            return []
        try:
            lines = list(io.StringIO(block.decode("cp1252"), newline=""))
        except UnicodeDecodeError:
            return []
        odd = [index for index, line in enumerate(lines) if not line.isascii()]
        self._odd += len(odd)
        self._first = self._first or first_line + odd[0]
        return lines

    def _one_by_one(self, raw: list[bytes], first_line: int) -> tuple[list[str], list[int]]:
        lines: list[str] = []
        bad: list[int] = []
        for index, line in enumerate(raw):
            try:
                text = line.decode(self._codec)
                self._proper = self._proper or not text.isascii()
            except UnicodeDecodeError:
                if self._strict:
                    bad.append(index)
                    text = "\n"
                else:
                    text = self.odd(line, first_line + index)
            lines.append(text)
        return lines, bad

    def odd(self, line: bytes, number: int) -> str:
        """Decode one line that is not UTF-8, and count it."""
        self._odd += 1
        self._first = self._first or number
        self._facts.encoding = "utf-8 and windows-1252" if self._proper else "windows-1252"
        return decode_odd(line)

    def finish(self) -> None:
        """Write what was found into the facts."""
        if self._odd:
            self._facts.encoding = "utf-8 and windows-1252" if self._proper else "windows-1252"
            lines = "line is" if self._odd == 1 else "lines are"
            self._facts.note(
                f"{self._odd} {lines} not UTF-8 (first: line {self._first}) and read as Windows-1252, which is a "
                "guess; name the encoding if letters look wrong"
            )


def decode_odd(line: bytes) -> str:
    """Decode bytes that are not UTF-8 as Windows-1252, byte by byte where they are mostly UTF-8.

    Args:
        line: a line, or a document.

    Returns:
        Its text; nothing is lost, as each of the 256 bytes has a character (Latin-1 where Windows-1252 has a hole).
    """
    text = line.decode("utf-8", "surrogateescape")
    broken = len(_ESCAPED.findall(text))
    proper = sum(not character.isascii() for character in text) - broken
    if proper > broken:
        return _ESCAPED.sub(lambda match: _single(ord(match[0]) - 0xDC00), text)
    try:
        return line.decode("cp1252")
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _single(byte: int) -> str:
    raw = bytes([byte])
    try:
        return raw.decode("cp1252")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def decode_document(data: bytes, given: str | None, facts: Facts, hint: str | None = None) -> str:
    """Decode a whole document.

    Args:
        data: its bytes.
        given: the user's encoding, if any.
        facts: gets the encoding.
        hint: an encoding that the document names itself; tried after UTF-8.

    Returns:
        The text, without byte order mark.

    Raises:
        FileProblem: `encoding`, when the user's encoding does not fit.
    """
    encoding = detect(data[: 2**16], given)
    facts.encoding = encoding.name
    data = data[encoding.bom :]
    try:
        return clean_surrogates(data.decode(encoding.name, "replace" if encoding.wide else "strict"))
    except UnicodeDecodeError as error:
        if encoding.given:
            line = data[: error.start].count(b"\n") + 1
            reason = f"is not {encoding.name} at line {line}; leave the encoding out, or name the right one"
            raise FileProblem("encoding", reason) from None
    if hint and _known(hint):
        try:
            text = data.decode(hint)
        except (UnicodeDecodeError, LookupError):
            pass
        else:
            facts.encoding = codecs.lookup(hint).name
            return clean_surrogates(text)
    facts.encoding = "windows-1252"
    facts.note("is not UTF-8 and was read as Windows-1252, which is a guess; name the encoding if letters look wrong")
    return decode_odd(data)


def _is_utf8(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True
