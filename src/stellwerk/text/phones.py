"""Telephone numbers: international form, and the national forms of DE, AT, CH, GB and US.

Knows numbering plans (phonenumbers' metadata, no network) and the words that stand before a telephone number or before
another number. Does not know who answers, nor national forms of other countries.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

import phonenumbers

from stellwerk.text.scan import CONTEXT, PATTERN, Found, Rule, before, nearest, words

_WORD = words(
    r"(?:\btel|telef|phone|\bfon\b|mobil|handy|\bcell|fax|\bcall|ruf|durchwahl|hotline|erreich|reach|whatsapp|\bsms\b"
    r"|signal|kontakt|contact|\bdial|rückfragen|nummer ist|number is|meine nummer|my number|\bring\b|zentrale|\bdesk\b)"
    r"[\w.]{0,12}(?:[ -]{0,2}(?:nr|no|nummer|number)\b\.?)?"
    r"|@[\w.-]+\.\w{2,24}[\"']?\s{0,2}[;,|\t]\s{0,2}[\"']?$"
)
_OTHER = words(
    r"(?:\b(?:no|id|az|plz|ip|zip|ref|ust|ean|lot|sku|cas|parts?|page|section|seite|nhs|ssn|model|issn|isbn|imei|date)\b"
    r"|\bdatum|\b[\w-]*n[ru]\b|\b\w+-?nummer\b|\border|bestell|kunden|customer|artikel|\barticle|rechnung|invoice|beleg"
    r"|aktenz|gtin|charge|batch|serial|serien|version|release|ticket|sendung|tracking|contract|vertrag|konto|account"
    r"|\biban|\bblz|steuer|\bhr[ab]\b|epoch|zeitstempel|timestamp|personal|patient|versich|container|abschnitt|urteil"
    r"|beschluss|\brn\.|karte|\bcard|anmeldung)\w{0,16}"
)
_SENTENCE = re.compile(r".*[.!?]\s+(?=[A-ZÄÖÜ]\w*(?:\s+\w+){2})", re.DOTALL)
_CALL_BEHIND = re.compile(
    r"[^.!?;\n\x00]{0,32}\b(?:(?:an|zurück)?(?:zu)?ruf(?:en|t|e)?|erreich\w*|durchwahl|telefon\w*|call|reach|dial|ring|phone)\b",
    re.IGNORECASE,
)
_CUT_WORD = re.compile(r"^\S*\s")
_MAIL = re.compile(r"\S+@\S+(?=\s\S)")
_UNIT = re.compile(r"\s?(?:€|eur\b|usd|chf|\$|%|kg\b|mm\b|cm\b|km\b|stück|m²|gb\b|mb\b|kwh)", re.I)
_DATE = re.compile(
    r"(?:0[1-9]|[12]\d|3[01]|[1-9])[./-]\s?(?:0?[1-9]|1[0-2]|[12]\d|3[01])[./-]\s?(?:19|20)?\d\d(?!\d)"
    r"|0[1-9]/(?:19|20)\d\d(?!\d)|0\d+/(?:19|20)\d\d/\d+"
    r"|(?:19|20)\d\d[./-](?:0[1-9]|1[0-2])"
)
_LEAST_PLAIN = 10  # fewer digits in two groups are shaped like numbers of parts and orders
_PART_AHEAD = re.compile(
    r"(?:teile?s?|artikels?|bauteile?s?|st(?:ü|ue)ck(?:zahl)?|bestell\w*|material\w*|zeichnung\w*|sachn\w*|typ|modell"
    r"|parts?|items?|articles?|spares?|components?|drawing|type|model|sku|stock|p/n|s/n|order\w*)"
    r"(?:[ .:#(-]{1,3}(?:nr|no|num|nummer|number|code|mit der|mit|with|of|der|die|das|the|no|unter)\b){0,3}[ .:#(\"'-]{1,3}$",
    re.IGNORECASE,
)
_NUMBER_TYPES = (
    "fixed_line",
    "mobile",
    "toll_free",
    "premium_rate",
    "shared_cost",
    "personal_number",
    "voip",
    "pager",
    "uan",
    "voicemail",
)
_NATIONAL_CODES = (49, 44, 41)  # trunk prefix 0; plans strict enough to tell a number from another
_EXTENSION = re.compile(r"\s?(?:x|ext\.?|extension|durchwahl|dw)\s?[0-9]{1,5}\b", re.IGNORECASE)
_MOBILE = re.compile(r"01[567]\d{8,9}$|07\d{8,9}$")  # DE; GB and CH
_FIELD_AHEAD = re.compile(r"(?:[:;,|=]\s?[\"']?|[\n\t\x00][\"']?)\Z|^\Z")
_FIELD_BEHIND = re.compile(r"[\"']?\s{0,2}(?:[;,|\t\n\r\x00<}\]]|\Z)")
_CODE_AHEAD = re.compile(r"(?:\+|\b00)[1-9][0-9]{0,2}[ ()/-]+(?:[0-9]{1,4}[ /-]+)?\Z")
_NUMBER_AHEAD = re.compile(r"(?:(?<![0-9])[0-9]{1,3}[ /]{1,3}|[0-9] )\Z")
_NEXT_NUMBER = re.compile(r"(?:/[ ]|\n[ ]?)[+(0]")
_TRUNK = re.compile(r"\(0\)")


class _Digits(NamedTuple):
    text: str
    ends: list[tuple[int, int]]  # digits so far and place, at each end of a group
    line: int  # digits that stand before a line break, 0 without one


def _read(text: str, start: int) -> _Digits:
    digits: list[str] = []
    ends: list[tuple[int, int]] = []
    gap = line = 0
    place = start
    for place in range(start, min(len(text), start + 40)):
        character = text[place]
        if "0" <= character <= "9":
            digits.append(character)
            gap = 0
            continue
        if not gap and digits:
            ends.append((len(digits), place))
        if character == "\n":
            if line:
                break
            line = len(digits)
        gap += bool(digits)
        if len(digits) > 6 and _NEXT_NUMBER.match(text, place):
            break
        if character not in "+ ()/.-\r\n" or gap > 3 or (character == "+" and digits):
            break
    else:
        place += 1
    if digits and not gap:
        ends.append((len(digits), place))
    return _Digits("".join(digits), ends, line)


def _attempts(read: _Digits) -> list[tuple[int, int]]:
    """Where the number may end: as written, then without its last groups; before a line break if that is long enough."""
    fitting = [end for end in read.ends if 6 <= end[0] <= 17]
    fitting.sort(key=lambda end: (end[0] > read.line > 8, -end[0]))
    return fitting[:5]


@lru_cache(maxsize=1)
def _country_codes() -> frozenset[str]:
    return frozenset(str(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE)


@lru_cache(maxsize=256)
def _plan(code: int) -> dict[int, re.Pattern[str]]:
    """The numbers of a country code by their length: those of every type in every region that shares the code."""
    by_length: dict[int, set[str]] = {}
    for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]:
        found = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, region)
        general = found.general_desc if found else None
        for kind in _NUMBER_TYPES:
            described = getattr(found, kind, None)
            if described is None or general is None or not described.national_number_pattern:
                continue
            pattern = f"(?=(?:{general.national_number_pattern})$)(?:{described.national_number_pattern})"
            for length in described.possible_length or general.possible_length:
                by_length.setdefault(length, set()).add(pattern)
    return {length: re.compile("|".join(sorted(patterns))) for length, patterns in by_length.items()}


def _valid(code: int, national: str) -> bool:
    """Tell whether the numbering plan has such a number; as phonenumbers.is_valid_number, at a tenth of its time."""
    pattern = _plan(code).get(len(national))
    return pattern is not None and pattern.fullmatch(national) is not None


def _joined(text: str, start: int, end: int) -> bool:
    """Tell that the digits are part of a longer number, word, amount or date."""
    extension = _EXTENSION.match(text, end)
    end = extension.end() if extension else end
    ahead, behind = text[max(0, start - 2) : start], text[end : end + 2]
    if ahead[-1:].isalnum() or ahead[-1:] == "_" or behind[:1].isalnum() or behind[:1] == "_":
        return True
    if len(ahead) == 2 and (
        (ahead[1] in "./" and ahead[0].isdigit()) or (ahead[1] in "-+=#" and ahead[0].isalnum() and ahead[1] != "=")
    ):
        return True
    if len(behind) == 2 and behind[0] in ".,/:-" and behind[1].isdigit():
        return True
    return bool(_UNIT.match(text, end, end + 8))


def _context(text: str, start: int) -> int:
    window = before(text, start, 48)
    if len(window) == 48:
        window = _CUT_WORD.sub("", window)
    window = _MAIL.sub(" ", window)
    told = nearest(window, _WORD, _OTHER)
    # A word of the sentence before speaks of something else.
    last = _SENTENCE.sub("", window) if told < 0 else window
    return told if len(last) == len(window) else nearest(last, _WORD, _OTHER)


def _sizes(read: _Digits) -> list[int]:
    """How many digits each group has."""
    earlier = [0, *(size for size, _ in read.ends)]
    return [size - least for (size, _), least in zip(read.ends, earlier, strict=False)]


def _scattered(read: _Digits) -> bool:
    """Tell lists of small numbers (1 1 1 1) from groups of a telephone number."""
    sizes = _sizes(read)
    return sizes.count(1) > 2 or len(sizes) > 8


def _international(text: str, start: int, end: int) -> Found | None:
    read = _read(text, start)
    if _scattered(read):
        return None
    plus = "+" in text[start : start + 3]
    skip = 0 if plus else 2
    code = next(
        (read.text[skip : skip + size] for size in (1, 2, 3) if read.text[skip : skip + size] in _country_codes()), None
    )
    if code is None:
        return None
    context = None
    for count, last in _attempts(read):
        national = read.text[skip + len(code) : count]
        if _TRUNK.search(text[start:last]) or (code in ("49", "43", "41", "44") and national.startswith("0")):
            national = national.replace("0", "", 1)
        if _joined(text, start, last) or not national:
            continue
        context = _context(text, start) if context is None else context
        if _valid(int(code), national) and (plus or context > 0 or (context == 0 and count < 16)):
            return _found(text, start, last, 0.9 if plus else 0.8, PATTERN)
        if context > 0 and 8 <= count <= 15:
            return _found(text, start, last, 0.5, CONTEXT)
    return None


def _labelled(text: str, start: int, end: int) -> Found | None:
    """A number of any country right behind a word such as phone or fax: the word says what the plan cannot."""
    while text[start] not in "(+0123456789":
        start += 1
    read = _read(text, start)
    if _scattered(read) or _DATE.match(text, start):
        return None
    for count, last in _attempts(read):
        if count >= 7 and not _joined(text, start, last):
            return _found(text, start, last, 0.55, CONTEXT)
    return None


def _found(text: str, start: int, end: int, score: float, evidence: str) -> Found:
    """The span without an opening parenthesis that the number does not close, with the extension behind it."""
    extension = _EXTENSION.match(text, end)
    if text[start] == "(" and ")" not in text[start:end]:
        start += 1
    return Found(start, extension.end() if extension else end, score, evidence)


def _names_part(window: str) -> bool:
    """Tell that a word such as part or article stands right before a number."""
    return window.rstrip(" .:#(\"'-")[-1:].isalpha() and _PART_AHEAD.search(window) is not None


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Tell a value of its own in a list or row: after a colon, delimiter or line start, and nothing behind it."""
    return bool(_FIELD_AHEAD.search(text, max(0, start - 3), start)) and bool(_FIELD_BEHIND.match(text, end))


