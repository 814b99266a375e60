"""Parsing JSON texts one by one: fast where they are ordinary, exactly where they are odd.

It knows what the fast parser refuses or rounds (lone surrogates, NaN, whole numbers beyond 64 bit) and finds keys
that stand twice; it does not know files.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from stellwerk.jobs.data.files.encoding import clean_surrogates

LONG_NUMBER = re.compile(rb"\d{19}")
MAX_DIGITS = 4000  # Python refuses to read whole numbers of more digits


class JsonProblem(ValueError):
    """A text is not JSON; the message says where, never what stands there."""


class ExactParser:
    """The slow parser: keeps every digit and sees keys that stand twice."""

    def __init__(self) -> None:
        self.twice: str | None = None

    def parse(self, text: str) -> Any:
        """Parse one text.

        Args:
            text: a JSON value.

        Returns:
            The value; NaN is None, a lone surrogate U+FFFD, a number of more than 4000 digits its text. Of a key that
            stands twice the last value counts, and `twice` names it.

        Raises:
            JsonProblem: the text is not JSON.
        """
        self.twice = None
        try:
            value = json.loads(
                text, parse_int=_whole, parse_float=_number, parse_constant=_constant, object_pairs_hook=self._object
            )
        except json.JSONDecodeError as error:
            raise JsonProblem(f"{error.msg} at character {error.colno}") from None
        except RecursionError:
            raise JsonProblem("lists or objects are nested too deeply") from None
        return value if text.isascii() and "\\u" not in text else _clean(value)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs) and self.twice is None:
            seen: set[str] = set()
            self.twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        return value


def _whole(text: str) -> int | str:
    return int(text) if len(text) <= MAX_DIGITS else text


def _number(text: str) -> float | str:
    value = float(text)
    return value if abs(value) != float("inf") else text


def _constant(text: str) -> float | None:
    return None if text == "NaN" else float(text)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean_surrogates(value)
    if isinstance(value, dict):
        return {clean_surrogates(key): _clean(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_clean(inner) for inner in value]
    return value


def colons_after_keys(data: bytes) -> int:
    """Count the colons that follow a quote which is not escaped: never fewer than keys, hardly ever more."""
    if data.count(b'":') == 0:
        return data.count(b'" :')
    return data.count(b'":') + data.count(b'" :') - data.count(b'\\":') - data.count(b'\\" :')


def keys_within(value: Any) -> int:
    """Count the keys of all objects within a value."""
    if isinstance(value, dict):
        return len(value) + sum(map(keys_within, value.values()))
    if isinstance(value, list):
        return sum(map(keys_within, value))
    return 0


def may_be_inexact(value: Any) -> bool:
    """Tell whether the fast parser may have rounded a whole number within a value."""
    if isinstance(value, float):
        return abs(value) >= 2**63
    if isinstance(value, dict):
        return any(map(may_be_inexact, value.values()))
    if isinstance(value, list):
        return any(map(may_be_inexact, value))
    return False


def fast(data: bytes) -> Any:
    """Parse with the fast parser.

    Raises:
        orjson.JSONDecodeError: it refuses the text; `ExactParser` may still read it.
    """
    return orjson.loads(data)
