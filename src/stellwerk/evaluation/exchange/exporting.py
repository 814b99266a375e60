"""Writes what a test saw for another tool; the file appears whole or not at all, and a large test streams into it."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stellwerk.errors import UserError
from stellwerk.evaluation import evidence
from stellwerk.evaluation.evidence import Evidence, state_of
from stellwerk.evaluation.reports import Exported
from stellwerk.evaluation.rows import dump

if TYPE_CHECKING:
    from stellwerk.workspace import Workspace

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes a text for a formula by
READ_BY = {
    "inspect": "inspect view, or inspect_ai.log.read_eval_log",
    "junit": "any CI",
    "jsonl": "one call in each line",
    "csv": "one call in each row",
}


def export(workspace: Workspace, of: str, file: Path, format: str, *, overwrite: bool) -> Exported:
    """Write a test.

    Args:
        workspace: where it ran.
        of: a run, see `evidence.of`.
        file: where to.
        format: inspect, junit, jsonl or csv.
        overwrite: replace a file that is there.

    Raises:
        UserError: there is no such test, or the file is there already.
    """
    found = evidence.of(workspace, of)
    if file.is_dir():
        raise UserError(f"{file} is a folder; give the file to write")
    if file.exists() and not overwrite:
        raise UserError(f"{file} is there already; give another file, or --overwrite")
    with _whole(file) as partial:
        _writer(format)(found, partial)
    message = f"{len(found)} calls of {found.about['target']} on {found.about['suite']}, for {READ_BY[format]}"
    if format == "inspect" and file.suffix != ".eval":
        message += ", which reads files that end in .eval"
    return Exported(file=str(file), format=format, samples=len(found), message=message)


def _writer(format: str) -> Callable[[Evidence, Path], None]:
    from stellwerk.evaluation.exchange import inspect_writing, junit

    return {"inspect": inspect_writing.write, "junit": junit.write, "jsonl": _jsonl, "csv": _csv}[format]


@contextmanager
def _whole(file: Path) -> Iterator[Path]:
    """A path to write to that takes the file's place at the end; only its owner may read it, for answers may be private."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.touch(mode=0o600)
        yield partial
        partial.replace(file)
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}; give another place, or make room there") from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _jsonl(found: Evidence, file: Path) -> None:
    with file.open("wb") as out:
        for number, row in found.rows():
            out.write(dump({"number": number + 1, "state": state_of(row), **row}) + b"\n")


def _csv(found: Evidence, file: Path) -> None:
    """A row for each call; with a byte order mark, since spreadsheets take UTF-8 for another encoding without one."""
    metrics = sorted(found.columns.metrics)
    inputs = list(dict.fromkeys(name for _, row in found.rows() for name in row["inputs"]))
    names = ["number", "case", "repeat", "cluster", "state", "score", "answer", "expected", "problem", "finish", "seconds"]
    names += ["input_tokens", "output_tokens", "cost", "currency", *(f"input.{name}" for name in inputs), *metrics]
    with file.open("w", encoding="utf-8-sig", newline="", errors="replace") as out:
        writer = csv.writer(out)
        writer.writerow([_cell(name) for name in names])
        for number, row in found.rows():
            writer.writerow([_cell(value) for value in _values(number, row, inputs, metrics)])


def _values(number: int, row: dict[str, Any], inputs: list[str], metrics: list[str]) -> list[Any]:
    answer = row["answer"]
    usage = answer.get("usage") or [None, None]
    scores: dict[str, list[float]] = {}
    for score in row["scores"]:
        if score["value"] is not None:
            scores.setdefault(score["metric"], []).append(score["value"])
    return [
        number + 1, row["case"], row["repeat"], row["cluster"], state_of(row), row["score"], answer["text"], row["expected"],
        answer["problem"], answer["finish"], answer["seconds"], usage[0], usage[1], answer["cost"], answer["currency"],
        *(row["inputs"].get(name) for name in inputs),
        *(sum(values) / len(values) if (values := scores.get(name)) else None for name in metrics),
    ]  # fmt: skip


def _cell(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula; NUL, which no reader of CSV takes, is left out."""
    if isinstance(value, dict | list):
        value = dump(value).decode()
    if isinstance(value, str):
        value = value.replace("\0", "")
        return f"'{value}" if value.startswith(FORMULA) else value
    return value
