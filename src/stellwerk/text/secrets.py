"""Credentials in text: keys of known shape, private key blocks, tokens, passwords in URLs and in assignments.

Knows the shapes that services publish for their keys and how people write a password down. Does not know whether a key
still works, and finds no password without a word or a URL that says that it is one.
"""

from __future__ import annotations

import math
import re
from collections import Counter

from stellwerk.text.scan import BOUNDARY, CONTEXT, PATTERN, Found, Rule, before

SECRET = "SECRET"  # noqa: S105

# Published prefixes of keys. Each alternative carries enough characters that ordinary words cannot match it.
_SHAPES = "|".join(
    (
        r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b",  # Amazon
        r"\bgh[pousr]_[A-Za-z0-9]{30}[A-Za-z0-9]*",  # GitHub
        r"\bgithub_pat_[A-Za-z0-9_]{22}[A-Za-z0-9_]*",
        r"\bgl(?:pat|dt|rt|ptt|cbt|soat)-[A-Za-z0-9_-]{20}[A-Za-z0-9_.-]*",  # GitLab
        r"\bxox[abeoprs]-[A-Za-z0-9-]{10}[A-Za-z0-9-]*",  # Slack
        r"\bxapp-[0-9]-[A-Za-z0-9-]{10}[A-Za-z0-9-]*",
        r"hooks\.slack\.com/services/[A-Za-z0-9+/]{20}[A-Za-z0-9+/]*",
        r"\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16}[A-Za-z0-9]*",  # Stripe
        r"\bwhsec_[A-Za-z0-9+/=]{24}[A-Za-z0-9+/=]*",
        r"\bsk-[A-Za-z0-9_-]{16}[A-Za-z0-9_-]*",  # OpenAI, Anthropic, OpenRouter
        r"\bAIza[A-Za-z0-9_-]{35}",  # Google
        r"\bGOCSPX-[A-Za-z0-9_-]{20}[A-Za-z0-9_-]*",
        r"\bya29\.[A-Za-z0-9_-]{20}[A-Za-z0-9_-]*",
        r"\bSG\.[A-Za-z0-9_-]{16}[A-Za-z0-9_-]*\.[A-Za-z0-9_-]{16}[A-Za-z0-9_-]*",  # SendGrid
        r"\bkey-[0-9a-f]{32}\b",  # Mailgun
        r"\bnpm_[A-Za-z0-9]{36}",
        r"\bpypi-[A-Za-z0-9_-]{50}[A-Za-z0-9_-]*",
        r"\bhf_[A-Za-z0-9]{30}[A-Za-z0-9]*",  # Hugging Face
        r"\bd(?:op|oo|or)_v1_[0-9a-f]{64}",  # DigitalOcean
        r"\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",  # Shopify
        r"\bdapi[0-9a-f]{32}",  # Databricks
        r"\bhvs\.[A-Za-z0-9_-]{24}[A-Za-z0-9_-]*",  # Vault
        r"\bglsa_[A-Za-z0-9]{32}_[0-9a-f]{8}",  # Grafana
        r"\bAGE-SECRET-KEY-1[0-9A-Z]{50}[0-9A-Z]*",
        r"\b[0-9]{8}[0-9]{0,2}:AA[A-Za-z0-9_-]{33}",  # Telegram
        r"\beyJ[A-Za-z0-9_-]{8}[A-Za-z0-9_-]*\.[A-Za-z0-9_-]{8}[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*",  # JSON Web Token
    )
)
_BLOCK = r"-----BEGIN [A-Z0-9 ]{0,24}PRIVATE KEY(?: BLOCK)?-----"
_URL = r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@?#\x00]*:[^\s/@\x00]+@"
_WORDS = (
    r"passwor[dt]|passwd|passphrase|kennwort|pwd|(?:\b|_)pw\b|_pass\b|secret|token"
    "|(?:api|access|private|auth|account|signing|encryption)[_ -]?key"
    "|schl(?:ü|ue|u\u0308)ssel|zugangscode|credentials?|auth|bearer|basic"
)
_IS = "ist|lautet|war|hei(?:ß|ss)t|is|was"
_ASSIGNED = (
    rf"(?i)(?:{_WORDS})[A-Za-z0-9_]{{0,16}}[\"']?[ \t]{{0,3}}(?:[:=]|{_IS}|)[:=>]?[ \t]{{0,3}}[\"']?"
    r"[^\s\"'\x00]{6}"
)
_TAGGED = r"(?i)<(?:\w+[:_-])?(?:password|passwort|kennwort|secret|token|api-?_?key)>[^\s<\x00]{4}"
_LONG = r"[A-Za-z0-9+/_-]{24}[A-Za-z0-9+/_-]*={0,2}"

