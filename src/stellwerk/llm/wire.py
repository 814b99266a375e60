"""The OpenAI protocol: what is sent, and what is made of what comes back, however oddly it is filled in.

Knows JSON, not connections. What cannot be read raises `Unreadable` with words that quote nothing of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from stellwerk.llm.chat import Finish, Message, Params, ToolCall, Usage, as_json

FINISHES: dict[str, Finish] = {
    "stop": "stop", "eos": "stop", "eos_token": "stop", "end_turn": "stop", "stop_sequence": "stop",
    "length": "length", "max_tokens": "length", "model_length": "length",
    "content_filter": "content_filter", "safety": "content_filter",
    "tool_calls": "tool_calls", "function_call": "tool_calls", "tool_use": "tool_calls",
}  # fmt: skip
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{1,59}")  # a word for machines, which quotes nobody
_MOST = 1e300  # of a number in a vector; NaN is neither above nor below
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Unreadable(Exception):
    """An answer that is not what the protocol says; the message is the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an answer says, without what the connection knows."""

    text: str
    finish: Finish
    usage: Usage | None
    model: str | None
    fingerprint: str | None
    id: str | None
    tool_calls: tuple[ToolCall, ...]


def chat_body(model: str, messages: Sequence[Message], params: Params, stream: bool = False) -> bytes:
    """The body of a chat request; a field of `extra` that is null takes the field of that name out.

    Raises:
        TypeError: a text holds what no UTF-8 can, such as half a pair of surrogates.
    """
    body: dict[str, Any] = {"model": model, "messages": [as_json(message) for message in messages]}
    for name in ("temperature", "top_p", "max_tokens", "seed"):
        if (value := getattr(params, name)) is not None:
            body[name] = value
    if params.stop:
        body["stop"] = list(params.stop)
    if params.schema_ is not None:
        body["response_format"] = {"type": "json_schema", "json_schema": _form(params.schema_)}
    if params.tools:
        body["tools"] = list(params.tools)
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    if params.extra:
        body |= params.extra
        body = {name: value for name, value in body.items() if value is not None}
    return orjson.dumps(body)


def embedding_body(model: str, texts: Sequence[str]) -> bytes:
    """The body of a request for embeddings.

    Raises:
        TypeError: a text holds what no UTF-8 can.
    """
    return orjson.dumps({"model": model, "input": list(texts)})


def _form(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema as the protocol wants it; strict only where it closes its object, which strictness presupposes."""
    title = schema.get("title")
    name = title if isinstance(title, str) and _NAME.fullmatch(title) else "answer"
    return {"name": name, "schema": schema, "strict": schema.get("additionalProperties") is False}


def load(body: bytes) -> Any:
    """Read JSON, also with a byte order mark or with halves of surrogate pairs, which become U+FFFD.

    Raises:
        Unreadable: it is no JSON.
    """
    try:
        return orjson.loads(body)
    except ValueError:
        pass
    if body.lstrip()[:1] == b"<":
        raise Unreadable("answered with a web page instead of JSON; see that endpoint ends as its provider says, such as /v1")
    if not body.strip():
        raise Unreadable("answered with nothing; see that the address is right, or try later")
    try:
        return _whole(json.loads(body.decode("utf-8-sig")))
    except (ValueError, RecursionError):
        raise Unreadable("answered with something else than JSON; see that the address is that of an API") from None


