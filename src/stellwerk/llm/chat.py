"""The words of talking to a model: messages, parameters, replies, and what a client of any kind can do.

Knows no network, no file and no price.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from stellwerk.errors import StellwerkError

Role = Literal["system", "developer", "user", "assistant", "tool"]
Finish = Literal["stop", "length", "content_filter", "tool_calls", "other"]
Failure = Literal["rate_limited", "timeout", "connection", "server", "not_json", "unauthorised", "rejected", "cancelled"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function that the model wants called; `arguments` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


class Params(BaseModel):
    """How a model is asked; what is left out is left to the model. Frozen, and its JSON is part of what identifies a call."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    temperature: float | None = Field(None, ge=0, allow_inf_nan=False)
    top_p: float | None = Field(None, gt=0, le=1, allow_inf_nan=False)
    max_tokens: int | None = Field(None, ge=1)
    seed: int | None = None
    stop: tuple[str, ...] = ()
    schema_: dict[str, Any] | None = Field(None, alias="schema", description="JSON Schema that the answer has to fit")
    tools: tuple[dict[str, Any], ...] = Field((), description="functions, as OpenAI's tools describe them")
    extra: dict[str, Any] = Field({}, description="further fields of the request, as the endpoint knows them")

    def under(self, other: Params) -> Params:
        """These parameters, with those of `other` where it says something."""
        return self.model_copy(update={name: getattr(other, name) for name in other.model_fields_set})


PLAIN = Params()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the model's side counted them; `cached` and `reasoning` are part of `input` and `output`."""

    input: int
    output: int
    cached: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered.

    Attributes:
        text: the answer; empty where it only calls tools.
        usage: None where the endpoint does not say.
        model: as the endpoint reports it.
        fingerprint: of the system behind the endpoint, where it reports one.
        id: of the call, where the endpoint gives one.
        seconds: from the first byte sent to the last received, of the attempt that succeeded.
        first_seconds: until the first piece of the answer, where it was streamed.
        attempts: how often it was asked, retries included.
        kept: whether it was taken from the cache of replies.
        taken: when the model gave it, ISO 8601 in UTC.
    """

    text: str
    finish: Finish = "stop"
    usage: Usage | None = None
    model: str | None = None
    fingerprint: str | None = None
    id: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    seconds: float = 0.0
    first_seconds: float | None = None
    attempts: int = 1
    kept: bool = False
    taken: str = ""


class CallFailed(StellwerkError):
    """A call got no answer, after all retries.

    Attributes:
        kind: what went wrong; `rejected` means that this very request will never do (too long, not allowed, malformed).
        status: of HTTP, where there was one.
        attempts: how often it was tried.
    """

    def __init__(self, message: str, kind: Failure, *, status: int | None = None, attempts: int = 1) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.attempts = attempts


class ChatClient(Protocol):
    """A model that can be asked. Used inside one event loop; closed by `async with`.

    Attributes:
        name: of the asset, such as `writer` for models/writer.yaml.
        simulated: whether its answers are made up by a plan, which is said wherever its results appear.
    """

    name: str
    simulated: bool

    async def complete(self, messages: Sequence[Message], params: Params = PLAIN, *, repeat: int = 0) -> Reply:
        """Ask for one answer.

        Args:
            messages: the conversation so far.
            params: how it is asked.
            repeat: of the same question, counted from 0: a simulated model and the cache tell repeats apart by it.

        Raises:
            CallFailed: there was no answer.
        """
        ...

    def stream(self, messages: Sequence[Message], params: Params = PLAIN) -> AsyncIterator[str | Reply]:
        """Ask for one answer piece by piece: texts, and at last the whole reply.

        Raises:
            CallFailed: there was no answer, or it broke off.
        """
        ...

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """A vector for each text.

        Raises:
            CallFailed: the model has no embeddings, or there was no answer.
        """
        ...

    async def __aenter__(self) -> ChatClient: ...

    async def __aexit__(self, *_: object) -> None: ...


def as_json(message: Message) -> dict[str, Any]:
    """A message as the OpenAI protocol writes it."""
    found: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        calls = [(c.id, {"name": c.name, "arguments": c.arguments}) for c in message.tool_calls]
        found["tool_calls"] = [{"id": key, "type": "function", "function": function} for key, function in calls]
    if message.tool_call_id is not None:
        found["tool_call_id"] = message.tool_call_id
    return found


def from_json(value: Mapping[str, Any]) -> Message:
    """A message from the OpenAI protocol; texts in parts are joined."""
    content = value.get("content") or ""
    if isinstance(content, list):
        content = "".join(part.get("text", "") for part in content if isinstance(part, dict))
    calls = tuple(
        ToolCall(str(c.get("id", "")), str(c["function"]["name"]), str(c["function"].get("arguments", "")))
        for c in value.get("tool_calls") or ()
    )
    return Message(value["role"], str(content), calls, value.get("tool_call_id"))
