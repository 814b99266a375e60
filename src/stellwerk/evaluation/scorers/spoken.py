"""What an answer says to a person: where it is JSON, the texts in it, for quotes and escapes around them are not said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stellwerk.evaluation.scorers.structure import embedded


def spoken(text: str) -> list[str]:
    """The texts of an answer that is JSON, also between fences, in order; of any other answer the whole."""
    if not text.lstrip().startswith(("{", "[", "```")):
        return [text]
    return [said for value in embedded(text) for said in _texts(value)] or [text]


def _texts(value: Any) -> Iterator[str]:
    todo = [value]
    while todo:
        part = todo.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict | list):
            todo.extend(reversed(list(part.values()) if isinstance(part, dict) else part))
