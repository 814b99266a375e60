"""The filters of templates: each reads data, gives data, and pays for the text that it makes.

Like Jinja's of the same name, without what depends on objects, on the time or on the machine.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Any

from jinja2.runtime import Context, Undefined
from jinja2.utils import pass_context

from stellwerk.llm.prompts.sandbox import Budget, TooMuch

AsText = Callable[[Any, Budget], str]


def made(budget_of: Callable[[Context], Budget], as_text: AsText) -> dict[str, Any]:
    """The filters by name.

    Args:
        budget_of: the budget of a rendering.
        as_text: a value as it stands in a message.
    """

    def of_text(function: Callable[..., Any]) -> Any:
        @pass_context
        def filter_(context: Context, value: Any, *arguments: Any) -> Any:
            budget = budget_of(context)
            _needs(value)
            text = as_text(value, budget)
            budget.text(len(text))
            return _called(function, text, *arguments)

        return filter_

    def of_list(function: Callable[..., Any]) -> Any:
        @pass_context
        def filter_(context: Context, value: Any, *arguments: Any) -> Any:
            budget_of(context).turn()
            _needs(value)
            if not isinstance(value, list | tuple | dict | str):
                raise TooMuch("it takes for a list what is none")
            return _called(function, value, *arguments)

        return filter_

    def of_number(function: Callable[..., Any]) -> Any:
        @pass_context
        def filter_(context: Context, value: Any, *arguments: Any) -> Any:
            budget_of(context).turn()
            _needs(value)
            return _called(function, value, *arguments)

        return filter_

    @pass_context
    def join(context: Context, value: Any, between: Any = "") -> str:
        budget = budget_of(context)
        _needs(value)
        if not isinstance(value, list | tuple | dict):
            raise TooMuch("it joins what is no list")
        texts, glue = [as_text(item, budget) for item in value], as_text(between, budget)
        budget.text(sum(map(len, texts)) + len(glue) * len(texts))
        return glue.join(texts)

    @pass_context
    def replace(context: Context, value: Any, old: Any, new: Any) -> str:
        budget = budget_of(context)
        _needs(value)
        text, old, new = (as_text(part, budget) for part in (value, old, new))
        budget.text(len(text) + text.count(old) * max(len(new) - len(old), 0))
        return text.replace(old, new)

    @pass_context
    def default(context: Context, value: Any, instead: Any = "", falsy: Any = False) -> Any:
        budget_of(context).turn()
        return instead if isinstance(value, Undefined) or value is None or (falsy and not value) else value

    @pass_context
    def json(context: Context, value: Any, *_: Any) -> str:
        budget = budget_of(context)
        _needs(value)
        return as_text([value], budget)[1:-1]

    length = of_list(len)
    return {
        "abs": of_number(abs), "capitalize": of_text(str.capitalize), "count": length, "d": default, "default": default,
        "escape": of_text(html.escape), "first": of_list(_first), "float": of_number(_float), "int": of_number(_int),
        "items": of_list(_items), "join": join, "json": json, "last": of_list(_last), "length": length,
        "lower": of_text(str.lower), "replace": replace, "reverse": of_list(_reverse), "round": of_number(_round),
        "sort": of_list(_sort), "string": of_text(str), "title": of_text(str.title), "tojson": json, "trim": of_text(str.strip),
        "truncate": of_text(_truncate), "unique": of_list(_unique), "upper": of_text(str.upper),
        "wordcount": of_text(lambda text: len(text.split())),
    }  # fmt: skip


def _needs(value: Any) -> None:
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()


def _called(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function gives; that it cannot is the template's mistake."""
    try:
        return function(*arguments)
    except (TypeError, ValueError, OverflowError):
        raise TooMuch("it gives a filter what that cannot take") from None


def _first(value: Sequence[Any] | dict[str, Any]) -> Any:
    return next(iter(value), None)


def _last(value: Sequence[Any] | dict[str, Any]) -> Any:
    return next(reversed(value), None)


def _reverse(value: Any) -> Any:
    return value[::-1] if isinstance(value, str) else list(reversed(value))


def _items(value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        raise TypeError
    return list(value.items())


def _sort(value: Any, descending: Any = False) -> list[Any]:
    return sorted(value, reverse=bool(descending))


def _unique(value: Any) -> list[Any]:
    try:
        return list(dict.fromkeys(value))
    except TypeError:
        raise ValueError from None


def _float(value: Any, instead: float = 0.0) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return instead


def _int(value: Any, instead: int = 0) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return instead


def _round(value: float, places: int = 0) -> float:
    return round(float(value), max(min(places, 15), -15))


def _truncate(text: str, length: int = 255, end: str = "…") -> str:
    return text if len(text) <= length else text[: max(length - len(end), 0)].rstrip() + end
