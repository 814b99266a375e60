"""What is wrong with a value that was typed, in a sentence of the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stellwerk.doors.web.page import text

if TYPE_CHECKING:
    from starlette.requests import Request

_NUMBERS = ("int_parsing", "int_type", "int_from_float", "float_parsing", "float_type", "finite_number")
_BOUNDS = {"greater_than_equal": "ge", "greater_than": "gt", "less_than_equal": "le", "less_than": "lt"}


def sentence(request: Request, fault: Mapping[str, Any]) -> str:
    """One error of pydantic as a sentence.

    Args:
        request: whose language is spoken.
        fault: as `ValidationError.errors()` gives it.
    """
    known, kind = fault.get("ctx", {}), fault["type"]
    if kind == "missing":
        return text(request, "This is needed.")
    if kind == "extra_forbidden":
        return text(request, "There is no such parameter.")
    if kind in _NUMBERS:
        return (
            text(request, "A number is expected, without decimals.")
            if kind.startswith("int")
            else text(request, "A number is expected.")
        )
    if kind in _BOUNDS:
        return text(request, _bound(kind), bound=known[_BOUNDS[kind]])
    if kind in ("literal_error", "enum"):
        return text(request, "Expected is one of: %(names)s.", names=known["expected"])
    if kind in ("bool_parsing", "bool_type"):
        return text(request, "true or false is expected.")
    if kind in ("string_too_short", "too_short"):
        return text(request, "At least %(bound)s are expected.", bound=known["min_length"])
    if kind.startswith("date"):
        return text(request, "A date is expected, such as 2026-12-31.")
    if kind == "string_pattern_mismatch":
        return text(request, "This has not the form that is expected: %(form)s", form=known["pattern"])
    if kind == "string_type":
        return text(request, "A text is expected; in YAML, put it into quotes.")
    if kind in ("list_type", "tuple_type"):
        return text(request, "A list is expected.")
    message = str(fault["msg"])
    return f"{message[0].upper()}{message[1:]}."


def _bound(kind: str) -> str:
    return {
        "greater_than_equal": "At least %(bound)s is expected.",
        "greater_than": "More than %(bound)s is expected.",
        "less_than_equal": "At most %(bound)s is expected.",
        "less_than": "Less than %(bound)s is expected.",
    }[kind]
