"""The cases of a log of inspect_ai as a suite; how a log is read is known in `inspect_log.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stellwerk.evaluation.exchange.taken import Taken, lines


def take(file: Path, name: str) -> Taken:
    """The samples of a log, each once.

    Args:
        file: a log, `.eval` or `.json`.
        name: of the suite.
    """
    from stellwerk.evaluation.exchange import inspect_log

    rows: list[dict[str, Any]] = []
    for case in inspect_log.cases(file):
        row: dict[str, Any] = {"id": case.id, "vars": case.inputs, "options": {"disableVarExpansion": True}}
        if case.cluster is not None:
            row["cluster"] = str(case.cluster)
        if isinstance(case.expected, list):
            # Several answers are right; one of them is enough.
            one = [{"type": "equals", "value": answer} for answer in case.expected]
            row["assert"] = [{"type": "assert-set", "threshold": 1 / len(one), "assert": one}] if one else []
        elif case.expected:
            row["expected"] = case.expected
        rows.append(row)
    told = ["the log's scorer is not taken over: an answer has to equal the target; write checks that ask what you need"]
    return Taken({"description": f"from {file.name}", "file": f"{name}/cases.jsonl"}, {"cases.jsonl": lines(rows)}, told)
