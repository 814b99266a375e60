"""How a terminal shows results and progress: tables and bars for people, JSON for programs."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from stellwerk.run import Listener

FEW = 6
SHORT = 10
LONG = 20
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def clean(text: str) -> str:
    """Text without control characters, so that data cannot steer the terminal."""
    return CONTROLS.sub("�", text)


def show(result: Any, as_json: bool) -> None:
    """Print a result."""
    if as_json:
        if isinstance(result, BaseModel):
            print(result.model_dump_json(indent=2))
        else:
            import json

            print(json.dumps(result, indent=2))
        return
    console = Console(soft_wrap=False, highlight=False)
    console.print(picture(result))


def picture(result: Any) -> RenderableType:
    """A result as rich draws it: values on lines, lists of models as tables."""
    if not isinstance(result, BaseModel):
        return Text(_cell(result))
    parts: list[RenderableType] = []
    lines = Table.grid(padding=(0, 2))
    for name in type(result).model_fields:
        value = getattr(result, name)
        title = _title(name)
        if value is None or value in ([], {}, ()):
            continue
        value = list(value) if isinstance(value, tuple) else value
        if name == "rows" and isinstance(value, list) and hasattr(result, "columns"):
            parts.append(_grid(result.columns, value))
        elif name in ("columns", "types") and isinstance(getattr(result, "rows", None), list):
            continue
        elif isinstance(value, list) and getattr(value[0], "APART", False):
            parts += [Padding(picture(part), (0, 0, 1, 0)) for part in value]
        elif isinstance(value, list) and isinstance(value[0], BaseModel):
            parts.append(Group(Text(title, style="bold"), Padding(_table(value), (0, 0, 1, 0))))
        elif isinstance(value, BaseModel):
            parts.append(Group(Text(title, style="bold"), Padding(picture(value), (0, 0, 1, 2))))
        elif isinstance(value, dict):
            parts.append(Group(Text(title, style="bold"), Padding(_pairs(value), (0, 0, 1, 2))))
        else:
            lines.add_row(Text(title, style="dim"), Text(_listed(value) if isinstance(value, list) else _cell(value)))
    return Group(lines, *parts) if lines.row_count else Group(*parts)


@contextmanager
def progress() -> Iterator[Listener]:
    """Bars on the terminal while a run works; a line per finished step where there is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain_listener()
        return
    columns = (TextColumn("{task.description:<22}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[unit]}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def listener(step: str, done: float, total: float | None, unit: str) -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(clean(step), total=total, unit=unit)
            bars.update(tasks[step], completed=done, total=total)

        yield listener


def _plain_listener() -> Listener:
    finished: set[str] = set()

    def listener(step: str, done: float, total: float | None, unit: str) -> None:
        if total is not None and done >= total and step not in finished:
            finished.add(step)
            with suppress(OSError):
                print(f"  {clean(step)}: {done:,.0f} {unit}", file=sys.stderr, flush=True)

    return listener


def _table(rows: list[Any]) -> Table:
    """Rows of one model; a model says with `TABLE` which of its fields make the columns."""
    fields = getattr(type(rows[0]), "TABLE", None) or type(rows[0]).model_fields
    names = [n for n in fields if any(getattr(row, n) not in (None, [], {}, (), "") for row in rows)]
    table = _empty_table()
    for name in names:
        _add_column(table, _title(name), [getattr(row, name) for row in rows])
    for row in rows:
        table.add_row(*(Text(_cell(getattr(row, name))) for name in names))
    return table


def _grid(columns: list[str], rows: list[list[Any]]) -> RenderableType:
    """The rows of a query: as a table where it fits the terminal, else one row below the other."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max([len(name), *(min(len(row[place]), LONG) for row in cells)]) + 2 for place, name in enumerate(columns)]
    if sum(widths) > shutil.get_terminal_size().columns:
        return Group(*(Padding(_pairs(dict(zip(columns, row, strict=True))), (0, 0, 1, 0)) for row in rows))
    table = _empty_table()
    for place, name in enumerate(columns):
        _add_column(table, clean(name), [row[place] for row in rows])
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    return table


def _add_column(table: Table, title: str, values: list[Any]) -> None:
    """Numbers stand on the right and are never broken over lines."""
    number = all(isinstance(value, int | float | None) for value in values)
    longest = max((len(_cell(value)) for value in values), default=0)
    least = longest if number or longest <= SHORT else None
    table.add_column(Text(title), justify="right" if number else "left", overflow="fold", min_width=least)


def _empty_table() -> Table:
    return Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))


def _listed(values: list[Any]) -> str:
    """A few entries on lines of their own, many in one paragraph."""
    return ("\n" if len(values) <= FEW else "; ").join(map(_cell, values))


def _pairs(values: dict[str, Any]) -> Table:
    grid = Table.grid(padding=(0, 2))
    for key, value in values.items():
        if isinstance(value, dict) and value:
            grid.add_row(Text(clean(str(key)), style="dim"), _pairs(value))
        else:
            grid.add_row(Text(clean(str(key)), style="dim"), Text(_cell(value)))
    return grid


def _title(name: str) -> str:
    return name.replace("_", " ")


def _cell(value: Any) -> str:
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.1f}"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M}"
        case list() | tuple():
            return ", ".join(map(_cell, value))
        case dict():
            return ", ".join(f"{key}: {_cell(part)}" for key, part in value.items())
        case BaseModel():
            return ", ".join(f"{name}: {_cell(getattr(value, name))}" for name in type(value).model_fields)
        case _:
            return clean(str(value))
