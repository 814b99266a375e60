"""An answer that comes in pieces: the lines of an event stream, and what they add up to.

Knows no connection: it is fed bytes as they come, cut anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from stellwerk.llm import wire
from stellwerk.llm.chat import Finish, ToolCall, Usage
from stellwerk.llm.failures import Failed

LONGEST_EVENT = 4 * 1024 * 1024  # bytes


def is_stream(kind: str, beginning: bytes) -> bool:
    """Whether a body is an event stream, by its content type or, where that is wrong, by how it begins.

    Args:
        kind: the value of `Content-Type`.
        beginning: the first bytes that came.
    """
    return "event-stream" in kind or beginning.lstrip().startswith((b"data:", b"event:", b"id:", b":"))


class Events:
    """Cuts bytes into the data of server-sent events."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, part: bytes) -> list[bytes]:
        """Take further bytes; returns the data of the events that are complete now.

        Raises:
            wire.Unreadable: one event is longer than any answer.
        """
        *lines, self._rest = (self._rest + part).split(b"\n")
        if len(self._rest) + sum(map(len, self._data)) > LONGEST_EVENT:
            raise wire.Unreadable("sends an event without end")
        return [event for line in lines if (event := self._line(line.rstrip(b"\r"))) is not None]

    def end(self) -> list[bytes]:
        """The last event, where the stream ends without the empty line that should follow it."""
        return [event for line in (self._rest, b"") if (event := self._line(line.rstrip(b"\r"))) is not None]

    def _line(self, line: bytes) -> bytes | None:
        if line.startswith(b"data:"):
            self._data.append(line[5:].lstrip(b" "))
        elif not line and self._data:
            event = b"\n".join(self._data)
            self._data = []
            return event
        return None


class Collected:
    """What the pieces add up to.

    Attributes:
        done: whether the endpoint said that it is finished.
    """

    def __init__(self) -> None:
        self.done = False
        self._texts: list[str] = []
        self._finish: Finish | None = None
        self._usage: Usage | None = None
        self._said: tuple[str | None, str | None, str | None] = (None, None, None)
        self._calls: dict[int, list[str]] = {}

    def take(self, events: Iterable[bytes]) -> Iterator[str]:
        """Take events; gives the texts that they add.

        Raises:
            Failed: an event is an error.
            wire.Unreadable: an event is no JSON of the protocol.
        """
        for event in events:
            if text := self._add(event):
                yield text

    def _add(self, event: bytes) -> str:
        if event.strip() == b"[DONE]":
            self.done = True
            return ""
        value = wire.load(event)
        if not isinstance(value, dict):
            raise wire.Unreadable("streams something else than the pieces of an answer")
        if value.get("error"):
            raise Failed("server", "reported an error in mid answer; try later", codes=wire.error_codes(event))
        self._said = tuple(new or old for new, old in zip(wire.said_by(value), self._said, strict=True))  # type: ignore[assignment]
        self._usage = wire.usage(value.get("usage")) or self._usage
        choices = value.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
        if choice.get("finish_reason") is not None:
            self._finish = wire.finish(choice["finish_reason"])
        delta = choice.get("delta")
        return self._piece(delta) if isinstance(delta, dict) else ""

    def _piece(self, delta: dict[str, Any]) -> str:
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                self._call(call)
        text = wire.content(delta.get("content")) or wire.content(delta.get("refusal"))
        if text:
            self._texts.append(text)
        return text

    def _call(self, call: dict[str, Any]) -> None:
        """Add a piece of a tool call: its id and name come once, its arguments in pieces."""
        place = call.get("index")
        known = self._calls.setdefault(place if isinstance(place, int) else len(self._calls), ["", "", ""])
        function = call.get("function")
        given = function if isinstance(function, dict) else {}
        known[0] = known[0] or str(call.get("id") or "")
        known[1] = known[1] or str(given.get("name") or "")
        known[2] += given["arguments"] if isinstance(given.get("arguments"), str) else ""

    def answer(self) -> wire.Answer:
        """The whole answer.

        Raises:
            Failed: it broke off: neither a reason for its end came, nor the sign that nothing follows.
        """
        if self._finish is None and not self.done:
            raise Failed("connection", "broke off its answer; try later")
        calls = tuple(ToolCall(*self._calls[place]) for place in sorted(self._calls))
        return wire.Answer("".join(self._texts), self._finish or "other", self._usage, *self._said, calls)
