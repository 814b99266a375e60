"""Personal data with a form of their own: e-mail address, telephone number, IBAN, payment card; and secrets.

Knows how each is written and checks what can be checked (check digits, numbering plans). Does not know what a number
without form means: names, postal addresses and the identifiers in NOT_SEARCHED are not looked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from stellwerk.errors import UserError
from stellwerk.text import scan as scanning
from stellwerk.text import secrets
from stellwerk.text.checkdigits import IBAN_LENGTH, card_issuer, iban_shape, iban_valid, luhn, placeholder
from stellwerk.text.emails import RULES as EMAIL_RULES
from stellwerk.text.phones import RULES as PHONE_RULES
from stellwerk.text.scan import CHECK_DIGIT, CONTEXT, Found, Rule, before, mentioned, nearest, words


@dataclass(frozen=True)
class Kind:
    """One kind of data that can be searched.

    Attributes:
        name: as in findings and in the spec file.
        title: for people.
        validated: what a finding has passed besides its pattern.
    """

    name: str
    title: str
    validated: str


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("EMAIL", "E-mail address", "form only, an @ in brackets (at) counts; shared mailboxes (info@) too"),
        Kind("PHONE", "Telephone number", "numbering plan of its country (national forms: DE, AT, CH, GB, US)"),
        Kind(
            "IBAN",
            "Bank account (IBAN)",
            "country, length, check digits; a mistyped one only beside a word such as IBAN",
        ),
        Kind("CREDIT_CARD", "Payment card", "issuer's range, length, check digit; published test numbers count too"),
        Kind(
            secrets.SECRET,
            "Password, key or token",
            "published form of the key, or a word beside it and its randomness",
        ),
    )
}

NOT_SEARCHED: tuple[str, ...] = (
    "names of persons",
    "postal addresses",
    "dates of birth",
    "user names and social media handles",
    "tax identification number (Steuer-ID)",
    "tax number (Steuernummer)",
    "VAT identification number",
    "pension insurance number (Rentenversicherungsnummer)",
    "health insurance number (KVNR)",
    "identity card number",
    "passport number",
    "driving licence number",
    "number plates",
    "national identifiers of other countries (AHV, SVNR, NHS, NINO, SSN and others)",
    "bank accounts that are not written as an IBAN",
    "IP and MAC addresses",
    "locations",
    "health, religion and other special categories (GDPR Art. 9)",
    "e-mail addresses written in words without brackets (name at company dot com)",
    "telephone numbers written in national form outside DE, AT, CH, GB and US",
    "anything in images, sound or attached files",
)

# ---------------------------------------------------------------- numbers in groups


def groups(text: str, start: int, most: int, letters: bool = False) -> tuple[str, list[tuple[int, int]]]:
    """Read a number that is written in groups.

    Args:
        text: the normalised text.
        start: where the first character stands.
        most: characters to read at most, separators not counted.
        letters: whether ASCII letters count as characters of the number.

    Returns:
        The characters, and for each end of a group how many characters have been read and the place in the text. A
        group ends at a blank, a hyphen or the one line break that a number may hold.
    """
    characters: list[str] = []
    ends: list[tuple[int, int]] = []
    gap = lines = 0
    place = start
    for place in range(start, min(len(text), start + 3 * most)):
        character = text[place]
        if character.isascii() and (character.isdigit() or (letters and character.isalpha())):
            if len(characters) == most:
                break
            characters.append(character)
            gap = 0
            continue
        if not gap and characters:
            ends.append((len(characters), place))
        gap += 1
        lines += character == "\n"
        if character not in " -\n\r" or gap > 3 or lines > 1:
            break
    else:
        place += 1
    if characters and not gap:
        ends.append((len(characters), place))
    return "".join(characters), ends


def _bounded(text: str, start: int, end: int) -> bool:
    """Tell that a number does not go on as a longer number or word on either side."""
    ahead, behind = text[max(0, start - 2) : start], text[end : end + 2]
    if ahead[-1:].isalnum() or ahead[-1:] == "_" or behind[:1].isalnum() or behind[:1] == "_":
        return False
    joined = len(ahead) == 2 and ahead[1] in "-.," and ahead[0].isdigit()
    continued = behind[:1] in ("-", ".", ",") and behind[1:].isdigit()
    return not joined and not continued


# ---------------------------------------------------------------- IBAN

_ACCOUNT_WORD = words("iban|kont[oe]|account|bank|überw|ueberw|lastschrift|zahl|pay|wire|transfer|deposit|sepa|bic")


def _iban(text: str, start: int, end: int) -> Found | None:
    size = IBAN_LENGTH.get(text[start : start + 2].upper())
    if size is None:
        return None
    characters, ends = groups(text, start, size, letters=True)
    if len(characters) != size:
        return None
    last = ends[-1][1]
    if not _bounded(text, start, last):
        return None
    iban = characters.upper()
    context = mentioned(before(text, start, 60), _ACCOUNT_WORD)
    if iban_valid(iban):
        return Found(start, last, 0.99 if context else 0.95, CHECK_DIGIT)
    if context and iban_shape(iban) and iban[2:4] not in ("00", "01", "99"):
        return Found(start, last, 0.5, CONTEXT)
    return None


# ---------------------------------------------------------------- payment card

_CARD_WORD = words(
    r"(?:kredit|credit|debit|giro|bank)?-?(?:kart|card)\w*(?:[ .-]{0,2}(?:nr|no|nummer|number)\b)?"
    r"|visa\b|master ?card|amex|american express|diners|maestro|\bpan\b|\bcc\b"
)
_OTHER_NUMBER = words(
    r"order|bestell|sendung|tracking|imei|serial|serien|\bean|gtin|isbn|timestamp|zeitstempel|ticket|rechnung|invoice"
    r"|vertrag|contract|artikel|article|\bpart|teile|batch|charge|model|hash|commit|build|kunden|customer|epoch|container"
)
_GROUP_AHEAD = re.compile(r"(?:[0-9]{2}|[A-Za-z]{2})[0-9]{2}[ -]\Z")
_PRINTED = ((4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (6, 10), (4, 4, 4, 1))


def _card(text: str, start: int, end: int) -> Found | None:
    digits, ends = groups(text, start, 19)
    context = None
    for count, last in reversed(ends):
        number = digits[:count]
        issuer = card_issuer(number)
        if not (issuer or (count >= 13 and luhn(number) and not placeholder(number))) or not _bounded(text, start, last):
            continue
        if _GROUP_AHEAD.search(text, max(0, start - 5), start):
            continue  # the tail of a longer number
        closed = [size for size, _ in ends if size <= count]
        form = tuple(size - earlier for size, earlier in zip(closed, [0, *closed], strict=False))
        printed, solid = form in _PRINTED, len(form) == 1
        if context is None:
            context = nearest(before(text, start, 48), _CARD_WORD, _OTHER_NUMBER)
        score = _card_score(number, issuer, context, printed, solid)
        if score:
            return Found(start, last, score, CHECK_DIGIT if luhn(number) else CONTEXT)
    return None


def _card_score(number: str, issuer: str | None, context: int, printed: bool, solid: bool) -> float:
    """How surely a number is a card: 0 is no. One digit in ten passes Luhn, so form or a word must speak for it too."""
    if context > 0:
        if not luhn(number):
            return 0.4 if printed or solid else 0.0
        return 0.98 if issuer else 0.8
    if context < 0 or issuer is None or not luhn(number):
        return 0.0
    if printed:
        return 0.85
    return 0.6 if solid and len(number) in (15, 16) else 0.0


RULES = (
    *EMAIL_RULES,
    *PHONE_RULES,
    Rule("IBAN", rf"(?i)(?:{'|'.join(IBAN_LENGTH)})[0-9]{{2}}", _iban),
    Rule("CREDIT_CARD", r"\b[1-6][0-9](?:[ -]{0,2}[0-9]){10,17}", _card),
    Rule("CREDIT_CARD", r"\b[1-6][0-9]{3}(?:[ -]{0,2}[0-9]){0,14}[ -]?\r?\n[ ]?[0-9]{3}", _card),
    *secrets.RULES,
)

# ---------------------------------------------------------------- the two verbs


def scan(texts: Any, kinds: Sequence[str]) -> pa.Table:
    """Find personal data of the given kinds.

    Args:
        texts: n texts, null counts as empty: a string array, a chunked array or a sequence of str or None.
        kinds: names out of KINDS.

    Returns:
        One row per finding, by row and start, not overlapping within a row: `row` int64 (index into texts), `kind`
        string, `start` and `end` int32 (code points of the given text, end exclusive), `score` float32 (0 to 1),
        `evidence` string (`check digit`, `pattern` or `context`). Never the value.

    Raises:
        UserError: a kind that is not known.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise UserError(f"Unknown kind of personal data {unknown[0]!r}: expected one of {', '.join(KINDS)}.")
    return scanning.find(texts, [rule for rule in RULES if rule.kind in kinds])


def mask(texts: Any, findings: pa.Table, style: str = "label") -> pa.Array:
    """Replace each finding by the name of its kind in brackets, e.g. `[EMAIL]`.

    Args:
        texts: the n texts that were scanned.
        findings: what `scan` returned for them.
        style: `label` is the only one so far.

    Returns:
        n texts as large_string; null stays null.

    Raises:
        UserError: a style that is not known.
    """
    if style != "label":
        raise UserError(f"Unknown style of masking {style!r}: expected label.")
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    masked = texts.to_pylist() if isinstance(texts, pa.Array) else list(texts)
    places = zip(*(findings[name].to_pylist() for name in ("row", "kind", "start", "end")), strict=True)
    parts: dict[int, list[tuple[int, int, str]]] = {}
    for row, kind, start, end in places:
        parts.setdefault(row, []).append((start, end, kind))
    for row, spans in parts.items():
        text, pieces, last = masked[row], [], 0
        for start, end, kind in sorted(spans):
            pieces += [text[last:start], f"[{kind}]"]
            last = end
        masked[row] = "".join([*pieces, text[last:]])
    return pa.array(masked, pa.large_string())
