"""How a terminal shows results and progress: tables and bars for people, JSON for programs."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from stellwerk.run import Listener

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
    if hasattr(result, "__rich__") or not isinstance(result, BaseModel):
        return result if hasattr(result, "__rich__") else Text(_cell(result))
    parts: list[RenderableType] = []
    lines = Table.grid(padding=(0, 2))
    for name, field in type(result).model_fields.items():
        value = getattr(result, name)
        title = _title(name)
        if value is None or value == [] or value == {}:
            continue
        if isinstance(value, list) and isinstance(value[0], BaseModel):
            parts.append(Group(Text(title, style="bold"), Padding(_table(value), (0, 0, 1, 0))))
        elif isinstance(value, BaseModel):
            parts.append(Group(Text(title, style="bold"), Padding(picture(value), (0, 0, 1, 2))))
        elif isinstance(value, dict):
            parts.append(Group(Text(title, style="bold"), Padding(_pairs(value), (0, 0, 1, 2))))
        else:
            text = "\n".join(map(_cell, value)) if isinstance(value, list) else _cell(value)
            lines.add_row(Text(title, style="dim"), Text(text))
        del field
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
            print(f"  {clean(step)}: {done:,.0f} {unit}", file=sys.stderr)

    return listener


def _table(rows: list[Any]) -> Table:
    names = [n for n in type(rows[0]).model_fields if any(getattr(row, n) not in (None, [], {}) for row in rows)]
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for name in names:
        number = all(isinstance(getattr(row, name), int | float | None) for row in rows)
        table.add_column(_title(name), justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(getattr(row, name))) for name in names))
    return table


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
        case list() | tuple():
            return ", ".join(map(_cell, value))
        case dict():
            return ", ".join(f"{key}: {_cell(part)}" for key, part in value.items())
        case BaseModel():
            return ", ".join(f"{name}: {_cell(getattr(value, name))}" for name in type(value).model_fields)
        case _:
            return clean(str(value))