_FILLER = re.compile(
    r"\*\*\*|xxxx|\.\.\.|…|<|\[|\$\{|\{\{|your[_-]?|example|beispiel|changeme|placeholder|dummy|redacted|_here|insert|replace"
    r"|todo|geheimes_?passwort|1234567890",
    re.IGNORECASE,
)
_FILLER_WHOLE = re.compile(
    r"(?:[<\[{(].*|\$[({].*|\$[A-Z_]+\W*|%\w+%\W*|%[sdv]\W*|%\(.*"
    r"|(?:pass(?:wor[dt])?|passwd|pwd|secret|token|api_?key|kennwort|none|null|nil|true|false|undefined|string|str|optional"
    r"|user|username|admin:?|test|required|env)\W*)$",
    re.IGNORECASE,
)
_IDENTIFIER = re.compile(r"^(?:[A-Za-z_][A-Za-z]*(?:[._-]+[A-Za-z0-9]{1,12})*|[A-Z][A-Z_]*|[a-z]+(?:[A-Z][a-z]+)+)[;,)]*$")
_KEYWORD = re.compile(
    rf"({_WORDS})[A-Za-z0-9_]{{0,16}}[\"']?[ \t]{{0,3}}(:=|=>|[:=]|(?:{_IS})\b:?|)[ \t]{{0,3}}([\"']?)",
    re.IGNORECASE,
)
_PASSWORD_WORD = re.compile(r"passwor|passwd|passphrase|kennwort|_?pw|_pass\b|zugangscode", re.IGNORECASE)
_USER_AHEAD = re.compile(
    r"(?:benutzer|nutzer|user|login|log-in|anmeldename|kennung|account|konto|zugang)[\w-]{0,8}[:=]?[ ]{1,2}\S{1,40}"
    r"[,;/]?[ ]{1,2}(?:(?:und|mit|and|with|/|the|dem|das)[ ]{1,2}){0,2}$",
    re.IGNORECASE,
)
_COUNT = re.compile(r"\d+(?:[-/]\d+)?[-.]?[^\W\d_]+$|\d+(?:[./-]\d+)+$")  # 12-stellig, 90days, 2026-01-31
_CASES = (re.compile("[a-zß-öø-ÿ]"), re.compile("[A-ZÀ-ÖØ-Þ]"), re.compile(r"\d+"))
_STRONG_SIGN = re.compile(r"[!#$%&*+=?^~§€@]")
_CAMEL = re.compile(r"[A-Z]{0,6}[a-z]*(?:[A-Z][a-z]+)*[.,;:!?)]*$")
_LETTERS = re.compile(r"[^\W\d_]+[.,;:!?)]*$")
_NEAR = re.compile(rf"(?:{_WORDS})\W", re.IGNORECASE)
_HASH_NEAR = re.compile(r"sha\d|md5|hash|commit|checksum|digest|prüfsumme|uuid|integrity|etag|revision", re.IGNORECASE)
_UUID = re.compile(r"^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")
_MORE_PASSWORD = re.compile(r"[^\s/@\x00\"'<>]{0,64}@(?=[\w.-])")
_MAILBOX = re.compile(r"\w@[\w-]+\.[^\W\d_]{2}")
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s\\]*")
_UNQUOTED = re.compile(r"[^\s\x00\"'<>]*")
_TIME = re.compile(r"\d{1,2}[.:]\d{2}")
_HEX = re.compile(r"^[0-9a-fA-F]+$")


