"""The forms that a data test knows: e-mail, date, time, URL, UUID, IBAN, language; each as one Polars expression.

Knows how a value of a form is written. Does not know whether the thing exists: an address may have no mailbox.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from stellwerk.text.checkdigits import IBAN_LENGTH

# The WHATWG HTML standard's "valid e-mail address", with at least one dot in the host.
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{_LABEL}(?:\.{_LABEL})+"
_URL = r"(?:https?|ftp)://(?:[^\s/@?#]+@)?(?:\[[0-9A-Fa-f:.]+\]|[^\s/?#:@\[\]]+)(?::[0-9]{1,5})?(?:[/?#]\S*)?"
_UUID = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"  # RFC 9562
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"  # ISO 8601
_TIME = r"[T ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.,][0-9]+)?)?(?:Z|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])?"
_IBAN = r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}"
# RFC 5646 without variants: language, script, region.
_LANGUAGE = r"[A-Za-z]{2,3}(?:-[A-Za-z]{4})?(?:-(?:[A-Za-z]{2}|[0-9]{3}))?"
_ISO_639_1 = (
    "aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo es et "
    "eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk "
    "kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny "
    "oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk "
    "tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu"
)
_TWO_LETTERS = _ISO_639_1.split()
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PIECE = 9  # digits per step of the long division: the remainder (2 digits) and they fit into 64 bits


def whole(text: pl.Expr, pattern: str) -> pl.Expr:
    """Whether the whole text matches a regular expression; null stays null."""
    return text.str.contains(rf"\A(?:{pattern})\z")


def valid(name: str, column: pl.Expr, dtype: Any) -> pl.Expr:
    """Whether each value has a form; null for rows without a value.

    Args:
        name: email, date, datetime, url, uuid, iban or language.
        column: the values, NaN already null.
        dtype: their Polars type; dates and times have the forms `date` and `datetime` by themselves.
    """
    if (name == "date" and dtype == pl.Date) or (name == "datetime" and dtype == pl.Datetime):
        return column.is_not_null().replace(False, None)
    text = column.cast(pl.String)
    return pl.when(text.is_not_null()).then(_written(name, text))


def _written(name: str, text: pl.Expr) -> pl.Expr:
    if name == "iban":
        return _iban(text)
    if name == "language":
        primary = text.str.extract(r"\A([A-Za-z]+)").str.to_lowercase()
        return whole(text, _LANGUAGE) & ((primary.str.len_bytes() == 3) | primary.is_in(_TWO_LETTERS))
    if name in ("date", "datetime"):
        day = text.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False).is_not_null()
        return whole(text, _DATE if name == "date" else _DATE + _TIME) & day
    return whole(text, {"email": _EMAIL, "url": _URL, "uuid": _UUID}[name])


def _iban(text: pl.Expr) -> pl.Expr:
    """ISO 13616: blanks between groups allowed, length of the country, ISO 7064 MOD 97-10 remainder 1."""
    compact = text.str.replace_all(" ", "", literal=True)
    country = compact.str.slice(0, 2)
    length = country.replace_strict(IBAN_LENGTH, default=0, return_dtype=pl.Int64)
    digits = (compact.str.slice(4) + compact.str.slice(0, 4)).str.replace_many(
        list(_LETTERS), [str(10 + index) for index in range(26)]
    )
    digits = digits.str.pad_start(_PIECE * 8, "0")
    remainder = pl.lit(0, dtype=pl.Int64)
    for start in range(0, _PIECE * 8, _PIECE):
        piece = digits.str.slice(start, _PIECE).cast(pl.Int64, strict=False)
        remainder = (remainder * 10**_PIECE + piece) % 97
    shaped = whole(compact, _IBAN) & (compact.str.len_chars().cast(pl.Int64) == length)
    return shaped & (remainder == 1).fill_null(False)
