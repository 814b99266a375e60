"""Scorers for JSON: is-json and contains-json, both with a schema if one is given.

A schema that can take for ever on some answer, by patterns or by references, is looked at in a process of its own.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

from stellwerk.evaluation.case import Check
from stellwerk.evaluation.scorers.outcome import Asked, Outcome, unscored, yes_no
from stellwerk.specfile import parse

OPENINGS = 2000  # brackets of an answer that are tried as the beginning of JSON
ENDLESS = frozenset({"pattern", "patternProperties", "$ref", "$dynamicRef", "$recursiveRef", "uniqueItems"})
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


class TooSlow(Exception):
    """It took over a second to compare a value with a schema."""


def is_json(check: Check, asked: Asked) -> Outcome:
    """The whole answer is JSON, and fits the schema."""
    try:
        value = _loads(asked.text)
    except (ValueError, RecursionError):
        return yes_no(False, "no_json")
    try:
        place = misfit(check.value, value)
    except TooSlow:
        return unscored("schema_too_slow")
    return yes_no(place is None, "fits" if place is None else "misfit", **({"at": place} if place else {}))


def contains_json(check: Check, asked: Asked) -> Outcome:
    """Some part of the answer is a JSON object or list, and fits the schema."""
    place: str | None = None
    for value in embedded(asked.text):
        try:
            place = misfit(check.value, value)
        except TooSlow:
            return unscored("schema_too_slow")
        if place is None:
            return yes_no(True, "fits")
    return yes_no(False, "misfit", at=place) if place else yes_no(False, "no_json")


def embedded(text: str) -> Iterator[Any]:
    """The outermost JSON objects and lists in a text, in order."""
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    place = tried = 0
    while tried < OPENINGS:
        starts = [at for at in (text.find("{", place), text.find("[", place)) if at >= 0]
        if not starts:
            return
        tried += 1
        place = min(starts)
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            place += 1
        else:
            yield value


def misfit(schema: Any, value: Any) -> str | None:
    """Where a value does not fit a schema, such as `$.items[0]: required`; None where it fits.

    Raises:
        TooSlow: that cannot be said in a second.
    """
    if schema is None or schema == "":
        return None
    text = json.dumps(_schema(schema), sort_keys=True)
    if any(f'"{word}"' in text for word in ENDLESS):
        from stellwerk.evaluation.scorers import apart

        said = apart.misfit(text, value)
        if said is None:
            raise TooSlow
        return said or None
    error = next(iter(_validator(text).iter_errors(value)), None)
    return f"{error.json_path}: {error.validator}" if error is not None else None


def problem(check: Check) -> str | None:
    """What is wrong with a schema."""
    if check.value is None or check.value == "":
        return None
    import jsonschema

    try:
        schema = _schema(check.value)
        if not isinstance(schema, dict | bool):
            return "has a value that is no JSON Schema, expected names and values"
        if (name := _unknown(schema, schema)) is not None:
            return f"has a schema with a $ref to elsewhere or to nothing, {name[:60]!r}; put it into the schema, below $defs"
        found: Any = jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)
        found.check_schema(schema)
    except jsonschema.SchemaError as error:
        return f"has a value that is no JSON Schema: {error.message[:120]}"
    except Exception as error:  # noqa: BLE001  (what YAML and the schema's library say of broken texts has many types)
        return f"has a value that is no JSON Schema: {str(error).splitlines()[0][:120]}"
    return None


def _unknown(part: Any, whole: Any) -> str | None:
    """The first reference in a part of a schema that leads to nothing in the whole of it."""
    parts = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    for name in _REFERENCES if isinstance(part, dict) else ():
        reference = part.get(name, "#")
        if isinstance(reference, str) and not _leads(reference, whole):
            return reference
    return next((found for inner in parts if (found := _unknown(inner, whole)) is not None), None)


def _leads(reference: str, whole: Any) -> bool:
    from urllib.parse import unquote

    from stellwerk.evaluation.app import at

    if not reference.startswith("#/"):
        # An anchor of its own, which is the word behind the sign.
        return reference == "#" or (reference.startswith("#") and f'"{reference[1:]}"' in json.dumps(whole))
    try:
        at(whole, unquote(reference[1:]))
    except LookupError:
        return False
    return True


def _schema(value: Any) -> Any:
    return parse(value, "its value").value if isinstance(value, str) else value


@functools.lru_cache(maxsize=256)
def _validator(schema: str) -> Any:
    """A validator that fetches nothing: a reference to elsewhere is an error of the schema."""
    import jsonschema
    from referencing import Registry

    parsed = json.loads(schema)
    found = jsonschema.validators.validator_for(parsed, jsonschema.Draft202012Validator)
    return found(parsed, registry=Registry())


def _loads(text: str) -> Any:
    return json.loads(text, parse_constant=_no_constant)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
