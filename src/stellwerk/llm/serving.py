"""A model of this machine as an endpoint that speaks the OpenAI protocol: chat (also streamed), embeddings, models.

Local weights and simulated models only, on 127.0.0.1 only. A request must name this host, so that no web page of another can
reach it by a name that it made point here; bodies are bounded while they stream in. Reads and writes no record.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import socket
import sys
import time
import uuid
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from stellwerk import credentials
from stellwerk.errors import UserError
from stellwerk.llm import models, wire
from stellwerk.llm.chat import CallFailed, Message, Params, Reply, from_json
from stellwerk.llm.opening import open_model
from stellwerk.llm.reports import Served

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stellwerk.llm.chat import ChatClient
    from stellwerk.workspace import Workspace

HOST = "127.0.0.1"
NAMES = ("127.0.0.1", "localhost", "[::1]")
NAMES_OF_PAGES = ("127.0.0.1", "localhost", "::1")
BODY = 4 * 2**20  # bytes of a request
TEXTS = 2048  # texts that are embedded by one request
STATUS = {"rejected": 400, "rate_limited": 429, "timeout": 504, "unauthorised": 502}
TAKEN = {"model", "messages", "temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "seed", "stream"}
TAKEN |= {"stream_options", "response_format", "tools", "n", "user"}


class Refused(Exception):
    """A request that is not answered."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Endpoint:
    """What the endpoint answers with.

    Attributes:
        calls: that were answered.
    """

    def __init__(self, client: ChatClient, key: str | None) -> None:
        self.client = client
        self.calls = 0
        self._key = key

    def app(self) -> Starlette:
        """The application, for a server."""
        routes = [
            Route("/v1/models", self.models, methods=["GET"]),
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/v1/embeddings", self.embeddings, methods=["POST"]),
        ]
        return Starlette(routes=routes, exception_handlers={Refused: _refusal, CallFailed: _failure})

    async def models(self, request: Request) -> Response:
        """The only model."""
        self._check(request)
        entry = {"id": self.client.name, "object": "model", "created": 0, "owned_by": self._owner}
        return JSONResponse({"object": "list", "data": [entry]})

    async def chat(self, request: Request) -> Response:
        """An answer, whole or in pieces."""
        self._check(request)
        asked = await _body(request)
        self._is_here(asked)
        messages, params = _messages(asked), _params(asked)
        if asked.get("stream"):
            options = asked.get("stream_options")
            return await self._streamed(messages, params, isinstance(options, dict) and bool(options.get("include_usage")))
        reply = await self.client.complete(messages, params)
        self.calls += 1
        choice = {"index": 0, "message": _message(reply), "finish_reason": reply.finish}
        return JSONResponse(self._head(reply, "chat.completion") | {"choices": [choice], "usage": _usage(reply)})

    async def embeddings(self, request: Request) -> Response:
        """A vector for each text."""
        self._check(request)
        asked = await _body(request)
        self._is_here(asked)
        texts = [asked.get("input")] if isinstance(asked.get("input"), str) else asked.get("input")
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts) or len(texts) > TEXTS:
            raise Refused(400, f"input has to be a text, or a list of 1 to {TEXTS} texts")
        vectors = await self.client.embed(texts)
        self.calls += 1
        data = [{"object": "embedding", "index": place, "embedding": vector} for place, vector in enumerate(vectors)]
        return JSONResponse({"object": "list", "model": self.client.name, "data": data})

    async def _streamed(self, messages: list[Message], params: Params, usage: bool) -> Response:
        pieces = self.client.stream(messages, params)
        # The first piece is waited for, so that a call that fails at once is an error and no empty stream.
        first = await anext(aiter(pieces))

        async def events() -> AsyncIterator[str]:
            head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": "chat.completion.chunk", "created": int(time.time())}
            head["model"] = self.client.name

            def event(delta: dict[str, Any], finish: str | None = None) -> str:
                chunk = head | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
                return f"data: {json.dumps(chunk)}\n\n"

            yield event({"role": "assistant", "content": ""})
            piece: str | Reply = first
            try:
                while not isinstance(piece, Reply):
                    yield event({"content": piece})
                    piece = await anext(aiter(pieces))
            except CallFailed as failure:
                yield f"data: {json.dumps({'error': {'message': str(failure), 'type': failure.kind}})}\n\n"
                return
            calls = _message(piece).get("tool_calls")
            delta = {"tool_calls": [{"index": place, **call} for place, call in enumerate(calls)]} if calls else {}
            yield event(delta, piece.finish)
            if usage:
                yield f"data: {json.dumps(head | {'choices': [], 'usage': _usage(piece)})}\n\n"
            self.calls += 1
            yield "data: [DONE]\n\n"

        return StreamingResponse(events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    def _check(self, request: Request) -> None:
        """Refuse who has no key, and who was led here by another name."""
        host = request.headers.get("host", "")
        if host.rpartition(":")[0] not in NAMES and host not in NAMES:
            raise Refused(403, "this endpoint answers on this machine only; call it by 127.0.0.1")
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).hostname not in NAMES_OF_PAGES:
            # A page of elsewhere could not read the answer, but would have this machine work for it.
            raise Refused(403, "web pages of other hosts may not call this endpoint")
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self._key is not None and not hmac.compare_digest(given.encode(), self._key.encode()):
            raise Refused(401, "the key is missing or wrong; send it as Authorization: Bearer KEY")

    def _is_here(self, asked: dict[str, Any]) -> None:
        model = asked.get("model")
        if model not in (None, "", self.client.name):
            raise Refused(404, f"there is no model {str(model)[:60]!r} here; its only one is {self.client.name!r}")

    @property
    def _owner(self) -> str:
        return "stellwerk-simulated" if self.client.simulated else "stellwerk"

    def _head(self, reply: Reply, kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()),
            "model": reply.model if self.client.simulated else self.client.name, "system_fingerprint": reply.fingerprint,
        }  # fmt: skip


