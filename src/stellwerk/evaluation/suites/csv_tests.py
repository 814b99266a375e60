"""A row of a CSV as promptfoo reads it: columns are variables, those that begin with __ say what is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stellwerk.evaluation.scorers import registry
from stellwerk.evaluation.scorers.texts import listed
from stellwerk.evaluation.suites.row import Row, refuse

_CHECK = re.compile(
    r"(?P<type>(?:not-)?(?:similar:(?:cosine|dot|euclidean)|[a-z][a-z0-9-]*))"
    r"(?:\((?P<threshold>\d+(?:\.\d+)?)\))?(?::(?P<value>.*))?",
    re.S,
)
_OLD = {"grade": "llm-rubric", "fn": "javascript", "eval": "javascript"}
_SINGLE = ("_expected", "_description", "_metric", "_threshold", "_metadata", "_prefix", "_suffix")
_LISTS = ("contains-all", "contains-any", "icontains-all", "icontains-any")


def row(place: str, cells: Mapping[str, str]) -> Row:
    """A case out of a row.

    Raises:
        UserError: a column or a check in it cannot be understood.
    """
    from stellwerk.evaluation.suites.reading import checked

    given: dict[str, Any] = {"vars": {}, "assert": [], "metadata": {}}
    metric = None
    for name, value in cells.items():
        if name.startswith("__expected"):
            if value.strip():
                given["assert"].append(assertion(value))
        elif name == "__description":
            given["description"] = value
        elif name == "__metric":
            metric = value.strip() or None
        elif name == "__threshold":
            if value.strip():
                given["threshold"] = value
        elif name.startswith("__metadata:"):
            key = name.removeprefix("__metadata:")
            listing = key.endswith("[]")
            given["metadata"][key.removesuffix("[]")] = listed(value) if listing else value
        elif name.startswith("__"):
            refuse(place, f"the column {name!r} of promptfoo is not read here; take it out")
        elif name.startswith(_SINGLE):
            refuse(place, f"the column {name!r} has one underscore too few: _{name}")
        else:
            given["vars"][name] = value
    answers = [each["value"] for each in given["assert"] if each["type"] == "equals"]
    if len(answers) == 1:
        given["expected"] = answers[0]
    for each in given["assert"]:
        if metric:
            each["metric"] = metric
    return Row(place, checked(place, given), any(name == "__expected" for name in cells), data=True)


def assertion(text: str) -> dict[str, Any]:
    """A check as a cell of a CSV writes it, such as `contains-any: a, b` or `similar(0.8): text`; else the answer itself."""
    found = _CHECK.fullmatch(text.strip())
    name = found["type"] if found else ""
    base = name.removeprefix("not-")
    base = _OLD.get(base, base)
    if found is None or (base not in registry.SCORERS and base not in registry.NOT_OFFERED):
        return {"type": "equals", "value": text}
    if base in ("javascript", "python", "equals") and found["value"] is None:
        return {"type": "equals", "value": text}  # the word itself is what is expected
    value: Any = found["value"].strip() if found["value"] is not None else None
    made: dict[str, Any] = {"type": f"not-{base}" if name.startswith("not-") else base}
    if base in ("latency", "cost") and found["threshold"] is None:
        made["threshold"] = value
    elif value:
        made["value"] = listed(value) if base in _LISTS else value
    if found["threshold"] is not None:
        made["threshold"] = float(found["threshold"])
    return made
