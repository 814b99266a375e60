"""Reading mails of Outlook (.msg): one row a mail, with the columns of other mails.

The child process takes the mail apart (`extraction.py`). It does not give attachments out; a note says how many there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message

import pyarrow as pa

from stellwerk.jobs.data.files import mailheaders as headers
from stellwerk.jobs.data.files.extraction import extractor
from stellwerk.jobs.data.files.mailfile import COLUMNS
from stellwerk.jobs.data.files.names import ORIGIN
from stellwerk.jobs.data.files.schema import with_facts
from stellwerk.jobs.data.files.shapes import FileProblem, Source
from stellwerk.jobs.data.files.unpack import whole


def read_outlook(source: Source) -> Iterator[pa.Table]:
    """Read one mail.

    Args:
        source: the opened file.

    Yields:
        One table of one row: the columns of `mailfile.read_mail`; `in_reply_to` is not known.

    Raises:
        FileProblem: the file is damaged, too large or slow, or holds nothing.
    """
    limit = source.options.max_office_bytes
    sentence = f"is larger than {limit / 2**20:.3g} MiB as one mail; save its attachments apart or raise max_office_bytes"
    found = extractor().ask(whole(source.chunks, limit, sentence), "msg", source.options)
    text, title = found["pages"][0].strip(), " ".join((found["title"] or "").split())
    if not (text or title or found["attachments"]):
        raise FileProblem("empty_file", "has neither subject nor text; export it again or remove it")
    if found["attachments"]:
        many = "1 attachment, which is" if found["attachments"] == 1 else f"{found['attachments']} attachments, which are"
        source.facts.note(f"has {many} not read; save the mail as .eml to have them")
    head = Message()
    for name, values in found["headers"].items():
        for value in values:
            head[name] = value
    row = {
        ORIGIN: source.name,
        "title": title or None,
        "text": f"{text}\n" if text else "",
        "sent": headers.sent(head),
        "sender": headers.addresses(head, "from"),
        "recipients": headers.addresses(head, "to", "cc"),
        "message_id": headers.message_id(head),
        "in_reply_to": None,
        "attached_to": None,
    }
    yield with_facts(pa.Table.from_pylist([row], schema=COLUMNS), source.facts)