def serve(workspace: Workspace, model: str, port: int, key: str | None, seconds: float | None) -> Served:
    """Serve a model until Ctrl-C, or for so many seconds.

    Raises:
        UserError: it is an endpoint already, the key is not there, or the port is taken.
    """
    name, spec = models.of(workspace, model)
    if spec.endpoint is not None:
        raise UserError(f"models/{name}.yaml is an endpoint already; serve local weights or a simulated model")
    secret = None
    if key is not None:
        if not credentials.is_reference(key):
            raise UserError("key is written out; name where it is kept: env:NAME or file:PATH")
        secret = workspace.credential(key)
    began = time.monotonic()
    with _listen(port) as listening:
        address = f"http://{HOST}:{listening.getsockname()[1]}/v1"

        async def run() -> int:
            async with open_model(workspace, name, spec, keep=False) as client:
                served = Endpoint(client, secret)
                simulated = ", which is simulated," if client.simulated else ""
                print(f"{name}{simulated} is served at {address}  (end it with Ctrl-C)", file=sys.stderr, flush=True)
                await run_server(served.app(), listening, seconds)
                return served.calls

        calls = asyncio.run(run())
    return Served(
        model=name,
        address=address,
        simulated=spec.simulated is not None,
        seconds=round(time.monotonic() - began, 3),
        calls=calls,
    )


async def run_server(app: Starlette, listening: socket.socket, seconds: float | None) -> None:
    """Run uvicorn on a socket until a signal, or for so many seconds."""
    import uvicorn

    server = uvicorn.Server(
        uvicorn.Config(app, log_level="error", access_log=False, lifespan="off", timeout_graceful_shutdown=5)
    )

    async def end() -> None:
        await asyncio.sleep(seconds or 0)
        server.should_exit = True

    timer = asyncio.create_task(end()) if seconds is not None else None
    try:
        # uvicorn raises the signal again when it has ended; here that is the end that was asked for.
        with contextlib.suppress(KeyboardInterrupt):
            await server.serve(sockets=[listening])
    finally:
        if timer:
            timer.cancel()


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()
    except OSError:
        listening.close()
        raise UserError(f"port {port} is taken; give another one, or 0 for any that is free") from None
    return listening


async def _body(request: Request) -> dict[str, Any]:
    whole = bytearray()
    async for piece in request.stream():
        whole += piece
        if len(whole) > BODY:
            raise Refused(413, f"the request is larger than {BODY // 2**20} MiB")
    try:
        value = wire.load(bytes(whole))
    except wire.Unreadable:
        raise Refused(400, "the request is no JSON") from None
    if not isinstance(value, dict):
        raise Refused(400, "the request has to be a JSON object")
    return value


def _messages(asked: dict[str, Any]) -> list[Message]:
    try:
        messages = [from_json(message) for message in asked["messages"]]
        roles = {message.role for message in messages}
    except (KeyError, TypeError, AttributeError, ValueError):
        raise Refused(400, "messages has to be a list of {role, content}") from None
    if not messages or not roles <= {"system", "developer", "user", "assistant", "tool"}:
        raise Refused(400, "messages is empty, or has a role other than system, developer, user, assistant and tool")
    return messages


def _params(asked: dict[str, Any]) -> Params:
    if unknown := sorted(set(asked) - TAKEN):
        raise Refused(400, f"{unknown[0][:60]!r} is not known here")
    if asked.get("n", 1) != 1:
        raise Refused(400, "n has to be 1")
    given = {
        name: asked[name] for name in ("temperature", "top_p", "max_tokens", "seed", "tools") if asked.get(name) is not None
    }
    if asked.get("max_completion_tokens") is not None:
        given["max_tokens"] = asked["max_completion_tokens"]
    if asked.get("stop") is not None:
        given["stop"] = [asked["stop"]] if isinstance(asked["stop"], str) else asked["stop"]
    form = asked.get("response_format") or {}
    try:
        if form.get("type") == "json_schema":
            given["schema"] = form["json_schema"]["schema"]
        elif form.get("type") not in (None, "text"):
            raise Refused(400, "response_format has to be text or json_schema")
        return Params.model_validate(given)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refused(400, "one of the parameters has a value that it cannot have") from None


def _message(reply: Reply) -> dict[str, Any]:
    found: dict[str, Any] = {"role": "assistant", "content": reply.text}
    if reply.tool_calls:
        functions = [(call.id, {"name": call.name, "arguments": call.arguments}) for call in reply.tool_calls]
        found["tool_calls"] = [{"id": key, "type": "function", "function": function} for key, function in functions]
    return found


def _usage(reply: Reply) -> dict[str, int] | None:
    if reply.usage is None:
        return None
    sent, answered = reply.usage.input, reply.usage.output
    return {"prompt_tokens": sent, "completion_tokens": answered, "total_tokens": sent + answered}


async def _refusal(_: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, Refused) else 400
    return JSONResponse({"error": {"message": str(error), "type": "invalid_request_error", "code": status}}, status)


async def _failure(_: Request, error: Exception) -> Response:
    kind = error.kind if isinstance(error, CallFailed) else "server"
    return JSONResponse({"error": {"message": str(error), "type": kind}}, STATUS.get(kind, 503))
