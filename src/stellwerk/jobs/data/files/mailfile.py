"""Reading e-mails (.eml): one row for the mail, and rows for the documents and mails attached to it.

It knows which parts of a mail are its text, which are documents and which are neither. How a document is read is given
to it; nothing is written to disk.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from stellwerk.jobs.data.files import mailheaders as headers
from stellwerk.jobs.data.files.mailparts import Budget, Part, parse_mail
from stellwerk.jobs.data.files.mailtext import body_text, html_text, joined_lines
from stellwerk.jobs.data.files.names import ORIGIN
from stellwerk.jobs.data.files.schema import FACTS, facts_of, with_facts
from stellwerk.jobs.data.files.shapes import FileProblem, Source, Unreadable
from stellwerk.jobs.data.files.unpack import whole

ReadAttached = Callable[[bytes, str, str], Iterator[pa.Table | Unreadable]]

MAX_DEPTH = 3  # mails within mails
STUB = 4  # a plain text is only a stub when the HTML beside it has so many times its characters
MIN_STUB = 400  # characters that the HTML has more, so that short mails keep their plain text
TYPES = {
    "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.oasis.opendocument.text": ".odt",
    "text/html": ".html",
    "text/markdown": ".md",
    "text/plain": ".txt",
    "message/rfc822": ".eml",
    "message/global": ".eml",
}
DOCUMENTS = frozenset((*TYPES.values(), ".htm", ".xhtml", ".markdown", ".text"))
SIGNATURES = frozenset(("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"))
SEALED = frozenset(("application/pkcs7-mime", "application/x-pkcs7-mime"))
# Endings that may be named and believed: Python's own table, not this machine's, and what it lacks.
KNOWN = frozenset((*mimetypes.MimeTypes().types_map[True], *DOCUMENTS, ".xlsx", ".ods", ".msg", ".ics", ".vcf", ".rar", ".7z"))
COLUMNS = pa.schema(
    [
        *((name, pa.string()) for name in (ORIGIN, "title", "text")),
        ("sent", pa.timestamp("us")),
        *((name, pa.string()) for name in ("sender", "recipients", "message_id", "in_reply_to", "attached_to")),
    ]
)


@dataclass(frozen=True)
class _Reading:
    """What is the same for a mail and the mails within it."""

    source: Source
    read_attached: ReadAttached | None
    budget: Budget


@dataclass(frozen=True)
class _Attachment:
    part: Part
    number: int
    ending: str


def read_mail(source: Source, read_attached: ReadAttached | None = None) -> Iterator[pa.Table | Unreadable]:
    """Read one e-mail.

    Args:
        source: the opened file; `options.attachments` says whether attached documents and mails are read too.
        read_attached: reads an attached document out of its bytes, its origin and its ending such as `.pdf`; None when
            only the mails within the mail are wanted.

    Yields:
        A table of one row for the mail: origin, title (its subject), text, sent (naive UTC), sender, recipients (to and
        cc), message_id, in_reply_to, attached_to (null). Then, for each attachment that is a document or a mail, tables
        with the origin `MAIL#attachment N`, the file's name as title where the document has none, and attached_to, the
        origin of the mail; N counts all attachments of that mail from 1. An `Unreadable` for each that could not be
        read.

    Raises:
        FileProblem: the file is no mail, is encrypted, too large, too deep, or has too many parts.
    """
    limit = source.options.max_office_bytes
    sentence = f"is larger than {limit / 2**20:.3g} MiB as one mail; save its attachments apart or raise max_office_bytes"
    data = whole(source.chunks, limit, sentence)
    yield from _mail(_Reading(source, read_attached, Budget()), data, source.name, None, 0)


def _mail(reading: _Reading, data: bytes, origin: str, attached_to: str | None, depth: int) -> Iterator[pa.Table | Unreadable]:
    mail = parse_mail(data, reading.budget)
    _check_open(mail)
    facts = reading.source.facts
    if any(part.cut for part in _all_parts(mail)):
        facts.note("ends before its last part does; it may be cut off")
    text = _text(mail, reading.source).strip()
    if text.startswith("-----BEGIN PGP MESSAGE-----"):
        raise _sealed()
    attachments = list(_attachments(mail)) if reading.source.options.attachments else []
    wanted = [one for one in attachments if _is_read(one, reading)]
    _note_left_out(reading, [one for one in attachments if not _is_read(one, reading)])
    title = headers.value_of(mail.headers, "subject")
    if not (text or title or attachments):
        raise FileProblem("empty_file", "has neither subject nor text; export it again or remove it")
    row = {
        ORIGIN: origin,
        "title": title,
        "text": text + "\n" if text else "",
        "sent": headers.sent(mail.headers),
        "sender": headers.addresses(mail.headers, "from") or headers.addresses(mail.headers, "sender"),
        "recipients": headers.addresses(mail.headers, "to", "cc"),
        "message_id": headers.message_id(mail.headers),
        "in_reply_to": headers.answered(mail.headers),
        "attached_to": attached_to,
    }
    if row["sent"] is None and headers.value_of(mail.headers, "date"):
        facts.note("has a date that could not be read")
    yield with_facts(pa.Table.from_pylist([row], schema=COLUMNS), facts)
    for attachment in wanted:
        yield from _attached(reading, attachment, origin, depth)


def _all_parts(part: Part) -> Iterator[Part]:
    yield part
    for inner in part.parts:
        yield from _all_parts(inner)


def _sealed() -> FileProblem:
    return FileProblem("encrypted", "is encrypted, or signed so that it cannot be read as it is; export it decrypted")


def _check_open(mail: Part) -> None:
    if mail.type in SEALED or (mail.type == "multipart/encrypted" and mail.parts):
        raise _sealed()


def _text(part: Part, source: Source, whole: bool = True) -> str:
    """The text of a mail: of alternatives the first with text (plain), unless it is only a stub of the HTML."""
    texts = [text for text in (_text(inner, source, False) for inner in part.parts) if text.strip()]
    if part.type == "multipart/alternative" and texts:
        longest = max(texts, key=len)
        stub = len(longest) > STUB * len(texts[0]) and len(longest) - len(texts[0]) > MIN_STUB
        return longest if stub else texts[0]
    if part.parts:
        return "\n\n".join(text.strip("\n") for text in texts)
    if not _is_text(part, whole):
        return ""
    html = part.type == "text/html"
    text = body_text(part.content(), part.parameter("charset") or source.options.encoding or "", source.facts, html)
    if html:
        return html_text(text)
    if part.parameter("format").lower() == "flowed":
        text = joined_lines(text, part.parameter("delsp").lower() == "yes")
    return "\n".join(line.rstrip() for line in text.split("\n"))


def _is_text(part: Part, whole: bool) -> bool:
    named = part.disposition == "attachment" or (part.file_name is not None and not whole)
    return part.type in ("text/plain", "text/html") and not named


def _attachments(mail: Part) -> Iterator[_Attachment]:
    number = 0
    for part, within in mail.leaves():
        if _is_text(part, within is None):
            continue
        ending = _ending(part.file_name, part.type)
        related = within is not None and within.type == "multipart/related" and part.disposition != "attachment"
        picture = part.type.startswith("image/") and (related or "content-id" in part.headers)
        if not picture and part.type not in SIGNATURES and ending not in (".p7s", ".asc", ".sig"):
            number += 1
            yield _Attachment(part, number, ending)


def _ending(name: str | None, content_type: str) -> str:
    dot = (name or "").rfind(".")
    ending = (name or "")[dot:].lower() if dot > 0 else ""
    if ending in DOCUMENTS or (ending in KNOWN and content_type not in TYPES):
        return ending
    return TYPES.get(content_type, ending)


def _is_read(attachment: _Attachment, reading: _Reading) -> bool:
    return attachment.ending == ".eml" or (attachment.ending in DOCUMENTS and reading.read_attached is not None)


def _note_left_out(reading: _Reading, left_out: list[_Attachment]) -> None:
    facts = reading.source.facts
    outlook = [one for one in left_out if one.part.type in ("application/ms-tnef", "application/vnd.ms-tnef")]
    outlook += [one for one in left_out if one not in outlook and (one.part.file_name or "").lower() == "winmail.dat"]
    others = [one for one in left_out if one not in outlook]
    if outlook:
        facts.note("holds winmail.dat, in which Outlook packs attachments and which is not read; save them apart")
    if others:
        kinds = sorted({one.ending for one in others if one.ending in KNOWN})
        named = f" ({', '.join(kinds)})" if kinds else ""
        what = "attachment of a kind that is" if len(others) == 1 else "attachments of kinds that are"
        facts.note(f"has {len(others)} {what} not read{named}")


def _attached(reading: _Reading, attachment: _Attachment, mail: str, depth: int) -> Iterator[pa.Table | Unreadable]:
    origin = f"{mail}#attachment {attachment.number}"
    try:
        if attachment.ending == ".eml":
            if depth >= MAX_DEPTH:
                raise FileProblem(
                    "too_deep", f"is a mail within mails, more than {MAX_DEPTH} deep; save it as a file of its own"
                )
            yield from _mail(reading, attachment.part.content(), origin, mail, depth + 1)
        elif reading.read_attached is not None:
            for piece in reading.read_attached(attachment.part.content(), origin, attachment.ending):
                yield piece if isinstance(piece, Unreadable) else _row_of(piece, reading, attachment, origin, mail)
    except FileProblem as problem:
        if problem.rule == "too_many_parts":
            raise
        yield Unreadable(origin, f"{origin} {problem.reason}", problem.rule)


def _row_of(table: pa.Table, reading: _Reading, attachment: _Attachment, origin: str, mail: str) -> pa.Table:
    facts = reading.source.facts
    for note in facts_of(table).notes if FACTS in (table.schema.metadata or {}) else []:
        facts.note(f"attachment {attachment.number}: {note}")
    titles = table.column("title").to_pylist() if "title" in table.column_names else [None] * table.num_rows
    columns = {
        ORIGIN: [one if one.startswith(origin) else origin for one in table.column(ORIGIN).to_pylist()],
        "title": [title or attachment.part.file_name for title in titles],
    }
    arrays = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    arrays |= {name: table.column(name) for name in table.column_names if name not in (*arrays, "attached_to")}
    arrays["attached_to"] = pa.array([mail] * table.num_rows, pa.string())
    return with_facts(pa.table(arrays), facts)
