"""Scorers of the tools that an answer calls: whether the calls fit their schemas, and whether they are the right ones."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from stellwerk.evaluation.case import Check
from stellwerk.evaluation.scorers import structure
from stellwerk.evaluation.scorers.outcome import Asked, Outcome, unscored, yes_no
from stellwerk.evaluation.scorers.texts import listed


def is_valid(check: Check, asked: Asked) -> Outcome:
    """Each tool that is called is among the value's tools, and its arguments fit the tool's schema."""
    schemas = dict(map(_tool, check.value))
    if not asked.answer.tool_calls:
        return yes_no(False, "no_tool_call")
    for call in asked.answer.tool_calls:
        if call.name not in schemas:
            return yes_no(False, "unknown_tool", tool=call.name[:80])
        try:
            arguments = json.loads(call.arguments or "{}")
        except (ValueError, RecursionError):
            return yes_no(False, "no_json", tool=call.name)
        try:
            place = structure.misfit(schemas[call.name], arguments)
        except structure.TooSlow:
            return unscored("schema_too_slow")
        if place is not None:
            return yes_no(False, "misfit", tool=call.name, at=place)
    return yes_no(True, "fits")


def f1(check: Check, asked: Asked) -> Outcome:
    """The harmonic mean of precision and recall over the names of the tools that are called, each counted once."""
    wanted, called = Counter(set(map(str, listed(check.value)))), Counter({call.name for call in asked.answer.tool_calls})
    right = sum((wanted & called).values())
    value = 2 * right / (sum(wanted.values()) + sum(called.values())) if wanted or called else 1.0
    least = 1.0 if check.threshold is None else check.threshold
    return Outcome(value, value >= least, "tools", {"share": round(value, 4), "least": least, "called": sorted(called)})


def problem(check: Check) -> str | None:
    """A list of tools with names and schemas must be given."""
    try:
        tools = [_tool(tool) for tool in check.value]
    except (TypeError, KeyError, AttributeError):
        tools = []
    if not tools:
        return "needs a value: the list of tools, each with function: {name: ..., parameters: {...}}"
    for name, schema in tools:
        if (wrong := structure.problem(Check("is-json", schema))) is not None:
            return f"{wrong}, in the tool {name}"
    return None


def f1_problem(check: Check) -> str | None:
    """The names of tools must be given."""
    given = check.value if isinstance(check.value, list) else [check.value]
    return None if given and all(isinstance(name, str) and name for name in given) else "needs a value: a list of tool names"


def _tool(tool: Mapping[str, Any]) -> tuple[str, Any]:
    function = tool.get("function", tool)
    return str(function["name"]), function.get("parameters")
