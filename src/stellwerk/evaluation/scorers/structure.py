"""Scorers for JSON: is-json and contains-json, both with a schema if one is given."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

from stellwerk.evaluation.case import Check
from stellwerk.evaluation.scorers.outcome import Asked, Outcome, yes_no

OPENINGS = 2000  # brackets of an answer that are tried as the beginning of JSON


def is_json(check: Check, asked: Asked) -> Outcome:
    """The whole answer is JSON, and fits the schema."""
    try:
        value = _loads(asked.text)
    except (ValueError, RecursionError):
        return yes_no(False, "no_json")
    place = misfit(check.value, value)
    return yes_no(place is None, "fits" if place is None else "misfit", **({"at": place} if place else {}))


def contains_json(check: Check, asked: Asked) -> Outcome:
    """Some part of the answer is a JSON object or list, and fits the schema."""
    place: str | None = None
    for value in embedded(asked.text):
        place = misfit(check.value, value)
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
    """Where a value does not fit a schema, such as `$.items[0]: required`; None where it fits."""
    if schema is None or schema == "":
        return None
    error = next(iter(_validator(json.dumps(_schema(schema), sort_keys=True)).iter_errors(value)), None)
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
        if _refers_elsewhere(schema):
            return "has a schema with a $ref to elsewhere; put what it refers to into the schema, below $defs"
        found: Any = jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)
        found.check_schema(schema)
    except jsonschema.SchemaError as error:
        return f"has a value that is no JSON Schema: {error.message[:120]}"
    except Exception as error:  # noqa: BLE001  (what YAML and the schema's library say of broken texts has many types)
        return f"has a value that is no JSON Schema: {str(error).splitlines()[0][:120]}"
    return None


def _refers_elsewhere(schema: Any) -> bool:
    if isinstance(schema, dict):
        reference = schema.get("$ref", "#")
        return (isinstance(reference, str) and not reference.startswith("#")) or any(map(_refers_elsewhere, schema.values()))
    return isinstance(schema, list) and any(map(_refers_elsewhere, schema))


def _schema(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    import yaml

    return yaml.safe_load(value)


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