def _national(text: str, start: int, end: int) -> Found | None:
    if _DATE.match(text, start) or _DATE.match(text, start + 1):
        return None
    read = _read(text, start)
    if _scattered(read):
        return None
    context = _context(text, start)
    if context < 0 or _CODE_AHEAD.search(text, max(0, start - 16), start):
        return None
    if context == 0 and _names_part(before(text, start, 40)):
        return None
    if context == 0 and _CALL_BEHIND.match(text, read.ends[-1][1]):
        context = 1
    if context == 0 and _NUMBER_AHEAD.search(text, max(0, start - 7), start):
        return None
    for count, last in _attempts(read):
        if count < 7 or _joined(text, start, last):
            continue
        if context and any(_valid(code, read.text[1:count]) for code in (*_NATIONAL_CODES, 43)):
            return _found(text, start, last, 0.85, CONTEXT)
        if not context and _plain(text, start, last, read, count):
            return _found(text, start, last, 0.6, PATTERN)
    return None


def _plain(text: str, start: int, end: int, read: _Digits, count: int) -> bool:
    """Judge a national number that no word introduces: by its groups, or as a mobile number that stands alone."""
    national = read.text[1:count]
    if end - start == count:
        return bool(_MOBILE.match(read.text[:count])) and _stands_alone(text, start, end) and _any_valid(national)
    return count >= _LEAST_PLAIN and _sizes(read) != [4, 4, 4] and _any_valid(national)