def entropy(value: str) -> float:
    """Shannon entropy of the characters of a string, in bits per character."""
    size = len(value)
    return -sum(count / size * math.log2(count / size) for count in Counter(value).values())


def _is_placeholder(value: str) -> bool:
    return len(set(value)) < 4 or bool(_FILLER_WHOLE.match(value) or _FILLER.search(value))


def _mixed(value: str) -> bool:
    """Upper case, lower case and digits, as random tokens have and words have not."""
    return any(map(str.isdigit, value)) and any(map(str.isupper, value)) and any(map(str.islower, value))


def _shape(text: str, start: int, end: int) -> Found | None:
    value = text[start:end].rstrip("-.")
    tail = value[8:] if len(value) < 400 else value[8:400]
    # `sk-` also begins hyphenated words; a key of that kind holds digits.
    if _is_placeholder(tail) or "EXAMPLE" in value or (value.startswith("sk-") and not any(map(str.isdigit, value))):
        return None
    return Found(start, start + len(value), 0.95, PATTERN)


def _block(text: str, start: int, end: int) -> Found | None:
    limit = end + 16384
    stop = text.find(BOUNDARY, end, limit)
    limit = min(limit, len(text)) if stop < 0 else stop
    close = text.find("-----", end, limit)
    if close >= 0 and text.startswith("-----END ", close):
        over = text.find("-----", close + 9, close + 60)
        last = over + 5 if over >= 0 else close
    else:  # a key that was cut off: everything that looks like its base64
        body = _BASE64.match(text, end, limit)
        last = body.end() if body else end
    if len(text[end:last].strip()) < 32:
        return None
    return Found(start, start + len(text[start:last].rstrip()), 0.99, PATTERN)


def _url(text: str, start: int, end: int) -> Found | None:
    user_end = text.index(":", text.index("://", start, end) + 3, end)
    value = text[user_end + 1 : end - 1]
    # A password may itself hold an @: the host begins after the last one before a slash or blank.
    more = _MORE_PASSWORD.match(text, end)
    if more:
        end = more.end()
        value = text[user_end + 1 : end - 1]
    if len(value) > 256 or any(mark in value for mark in "\"'<>") or _is_placeholder(value):
        return None
    return Found(user_end + 1, user_end + 1 + len(value), 0.9, PATTERN)


def _value(text: str, start: int, quote: str) -> str:
    """The characters that are assigned: up to the closing quote, or to a blank and without a full stop."""
    window = text[start : start + 512]
    if quote:
        closed = window.find(quote)
        if 0 <= closed <= 256:
            return window[:closed] if "\n" not in window[:closed] and BOUNDARY not in window[:closed] else ""
    match = _UNQUOTED.match(window)
    value = match.group() if match else ""
    if len(value) == 512:
        return ""  # no value is that long
    if value.endswith(")") and "(" in value:
        return ""  # a call
    return value.rstrip(".,;:)]}")


def _scrambled(letters: str) -> bool:
    """Tell letters whose case changes at random from words, acronyms and camelCase."""
    return len(letters) >= 8 and not letters.isupper() and _CAMEL.match(letters) is None


def _plausible_password(value: str, sign: str, quote: str) -> bool:
    if " " in value or len(value) < 6 or len(value) > 128:
        return False
    if _LETTERS.match(value):
        # Only letters: a word of the sentence, unless it is written like code and is not a name of code.
        return sign in ("=", ":", ":=", "=>") and ((bool(quote) and not value[:1].isupper()) or _scrambled(value))
    if any(map(str.isdigit, value)):
        return not _TIME.match(value) and (sign[:1] in (":", "=") or not _COUNT.match(value))
    return sign in ("=", ":", ":=") and not _IDENTIFIER.match(value) and not value.startswith(("/", "http", "-"))


