"""From the values of a database's columns to the few Arrow types of a dataset.

Knows which type of PostgreSQL and of MariaDB becomes what; a column of another database, SQLite's too, becomes what its
values are. Drivers hand dates, moments and decimals over as texts where they can: Arrow reads those faster than Python
makes objects of them, and no value is too odd to arrive. A value that no type holds is told by a mask, never by a crash.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stellwerk.jobs.data.files.columns import as_text, column_of
from stellwerk.jobs.data.files.encoding import clean_surrogates
from stellwerk.jobs.data.files.schema import EXACT, float_text
from stellwerk.jobs.data.files.shapes import Facts

HEX_BYTES = 64  # binary values up to this length are shown as hex; longer ones are left out
FLOAT_DIGITS = 15  # so many decimal digits survive in a float64
_ZERO_DATES = ("0000-00-00", "0000-00-00 00:00:00")
_PLAIN = (str, bool, int, float, type(None), dt.date)


@dataclass(frozen=True)
class Column:
    """One column of a result.

    Attributes:
        name: as the dataset calls it.
        kind: of `KINDS`.
        scale: digits after the point of a decimal; None where that differs from value to value.
    """

    name: str
    kind: str
    scale: int | None = None

    def arrow(self, values: Sequence[Any], facts: Facts) -> tuple[pa.Array, pa.Array | None]:
        """Convert values.

        Args:
            values: as the driver gave them.
            facts: gets a note where something was left out.

        Returns:
            The values, and a mask of those that no type holds (they are null), or None.
        """
        return KINDS[self.kind](values, self, facts)


Converted = tuple[pa.Array, pa.Array | None]


def _whole(values: Sequence[Any], column: Column, facts: Facts) -> Converted:
    try:
        return pa.array(values, pa.int64()), None
    except (OverflowError, pa.ArrowInvalid, pa.ArrowTypeError):
        return column_of(values), None


def _floating(values: Sequence[Any], column: Column, facts: Facts) -> Converted:
    return pa.array(values, pa.float64()), None


def _truth(values: Sequence[Any], column: Column, facts: Facts) -> Converted:
    return pa.array(values, pa.bool_()), None


def _text(values: Sequence[Any], column: Column, facts: Facts) -> Converted:
    if isinstance(next((value for value in values if value is not None), None), bytes):
        return _binary(values, column, facts)  # PyMySQL calls texts and bytes by one type
    try:
        return pa.array(values, pa.string()), None
    except (UnicodeEncodeError, pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else _as_string(value, column, facts) for value in values], pa.string()), None


def _padded(values: Sequence[Any], column: Column, facts: Facts) -> Converted:
    return pc.utf8_rtrim(_text(values, column, facts)[0], " "), None


def _bits(values: Sequence[Any], column: Column, facts: Facts) -> Converted:
    numbers = [None if value is None else int.from_bytes(value) for value in values]
    if column.scale == 1:
        return pa.array([None if number is None else number == 1 for number in numbers], pa.bool_()), None
    return _whole(numbers, column, facts)


def _date(values: Sequence[Any], column: Column, facts: Facts) -> Converted:
    return _calendar(values, column, facts, pa.date32())


def _moment(values: Sequence[Any], column: Column, facts: Facts) -> Converted:
    return _calendar(values, column, facts, pa.timestamp("us"))


def _utc(values: Sequence[Any], column: Column, facts: Facts) -> Converted:
    """Moments as the session, which is set to UTC, writes them."""
    texts = [value.removesuffix("+00") if value else value for value in values]
    return _calendar(texts, column, facts, pa.timestamp("us"))


def _calendar(values: Sequence[str | None], column: Column, facts: Facts, kind: pa.DataType) -> Converted:
    texts = pa.array(values, pa.string())
    try:
        # Arrow knows a year 0 and Python does not; a year of five digits Arrow reads as a damaged one.
        if not pc.any(pc.starts_with(texts, "0000-")).as_py():
            return texts.cast(kind), None
    except pa.ArrowInvalid:
        pass
    read = dt.date.fromisoformat if pa.types.is_date32(kind) else dt.datetime.fromisoformat
    found: list[Any] = []
    bad: list[bool] = []
    for value in values:
        moment, odd = None, False
        if value in _ZERO_DATES:
            facts.note(f"column '{column.name}' has dates 0000-00-00, which are read as no date")
        elif value is not None:
            try:
                moment = read(value)
            except ValueError:
                odd = True
        found.append(moment)
        bad.append(odd)
    return pa.array(found, kind), pa.array(bad, pa.bool_()) if any(bad) else None


def _decimal(values: Sequence[Any], column: Column, facts: Facts) -> Converted:
    """Decimals: whole numbers where the type has no digits after the point, else float64 where that is exact, else texts."""
    texts = pa.array([None if value is None else str(value) for value in values], pa.string())
    if column.scale == 0:
        try:
            return texts.cast(pa.int64()), None
        except pa.ArrowInvalid:
            pass
    try:
        floats = texts.cast(pa.float64())
    except pa.ArrowInvalid:  # signalling NaN and the like, of exotic drivers
        return texts, None
    digits = pc.utf8_length(pc.utf8_trim(texts, "-"))
    if not len(texts) or (pc.max(digits).as_py() or 0) <= FLOAT_DIGITS:
        return floats, None
    exact = [
        value is None or _is_exact(value, number) for value, number in zip(texts.to_pylist(), floats.to_pylist(), strict=True)
    ]
    if all(exact):
        return floats, None
    if column.scale == 0:
        return texts, None
    # Written as a float is written wherever both are possible, so that the same number is the same text in every table.
    mixed = zip(texts.to_pylist(), floats.to_pylist(), exact, strict=True)
    return pa.array([v if v is None else float_text(f) if same else _shortest(v) for v, f, same in mixed], pa.string()), None


def _is_exact(value: str, number: float) -> bool:
    try:
        wanted = Decimal(value)
        return not wanted.is_finite() or (abs(wanted) <= EXACT and Decimal(repr(number)) == wanted)
    except InvalidOperation:
        return False


def _shortest(value: str) -> str:
    return value.rstrip("0").removesuffix(".") if "." in value else value


def _as_met(values: Sequence[Any], column: Column, facts: Facts) -> Converted:
    """A column whose type only its values tell."""
    if any(not isinstance(value, _PLAIN) or isinstance(value, dt.datetime) for value in values):
        if all(value is None or isinstance(value, Decimal) for value in values):
            return _decimal(values, replace(column, scale=None), facts)
        values = [_plain(value, column, facts) for value in values]
    return column_of(values), None


def _plain(value: Any, column: Column, facts: Facts) -> Any:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
    if isinstance(value, Decimal):
        number = float(value)
        return number if _is_exact(str(value), number) else str(value)
    return value if isinstance(value, _PLAIN) else _as_string(value, column, facts)


def _as_string(value: Any, column: Column, facts: Facts) -> str | None:
    if isinstance(value, str):
        return clean_surrogates(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return _hex(bytes(value), column, facts)
    if isinstance(value, list | tuple | dict):
        return as_text(_json_ready(value))
    return value.isoformat() if isinstance(value, dt.date | dt.time) else str(value)


def _json_ready(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _json_ready(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json_ready(inner) for inner in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    return value if isinstance(value, str | int | float | None) else str(value)


def _binary(values: Sequence[Any], column: Column, facts: Facts) -> Converted:
    return pa.array([None if value is None else _as_string(value, column, facts) for value in values], pa.string()), None


def _hex(value: bytes, column: Column, facts: Facts) -> str | None:
    if len(value) <= HEX_BYTES:
        return value.hex()
    facts.note(f"column '{column.name}' has binary values of over {HEX_BYTES} bytes, which are left out")
    return None


KINDS: dict[str, Callable[[Sequence[Any], Column, Facts], Converted]] = {
    "whole": _whole,
    "float": _floating,
    "truth": _truth,
    "text": _text,
    "padded": _padded,
    "bits": _bits,
    "date": _date,
    "moment": _moment,
    "utc": _utc,
    "decimal": _decimal,
    "binary": _binary,
    "list": _binary,
    "met": _as_met,
}

POSTGRESQL = {16: "truth", 17: "binary", 20: "whole", 21: "whole", 23: "whole", 26: "whole", 700: "float", 701: "float",
              1042: "padded", 1082: "date", 1114: "moment", 1184: "utc", 1700: "decimal"}  # fmt: skip
NATIVE = (16, 17, 20, 21, 23, 26, 700, 701)  # types of PostgreSQL that the driver converts; all others come as texts
MYSQL = {0: "decimal", 1: "whole", 2: "whole", 3: "whole", 4: "float", 5: "float", 7: "moment", 8: "whole", 9: "whole",
         10: "date", 12: "moment", 13: "whole", 14: "date", 16: "bits", 246: "decimal"}  # fmt: skip
NUMBERS = ("whole", "float", "decimal")
TIMES = ("date", "moment", "utc")


def columns_of(driver: str, names: Sequence[str], description: Sequence[Any]) -> list[Column]:
    """The columns of a result.

    Args:
        driver: `psycopg`, `pymysql`, or another, whose columns are then what their values are.
        names: as the dataset calls them.
        description: of the driver's cursor (PEP 249).
    """
    if driver == "psycopg":
        return [Column(n, POSTGRESQL.get(d.type_code, "text"), d.scale) for n, d in zip(names, description, strict=True)]
    if driver == "pymysql":
        return [
            Column(n, MYSQL.get(d[1], "text"), d[3] if d[1] == 16 else d[5]) for n, d in zip(names, description, strict=True)
        ]
    return [Column(name, "met") for name in names]