def _any_valid(national: str) -> bool:
    return any(_valid(code, national) for code in _NATIONAL_CODES)


def _north_american(text: str, start: int, end: int) -> Found | None:
    read = _read(text, start)
    skip = int(read.text.startswith("1"))
    wanted = 10 + skip
    last = next((place for count, place in read.ends if count == wanted), None)
    if last is None or _joined(text, start, last) or not _valid(1, read.text[skip:wanted]):
        return None
    context = _context(text, start)
    solid = last - start == wanted
    if context < 0 or (solid and not context):
        return None
    return _found(text, start, last, 0.85 if context else 0.7, CONTEXT if context else PATTERN)


_NORTH_AMERICAN = r"(?:\b1[ .-]{0,2})?\(?\b[2-9][0-9]{2}\)?[ .\r\n-]{0,2}[2-9][0-9]{2}[ .\r\n-]?[0-9]{4}\b"

_LABEL = (
    r"(?i)(?:(?:\btel(?:efon|ephone)?(?:nummer)?|phone|mobile?|handy|fax|\bfon|\bcell|whatsapp|\bdesk)\.?"
    r"(?:[ -]?(?:nr|no|number|nummer)\b\.?)?[ ]?[:#]"
    r"|\b(?:call|reach|ring|text|answer)[a-z]{0,4}(?: (?:me|us|him|her|them))? (?:on|at)"
    r"|\b(?:an|er)?(?:ruf|reich)[a-z]{0,4} unter)"
    r"\s{0,2}\(?[0-9]{2}"
)

RULES = (
    Rule("PHONE", r"\(?(?:\+|\b00)[ (]{0,2}[1-9](?:[ ()./\r\n-]{0,3}[0-9]){6}", _international),
    Rule("PHONE", r"\(?\b0[1-9](?:[ ().-]{0,3}[0-9]|[ )]?/(?:[0-9]|[ ][1-9])){5}", _national),
    Rule("PHONE", r"\(?\b0[1-9](?:[ ()./-]{0,3}[0-9]){0,8}[ )]?\r?\n[ ]?[1-9][0-9]{2}", _national),
    Rule("PHONE", _NORTH_AMERICAN, _north_american),
    Rule("PHONE", _LABEL, _labelled),
)
