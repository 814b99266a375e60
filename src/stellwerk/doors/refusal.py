"""A request that is refused: its status, and the sentence that says why and what to do."""

from __future__ import annotations

from collections.abc import Mapping


class Refused(Exception):
    """Raised where a request is refused; the guard makes the answer of it.

    Attributes:
        status: of HTTP.
        sentence: what the caller is told.
        headers: of the answer.
    """

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, dict(headers or {})
