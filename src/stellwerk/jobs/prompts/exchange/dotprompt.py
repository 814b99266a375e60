"""dotprompt files (.prompt): a YAML header with Picoschema, and Handlebars below it, both ways."""

from __future__ import annotations

from typing import Any

from stellwerk.errors import UserError
from stellwerk.jobs.prompts.exchange import handlebars, picoschema
from stellwerk.jobs.prompts.exchange.foreign import Foreign, make, meaning
from stellwerk.jobs.prompts.exchange.pieces import If, Piece
from stellwerk.llm.chat import Params
from stellwerk.llm.prompts.header import Kind
from stellwerk.llm.prompts.promptfile import HEADER, Input, Prompt
from stellwerk.specfile import parse

_OPTIONS = {
    "temperature": "temperature", "topP": "top_p", "maxOutputTokens": "max_tokens", "seed": "seed", "stopSequences": "stop",
}  # fmt: skip
_KINDS: dict[str, Kind] = {
    "string": "string", "number": "float", "integer": "integer", "boolean": "boolean", "array": "array", "object": "object",
}  # fmt: skip
_TYPES = {kind: name for name, kind in _KINDS.items()}


def read(text: str, where: str, name: str) -> list[Foreign]:
    """The prompt of a file.

    Raises:
        CannotSay: it holds what our prompts do not.
        UserError: it is no such file.
    """
    text = text.replace("\r\n", "\n")
    found = HEADER.match(text)
    header = parse("\n" + found.group(1) if found else "", where).value or {}
    if not isinstance(header, dict):
        raise UserError(f"{where}: the header is no list of names and values")
    messages = handlebars.read(text[found.end() :] if found else text, where)
    config = header.get("config") or {}
    left_out = [f"config.{key}" for key in config if key not in _OPTIONS]
    left_out += [key for key in header if key not in ("name", "description", "model", "config", "input", "output", "metadata")]
    params: dict[str, Any] = {ours: config[theirs] for theirs, ours in _OPTIONS.items() if theirs in config}
    output = header.get("output") or {}
    if output.get("schema") is not None:
        params["schema"] = picoschema.read(output["schema"])
    facts = {"description": header.get("description"), "written_for": header.get("model")}
    inputs = _inputs(header.get("input") or {}, [m.pieces for m in messages if m.role != "messages"])
    used = make(
        name, messages, where, inputs=inputs, params=Params.model_validate(params),
        facts={key: value for key, value in facts.items() if value},
    )  # fmt: skip
    left_out += [f"input {one!r}, which nothing uses" for one in inputs if one not in {i.name for i in used.inputs}]
    return [Foreign(used, left_out)]


def _inputs(given: dict[str, Any], messages: list[Any]) -> dict[str, Input]:
    """The inputs that the header names; without it, one that a condition asks for may be left out."""
    defaults = given.get("default") or {}
    if given.get("schema") is None:
        asked = {piece.path[0] for pieces in messages for piece in pieces if isinstance(piece, If)}
        found = {name: Input(name, required=False) for name in sorted(asked)}
        return found | {name: Input(name, _kind_of(value), value, required=False) for name, value in defaults.items()}
    schema = picoschema.read(given["schema"])
    required = set(schema.get("required", ()))
    return {
        name: Input(
            name, _KINDS.get(field.get("type", "string"), "string"), defaults.get(name),
            name in required and name not in defaults, field.get("description"),
        )
        for name, field in schema.get("properties", {}).items()
    }  # fmt: skip


def _kind_of(value: Any) -> Kind:
    kinds: list[tuple[type, Kind]] = [
        (bool, "boolean"), (int, "integer"), (float, "float"), (list, "array"), (dict, "object"),
    ]  # fmt: skip
    return next((kind for of, kind in kinds if isinstance(value, of)), "string")


def write(prompt: Prompt) -> tuple[str, list[str]]:
    """The text of a file, and what it leaves out.

    Raises:
        CannotSay: a message cannot be said.
    """
    import yaml

    messages: list[tuple[str, str | list[Piece]]] = meaning(prompt)
    params = prompt.params.model_dump(mode="json", exclude_unset=True)
    config = {theirs: params[ours] for theirs, ours in _OPTIONS.items() if ours in params}
    schema: dict[str, Any] = {}
    for one in prompt.inputs:
        if one.kind != "messages":
            # A list or a group without its inner is any, so that no reader refuses what we allow.
            field: dict[str, Any] = {"type": _TYPES[one.kind]}
            schema[one.name] = {**field, **({"description": one.description} if one.description else {})}
    required = [one.name for one in prompt.inputs if one.required and one.kind != "messages"]
    defaults = {one.name: one.default for one in prompt.inputs if one.default is not None and one.kind != "messages"}
    given = {
        "schema": {"type": "object", "properties": schema, **({"required": required} if required else {})} if schema else None,
        "default": defaults,
    }
    header = {
        "description": prompt.facts.get("description"), "model": prompt.facts.get("written_for"), "config": config,
        "input": {name: value for name, value in given.items() if value},
        "output": {"format": "json", "schema": prompt.outputs} if prompt.outputs else None,
    }  # fmt: skip
    header = {name: value for name, value in header.items() if value}
    text = yaml.safe_dump(header, sort_keys=False, allow_unicode=True) if header else ""
    left_out = [name for name in params if name not in (*_OPTIONS.values(), "schema_")]
    left_out += [name for name in prompt.facts if name not in ("description", "written_for")]
    return (f"---\n{text}---\n" if text else "") + handlebars.write(messages), left_out