def _plausible_token(value: str) -> bool:
    if not 12 <= len(value) <= 1024 or " " in value or not any(map(str.isdigit, value)):
        return False
    if not any(map(str.isalpha, value)) or "://" in value or value.count("/") > 4 or _UUID.match(value):
        return False
    if _IDENTIFIER.match(value) and not (_mixed(value) and len(value) >= 16):
        return False
    return entropy(value) >= 3.0


def _bare(text: str, start: int, key: re.Match[str], value: str) -> bool:
    """Judge what stands right behind the word (`Bearer eyJ...`, `--password abc`): only what no sentence would hold."""
    word, _, quote = key.groups()
    if text[max(0, start - 2) : start] == "--":
        return _plausible_password(value, "=", quote)
    if word.lower() in ("bearer", "basic"):
        return _plausible_token(value)
    alone = key.group().rstrip(" \t\"'").lower() == word.lower() and text[key.end() - 1] in " \t\"'"
    if not alone or not _PASSWORD_WORD.match(word) or not 6 <= len(value) <= 128 or " " in value:
        return False
    return _like_password(value, bool(quote) or bool(_USER_AHEAD.search(before(text, start, 80))))


def _like_password(value: str, told: bool) -> bool:
    """Tell a password from a word of the sentence (`reset`, `SHA-256`, `Base64-encoded`) by its characters alone.

    Args:
        value: without blanks.
        told: a user name before it or quotes around it say that a value stands here.
    """
    lower, upper, digits = (len(case.findall(value)) for case in _CASES)
    if not (value[0].isalnum() or _STRONG_SIGN.match(value)) or "://" in value or _MAILBOX.search(value):
        return False
    if _COUNT.match(value) or value.startswith("--") or not lower + upper:
        return False
    inner = _STRONG_SIGN.search(value.rstrip("!?"))
    if digits:
        return bool(inner) or (value[-1:] == "!" and lower > 0) or (digits > 1 and lower > 0 and upper > 0) or told
    return told and bool(inner) and lower > 0 and upper > 0


def _assigned(text: str, start: int, end: int) -> Found | None:
    key = _KEYWORD.match(text, start, end)
    if key is None:
        return None
    word, sign, quote = key.groups()
    at = key.end()
    value = _value(text, at, quote)
    if not value or _is_placeholder(value):
        return None
    if not sign:
        if not _bare(text, start, key, value):
            return None
    elif _PASSWORD_WORD.match(word):
        if not _plausible_password(value, sign, quote):
            return None
    elif not _plausible_token(value):
        return None
    return Found(at, at + len(value), 0.8, CONTEXT)


def _tagged(text: str, start: int, end: int) -> Found | None:
    at = text.index(">", start, end) + 1
    close = text.find("<", at, at + 256)
    value = text[at:close]
    if close < 0 or any(blank in value for blank in (" ", "\n", BOUNDARY)) or _is_placeholder(value):
        return None
    return Found(at, close, 0.8, CONTEXT)


def _long(text: str, start: int, end: int) -> Found | None:
    """A random-looking token near a word such as key or token."""
    value = text[start:end]
    if not _mixed(value[:256]) or len(value) > 1024 or value.count("/") > 4 or _UUID.match(value) or _HEX.match(value):
        return None
    near = before(text, start, 40)
    if not _NEAR.search(near) or _HASH_NEAR.search(near) or entropy(value) < 3.8 or _is_placeholder(value):
        return None
    return Found(start, end, 0.6, CONTEXT)


RULES = (
    Rule(SECRET, _SHAPES, _shape),
    Rule(SECRET, _BLOCK, _block),
    Rule(SECRET, _URL, _url),
    Rule(SECRET, _ASSIGNED, _assigned),
    Rule(SECRET, _TAGGED, _tagged),
    Rule(SECRET, _LONG, _long),
)
