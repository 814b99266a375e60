"""One of the company's letters is changed, as a customer's addition would change it, so that signals go dark.

The row is the first German letter in which nothing was planted. Changing it twice changes nothing.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Final

from stellwerk.workspace import write_bytes

ADDITION: Final = "\n\nNachtrag: Der Termin am Montag passt uns ebenfalls."


def change_a_letter(folder: Path) -> str:
    """Add a sentence to one letter; returns the number of its ticket."""
    untouched = _untouched(folder)
    for path in sorted((folder / "raw" / "tickets").glob("*.csv")):
        rows = list(csv.reader(io.StringIO(path.read_bytes().decode("latin-1"), newline=""), delimiter=";"))
        number, body = rows[0].index("ticket_id"), rows[0].index("body")
        row = next((row for row in rows[1:] if row[number] in untouched), None)
        if row is None:
            continue
        if not row[body].endswith(ADDITION):
            row[body] += ADDITION
            text = io.StringIO(newline="")
            csv.writer(text, delimiter=";", lineterminator="\r\n").writerows(rows)
            write_bytes(path, text.getvalue().encode("latin-1"))
        return row[number]
    raise RuntimeError("the sample company has no letter in which nothing was planted")


def _untouched(folder: Path) -> set[str]:
    """Tickets in German that no planted defect and no look-alike is about."""
    touched: set[str] = set()
    for name in ("planted", "decoys"):
        for row in _rows(folder / "truth" / f"{name}.jsonl"):
            touched |= {str(row.get(field, "")).rpartition(":")[2] for field in ("doc", "partner")}
    german = {row["doc"].rpartition(":")[2] for row in _rows(folder / "truth" / "answers.jsonl") if row["language"] == "de"}
    return german - touched


def _rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
