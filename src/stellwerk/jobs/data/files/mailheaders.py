"""Values of a mail's headers: encoded words, addresses, dates and the numbers of messages.

It knows how mail writes them, and how programs write them wrongly; it never raises on a header. It does not know parts.
"""

from __future__ import annotations

import binascii
import datetime
import hashlib
import re
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime

from stellwerk.jobs.data.files.encoding import clean_surrogates, decode_odd
from stellwerk.jobs.data.files.mailtext import codec_of

MAX_VALUE = 2**17  # characters of one header that are looked at
_WORD = re.compile(r"=\?([\w.:+-]{1,40})(?:\*[\w-]{0,20})?\?([bBqQ])\?([^?]*)\?=")
_MESSAGE_ID = re.compile(r"<\s*([^<>]+?)\s*>")
_SPECIAL = re.compile(r'[,;:<>@"()\[\]\\]')
_ZONES = {  # those that the standard library does not know, in hours
    **dict.fromkeys(("WET", "GMT", "UTC", "UT"), "+0000"),
    **dict.fromkeys(("CET", "MEZ", "WEST", "BST"), "+0100"),
    **dict.fromkeys(("CEST", "MESZ", "EET"), "+0200"),
    "EEST": "+0300",
}
_ZONE = re.compile(rf"\b({'|'.join(_ZONES)})\s*$")


def value_of(headers: Message, name: str) -> str | None:
    """Read a header as text.

    Args:
        headers: of a mail.
        name: of the header, in any case.

    Returns:
        Its text with encoded words decoded and blanks joined, or None where it is missing or blank.
    """
    raw = _raw(headers, name)
    return decoded_words(raw) or None if raw else None


def decoded_words(text: str) -> str:
    """Decode the encoded words (RFC 2047) of a header's text; what cannot be decoded stays as it is."""
    parts: list[str] = []
    pending, charset, end = b"", "", 0
    for match in _WORD.finditer(text):
        raw = _word_bytes(match[2], match[3])
        between = text[end : match.start()]
        if raw is None:
            continue
        if between.strip() or not pending or match[1].lower() != charset:
            parts += [_word_text(pending, charset), between if between.strip() or not pending else ""]
            pending = b""
        # Some programs cut a character in two, so words of one encoding that follow each other are decoded as one.
        pending, charset, end = pending + raw, match[1].lower(), match.end()
    parts += [_word_text(pending, charset), text[end:]]
    return " ".join(clean_surrogates("".join(parts)).split())


def _word_bytes(kind: str, text: str) -> bytes | None:
    try:
        if kind in "qQ":
            return binascii.a2b_qp(text.encode(), header=True)
        raw = text.encode()
        return binascii.a2b_base64(raw + b"=" * (-len(raw) % 4)) or (None if raw else b"")
    except (binascii.Error, ValueError):
        return None


def _word_text(raw: bytes, charset: str) -> str:
    codec = codec_of(charset)
    for name in ("utf-8", codec) if codec in (None, "cp1252") else (codec, "utf-8"):
        try:
            return raw.decode(name or "utf-8")
        except (UnicodeError, ValueError):
            continue
    return decode_odd(raw)


def addresses(headers: Message, *names: str) -> str | None:
    """Read headers of addresses.

    Args:
        headers: of a mail.
        names: of the headers, such as to and cc.

    Returns:
        The addresses, joined by a comma and a blank, each as `Name <user@host>` or `user@host`; the text as it stands
        where none is found in it; None where the headers are missing.
    """
    found: list[str] = []
    for name in names:
        for raw in headers.get_all(name, []):
            text = str(raw)[:MAX_VALUE]
            found += _addresses(text) or [part for part in (decoded_words(text),) if part]
    return ", ".join(found) or None


def _addresses(text: str) -> list[str]:
    # Addresses come first, words second: an encoded name may hold commas.
    try:
        pairs = getaddresses([" ".join(text.split())])
    except (ValueError, IndexError, TypeError, AttributeError, RecursionError):
        return []
    found = []
    for name, address in pairs:
        if "@" in address:
            shown = decoded_words(name)
            if _SPECIAL.search(shown):
                shown = '"' + shown.replace("\\", "\\\\").replace('"', '\\"') + '"'
            address = clean_surrogates("".join(address.split()))
            found.append(f"{shown} <{address}>" if shown else address)
    return found


def sent(headers: Message) -> datetime.datetime | None:
    """Read when a mail was sent, as naive UTC; None where its date is missing or cannot be read."""
    text = _ZONE.sub(lambda match: _ZONES[match[1]], (value_of(headers, "date") or "")[:200])
    for read in (parsedate_to_datetime, datetime.datetime.fromisoformat):
        try:
            moment = read(text)
            if moment.tzinfo is None:
                return moment
            return moment.astimezone(datetime.UTC).replace(tzinfo=None)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None


def message_id(headers: Message) -> str | None:
    """The number of a message as a digest: it joins answers to what they answer, and has no address in it."""
    text = (value_of(headers, "message-id") or "")[:1000]
    match = _MESSAGE_ID.search(text)
    return _digest(match[1] if match else text)


def answered(headers: Message) -> str | None:
    """Which message a mail answers, as `message_id` gives it: In-Reply-To, else the last of References."""
    match = _MESSAGE_ID.search((_raw(headers, "in-reply-to") or "")[:4000])
    if match:
        return _digest(match[1])
    earlier = _MESSAGE_ID.findall((_raw(headers, "references") or "")[-4000:])
    return _digest(earlier[-1]) if earlier else None


def _digest(number: str) -> str | None:
    found = "".join(number.split())
    return f"m{hashlib.sha256(found.encode(errors='replace')).hexdigest()[:16]}" if found else None


def _raw(headers: Message, name: str) -> str | None:
    value = headers.get(name)
    return None if value is None else str(value)[:MAX_VALUE]
