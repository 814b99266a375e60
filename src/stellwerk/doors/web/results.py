"""Any result as a page shows it: facts, texts, lists and tables, nested as the result is.

Works on JSON, so that a run's result of last year is shown as one of today. Knows no operation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

SHOWN = 200  # rows of a table; downloads have them all
LONG = 160  # signs of a text that stands in a block of its own
FIRST = ("name", "rule", "column", "title", "step", "condition")  # columns that say what a row is about
DATA = frozenset({"schema", "languages", "splits", "sources", "edits"})  # names under these are columns, codes, parts, sources


@dataclass
class Part:
    """A piece of a result.

    Attributes:
        key: the names of the fields that lead to it, with dots.
        title: the last of them, as people read it; empty for the result itself.
        facts: names and plain values.
        columns: of a table.
        rows: of a table, all of them.
        items: of a list.
        text: that stands in a block.
        of_data: whether its names are those of data, such as columns, and stand as they are.
        title_of_data: the same of its title.
    """

    kind: Literal["facts", "table", "list", "text", "group"]
    key: str
    title: str
    level: int = 3
    facts: list[tuple[str, Any]] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    rows: list[list[Any]] = field(default_factory=list)
    items: list[Any] = field(default_factory=list)
    text: str = ""
    of_data: bool = False
    title_of_data: bool = False

    @property
    def shown(self) -> list[list[Any]]:
        """The rows that a page has room for."""
        return self.rows[:SHOWN]

    @property
    def numeric(self) -> list[bool]:
        """For each column whether it holds numbers alone."""
        return [
            any(row[place] is not None for row in self.rows)
            and all(isinstance(row[place], int | float | None) and not isinstance(row[place], bool) for row in self.rows)
            for place in range(len(self.columns))
        ]


def parts(result: Any, key: str = "", level: int = 3) -> list[Part]:
    """Take a result apart.

    Args:
        result: JSON.
        key: where it stands in the whole.
        level: of its headings.
    """
    if not isinstance(result, dict):
        return _of_value(key, result, level)
    if _is_grid(result):
        grid = Part("table", _join(key, "rows"), "", level, columns=result["columns"], rows=result["rows"], of_data=True)
        rest = {name: value for name, value in result.items() if name not in ("columns", "types", "rows")}
        return [grid, *parts(rest, key, level)]
    facts = Part("facts", key, "", level, of_data=_of_data(key))
    found: list[Part] = []
    for name, value in result.items():
        if value is None or value in ("", [], {}):
            continue
        if _is_plain(value):
            facts.facts.append((name, value))
        else:
            found += _of_value(_join(key, name), value, level)
    return ([facts] if facts.facts else []) + found


def for_reader(result: Any, language: str) -> list[Part]:
    """The parts of a result that a page shows.

    Downloads have links of their own, and commands to go on with are for a terminal. Sentences of operations are English:
    where a result says the same in numbers, a page in another language shows these alone.
    """
    if not isinstance(result, dict):
        return parts(result)
    shown = {name: value for name, value in result.items() if name not in ("downloads", "next")}
    told = {name: value for name, value in shown.items() if name != "message"}
    return parts(told) if language != "en" and any(value not in (None, "", [], {}) for value in told.values()) else parts(shown)


def tables(result: Any) -> dict[str, Part]:
    """The tables of a result, by where they stand."""
    return {part.key: part for part in parts(result) if part.kind == "table"}


def flat(value: Any) -> Any:
    """A cell of a table, in which nothing is nested."""
    match value:
        case dict():
            return ", ".join(f"{label(str(key))}: {flat(part)}" for key, part in value.items())
        case list():
            return ", ".join(str(flat(part)) for part in value)
        case _:
            return value


def cell(value: Any) -> Any:
    """A cell of a file."""
    found = flat(value)
    return found if isinstance(found, str | int | float | None) else str(found)


def label(name: str) -> str:
    """The name of a field as people read it."""
    return name.replace("_", " ").strip() or name


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _of_value(key: str, value: Any, level: int) -> list[Part]:
    above, _, title = key.rpartition(".")
    part = Part("text", key, title, level, of_data=_of_data(key), title_of_data=_of_data(above))
    match value:
        case str():
            return [replace(part, text=value)]
        case list() if value and all(isinstance(row, dict) for row in value):
            columns, rows = _table(value)
            return [replace(part, kind="table", columns=columns, rows=rows)]
        case list():
            return [replace(part, kind="list", items=value)]
        case dict() if all(_is_plain(one) for one in value.values()):
            return [replace(part, kind="facts", facts=list(value.items()))]
        case dict():
            return [replace(part, kind="group"), *parts(value, key, level + 1)]
        case _:
            return [replace(part, text=str(value))]


def _of_data(key: str) -> bool:
    """Whether what stands under a name is called as the data call it."""
    return key.rpartition(".")[2] in DATA


def _table(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[Any]]]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    names = [name for name in names if any(row.get(name) not in (None, "", [], {}) for row in rows)]
    names.sort(key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
    cells = [[flat(row.get(name)) for name in names] for row in rows]
    return names, cells


def _is_grid(value: dict[str, Any]) -> bool:
    columns, rows = value.get("columns"), value.get("rows")
    return isinstance(columns, list) and isinstance(rows, list) and all(isinstance(name, str) for name in columns)


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= LONG and "\n" not in value
    return isinstance(value, int | float) or value is None


def headline(sentence: str) -> str:
    """The first clause of what an operation does, as a heading."""
    return _CLAUSE.split(sentence, maxsplit=1)[0].rstrip(".")


def rest(sentence: str) -> str:
    """What follows the first clause."""
    parts_ = _CLAUSE.split(sentence, maxsplit=1)
    return parts_[1][:1].upper() + parts_[1][1:] if len(parts_) > 1 else ""


def links(value: Any) -> Iterator[tuple[str, str]]:
    """The texts of a cell, each with the address of the page of what it names; empty where it names nothing here."""
    text = str(value)
    end = 0
    for found in _REFERENCE.finditer(text):
        if found.start() > end:
            yield text[end : found.start()], ""
        kind, name, number = found.groups()
        yield found[0], f"/assets/{kind}/{name}/{number}"
        end = found.end()
    if end < len(text):
        yield text[end:], ""


_CLAUSE = re.compile(r"[;:.] ")
_REFERENCE = re.compile(r"\b([a-z][a-z-]{1,31})/([\w.-]{1,100})@(\d{1,9})\b")
