"""The log of a worker and its children: one line an event on standard error, with the time in UTC."""

from __future__ import annotations

import logging
import time
from typing import TextIO


def to(stream: TextIO) -> None:
    """Write what the product logs to a stream; libraries stay silent, for what they say may quote the data."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Line())
    ours = logging.getLogger("stellwerk")
    ours.handlers[:] = [handler]
    ours.setLevel(logging.INFO)
    ours.propagate = False


class _Line(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the message holds."""
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        return f"{at} " + "".join(sign if sign.isprintable() else " " for sign in record.getMessage())
