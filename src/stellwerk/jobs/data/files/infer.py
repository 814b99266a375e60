"""Finding the types of text columns over a whole source, and applying them.

It knows how numbers, truth values, dates and moments are written in English and German files; it does not know files.
It is careful: a column gets a type only if every value of the source has it, and what looks like a code (leading
zeros, a plus sign, a whole part of more than 15 digits) stays text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from stellwerk.errors import UserError
from stellwerk.jobs.data.files.names import ORIGIN

NA_WORDS = ("NA", "N/A", "n/a", "na", "NaN", "nan", "-", "–", "null", "NULL", "None", "#N/A", "k.A.", "k. A.")
FIRST_LOOK = 2000  # rows of a table that are tried first: most columns lose most types there

_WHOLE = r"(?:0|[1-9]\d{0,14})"
_INT = rf"^-?{_WHOLE}$"
_POINT = rf"^-?{_WHOLE}(?:\.\d+(?:[eE][+-]?\d{{1,2}})?|[eE][+-]\d{{1,2}})?$"
_COMMA = rf"^-?(?:{_WHOLE}|[1-9]\d{{0,2}}(?:\.\d{{3}}){{1,4}})(?:,\d+)?$"
_THOUSANDS = r"^-?[1-9]\d{0,2}[.,]\d{3}$"  # 1,234 or 1.234: a fraction in one country, a thousand in the other
_BOOL = r"^(?i:true|false|wahr|falsch)$"
_TRUE = r"^(?i:true|wahr)$"
_DATE = r"^\d{4}-\d{2}-\d{2}$"
_GERMAN_DATE = r"^\d{1,2}\.\d{1,2}\.\d{4}$"
_CLOCK = r"\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?"
_MOMENT = rf"^\d{{4}}-\d{{2}}-\d{{2}}[T ]{_CLOCK}$"
_ZONED = rf"^\d{{4}}-\d{{2}}-\d{{2}}[T ]{_CLOCK}(?:Z|[+-]\d{{2}}:?\d{{2}})$"
_GERMAN_MOMENT = rf"^\d{{1,2}}\.\d{{1,2}}\.\d{{4}},? {_CLOCK}$"


@dataclass(frozen=True)
class Kind:
    """A type of a text column.

    Attributes:
        pattern: what each value must match (RE2).
        arrow: the Arrow type it becomes.
        na_words: whether words such as `NA` count as missing.
        ready: rewrites texts so that Arrow's cast reads them.
    """

    pattern: str
    arrow: pa.DataType
    na_words: bool
    ready: Callable[[pa.Array], pa.Array]


def _as_is(texts: pa.Array) -> pa.Array:
    return texts


def _comma(texts: pa.Array) -> pa.Array:
    return pc.replace_substring(pc.replace_substring(texts, ".", ""), ",", ".")


def _german(texts: pa.Array) -> pa.Array:
    texts = pc.replace_substring_regex(texts, r"^(\d)\.", r"0\1.")
    texts = pc.replace_substring_regex(texts, r"^(\d\d)\.(\d)\.", r"\1.0\2.")
    return pc.replace_substring_regex(texts, r"^(\d\d)\.(\d\d)\.(\d{4}),?", r"\3-\2-\1")


_US = pa.timestamp("us")
KINDS: dict[str, Kind] = {
    "int64": Kind(_INT, pa.int64(), True, _as_is),
    "float64": Kind(_POINT, pa.float64(), True, _as_is),
    "float64_comma": Kind(_COMMA, pa.float64(), True, _comma),
    "bool": Kind(_BOOL, pa.bool_(), False, _as_is),
    "date32": Kind(_DATE, pa.date32(), True, _as_is),
    "date32_german": Kind(_GERMAN_DATE, pa.date32(), True, _german),
    "timestamp": Kind(_MOMENT, _US, True, _as_is),
    "timestamp_utc": Kind(_ZONED, pa.timestamp("us", tz="UTC"), True, _as_is),
    "timestamp_german": Kind(_GERMAN_MOMENT, _US, True, _german),
}
_CASTS = (
    "date32",
    "date32_german",
    "timestamp",
    "timestamp_utc",
    "timestamp_german",
)  # 2024-02-30 matches but is no date


@dataclass
class ColumnStats:
    """What is known of one text column so far.

    Attributes:
        values: number of values that are not missing.
        na_words: how many of them are words such as `NA`.
        possible: the kinds that every value had so far.
        settles_point: a value such as 1.5 was met, which is no thousand.
        settles_comma: a value such as 1,5 was met.
        unsettled: a value such as 1.234 was met, which may be either.
    """

    values: int = 0
    na_words: int = 0
    possible: list[str] = field(default_factory=lambda: list(KINDS))
    settles_point: bool = False
    settles_comma: bool = False
    unsettled: bool = False


TypeStats = dict[str, ColumnStats]


def collect(tables: Iterable[pa.Table], stats: TypeStats | None = None) -> TypeStats:
    """Look at the text columns of all tables of a source.

    Args:
        tables: in any order; other columns than strings, and `origin`, are passed over.
        stats: what earlier tables gave; it is changed.

    Returns:
        The statistics, a few numbers per column.
    """
    stats = {} if stats is None else stats
    for table in tables:
        for place, name in enumerate(table.column_names):
            column = table.column(place)
            if name != ORIGIN and pa.types.is_string(column.type):
                _look(column, stats.setdefault(name, ColumnStats()))
    return stats


def _look(column: pa.ChunkedArray, stats: ColumnStats) -> None:
    texts = pc.drop_null(column)
    if not stats.possible:
        stats.values += len(texts)
        return
    _try_kinds(texts.slice(0, FIRST_LOOK), stats)
    if len(texts) > FIRST_LOOK:
        _try_kinds(texts.slice(FIRST_LOOK), stats)


def _try_kinds(texts: pa.ChunkedArray, stats: ColumnStats) -> None:
    stats.values += len(texts)
    if not stats.possible or not len(texts):
        return
    texts = pc.utf8_trim_whitespace(texts)
    words = pc.is_in(texts, value_set=pa.array(NA_WORDS))
    met = pc.sum(words).as_py()
    stats.na_words += met
    plain = texts.filter(pc.invert(words)) if met else texts
    # A column is a truth value only if it has no word that means "missing".
    stats.possible = [kind for kind in stats.possible if _holds(kind, plain) and not (met and kind == "bool")]
    if "float64" in stats.possible or "float64_comma" in stats.possible:
        _settle_mark(plain, stats)


def _holds(name: str, texts: pa.ChunkedArray) -> bool:
    kind = KINDS[name]
    if not pc.all(pc.match_substring_regex(texts, kind.pattern)).as_py() and len(texts):
        return False
    if name in _CASTS:
        try:
            kind.ready(texts).cast(kind.arrow)
        except pa.ArrowInvalid:
            return False
    return True


def _settle_mark(texts: pa.ChunkedArray, stats: ColumnStats) -> None:
    thousands = pc.match_substring_regex(texts, _THOUSANDS)
    stats.unsettled = stats.unsettled or bool(pc.any(thousands).as_py())
    clear = texts.filter(pc.invert(thousands))
    stats.settles_point = stats.settles_point or bool(
        pc.any(pc.match_substring_regex(clear, _POINT[:-1] + "$")).as_py() and _has(clear, ".")
    )
    stats.settles_comma = stats.settles_comma or _has(clear, ",")


def _has(texts: pa.ChunkedArray, mark: str) -> bool:
    return bool(pc.any(pc.match_substring(texts, mark)).as_py())


def merge(first: TypeStats, second: TypeStats) -> TypeStats:
    """Join the statistics of two parts of a source, such as two workers gathered them."""
    joined: TypeStats = {}
    for name in {**first, **second}:
        one, other = first.get(name, ColumnStats()), second.get(name, ColumnStats())
        joined[name] = ColumnStats(
            one.values + other.values,
            one.na_words + other.na_words,
            [kind for kind in one.possible if kind in other.possible],
            one.settles_point or other.settles_point,
            one.settles_comma or other.settles_comma,
            one.unsettled or other.unsettled,
        )
    return joined


def infer_types(stats: TypeStats, decimal: str | None = None) -> dict[str, str]:
    """Choose a type for each text column.

    Args:
        stats: over the whole source.
        decimal: the user's decimal mark, `.` or `,`; None takes the one that the numbers of the source speak for.

    Returns:
        Column to a key of `KINDS` or `string`. A column whose values are all missing is a string.

    Raises:
        UserError: the decimal mark is neither.
    """
    if decimal not in (None, ".", ","):
        raise UserError(f"The decimal mark '{decimal}' is not possible; give '.' or ','.")
    mark = decimal or _mark(stats)
    return {name: _choose(column, mark, decimal is not None) for name, column in stats.items()}


def _mark(stats: TypeStats) -> str | None:
    numbers = [column for column in stats.values() if column.values > column.na_words]
    point = any("float64" in column.possible and column.settles_point for column in numbers)
    comma = any("float64_comma" in column.possible and column.settles_comma for column in numbers)
    return None if point == comma else "." if point else ","


def _choose(column: ColumnStats, mark: str | None, given: bool) -> str:
    possible = column.possible
    if column.values == column.na_words or not possible:
        return "string"
    for kind in ("int64", "bool", *_CASTS):
        if kind in possible:
            return kind
    point = "float64" in possible and (mark == "." or (not given and (column.settles_point or mark is None)))
    comma = "float64_comma" in possible and (mark == "," or (not given and column.settles_comma))
    if point and comma:
        return "float64_comma" if mark == "," else "float64"
    if comma:
        return "float64_comma" if given or column.settles_comma or mark == "," else "string"
    if point:
        ambiguous = column.unsettled and not column.settles_point and mark != "."
        return "string" if ambiguous else "float64"
    return "string"


def apply_types(table: pa.Table, types: dict[str, str]) -> pa.Table:
    """Cast the text columns of a table.

    Args:
        table: of the source that the types were found on.
        types: from `infer_types`; columns that are not named stay.

    Returns:
        The same rows with typed columns; metadata are kept.
    """
    columns = []
    for name in table.column_names:
        column = table.column(name)
        kind = KINDS.get(types.get(name, "string"))
        columns.append(column if kind is None or not pa.types.is_string(column.type) else _apply(column, kind))
    fields = [pa.field(name, column.type) for name, column in zip(table.column_names, columns, strict=True)]
    return pa.table(columns, schema=pa.schema(fields, metadata=table.schema.metadata))


def _apply(column: pa.ChunkedArray, kind: Kind) -> pa.ChunkedArray:
    texts = pc.utf8_trim_whitespace(column)
    if kind.na_words:
        words = pc.is_in(texts, value_set=pa.array(NA_WORDS))
        if pc.any(words).as_py():
            texts = pc.if_else(words, pa.scalar(None, pa.string()), texts)
    if pa.types.is_boolean(kind.arrow):
        return pc.match_substring_regex(texts, _TRUE)
    return kind.ready(texts).cast(kind.arrow)
