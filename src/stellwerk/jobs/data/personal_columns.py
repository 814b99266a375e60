"""How one column is searched for personal data: its values, and what its name says of them.

A number or a short value has no words around it, so the column's name stands in for them: 4915112345678 is a telephone number
in a column `phone` and an order in a column `order_no`. Numbers are found only where the name says telephone or password, or
where most long ones of a shard have the check digit of a payment card. Does not know the patterns; the scanner does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stellwerk.text import personal
from stellwerk.text.scan import CHECK_DIGIT, PATTERN, SCHEMA

LEAST = 1_000_000  # a number with fewer digits is no telephone number and no card
EXACT = 2**53  # beyond it a float64 does not say which whole number it was
SHORT = 64  # characters of a value to which the column's name says something
SHARE = 0.5  # of the values that could be of a kind; of random numbers 10 % pass the check digit of cards
CARD_DIGITS = 12

_STRONG = r"(?:cell|tele|mobile|work|home|office)?phones?|\w*telefone?|tel|telefax|msisdn|\w*rufnummer|durchwahl"
_WEAK = r"mobile?|handy|cell|fax|fon|whatsapp|festnetz"
_BEHIND = (
    r"(?: (?:nr|no|num|numbers?|nummer|\d+|e ?164|privat|private|home|work|office|business|gesch(?:ä|ae)ftlich|dienstlich"
    r"|mobile?|festnetz|landline|main|primary|secondary|alternative|emergency|intl|international|raw|customer|kunde|contact"
    r"|kontakt))*"
)
_NUMBER = r"(?:nummern?|nr|number|no)"
# What a name says, as the words that the scanner understands before a value. Phones are first: `mobile` may end a name.
_LABELS = (
    ("PHONE", "phone: ", re.compile(rf"(?:.* )?(?:(?:{_STRONG}){_NUMBER}?|(?:{_WEAK}) ?{_NUMBER}){_BEHIND}")),
    ("PHONE", "phone: ", re.compile(rf"(?:.* )?(?:{_WEAK}){_BEHIND}")),
    ("IBAN", "IBAN: ", re.compile(r"(?:.* )?iban(?: .*)?")),
    ("SECRET", "password: ", re.compile(rf"(?:.* )?(?:\w*password|passwd|\w*passwort|\w*kennwort|passphrase|pwd){_BEHIND}")),
    (
        "SECRET",
        "access token: ",
        re.compile(r"(?:.* )?(?:api|access|auth|refresh|private|client|secret) ?(?:key|token|secret)"),
    ),
)
_WEAK_LABEL = _LABELS[1][2]
_WEAK_DIGITS = 10  # `mobile` may also count visits: shorter numbers in such a column stay
_ABOUT_PHONES = re.compile(rf"\b(?:(?:{_STRONG}){_NUMBER}?|(?:{_WEAK})[ ]?{_NUMBER})\b")


def scan_column(name: str, column: Any, kinds: Sequence[str]) -> pa.Table:
    """Find personal data in a column.

    Args:
        name: of the column.
        column: n values: strings, whole numbers, or floats that hold whole numbers; other types hold nothing that is searched.
        kinds: names out of `stellwerk.text.personal.KINDS`.

    Returns:
        As `personal.scan`; a number is found as a whole, its span is over its digits.
    """
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _in_texts(name, column, kinds)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _in_numbers(name, column, kinds)
    return SCHEMA.empty_table()


def searchable(kind: pa.DataType) -> bool:
    """Tell whether columns of a type are searched."""
    return any(
        is_type(kind) for is_type in (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_floating)
    )


def spoken(name: str) -> str:
    """A column's name as words: `customerPhone_2` as `customer phone 2`."""
    return " ".join(re.sub(r"(?<=[a-zäöüß])(?=[A-ZÄÖÜ])|(?<=[^\W\d_])(?=\d)|[\W_]+", " ", name).lower().split())


def _label(name: str, kinds: Sequence[str]) -> tuple[str, str, bool] | None:
    """What a column's name says its values are: kind, the words for the scanner, whether it may be something else."""
    words = spoken(name)
    for kind, prefix, pattern in _LABELS:
        if kind in kinds and pattern.fullmatch(words):
            return kind, prefix, pattern is _WEAK_LABEL
    return None


