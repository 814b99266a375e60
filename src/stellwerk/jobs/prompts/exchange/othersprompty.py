"""prompty files as others write them: keys of both versions of the format become those that we read."""

from __future__ import annotations

import re
from typing import Any

from stellwerk.errors import UserError
from stellwerk.jobs.prompts.exchange.foreign import Foreign
from stellwerk.llm.prompts.header import Header
from stellwerk.llm.prompts.promptfile import HEADER, LIST_LINE, Prompt, plain, read
from stellwerk.llm.prompts.writing import write
from stellwerk.specfile import SpecFile, parse

_ROLE = re.compile(r"(?i)[ \t]*#{0,3}[ \t]*(system|developer|user|assistant)[ \t]*:[ \t]*")
_KEPT = ("name", "displayName", "description", "authors", "tags", "metadata", "inputs", "outputs", "tools")
_OLD = {"max_tokens": "maxOutputTokens", "max_completion_tokens": "maxOutputTokens", "top_p": "topP", "stop": "stopSequences"}
_OPTIONS = ("temperature", "topP", "maxOutputTokens", "seed", "stopSequences", "additionalProperties")


def read_other(text: str, where: str, name: str) -> list[Foreign]:
    """The prompt of a file that need not keep to our rules.

    Raises:
        UserError: it is no such file, or its templates are in another language.
    """
    text = plain(text)
    found = HEADER.match(text)
    header = parse("\n" + found.group(1) if found else "", where).value or {}
    if not isinstance(header, dict):
        raise UserError(f"{where}: the header is no list of names and values")
    kept, left_out = _header(header, where)
    spec = SpecFile(where, kept, {}).check(Header)
    body = _body(text[found.end() :] if found else text)
    if _kind(header) == "mustache" and re.search(r"\{\{\s*[#^>/]", body):
        raise UserError(f"{where}: its templates are mustache with sections; write them with {{% if %}} and {{% for %}}")
    inputs = spec.inputs
    if inputs is not None:
        probe = read(body, f"{name}.prompty")  # with inputs that are inferred
        used = {one.name for one in probe.inputs}
        left_out += [f"input {one.name!r}, which nothing uses" for one in inputs if one.name not in used]
        named = [one for one in kept["inputs"] if one["name"] in used]
        known = {one["name"] for one in named}
        kept["inputs"] = named + [{"name": n.name, "kind": n.kind} for n in probe.inputs if n.name not in known]
    import yaml

    shown = yaml.safe_dump(kept, sort_keys=False, allow_unicode=True) if kept else ""
    return [Foreign(read((f"---\n{shown}---\n" if shown else "") + body, f"{name}.prompty"), left_out)]


def write_ours(prompt: Prompt) -> tuple[str, list[str]]:
    """Our file, which is one of the format."""
    left_out = ["lists of turns are read by Stellwerk alone"] if any(m.role == "messages" for m in prompt.messages) else []
    return write(prompt), left_out


def _kind(header: dict[str, Any]) -> str:
    found = header.get("template")
    found = found.get("format", found.get("type")) if isinstance(found, dict) else found
    return str(found.get("kind") if isinstance(found, dict) else found or "jinja2")


def _body(text: str) -> str:
    """The messages with lines of roles as we write them; what stands before the first is of the system."""
    lines = [f"{found.group(1).lower()}:" if (found := _ROLE.fullmatch(line)) else line for line in text.split("\n")]
    first = next((i for i, line in enumerate(lines) if _ROLE.fullmatch(line) or LIST_LINE.fullmatch(line)), len(lines))
    return "\n".join(["system:", *lines] if any(line.strip() for line in lines[:first]) else lines)


def _header(header: dict[str, Any], where: str) -> tuple[dict[str, Any], list[str]]:
    """The keys that we read, and those that are left out; a connection is never taken over, for it may hold a key."""
    kept = {name: header[name] for name in _KEPT if header.get(name) is not None and name != "name"}
    left_out = [name for name in header if name not in (*_KEPT, "model", "template", "sample", "parameters")]
    model = header.get("model") or {}
    model = {"id": model} if isinstance(model, str) else dict(model)
    configuration = model.get("configuration") or {}
    said = {**(model.get("parameters") or {}), **(header.get("parameters") or {}), **(model.get("options") or {})}
    options = {_OLD.get(name, name): value for name, value in said.items()}
    left_out += [
        f"model.{name}" for name in model if name not in ("id", "options", "parameters", "configuration", "provider", "api")
    ]
    left_out += ["model.configuration"] if configuration else []
    left_out += [f"model.options.{name}" for name in options if name not in _OPTIONS]
    chosen = {name: value for name, value in options.items() if name in _OPTIONS}
    named = model.get("id") or configuration.get("azure_deployment") or configuration.get("model")
    made = {"id": named, "options": chosen}
    if any(made.values()):
        kept["model"] = {name: value for name, value in made.items() if value}
    if isinstance(header.get("inputs"), dict):
        kept["inputs"] = [_input(name, value) for name, value in header["inputs"].items()]
    elif isinstance(kept.get("inputs"), list):
        kept["inputs"] = [_known(one) for one in kept["inputs"]]
    sample = header.get("sample")
    if isinstance(sample, dict) and "inputs" in kept:
        kept["inputs"] = [
            {**one, **({"example": sample[one["name"]]} if one["name"] in sample else {})} for one in kept["inputs"]
        ]
    if isinstance(kept.get("outputs"), dict) and "properties" not in kept["outputs"] and "type" not in kept["outputs"]:
        kept["outputs"] = [
            {"name": name, **(value if isinstance(value, dict) else {})} for name, value in kept["outputs"].items()
        ]
    return kept, left_out


def _input(name: str, value: Any) -> dict[str, Any]:
    """An input of the older way: its name with a type, or with a value that is its default."""
    if not isinstance(value, dict):
        return {"name": name, "kind": _kind_of(value), "default": value}
    return _known({"name": name, "kind": value.get("kind") or value.get("type") or "string", **value})


def _known(value: Any) -> dict[str, Any]:
    names = ("name", "kind", "description", "default", "example", "required")
    return {name: value[name] for name in names if isinstance(value, dict) and value.get(name) is not None}


def _kind_of(value: Any) -> str:
    kinds: list[tuple[type, str]] = [
        (bool, "boolean"), (int, "integer"), (float, "float"), (list, "array"), (dict, "object"),
    ]  # fmt: skip
    return next((kind for of, kind in kinds if isinstance(value, of)), "string")
