"""Makes a suite of what another tool has: what is written, that it is whole before it counts, and what was left out.

Knows no format; each has a module of its own that gives a `Taken`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from stellwerk.errors import UserError, where
from stellwerk.evaluation.exchange.taken import Taken
from stellwerk.evaluation.reports import Imported
from stellwerk.evaluation.suites.spec import FOLDER

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace

SHOWN = 50  # things that were left out, of which a report tells


def import_suite(workspace: Workspace, file: Path, name: str, format: str, *, overwrite: bool) -> Imported:
    """Make suites/NAME.yaml, and files of its cases in suites/NAME/, of another tool's file.

    Args:
        workspace: where to.
        file: what the other tool wrote; nothing in it is run.
        name: of the suite.
        format: promptfoo, langfuse, csv or inspect.
        overwrite: replace a suite of that name.

    Raises:
        UserError: the file cannot be read, holds no case, or there is such a suite.
    """
    from stellwerk.workspace import NAME

    if not NAME.fullmatch(name):
        raise UserError(f"{name[:60]!r} is no name of a suite; use letters, digits, _ and -")
    if not file.is_file():
        raise UserError(f"there is no file {file}")
    path = workspace.root / FOLDER / f"{name}.yaml"
    if path.exists() and not overwrite:
        raise UserError(f"there is a suite {name} already; give another name, or say overwrite")
    if (workspace.root / FOLDER / name).exists() and not path.exists():
        raise UserError(f"there is a folder {FOLDER}/{name} of something else already; give another name, or remove it")
    try:
        taken = _reader(format)(file, name)
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        # What other tools write may be cut, changed by hand or made to do harm: its parts can be of any kind.
        raise UserError(f"{file.name} is not as {format} writes it ({where(error)}); export it anew") from None
    count = _write(workspace, name, taken)
    left_out = taken.left_out
    if len(left_out) > SHOWN:
        left_out = [*left_out[:SHOWN], f"and {len(left_out) - SHOWN} more"]
    return Imported(
        suite=name,
        message=f"{FOLDER}/{name}.yaml has {count} cases.",
        file=f"{FOLDER}/{name}.yaml",
        cases=count,
        left_out=left_out,
        next=[f"stellwerk evaluation cases {name}", f"stellwerk evaluation register {name}"],
    )


def _reader(format: str) -> Callable[[Path, str], Taken]:
    if format == "promptfoo":
        from stellwerk.evaluation.exchange import promptfoo

        return promptfoo.take
    if format == "langfuse":
        from stellwerk.evaluation.exchange import langfuse

        return langfuse.take
    if format == "csv":
        from stellwerk.evaluation.exchange import csv_cases

        return csv_cases.take
    from stellwerk.evaluation.exchange import inspect_cases

    return inspect_cases.take


def _write(workspace: Workspace, name: str, taken: Taken) -> int:
    """Write the suite, and see that its cases can be read; else all is as it was before."""
    from stellwerk.evaluation import suites
    from stellwerk.workspace import write_bytes, write_text

    folder = workspace.root / FOLDER
    path, files, before = folder / f"{name}.yaml", folder / name, folder / f".{name}.before"
    suites.read(taken.text(), f"{FOLDER}/{name}.yaml")
    folder.mkdir(exist_ok=True)
    shutil.rmtree(before, ignore_errors=True)
    before.mkdir()
    moved = [place for place in (path, files) if place.exists()]
    try:
        for place in moved:
            place.rename(before / place.name)
        for part, content in taken.files.items():
            (files / part).parent.mkdir(parents=True, exist_ok=True)
            write_bytes(files / part, content)
        write_text(path, taken.text())
        count = suites.of(workspace, name).count()
    except BaseException:
        shutil.rmtree(files, ignore_errors=True)
        path.unlink(missing_ok=True)
        for place in moved:
            (before / place.name).rename(place)
        raise
    finally:
        shutil.rmtree(before, ignore_errors=True)
    return count