def _in_texts(name: str, column: Any, kinds: Sequence[str]) -> pa.Table:
    found = personal.scan(column, kinds)
    label = _label(name, kinds)
    short = pc.if_else(pc.less_equal(pc.utf8_length(column), SHORT), column.cast(pa.large_string()), None)
    if label:
        return _united(_prefixed(short, label[1], [label[0]]), found)
    if "PHONE" in kinds and _ABOUT_PHONES.search(spoken(name)):
        digits = pc.if_else(pc.match_substring_regex(short, r"\A[1-9][0-9]{6,14}\z"), short, None)
        return _united(_international(digits), found)
    return found


def _in_numbers(name: str, column: Any, kinds: Sequence[str]) -> pa.Table:
    texts = _digits(column)
    if texts.null_count == len(texts):
        return SCHEMA.empty_table()
    found = [SCHEMA.empty_table()]
    label = _label(name, [kind for kind in kinds if kind in ("PHONE", "SECRET")])
    if label:
        kind, prefix, weak = label
        told = texts if not weak else pc.if_else(pc.greater_equal(pc.utf8_length(texts), _WEAK_DIGITS), texts, None)
        found.append(_prefixed(told, prefix, [kind]))
    elif "PHONE" in kinds and _ABOUT_PHONES.search(spoken(name)):
        found.append(_international(texts))
    if "CREDIT_CARD" in kinds and not label:
        found.append(_cards(spoken(name), texts))
    return _whole(pa.concat_tables(found), texts)


def _digits(column: Any) -> Any:
    """Whole numbers that are large enough as texts; null for all others."""
    if pa.types.is_floating(column.type):
        fits = pc.and_(pc.equal(pc.floor(column), column), pc.less(column, EXACT))
        column = pc.if_else(fits, column, None).cast(pa.int64())
    return pc.if_else(pc.greater_equal(column, LEAST), column, None).cast(pa.large_string())


def _prefixed(texts: Any, prefix: str, kinds: Sequence[str]) -> pa.Table:
    """Scan values behind words, and shift the spans back to the values."""
    told = pc.binary_join_element_wise(pa.scalar(prefix, pa.large_string()), texts, pa.scalar("", pa.large_string()))
    found = personal.scan(told, kinds)
    for name in ("start", "end"):
        place = SCHEMA.get_field_index(name)
        # A span may begin in the words before the value.
        shifted = np.maximum(found[name].to_numpy() - len(prefix), 0)
        found = found.set_column(place, SCHEMA.field(place), pa.array(shifted, pa.int32()))
    return found.filter(pc.greater(found["end"], 0))


def _international(texts: Any) -> pa.Table:
    """Numbers that are valid with a plus before them, if most of a shard are: the name alone is no proof."""
    found = _prefixed(texts, "+", ["PHONE"])
    return _if_many(found.filter(pc.equal(found["evidence"], PATTERN)), texts)


def _cards(name: str, texts: Any) -> pa.Table:
    long = pc.if_else(pc.greater_equal(pc.utf8_length(texts), CARD_DIGITS), texts, None)
    found = _prefixed(long, f"{name}: ", ["CREDIT_CARD"])
    return _if_many(found.filter(pc.equal(found["evidence"], CHECK_DIGIT)), long)


def _if_many(found: pa.Table, texts: Any) -> pa.Table:
    """Findings if they are in most of the values that were looked at, else none."""
    return found if found.num_rows > SHARE * (len(texts) - texts.null_count) else found.slice(0, 0)


def _whole(found: pa.Table, texts: Any) -> pa.Table:
    """Each number once, over all its digits."""
    if not found.num_rows:
        return found
    seen: dict[int, dict[str, Any]] = {}
    for finding in found.to_pylist():
        best = seen.setdefault(finding["row"], finding)
        if finding["score"] > best["score"]:
            seen[finding["row"]] = finding
    sizes = pc.utf8_length(texts).take(pa.array(sorted(seen))).to_pylist()
    rows = [{**seen[row], "start": 0, "end": size} for row, size in zip(sorted(seen), sizes, strict=True)]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _united(first: pa.Table, second: pa.Table) -> pa.Table:
    """Findings of two searches, the longer one of two that overlap."""
    if not first.num_rows:
        return second
    chosen: dict[int, list[dict[str, Any]]] = {}
    for finding in sorted([*first.to_pylist(), *second.to_pylist()], key=lambda entry: entry["start"] - entry["end"]):
        there = chosen.setdefault(finding["row"], [])
        if all(finding["end"] <= other["start"] or other["end"] <= finding["start"] for other in there):
            there.append(finding)
    rows = [finding for row in sorted(chosen) for finding in sorted(chosen[row], key=lambda entry: entry["start"])]
    return pa.Table.from_pylist(rows, schema=SCHEMA)
