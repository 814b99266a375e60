"""E-mail addresses: with an @, and written for people only: name (at) firm [dot] example.

Knows the form of an address and what only looks like one (logins of commands, names of files). Does not know whether a
mailbox exists, nor addresses in words without brackets (name at firm dot example).
"""

from __future__ import annotations

import re

from stellwerk.text.scan import PATTERN, Found, Rule, before

_LOCAL = re.compile(r"[\w.%+'~\u0300-\u036f-]*")
_DOMAIN = re.compile(r"[\w\u0300-\u036f-]+(?:\.[\w\u0300-\u036f-]+)+")
_TOP_LEVEL = re.compile(r"(?:[^\W\d_][\u0300-\u036f]*){2,24}$|[Xx][Nn]--[A-Za-z0-9-]{2,59}$")
_ENDINGS = "png jpg jpeg gif svg webp css js json html htm txt pdf xml yaml yml csv"
_FILE_ENDINGS = frozenset(_ENDINGS.split())
_PATH_BEHIND = re.compile(r":[~\w][\w.~/-]*")
_IN_URL = re.compile(r"://[^\s/@\x00]*$")


def _email(text: str, start: int, end: int) -> Found | None:
    at = text.index("@", start, end)
    local = (_LOCAL.match(text[max(0, at - 80) : at][::-1]) or [""])[0][::-1].lstrip(".-%'+~")
    host = _DOMAIN.match(text, at + 1, at + 256)
    if not local or len(local) > 64 or local.endswith((".", "'")) or host is None:
        return None
    labels = host.group().rstrip("-").split(".")
    while len(labels) > 1 and not _TOP_LEVEL.match(labels[-1]):
        labels.pop()
    domain = ".".join(labels)
    first, last = at - len(local), at + 1 + len(domain)
    if len(labels) < 2 or labels[-1].lower() in _FILE_ENDINGS or any(not label or label[0] == "-" for label in labels):
        return None
    behind, ahead = text[last : last + 1], text[first - 1 : first]
    if behind == "@" or ahead == "@" or local.lower() == "git":
        return None
    path = _PATH_BEHIND.match(text, last) if behind == ":" else None
    if (path and ("/" in path.group() or ".git" in path.group())) or _IN_URL.search(before(text, first, 160)):
        return None  # user and host of a copy or login command, not a mailbox
    return Found(first, last, 0.95, PATTERN)


# ---------------------------------------------------------------- an @ in words

_AT = r"[ ]{0,2}[\[({][ ]?(?:at|ät|@)[ ]?[\])}][ ]{0,2}"
_DOT = r"[ ]{0,2}[\[({][ ]?(?:dot|punkt|\.)[ ]?[\])}][ ]{0,2}|[ ]{1,2}(?:dot|punkt)[ ]{1,2}"
# Read from right to left, so that it starts at the @ and ends where the name begins.
_NAME_BACKWARDS = re.compile(r"[\w.%+'~-]+(?:[ ]{0,2}[\])}][ ]?(?:tod|tknup|\.)[ ]?[\[({][ ]{0,2}[\w%+'~-]+)*", re.IGNORECASE)
_AT_SIGN = re.compile(_AT, re.IGNORECASE)
_LABEL = re.compile(r"[\w-]+")
_LABEL_END = re.compile(rf"\.(?=\w)|{_DOT}", re.IGNORECASE)
_SENTENCE_WORDS = (
    "aim aimed am and any are arrive at available be based by call can come directly else found good here hosted is it just "
    "laugh live lives located look looked looking looks me meet met not of off only or out point pointed read run running "
    "runs see seen served sold starting starts still stop that them there this up us visit was we were working works you "
    "ab an auch auf bei bin bis da das der die du er es für hier ich im in ist mit nur oder seit sie sind so treffen uns "
    "und verfügbar vom von war wir zu zum zur"
)
_BEFORE_AT = frozenset(_SENTENCE_WORDS.split())
"""Words that stand before "at" or an aside in a sentence; no mailbox is called so."""


def _in_words(text: str, start: int, end: int) -> Found | None:
    """An address whose @ stands in brackets, as a word or as itself; its dots may be written so too."""
    sign = _AT_SIGN.search(text, start, end)
    if sign is None:
        return None
    last, labels, spelt = _domain(text, sign.end())
    if len(labels) < 2 or not _top_level(labels[-1]) or any(label[0] == "-" for label in labels):
        return None
    backwards = _NAME_BACKWARDS.match(text[max(0, sign.start() - 96) : sign.start()][::-1])
    if backwards is None:
        return None
    local = backwards.group()[::-1].lstrip(".-%'+~")
    if not local or local.endswith((".", "'")) or not any(map(str.isalpha, local)):
        return None
    tight = sign.group()[0] != " " and sign.group()[-1] != " "
    if local.lower() in _BEFORE_AT and not tight and not spelt:
        return None
    return Found(sign.start() - len(local), last, 0.8 if spelt else 0.7 if tight else 0.6, PATTERN)


def _domain(text: str, start: int) -> tuple[int, list[str], bool]:
    """Read a domain: where it ends, its labels, and whether one of its dots is written in words."""
    labels: list[str] = []
    spelt = False
    place = last = start
    while len(labels) < 8 and (label := _LABEL.match(text, place, place + 63)):
        labels.append(label.group())
        last = label.end()
        dot = _LABEL_END.match(text, last, last + 16)
        if dot is None:
            break
        spelt |= dot.group() != "."
        place = dot.end()
    return last, labels, spelt


def _top_level(label: str) -> bool:
    """Tell a top-level domain from the first word of the next sentence and from the ending of a file."""
    return bool(_TOP_LEVEL.match(label)) and label.lower() not in _FILE_ENDINGS and (label.islower() or label.isupper())


RULES = (
    Rule("EMAIL", r"[\pL\pM\pN_%+'~-]@[\pL\pN][\pL\pM\pN_-]*\.[\pL\pN]", _email),
    Rule("EMAIL", rf"(?i)[\pL\pN_+-]{_AT}[\pL\pN]", _in_words),
)
