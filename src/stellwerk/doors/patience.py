"""uvicorn's protocol, but for connections that are open to no end: those are closed.

uvicorn itself waits for ever for the head of a first request, and for the rest of a body that nobody reads any more; whoever
opens enough such connections would shut all others out.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD = 15.0  # seconds that the head of a request may take, or the rest of one that is answered already


class Patient(H11Protocol):
    """Waits only so long, whether nothing comes or a sign at a time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._waiting: asyncio.TimerHandle | None = self.loop.call_later(HEAD, self._close)

    def data_received(self, data: bytes) -> None:
        """Stop waiting where a head is whole, and begin anew where the next one begins."""
        super().data_received(data)
        answered = self.conn.our_state is h11.DONE and self.conn.their_state is h11.SEND_BODY
        if self.conn.their_state is not h11.IDLE and not answered:
            self._stop()
        elif self._waiting is None:
            self._waiting = self.loop.call_later(HEAD, self._close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop()
        super().connection_lost(exc)

    def _stop(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
