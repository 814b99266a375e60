"""A mail as a tree of parts: headers, bodies as they stand in the file, and parts within parts.

It knows MIME's structure and transfer encodings; not what a part means for the reader, and not how text is decoded.
Bodies are found by position and never copied before they are asked for, and how deep and how many is limited, because
mails come from strangers.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from email.parser import HeaderParser
from email.policy import compat32

from stellwerk.jobs.data.files.encoding import clean_surrogates, decode_odd, detect
from stellwerk.jobs.data.files.mailheaders import decoded_words
from stellwerk.jobs.data.files.shapes import FileProblem

MAX_PARTS = 500  # in one file, the mails within mails included
MAX_NESTING = 20  # multiparts within multiparts of one mail
MAX_HEADERS = 2**20  # bytes of headers of one part
MAX_STRUCTURE = 4096  # characters of a header that says what a part is; the library looks at each again for each `;`
_FIELD = re.compile(rb"[!-9;-~]++[ \t]*+:[^\n]*(?:\n|\Z)(?:[ \t][^\n]*(?:\n|\Z))*+")
_MARKS = ("from", "to", "subject", "date", "received", "message-id", "mime-version", "content-type", "return-path")
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass
class Budget:
    """How many parts a file may still have."""

    parts: int = MAX_PARTS

    def spend(self) -> None:
        """Count one part.

        Raises:
            FileProblem: `too_many_parts`.
        """
        self.parts -= 1
        if self.parts < 0:
            raise FileProblem(
                "too_many_parts", f"has more than {MAX_PARTS} parts; save what is needed of it as mails of its own"
            )


@dataclass
class Part:
    """One part of a mail, or the whole mail.

    Attributes:
        headers: its header fields.
        data: the bytes that hold the mail.
        start: where its body begins in `data`.
        end: where its body ends.
        parts: the parts of a multipart, in their order.
        cut: the body of a multipart ends before its last boundary.
        default: the type of a part that names none.
    """

    headers: Message
    data: bytes
    start: int
    end: int
    parts: list[Part] = field(default_factory=list)
    cut: bool = False
    default: str = "text/plain"

    @property
    def type(self) -> str:
        """The content type in small letters; a multipart whose parts were not found is text."""
        if self.headers.get("content-type") is None:
            return self.default
        named = self.headers.get_content_type()
        return "text/plain" if named.startswith("multipart/") and not self.parts else named

    @property
    def disposition(self) -> str:
        """`inline`, `attachment` or an empty string."""
        return self.headers.get_content_disposition() or ""

    @property
    def file_name(self) -> str | None:
        """The name of an attached file, without folders and control characters."""
        try:
            name = self.headers.get_filename()
        except (ValueError, LookupError, TypeError):
            return None
        plain = _UNSAFE.sub("", clean_surrogates(decoded_words(name or ""))).replace("\\", "/").rsplit("/", 1)[-1].strip()
        return plain[:255] or None

    def parameter(self, name: str) -> str:
        """A parameter of the content type; an empty string where there is none."""
        try:
            value = self.headers.get_param(name, "")
        except (ValueError, LookupError, TypeError):
            return ""
        return str(value[2] if isinstance(value, tuple) else value or "").strip()

    def content(self) -> bytes:
        """The body without its transfer encoding; what is broken in base64 is left out."""
        raw = self.data[self.start : self.end]
        encoding = str(self.headers.get("content-transfer-encoding", "")).split(";")[0].strip().lower()
        if encoding == "base64":
            clean = raw.translate(None, _NOT_BASE64)
            clean = clean[: len(clean) - (len(clean) % 4 == 1)]
            return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))
        return binascii.a2b_qp(raw) if encoding == "quoted-printable" else raw

    def leaves(self) -> Iterator[tuple[Part, Part | None]]:
        """Go through the parts that hold no parts themselves, each with the multipart that it stands in."""
        for part in self.parts:
            for leaf, within in part.leaves():
                yield leaf, within or self
        if not self.parts:
            yield self, None


def parse_mail(data: bytes, budget: Budget) -> Part:
    """Take a mail apart.

    Args:
        data: its bytes, as a mail program saves them (.eml).
        budget: of parts; shared by the mails within a mail.

    Returns:
        The mail.

    Raises:
        FileProblem: `not_a_mail`, `too_many_parts`, `too_deep` or `too_large`.
    """
    data = _in_lines(data)
    start = data.index(b"\n") + 1 if data.startswith((b"From ", b">From ")) and b"\n" in data else 0
    mail = _part(data, start, len(data), "text/plain", budget, 0)
    if not any(mark in mail.headers for mark in _MARKS):
        if data.startswith(b"\xd0\xcf\x11\xe0"):
            raise FileProblem("not_a_mail", "is an Outlook message (.msg), not a mail as text; save it as .eml")
        raise FileProblem("not_a_mail", "does not begin with the header of a mail, such as From: or Subject:; check what it is")
    return mail


def _in_lines(data: bytes) -> bytes:
    encoding = detect(data[: 2**16], None)
    data = data[encoding.bom :]
    if encoding.wide:
        data = clean_surrogates(data.decode(encoding.name, "replace")).encode()
    data = data.lstrip(b"\r\n")
    return data if b"\n" in data else data.replace(b"\r", b"\n")


def _part(data: bytes, start: int, end: int, default: str, budget: Budget, depth: int) -> Part:
    budget.spend()
    body = start
    while (match := _FIELD.match(data, body, end)) and match.end() > body:
        body = match.end()
    if body - start > MAX_HEADERS:
        raise FileProblem("too_large", f"has more than {MAX_HEADERS / 2**20:.3g} MiB of headers; check what wrote it")
    headers = HeaderParser(policy=compat32).parsestr(_header_text(data[start:body]))
    for name in ("content-type", "content-disposition"):
        if len(value := str(headers.get(name, ""))) > MAX_STRUCTURE:
            headers.replace_header(name, value[:MAX_STRUCTURE])
    if data.startswith(b"\r\n", body, end):
        body += 2
    elif data.startswith(b"\n", body, end):
        body += 1
    part = Part(headers, data, body, end, default=default)
    boundary = part.parameter("boundary")
    if boundary and headers.get_content_maintype() == "multipart":
        if depth >= MAX_NESTING:
            raise FileProblem(
                "too_deep", f"has parts within parts more than {MAX_NESTING} deep; save them as mails of their own"
            )
        inner = "message/rfc822" if headers.get_content_subtype() == "digest" else "text/plain"
        spans, part.cut = _spans(data, body, end, boundary)
        for first, last in spans:
            part.parts.append(_part(data, first, last, inner, budget, depth + 1))
    return part


def _header_text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "".join(_line_text(line) for line in raw.splitlines(keepends=True))


def _line_text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return decode_odd(line)


def _spans(data: bytes, start: int, end: int, boundary: str) -> tuple[list[tuple[int, int]], bool]:
    """Find where the parts of a multipart begin and end, and whether the last boundary is missing."""
    pattern = re.compile(rb"\n--" + re.escape(boundary.encode("utf-8", "replace")) + rb"(--)?[ \t]*+(?=\r?\n|\Z)")
    spans: list[tuple[int, int]] = []
    open_at = -1
    for match in pattern.finditer(data, max(start - 1, 0), end):
        if open_at >= 0:
            spans.append((open_at, max(open_at, match.start() - (data[match.start() - 1] == 13))))
        if match[1]:
            return spans, False
        if len(spans) > MAX_PARTS:
            break
        line_end = data.find(b"\n", match.end(), end)
        open_at = line_end + 1 if line_end >= 0 else end
    if open_at >= 0:
        spans.append((open_at, end))
    return spans, bool(spans)
