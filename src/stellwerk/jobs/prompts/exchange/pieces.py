"""A template as pieces that every tool has a way to say: text, a value, a condition, a loop. Knows no format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stellwerk.llm.prompts import templates
from stellwerk.llm.prompts.header import Kind
from stellwerk.llm.prompts.writing import literal


class CannotSay(Exception):
    """A format has no way to say something; the message says what."""


@dataclass(frozen=True)
class Value:
    """A value: `customer.name` is `("customer", "name")`; within a loop `loop` has its places."""

    path: tuple[str, ...]
    as_json: bool = False


@dataclass(frozen=True)
class If:
    """Pieces that depend on a value."""

    path: tuple[str, ...]
    then: tuple[Piece, ...]
    otherwise: tuple[Piece, ...] = ()
    negated: bool = False


@dataclass(frozen=True)
class Each:
    """Pieces for each item of a list; `name` is what an item is called inside."""

    path: tuple[str, ...]
    name: str
    body: tuple[Piece, ...]
    otherwise: tuple[Piece, ...] = ()


Piece = str | Value | If | Each


def template(pieces: Sequence[Piece]) -> str:
    """Our template of pieces."""
    joined: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        else:
            joined.append(piece)
    if len(joined) == 1 and isinstance(joined[0], str):
        return literal(joined[0])
    return "".join(_inner(piece, first=i == 0, last=i == len(joined) - 1) for i, piece in enumerate(joined))


def _inner(piece: Piece, *, first: bool, last: bool) -> str:
    match piece:
        case str():
            return _within(piece, first=first, last=last)
        case Value(path, as_json):
            return f"{{{{{_name(path)}{'|json' if as_json else ''}}}}}"
        case If(path, then, otherwise, negated):
            other = f"{{% else %}}{_all(otherwise)}" if otherwise else ""
            return f"{{% if {'not ' if negated else ''}{_name(path)} %}}{_all(then)}{other}{{% endif %}}"
        case Each(path, name, body, otherwise):
            other = f"{{% else %}}{_all(otherwise)}" if otherwise else ""
            return f"{{% for {name} in {_name(path)} %}}{_all(body)}{other}{{% endfor %}}"


def _all(pieces: Sequence[Piece]) -> str:
    return "".join(_inner(piece, first=False, last=False) for piece in pieces)


def _within(text: str, *, first: bool, last: bool) -> str:
    """A text between others: only at the ends of a message are spaces written so that they stay."""
    before = "" if first else "x"
    after = "" if last else "x"
    # A letter on each side stands for what is there, so that only the true ends are kept from being trimmed.
    written = literal(before + text + after)
    written = written[len(before) :] if before else written
    written = written[: len(written) - len(after)] if after else written
    return written[:-1] + '{{ "{" }}' if after and text.endswith("{") and written.endswith("{") else written


def _name(path: Sequence[str]) -> str:
    return "".join(part if i == 0 else f"[{part}]" if part.isdecimal() else f".{part}" for i, part in enumerate(path))


def of_template(text: str) -> list[Piece]:
    """The pieces of our template.

    Raises:
        CannotSay: it holds something else, such as a filter or a comparison.
    """
    return _pieces(templates.tree(text).body)


def _pieces(nodes: Sequence[Any]) -> list[Piece]:
    found: list[Piece] = []
    for node in nodes:
        match type(node).__name__:
            case "Output":
                found += [_output(part) for part in node.nodes]
            case "If":
                found.append(_condition(node))
            case "For":
                found.append(_loop(node))
            case kind:
                raise CannotSay(f"a {kind}")
    merged: list[Piece] = []
    for piece in found:
        if isinstance(piece, str) and merged and isinstance(merged[-1], str):
            merged[-1] += piece
        elif piece != "":
            merged.append(piece)
    return merged


def _output(node: Any) -> Piece:
    match type(node).__name__:
        case "TemplateData":
            return str(node.data)
        case "Const" if isinstance(node.value, str):
            return str(node.value)
        case "Filter" if node.name in ("json", "tojson") and not node.args:
            return Value(_path(node.node), as_json=True)
        case "Filter":
            raise CannotSay(f"the filter {node.name!r}")
    return Value(_path(node))


def _condition(node: Any) -> If:
    negated = type(node.test).__name__ == "Not"
    path = _path(node.test.node if negated else node.test)
    other: list[Piece] = _pieces(node.else_)
    for branch in reversed(node.elif_):
        inner = _condition(branch)
        other = [If(inner.path, inner.then, tuple(other), inner.negated)]
    return If(path, tuple(_pieces(node.body)), tuple(other), negated)


def _loop(node: Any) -> Each:
    if type(node.target).__name__ != "Name" or node.test is not None:
        raise CannotSay("a loop with a condition or over pairs")
    return Each(_path(node.iter), node.target.name, tuple(_pieces(node.body)), tuple(_pieces(node.else_)))


def _path(node: Any) -> tuple[str, ...]:
    match type(node).__name__:
        case "Name":
            return (node.name,)
        case "Getattr":
            return (*_path(node.node), node.attr)
        case "Getitem" if type(node.arg).__name__ == "Const" and isinstance(node.arg.value, str | int):
            return (*_path(node.node), str(node.arg.value))
    raise CannotSay("a calculation or a comparison")


def used_as(pieces: Sequence[Piece]) -> dict[str, Kind]:
    """The values that pieces use at the top, each with what it has to be for that."""
    found: dict[str, Kind] = {}
    inner: set[str] = {"loop"}

    def note(path: tuple[str, ...], kind: Kind) -> None:
        if path[0] not in inner and found.get(path[0], "string") == "string":
            found[path[0]] = "object" if len(path) > 1 else kind

    def walk(some: Sequence[Piece]) -> None:
        for piece in some:
            match piece:
                case Value(path, _):
                    note(path, "string")
                case If(path, then, otherwise, _):
                    note(path, "string")
                    walk((*then, *otherwise))
                case Each(path, name, body, otherwise):
                    note(path, "array")
                    added = {name} - inner
                    inner.update(added)
                    walk(body)
                    inner.difference_update(added)
                    walk(otherwise)

    walk(pieces)
    return found
