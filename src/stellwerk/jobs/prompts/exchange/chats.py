"""Chats as JSON or YAML: promptfoo's files, and what Langfuse and MLflow export, both ways."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stellwerk.errors import UserError
from stellwerk.jobs.prompts.exchange.foreign import Foreign, Said, as_variables, make, meaning, of_variables, role
from stellwerk.jobs.prompts.exchange.pieces import CannotSay, of_template, template
from stellwerk.llm.chat import Params
from stellwerk.llm.prompts.promptfile import Prompt
from stellwerk.specfile import parse, read_text

_OPTIONS = {"temperature": "temperature", "top_p": "top_p", "max_tokens": "max_tokens", "seed": "seed", "stop": "stop"}


def data(text: str, where: str) -> Any:
    """What stands in a file of JSON or YAML.

    Raises:
        UserError: it is neither.
    """
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return parse(text, where).value


# promptfoo


def read_promptfoo(text: str, where: str, name: str, folder: Path) -> list[Foreign]:
    """The prompts of a chat, or of a configuration that lists some; files that it names have to lie below its folder."""
    value = data(text, where)
    if isinstance(value, list):
        return [Foreign(_nunjucks(value, where, name))]
    if not isinstance(value, dict) or "prompts" not in value:
        raise UserError(
            f"{where} is neither a chat, a list of messages with role and content, nor a configuration with prompts"
        )
    listed = value["prompts"] if isinstance(value["prompts"], list) else [value["prompts"]]
    found = []
    for number, one in enumerate(listed, 1):
        called = name if len(listed) == 1 else f"{name}-{number}"
        said = one.get("raw") or one.get("id") if isinstance(one, Mapping) else one
        if not isinstance(said, str):
            raise UserError(f"{where}: prompt {number} is neither a text nor one with raw: and its text")
        if said.startswith("file://"):
            found += _named(said.removeprefix("file://"), where, called, folder)
        else:
            found.append(Foreign(_nunjucks(_chat(said, where), where, called)))
    return found


def _named(path: str, where: str, name: str, folder: Path) -> list[Foreign]:
    """The prompt of a file that a configuration names."""
    file = (folder / path).resolve()
    if not file.is_relative_to(folder.resolve()):
        raise UserError(f"{where} names {path[:80]}, which does not lie below its folder; copy it there")
    return [Foreign(_nunjucks(_chat(read_text(file), path), path, name))]


def _chat(text: str, where: str) -> list[Any]:
    """A text as a chat: that of a list of messages, or a message of the user."""
    if text.lstrip().startswith(("[", "- ")):
        try:
            value = data(text, where)
        except UserError:
            value = None
        if isinstance(value, list) and all(isinstance(one, dict) and "role" in one for one in value):
            return value
    return [{"role": "user", "content": text}]


def _nunjucks(chat: Sequence[Any], where: str, name: str) -> Prompt:
    """A prompt of a chat whose contents are templates in a language like ours."""
    return make(name, [Said(role(kind, where), of_template(text)) for kind, text in _turns(chat, where)], where)


def write_promptfoo(prompt: Prompt, as_json: bool) -> tuple[str, list[str]]:
    """A chat, and what it leaves out."""
    chat = []
    for said, content in meaning(prompt):
        if said == "messages":
            raise CannotSay("a list of turns")
        chat.append({"role": said, "content": template(content).replace("|json}}", "|dump}}")})
    return _dumped(chat, as_json), [*prompt.params.model_fields_set, *prompt.facts]


# Langfuse


def read_langfuse(text: str, where: str, name: str | None, fallback: str) -> list[Foreign]:
    """The prompts of an export: one, a list, or a page of its API."""
    found = []
    for one in _listed(text, where):
        called = name or str(one.get("name") or fallback)
        content = one.get("prompt")
        if isinstance(content, str):
            messages = [Said("user", of_variables(content))]
        elif isinstance(content, list):
            messages = [_langfuse(turn, where) for turn in content]
        else:
            raise UserError(f"{where}: prompt {called} has no text and no chat under prompt")
        params, left_out = _config(one.get("config") or {})
        left_out += [key for key in ("labels", "resolutionGraph") if one.get(key)]
        facts = {"tags": [str(tag) for tag in one.get("tags") or ()], "notes": one.get("commitMessage")}
        made = make(called, messages, where, params=params, facts={key: value for key, value in facts.items() if value})
        found.append(Foreign(made, left_out))
    return found


def _langfuse(turn: Any, where: str) -> Said:
    if isinstance(turn, dict) and turn.get("type") == "placeholder" and isinstance(turn.get("name"), str):
        return Said("messages", [turn["name"]])
    ((kind, text),) = _turns([turn], where)
    return Said(role(kind, where), of_variables(text))


def write_langfuse(prompt: Prompt) -> tuple[str, list[str]]:
    """A prompt as Langfuse's API takes it, and what it leaves out."""
    chat: list[dict[str, str]] = [
        {"type": "placeholder", "name": content} if said == "messages"
        else {"type": "chatmessage", "role": said, "content": as_variables(content, "Langfuse")}
        for said, content in meaning(prompt)
    ]  # fmt: skip
    config = prompt.params.model_dump(mode="json", by_alias=True, exclude_unset=True)
    made: dict[str, Any] = {"name": prompt.name, "type": "chat", "prompt": chat, "config": config}
    if prompt.facts.get("tags"):
        made["tags"] = prompt.facts["tags"]
    return _dumped(made, True), [name for name in prompt.facts if name != "tags"]


