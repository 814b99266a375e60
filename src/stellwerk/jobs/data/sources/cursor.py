"""The cursor of a source: the highest value that was read, kept as text, and from where on rows are read again.

It knows numbers, dates and ISO 8601 times; a time without a zone counts as UTC. It does not know where the values come from.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

import pyarrow as pa
import pyarrow.compute as pc

from stellwerk.errors import UserError

_MIXED = "the column of the cursor holds numbers as well as times, which have no common order; choose another column"
Point = Decimal | dt.datetime  # where a value stands on the cursor's axis


def lower(since: str, overlap: float) -> str:
    """From where on rows are read again.

    Args:
        since: the highest value that was read, as `highest` gives it.
        overlap: how far to go back: seconds for a date or time, else in the unit of the number.

    Returns:
        The value, written as `since` is: a date stays a date, a zone stays the zone.

    Raises:
        UserError: the value is neither a number nor a date or time.
    """
    point = place(since)
    if point is None:
        raise UserError(
            f"the cursor stands at {since[:40]!r}, which is neither a number nor a date or time; choose another column"
        )
    if not overlap:
        return since
    if isinstance(point, Decimal):
        return format(point - Decimal(repr(overlap)).normalize(), "f")
    zone = dt.datetime.fromisoformat(since).tzinfo
    try:
        earlier = point - dt.timedelta(seconds=overlap)
    except OverflowError:
        earlier = dt.datetime.min.replace(tzinfo=dt.UTC)
    if len(since) == len("2026-01-31"):
        return earlier.date().isoformat()
    text = earlier.astimezone(zone or dt.UTC).replace(tzinfo=zone).isoformat()
    text = text.replace("+00:00", "Z") if since.endswith("Z") else text
    return text.replace("T", since[10], 1)


def highest(column: pa.ChunkedArray, since: str | None) -> str | None:
    """The highest value of a column and of what was read before.

    Args:
        column: integers, floats, decimals, dates, timestamps, or texts that hold numbers, dates or times.
        since: the highest value before; None where there was none.

    Returns:
        The value as text, written as the source writes it; None where there is none at all.

    Raises:
        UserError: values cannot be put in order: they are neither numbers, dates nor times, or of more than one such kind.
    """
    found = _highest_text(column) if _is_text(column.type) else _highest_value(column)
    if found is None or since is None:
        return since if found is None else found
    return found if _key(found) >= _key(since) else since


def below(column: pa.ChunkedArray, floor: str) -> pa.ChunkedArray:
    """Which values of a column stand below a value; null for a missing one."""
    bound = _key(floor)
    if pa.types.is_integer(column.type) and bound[0] == 0:
        return pc.less(column.cast(pa.decimal128(38, 0)), pa.scalar(math.ceil(Decimal(floor)), pa.decimal128(38, 0)))
    distinct = pc.unique(column)
    points = [None if text is None else _key(text) for text in _texts(distinct)]
    if any(point is not None and point[0] != bound[0] for point in points):
        raise UserError(_MIXED)
    passed = [None if point is None else point < bound for point in points]
    return pc.take(pa.array(passed, pa.bool_()), pc.index_in(column, distinct))


def place(text: str) -> Point | None:
    """Where a text stands: a number, or a time in UTC; None where it is neither."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        pass
    else:
        return number if number.is_finite() else None
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    try:
        return moment.replace(tzinfo=moment.tzinfo or dt.UTC).astimezone(dt.UTC)
    except OverflowError:
        return None


def _key(text: str) -> tuple[int, Point]:
    point = place(text)
    if point is None:
        raise UserError(
            "the column of the cursor holds texts that are neither numbers nor ISO 8601 dates or times; choose another column"
        )
    return (0, point) if isinstance(point, Decimal) else (1, point)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _highest_value(column: pa.ChunkedArray) -> str | None:
    if pa.types.is_null(column.type):
        return None
    if pa.types.is_boolean(column.type):
        raise UserError("the column of the cursor holds truth values, which have no order; choose a number, date or time")
    if pa.types.is_floating(column.type):
        column = column.filter(pc.is_finite(column))
    (text,) = _texts(pa.array([pc.max(column).as_py()], column.type))
    return text


def _highest_text(column: pa.ChunkedArray) -> str | None:
    texts = pc.unique(column).drop_null().to_pylist()
    keys = [_key(text) for text in texts]
    if len({kind for kind, _ in keys}) > 1:
        raise UserError(_MIXED)
    # Of two texts for the same point the later in the alphabet, so that the order of rows decides nothing.
    return max(zip(keys, texts, strict=True))[1] if texts else None


def _texts(values: pa.Array) -> Sequence[str | None]:
    return [None if value is None else _text(value) for value in values.to_pylist()]


def _text(value: object) -> str:
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, float):
        return str(int(value)) if math.isfinite(value) and value == int(value) and abs(value) < 2**53 else repr(value)
    return str(value)