def _whole(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        case list():
            return [_whole(part) for part in value]
        case dict():
            return {_whole(name): _whole(part) for name, part in value.items()}
    return value


def answer(value: Any) -> Answer:
    """What a chat answer says.

    Raises:
        Unreadable: it holds no answer.
    """
    choices = value.get("choices") if isinstance(value, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise Unreadable("answered in JSON without choices; see that the address is that of an OpenAI-compatible API")
    message = choices[0].get("message")
    if not isinstance(message, dict):
        raise Unreadable("answered with a choice without message; see that the address is that of an OpenAI-compatible API")
    calls = tool_calls(message.get("tool_calls"))
    text = content(message.get("content")) or content(message.get("refusal"))
    said = said_by(value)
    return Answer(text, finish(choices[0].get("finish_reason")), usage(value.get("usage")), *said, calls)


def said_by(value: Mapping[str, Any]) -> tuple[str | None, str | None, str | None]:
    """Model, fingerprint and id as an answer reports them."""
    model, fingerprint, key = (value.get(name) for name in ("model", "system_fingerprint", "id"))
    return _word(model), _word(fingerprint), _word(key)


def _word(value: Any) -> str | None:
    """A name as it may stand in the record: short, and nothing in it that a database or a terminal reads otherwise."""
    if not isinstance(value, str) or not value:
        return None
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in value[:200])


def content(value: Any) -> str:
    """The text of a message, whole or in parts."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        parts = [part.get("text") for part in value if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return ""


def finish(value: Any) -> Finish:
    """Why an answer ended."""
    return FINISHES.get(value.lower(), "other") if isinstance(value, str) else "other"


def tool_calls(value: Any) -> tuple[ToolCall, ...]:
    """The calls of functions in a message.

    Raises:
        Unreadable: one of them names no function.
    """
    found = []
    for call in value if isinstance(value, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise Unreadable("answered with a tool call that names no function")
        arguments = function.get("arguments")
        try:
            written = arguments if isinstance(arguments, str) else orjson.dumps(arguments or {}).decode()
        except TypeError:
            raise Unreadable("answered with a tool call whose arguments are nested too deep or too large") from None
        found.append(ToolCall(str(call.get("id") or ""), function["name"], written))
    return tuple(found)


def usage(value: Any) -> Usage | None:
    """Tokens as an endpoint reports them; None where it reports none, or none that can be counted."""
    if not isinstance(value, dict):
        return None
    sent, given = _count(value.get("prompt_tokens")), _count(value.get("completion_tokens"))
    if sent is None or given is None:
        return None
    return Usage(
        sent,
        given,
        min(_detail(value, "prompt_tokens_details", "cached_tokens"), sent),
        min(_detail(value, "completion_tokens_details", "reasoning_tokens"), given),
    )


def _detail(value: Mapping[str, Any], group: str, name: str) -> int:
    details = value.get(group)
    return (_count(details.get(name)) if isinstance(details, dict) else None) or 0


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**12 else None


def vectors(value: Any, count: int) -> tuple[list[list[float]], Usage | None]:
    """The vectors of an embedding answer, in the order of the texts, and the tokens that they took.

    Raises:
        Unreadable: there are fewer or more than texts, or they are no numbers of one length.
    """
    entries = value.get("data") if isinstance(value, dict) else None
    if not isinstance(entries, list) or len(entries) != count or not all(isinstance(entry, dict) for entry in entries):
        raise Unreadable("answered without one vector for each text; see that its model makes embeddings")
    places = [entry.get("index", place) for place, entry in enumerate(entries)]
    if sorted(map(str, places)) != sorted(map(str, range(count))):
        raise Unreadable("answered with vectors that do not say whose they are")
    found = [entry.get("embedding") for _, entry in sorted(zip(places, entries, strict=True), key=lambda pair: int(pair[0]))]
    if not all(isinstance(vector, list) and vector and _numbers(vector) for vector in found) or len(set(map(len, found))) > 1:
        raise Unreadable("answered with vectors that are no numbers of one length")
    tokens = value.get("usage")
    sent = _count(tokens.get("prompt_tokens")) if isinstance(tokens, dict) else None
    return [list(map(float, vector)) for vector in found], None if sent is None else Usage(sent, 0)


def _numbers(values: Iterable[Any]) -> bool:
    return all(type(value) in (int, float) and -_MOST < value < _MOST for value in values)


def models(value: Any) -> list[str]:
    """The ids of an endpoint's models.

    Raises:
        Unreadable: it lists none.
    """
    entries = value.get("data") if isinstance(value, dict) else None
    listed = entries if isinstance(entries, list) else []
    found = [entry["id"] for entry in listed if isinstance(entry, dict) and isinstance(entry.get("id"), str)]
    if not found:
        raise Unreadable("lists no models")
    return found


def error_codes(body: bytes) -> list[str]:
    """The words for machines in an answer that reports an error; its sentence may quote what was sent, so it stays unread."""
    try:
        value = load(body)
    except Unreadable:
        return []
    error = value.get("error", value) if isinstance(value, dict) else None
    found = [error.get(name) for name in ("code", "type", "param")] if isinstance(error, dict) else []
    return list(dict.fromkeys(word for word in found if isinstance(word, str) and _CODE.fullmatch(word)))