# MLflow


def read_mlflow(text: str, where: str, name: str | None, fallback: str) -> list[Foreign]:
    """The prompts of an export: one, or a list; a template with {% is one of Jinja, any other knows only {{name}}."""
    found = []
    for one in _listed(text, where):
        called = name or str(one.get("name") or fallback)
        content = one.get("template")
        if isinstance(content, str):
            content = [{"role": "user", "content": content}]
        if not isinstance(content, list):
            raise UserError(f"{where}: prompt {called} has no text and no chat under template")
        messages = [
            Said(role(kind, where), of_template(said) if "{%" in said else of_variables(said))
            for kind, said in _turns(content, where)
        ]
        params, left_out = _config(one.get("model_config") or {})
        if isinstance(one.get("response_format"), dict):
            params = params.under(Params.model_validate({"schema": one["response_format"]}))
        facts = {"notes": one.get("commit_message"), "description": one.get("description")}
        left_out += [key for key in ("tags", "aliases") if one.get(key)]
        made = make(called, messages, where, params=params, facts={key: value for key, value in facts.items() if value})
        found.append(Foreign(made, left_out))
    return found


def write_mlflow(prompt: Prompt) -> tuple[str, list[str]]:
    """A prompt with the fields of MLflow's registry, and what it leaves out."""
    chat = []
    for said, content in meaning(prompt):
        if said == "messages":
            raise CannotSay("a list of turns")
        try:
            text = as_variables(content, "MLflow")
            text = text if "{%" not in text else template(content)
        except CannotSay:
            text = template(content)
            if "{%" not in text:
                raise
        chat.append({"role": said, "content": text})
    params = prompt.params.model_dump(mode="json", exclude_unset=True, exclude={"schema_", "tools"})
    made: dict[str, Any] = {"name": prompt.name, "template": chat, "model_config": params}
    if prompt.outputs:
        made["response_format"] = prompt.outputs
    known = {"commit_message": prompt.facts.get("notes"), "description": prompt.facts.get("description")}
    made |= {key: value for key, value in known.items() if value}
    left_out = [name for name in prompt.facts if name not in ("notes", "description")]
    return _dumped(made, True), left_out + (["tools"] if prompt.params.tools else [])


# shared


def _listed(text: str, where: str) -> list[dict[str, Any]]:
    value = data(text, where)
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        value = value["data"]
    listed = value if isinstance(value, list) else [value]
    if not listed or not all(isinstance(one, dict) for one in listed):
        raise UserError(f"{where} holds no prompt; expected an object with a name and its messages, or a list of such")
    return listed


def _turns(chat: Sequence[Any], where: str) -> list[tuple[Any, str]]:
    found = []
    for number, turn in enumerate(chat, 1):
        content = turn.get("content") if isinstance(turn, dict) else None
        if isinstance(content, list) and all(isinstance(p, dict) and p.get("type") == "text" for p in content):
            content = "".join(str(part.get("text", "")) for part in content)
        if not isinstance(content, str):
            raise UserError(f"{where}: message {number} has no text; expected role and content")
        found.append((turn.get("role"), content))
    return found


def _config(config: Mapping[str, Any]) -> tuple[Params, list[str]]:
    """The parameters of a configuration, and what of it our files do not say."""
    known = {ours: config[theirs] for theirs, ours in _OPTIONS.items() if config.get(theirs) is not None}
    for theirs, ours in (("schema", "schema"), ("tools", "tools"), ("extra", "extra")):
        if config.get(theirs):
            known[ours] = config[theirs]
    return Params.model_validate(known), [
        f"config.{key}" for key in config if key not in (*_OPTIONS, "schema", "tools", "extra")
    ]


def _dumped(value: Any, as_json: bool) -> str:
    import yaml

    if as_json:
        return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
