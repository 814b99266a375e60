"""A test as JUnit XML, as CI systems read it: a case for each call, a failure for each that did not pass.

Holds which checks failed, and neither the texts of cases nor answers, for logs of CI are read by many.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from stellwerk.evaluation.evidence import Evidence, state_of

# What XML 1.0 cannot hold, even escaped.
FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(found: Evidence, file: Path) -> None:
    """Write a test as JUnit XML."""
    about, counts = found.about, found.counts
    seconds = sum(value for value in found.columns.seconds if value == value)
    totals = (
        f'tests="{counts["samples"]}" failures="{counts["failed"]}" errors="{counts["errors"]}" '
        f'skipped="{counts["unscored"]}" time="{seconds:.3f}"'
    )
    name = _quoted(f"{about['suite']}: {about['target']}")
    with file.open("w", encoding="utf-8") as out:
        out.write('<?xml version="1.0" encoding="UTF-8"?>\n')
        out.write(f"<testsuites {totals}>\n")
        out.write(f"  <testsuite name={name} timestamp={_quoted(found.created[:19])} {totals}>\n")
        out.writelines(_properties(found))
        for _, row in found.rows():
            out.write(_case(row, about["suite"], about["repeats"]))
        out.write("  </testsuite>\n</testsuites>\n")


def _properties(found: Evidence) -> list[str]:
    """What was measured, and with what; whoever reads the log sees that answers were simulated."""
    about = found.about
    known: dict[str, Any] = {"run": found.run, "simulated": str(about["simulated"]).lower(), "split": about["split"]}
    known |= {f"subject.{place}": reference for place, reference in enumerate(about["subjects"], 1)}
    for one in found.summary:
        for part in ("value", "low", "high"):
            if one[part] is not None:
                known[one["metric"] if part == "value" else f"{one['metric']}.{part}"] = f"{one[part]:.6g}"
    lines = [f"      <property name={_quoted(name)} value={_quoted(str(value))}/>\n" for name, value in known.items()]
    return ["    <properties>\n", *lines, "    </properties>\n"]


def _case(row: Mapping[str, Any], suite: str, repeats: int) -> str:
    name = row["case"] if repeats == 1 else f"{row['case']} [{row['repeat'] + 1}]"
    seconds = row["answer"]["seconds"]
    head = f'    <testcase classname={_quoted(suite)} name={_quoted(name)} time="{seconds:.3f}"'
    match state_of(row):
        case "passed":
            return f"{head}/>\n"
        case "errors":
            inner = f"<error type={_quoted(row['answer']['failure'])} message={_quoted(row['answer']['problem'] or '')}/>"
        case "unscored":
            inner = f"<skipped message={_quoted('not scored: ' + _checks(row))}/>"
        case _:
            inner = f'<failure type="check" message={_quoted(_checks(row))}/>'
    return f"{head}>{inner}</testcase>\n"


def _checks(row: Mapping[str, Any]) -> str:
    """The checks that did not pass."""
    found = [f"{s['metric']}: {s['reason']}" if s["reason"] else s["metric"] for s in row["scores"] if s["passed"] is not True]
    return "; ".join(found) or (row["answer"]["failure"] or "no check has a weight")


def _quoted(text: str) -> str:
    return quoteattr(FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text), {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})
