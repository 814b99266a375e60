"""A CSV of any tool as a suite: promptfoo's columns as they are, else columns by their usual names."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

from stellwerk.errors import UserError
from stellwerk.evaluation.exchange.taken import Taken
from stellwerk.evaluation.suites.reading import header

MAXIMUM = 512 << 20
_USUAL: dict[str, tuple[str, ...]] = {
    "expected": (
        "expected",
        "expected_output",
        "target",
        "gold",
        "label",
        "category",
        "answer",
        "erwartet",
        "kategorie",
        "antwort",
    ),
    "cluster": ("cluster", "group", "session", "session_id", "gruppe"),
    "id": ("id", "case_id", "nr"),
    "language": ("language", "lang", "sprache"),
    "split": ("split",),
}


def take(file: Path, name: str) -> Taken:
    """The rows of a file.

    Args:
        file: a CSV of any encoding and delimiter.
        name: of the suite.

    Raises:
        UserError: it has no header, or no column that could be an input.
    """
    if _size(file) > MAXIMUM:
        raise UserError(f"{file} has over {MAXIMUM >> 20} MiB; put it into a dataset, and take the cases from there")
    columns = header(file, str(file))
    part = "cases.csv.gz" if file.suffix == ".gz" else "cases.tsv" if file.suffix.lower() == ".tsv" else "cases.csv"
    value: dict[str, Any] = {"description": f"from {file.name}", "file": f"{name}/{part}", "duplicates": "drop"}
    told: list[str] = []
    if not any(column.startswith("__") for column in columns):
        found = _columns(columns)
        if not found["inputs"]:
            raise UserError(f"{file} has no column that could be an input; there are: {', '.join(columns)}")
        value["columns"] = found
        if "expected" not in found:
            told.append("no column is known as what is expected; name it below columns, or write checks")
    return Taken(value, {part: file.read_bytes()}, told)


def _size(file: Path) -> int:
    """Bytes of a file, of a packed one those that it becomes; no more of it is unpacked than is allowed.

    Raises:
        UserError: it is not packed as its name says.
    """
    if file.suffix != ".gz":
        return file.stat().st_size
    found = 0
    try:
        with gzip.open(file) as content:
            while found <= MAXIMUM and (part := content.read(1 << 20)):
                found += len(part)
    except (OSError, EOFError, zlib.error):
        raise UserError(f"{file} is no whole gzip file; pack it anew") from None
    return found


def _columns(names: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for role, usual in _USUAL.items():
        match = next((name for wanted in usual for name in names if name.lower() == wanted), None)
        if match is not None and match not in found.values():
            found[role] = match
    return {"inputs": [name for name in names if name not in found.values()], **found}
