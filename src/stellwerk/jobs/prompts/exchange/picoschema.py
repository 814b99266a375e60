"""Picoschema, dotprompt's short way to write a JSON Schema. A JSON Schema in its place is taken as it is."""

from __future__ import annotations

import re
from typing import Any

from stellwerk.jobs.prompts.exchange.pieces import CannotSay

SCALARS = ("string", "number", "integer", "boolean", "null", "any")
_KEY = re.compile(r"([^(?\s]+)(\?)?(?:\(\s*(array|object|enum|\*)?\s*(?:,\s*(.*?))?\s*\))?", re.DOTALL)


def read(value: Any) -> dict[str, Any]:
    """A JSON Schema of what stands in a header.

    Raises:
        CannotSay: it names a schema that is elsewhere, or is none.
    """
    if isinstance(value, dict) and (isinstance(value.get("type"), str) and value["type"] in (*SCALARS, "object", "array")):
        return value
    if isinstance(value, dict) and isinstance(value.get("properties"), dict):
        return {"type": "object", **value}
    return _read(value)


def _read(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        name, _, said = value.partition(",")
        if name.strip() not in SCALARS:
            raise CannotSay(f"the schema {name.strip()[:40]!r}, which is registered elsewhere")
        made: dict[str, Any] = {} if name.strip() == "any" else {"type": name.strip()}
        return {**made, **({"description": said.strip()} if said.strip() else {})}
    if not isinstance(value, dict):
        raise CannotSay("a schema that is neither a text nor a group of fields")
    made = {"type": "object", "properties": {}, "additionalProperties": False}
    required = []
    for key, inner in value.items():
        found = _KEY.fullmatch(str(key).strip())
        if str(key).strip().startswith("(*)"):
            made["additionalProperties"] = _read(inner)
            continue
        if found is None:
            raise CannotSay(f"the field {str(key)[:40]!r} of a schema")
        name, optional, kind, said = found.groups()
        field = _field(kind, inner)
        if said:
            field = {**field, "description": said}
        made["properties"][name] = field
        if not optional:
            required.append(name)
    return {**made, **({"required": required} if required else {})}


def _field(kind: str | None, inner: Any) -> dict[str, Any]:
    match kind:
        case "array":
            return {"type": "array", "items": _read(inner)}
        case "enum":
            if not isinstance(inner, list):
                raise CannotSay("an enum without a list of what it may be")
            return {"enum": inner}
    return _read(inner)
