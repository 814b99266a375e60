"""Sentence templates of the sample company: reads the notation of the wording files and fills it.

`[a|b]` picks one alternative, `<formal/informal>` follows the writer's form of address and `{slot}` is a value that the
caller knows. Knows the notation only; the sentences stand in wording/*.yaml, the values in catalogue.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any, TypeVar

import yaml

T = TypeVar("T")
Part = str | tuple[str, Any]
Template = list[Part]


@cache
def read_wording(name: str) -> dict[str, Any]:
    """The parsed wording file `wording/NAME.yaml` of this package."""
    text = files("stellwerk.demo").joinpath("wording", f"{name}.yaml").read_text(encoding="utf-8")
    wording: dict[str, Any] = yaml.safe_load(text)
    return wording


def read_templates(node: Any) -> Any:
    """The same tree with each block of text replaced by the list of its lines, compiled as templates."""
    if isinstance(node, dict):
        return {key: read_templates(value) for key, value in node.items()}
    return [compile_template(line) for line in str(node).splitlines() if line.strip()]


@cache
def compile_template(text: str) -> Template:
    """Cut one sentence of the notation into literals, slots and choices; the template is shared, so nobody changes it."""
    template, end = _read(text, 0, "")
    if end != len(text):
        raise ValueError(f"closing bracket without an opening one in the template: {text}")
    return template


def _read(text: str, start: int, stops: str) -> tuple[Template, int]:
    template: Template = []
    literal = start
    at = start
    while at < len(text) and text[at] not in stops:
        mark = text[at]
        if mark in "[<{":
            template.append(text[literal:at])
            if mark == "{":
                end = text.index("}", at)
                template.append(("slot", text[at + 1 : end]))
            else:
                kind, divider, close = ("pick", "|", "]") if mark == "[" else ("address", "/", ">")
                options, end = _read_options(text, at + 1, divider, close)
                template.append((kind, options))
            at = literal = end + 1
        else:
            at += 1
    template.append(text[literal:at])
    return [part for part in template if part != ""], at


def _read_options(text: str, start: int, divider: str, close: str) -> tuple[list[Template], int]:
    options = []
    at = start - 1
    while at == start - 1 or text[at] == divider:
        option, at = _read(text, at + 1, divider + close)
        options.append(option)
    return options, at


def fill(template: Template, rng: Random, slots: Mapping[str, str], formal: bool = True) -> str:
    """One sentence made from a template.

    Args:
        template: as `compile_template` returns it
        rng: picks among the alternatives
        slots: the value of each `{slot}`
        formal: which side of `<formal/informal>` to take

    Returns:
        The sentence, its first letter in upper case.
    """
    text = "".join(_fill(template, rng, slots, formal))
    return text[:1].upper() + text[1:]


def _fill(template: Template, rng: Random, slots: Mapping[str, str], formal: bool) -> list[str]:
    pieces: list[str] = []
    for part in template:
        if isinstance(part, str):
            pieces.append(part)
        elif part[0] == "slot":
            pieces.append(slots[part[1]])
        else:
            option = pick(rng, part[1]) if part[0] == "pick" else part[1][0 if formal else -1]
            pieces.extend(_fill(option, rng, slots, formal))
    return pieces


def pick(rng: Random, options: Sequence[T]) -> T:
    """One of the options, by a draw that is the same in every version of Python."""
    return options[int(rng.random() * len(options))]


def pick_by_share(rng: Random, shares: Mapping[str, float]) -> str:
    """One of the names, each as often as its share; the last one takes what rounding leaves."""
    draw = rng.random()
    for name, share in shares.items():
        if draw < share:
            return name
        draw -= share
    return name


def draws(key: str) -> Random:
    """The stream of draws that belongs to a key: the same on every machine, apart from that of every other key."""
    return Random(key)  # noqa: S311 (made-up letters, no secrets)
